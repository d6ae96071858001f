"""What the signer's own objects ask of other libraries: no database, no
sockets of its own, no names, no HTTP.  usage: undefined.py PROGRAM"""
import re
import subprocess
import sys

FORBIDDEN = re.compile(
    r"^(sqlite3_|PQ|curl_|SSL_|BIO_s_(connect|accept)|OSSL_HTTP|ldap_|"
    r"(socket|bind|listen|connect|accept4?|getaddrinfo|gethostby\w*|"
    r"execl?[vpe]*|execve|system|popen|fork|vfork|posix_spawnp?)$)")

out = subprocess.run(["nm", "-D", "-u", sys.argv[1]], check=True, text=True,
                     capture_output=True).stdout
names = [line.split()[-1].split("@")[0] for line in out.splitlines()]
bad = [n for n in names if FORBIDDEN.match(n)]
assert len(names) > 100, "nm found nothing to judge"
assert not bad, f"mintmark-signer may not use {bad}"
libs = subprocess.run(["readelf", "-d", sys.argv[1]], check=True, text=True,
                      capture_output=True).stdout
for lib in ("libssl", "libcurl", "libsqlite3", "libpq", "libjansson"):
    assert lib not in libs, f"mintmark-signer is linked with {lib}"
