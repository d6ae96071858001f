"""Units, yield and units an hour by shift, from the journal's rows."""
import csv
import io
import json
import os

import pytest

from station import STATION
from test_station import crc_row
from world import run

LEAKS = True


class Journal:
    def __init__(self, folder):
        self.folder, self.n = folder, 0
        self.rows = []

    def add(self, at, serial, state, attempt=1, **more):
        self.n += 1
        row = {"n": self.n, "at": f"2026-{at}:00.000Z", "serial": serial,
               "fixture": "f1", "attempt": attempt, "state": state}
        self.rows.append(crc_row(**{**row, **more}))

    def unit(self, at, serial, state="passed", attempt=1, was=None, batch="b",
             **more):
        tail = {**more, **({"was": was} if was else {}), "batch": batch}
        self.add(at, serial, "scanned", attempt,
                 **({"was": was} if was else {}))
        self.add(at, serial, state, attempt, **tail)

    def end(self, name):
        (self.folder / name).write_text("".join(self.rows))
        self.rows = []


@pytest.fixture
def station(tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    conf = tmp_path / "station.conf"
    conf.write_text(f'name = l1\ncentre = "https://c:1"\nstate = "{state}"\n'
                    'shifts = {"06:00", "14:00", "22:00"}\n')
    j = Journal(state)
    j.conf = conf
    return j


def report(station, zone="Europe/Berlin"):
    env = {**os.environ, "TZ": zone}
    p = run(STATION, "report", "--config", station.conf, env=env)
    rows = list(csv.DictReader(io.StringIO(p.stdout)))
    said = [json.loads(x) for x in run(
        STATION, "report", "--config", station.conf, "--json",
        env=env).stdout.splitlines()]
    assert [r["from"] for r in rows] == [s["from"] for s in said]
    return rows


def test_shifts(station):
    # the early shift of 2 March, 06:00 in Berlin is 05:00Z
    for i in range(5):
        station.unit(f"03-02T05:{i * 10:02}", f"E-{i}")
    station.unit("03-02T05:50", "E-5", "failed", reason="no-answer")
    station.unit("03-02T05:51", "E-5", "failed", 2, reason="no-answer")
    station.unit("03-02T05:52", "E-5", "passed", 3)
    station.unit("03-02T06:00", "E-0", "passed", 2, was="passed")
    station.unit("03-02T06:00", "D-0", "passed", 2, was="passed")
    station.unit("03-02T06:01", "E-6", "quarantined", reason="other-key")
    station.unit("03-02T06:02", "E-7", "failed", reason="bad-proof",
                 batch="c")
    station.end(f"journal.{station.n}")
    # it was begun anew: the same units once more, in the next shift
    station.add("03-02T13:00", "E-6", "quarantined", reason="other-key",
                batch="b")
    # the night that begins on 2 March and ends on the 3rd
    station.unit("03-02T21:30", "N-1")
    station.unit("03-03T02:00", "N-2", "interrupted", reason="stopped")
    # its label once more
    station.add("03-03T02:01", "N-1", "passed", was="passed", batch="b")
    station.end("journal")
    early, other, night = report(station)
    assert early == {
        "from": "2026-03-02T05:00:00Z", "until": "2026-03-02T13:00:00Z",
        "station": "l1", "batch": "b", "passed": "6", "again": "1",
        "failed": "0", "put_aside": "1", "interrupted": "0",
        "attempts": "11", "yield_percent": "85.7",
        "first_pass_percent": "71.4", "units_per_hour": "4.9"}, early
    assert (other["batch"], other["failed"], other["yield_percent"]) == (
        "c", "1", "0.0")
    assert night["from"] == "2026-03-02T21:00:00Z"
    assert night["until"] == "2026-03-03T05:00:00Z"
    assert (night["passed"], night["interrupted"]) == ("1", "1")


def test_a_shift_in_which_the_clock_is_changed(station):
    station.unit("03-28T21:30", "S-1")  # 22:30 CET
    station.unit("03-29T03:59", "S-2")  # 05:59 CEST
    station.unit("03-29T04:00", "S-3")  # 06:00 CEST
    station.end("journal")
    night, early = report(station)
    assert (night["from"], night["until"]) == ("2026-03-28T21:00:00Z",
                                               "2026-03-29T04:00:00Z")
    assert (night["passed"], early["passed"]) == ("2", "1")


@pytest.mark.parametrize("shifts", ['"6:00"', '"24:00"', '"06:60"',
                                    '"14:00", "06:00"', '"06:00", "06:00"'])
def test_hours_that_are_none(station, shifts):
    text = station.conf.read_text()
    station.conf.write_text(text.partition("shifts")[0] +
                            f"shifts = {{{shifts}}}\n")
    p = run(STATION, "report", "--config", station.conf, check=False)
    assert p.returncode == 2 and "shifts" in p.stderr


def test_more_files_than_are_read(station):
    """It says so: sums that lack the newest or the oldest look like others."""
    station.unit("01-05T10:00", "SN-1")
    station.end("journal")
    for n in range(1, 10002):
        (station.folder / f"journal.{n}").touch()
    p = run(STATION, "report", "--config", station.conf, check=False)
    assert p.returncode == 6 and "more than 10000 files" in p.stderr, p
    (station.folder / "journal.1").unlink()
    assert len(report(station)) == 1
