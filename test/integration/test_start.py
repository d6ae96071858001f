"""A start that cannot be says so in one sentence, with a status of its own."""
import os
import shutil
import socket
import subprocess
import time

import pytest

from world import DAEMON, World, run, sanitized

@pytest.fixture
def w():
    with World() as it:
        yield it


def start(w, *more, **kw):
    p = run(DAEMON, "run", "--config", w.conf, *more, check=False, timeout=60,
            stdin=kw.pop("stdin", -3), start_new_session=True, **kw)
    lines = [x for x in p.stderr.splitlines() if "level=info" not in x and not
             (sanitized() and "event=sandbox.no-seccomp" in x)]
    assert "../" not in p.stderr and "(internal)" not in p.stderr
    assert len(lines) == 1, lines
    return p.returncode, lines[0]


def test_a_wrong_passphrase(w):
    w.passphrase.write_text("not it\n")
    rc, line = start(w)
    assert rc == 8 and "keys/ledger.key does not open: wrong passphrase" in \
        line, (rc, line)


def test_a_port_that_is_taken(w):
    with socket.create_server(("127.0.0.1", w.public)):
        rc, line = start(w)
    assert "listener public" in line and str(w.public) in line
    assert line.endswith("Address already in use: another program has it")


def test_a_second_daemon(w):
    w.start()
    rc, line = start(w)
    assert "another mintmarkd already runs" in line
    assert w.get_public("/readyz").status == 200


def test_no_passphrase_and_no_terminal(w):
    w.set_conf("passphrase_file", '""')
    rc, line = start(w)
    assert "passphrase_file" in line and "--passphrase-fd" in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_passphrase_out_of_reach(w):
    w.passphrase.chmod(0)
    rc, line = start(w)
    assert f"passphrase file {w.passphrase}" in line


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("what, mode, owner, says", [
    ("conf", 0o666, None, "lets others change it: chmod go-w it"),
    ("conf", 0o664, None, "lets others change it"),
    ("conf", 0o644, "nobody", "belongs to server_user nobody"),
    ("etc", 0o777, None, "lets others change it"),
    ("passphrase", 0o644, None, "lets others read it: chmod 0600 it"),
    ("passphrase", 0o640, None, "lets others read it"),
    ("passphrase", 0o600, "nobody", "belongs to server_user nobody"),
])
def test_production_wants_its_permissions(what, mode, owner, says):
    with World(users=("nobody", "games"), production=True) as w:
        path = getattr(w, what)
        path.chmod(mode)
        if owner:
            shutil.chown(path, owner)
        rc, line = start(w)
        assert rc == 3 and says in line and str(path) in line, (rc, line)
        p = run(DAEMON, "check", "--config", w.conf, check=False)
        assert p.returncode != 0 and says in p.stderr


def test_a_test_ca_is_warned(w):
    w.conf.chmod(0o666)
    p = run(DAEMON, "check", "--config", w.conf)
    assert "permissions              warning: " in p.stdout
    w.start()
    assert "event=permissions" in w.log()


def test_a_backup_is_restored(w):
    """docs/production.md: stopped, copied whole, and put back whole."""
    w.edit("\tbearer = true", "")
    w.start().product()
    assert w.enrol_basic(w.token("A", door="bearer"),
                         w.key_and_csr("A")[1]).status == 200
    w.stop()
    shutil.copytree(w.state, w.dir / "backup")
    w.start()
    assert w.enrol_basic(w.token("B", door="bearer"),
                         w.key_and_csr("B")[1]).status == 200
    w.stop()
    newer = w.dir / "newer"
    w.state.rename(newer)
    shutil.copytree(w.dir / "backup", w.state)
    w.start()
    w.cli("ledger", "reconcile", "--config", w.conf)
    assert w.rest("GET", "/devices/A").status == 200
    assert w.rest("GET", "/devices/B").status == 404
    w.stop()
    shutil.rmtree(w.state / "signer")  # of two moments: refused
    shutil.copytree(newer / "signer", w.state / "signer")
    p = run(DAEMON, "run", "--config", w.conf, check=False, timeout=60)
    assert p.returncode == 3, p


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_a_kernel_without_landlock_is_told(w):
    """It serves, and log and /status have what is missing."""
    log = w.dir / "without"
    with open(log, "wb") as out:
        p = subprocess.Popen(
            ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e",
             "trace=landlock_create_ruleset", "-e",
             "inject=landlock_create_ruleset:error=ENOSYS", DAEMON, "run",
             "--config", w.conf], stderr=out,
            env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
    try:
        end = time.monotonic() + 60
        while True:
            try:
                said = w.rest("GET", "/status").json["warnings"]
                break
            except OSError:
                assert p.poll() is None and time.monotonic() < end, \
                    log.read_text()
                time.sleep(0.1)
    finally:
        p.terminate()
        p.wait(30)
    assert "this kernel has no landlock: files are not fenced off" in said
    for name in ("program=mintmark-signer event=sandbox.no-landlock",
                 "program=mintmarkd event=sandbox "):
        assert f"level=warn {name}" in log.read_text(), log.read_text()
