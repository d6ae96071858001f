"""A database that is slow, takes no writes or has no room: callers are told
to come again, the server stays as small as it was, what was acknowledged is
there afterwards, and all goes on when the database is well again."""
import contextlib
import os
import subprocess
import threading
import time

import pytest

from postgres import Postgres, Proxy
from promises import PROFILE, Witness
from test_disk import Small
from world import World, sanitized

DELAY_S = 0.5
DEVICES = 40    # each asks alone: more than are decided in time
OPERATORS = 30  # likewise, for two workers
SLOW_S = 40
# What waits is refused after 10 s; who is before it may just have begun, with
# some answers to wait for, on a busy machine.  All of them one after the other
# would be two minutes.
MOST_S = 10 + 36 * DELAY_S
WELL_S = 40


@pytest.fixture
def server():
    with Postgres() as p:
        yield p


class Callers:
    """Threads that call until they are told to stop; what they were told."""

    def __init__(self):
        self.threads, self.said, self.ending = [], [], False

    def add(self, call):
        self.threads.append(threading.Thread(target=self._run, args=(call,)))
        self.threads[-1].start()

    def _run(self, call):
        while not self.ending:
            began = time.monotonic()
            a = call()
            self.said.append((a, time.monotonic() - began))
            if a.status == 503:
                time.sleep(0.1)

    def close(self):
        self.ending = True
        for t in self.threads:
            t.join()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def busy(self):
        """Those that were told to come again; no other refusal is right."""
        wrong = [a for a, _ in self.said if a.status not in (200, 503) or
                 (a.status == 503 and not a.headers.get("retry-after"))]
        assert not wrong, wrong
        return [a for a, _ in self.said if a.status == 503]


def enrolling(callers, t, names):
    for n in names:
        def ask(n=n):
            a = t.ask(n)
            t.got(n, a)
            return a
        callers.add(ask)


def alive(w, seconds):
    """Asks what needs no database all the time: the loops are not held up."""
    end, worst = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        began = time.monotonic()
        assert w.get_public("/healthz").status == 200
        worst = max(worst, time.monotonic() - began)
        time.sleep(0.05)
    return worst


def all_served(t, names):
    end = time.monotonic() + WELL_S
    for n in names:
        a = t.ask(n)
        while a.status == 503 and time.monotonic() < end:
            t.got(n, a)
            time.sleep(0.1)
            a = t.ask(n)
        assert a.status == 200, (n, a)
        t.got(n, a)


def test_a_slow_database_sheds_load_and_loses_nothing(server):
    with Proxy(server.port) as proxy, World(
            profile=PROFILE, database=server.database(proxy.port)) as w:
        w.start().product()
        t = Witness(w)
        names = t.enlist([f"SL-{i}" for i in range(DEVICES)])
        t.got(names[0], t.ask(names[0]))
        before = w.resident()
        proxy.delay_s = DELAY_S
        with Callers() as devices, Callers() as operators:
            enrolling(devices, t, names)
            for _ in range(OPERATORS):
                operators.add(lambda: w.rest("GET", "/certificates?limit=1"))
            worst = alive(w, SLOW_S)
            most = w.resident() - before
            devices.ending = operators.ending = True
        assert worst < 2, f"the loops were held up for {worst} s"
        for callers in (devices, operators):
            assert callers.busy(), "nobody was told to come again"
            took = max(s for _, s in callers.said)
            assert took < MOST_S, f"an answer after {took} s"
        assert sanitized() or most < 24, f"{most} MiB more"
        proxy.delay_s = 0
        all_served(t, names)
        w.wait_ready()
        t.check()
        w.stop()


def noticed(w):
    """Until something that writes is refused: a setting takes a moment."""
    end = time.monotonic() + WELL_S
    for i in range(100000):
        a = w.rest("POST", "/devices", {"id": f"NOTICE-{i}",
                                        "product": "thermo"})
        if a.status == 503:
            return
        assert a.status == 201 and time.monotonic() < end, a


def refused(t, names, times=4):
    """Until so many have been told to come again."""
    n, end = 0, time.monotonic() + WELL_S
    while n < times:
        assert time.monotonic() < end, "went unnoticed"
        for name in names:
            a = t.ask(name)
            t.got(name, a)
            n += a.status == 503


def test_a_read_only_database_is_read_and_writes_come_again(server):
    with World(profile=PROFILE, database=server.database()) as w:
        w.start().product()
        t = Witness(w)
        names = t.enlist([f"RO-{i}" for i in range(8)])
        names += t.veterans(["ROV-1", "ROV-2"])
        for n in (names[0], names[-1]):
            a = t.ask(n)
            assert a.status == 200, a
            t.got(n, a)
        server.sql("ALTER SYSTEM SET default_transaction_read_only = on")
        server.sql("SELECT pg_reload_conf()")
        noticed(w)
        refused(t, names[1:-1])
        t.nothing_is_signed(names[1:-1])
        assert w.get_public("/readyz").status == 503
        assert t.certificates(names[0])
        server.sql("ALTER SYSTEM RESET default_transaction_read_only")
        server.sql("SELECT pg_reload_conf()")
        all_served(t, names)
        t.check()
        w.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a mount")
def test_a_full_disk_of_the_database(server):
    server.stop()
    with Small(server.dir / "data", 160000) as disk:
        server.start()
        with World(profile=PROFILE, database=server.database()) as w:
            w.start().product()
            t = Witness(w)
            names = t.enlist([f"FD-{i}" for i in range(12)])
            t.got(names[0], t.ask(names[0]))
            disk.fill()
            grow(server)
            noticed(w)
            refused(t, names[1:])
            disk.room()
            if server.server.poll() is not None:  # no room for its own WAL
                server.start()
            all_served(t, names)
            w.wait_ready()
            t.check()
            w.stop()
        server.stop()


def grow(server):
    """Uses what room tables and WAL have left in their last pages."""
    text = "CREATE TABLE IF NOT EXISTS filler AS SELECT repeat('x', 8000)" \
        " FROM generate_series(1, 100000)"
    with contextlib.suppress(subprocess.CalledProcessError):
        server.sql(text)


class Failing(Small):
    """A file system that can fail: ext4 in a file."""

    def mount(self):
        self.image = f"{self.path}.ext4"
        if not os.path.exists(self.image):
            with open(self.image, "wb") as f:
                f.truncate(self.kib << 10)
            subprocess.run(["mkfs.ext4", "-q", self.image], check=True)
        if subprocess.run(["mount", "-o", "loop", self.image,
                           self.path]).returncode != 0:
            pytest.skip("needs a loop device")

    def fail(self):
        """As after an error of its disk: it takes no writes any more."""
        subprocess.run(["mount", "-o", "remount,abort", self.path],
                       check=True)

    def mend(self):
        subprocess.run(["umount", self.path], check=True)
        subprocess.run(["e2fsck", "-p", self.image], check=False)
        self.mount()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a mount")
def test_a_disk_that_turns_read_only_under_sqlite():
    with World(profile=PROFILE) as w, \
            Failing(w.state / "server", 64000) as disk:
        w.start().product()
        t = Witness(w)
        names = t.enlist([f"RD-{i}" for i in range(8)])
        t.got(names[0], t.ask(names[0]))
        disk.fail()
        noticed(w)
        refused(t, names[1:])
        t.nothing_is_signed(names[1:])
        assert w.get_public("/readyz").status == 503
        w.stop()
        disk.mend()
        w.start()
        all_served(t, names)
        t.check()
        w.stop()
