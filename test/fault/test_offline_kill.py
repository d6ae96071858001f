"""SIGKILL of an offline station and of its signer at every step: exactly one
key, certificate, entry and record a unit, and a quota that is exact."""
import itertools
import json
import os

import pytest

from offline import Offline, stopped_centre
from test_configuration import document, order, papers, sha256
from test_station_kill import KILLS, die_at, faulty, kills_at_any_moment
from world import run

NUMBERS = itertools.count(1)
ROWS = 15
LOCKS = os.geteuid() == 0  # a production CA has users of its own
# Places of the signer, for one unit: each is passed once or twice.
SIGNER = ["count:1", "counted:1", "journal:1", "journalled:1", "answer:1",
          "answered:1"]


@pytest.fixture(scope="module")
def centre():
    with stopped_centre(production=LOCKS) as c:
        yield c


@pytest.fixture
def station(centre, tmp_path):
    s = Offline(centre, tmp_path / "station", f"kill-{next(NUMBERS)}")
    try:
        yield s
    finally:
        s.close()


def again(station, serial, n):
    """The same board, whole again; afterwards n units were ever counted."""
    station.passes(serial)
    assert station.counted() == n == len(station.signed())
    station.unplug()
    station.blank(1)
    station.plug(1)


@faulty
@pytest.mark.parametrize("place", ["row", "rowed", "effect"])
def test_the_station_is_killed_at_each_step(station, place):
    station.takes(share=ROWS)
    station.plug(1)
    killed = 0
    for n in range(1, ROWS + 1):
        serial = f"SN-{n:02}"
        code, a = station.provision(serial, env=die_at(place, n))
        assert code == (-9 if a is None else 0), (n, code, a)
        killed += code == -9
        again(station, serial, n)
    assert killed >= ROWS - (1 if LOCKS else 2)
    station.once(*(f"SN-{n:02}" for n in range(1, ROWS + 1)))
    # the last pair was the share's last
    code, a = station.provision("SN-20")
    assert (code, a["reason"]) == (1, "quota-gone"), a


def test_kills_at_any_moment(station):
    """Of station and signer: each unit has one certificate, entry and record,
    and the quota is exact."""
    n = KILLS // 5 + (KILLS % 5 > 0)
    station.takes(share=n, serials="SOAK-{000..999}")
    made = kills_at_any_moment(station, KILLS, "SOAK-{:03}")
    assert station.counted() == n == len(station.signed()) == len(made)
    entries = [e["device"] for e in station.entries("certificate.issued")]
    assert sorted(entries) == sorted(made)
    for serial in made[-20:]:  # all were looked at when they were made
        station.once(serial)
    station.blank(1)
    station.plug(1)
    code, a = station.provision(f"SOAK-{n:03}")
    assert (code, a["reason"]) == (1, "quota-gone"), a


@faulty
def test_killed_between_proof_and_entry(station):
    """The board comes again and signs anew: the entry has that one's hash,
    and the export has the one that the entry is about."""
    station.takes(share=3)
    station.plug(1)
    for n in range(1, 4):
        serial = f"SN-{n:02}"
        code, a = station.provision(serial, env=die_at("proof", 1))
        assert (code, a) == (-9, None), (n, code, a)
        again(station, serial, n)
    station.once("SN-01", "SN-02", "SN-03")
    lines = [json.loads(x) for x in (station.dir / "state/proofs")
             .read_text().splitlines() if x]
    assert len(lines) == 6
    assert len(station.proofs()) == 3


@faulty
def test_the_signer_is_killed_at_each_step(station):
    """The unit fails with a sentence, and goes on when it is scanned again."""
    station.takes(share=len(SIGNER))
    station.plug(1)
    for n, place in enumerate(SIGNER, 1):
        serial = f"SN-{n:02}"
        code, a = station.provision(serial, env={"MINTMARK_DIE_AT": place})
        assert code in (0, 1), (place, code, a)
        assert code == 0 or a["reason"] == "signer", (place, a)
        again(station, serial, n)
    station.once(*(f"SN-{n:02}" for n in range(1, len(SIGNER) + 1)))


@faulty
def test_the_share_is_not_passed_by_killing(station):
    """Pulling the plug makes no free certificates: a share of one, and boards
    that are swapped after each kill."""
    station.takes(share=1)
    for n, place in enumerate(["rowed:6", "effect:6", "row:7"], 1):
        station.plug(1)
        station.provision(f"SN-{n:02}", env=die_at(*place.split(":")))
        station.unplug()
        station.blank(1)
    assert len(station.signed()) == 1 == station.counted()
    assert len(station.entries("certificate.issued")) == 1


@faulty
def test_a_keys_end_is_entered_whatever_is_made_next(centre, station):
    station.takes()
    last = station.dir / "last.json"
    last.write_text(centre.order(station, number=3, state="closed",
                                 ca_key=None))
    p = run(*station.argv("import", "--order", last), check=False,
            env={**os.environ, **die_at("kept", 1)})
    assert p.returncode == -9, (p.stdout, p.stderr)
    station.takes(batch="b8", number=5, serials="SM-{01..05}")
    for _ in range(2):
        (e,) = station.entries("line.destroyed")
        assert (e["batch"], e["issuer"], e["number"]) == ("b7", "line-b7", 3)


@faulty
@pytest.mark.parametrize("lost", [False, True])
def test_what_was_signed_is_entered_before_its_batch_ends(
        centre, station, lost):
    """By the papers that say what its board gets.  Until it is, the order
    that closes the batch destroys nothing; and where the papers were lost all
    the same, the board gets no PASS without what it should have had."""
    text = papers([f"SN-{i:02}" for i in range(1, 25)])
    station.takes(text, share=3, **order(5, *text))
    station.plug(1)
    again(station, "SN-02", 1)
    code, a = station.provision("SN-01", env={
        "MINTMARK_DIE_AT": "journalled:1"})
    assert (code, a["reason"]) == (1, "signer"), a
    kept, ledger = (station.dir / "state" / x for x in (
        "orders/b7.json", "ledger"))
    was, aside = kept.read_text(), station.dir / "aside"
    # one between, which the signer has, and the station was killed then
    station.takes(text, share=4, number=3, **order(5, *text))
    kept.write_text(was)
    last = centre.order(station, number=5, state="closed", ca_key=None)
    if lost:
        kept.unlink()
    else:
        ledger.rename(aside)
        ledger.mkdir()
        p = station.give(last)
        assert p.returncode != 0 and "is not in the ledger yet" in \
            p.stdout + p.stderr, p
        assert kept.read_text() == was and not [
            x for x in station.journal() if x["kind"] == "destroyed"]
        ledger.rmdir()
        aside.rename(ledger)
    p = station.give(last)
    assert p.returncode == 0, p
    (e,) = [e for e in station.entries("certificate.issued")
            if e["device"] == "SN-01"]
    assert e.get("config_sha256") == (
        None if lost else sha256(document("SN-01")))
    code, a = station.provision("SN-01")
    assert (code, a["reason"]) == (1, "no-configuration"), a
