"""A station and what is at the other end of a fixture's line: noise, boards
that talk garbage, never stop or stop for good.  Each ends with a code, a
sentence and nothing spent; the same board, whole again, is made."""
import contextlib
import itertools
import os
import random
import select
import termios
import threading
import tty

import pytest

from station import Station

HOSTILE = True  # see world.py
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def station(world, tmp_path_factory):
    world.product()
    s = Station(world, tmp_path_factory.mktemp("lines"), "lines", n=1)
    try:
        yield s
    finally:
        s.close()


class Line:
    """A terminal in the fixture's place, with a board of linux-sim behind it.
    both: what becomes of the bytes of each way, and b"" when somebody has
    opened it."""

    def __init__(self, station, to_board, to_station):
        self.station, self.ways = station, (to_board, to_station)
        station.unplug()
        with contextlib.suppress(FileNotFoundError):
            station.blank(1)
        station.plug(1)
        self.port = station.port(1)
        self.real = os.readlink(self.port)
        self.board = os.open(self.real, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.board)
        self.near, self.far = os.openpty()
        tty.setraw(self.far)
        self.port.unlink()
        self.port.symlink_to(os.ttyname(self.far))
        self.ends, self.end = os.pipe()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        os.close(self.end)
        self.thread.join()
        self.station.unplug()
        with contextlib.suppress(FileNotFoundError):
            self.port.unlink()
        for fd in (self.board, self.near, self.far, self.ends):
            os.close(fd)

    def whole(self):
        """The same board at a line that is good."""
        self.port.unlink()
        self.port.symlink_to(self.real)
        self.ways = (None, None)
        termios.tcflush(self.board, termios.TCIOFLUSH)

    def run(self):
        other = {self.near: (self.board, 0), self.board: (self.near, 1)}
        while True:
            if self.ways == (None, None):  # no more ours to read
                other = {}
            ready, _, _ = select.select([*other, self.ends], [], [], 0.05)
            if self.ends in ready:
                return
            for fd in ready:
                to, way = other[fd]
                data = os.read(fd, 4096)
                if (f := self.ways[way]) is not None:
                    os.write(to, f(data))


def spoilt(seed, hits, one_in=1000):
    pick = random.Random(seed)

    def way(data):
        out = bytearray(data)
        for i in range(len(out)):
            if pick.randrange(one_in) == 0:
                out[i] ^= pick.randrange(1, 256)
                hits.append(i)
        return bytes(out)
    return way


def same(data):
    return data


def test_a_byte_in_a_thousand_is_another_one(station):
    """It delays and never corrupts: each unit passes, if not at once."""
    hits, tries = [], 0
    for n in range(1, 5):
        serial = f"NOISE-{n}"
        with Line(station, spoilt(n, hits), spoilt(-n, hits)):
            for _ in range(10):
                tries += 1
                code, a = station.provision(serial)
                if code == 0:
                    break
                assert (code, a["reason"]) in (
                    (20, "bad-line"), (20, "no-answer")), a
                assert a["what"] and a["to_do"]
            assert code == 0, a
            station.once(serial)
    print(f"{n} units, {tries} tries, {len(hits)} bytes spoilt")
    assert hits


def junk(_):
    return random.Random(7).randbytes(2000)


def nothing(_):
    return b""


def stops_after(n):
    """A board that hangs in the middle of its n-th answer."""
    left = [n]

    def way(data):
        left[0] -= data.count(b"\n")
        return data if left[0] > 0 else data[:len(data) // 2] if \
            left[0] == 0 else b""
    return way


@pytest.mark.parametrize("what, to_board, to_station", [
    ("garbage", same, junk), ("nothing", same, nothing),
    ("hangs in its first answer", same, stops_after(1)),
    ("hangs in the middle", same, stops_after(6)),
    ("hears nothing", nothing, same),
])
def test_a_board_that(station, what, to_board, to_station):
    serial = f"BAD-{next(NUMBERS)}"
    with Line(station, to_board, to_station) as line:
        code, a = station.provision(serial)
        assert code == 20 and a["reason"] in ("no-answer", "bad-line"), a
        assert a["what"] and a["to_do"], a
        line.whole()
        station.passes(serial)
        station.once(serial)


def test_a_board_that_never_stops_talking(station):
    """Whatever is said, and without being asked."""
    with Line(station, same, junk) as line:
        stop = threading.Event()

        def talk():
            pick = random.Random(3)
            while not stop.wait(0.002):
                if select.select([], [line.near], [], 0)[1]:
                    os.write(line.near, pick.randbytes(200))

        t = threading.Thread(target=talk)
        t.start()
        try:
            code, a = station.provision("FLOOD-1")
        finally:
            stop.set()
            t.join()
        assert code == 20 and a["reason"] in ("no-answer", "bad-line"), a
        assert station.certificates("FLOOD-1") == []
        line.whole()
        station.passes("FLOOD-1")
        station.once("FLOOD-1")
