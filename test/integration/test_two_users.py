"""Started as root, server and signer run as two users that cannot read each
other's files."""
import os
import pathlib
import pwd
import subprocess
import time

import pytest

from receiver import Receiver, verify
from world import DAEMON, MINT, SIGNER, World, run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
USERS = ("nobody", "games")  # two that every Debian has


def uid_of(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("Uid:"):
            return {int(x) for x in line.split()[1:]}
    return set()


@pytest.fixture
def two():
    w = World(users=USERS)
    try:
        yield w.start().product()
    finally:
        w.close()


def test_each_has_its_own_user_and_files(two):
    kids = two.children()
    assert uid_of(kids["server"]) == {pwd.getpwnam(USERS[0]).pw_uid}
    assert uid_of(kids["signer"]) == {pwd.getpwnam(USERS[1]).pw_uid}
    key = two.state / "signer/keys/issuing.key"
    for path in (key, two.state / "signer/journal.jsonl"):
        p = subprocess.run(["setpriv", "--reuid", USERS[0], "--clear-groups",
                            "cat", str(path)], capture_output=True)
        assert p.returncode != 0, f"the server's user can read {path}"
    p = subprocess.run(["setpriv", "--reuid", USERS[0], "--clear-groups",
                        "sh", "-c", f"echo x >> {two.conf}"],
                       capture_output=True)
    assert p.returncode != 0, "the server's user can write the configuration"


def test_it_works(two):
    t = two.token("U-1")
    path = two.dir / "t"
    path.write_text(t["token"])
    two.agent("enrol", "--token-file", path, "--server",
              f"127.0.0.1:{two.devices}", "--dir", two.dir / "d")
    out = run(MINT, "--json", "ledger", "reconcile", "--config", two.conf)
    assert '"agree": true' in out.stdout
    health = two.rest("GET", "/healthz", base="", key="").json
    assert not any("one user" in w for w in health["warnings"]), health


def test_webhooks_are_the_servers_users(two):
    two.stop()
    two.set_conf("webhook_deny_private", "false")
    two.start()
    with Receiver() as r:
        h = two.rest("POST", "/webhooks", {"url": r.url(),
                                           "types": ["alert"]}).json
        assert two.rest("POST", f"/webhooks/{h['id']}/test",
                        {}).json["delivered"]
        d, = r.got
        assert verify([h["secret"]], d.headers, d.body)
    st = (two.state / "server/webhook.key").stat()
    assert st.st_uid == pwd.getpwnam(USERS[0]).pw_uid
    assert st.st_mode & 0o777 == 0o600
    assert uid_of(two.children()["courier"]) == {st.st_uid}


def recover(two, user, where):
    return subprocess.run(
        ["setpriv", "--reuid", user, "--clear-groups", str(SIGNER),
         "recover-admin", "--config", str(two.conf), "--out",
         str(where / "glass"), "--passphrase-fd", "0"], capture_output=True,
        text=True, input=two.passphrase.read_text())


def test_the_glass_is_the_signers_users(two):
    """Nobody else breaks it, the passphrase in hand or not."""
    where = two.dir / "glass"
    where.mkdir()
    where.chmod(0o777)
    p = recover(two, USERS[0], where)
    assert p.returncode != 0 and not (where / "glass.crt").exists(), p
    p = recover(two, USERS[1], where)
    assert p.returncode == 0, p.stderr
    key = where / "glass.key"
    assert key.stat().st_uid == pwd.getpwnam(USERS[1]).pw_uid
    assert key.stat().st_mode & 0o777 == 0o600
    conn = two.https(two.operators, str(where / "glass.crt"), str(key))
    a = two.ask(conn, "GET", "/api/v1/whoami")
    conn.close()
    assert a.status == 200 and a.json["kind"] == "recovery", a


def sanitized():
    return "libasan" in run("ldd", DAEMON).stdout


@pytest.mark.skipif(sanitized(), reason="sanitized builds skip seccomp; "
                    "script/test runs this with the plain build too")
def test_both_are_confined(two):
    end = time.monotonic() + 10
    while "courier" not in two.children():  # the last one; nobody waits
        assert time.monotonic() < end
        time.sleep(0.02)
    for pid in two.children().values():
        path = pathlib.Path(f"/proc/{pid}/status")
        while "Seccomp:\t2" not in (status := path.read_text()):
            assert time.monotonic() < end, pid
            time.sleep(0.02)
        assert "NoNewPrivs:\t1" in status
        assert "CapEff:\t0000000000000000" in status
