"""The maker's own system beside the line: asked whether a unit may be made,
told what became of it."""
import itertools
import json
import re
import sys

import pytest

from screen import Running
from station import Station
from world import until

NUMBERS = itertools.count(1)

MAY = """#!%s
import json, pathlib, sys, time
job = json.loads(sys.stdin.readline())
with open("%s/asked", "a") as f:
    f.write(json.dumps(job) + "\\n")
serial = job["serial"]
if serial.endswith("-slow"):
    go = pathlib.Path("%s/go")
    for _ in range(3000):
        if go.exists():
            break
        time.sleep(0.02)
if serial.endswith("-dies"):
    sys.exit(3)
print("looking it up")
if serial.endswith("-mute"):
    sys.exit(0)
if serial.endswith("-no"):
    print(json.dumps({"result": "no", "note": "not tested yet"}))
else:
    print(json.dumps({"result": "yes"}))
"""

LEAKS = True
RESULT = """#!%s
import pathlib, sys
folder = pathlib.Path("%s")
text = sys.stdin.read()
with open(folder / "told", "a") as f:
    f.write(text)
if (folder / "never").exists() and "-no" in text:
    sys.exit(65)
sys.exit((folder / "broken").exists())
"""


@pytest.fixture(scope="module")
def centre(world):
    world.product()
    return world


@pytest.fixture
def station(centre, tmp_path):
    for name, text in (("may", MAY), ("result", RESULT)):
        (tmp_path / name).write_text(text % (
            sys.executable, *[tmp_path] * (text.count("%s") - 1)))
        (tmp_path / name).chmod(0o755)
    s = Station(centre, tmp_path / "station", f"mes-{next(NUMBERS)}", n=2,
                more=f'mes_may = {{"{tmp_path}/may"}}\nmes_limit = "50s"\n')
    try:
        yield s.plug()
    finally:
        s.close()


def limit(station, text):
    station.conf.write_text(re.sub(
        r'mes_limit = "\w+"', f'mes_limit = "{text}"',
        station.conf.read_text()))


def lines(path):
    return [json.loads(x) for x in path.read_text().splitlines()] \
        if path.exists() else []


def test_a_unit_that_may(station, tmp_path):
    station.passes("ME-1")
    (asked,) = lines(tmp_path / "asked")
    assert asked["ask"] == "may" and asked["v"] == 1
    assert asked["serial"] == "ME-1" and asked["fixture"] == "f1"
    assert asked["attempt"] == 1 and asked["hardware"]
    station.once("ME-1")


def test_units_that_may_not(station, tmp_path):
    code, a = station.provision("ME-2-no")
    assert (code, a["reason"], a["note"]) == (3, "mes-refused",
                                              "not tested yet"), a
    for serial, note in (("ME-2-dies", "ended with a failure"),
                         ("ME-2-mute", "neither yes nor no"),
                         ("ME-2-slow", "took too long")):
        if serial == "ME-2-slow":
            limit(station, "1s")
        code, a = station.provision(serial)
        assert (code, a["reason"]) == (7, "mes-away"), a
        assert note in a["note"], a
    # nothing was spent: no certificate, no device at the centre
    for serial in ("ME-2-no", "ME-2-dies", "ME-2-mute", "ME-2-slow"):
        assert station.certificates(serial) == []
    assert station.world.rest("GET", "/devices/ME-2-no").status == 404
    # and the board is as good as before
    limit(station, "50s")
    station.passes("ME-2")
    serials = [a["serial"] for a in lines(tmp_path / "asked")]
    assert [s for s in serials if s != "ME-2-slow"] == \
        ["ME-2-no", "ME-2-dies", "ME-2-mute", "ME-2"]
    assert [r["state"] for r in station.rows()
            if r["serial"] == "ME-2-no"] == ["scanned", "identified", "failed"]


def test_one_that_waits_holds_no_other_up(station, tmp_path):
    p = station.begin("run", "--json", stdin=-1)

    def done():
        for line in p.stdout:
            if '"result"' in line:
                return json.loads(line)

    try:
        p.stdin.write("f1 ME-3-slow\nf2 ME-3\n")
        p.stdin.flush()
        first = done()
        assert (first["device"], first["result"]) == ("ME-3", "passed")
        (tmp_path / "go").touch()
        second = done()
        assert (second["device"], second["result"]) == \
            ("ME-3-slow", "passed")
    finally:
        p.terminate()
        p.communicate(timeout=60)


def test_a_program_that_is_not_there(station, tmp_path):
    (tmp_path / "may").unlink()
    code, a = station.provision("ME-4")
    assert (code, a["reason"]) == (7, "mes-away"), a
    assert "No such file" in a["note"]


def test_results_are_told_in_order_after_restarts_too(station, tmp_path):
    station.conf.write_text(f'mes_result = {{"{tmp_path}/result"}}\n' +
                            station.conf.read_text())
    told, broken = tmp_path / "told", tmp_path / "broken"
    p = station.begin("run", "--json", "--once", stdin=-1)
    out, err = p.communicate("f1 ME-5\n", timeout=90)
    assert p.returncode == 0, (out, err)
    (one,) = lines(told)
    assert one["device"] == "ME-5" and one["exit"] == 0
    assert one == json.loads(next(x for x in out.splitlines()
                                  if '"result"' in x))
    # a system that fails is told again, and after it has come back the rest
    broken.touch()
    p = station.begin("run", "--json", "--once", stdin=-1)
    p.communicate("f1 ME-5\nf2 ME-6-no\n", timeout=90)
    kept = sorted((station.dir / "state/mes").iterdir())
    assert len(kept) == 2
    told.unlink()
    broken.unlink()
    station.conf.write_text('screen = "127.0.0.1:0"\n' +
                            station.conf.read_text())
    with Running(station):
        until(lambda: len(lines(told)) == 2)
        until(lambda: not list((station.dir / "state/mes").iterdir()))
    assert sorted((a["device"], a["exit"]) for a in lines(told)) == \
        [("ME-5", 0), ("ME-6-no", 3)]


def test_what_is_never_taken_holds_no_other_up(station, tmp_path):
    station.conf.write_text(f'mes_result = {{"{tmp_path}/result"}}\n'
                            'screen = "127.0.0.1:0"\n' +
                            station.conf.read_text())
    told, folder = tmp_path / "told", station.dir / "state/mes"
    (tmp_path / "never").touch()
    (tmp_path / "broken").touch()

    def results(line):
        return line.call("GET", "/api/v1/status").json["results"]

    with Running(station) as line:
        assert results(line) == {"waiting": 0, "refused": 0, "failing": False}
        for n, serial in ((1, "ME-8-no"), (2, "ME-9")):
            line.call("POST", "/api/v1/units?wait=60",
                      {"serial": serial, "fixture": f"f{n}"})
        until(lambda: results(line) == {"waiting": 1, "refused": 1,
                                        "failing": True})
        (tmp_path / "broken").unlink()
        until(lambda: results(line)["waiting"] == 0)
        assert results(line) == {"waiting": 0, "refused": 1,
                                 "failing": False}
    (aside,) = (folder / "refused").iterdir()
    assert json.loads(aside.read_text())["device"] == "ME-8-no"
    assert lines(told)[-1]["device"] == "ME-9"
    with Running(station) as line:  # and no number is given again
        assert results(line)["refused"] == 1
        line.call("POST", "/api/v1/units?wait=60",
                  {"serial": "ME-8-no", "fixture": "f1"})
        until(lambda: results(line)["refused"] == 2)
    assert len(list((folder / "refused").iterdir())) == 2
