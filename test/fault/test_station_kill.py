"""SIGKILL of the station at every row of its journal and before every effect,
and of the device beside it: whatever is tried again ends with exactly one key,
one certificate, one record."""
import itertools
import os
import random
import resource
import time

import pytest

from station import STATION, Station
from test_disk import Small
from world import World

NUMBERS = itertools.count(1)
STEPS = 15  # rows of a unit, its effects

faulty = pytest.mark.skipif(
    not STATION.exists() or
    b"MINTMARK_DIE_AT" not in STATION.read_bytes(),
    reason="needs a build with -Dfaults=true")


@pytest.fixture(scope="module")
def world():
    w = World()
    try:
        yield w.start().product()
    finally:
        w.close()


@pytest.fixture
def station(world, tmp_path):
    s = Station(world, tmp_path / "station", f"kill-{next(NUMBERS)}", n=1)
    try:
        yield s
    finally:
        s.close()


def die_at(place, n):
    return {"MINTMARK_DIE_AT": f"{place}:{n}"}


@faulty
@pytest.mark.parametrize("place", ["row", "rowed", "effect"])
def test_the_station_is_killed_at_each_step(station, place):
    killed = 0
    for n in range(1, STEPS + 1):
        serial = f"KILL-{place}-{n}"
        station.plug(1)
        code, a = station.provision(serial, env=die_at(place, n))
        assert code == (-9 if a is None else 0), (n, code, a)
        killed += code == -9
        station.passes(serial)
        station.once(serial)
        states = [r["state"] for r in station.rows()
                  if r["serial"] == serial]
        assert states[-1] == "passed"
        assert states.count("requested") <= 2
        station.unplug()
        station.blank(1)
    assert killed >= STEPS - 1


@faulty
def test_what_was_made_stays_made_if_looked_at_once_more(station):
    station.plug(1)
    station.passes("KILL-made")
    for n in range(1, STEPS + 1):
        code, _ = station.provision("KILL-made", env=die_at("effect", n))
        assert code in (0, -9), n
        station.provision("KILL-other", "f1")  # it starts, and tidies up
        rows = [r["state"] for r in station.rows()
                if r["serial"] == "KILL-made"]
        assert rows[-1] == "passed", (n, rows)
    station.once("KILL-made")


@faulty
def test_both_are_killed_again_and_again(station):
    """The same unit, until it gets through."""
    pick = random.Random(17)
    serial = "KILL-both"
    for _ in range(12):
        station.plug(1)
        place = pick.choice(["row", "rowed", "effect"])
        code, a = station.provision(serial, env=die_at(
            place, pick.randint(1, STEPS)))
        station.unplug(kill=True)
        assert code in (0, -9), (code, a)
    station.plug(1)
    station.passes(serial)
    station.once(serial)


def test_the_centre_dies_meanwhile(station, world):
    """At any moment of a unit; it waits, and goes on when the centre is back:
    nothing is lost or made twice."""
    pick = random.Random(23)
    text = station.conf.read_text()
    station.conf.write_text(text.replace("patience = 5s", "patience = 60s"))
    for n in range(8):
        serial = f"KILL-centre-{n}"
        station.plug(1)
        p = station.begin("provision", "--serial", serial, "--fixture", "f1",
                          "--json")
        time.sleep(pick.uniform(0.02, 0.12))
        world.kill_all()
        world.start()
        out, err = p.communicate(timeout=90)
        assert p.returncode == 0, (out, err)
        station.once(serial)
        station.unplug()
        station.blank(1)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a mount")
def test_a_full_disk_stops_before_the_next_unit(station):
    station.plug(1)
    station.passes("DISK-1")
    with Small(station.dir / "state", 8000) as disk:
        disk.fill()
        code, a = station.provision("DISK-2")
        assert (code, a["reason"]) == (1, "journal"), a
        assert station.certificates("DISK-2") == []
        disk.room()
        station.unplug()
        station.blank(1)
        station.plug(1)
        station.passes("DISK-2")
        station.once("DISK-2")


def test_a_journal_that_takes_no_more(station):
    """In the middle of a unit, at each of its rows."""
    station.plug(1)
    station.passes("FULL-0")
    size = (station.dir / "state/journal").stat().st_size
    for n in range(8):
        station.unplug()
        station.blank(1)
        station.plug(1)
        serial, most = f"FULL-{n + 1}", size + n * 420
        p = station.begin(
            "provision", "--serial", serial, "--fixture", "f1", "--json",
            preexec_fn=lambda: resource.setrlimit(
                resource.RLIMIT_FSIZE, (most, most)))
        out, err = p.communicate(timeout=60)
        assert p.returncode == 1 and "journal" in out, (out, err)
        station.passes(serial)
        station.once(serial)
        size = (station.dir / "state/journal").stat().st_size


def test_fifty_kills_at_any_moment(station):
    pick = random.Random(31)
    for n in range(50):
        serial = f"SOAK-{n // 5}"
        station.plug(1)
        p = station.begin("provision", "--serial", serial, "--fixture", "f1")
        time.sleep(pick.uniform(0, 0.09))
        if n % 2:
            station.unplug(kill=True)
        p.kill()
        p.communicate(timeout=20)
        station.unplug(kill=True)
        if n % 5 == 4:
            station.plug(1)
            station.passes(serial)
            station.once(serial)
            station.unplug()
            station.blank(1)
