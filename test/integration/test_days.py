"""Bad days: one clear line each, and an exit code that is documented."""
import contextlib
import http.client
import os
import signal
import socket
import sqlite3
import ssl
import time

import pytest

from world import DAEMON, MINT, World, faketime, run


@pytest.fixture(scope="module")
def still():
    """A set-up that no test leaves running."""
    w = World(profile="\tbearer = true")
    try:
        yield w
    finally:
        w.close()


def fails(w, says, env=None, status=None):
    w.start(wait=False, env=env)
    rc = w.daemon.wait(30)
    w.daemon = None
    log = (w.dir / f"log{w.log_n}").read_text()
    assert rc != 0, log
    if status is not None:
        assert rc == status, (rc, log)
    assert says in log, log
    return log


def wait_started(w):
    """What /readyz says once it is not "starting" any more."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        assert w.daemon.poll() is None, w.log()
        with contextlib.suppress(OSError, http.client.HTTPException):
            a = w.get_public("/readyz")
            if a.json.get("why") != "starting":
                return a
        time.sleep(0.02)
    raise AssertionError(w.log())


def enrol_unchecked(w, t, csr):
    """Without looking at the server's certificate, whose time may be over."""
    ctx = ssl.create_default_context()
    ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
    conn = http.client.HTTPSConnection("127.0.0.1", w.devices, timeout=30,
                                       context=ctx)
    try:
        return w.enrol_basic(t, csr, conn=conn)
    finally:
        conn.close()


def test_wrong_passphrase(still):
    good = still.passphrase.read_text()
    still.passphrase.write_text("wrong\n")
    try:
        fails(still, "passphrase", status=8)
    finally:
        still.passphrase.write_text(good)


@pytest.mark.parametrize("file", ["etc/issuing.crt", "state/server/tls.key",
                                  "state/signer/keys/issuing.key",
                                  "state/server/mintmark.db",
                                  "etc/root.crt"])
def test_missing_file(still, file):
    path = still.dir / file
    path.rename(f"{path}.away")
    try:
        fails(still, path.name, status=4)
        if "signer/" not in file:  # the signer's are for the signer alone
            p = run(DAEMON, "check", "--config", still.conf, check=False)
            assert p.returncode == 4 and path.name in p.stderr, p
    finally:
        os.rename(f"{path}.away", path)


@pytest.mark.parametrize("line, says", [
    ("nonsense = 1", "nonsense"), ("threads = 99", "threads"),
    ('profile "thermo" {', "mintmark.conf"), ('name = "${HOME}"', "${"),
    ("threads = 010", "threads"),
])
def test_bad_configuration(still, line, says):
    good = still.conf.read_text()
    still.conf.write_text(good + line + "\n")
    try:
        fails(still, says, status=2)
        p = run(DAEMON, "check", "--config", still.conf, check=False)
        assert p.returncode == 2 and says in p.stdout + p.stderr
    finally:
        still.conf.write_text(good)


def test_a_used_profile_that_changed(still):
    still.start().product()
    t = still.token("P-1", door="bearer")
    assert still.enrol_basic(t, still.key_and_csr("P-1")[1]).status == 200
    still.stop()
    good = still.conf.read_text()
    still.edit("\tbearer = true\n\tlifetime = \"17d\"", "")
    try:
        fails(still, "thermo")
    finally:
        still.conf.write_text(good)


def test_two_daemons_on_one_database(still):
    still.start()
    try:
        other = World()
        try:
            text = other.conf.read_text()
            mine = f"sqlite:{still.state}/server/mintmark.db"
            theirs = f"sqlite:{other.state}/server/mintmark.db"
            assert theirs in text
            other.conf.write_text(text.replace(theirs, mine))
            fails(other, "another process", status=5)
        finally:
            other.close()
        assert still.get_public("/readyz").status == 200
    finally:
        still.stop()


def test_another_schema(still):
    db = sqlite3.connect(still.state / "server/mintmark.db")
    have = db.execute("PRAGMA user_version").fetchone()[0]
    db.execute(f"PRAGMA user_version = {have + 7}")
    db.commit()
    try:
        fails(still, f"{have + 7}", status=3)
    finally:
        db.execute(f"PRAGMA user_version = {have}")
        db.commit()
        db.close()


@pytest.mark.parametrize("when, says", [("-40y", "built"),
                                        ("+20y", "expired")])
def test_the_clock_is_wrong_or_the_ca_has_expired(still, when, says):
    """It serves, but issues nothing, and says why."""
    still.start().product()
    t = still.token(f"W-{says}", door="bearer")
    csr = still.key_and_csr(f"W-{says}")[1]
    still.stop()
    try:
        still.start(wait=False, env=faketime(when))
        a = wait_started(still)
        assert a.status == 503 and says in a.json["why"], a
        a = enrol_unchecked(still, t, csr)
        assert a.status == 503 and a.headers["retry-after"], a
        log = (still.dir / f"log{still.log_n}").read_text()
        assert [line for line in log.splitlines()
                if "level=warn" in line and says in line], log
    finally:
        still.stop()
    # and a clock set right again finds nothing spoilt
    still.start()
    try:
        assert still.enrol_basic(t, csr).status == 200
    finally:
        still.stop()


def test_the_signer_dies_and_comes_back(still):
    still.start().product()
    try:
        t = still.token("S-1", door="bearer")
        csr = still.key_and_csr("S-1")[1]
        os.kill(still.children()["signer"], signal.SIGKILL)
        seen = set()
        end = time.monotonic() + 30
        while time.monotonic() < end:
            a = still.enrol_basic(t, csr)
            seen.add(a.status)
            if a.status == 200:
                break
            assert a.status == 503 and a.headers["retry-after"], a
        assert 200 in seen
    finally:
        still.stop()


def test_sigterm_drains_and_ends_with_0(still):
    still.start()
    assert still.stop() == 0


def until(true, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end and not true():
        time.sleep(0.1)
    assert true()


def test_a_new_certificate_is_taken_without_a_word(still):
    still.start()
    try:
        before = still.tls_serial()
        run(MINT, "ca", "renew-tls", "--config", still.conf,
            "--passphrase-file", still.passphrase)
        until(lambda: still.tls_serial() != before, 60)  # every 10 s
    finally:
        still.stop()


def test_sighup_reads_the_certificate_again(still):
    """Also one that looks as it did: what is on the disk is what counts."""
    still.start()
    try:
        still.daemon.send_signal(signal.SIGHUP)
        log = still.dir / f"log{still.log_n}"
        until(lambda: "event=tls-reload" in log.read_text())
    finally:
        still.stop()


def test_two_cas_on_one_port(still):
    """SO_REUSEPORT would let them share it in silence."""
    still.start()
    other = World()
    try:
        text = other.conf.read_text()
        other.conf.write_text(text.replace(f"127.0.0.1:{other.devices}",
                                           f"127.0.0.1:{still.devices}"))
        fails(other, "Address already in use")
    finally:
        other.close()
        still.stop()


def test_an_address_has_its_connections_over_all_threads():
    with World(threads=2) as w:
        w.set_conf("connections_per_source", 8)
        w.start()
        # what waited for readiness is closed
        end = time.monotonic() + 30
        while w.rest("GET", "/status").json["listeners"]["public"]["open"]:
            assert time.monotonic() < end
            time.sleep(0.02)
        socks, served = [], 0
        for _ in range(64):
            s = socket.create_connection(("127.0.0.1", w.public), 5)
            socks.append(s)
            with contextlib.suppress(OSError):
                s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                served += s.recv(12) == b"HTTP/1.1 200"
        for s in socks:
            s.close()
        assert served == 8
