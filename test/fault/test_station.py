"""SIGKILL of the station at every row of its journal and before every effect,
and of the device beside it: whatever is tried again ends with exactly one key,
one certificate, one record."""
import itertools
import random

import pytest

from station import STATION, Station
from world import World

NUMBERS = itertools.count(1)
STEPS = 15  # rows of a unit, its effects

pytestmark = pytest.mark.skipif(
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
