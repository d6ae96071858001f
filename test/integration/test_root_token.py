"""docs/ca-root.md, "The root's key in a token": SoftHSM's, a token that comes
for what the root signs and goes again."""
import contextlib
import json
import shutil

import pytest

import softhsm
from world import MINT, World, run, serial_of

HOSTILE = True  # a PKCS#11 module in the commands' keeper

ROOT = "root"


@pytest.fixture(scope="module")
def token(tmp_path_factory):
    return softhsm.Token(tmp_path_factory.mktemp("hsm"))


def root_args(token, name=ROOT, flag="--root-key"):
    return [flag, token.uri(name), "--root-pin-file", token.pin,
            "--root-environ", f"SOFTHSM2_CONF={token.conf}"]


@pytest.fixture(scope="module")
def world(token):
    with World(profile="\tbearer = true", init=root_args(token)) as w:
        yield w.start().product()


def ca(w, *argv, **kw):
    return run(MINT, "ca", *argv, "--config", w.conf, "--passphrase-file",
               w.passphrase, **kw)


def names(token):
    out = run("p11tool", "--provider", softhsm.MODULE, "--list-privkeys",
              "--login", "--set-pin", softhsm.PIN, "pkcs11:token=mint",
              env={"SOFTHSM2_CONF": str(token.conf), "PATH": "/usr/bin"}).stdout
    return sorted(line.split()[-1] for line in out.splitlines()
                  if "Label:" in line)


def by_root(w, crt):
    run("openssl", "verify", "-CAfile", w.anchor, crt)


def test_init(world, token):
    """Nothing of the key is in a file, and devices' chains end at it."""
    assert names(token) == [ROOT]
    assert not (world.state / "signer/keys/root.key").exists()
    run("openssl", "verify", "-CAfile", world.anchor, world.anchor)
    by_root(world, world.etc / "issuing.crt")
    t = world.token("R-1", door="bearer")
    a = world.enrol_basic(t, world.key_and_csr("R-1")[1])
    crt = world.save_p7(a, "R-1")
    assert serial_of(crt)
    run("openssl", "verify", "-CAfile", world.anchor, "-untrusted",
        world.etc / "issuing.crt", crt)
    said = run(MINT, "--context", world.context, "ledger", "reconcile",
               "--config", world.conf)
    assert said.returncode == 0


@contextlib.contextmanager
def moved(path):
    """So that another one can be made."""
    kept = path.with_suffix(".kept")
    path.rename(kept)
    try:
        yield path
    finally:
        kept.replace(path)


def test_lists_of_years_to_come(world, token):
    path = world.state / "server/root.crl"
    assert "BEGIN X509 CRL" in path.read_text()
    p = run("openssl", "crl", "-in", path, "-noout", "-CAfile", world.anchor)
    assert "verify OK" in p.stderr
    with moved(path):
        made = json.loads(ca(world, "root-crl", "--root-years", "3",
                             *root_args(token)).stdout)
        assert made["root_crls"]
        p = run("openssl", "crl", "-in", path, "-noout", "-CAfile",
                world.anchor)
        assert "verify OK" in p.stderr


def test_without_the_token(world, token):
    """It says what it lacks, and changes nothing."""
    before = world.conf.read_text()
    roll = ["rollover", "issuing", "--from", "now", "--name", "issuing-9"]
    p = ca(world, *roll, check=False)
    assert p.returncode != 0 and "FILE|URI" in p.stderr, p.stderr
    token.remove()
    try:
        p = ca(world, *roll, *root_args(token), check=False)
    finally:
        token.put_back()
    assert p.returncode != 0 and "token=mint;object=root:" in p.stderr, p.stderr
    p = ca(world, *roll, *root_args(token, "nobody"), check=False)
    assert p.returncode != 0 and "nobody" in p.stderr, p.stderr
    assert names(token) == [ROOT]
    assert world.conf.read_text() == before


def test_a_wrong_pin(world, token):
    crl = world.state / "server/root.crl"
    token.set_pin("wrong")
    try:
        with moved(crl):
            p = ca(world, "root-crl", *root_args(token), check=False)
            assert not crl.exists()
    finally:
        token.set_pin(softhsm.PIN)
    assert p.returncode != 0 and "PIN" in p.stderr, p.stderr


def test_another_key_is_not_the_roots(world, token):
    """The token's object is of another name: a root's key all the same."""
    with World(init=root_args(token, "other")):
        pass
    crl = world.state / "server/root.crl"
    with moved(crl):
        p = ca(world, "root-crl", *root_args(token, "other"), check=False)
        assert p.returncode != 0 and not crl.exists(), p
    assert "root: " in p.stderr, p.stderr
    assert names(token) == ["other", ROOT]


def test_rollover(world, token):
    ca(world, "rollover", "issuing", "--from", "now", "--name", "issuing-2",
       *root_args(token))
    by_root(world, world.etc / "issuing-2.crt")
    assert world.stop() == 0
    world.start()
    t = world.token("R-2", door="bearer")
    a = world.enrol_basic(t, world.key_and_csr("R-2")[1])
    assert a.status == 200, a
    crt = world.save_p7(a, "R-2")
    run("openssl", "verify", "-CAfile", world.anchor, "-untrusted",
        world.etc / "issuing-2.crt", crt)


def test_another_root(world, token):
    """OldWithNew and NewWithOld: each by the token's one key and other."""
    old = world.dir / "old-root.crt"
    shutil.copy(world.anchor, old)
    ca(world, "root", *root_args(token), "--new-root-key",
       token.uri("root-2"))
    assert "root-2" in names(token)
    assert not list((world.state / "signer/keys").glob("root*"))
    links = next(world.etc.glob("*links*"))
    found = links.read_text().split("-----END CERTIFICATE-----\n")[:3]
    pem = []
    for i, text in enumerate(found):
        path = world.dir / f"link-{i}.crt"
        path.write_text(text + "-----END CERTIFICATE-----\n")
        pem.append(path)
    new = next(p for p in world.etc.glob("root-2*.crt") if p != links)
    run("openssl", "verify", "-partial_chain", "-CAfile", old, pem[1])
    run("openssl", "verify", "-partial_chain", "-CAfile", new, pem[2])
    assert world.stop() == 0
    world.start()
    assert world.stop() == 0


def test_what_init_refuses(tmp_path, token):
    for argv, says in (
            (["--root-key", tmp_path / "root.key"], "want pkcs11:"),
            (["--root-pin-file", token.pin], "--root-key pkcs11:"),
            (["--root", "external", *root_args(token)], "elsewhere")):
        p = run(MINT, "init", "--test", "--yes", "--name", "A", "--dir",
                tmp_path / "etc", "--state", tmp_path / "state",
                "--public-url", "http://localhost:1", "--host", "localhost",
                "--passphrase-file", token.pin, *argv, check=False)
        assert p.returncode == 2 and says in p.stderr, p.stderr
        assert not (tmp_path / "etc").exists()
