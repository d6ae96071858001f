"""init, request, install, issuer, renew-tls, token-key: what they make is
judged by openssl, and everything they signed stands in the journal."""
import json
import os
import re
import shutil
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from harness import Requests, Signer, program  # noqa


@pytest.fixture
def signer(tmp_path):
    return Signer(program(), tmp_path)


def openssl(*args, check=True):
    return subprocess.run(["openssl", *map(str, args)], check=check,
                          capture_output=True, text=True).stdout


def kinds(s):
    return [x["kind"] for x in s.journal()]


def test_init_makes_a_whole_pki(signer):
    d = signer.dir
    made = signer.init("--tls-dns", "ca.example", "--tls-ip", "127.0.0.1",
                       "--root-subject", "O=Acme",
                       "--root-subject", "CN=The Root", "--key-type", "p384")
    openssl("verify", "-CAfile", d / "server/root.crt", "-untrusted",
            d / "server/issuing.crt", "-purpose", "sslserver",
            "-verify_hostname", "ca.example", d / "server/tls.crt")
    assert "CN = The Root" in openssl("x509", "-in", d / "server/root.crt",
                                      "-noout", "-subject")
    assert kinds(signer) == ["ca", "ca", "server"]
    assert made["token_key_version"] == 0x81
    assert made["issuer"]["name"] == "issuing" and made["tls"]
    assert signer.command("ledger-key").stdout.strip() == made["ledger_key"]
    for path in (d / "signer").rglob("*.key"):
        assert path.stat().st_mode & 0o777 == 0o600
        assert "ENCRYPTED" in path.read_text()
    assert (d / "server/tls.key").stat().st_mode & 0o777 == 0o600


def test_init_overwrites_nothing(signer):
    signer.init()
    before = {p: p.read_bytes() for p in signer.dir.rglob("*")
              if p.is_file()}
    assert signer.command("init", check=False).returncode == 5
    (signer.dir / "signer/journal.jsonl").unlink()
    assert signer.command("init", check=False).returncode == 5
    del before[signer.dir / "signer/journal.jsonl"]
    for path, data in before.items():
        assert path.read_bytes() == data


def test_production_tokens_have_another_version(tmp_path):
    s = Signer(program(), tmp_path, lambda c: c.replace(
        "production = false", "production = true").replace(
        '"localhost/ledger"', '"ca.example/ledger"') +
        'server_user = "daemon"\nsigner_user = "nobody"\n'
        'public_url = "http://ca.example"\n'
        'devices_url = "https://ca.example"\n')
    assert s.init("--root", "none")["token_key_version"] == 1


def test_token_keys_count_up(signer):
    signer.init("--root", "none")
    for want in (0x82, 0x83):
        made = json.loads(signer.command("token-key").stdout)
        assert made["token_key_version"] == want


def test_external_root(signer, tmp_path):
    d = signer.dir
    made = signer.init("--root", "external", "--request", d / "ca.csr",
                       "--issuer-subject", "O=Acme",
                       "--issuer-subject", "OU=Line",
                       "--issuer-subject", "CN=Issuing 1")
    assert made["issuer"] is None and kinds(signer) == ["request"]
    text = openssl("req", "-in", d / "ca.csr", "-noout", "-verify",
                   "-subject")
    assert "O = Acme, OU = Line, CN = Issuing 1" in text
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout",
            d / "root.key", "-out", d / "root.pem", "-subj", "/CN=Their root",
            "-days", "100")
    (d / "ext").write_text(
        "basicConstraints=critical,CA:TRUE,pathlen:0\n"
        "keyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
        "authorityKeyIdentifier=keyid\n")
    openssl("x509", "-req", "-in", d / "ca.csr", "-CA", d / "root.pem",
            "-CAkey", d / "root.key", "-CAcreateserial", "-days", "90",
            "-extfile", d / "ext", "-out", d / "ca.pem")
    ca, root = (d / "ca.pem").read_text(), (d / "root.pem").read_text()
    bad = {"no root": ca, "wrong order": root + ca, "not ours": root,
           "nothing": "", "not PEM": "x"}
    for what, text in bad.items():
        (d / "chain").write_text(text)
        done = signer.command("install", "--issuer", "issuing", "--chain",
                              d / "chain", check=False)
        assert done.returncode != 0, what
        assert not (d / "server/issuing.crt").exists()
    (d / "chain").write_text(ca + root)
    signer.command("install", "--issuer", "issuing", "--chain", d / "chain")
    signer.command("renew-tls", "--tls-dns", "ca.example")
    openssl("verify", "-CAfile", d / "server/root.crt", "-untrusted",
            d / "server/issuing.crt", d / "server/tls.crt")
    csr = Requests(tmp_path).make()
    signer.start()
    cert = signer["issue"].call("issue", "plain", 1, "SN-1", "thermo",
                                "op:x", 0, 0, csr)
    (d / "c.der").write_bytes(cert[7])
    openssl("verify", "-CAfile", d / "server/root.crt", "-untrusted",
            d / "server/issuing.crt", d / "c.der")
    assert signer.stop() == 0


def test_an_issuer_whose_time_is_to_come(signer, tmp_path):
    """Signs nothing before its notBefore, although the clock is right."""
    d = signer.dir
    signer.init("--root", "external", "--request", d / "ca.csr",
                "--issuer-subject", "CN=Issuing 1")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout",
            d / "root.key", "-out", d / "root.pem", "-subj", "/CN=Their root",
            "-days", "100")
    (d / "index").write_text("")
    (d / "ca.cnf").write_text(f"""[ca]
default_ca = root
[root]
certificate = {d}/root.pem
private_key = {d}/root.key
database = {d}/index
rand_serial = yes
new_certs_dir = {d}
default_md = sha256
policy = any
x509_extensions = ext
[any]
commonName = supplied
[ext]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
""")
    tomorrow, later = (time.strftime("%Y%m%d%H%M%SZ", time.gmtime(
        time.time() + days * 86400)) for days in (1, 50))
    openssl("ca", "-batch", "-notext", "-config", d / "ca.cnf", "-in",
            d / "ca.csr", "-startdate", tomorrow, "-enddate", later, "-out",
            d / "ca.pem")
    (d / "chain").write_text((d / "ca.pem").read_text() +
                             (d / "root.pem").read_text())
    signer.command("install", "--issuer", "issuing", "--chain", d / "chain")
    signer.start()
    got = signer["issue"].many("issue", [
        ("plain", 1, "SN-1", "thermo", "op:x", 0, 0,
         Requests(tmp_path).make())])[0]
    assert got.code == 8 and "notBefore" in got.text
    assert "certificate" not in kinds(signer)
    assert signer.stop() == 0


def test_server_without_an_issuer_yet(signer, tmp_path):
    signer.init("--root", "none")
    signer.start()
    got = signer["issue"].many("issue", [
        ("plain", 1, "SN-1", "thermo", "op:x", 0, 0, b"")])[0]
    assert got.code == 8 and "no certificate yet" in got.text
    assert signer.stop() == 0


def test_one_more_issuer_and_renewal_while_running(tmp_path):
    s = Signer(program(), tmp_path, lambda c: c + (
        f'issuer "second" {{ certificate = "{tmp_path}/server/second.crt"\n'
        f'key = "{tmp_path}/signer/keys/second.key"\n }}\n'))
    s.init("--tls-dns", "localhost")
    s.command("issuer", "--issuer", "second", "--key-type", "ed25519")
    openssl("verify", "-CAfile", tmp_path / "server/root.crt",
            tmp_path / "server/second.crt")
    csr = Requests(tmp_path).make()
    s.start()
    issue = ("issue", "plain", 1, "SN-1", "thermo", "op:x", 0, 0, csr)
    s["issue"].call(*issue)
    key = (tmp_path / "server/tls.key").read_bytes()
    old = (tmp_path / "server/tls.crt").read_bytes()
    s.command("renew-tls")
    assert (tmp_path / "server/tls.key").read_bytes() == key
    assert (tmp_path / "server/tls.crt").read_bytes() != old
    s["issue"].call(*issue)
    assert s.stop() == 0
    s.start()
    assert s["issue"].call("hello", 1)[4] == len(s.journal()) == 7
    assert s.stop() == 0


def followed(tmp_path, since):
    """A signer with an issuer that another one follows."""
    s = Signer(program(), tmp_path, lambda c: c + (
        f'issuer "second" {{ certificate = "{tmp_path}/server/second.crt"\n'
        f'key = "{tmp_path}/signer/keys/second.key"\n'
        f'follows = "issuing"\n{since}\n }}\n'))
    s.init("--tls-dns", "localhost")
    return s


def issued_by(s, tmp_path):
    csr = Requests(tmp_path).make()
    s["issue"].call("issue", "plain", 1, "SN-1", "thermo", "op:x", 0, 0, csr)
    return s.journal()[-1]["issuer"]


@pytest.mark.parametrize("since, want", [
    ("", "second"), ('follows_from = "2020-01-01T00:00:00Z"', "second"),
    ('follows_from = "2099-01-01T00:00:00Z"', "issuing")])
def test_who_follows_signs_when_its_time_has_come(tmp_path, since, want):
    """The request names a profile, and never an issuer."""
    s = followed(tmp_path, since)
    s.command("issuer", "--issuer", "second")
    s.start()
    assert issued_by(s, tmp_path) == want
    assert s.stop() == 0


def test_who_follows_without_a_certificate_is_not_waited_for(tmp_path):
    s = followed(tmp_path, "")
    s.start()
    assert issued_by(s, tmp_path) == "issuing"
    assert s.stop() == 0


def test_no_two_issuers_of_one_subject(tmp_path):
    s = followed(tmp_path, "")
    name = openssl("x509", "-noout", "-subject", "-nameopt", "multiline",
                   "-in", tmp_path / "server/issuing.crt")
    parts = dict(x.split("=", 1) for x in name.splitlines()[1:])
    subject = [f"{short}={v.strip()}" for k, v in parts.items()
               for short, long in (("O", "organizationName"),
                                   ("CN", "commonName")) if long in k]
    p = s.command("issuer", "--issuer", "second", check=False, *[
        x for part in subject for x in ("--issuer-subject", part)])
    assert p.returncode == 5 and "same subject" in p.stderr
    assert not (tmp_path / "signer/keys/second.key").exists()
    s.command("issuer", "--issuer", "second")


def revoked(path):
    """Of each list in a file the serial numbers that are on it."""
    pems = path.read_text().split("-----BEGIN")[1:]
    texts = [subprocess.run(["openssl", "crl", "-noout", "-text"],
                            input="-----BEGIN" + p, text=True, check=True,
                            capture_output=True).stdout for p in pems]
    return [re.findall(r"Serial Number: ([0-9A-F]+)", t) for t in texts]


def test_the_root_forgets_nothing_that_it_revoked(tmp_path):
    s = Signer(program(), tmp_path, lambda c: (
        f'root_crl = "{tmp_path}/server/root.crl"\n' + c +
        f'issuer "second" {{ certificate = "{tmp_path}/server/second.crt"\n'
        f'key = "{tmp_path}/signer/keys/second.key"\n }}\n'))
    s.init("--tls-dns", "localhost")
    s.command("issuer", "--issuer", "second")
    path = tmp_path / "server/root.crl"
    serial = [openssl("x509", "-noout", "-serial", "-in",
                      tmp_path / f"server/{n}.crt").strip().split("=")[1]
              for n in ("issuing", "second", "tls", "root")]
    assert revoked(path) == [[]] * 30

    def revoke(name, *more, **kw):
        return s.command("root-crl", "--root-years", "3", "--revoke",
                         tmp_path / f"server/{name}.crt", *more, **kw)
    first = path.read_bytes()
    revoke("issuing")
    assert revoked(path) == [[serial[0]]] * 3
    revoke("second", "--reason", "superseded")
    assert revoked(path) == [[serial[0], serial[1]]] * 3
    revoke("issuing")
    assert revoked(path) == [[serial[0], serial[1]]] * 3
    (tmp_path / "crls.pem").write_text(path.read_text().split("\n\n")[0])
    check = subprocess.run(
        ["openssl", "verify", "-crl_check", "-CAfile",
         tmp_path / "server/root.crt", "-CRLfile", tmp_path / "crls.pem",
         tmp_path / "server/issuing.crt"], capture_output=True, text=True)
    assert check.returncode != 0 and "revoked" in check.stderr

    # not of this root, or the root itself, or no reason for a CA
    have = path.read_bytes()
    for name, more, says in (("tls", (), "not one that this root"),
                             ("root", (), "does not revoke itself"),
                             ("issuing", ("--reason", "certificateHold"),
                              "for good")):
        p = revoke(name, *more, check=False)
        assert p.returncode != 0 and says in p.stderr, p.stderr
    assert path.read_bytes() == have

    # without --revoke as before; what is on record is on the new lists
    assert s.command("root-crl", check=False).returncode == 5
    path.unlink()
    s.command("root-crl", "--root-years", "2")
    assert revoked(path) == [[serial[0], serial[1]]] * 2

    # a record from before takes nothing back
    (tmp_path / "signer/root-revoked").unlink()
    p = revoke("issuing", check=False)
    assert p.returncode != 0 and "take one back" in p.stderr
    assert first and revoked(path) == [[serial[0], serial[1]]] * 2
    (tmp_path / "signer/root-revoked").write_text("ff 12\n")
    assert "line 1" in revoke("issuing", check=False).stderr


def test_renewal_takes_no_names_from_the_server(signer):
    """tls.crt is the server's to write; our signature on it is not."""
    signer.init("--tls-dns", "ca.example", "--tls-ip", "127.0.0.1")
    crt = signer.dir / "server/tls.crt"
    made = json.loads(signer.command("renew-tls").stdout)
    assert made["tls_dns"] == ["ca.example"]
    assert made["tls_ip"] == ["127.0.0.1"]
    good = crt.read_bytes()
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout",
            signer.dir / "k.pem", "-out", crt, "-subj", "/CN=x", "-addext",
            "subjectAltName=DNS:bank.example")
    forged = crt.read_bytes()
    done = signer.command("renew-tls", check=False)
    assert done.returncode != 0 and "--tls-dns" in done.stderr
    assert crt.read_bytes() == forged
    made = json.loads(signer.command("renew-tls", "--tls-dns",
                                     "new.example").stdout)
    assert made["tls_dns"] == ["new.example"] and not made["tls_ip"]
    assert crt.read_bytes() not in (good, forged)


@pytest.mark.plain
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("strace") or
                    "MM_SANITIZED" in os.environ,
                    reason="wants root, strace and no sanitizer")
def test_owners_are_set_by_descriptor(tmp_path):
    """A name in the server's folder may be a link by the next call."""
    s = Signer(program(), tmp_path, lambda c: c +
               'server_user = "daemon"\nsigner_user = "nobody"\n')
    for args in (("init", "--tls-dns", "a.example"), ("renew-tls",)):
        trace = tmp_path / "trace"
        subprocess.run(["strace", "-f", "-o", trace, "-e",
                        "trace=chown,lchown,fchownat,chmod,fchmodat,fchown",
                        s.program, args[0], "--config", s.conf, *args[1:]],
                       check=True, capture_output=True)
        calls = {x.split()[1].split("(")[0]
                 for x in trace.read_text().splitlines() if "(" in x}
        assert calls == {"fchown"}
    owner = {"server/tls.crt": "daemon", "server/tls.key": "daemon",
             "signer": "nobody", "signer/keys": "nobody",
             "signer/state": "nobody", "signer/issuers/issuing.crt": "nobody",
             "signer/anchor.crt": "nobody", "signer/journal.jsonl": "nobody",
             "server/root.crt": "root"}
    assert {p: (tmp_path / p).owner() for p in owner} == owner


@pytest.mark.skipif(os.geteuid() != 0, reason="wants root")
def test_a_joined_nodes_folders_are_their_users(tmp_path):
    """Also where nothing was before, as "mintmark init" leaves them."""
    (tmp_path / "a").mkdir()
    a = Signer(program(), tmp_path / "a", lambda c: 'node = "a"\n' + c)
    a.init()
    a.command("export-node", "--out", tmp_path / "node.pem")
    (tmp_path / "b").mkdir()
    b = Signer(program(), tmp_path / "b", lambda c: (
        'node = "b"\nserver_user = "daemon"\nsigner_user = "nobody"\n' +
        c.replace(str(tmp_path / "b") + "/s", str(tmp_path / "b") + "/x/s")))
    b.command("join", "--from", tmp_path / "node.pem")
    top = tmp_path / "b/x"
    assert {p.name: (p.owner(), oct(p.stat().st_mode & 0o777))
            for p in (top, top / "server", top / "signer")} == {
        "x": ("root", "0o755"), "server": ("daemon", "0o755"),
        "signer": ("nobody", "0o700")}


@pytest.mark.parametrize("name", ["a.example,127.0.0.1", "192.0.2.1", "a b",
                                  "-a.example", "a..example", "a.*.example"])
def test_a_tls_name_is_one_dns_name(signer, name):
    done = signer.command("init", "--tls-dns", name, check=False)
    assert done.returncode == 2 and "one DNS name" in done.stderr


def test_wrong_passphrase_and_flags(signer):
    signer.init()
    (signer.dir / "pass").write_text("another\n")
    assert signer.command("renew-tls", "--tls-dns", "x",
                          check=False).returncode == 8
    for args in (("init", "--links", "x"), ("run",), ("nonsense",),
                 ("init", "--root", "maybe"), ("request",), ("install",),
                 ("init", "--issuer-years", "-1"), ("init", "--issuer")):
        assert signer.command(*args, check=False).returncode == 2, args


def test_an_issuer_that_was_cut_off_is_made_to_its_end(tmp_path):
    """Wherever: with its key alone, or signed and not yet everywhere."""
    s = Signer(program(), tmp_path, lambda c: c + f"""
issuer "second" {{
  certificate = "{tmp_path}/server/second.crt"
  key = "{tmp_path}/signer/keys/second.key"
}}
""")
    s.init()
    key = tmp_path / "signer/keys/second.key"
    copy = tmp_path / "signer/issuers/second.crt"
    public = tmp_path / "server/second.crt"
    again = lambda *more, **kw: s.command(  # noqa: E731
        "issuer", "--issuer", "second", *more, **kw)
    again()
    was, crt, n = key.read_bytes(), public.read_bytes(), len(s.journal())
    p = again(check=False)  # and overwrites nothing
    assert p.returncode == 5 and public.read_bytes() == crt
    public.unlink()
    again()
    assert public.read_bytes() == crt == copy.read_bytes()
    assert len(s.journal()) == n  # no other signature
    for path in (public, copy):
        path.unlink()
    p = again("--key-type", "p384", check=False)
    assert p.returncode == 5 and "of type p256" in p.stderr
    again()
    assert public.read_bytes() == copy.read_bytes() != crt
    assert key.read_bytes() == was and len(s.journal()) == n + 1
    openssl("verify", "-CAfile", tmp_path / "server/root.crt", public)
    # not another issuer's, nor a copy that this root has not signed
    public.unlink()
    copy.write_bytes((tmp_path / "server/issuing.crt").read_bytes())
    p = again(check=False)
    assert p.returncode != 0 and "do not belong together" in p.stderr
    copy.unlink()
    shutil.copy(tmp_path / "signer/keys/issuing.key", key)
    p = again(check=False)
    assert p.returncode == 5 and "issuing has the same key" in p.stderr
    assert not public.exists()
