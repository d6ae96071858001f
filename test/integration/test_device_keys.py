"""Keys of a device in a TPM 2.0 or a PKCS#11 token (docs/device-keys.md): made
there, used for requests and TLS, renewed, removed."""
import json
import pathlib
import re
import shutil
import signal

import pytest

from agent_service import Service
from places import MODULE, PIN, SOFTHSM, THERE, InToken, InTpm
from test_agent import identity, state_of, token_file
from world import AGENT, World, run, sanitized, x509

PLACES = [pytest.param(name, marks=pytest.mark.skipif(
    not THERE[name.split(";")[0]], reason="script/setup test installs it"))
    for name in ("tpm2", "tpm2;handle", "pkcs11")]
KEPT = PLACES[1:]  # something stays there, whatever becomes of the file
OWN_KIB = 1024  # test_agent_run.py


@pytest.fixture(scope="module")
def world():
    with World(profile="\tbearer = true\n\tsame_key_renewal = true") as w:
        yield w.start().product()


@pytest.fixture(scope="module")
def places(world):
    made = {}

    def get(name):
        if name not in made:
            folder = world.dir / f"place-{len(made)}"
            made[name] = InToken(folder) if name == "pkcs11" else InTpm(
                folder, ";handle=0x81010020" if "handle" in name else "")
        return made[name]
    yield get
    for p in made.values():
        p.close()


@pytest.fixture(params=PLACES)
def place(request, places):
    return places(request.param)


@pytest.fixture
def chip(places):
    if not THERE["tpm2"]:
        pytest.skip("script/setup test installs swtpm")
    return places("tpm2")


@pytest.fixture
def hsm(places):
    if not THERE["pkcs11"]:
        pytest.skip("script/setup test installs softhsm2")
    return places("pkcs11")


def agent(place, *argv, check=True, env=None):
    return run(AGENT, "--json", *argv, check=check,
               env={**place.env, **(env or {})})


def told(p):
    return json.loads(p.stdout)


def enrol(world, place, name, *more, uri=None, check=True, token=None, **kw):
    d = world.dir / f"keys-{name}"
    p = agent(place, "enrol", "--token-file",
              token or token_file(world, name), "--server",
              f"127.0.0.1:{world.devices}", "--dir", d, "--key",
              uri or place.uri, *more, check=check, **kw)
    return d, p


def key_of(d):
    return x509(identity(d)[0], "-pubkey", "-noout")


def left(place, n):
    """How many keys are in the place for good."""
    if isinstance(place, InToken):
        assert place.objects() == 2 * n, place.objects()
    elif "handle" in place.uri:
        assert len(place.kept()) == n, place.kept()
    else:
        assert place.kept() == []


def retire(place, d):
    """Its key goes with the renewal into a file."""
    assert told(agent(place, "renew", "--now", "--dir", d, "--key",
                      "file:"))["key"] == {"in": "file", "uri": None}
    assert "PRIVATE KEY" in identity(d)[1].read_text()
    left(place, 0)


def test_made_there_and_renewed_there(world, place):
    name = f"DK-{place.uri.count(';')}{place.name}"
    d, p = enrol(world, place, name)
    out = told(p)
    assert out["confirmed"] and out["key"]["in"] == place.name, out
    text = identity(d)[1].read_text()
    assert text.startswith("-----BEGIN MINTMARK KEY-----"), text
    assert identity(d)[1].stat().st_mode & 0o777 == 0o600
    assert "PRIVATE" not in text and PIN not in text + p.stdout
    first = key_of(d)
    left(place, 1)
    # a new key, in the same place without being told
    out = told(agent(place, "renew", "--now", "--dir", d))
    assert out["renewed"] and out["key"]["in"] == place.name
    second = key_of(d)
    assert first != second
    left(place, 1)
    # the same key, which does not go with the slot that had it, too
    out = told(agent(place, "renew", "--now", "--keep-key", "--dir", d))
    assert out["renewed"] and key_of(d) == second
    left(place, 1)
    # and TLS 1.2, where another message is signed
    out = told(agent(place, "renew", "--now", "--tls", "1.2", "--dir", d))
    assert out["renewed"] and key_of(d) != second
    left(place, 1)
    said = run(AGENT, "status", "--dir", d).stdout
    assert re.search(rf"^key +{place.name}:", said, re.M), said
    retire(place, d)


def test_from_a_file_into_it(world, place):
    name = f"DF-{place.uri.count(';')}{place.name}"
    d, p = enrol(world, place, name, uri="file:")
    assert told(p)["key"]["in"] == "file"
    p = agent(place, "enrol", "--token-file", token_file(world, name), "--dir",
              d, "--server", f"127.0.0.1:{world.devices}", "--key", place.uri,
              check=False)
    assert p.returncode == 10 and "is not used: the key that is here is " \
        "kept (file)" in p.stderr, p
    out = told(agent(place, "renew", "--now", "--dir", d, "--key", place.uri))
    assert out["key"]["in"] == place.name
    # a token of another day, for an identity that is good
    out = told(agent(place, "enrol", "--replace", "--token-file",
                     token_file(world, name), "--dir", d, "--server",
                     f"127.0.0.1:{world.devices}"))
    assert not out["already"] and out["key"]["in"] == place.name
    left(place, 1)
    retire(place, d)


@pytest.mark.parametrize("place", KEPT, indirect=True)
def test_what_is_there_no_more(world, place):
    """An identity whose key cannot be reached stays as it is, and is used
    when it can."""
    name = f"DG-{place.uri.count(';')}{place.name}"
    d, p = enrol(world, place, name)
    before = {f: f.read_bytes() for f in d.glob("?/*") if f.is_file()}
    with place.away():
        p = agent(place, "renew", "--now", "--dir", d, check=False)
        assert p.returncode == 1 and ("not there" in p.stdout or
                                      "is there" in p.stdout), p
        assert told(agent(place, "status", "--dir", d))["confirmed"]
    assert before == {f: f.read_bytes() for f in before}
    out = told(agent(place, "renew", "--now", "--dir", d))
    assert out["renewed"] and out["key"]["in"] == place.name
    left(place, 1)
    retire(place, d)


@pytest.mark.parametrize("place", KEPT[1:], indirect=True)
def test_without_the_provider(world, place):
    d, _ = enrol(world, place, "DN-1")
    none = {"OPENSSL_MODULES": str(world.dir)}
    assert told(agent(place, "status", "--dir", d, env=none))["confirmed"]
    p = agent(place, "renew", "--now", "--dir", d, env=none, check=False)
    assert p.returncode == 1 and "mintmark-key is not installed" in p.stdout
    retire(place, d)


def test_wrong_words(world, hsm):
    """Refused before anything is made, and no PIN is repeated."""
    t = token_file(world, "DW-1")
    for uri, words in [
            ("tpm:", "want file:"), ("file:/etc/x", "want file:"),
            ("tpm2:device=tpm0", "device="), ("tpm2:handle=0x40000001",
                                              "handle="),
            ("tpm2:handle=0x81800000", "handle="), ("tpm2:x=y", "x=y"),
            ("pkcs11:token=a b", "printable"), ("tpm2:;;", "want"),
            (f"pkcs11:token=device?pin-value={PIN}", "pin-source"),
            ("pkcs11:" + "a" * 600, "long")]:
        d, p = enrol(world, hsm, "DW-1", uri=uri, token=t, check=False)
        assert p.returncode == 2 and words in p.stdout, (uri, p)
        assert PIN not in p.stdout + p.stderr and not d.exists()
    p = agent(hsm, "renew", "--dir", world.dir, "--keep-key", "--key",
              "tpm2:", check=False)
    assert p.returncode == 2 and "--keep-key" in p.stdout
    for uri in ("pkcs11:token=device;id=%", "pkcs11:token=%zz"):
        _, p = enrol(world, hsm, "DW-1", uri=uri, token=t, check=False)
        assert p.returncode == 1 and "RFC 7512" in p.stdout, (uri, p)
    _, p = enrol(world, hsm, "DW-1", "--key-type", "p384", token=t,
                 check=False)
    assert p.returncode == 1 and "p256 only" in p.stdout, p
    assert state_of(world, t) == "minted"


def test_a_token_that_will_not(world, hsm, tmp_path):
    t = token_file(world, "DP-1")
    wrong, none = tmp_path / "wrong", tmp_path / "none"
    wrong.write_text("0000\n")
    wrong.chmod(0o600)
    for uri, words in [
            (hsm.uri.replace("token=device", "token=other"), "none that"),
            (hsm.uri.replace(str(hsm.pin), str(wrong)), "the PIN is wrong"),
            (hsm.uri.replace(str(hsm.pin), str(none)), "No such file"),
            (hsm.uri.replace(str(hsm.pin), "pin"), "absolute path"),
            (hsm.uri.split("?")[0] + f"?module-path={SOFTHSM}",
             "wants a PIN"),
            (hsm.uri.replace(str(SOFTHSM), "/usr/lib/none.so"),
             "no PKCS#11 module")]:
        _, p = enrol(world, hsm, "DP-1", uri=uri, token=t, check=False)
        assert p.returncode == 1 and words in p.stdout, (uri, p)
        assert PIN not in p.stdout and "0000" not in p.stdout
    left(hsm, 0)
    # and what that left is no hindrance
    d, p = enrol(world, hsm, "DP-1", token=t)
    assert told(p)["confirmed"]
    # a PIN that is wrong later is nothing that the server said
    hsm.pin.rename(tmp_path / "pin")
    shutil.copy(wrong, hsm.pin)
    hsm.pin.chmod(0o600)
    p = agent(hsm, "renew", "--now", "--dir", d, check=False)
    assert p.returncode == 1 and "the PIN is wrong" in p.stdout, p
    (tmp_path / "pin").rename(hsm.pin)
    retire(hsm, d)


def test_a_pin_is_not_tried_twice(world, hsm, tmp_path):
    """Most tokens do not say how many tries are left."""
    d, _ = enrol(world, hsm, "DP-3")

    def renew(pin):
        hsm.pin.write_text(pin + "\n")
        p = agent(hsm, "renew", "--now", "--dir", d, check=False)
        notes = list(d.glob("pin-refused-*"))
        assert all(n.stat().st_mode & 0o777 == 0o600 for n in notes)
        assert all(pin.encode() not in n.read_bytes() for n in notes)
        return p, notes

    again = "is not tried again"
    try:
        for pin, words in (("0000", "the PIN is wrong"), ("0000", again),
                           ("0000", again), ("0001", "the PIN is wrong"),
                           ("0001", again)):
            p, notes = renew(pin)
            assert p.returncode == 1 and words in p.stdout and len(notes) == 1
            assert (again in p.stdout) == (words == again), p.stdout
        # told by hand that it may be right now
        notes[0].unlink()
        assert again not in renew("0001")[0].stdout
    finally:
        p, notes = renew(PIN)
    assert told(p)["renewed"] and not notes
    retire(hsm, d)


@pytest.mark.parametrize("place", [PLACES[0], PLACES[2]], indirect=True)
def test_what_a_keys_file_names_is_not_enough(world, place, tmp_path):
    """The agent, too, loads and opens what it was told, and not what stands in
    a file; --key tells it."""
    named = tmp_path / "named"
    if place.name == "pkcs11":
        shutil.copy(SOFTHSM, named)
        uri = place.uri.replace(str(SOFTHSM), str(named))
    else:
        named.symlink_to(place.tpm.path)
        uri = f"tpm2:device={named}"
    bare = {k: v for k, v in place.env.items() if k != "OPENSSL_CONF"}
    bare["LD_DEBUG"] = "files"
    name = f"DQ-{place.name}"
    t = token_file(world, name)
    d = world.dir / f"keys-{name}"

    def says(*argv):
        return run(AGENT, "--json", *argv, "--dir", d, env=bare, check=False)

    p = says("enrol", "--token-file", t, "--server",
             f"127.0.0.1:{world.devices}", "--key", uri)
    assert p.returncode == 0, p.stdout
    loaded = place.name == "pkcs11"
    assert (str(named) in p.stderr) == loaded
    p = says("renew", "--now")
    assert str(named) not in p.stderr
    # p11-kit knows the module where its package is installed
    assert loaded or (p.returncode == 1 and "not in a key" in p.stdout), p
    p = says("renew", "--now", "--key", uri)
    assert p.returncode == 0 and told(p)["renewed"], p.stdout
    if loaded:  # the one of openssl.cnf has the old key, too
        retire(place, d)


def test_two_tokens_of_a_name(world, tmp_path):
    if not THERE["pkcs11"]:
        pytest.skip("script/setup test installs softhsm2")
    two = InToken(tmp_path / "two")
    two.init_token()
    _, p = enrol(world, two, "DP-2", check=False)
    assert p.returncode == 1 and "means 2 of them" in p.stdout, p


def test_a_chip_that_will_not(world, chip, tmp_path):
    t = token_file(world, "DT-1")
    _, p = enrol(world, chip, "DT-1", uri=f"tpm2:device={tmp_path}/none",
                 token=t, check=False)
    assert p.returncode == 1 and "is not there" in p.stdout, p
    _, p = enrol(world, chip, "DT-1", uri=chip.uri + ";parent=0x81000077",
                 token=t, check=False)
    assert p.returncode == 1 and "nothing under that handle" in p.stdout, p
    d, p = enrol(world, chip, "DT-1", token=t)
    # another chip, or this one after it was cleared
    other = InTpm(tmp_path / "other")
    try:
        pathlib.Path(chip.tpm.path).rename(tmp_path / "aside")
        pathlib.Path(chip.tpm.path).symlink_to(other.tpm.path)
        p = agent(chip, "renew", "--now", "--dir", d, check=False)
    finally:
        pathlib.Path(chip.tpm.path).unlink()
        (tmp_path / "aside").rename(chip.tpm.path)
        other.close()
    assert p.returncode == 1 and "of another TPM" in p.stdout, p
    retire(chip, d)


@pytest.mark.skipif(not shutil.which("tpm2_createprimary"),
                    reason="script/setup test installs tpm2-tools")
def test_a_parent_that_is_there_and_one_with_a_password(world, chip):
    """The second locks the chip out, which is said."""
    tool = chip.tool
    folder = chip.dir / "parents"
    folder.mkdir()
    usual = ("fixedtpm|fixedparent|sensitivedataorigin|userwithauth|"
             "restricted|decrypt")
    for handle, more in (("0x81000001", ["-a", usual + "|noda"]),
                         ("0x81000002", ["-a", usual, "-p", "secret"])):
        tool("tpm2_createprimary", "-G", "ecc", "-c", folder / handle, *more)
        tool("tpm2_evictcontrol", "-c", folder / handle, handle)
        tool("tpm2_flushcontext", "-t")
    d, p = enrol(world, chip, "DT-2", uri=chip.uri + ";parent=0x81000001")
    assert told(p)["key"]["uri"].endswith(";parent=0x81000001")
    assert told(agent(chip, "renew", "--now", "--dir", d))["renewed"]
    tool("tpm2_dictionarylockout", "-s", "-n", "1", "-t", "1000", "-l", "0")
    try:
        _, p = enrol(world, chip, "DT-3", uri=chip.uri + ";parent=0x81000002",
                     check=False)
        assert p.returncode == 1 and "wants a password" in p.stdout, p
        _, p = enrol(world, chip, "DT-3", uri=chip.uri + ";parent=0x81000002",
                     check=False)
        assert p.returncode == 1 and "locked out" in p.stdout, p
        # keys of ours know no passwords and are not touched by it
        assert told(agent(chip, "renew", "--now", "--dir", d))["renewed"]
    finally:
        tool("tpm2_dictionarylockout", "-c")
        for handle in ("0x81000001", "0x81000002"):
            tool("tpm2_evictcontrol", "-c", handle)


faulty = pytest.mark.skipif(
    b"MINTMARK_DIE_AT" not in pathlib.Path(AGENT).read_bytes()
    if pathlib.Path(AGENT).exists() else True,
    reason="needs a build with -Dfaults=true")


def cut(place, where, *argv):
    """Killed when it passes there; whether it came so far."""
    p = agent(place, *argv, check=False, env={"MINTMARK_DIE_AT": where})
    assert p.returncode in (0, -signal.SIGKILL), p
    return p.returncode != 0


@faulty
@pytest.mark.parametrize("place", KEPT, indirect=True)
def test_killed_at_each_step(world, place):
    """Beside a key that is made or removed: what is started again has one
    identity, and the place has its key and no other."""
    name = f"DC-{place.uri.count(';')}{place.name}"
    t = token_file(world, name)
    argv = ["enrol", "--token-file", t, "--server",
            f"127.0.0.1:{world.devices}", "--dir", world.dir / f"keys-{name}",
            "--key", place.uri]
    assert cut(place, "key:2", *argv) and t.exists()
    d, p = enrol(world, place, name, token=t)
    left(place, 1)
    n = 1
    while cut(place, f"key:{n}", "renew", "--now", "--dir", d):
        before = key_of(d)
        out = told(agent(place, "renew", "--now", "--dir", d))
        assert out["confirmed"] and (n > 4 or key_of(d) != before)
        left(place, 1)
        n += 1
    assert n == 7, "two more, beside the old key"
    left(place, 1)
    retire(place, d)


def test_the_service_is_small_and_renews_it(world, place):
    name = f"DS-{place.uri.count(';')}{place.name}"
    with Service(world, name, env=place.env, key=place.uri) as s:
        got = s.good()
        assert s.status()["key"]["in"] == place.name
        text = pathlib.Path(f"/proc/{s.p.pid}/smaps_rollup").read_text()
        kib = {k: int(v.split()[0]) for k, v in (
            x.split(":") for x in text.splitlines()[1:])}
        own = kib["Private_Clean"] + kib["Private_Dirty"]
        maps = pathlib.Path(f"/proc/{s.p.pid}/maps").read_text()
        assert MODULE.name not in maps and "tss2" not in maps
        assert sanitized() or own < OWN_KIB, kib
        first = got["identity"]["serial"]
        agent(place, "renew", "--now", "--dir", s.dir)
        s.p.send_signal(signal.SIGHUP)
        s.reaches(lambda x: x.get("identity", {}).get("serial") != first)
        assert s.stop() == 0
    retire(place, s.dir)
