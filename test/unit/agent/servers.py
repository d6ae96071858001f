"""openssl s_server with a token's key, and a token."""
import json
import pathlib
import re
import subprocess

VECTORS = pathlib.Path(__file__).resolve().parents[2] / "vectors/token.json"
TOKEN = json.loads(VECTORS.read_text())[0]
TEST_TOKEN = next(t for t in json.loads(VECTORS.read_text())
                  if int(t["id"][:2], 16) & 0x80)


def psk(token, key, identity=None):
    return ["-psk", key, "-psk_identity", identity or token["id_text"]]


def make_files(folder):
    """A certificate, and an answer that carries it as if it were cacerts."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem", "-out",
         "cert.pem", "-subj", "/CN=localhost", "-days", "2", "-addext",
         "subjectAltName=DNS:localhost"],
        cwd=folder, check=True, capture_output=True)
    est = folder / ".well-known/est"
    est.mkdir(parents=True)
    (est / "cacerts").write_bytes(cacerts(folder))


def cacerts(folder):
    """The answer that carries the folder's certificate."""
    body = subprocess.run(
        ["openssl", "crl2pkcs7", "-nocrl", "-certfile", "cert.pem"],
        cwd=folder, check=True, capture_output=True).stdout
    body = b"".join(body.splitlines(True)[1:-1])
    return (b"HTTP/1.1 200 ok\r\nContent-Type: application/pkcs7-mime\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body) + body)


def serve(folder, options):
    server = subprocess.Popen(
        ["openssl", "s_server", "-accept", "127.0.0.1:0", "-HTTP"] + options,
        cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True)
    for line in server.stdout:
        found = re.match(r"ACCEPT .*:(\d+)$", line.strip())
        if found:
            return server, int(found.group(1))
    raise RuntimeError("s_server did not start: %s" % options)
