"""Devices as a station meets them: linux-sim's, the device library behind
pseudo-terminals, through a whole unit by its own client; power cuts, kills,
and what stays the same over both."""
import hashlib
import json
import os
import random
import signal
import subprocess
import time

import pytest

from world import BUILD

SIM = BUILD / "examples/linux-sim/linux-sim"
PROVISION = BUILD / "examples/linux-sim/provision"


class Bench:
    """A simulator that can be killed, and the other end of its lines."""

    def __init__(self, folder):
        self.dir = folder
        (folder / "ca").mkdir()
        self.sim = None

    def start(self, n, *more):
        self.n = n
        self.sim = subprocess.Popen(
            [SIM, "-n", str(n), "-i", *more, self.dir], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL)
        self.ports = [json.loads(self.sim.stdout.readline())["port"]
                      for _ in range(n)]
        return self

    def stop(self, kill=False):
        if self.sim is None:
            return
        if kill:
            self.sim.send_signal(signal.SIGKILL)
        self.sim.stdin.close()
        code = self.sim.wait(20)
        self.sim.stdout.close()
        assert code == (-signal.SIGKILL if kill else 0)
        self.sim = None

    def begin(self, which, *more):
        names = [f"{self.ports[i]}=SN-{i:06}" for i in which]
        return subprocess.Popen([PROVISION, *more, self.dir / "ca", *names],
                                stdout=subprocess.PIPE, text=True)

    def finish(self, p, seconds=120):
        out, _ = p.communicate(timeout=seconds)
        rows = [json.loads(x) for x in out.splitlines()]
        return {r["name"]: r for r in rows}, p.returncode

    def provision(self, which, *more, seconds=120):
        return self.finish(self.begin(which, *more), seconds)

    def patiently(self, which, *more):
        """Where others keep the simulator from running for a second, a device
        gives no answer: then, and for nothing else, all are asked again."""
        for _ in range(5):
            rows, code = self.provision(which, *more)
            if "no answer" not in {r["result"] for r in rows.values()}:
                break
        return rows, code

    def certificates(self):
        files = list((self.dir / "ca").glob("*.der"))
        return {hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


@pytest.fixture
def bench(tmp_path):
    b = Bench(tmp_path)
    try:
        yield b
    finally:
        if b.sim is not None and b.sim.poll() is None:
            b.stop(kill=True)


def all_done(rows, n):
    assert len(rows) == n
    for r in rows.values():
        assert r["result"] == "done" and r["step"] == "done", r
    return {r["certificate"] for r in rows.values()}


def test_eight_devices_at_once(bench):
    bench.start(8, "-l")
    rows, code = bench.patiently(range(8))
    assert code == 0, rows
    certs = all_done(rows, 8)
    assert len(certs) == 8 and certs == bench.certificates()
    # They come back: proved, locked, nothing new; also after a restart.
    bench.stop()
    bench.start(8)
    rows, code = bench.patiently(range(8))
    assert code == 0, rows
    assert all_done(rows, 8) == certs
    assert bench.certificates() == certs


def test_unlocked_devices_take_another_authority(bench, tmp_path):
    bench.start(1)
    rows, _ = bench.patiently([0], "-u")
    first = all_done(rows, 1)
    (bench.dir / "ca").rename(bench.dir / "old")
    (bench.dir / "ca").mkdir()
    rows, _ = bench.patiently([0])
    second = all_done(rows, 1)
    assert first != second
    # Locked with the second, it does not take the first any more.
    (bench.dir / "ca").rename(bench.dir / "new")
    (bench.dir / "old").rename(bench.dir / "ca")
    rows, code = bench.patiently([0])
    assert code == 1
    assert rows["SN-000000"]["why"] == "it is locked with another certificate"


def test_power_cuts(bench):
    """Power lasts for some thousands of bytes of flash, again and again."""
    bench.start(6, "-c", "6000", "-o", "60", "-s", "7")
    for _ in range(10):
        rows, code = bench.provision(range(6), seconds=240)
        if code == 0:
            break
    certs = all_done(rows, 6)
    assert len(certs) == 6 and bench.certificates() == certs


def test_kills(bench):
    """SIGKILL at any moment: flash is what was written, and no more."""
    pick = random.Random(11)
    for _ in range(12):
        bench.start(4)
        p = bench.begin(range(4))
        time.sleep(pick.uniform(0.01, 0.4))
        bench.stop(kill=True)
        p.terminate()
        p.communicate(timeout=20)
    bench.start(4)
    rows, code = bench.patiently(range(4))
    assert code == 0, rows
    certs = all_done(rows, 4)
    assert len(certs) == 4 and bench.certificates() == certs


def test_what_is_not_there(bench, tmp_path):
    bench.start(1)
    os.symlink("/nowhere", bench.dir / "gone")
    bench.ports.append(str(bench.dir / "gone"))
    rows, code = bench.patiently([0, 1])
    assert code == 1
    assert rows["SN-000000"]["result"] == "done"
    assert rows["SN-000001"]["result"] == "no such port"


def test_a_line_that_says_nothing(bench):
    """Stopped, not gone: the terminal takes bytes and gives none."""
    bench.start(1)
    bench.sim.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    rows, code = bench.provision([0])
    bench.sim.send_signal(signal.SIGCONT)
    assert code == 1 and rows["SN-000000"]["result"] == "no answer"
    assert time.monotonic() - began < 10
