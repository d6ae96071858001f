"""Signer or server hang: stopped, or one thread of theirs stuck.

The monitor notices, kills and starts again; a slow one is left alone, and
nothing that was signed is lost.  Signals stop whole processes, ptrace(2) one
thread; a build with -Dfaults=true also hangs inside the signer.
"""
import contextlib
import ctypes
import http.client
import os
import pathlib
import platform
import signal
import ssl
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from promises import PROFILE, Witness
from world import DAEMON, World

WATCHDOG_S = 6
PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207
WALL = 0x40000000
EPOLL_WAITS = {"x86_64": {232, 281}, "aarch64": {22}}.get(
    platform.machine(), set())
root_only = pytest.mark.skipif(os.geteuid() != 0 or not EPOLL_WAITS,
                               reason="stops a thread by ptrace, as root")


def can_hang():
    return b"MINTMARK_HANG_AT" in pathlib.Path(DAEMON).read_bytes()


@pytest.fixture
def w():
    it = World(profile=PROFILE, threads=2)
    it.set_conf("watchdog", f'"{WATCHDOG_S}s"')
    try:
        yield it
    finally:
        it.close()


def witness(w, names):
    t = Witness(w)
    for n in names:
        t.token[n], t.csr[n] = w.token(n, door="bearer"), w.key_and_csr(n)[1]
    return t


def enrol(t, name, seconds=60):
    """As a device does: until it is answered with a certificate."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError, ssl.SSLError,
                                 http.client.HTTPException):
            a = t.world.enrol_basic(t.token[name], t.csr[name])
            t.got(name, a)
            if a.status == 200:
                return
        time.sleep(0.1)
    raise AssertionError(f"{name}: {t.world.log()[-2000:]}")


def restarted(w, who, old, seconds=WATCHDOG_S * 6, traced=()):
    """Waits for another process in the place of the old one."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for tid in traced:  # its death is told to who traced it first
            with contextlib.suppress(ChildProcessError):
                os.waitpid(tid, os.WNOHANG | WALL)
        if w.children().get(who, old) != old:
            w.wait_ready(60)
            return
        time.sleep(0.05)
    raise AssertionError(f"{who} still hangs: {w.log()[-2000:]}")


def thread_stop(pid, tids):
    """Stops threads of a process, and only these, until it ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long] * 2 + [ctypes.c_void_p] * 2
    for tid in tids:
        for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
            assert libc.ptrace(request, tid, None, None) == 0, \
                os.strerror(ctypes.get_errno())
    assert tids, f"{pid}: no such thread"
    return tids


def event_loops(pid):
    tids = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # a thread that has ended since
            words = (task / "syscall").read_text().split()
            if words[0].isdigit() and int(words[0]) in EPOLL_WAITS:
                tids.append(int(task.name))
    return tids


@pytest.mark.parametrize("who", ["signer", "server"])
def test_one_that_is_stopped_is_started_again(w, who):
    w.start().product()
    t = witness(w, ["H-1", "H-2"])
    enrol(t, "H-1")
    pid = w.children()[who]
    os.kill(pid, signal.SIGSTOP)
    restarted(w, who, pid)
    assert f"event=child-hung child={who}" in w.log() and "hangs=1" in w.log()
    enrol(t, "H-2")
    t.check()


def test_both_at_once(w):
    """A server is started only when the old signer has gone."""
    w.start().product()
    t = witness(w, ["B-1"])
    old = w.children()
    for pid in old.values():
        os.kill(pid, signal.SIGSTOP)
    restarted(w, "server", old["server"])
    restarted(w, "signer", old["signer"])
    enrol(t, "B-1")
    t.check()


def test_one_that_is_slow_is_left_alone(w):
    """More than half of the time it does not run at all."""
    w.start().product()
    t = witness(w, ["L-1"])
    before = w.children()
    for _ in range(4):
        for pid in before.values():
            os.kill(pid, signal.SIGSTOP)
        time.sleep(0.6 * WATCHDOG_S)
        for pid in before.values():
            os.kill(pid, signal.SIGCONT)
        time.sleep(0.4 * WATCHDOG_S)
    enrol(t, "L-1")
    assert w.children() == before and "child-hung" not in w.log()


def test_a_monitor_that_was_away_blames_nobody(w):
    w.start().product()
    before = w.children()
    all_of_it = [w.daemon.pid, *before.values()]
    for pid in all_of_it:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(1.5 * WATCHDOG_S)
    for pid in all_of_it:
        os.kill(pid, signal.SIGCONT)
    w.wait_ready()
    t = witness(w, ["A-1"])
    enrol(t, "A-1")
    assert w.children() == before and "child-hung" not in w.log()


@root_only
def test_one_event_loop_that_is_stuck(w):
    w.start().product()
    t = witness(w, ["E-1"])
    pid = w.children()["server"]
    tids = thread_stop(pid, event_loops(pid)[:1])
    restarted(w, "server", pid, traced=tids)
    enrol(t, "E-1")
    t.check()


@root_only
def test_the_signers_main_thread_alone(w):
    w.start().product()
    t = witness(w, ["M-1"])
    pid = w.children()["signer"]
    tids = thread_stop(pid, [pid])
    restarted(w, "signer", pid, traced=tids)
    enrol(t, "M-1")
    t.check()


@pytest.mark.skipif(not can_hang(), reason="no fault points in this build")
@pytest.mark.parametrize("place", ["journal", "journalled", "answer"])
def test_the_signer_is_stuck_in_a_request(w, place):
    w.start().product()
    t = witness(w, ["S-1"])
    w.stop()
    w.start(env={"MINTMARK_HANG_AT": f"{place}:1"})
    pid = w.children()["signer"]
    with contextlib.suppress(OSError, http.client.HTTPException):
        t.got("S-1", w.enrol_basic(t.token["S-1"], t.csr["S-1"]))
    restarted(w, "signer", pid)
    assert "event=worker.stuck" in w.log()


def test_a_signer_that_is_long_in_starting_is_waited_for():
    """Longer than any other answer of its is: it opens its keys."""
    with World() as w:
        w.start(wait=False)
        while "signer" not in w.children():
            assert w.daemon.poll() is None, w.log()
        pid = w.children()["signer"]
        os.kill(pid, signal.SIGSTOP)
        time.sleep(WATCHDOG_S)
        os.kill(pid, signal.SIGCONT)
        w.wait_ready()
        assert w.children()["signer"] == pid


def test_a_watchdog_too_short_is_refused(w):
    w.set_conf("watchdog", '"2s"')
    w.start(wait=False)
    assert w.daemon.wait(30) == 2 and "watchdog" in w.log()


def test_receipts_that_wait_hold_up_nobody(w):
    """While the signer hangs no checkpoint comes: whoever wants a receipt
    waits beside the workers, not on them, and is told to come again."""
    w.set_conf("watchdog", '"0s"')
    w.start().product()
    t = w.token("R-1", door="bearer")
    a = w.enrol_basic(t, w.key_and_csr("R-1")[1])
    assert a.status == 200, a
    pem = w.save_p7(a, "R-1")
    own = {"cert": pem, "key": w.dir / "R-1.key"}
    signer = w.children()["signer"]
    os.kill(signer, signal.SIGSTOP)
    try:
        # an entry that nobody will sign for
        assert w.rest("POST", "/devices", {
            "id": "R-2", "product": "thermo"}).status == 201
        last = w.rest("GET", "/status").json["ledger"]["size"] - 1
        with ThreadPoolExecutor(16) as pool:
            asked = [pool.submit(w.rest, "GET", f"/ledger/receipts/{last}")
                     for _ in range(16)]
            worst = 0
            while not all(f.done() for f in asked):
                began = time.monotonic()
                assert w.rest("GET", "/whoami").status == 200
                worst = max(worst, time.monotonic() - began)
            got = [f.result() for f in asked]
        assert worst < 1.5, worst
        assert {x.status for x in got} == {503}, got
        assert all("retry-after" in x.headers for x in got)
        # what is covered is answered, by both doors
        assert w.rest("GET", "/ledger/receipts/0").status == 200
        assert w.device_call("GET", "/.well-known/mintmark/receipt",
                             **own).status in (200, 503)
    finally:
        os.kill(signer, signal.SIGCONT)
    end = time.monotonic() + 30
    while (a := w.rest("GET", f"/ledger/receipts/{last}")).status != 200:
        assert a.status == 503 and time.monotonic() < end, a
