"""mintmark-station against a running centre and the device library's own
devices: a unit from blank to locked, what goes wrong on the way, and SIGKILL
at every step.  Afterwards each device has one key, one certificate, one
record."""
import itertools
import json
import pathlib
import signal
import zlib

import pytest

from screen import Running
from station import Station
from world import alive, faketime, run, until

LEAKS = True
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def centre(world):
    world.product()
    return world


@pytest.fixture
def station(centre, tmp_path):
    s = Station(centre, tmp_path / "station", f"line-{next(NUMBERS)}")
    try:
        yield s
    finally:
        s.close()


def test_a_unit_passes_and_passes_again(station, tmp_path):
    station.plug()
    first = station.passes("ST-A-1")
    assert not first["again"]
    cert = station.once("ST-A-1")
    assert cert["serial"] == first["serial"]
    record = station.record("ST-A-1")
    facts = {k: v["value"] for k, v in record["facts"].items()}
    assert facts["lock_state"] == "locked" and facts["fixture"] == "f1"
    assert facts["device"] == "ST-A-1" and facts["attempts"] == "1"
    # It holds without the centre.
    key = tmp_path / "key"
    key.write_text(station.world.cli("ledger", "key").stdout)
    station.world.cli("device", "birth-record", "--verify", first["record"],
                      "--key", key, "--root", station.world.anchor)
    # The board comes back: nothing is made anew.
    again = station.passes("ST-A-1")
    assert again["again"] and again["serial"] == first["serial"]
    station.once("ST-A-1")
    states = [r["state"] for r in station.rows() if r["attempt"] == 1]
    assert states == ["scanned", "identified", "admitted", "keyed",
                      "requested", "issued", "stored", "written", "read-back",
                      "proved", "confirmed", "locked", "checked", "recorded",
                      "passed"]


def test_four_at_once_and_what_is_not_there(station):
    station.plug(3)
    labels = "".join(f"f{i} ST-B-{i}\n" for i in range(1, 5))
    p = station.begin("run", "--json", "--once", stdin=-1)
    out, err = p.communicate(labels, timeout=90)
    assert p.returncode == 0, (out, err)
    said = [json.loads(line) for line in out.splitlines()]
    done = {a["device"]: a for a in said if "result" in a}
    assert len(done) == 4
    for i in range(1, 4):
        assert done[f"ST-B-{i}"]["result"] == "passed", done
        station.once(f"ST-B-{i}")
    assert done["ST-B-4"]["reason"] == "no-port"
    assert done["ST-B-4"]["exit"] == 20
    assert said[-1]["passed"] == 3 and said[-1]["failed"] == 1
    status = json.loads(run(*station.argv("status", "--json")).stdout)
    assert status["passed"] == 3 and status["failed"] == 1


def test_a_gang_of_boards_by_one_label(station):
    station.plug(4)
    p = station.begin("run", "--json", "--once", stdin=-1)
    out, err = p.communicate("ST-G-0099+3\n", timeout=90)
    assert p.returncode == 0, (out, err)
    for n in ("0099", "0100", "0101"):
        station.once(f"ST-G-{n}")


def test_boards_and_labels_that_do_not_belong_together(station):
    station.plug(2)
    station.passes("ST-C-1", "f1")
    # Another board under a label that was used: put aside, and it stays so.
    code, a = station.provision("ST-C-1", "f2")
    assert (code, a["reason"]) == (22, "other-board"), a
    code, a = station.provision("ST-C-1", "f1")
    assert (code, a["reason"]) == (22, "held"), a
    # A board that has its identity, under another label: that stays free.
    code, a = station.provision("ST-C-2", "f1")
    assert (code, a["reason"]) == (21, "key-of-another"), a
    assert a["note"] == "it was made as ST-C-1"
    assert station.certificates("ST-C-2") == []
    station.passes("ST-C-2", "f2")
    # Another spelling is another label, and no device of its own.
    code, a = station.provision("st-c-1", "f1")
    assert (code, a["reason"]) == (3, "bad-serial"), a
    code, a = station.provision("ST C 3", "f2")
    assert (code, a["reason"]) == (3, "bad-serial"), a
    station.once("ST-C-1")


def test_a_slip_with_a_label_leaves_what_was_made_as_it_was(station):
    station.plug(2)
    station.passes("ST-S-1", "f1")
    station.passes("ST-S-2", "f2")
    code, a = station.provision("ST-S-1", "f2")  # the neighbour's board
    assert (code, a["reason"]) == (21, "key-of-another"), a
    assert a["note"] == "it was made as ST-S-2"
    code, a = station.provision("ST-S-1", "f3")  # no board at all
    assert (code, a["reason"]) == (20, "no-port"), a
    status = json.loads(run(*station.argv("status", "--json")).stdout)
    assert (status["passed"], status["failed"]) == (2, 0), status
    # a blank board gets no label twice: that is a supervisor's matter
    station.unplug()
    station.blank(2)
    station.plug(2)
    code, a = station.provision("ST-S-1", "f2")
    assert (code, a["reason"]) == (22, "other-board"), a
    status = json.loads(run(*station.argv("status", "--json")).stdout)
    assert (status["passed"], status["quarantined"]) == (1, 1), status


def test_a_board_that_was_repaired(station):
    """It lost its flash, key and all: a supervisor must look."""
    station.plug(1)
    station.passes("ST-D-1")
    station.unplug()
    station.blank(1)
    station.plug(1)
    code, a = station.provision("ST-D-1")
    assert (code, a["reason"]) == (22, "key-gone"), a
    code, a = station.provision("ST-D-1")
    assert (code, a["reason"]) == (22, "held"), a
    # He lets it be tried again; whether it may is the centre's to say.
    run(*station.argv("release", "--serial", "ST-D-1"))
    code, a = station.provision("ST-D-1")
    assert (code, a["reason"]) == (22, "in-the-field"), a
    (cert,) = station.certificates("ST-D-1")
    station.world.cli("cert", "revoke", cert["serial"], "--reason",
                      "superseded")
    run(*station.argv("release", "--serial", "ST-D-1"))
    again = station.passes("ST-D-1")
    assert again["serial"] != cert["serial"] and not again["again"]
    p = run(*station.argv("release", "--serial", "ST-D-1"), check=False)
    assert p.returncode == 5 and "passed" in p.stderr, p
    run(*station.argv("scrap", "--serial", "ST-D-1"))
    code, a = station.provision("ST-D-1")
    assert (code, a["reason"]) == (22, "held"), a


def test_silence(station):
    station.plug(1)
    station.sim.send_signal(signal.SIGSTOP)
    code, a = station.provision("ST-E-1")
    station.sim.send_signal(signal.SIGCONT)
    assert (code, a["reason"]) == (20, "no-answer"), a
    station.passes("ST-E-1")
    station.once("ST-E-1")


def test_power_cuts(station):
    station.plug(1, "-c", "5000", "-o", "60", "-s", "5")
    for _ in range(20):
        code, a = station.provision("ST-F-1")
        if code == 0:
            break
        assert code == 20, a
    assert code == 0
    station.once("ST-F-1")


def test_the_clock_goes_back_a_year(station):
    station.plug(1)
    station.passes("ST-OC-1")
    station.unplug()
    station.blank(1)
    station.plug(1)
    code, a = station.provision("ST-J-2", env=faketime("-1y"))
    assert (code, a["reason"]) == (1, "clock"), a
    assert station.certificates("ST-J-2") == []
    station.passes("ST-J-2")
    station.once("ST-J-2")


def test_the_centre_is_away(station):
    station.plug(1)
    text = station.conf.read_text()
    station.conf.write_text(text.replace(str(station.world.operators), "9")
                            .replace("patience = 5s", "patience = 1s"))
    code, a = station.provision("ST-H-1")
    assert (code, a["reason"]) == (7, "centre-away"), a
    station.conf.write_text(text)
    station.passes("ST-H-1")


def test_a_station_that_the_centre_does_not_know(station):
    station.plug(1)
    (row,) = [k for k in station.world.rest("GET", "/keys").json["items"]
              if k["name"] == station.name]
    station.world.rest("POST", f"/keys/{row['id']}/revoke", {})
    code, a = station.provision("ST-I-1")
    assert (code, a["reason"]) == (1, "station-refused"), a


def test_what_is_missing_is_named(station):
    conf = station.conf.read_text()
    for line, why in (('anchor = "none.crt"', "anchor, the centre's root.crt"),
                      ('key = "none.key"', "mintmark-station enrol")):
        key = line.split()[0]
        station.conf.write_text(line + "\n" + "\n".join(
            x for x in conf.splitlines() if x.split()[:1] != [key]) + "\n")
        p = run(*station.argv("provision", "--serial", "ST-W-1", "--fixture",
                              "f1"), check=False)
        assert p.returncode == 4 and why in p.stderr, p.stderr
    p = run(*station.argv("provision", "--serial", "--fixture", "f1"),
            check=False)
    assert p.returncode == 2 and '"--serial" is unknown' in p.stderr


def test_a_credential_that_can_do_more(station):
    """A line's is what a station has, and no other."""
    (row,) = [k for k in station.world.rest("GET", "/keys").json["items"]
              if k["name"] == station.name]
    station.world.rest("POST", f"/keys/{row['id']}/revoke", {})
    p = run(*station.argv("enrol"), check=False)
    assert p.returncode == 7 and "--role line --product thermo" in p.stdout
    for f in ("key", "crt"):
        (station.dir / f"station.{f}").unlink()
    run(*station.argv("enrol"), check=False)
    station.world.cli("key", "create", station.name + "-op", "--role",
                      "operator", "--certificate",
                      station.dir / "station.crt")
    p = run(*station.argv("enrol"), check=False)
    assert p.returncode == 3 and "role line alone" in p.stderr, p.stderr
    (station.dir / "station.key").chmod(0o644)
    p = run(*station.argv("enrol"), check=False)
    assert p.returncode != 0 and "station.key" in p.stderr, p.stderr


def test_its_journal_is_locked_torn_and_damaged(station, hostile_input):
    station.plug(1)
    station.passes("ST-J-1")
    journal = station.dir / "state/journal"
    good = journal.read_bytes()
    # Torn at every byte of the last row: that row was never acted upon.
    last = good.rindex(b"\n", 0, -1) + 1
    for cut in (last + 1, last + 40, len(good) - 1):
        journal.write_bytes(good[:cut])
        assert station.passes("ST-J-1")["again"]
    station.once("ST-J-1")
    # Damage in the middle is not guessed away.
    journal.write_bytes(good[:100] + b"x" + good[101:])
    code, a = station.provision("ST-J-1")
    assert code == 3 and "damaged" in a["detail"], a
    # Two programs at one journal: the second says so.
    journal.write_bytes(good)
    p = station.begin("run", stdin=-1)
    assert "f1" in p.stdout.readline()
    code, a = station.provision("ST-J-1")
    assert code == 5, a
    p.terminate()
    p.communicate(timeout=20)


@pytest.fixture
def program(centre, tmp_path, hostile_input):
    """A station whose fixture is a program, and the board's folder."""
    board = tmp_path / "board"
    board.mkdir()
    here = pathlib.Path(__file__).with_name("exec_board.py")
    s = Station(centre, tmp_path / "station", f"line-{next(NUMBERS)}", n=0,
                more=f'fixture "f1" {{\n\tdriver = exec\n\tport = "{board}"\n'
                     f'\tlimit = "4s"\n\tprogram = {{"/usr/bin/python3", '
                     f'"{here}"}}\n}}\n')
    yield s, board


def test_a_program_makes_a_board(program):
    station, board = program
    station.passes("ST-X-1")
    station.once("ST-X-1")
    assert station.fact("ST-X-1", "firmware") == "exec 1"
    assert (board / "locked").exists()
    assert station.passes("ST-X-1")["again"]


WORKS = '{"result":"done","tool":"flash\x1btool","version":"4.7"}'
FAILS = ('{"result":"failed","reason":"selftest-failed",'
         '"note":"no adapter: \\u001b[2Jplug it in"}')


def test_a_program_is_asked_whether_it_works(program):
    station, board = program
    tool = board / "tool"

    def ask(*more):
        p = run(*station.argv("selftest", "--json", *more), check=False)
        return p.returncode, json.loads(p.stdout)

    # One that does not know the question, answers otherwise, or nothing.
    unknown = 0, {"fixture": "f1", "selftest": "silent"}
    assert ask() == unknown
    for text in ('{"result":"failed","note":"unknown step"}', "",
                 '{"result":"done"}', '{"result":"failed","reason":"no-port"}'):
        tool.write_text(text)
        assert ask() == unknown, text
    tool.write_text(WORKS.replace("\x1b", "\\u001b"))
    assert ask("--fixture", "f1") == (0, {
        "fixture": "f1", "selftest": "works", "tool": "flash?tool",
        "version": "4.7"})
    asked = json.loads((board / "asked").read_text().splitlines()[0])
    assert {k: asked[k] for k in ("v", "step", "fixture", "port", "serial")} \
        == {"v": 1, "step": "selftest", "fixture": "f1", "port": str(board),
            "serial": ""}
    tool.write_text(FAILS)
    code, told = ask()
    assert (code, told["selftest"], told["reason"], told["exit"]) == \
        (20, "failed", "selftest-failed", 20)
    assert told["selftest_note"] == "no adapter: ?[2Jplug it in"
    p = run(*station.argv("selftest"), check=False)
    assert p.returncode == 20 and "tool or adapter does not work" in p.stdout
    station.conf.write_text(station.conf.read_text()
                            .replace('limit = "4s"', 'limit = "1s"'))
    tool.write_text("hang")
    code, told = ask()
    assert (code, told["reason"]) == (20, "driver-late")
    p = run(*station.argv("selftest", "--fixture", "f9"), check=False)
    assert p.returncode == 2 and "f9" in p.stderr


def test_a_fixture_whose_program_does_not_work_gets_no_label(program):
    station, board = program
    tool = board / "tool"
    tool.write_text(FAILS)
    with open(station.conf, "a") as f:
        f.write('screen = "127.0.0.1:0"\n')
    with Running(station) as r:
        def fixture():
            return r.status()["fixtures"][0]

        until(lambda: fixture().get("reason") == "selftest-failed")
        is_now = fixture()
        assert (is_now["tile"], is_now["board"], is_now["selftest"]) == \
            ("empty", False, "failed"), is_now
        a = r.call("POST", "/api/v1/units?wait=60", {"serial": "ST-T-1"})
        assert "no-fixture-free" in json.dumps(a.json), a.json
        # Who names it is told why, after it was asked once more.
        a = r.call("POST", "/api/v1/units?wait=60",
                   {"serial": "ST-T-1", "fixture": "f1"})
        assert a.json["reason"] == "selftest-failed", a.json
        p = run(*station.argv("selftest"), check=False)
        assert p.returncode == 5, p
        tool.write_text(WORKS.replace("\x1b", "-"))
        a = r.call("POST", "/api/v1/units?wait=60",
                   {"serial": "ST-T-1", "fixture": "f1"})
        assert a.json["result"] == "passed", a.json
        assert (fixture()["selftest"], fixture()["tool"]) == \
            ("works", "flash-tool")
    assert "event=fixture.selftest" in r.log.read_text()


@pytest.mark.parametrize("mood, code, reason", [
    ("put hang", 20, "driver-late"), ("csr flood", 20, "driver-failed"),
    ("hello garbage", 20, "driver-failed"), ("put fail", 20, "no-room"),
    ("prove lie", 20, "bad-proof"), ("lock status", 20, "driver-failed")])
def test_a_program_that_misbehaves(program, mood, code, reason):
    station, board = program
    serial = "ST-Y-" + mood.replace(" ", "-")
    (board / "mood").write_text(mood)
    got, a = station.provision(serial)
    assert (got, a["reason"]) == (code, reason), a
    if mood.endswith("hang"):
        child = int((board / "child").read_text())
        assert not alive(child)
    (board / "mood").unlink()
    station.passes(serial)
    station.once(serial)


def test_configurations_that_are_none(program):
    station, _ = program
    good = station.conf.read_text()
    for was, now, word in (
            ('"/usr/bin/python3"', '"python3"', "whole path"),
            ("driver = exec", "driver = jtag", "driver"),
            ("https://", "http://", "centre"),
            ("product = thermo", "produkt = thermo", "produkt")):
        station.conf.write_text(good.replace(was, now))
        got, a = station.provision("ST-Z-1")
        assert got == 2 and word in a["detail"], a


def crc_row(n, **more):
    """A row of the journal as the station writes it."""
    row = json.dumps({"n": n, "at": "2026-11-01T00:00:00.000Z", **more,
                      "crc": "00000000"}, separators=(",", ":"))
    return row.replace('"crc":"00000000"',
                       f'"crc":"{zlib.crc32(row.encode()):08x}"') + "\n"


def test_a_long_journal_is_begun_anew(station):
    """What is over is known by its record, what is not stays."""
    station.plug(1)
    first = station.passes("ST-K-1")
    journal = station.dir / "state/journal"
    rows, n = station.rows(), len(station.rows())
    more = [crc_row(n + 1 + i, serial=f"ST-K-held-{i}", attempt=1,
                    state="quarantined", reason="other-key")
            for i in range(3)]
    more += [crc_row(n + 4 + i, serial="ST-K-busy", fixture="f1",
                     attempt=i + 1, state="scanned") for i in range(9000)]
    with journal.open("a") as f:
        f.write("".join(more))
    status = json.loads(run(*station.argv("status", "--json")).stdout)
    assert status["passed"] == 1 and status["quarantined"] == 3
    again = station.passes("ST-K-1")
    assert again["again"] and again["serial"] == first["serial"]
    new = station.rows()
    assert journal.stat().st_size < 20000 and new[0]["n"] > n + 9003
    assert {(r["serial"], r["state"]) for r in new[:4]} == {
        ("ST-K-busy", "interrupted"), ("ST-K-held-0", "quarantined"),
        ("ST-K-held-1", "quarantined"), ("ST-K-held-2", "quarantined")}
    assert [r["n"] for r in new] == list(range(new[0]["n"],
                                               new[0]["n"] + len(new)))
    # It knew the unit by its record: its next attempt is the second.
    assert new[4]["attempt"] == rows[0]["attempt"] + 1
    (old,) = journal.parent.glob("journal.*")
    assert len(old.read_text().splitlines()) == new[0]["n"] - 1
    after = json.loads(run(*station.argv("status", "--json")).stdout)
    assert after["passed"] == 1 and after["interrupted"] == 1
    code, a = station.provision("st-k-1")
    assert (code, a["reason"]) == (3, "bad-serial"), a
