"""init, request, install, issuer, renew-tls, token-key: what they make is
judged by openssl, and everything they signed stands in the journal."""
import json
import os
import shutil
import subprocess
import sys

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
