"""SIGKILL of the station at every row of its journal and before every effect,
and of the device beside it: whatever is tried again ends with exactly one key,
one certificate, one record."""
import contextlib
import itertools
import os
import random
import resource
import signal
import time

import pytest

from station import STATION, Station
from test_disk import Small
from world import World

NUMBERS = itertools.count(1)
STEPS = 15  # rows of a unit, its effects
# script/soak has more; half of them offline
KILLS = int(os.environ.get("MINTMARK_STATION_KILLS", "50")) // 2

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


def kill_with_its_signer(p):
    """As power does; one that has ended by itself meanwhile is none."""
    with contextlib.suppress(OSError):
        path = f"/proc/{p.pid}/task/{p.pid}/children"
        for child in open(path).read().split():
            os.kill(int(child), signal.SIGKILL)


def kills_at_any_moment(station, kills, name="SOAK-{}"):
    """Of the station, twice in three of its signer first, every second time of
    its board too; each fifth time the unit is made.  Moments are drawn from what a whole unit takes here.  Serial
    numbers of the units."""
    pick, made = random.Random(kills), []
    station.plug(1)
    began = time.monotonic()
    station.passes(name.format(0))
    took = time.monotonic() - began
    for n in range(kills):
        if n % 5 == 0:
            made.append(name.format(n // 5))
            if n > 0:
                station.blank(1)
        station.unplug(kill=True)
        station.plug(1)
        p = station.begin("provision", "--serial", made[-1], "--fixture", "f1")
        time.sleep(pick.uniform(0, took))
        if n % 2:
            station.unplug(kill=True)
        if n % 3:
            kill_with_its_signer(p)
        p.kill()
        p.communicate(timeout=20)
        station.unplug(kill=True)
        if n % 5 == 4 or n == kills - 1:
            station.plug(1)
            station.passes(made[-1])
            station.once(made[-1])
            station.unplug()
    print(f"{len(made)} units, {kills} kills, {took * 1000:.0f} ms a unit")
    return made


def test_kills_at_any_moment(station):
    for serial in kills_at_any_moment(station, KILLS):
        station.once(serial)
