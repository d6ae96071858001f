"""A copy on a second disk before PASS: the stick is pulled, the disk dies."""
import json
import os
import pathlib
import shutil
import tempfile

import pytest

from offline import Offline, stopped_centre
from screen import Running
from station import Station
from world import MINT, run, until

LEAKS = True
OTHER = pathlib.Path("/dev/shm")


def another_disk(folder):
    return OTHER.is_dir() and os.access(OTHER, os.W_OK) and \
        OTHER.stat().st_dev != folder.stat().st_dev


@pytest.fixture
def stick(tmp_path):
    if not another_disk(tmp_path):
        pytest.skip("needs a second file system at /dev/shm")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mm-stick-", dir=OTHER))
    try:
        yield folder / "stick"
    finally:
        shutil.rmtree(folder)


def pull(stick):
    stick.rename(stick.parent / "pulled")


def put_in(stick):
    (stick.parent / "pulled").rename(stick)


def mirrored(station, stick):
    """What both have is the same, byte by byte."""
    copy = stick / station.name
    state = station.dir / "state"
    names = sorted(p.name for p in (state / "records").iterdir())
    assert sorted(p.name for p in (copy / "records").iterdir()) == names
    for name in names:
        assert (copy / "records" / name).read_bytes() == \
            (state / "records" / name).read_bytes()
    return (copy / "journal").read_bytes() == \
        (state / "journal").read_bytes()


def conf(station, old, new):
    text = station.conf.read_text()
    assert old in text
    station.conf.write_text(text.replace(old, new))


def refuses(station, serial, fixture, says):
    """Before the unit began, or at its end; the log says why."""
    p = station.begin("provision", "--serial", serial, "--fixture", fixture,
                      "--json")
    out, log = p.communicate(timeout=90)
    assert (p.returncode, json.loads(out)["reason"]) == (7, "mirror-away"), out
    assert says in log, log


@pytest.fixture(scope="module")
def online(world):
    world.product()
    return world


@pytest.fixture
def station(online, stick, tmp_path):
    stick.mkdir()
    s = Station(online, tmp_path / "station", f"mirror-{os.getpid()}-"
                f"{tmp_path.name[-6:].strip('_-')}", n=2,
                more=f'mirror = "{stick}"\n')
    try:
        yield s.plug()
    finally:
        s.close()


def test_no_pass_without_its_copy(station, stick):
    first = station.passes("MI-1")
    assert mirrored(station, stick)
    pull(stick)
    refuses(station, "MI-2", "f2", "No such file")
    # an empty folder where it was mounted is no second disk
    conf(station, f'mirror = "{stick}"', f'mirror = "{station.dir}"')
    refuses(station, "MI-2", "f2", "the station's own disk")
    conf(station, f'mirror = "{station.dir}"', f'mirror = "{stick}"')
    # it is back, cut off in the middle of a row: the copy catches up
    put_in(stick)
    copy = stick / station.name / "journal"
    os.truncate(copy, copy.stat().st_size - 9)
    (stick / station.name / "records/mi-1.json").unlink()
    station.passes("MI-2", "f2")
    station.once("MI-2")
    assert mirrored(station, stick)
    # the station's disk dies: all of it is on the stick
    shutil.rmtree(station.dir / "state")
    shutil.copytree(stick / station.name, station.dir / "state")
    status = json.loads(run(*station.argv("status", "--json")).stdout)
    assert (status["passed"], status["failed"]) == (2, 0), status
    again = station.passes("MI-1")
    assert again["again"] and again["serial"] == first["serial"]
    # an older copy of the disk is not written over the newer one
    rows = (station.dir / "state/journal").read_text().splitlines(True)
    (station.dir / "state/journal").write_text("".join(rows[:-30]))
    refuses(station, "MI-1", "f1", "put back")


def test_a_warning_and_the_copy_later(station, stick):
    conf(station, "mirror = ", "mirror_gone = warn\nmirror = ")
    pull(stick)
    station.passes("MI-3")
    put_in(stick)
    station.passes("MI-4", "f2")
    assert mirrored(station, stick)


def test_the_line_stops_and_goes_on(station, stick):
    conf(station, "mirror = ", 'screen = "127.0.0.1:0"\nmirror = ')

    def stopped(r):
        return (r.status()["stopped"] or {}).get("reason")

    with Running(station) as r:
        until(lambda: r.status()["mirror"]["is"] == "there")
        pull(stick)
        until(lambda: stopped(r) == "mirror-away")
        assert r.status()["next"]["do"] == "stop"
        a = r.call("POST", "/api/v1/units", {"serial": "MI-5",
                                             "fixture": "f1"})
        assert (a.status, a.json["reason"]) == (409, "mirror-away")
        put_in(stick)
        until(lambda: stopped(r) is None)
        a = r.call("POST", "/api/v1/units?wait=60", {"serial": "MI-5",
                                                     "fixture": "f1"})
        assert a.json["result"] == "passed", a.json
    assert mirrored(station, stick)


def test_what_was_made_offline_outlives_its_disk(stick, tmp_path):
    stick.mkdir()
    with stopped_centre() as centre:
        s = Offline(centre, tmp_path / "station", "mirrored")
        conf(s, "offline = ", f'mirror = "{stick}"\noffline = ')
        s.takes(share=4)
        order = tmp_path / "order.json"
        shutil.copy(s.dir / "order.json", order)
        try:
            for serial in ("SN-01", "SN-02", "SN-03"):
                s.plug()
                s.passes(serial)
                s.unplug()
                s.blank(1)
            # an empty stick is behind by more than a unit brings with it
            copy = stick / s.name
            was = (copy / "entries.jsonl").read_bytes()
            shutil.rmtree(copy)
            s.plug()
            s.passes("SN-04")
            now = (copy / "entries.jsonl").read_bytes()
            assert now.startswith(was) and now.count(b"\n") > was.count(b"\n")
            assert mirrored(s, stick)
        finally:
            s.close()
        whole = s.export()
        key = tmp_path / "key"
        shutil.copy(s.ledger_key, key)
        shutil.rmtree(s.dir / "state")
        shutil.rmtree(s.own.dir)
        out = tmp_path / "lost.jsonl"
        p = run(*s.argv("export", "--mirror", stick / s.name, "--out", out,
                        "--json"))
        lost = [json.loads(x) for x in out.read_text().splitlines()]
        assert json.loads(p.stdout)["entries"] == len(lost) - 2 > 0
        assert lost[:-1] == whole[:-1] and lost[-1]["size"] == len(lost) - 2
        run(MINT, "--json", "line", "check", out, order, "--key", key)
        for serial in ("sn-01", "sn-02"):
            s.world.cli("device", "birth-record", "--verify",
                        stick / s.name / f"records/{serial}.json", "--key",
                        key, "--root", s.world.anchor)
        # half of it is none
        with open(stick / s.name / "entries.jsonl", "r+") as f:
            f.truncate(100)
        p = run(*s.argv("export", "--mirror", stick / s.name, "--out", out),
                check=False)
        assert p.returncode != 0 and "missing" in p.stderr
