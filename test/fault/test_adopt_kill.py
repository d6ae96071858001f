"""SIGKILL of station and signer at each step while a board is taken over:
whenever it was, a supervisor is asked before it passes, and it is counted and
entered once."""
import itertools

import pytest

from test_adopt import Pair, adopt, counted, entries, release
from test_line_cas import add_lines
from test_offline_order import Line
from test_station_kill import die_at, faulty
from world import World

NUMBERS = itertools.count(1)
SIGNER = ["count:1", "counted:1", "journal:1", "journalled:1"]
STATION = ["adopted:1", "proof:1"] + [
    f"{place}:{n}" for place in ("row", "rowed", "effect")
    for n in range(3, 6)]


@pytest.fixture(scope="module")
def centre():
    with World() as world:
        add_lines(world)
        yield Line(world)


@faulty
@pytest.mark.parametrize("at", SIGNER + STATION)
def test_killed_in_between(centre, tmp_path, at):
    x = Pair(centre, tmp_path, f"ak{next(NUMBERS)}")
    serial = x.serial(1)
    try:
        x.made_at(x.a, 1, x.b)
        place, n = at.split(":")
        p = x.b.begin("adopt", "--serial", serial, "--fixture", "f1",
                      "--json", env=die_at(place, int(n)))
        p.communicate(timeout=90)
        assert p.returncode != 0
        # a scan in between does not make it pass
        code, a = x.b.provision(serial)
        assert code != 0 and a["reason"] in (
            "unknown-certificate", "adopted", "held"), a
        code, a = adopt(x.b, serial)
        assert (code, a["reason"]) in ((22, "held"), (22, "adopted")), a
        assert counted(x.b) == 1 and len(x.b.signed()) == 1
        release(x.b, serial)
        x.b.passes(serial)
        path = x.export(x.b)
        assert len(entries(path, "certificate.adopted")) == 1
        assert len(entries(path, "certificate.confirmed")) == 1
    finally:
        x.close()
