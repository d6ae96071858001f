"""docs/hsm.md: the issuing key in a PKCS#11 token, SoftHSM's, for real: all
that it signs, and each way in which a token fails."""
import json
import os
import pathlib
import pwd
import re
import signal

import pytest

import softhsm
import test_line_cas as line_cas
from softhsm import hsm_world
from world import MINT, SIGNER, World, alive, run, serial_of, until

HOSTILE = True  # see world.py; and the module with faults is sanitized, too


@pytest.fixture(scope="module")
def token(tmp_path_factory):
    return softhsm.Token(tmp_path_factory.mktemp("hsm"))


@pytest.fixture(scope="module")
def world(token):
    """The module is the one with faults; none is asked for until a test does."""
    profile = "\tbearer = true\n\tper_day = 1000"
    with hsm_world(token, profile) as w:
        softhsm.faulty(w, token)
        yield w.start().product()


def enrol(world, name):
    t = world.token(name, door="bearer")
    return world.enrol_basic(t, world.key_and_csr(name)[1])


def issuer(world):
    pem = world.dir / "issuing.pem"
    pem.write_text((world.etc / "issuing.crt").read_text())
    return pem


def offline(world, *argv, **kw):
    return run(MINT, "ca", *argv, "--config", world.conf, "--passphrase-file",
               world.passphrase, **kw)


def verify(world, crt):
    return run("openssl", "verify", "-CAfile", world.anchor, "-untrusted",
               issuer(world), crt)


def level(world, words):
    """Of the doctor's row about tokens that has these words; None."""
    for f in world.rest("GET", "/doctor").json["findings"]:
        if f["check"] == "signer" and words in f["what"]:
            return f["level"]
    return None


def used(world):
    """How much of the profile's ceiling of a day is used, in certificates."""
    for line in world.rest("GET", "/metrics", base="").text.splitlines():
        if line.startswith("mintmark_signer_ceiling_used_ratio "):
            return float(line.split()[1])
    return None


def refused(a):
    assert a.status == 503, a
    assert 1 <= int(a.headers["retry-after"]) <= 60
    return a.text


def works_again(world, t, csr):
    """The same token, the same key: what was refused spent neither."""
    a = until(lambda: (lambda a: a if a.status == 200 else refused(a) and None)
              (world.enrol_basic(t, csr)), told=lambda: world.log()[-2000:])
    assert world.rest("GET", f"/tokens/{t['id']}").json["state"] == "issued"
    return a


def test_init_made_the_key_in_the_token(world, token):
    made = json.loads(world.init.stdout)
    assert made["key_made"] is True and made["key"] == token.uri()
    assert not (world.state / "signer/keys/issuing.key").exists()
    text = run("p11tool", "--provider", softhsm.MODULE, "--list-all",
               "--login", "--set-pin", softhsm.PIN, "pkcs11:token=mint",
               env={**os.environ, "SOFTHSM2_CONF": str(token.conf)}).stdout
    private = text.split("Type: Private key")[1]
    assert "CKA_SENSITIVE" in private and "NEVER_EXTRACTABLE" in private


def test_a_device_a_list_and_an_answer_by_that_key(world):
    crt = world.save_p7(enrol(world, "H-1"), "H-1")
    verify(world, crt)
    der = world.dir / "whole.crl"
    world.cli("ca", "crl", "issuing")
    der.write_bytes(world.get_public("/crl/issuing.crl").body)
    p = run("openssl", "crl", "-inform", "DER", "-in", der, "-noout",
            "-CAfile", issuer(world))
    assert "verify OK" in p.stderr
    p = run("openssl", "ocsp", "-issuer", issuer(world), "-cert", crt,
            "-CAfile", world.anchor, "-url",
            f"http://127.0.0.1:{world.public}/ocsp")
    assert "Response verify OK" in p.stderr and ".crt: good" in p.stdout


def test_the_offline_commands_sign_by_it(world):
    made = json.loads(offline(world, "renew-tls").stdout)
    assert made["tls"]["certificate"].endswith("tls.crt")
    key = json.loads(offline(world, "check-key", "issuing").stdout)
    assert key["type"] == "p256" and key["certified"] is True
    # without a keeper there is nothing to sign with, and it says so
    p = run(SIGNER, "check-key", "--config", world.conf, check=False)
    assert p.returncode == 4 and "no keeper was started" in p.stderr


def test_the_books_are_right(world):
    world.cli("ledger", "checkpoint")
    p = run(MINT, "ledger", "reconcile", "--config", world.conf, check=False)
    assert p.returncode == 0, p.stdout + p.stderr


@pytest.mark.parametrize("fault", ["session", "crash", "hang", "flip"])
def test_a_signature_that_fails(world, token, fault):
    before = len(world.log())
    t = world.token(f"F-{fault}", door="bearer")
    csr = world.key_and_csr(f"F-{fault}")[1]
    token.fault(fault)
    refused(world.enrol_basic(t, csr))
    assert world.rest("GET", f"/tokens/{t['id']}").json["state"] == "minted"
    verify(world, world.save_p7(works_again(world, t, csr), f"F-{fault}"))
    if fault == "flip":
        assert "not by the certificate's key" in world.log()[before:]
    assert world.daemon.poll() is None


def test_what_failed_was_not_counted(world):
    """Certificates so far, not tries: of a ceiling of 1,000 a day."""
    signed = sum('"kind":"certificate"' in line for line in
                 (world.state / "signer/journal.jsonl").read_text()
                 .splitlines())
    until(lambda: used(world) == int(signed / 10) / 100,
          told=lambda: (used(world), signed))
    state = (world.state / "signer/state").read_bytes()
    assert state  # its own file


def test_a_token_that_is_taken_out_and_put_back(world, token):
    t = world.token("R-1", door="bearer")
    csr = world.key_and_csr("R-1")[1]
    token.remove()
    try:
        refused(world.enrol_basic(t, csr))
        until(lambda: level(world, "issuer issuing signs nothing") == "fail",
              told=lambda: world.rest("GET", "/doctor").json)
        refused(world.enrol_basic(t, csr))
        a = world.rest("POST", "/issuers/issuing/crl")
        assert a.status == 503, a
        assert "\nmintmark_signer_key_tokens_away 1\n" in \
            world.rest("GET", "/metrics", base="").text
        # what needs no issuing key goes on
        world.token("R-2", door="bearer")
        assert world.get_public("/crl/issuing.crl").status == 200
    finally:
        token.put_back()
    works_again(world, t, csr)
    until(lambda: level(world, "tokens are ready") == "ok")
    assert world.rest("POST", "/issuers/issuing/crl").status in (200, 201)


def test_a_signer_that_starts_without_its_token(world, token):
    token.remove()
    try:
        pid = world.children()["signer"]
        os.kill(pid, signal.SIGKILL)
        until(lambda: world.children().get("signer") not in (None, pid))
        until(lambda: world.get_public("/readyz").status == 200)
        until(lambda: level(world, "no token of that name") == "fail")
    finally:
        token.put_back()
    t = world.token("R-3", door="bearer")
    works_again(world, t, world.key_and_csr("R-3")[1])


def keepers(world):
    """The processes that hold the key: a signer's children and theirs."""
    found, todo = [], [world.children()["signer"]]
    while todo:
        pid = todo.pop()
        kids = [int(p) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
                for p in (task / "children").read_text().split()]
        found += kids
        todo += kids
    return found


def test_keepers_end_with_their_signer(world):
    held = keepers(world)
    assert len(held) == 2
    signer = world.children()["signer"]
    os.kill(signer, signal.SIGKILL)
    until(lambda: not any(alive(p) for p in held))
    until(lambda: world.children().get("signer") not in (None, signer) and
          world.get_public("/readyz").status == 200)


def test_a_keeper_that_is_killed_is_replaced(world):
    os.kill(keepers(world)[0], signal.SIGKILL)
    t = world.token("R-4", door="bearer")
    works_again(world, t, world.key_and_csr("R-4")[1])


def test_the_signer_has_no_module_and_no_pin(world):
    maps = pathlib.Path(f"/proc/{world.children()['signer']}/maps")
    if os.access(maps, os.R_OK):
        text = maps.read_text()
        assert "softhsm" not in text and "p11-kit" not in text
    assert softhsm.PIN not in world.log()
    cmd = pathlib.Path(f"/proc/{world.children()['signer']}/cmdline")
    assert softhsm.PIN.encode() not in cmd.read_bytes()


def test_a_refused_pin_is_tried_once(world, token):
    """However often the signer comes back."""
    world.stop()
    token.set_pin("8642")
    token.login_file.unlink(missing_ok=True)
    world.start()
    until(lambda: level(world, "refuses the PIN") == "fail",
          told=lambda: world.rest("GET", "/doctor").json)
    assert "key.pin-refused" in world.log()
    assert token.logins() == 1
    t = world.token("P-1", door="bearer")
    csr = world.key_and_csr("P-1")[1]
    refused(world.enrol_basic(t, csr))
    for _ in range(2):
        signer = world.children()["signer"]
        os.kill(signer, signal.SIGKILL)
        until(lambda: world.children().get("signer") not in (None, signer) and
              level(world, "refused this PIN before") == "fail")
    assert token.logins() == 1
    p = offline(world, "check-key", "issuing", check=False)
    assert p.returncode != 0 and "refuses the PIN" in p.stderr
    assert token.logins() == 2  # a person's
    # another file is another PIN: tried once, and noted as the first one was
    before = mark(world).read_text()
    token.set_pin("97531")
    until(lambda: mark(world).read_text() != before, told=world.log,
          passing=(ValueError, FileNotFoundError))  # it is being replaced
    signer = world.children()["signer"]
    os.kill(signer, signal.SIGKILL)
    until(lambda: world.children().get("signer") not in (None, signer) and
          level(world, "refused this PIN before") == "fail")
    assert token.logins() == 3
    token.set_pin(softhsm.PIN)
    works_again(world, t, csr)
    assert token.logins() <= 5 and softhsm.PIN not in world.log()


def mark(world):
    path, = (world.state / "signer").glob("pin-refused-*")
    return path


def test_a_person_clears_it(world, token):
    """The PIN was right all along, and the token was not yet told it."""
    world.stop()
    token.set_pin("8642")
    world.start()
    until(lambda: level(world, "refuses the PIN") == "fail")
    change_pin(token, "8642")
    try:
        offline(world, "check-key", "issuing")
        t = world.token("P-2", door="bearer")
        works_again(world, t, world.key_and_csr("P-2")[1])
    finally:
        change_pin(token, softhsm.PIN)
        token.set_pin(softhsm.PIN)


def change_pin(token, pin):
    """As the token's security officer does it."""
    run("p11tool", "--provider", softhsm.MODULE, "--initialize-pin",
        "--set-so-pin", softhsm.SO_PIN, "--set-pin", pin,
        "pkcs11:token=mint",
        env={**os.environ, "SOFTHSM2_CONF": str(token.conf)})


def test_a_pin_file_that_others_read(world, token):
    world.stop()
    token.pin.chmod(0o644)
    world.start()
    until(lambda: level(world, "lets others at it") == "fail")
    token.pin.chmod(0o600)
    until(lambda: level(world, "tokens are ready") == "ok")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_the_module_s_process_has_a_user_of_its_own(tmp_path):
    """Three users: the server's, the signer's, and the keeper's, who has the
    token and reads nothing of the signer's."""
    token = softhsm.Token(tmp_path)
    token.give("games")
    with hsm_world(token, users=("nobody", "games")) as w:
        w.start().product()
        works_again(w, w.token("U-1", door="bearer"), w.key_and_csr("U-1")[1])
        assert {uid_of(p) for p in keepers(w)} == {pwd.getpwnam("games")
                                                   .pw_uid}
        w.stop()
        token.give("list")
        w.set_conf("keeper_user", '"list"')
        w.start()
        works_again(w, w.token("U-2", door="bearer"), w.key_and_csr("U-2")[1])
        assert {uid_of(p) for p in keepers(w)} == {pwd.getpwnam("list")
                                                   .pw_uid}
        p = run("setpriv", "--reuid", "list", "--clear-groups", "ls",
                w.state / "signer/keys", check=False)
        assert p.returncode != 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_pin_that_cannot_be_noted_is_tried_once_too(tmp_path):
    """A folder that is full or read-only is no person who has seen to it."""
    token = softhsm.Token(tmp_path)
    token.give("games")
    with hsm_world(token, users=("nobody", "games")) as w:
        softhsm.faulty(w, token)
        w.start().product()
        folder = w.state / "signer"
        mode = folder.stat().st_mode & 0o7777
        token.set_pin("8642")
        token.give("games")
        token.login_file.unlink()
        folder.chmod(0o500)
        try:
            os.kill(keepers(w)[-1], signal.SIGKILL)
            until(lambda: level(w, "refuses the PIN") == "fail" and
                  "key.not-noted" in w.log(), told=w.log)
        finally:
            folder.chmod(mode)
        until(lambda: list(folder.glob("pin-refused-*")), told=w.log)
        assert token.logins() == 1


def uid_of(pid):
    return int(pathlib.Path(f"/proc/{pid}/status").read_text()
                   .split("Uid:")[1].split()[0])


def test_a_follower_s_key_is_made_in_the_token_too(tmp_path):
    """docs/ca-rollover.md, where the issuing key is in a token."""
    token = softhsm.Token(tmp_path)
    with hsm_world(token) as w:
        softhsm.faulty(w, token)
        add_lines(w)
        w.start().product()
        verify(w, w.save_p7(enrol(w, "Z-1"), "Z-1"))
        a_line_that_is_not_signed(w, token)
        not_the_same_key(w)
        p = run(MINT, "--json", "ca", "rollover", "issuing", "--from", "now",
                "--config", w.conf, "--passphrase-file", w.passphrase)
        assert json.loads(p.stdout)["key_made"] is True
        text = w.conf.read_text()
        assert token.uri("issuing-2", softhsm.FAULTY) in text
        assert not list((w.state / "signer").rglob("issuing-2.key"))
        w.stop()
        w.start()
        crt = w.save_p7(works_again(w, w.token("Z-2", door="bearer"),
                                    w.key_and_csr("Z-2")[1]), "Z-2")
        assert w.rest("GET", f"/certificates/{serial_of(crt)}") \
            .json["issuer"] == "issuing-2"
        assert len(keepers(w)) == 6
        a = w.rest("POST", "/issuers/issuing/crl")
        assert a.status in (200, 201), a
        one_try_for_all(w, token)


def test_from_a_file_to_a_token_and_back(token):
    """docs/hsm.md: a key does not move, another issuer takes its place."""
    with World(profile="\tbearer = true") as w:
        def roll(name, *where, **kw):
            return run(MINT, "--json", "ca", "rollover", name, "--from", "now",
                       "--config", w.conf, "--passphrase-file", w.passphrase,
                       *where, **kw)

        for where, words in (
                (["--pin-file", token.pin], "go with --key pkcs11:"),
                (["--key", "issuing-2.key"], "a file's whole path"),
                (["--key", token.uri("a"), "--pin-file", "pin"],
                 "the whole path"),
                (["--key", token.uri('a"b')], "write the new block"),
                (["--key", w.state / "signer/keys/issuing.key"],
                 "has the same key")):
            before = w.conf.read_text()
            p = roll("issuing", *where, check=False)
            assert p.returncode != 0 and words in p.stderr, p.stderr
            assert w.conf.read_text() == before
        w.start().product()
        verify(w, w.save_p7(enrol(w, "F-1"), "F-1"))
        a = roll("issuing", "--key", token.uri("rolled"), "--pin-file",
                 token.pin, "--key-environ", f"SOFTHSM2_CONF={token.conf}")
        assert json.loads(a.stdout)["key_made"] is True
        back = w.state / "signer/keys/again.key"
        for name, n in (("issuing-2", 2), ("issuing-3", 0)):
            w.stop()
            w.start()
            crt = w.save_p7(enrol(w, f"F-{name}"), f"F-{name}")
            assert w.rest("GET", f"/certificates/{serial_of(crt)}") \
                .json["issuer"] == name
            assert len(keepers(w)) == 2
            if n:
                roll(name, "--key", back)
        assert back.stat().st_mode & 0o077 == 0


def block_of(w):
    """The issuing CA's, of mintmark.conf."""
    block, = re.findall(r'^issuer "issuing" \{\n.*?^\}\n', w.conf.read_text(),
                        re.M | re.S)
    return block


def add_lines(w):
    """An issuer that makes one line CA a day; its key is a third one."""
    w.conf.write_text(w.conf.read_text() + block_of(w).replace(
        '"issuing"', '"lines"').replace("issuing.crt", "lines.crt").replace(
        "object=issuing", "object=lines").replace("lines = 0", "lines = 1"))
    offline(w, "issuer", "lines")


def a_line_that_is_not_signed(w, token):
    """It is the one of that day for all that."""
    pem = line_cas.certificate(w.dir, "station")
    line_cas.stations(w, ["l1"])
    line_cas.batch(w, "b1", ["l1"])
    for name in ("issuing", "lines"):
        until(lambda: w.get_public(f"/crl/{name}.crl").status == 200)
    token.fault("flip")
    refused(line_cas.ask(w, "b1", "l1", pem))
    a = line_cas.ask(w, "b1", "l1", pem)
    assert a.status in (200, 201), a


def not_the_same_key(w):
    """A follower by the key that it follows: its name in the token was given
    twice."""
    before = w.conf.read_text()
    w.conf.write_text(before + block_of(w).replace(
        '"issuing"', '"twin"').replace("issuing.crt", "twin.crt"))
    for argv in (["issuer", "twin"],
                 ["request", "twin", "--out", w.dir / "twin.csr"]):
        p = offline(w, *argv, check=False)
        assert p.returncode == 5 and "issuing has the same key" in p.stderr, p
    assert not (w.dir / "twin.csr").exists()
    w.conf.write_text(before)


def one_try_for_all(w, token):
    """What one key's keeper was refused no other one tries; a person who sees
    to it does so for all three."""
    w.stop()
    before = len(w.log())
    token.set_pin("8642")
    token.login_file.unlink()
    w.start()
    until(lambda: w.log()[before:].count("key.pin-refused") == 3,
          told=lambda: w.log()[before:])
    assert token.logins() == 1 and mark(w)
    os.kill(w.children()["signer"], signal.SIGKILL)
    until(lambda: w.log()[before:].count("key.pin-refused") == 6,
          told=lambda: w.log()[before:])
    assert token.logins() == 1
    token.set_pin("97531")  # while all look for another file
    until(lambda: w.log()[before:].count("key.pin-refused") == 9,
          told=lambda: w.log()[before:])
    assert token.logins() == 2
    change_pin(token, "97531")
    offline(w, "check-key", "issuing-2")
    until(lambda: level(w, "tokens are ready") == "ok")
    works_again(w, w.token("Z-3", door="bearer"), w.key_and_csr("Z-3")[1])


@pytest.mark.parametrize("kind", ["p384", "rsa2048"])
def test_other_keys_and_another_root(tmp_path, kind):
    """An issuing CA below a root that is elsewhere: the request is signed in
    the token, by a key that the token's own tool has made."""
    token = softhsm.Token(tmp_path)
    env = {**os.environ, "SOFTHSM2_CONF": str(token.conf)}
    run("p11tool", "--provider", softhsm.MODULE, "--login", "--set-pin",
        softhsm.PIN, "--generate-privkey",
        *(["ecdsa", "--curve", "secp384r1"] if kind == "p384" else
          ["rsa", "--bits", "2048"]), "--label", "issuing", "--id", "a1",
        "--mark-sign", "--outfile", tmp_path / "pub.pem",
        "pkcs11:token=mint", env=env)
    with World(profile="\tbearer = true",
               init=softhsm.init(token, "--root", "external")) as w:
        made = json.loads(w.init.stdout)
        assert made["key_made"] is False if "key_made" in made else True
        root = sign_by_a_root(w, tmp_path, made["request"])
        offline(w, "install", "issuing", "--chain", root)
        offline(w, "renew-tls", "--tls-dns", "localhost", "--tls-ip",
                "127.0.0.1")
        w.start().product()
        crt = w.save_p7(enrol(w, "X-1"), "X-1")
        verify(w, crt)
        key = json.loads(offline(w, "check-key", "issuing").stdout)
        assert key["type"] == kind and key["certified"] is True


def sign_by_a_root(world, folder, request):
    """What a corporate root does with the request; the chain."""
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / "root.key",
        "-out", folder / "root.crt", "-subj", "/CN=Corporate Root", "-days",
        "3650", "-addext", "basicConstraints=critical,CA:true", "-addext",
        "keyUsage=critical,keyCertSign,cRLSign")
    ext = folder / "ext"
    ext.write_text("basicConstraints=critical,CA:true,pathlen:0\n"
                   "keyUsage=critical,keyCertSign,cRLSign\n"
                   "subjectKeyIdentifier=hash\n"
                   "authorityKeyIdentifier=keyid\n")
    run("openssl", "x509", "-req", "-in", request, "-CA", folder / "root.crt",
        "-CAkey", folder / "root.key", "-CAcreateserial", "-days", "3000",
        "-extfile", ext, "-out", folder / "issuing.crt")
    chain = folder / "chain.pem"
    chain.write_text((folder / "issuing.crt").read_text() +
                     (folder / "root.crt").read_text())
    assert world.conf.exists()
    return chain


@pytest.mark.parametrize("text,words", [
    ("pkcs11:token=mint;object=issuing?pin-value=2468", "no PIN here"),
    ("pkcs11:token=mint", "want pkcs11:token"),
])
def test_what_the_configuration_may_not_say(tmp_path, text, words):
    p = run(MINT, "init", "--test", "--yes", "--name", "A", "--dir",
            tmp_path / "etc", "--state", tmp_path / "state", "--public-url",
            "http://localhost:1", "--host", "localhost", "--key", text,
            check=False)
    assert p.returncode != 0 and words in p.stderr
    assert not (tmp_path / "etc/mintmark.conf").exists()
