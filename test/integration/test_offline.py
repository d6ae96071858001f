"""A station without a network: the same states and records as with one, by
its own signer and a work order."""
import ctypes
import hashlib
import itertools
import json
import pathlib
import shutil

import pytest

from offline import Centre, Offline, fails_signed, orders, stopped_centre
from screen import Running
from world import MINT, World, run
from world import until as wait_until

LEAKS = True
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def centre():
    with stopped_centre() as c:
        yield c


@pytest.fixture
def station(centre, tmp_path):
    s = Offline(centre, tmp_path / "station", f"off-{next(NUMBERS)}")
    try:
        yield s
    finally:
        s.close()


def test_a_unit_passes_without_a_centre(station):
    assert station.takes(share=2)["share"] == 2
    station.plug()
    first = station.passes("SN-01")
    assert not first["again"]
    line = station.once("SN-01")
    assert line["serial"] == first["serial"]
    facts = {k: v["value"] for k, v in
             station.record("SN-01")["facts"].items()}
    assert (facts["batch"], facts["station"], facts["order"]) == (
        "b7", station.name, "b7 1")
    # as the kernel says; 5: TIME_ERROR (adjtimex(2)), nothing sets the clock
    kernel = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    unsure = kernel == 5 or kernel < 0
    assert facts["time_source"] == ("unsynchronised" if unsure else "system")
    # a test order's board stays open, though station.conf locks
    assert facts["confirmed_at"] and facts["lock_state"] == "open"
    # The board comes back: nothing is made anew, nothing is counted.
    again = station.passes("SN-01")
    assert again["again"] and again["serial"] == first["serial"]
    station.once("SN-01")
    assert station.counted() == 1
    states = [r["state"] for r in station.rows() if r["attempt"] == 1]
    assert states == ["scanned", "identified", "admitted", "keyed",
                      "requested", "issued", "stored", "written", "read-back",
                      "proved", "confirmed", "checked", "recorded", "passed"]


def test_more_units_by_a_line_that_is_scanned(centre, tmp_path):
    s = Offline(centre, tmp_path / "station", "extended", n=2)
    until = "2099-01-01T00:00:00Z"
    try:
        s.conf.write_text('screen = "127.0.0.1:0"\n' + s.conf.read_text())
        s.takes(share=1)
        s.plug()
        good = centre.extension("b7", s.name, 1, 2, until)
        other = centre.extension("b7", "another", 1, 9, until)
        with Running(s) as r:
            def unit(serial, fixture):
                a = r.call("POST", "/api/v1/units?wait=60",
                           {"serial": serial, "fixture": fixture}).json
                return a["result"], a.get("reason")

            assert unit("SN-01", "f1") == ("passed", None)
            assert unit("SN-02", "f2") == ("failed", "quota-gone")
            for text in (other, good[:-1], good):
                a = r.call("POST", "/api/v1/scan", {"text": text})
                assert a.status == 202, a.json
            assert unit("SN-02", "f2") == ("passed", None)
            wait_until(lambda: r.status()["counters"]["of"] == 2)
            # it keeps the signer: who wants it, too, is told so, once
            p = run(*s.argv("export", "--out", s.dir / "x"), check=False)
            assert p.returncode == 5 and "end that first" in p.stderr
            assert p.stderr.count("signer.failed") == 1, p.stderr
            out = r.end()
        said = [json.loads(x) for x in out.splitlines()]
        assert [x for x in said if "order" in x] == [{"order": "extended"}]
        assert [x["code"] for x in said if "code" in x] == \
            ["bad-extension"] * 2
        status = json.loads(run(*s.argv("status", "--json")).stdout)
        assert (status["order"]["share"], status["order"]["until"]) == (
            2, "2099-01-01T00:00:00.000Z")
    finally:
        s.close()


def test_what_is_shown(station):
    # a folder that is not there is not one where nothing was made
    p = run(*station.argv("status"), check=False)
    assert p.returncode == 4 and p.stdout == "", p
    assert "No such file" in p.stderr and "before the first unit" in p.stderr
    (station.dir / "state").write_text("")
    p = run(*station.argv("status"), check=False)
    assert p.returncode == 2 and "no folder" in p.stderr, p
    (station.dir / "state").unlink()
    (station.dir / "state").mkdir()
    text = run(*station.argv("status")).stdout  # before its first unit
    assert text.split() == ["passed", "0", "failed", "0"]
    code, a = station.provision("SN-01")
    assert (code, a["reason"]) == (20, "no-port")
    p = run(*station.argv("status", "--json"))
    assert json.loads(p.stdout)["order"] is None
    station.plug()
    code, a = station.provision("SN-01")
    assert (code, a["reason"]) == (1, "no-order"), a
    station.takes(share=2)
    station.passes("SN-01")
    order = json.loads(run(*station.argv("status", "--json")).stdout)["order"]
    assert (order["batch"], order["number"], order["share"],
            order["counted"], order["level"], order["may"]) == (
        "b7", 1, 2, 1, "software", True)
    text = run(*station.argv("status")).stdout
    assert "b7" in text and "1 of 2" in text and "software" in text


def test_the_order_is_the_limit(station):
    station.takes(share=1)
    station.plug()
    code, a = station.provision("SN-77")
    assert (code, a["reason"]) == (3, "bad-serial"), a
    station.passes("SN-01")
    station.unplug()
    station.blank(1)
    station.plug()
    code, a = station.provision("SN-02")
    assert (code, a["reason"]) == (1, "quota-gone"), a
    assert station.counted() == 1 == len(station.signed())
    last = hashlib.sha256(text_of(station)).hexdigest()
    station.takes(number=2, previous=last, share=2)
    station.passes("SN-02")
    station.once("SN-02")
    last = hashlib.sha256(text_of(station)).hexdigest()
    station.takes(number=3, previous=last, share=2, state="paused")
    station.unplug()
    station.blank(1)
    station.plug()
    code, a = station.provision("SN-03")
    assert (code, a["reason"]) == (3, "order") and "paused" in a["note"], a


def text_of(station):
    note = json.loads((station.dir / "order.json").read_text())["order"]
    return note.rpartition("\n\n")[0].encode() + b"\n"


def test_a_board_that_was_signed_for_passes_when_all_are_made(station):
    station.takes(share=1)
    station.plug()
    code, a = station.provision("SN-01", env={"MINTMARK_DIE_AT": "row:7"})
    if code == 0:
        pytest.skip("needs a build with -Dfaults=true")
    station.passes("SN-01")
    station.once("SN-01")
    assert station.counted() == 1


def test_another_key_is_another_pair(station):
    """The repaired board: a supervisor's word, and it counts."""
    station.takes(share=2)
    station.plug()
    station.passes("SN-01")
    station.unplug()
    station.blank(1)
    station.plug()
    code, a = station.provision("SN-01")
    assert (code, a["reason"]) == (22, "key-gone"), a
    run(*station.argv("release", "--serial", "SN-01"))
    station.passes("SN-01")
    assert station.counted() == 2


def test_a_developers_board_is_flashed_over_and_over(station):
    """on_conflict = replace, as test orders alone may say."""
    station.takes(share=3, on_conflict="replace")
    seen = set()
    for _ in range(3):
        station.plug()
        seen.add(station.passes("SN-01")["serial"])
        station.unplug()
        station.blank(1)
    assert len(seen) == station.counted() == 3
    station.plug()
    code, a = station.provision("SN-01")  # each key is a pair
    assert (code, a["reason"]) == (1, "quota-gone"), a


# ---- orders that are none ----

def refused(station, order, what, status):
    p = station.give(order)
    assert p.returncode == status and what in p.stdout, (p.returncode,
                                                          p.stdout)
    assert not (station.dir / "state/orders").exists()


def test_orders_that_are_none(station, centre, tmp_path):
    order = centre.order(station)
    for n in (0, 1, len(order) // 2, len(order) - 1):
        refused(station, order[:n], "copy it again", 2)
    refused(station, order.replace(r'\"share\":3', r'\"share\":4'),
            "does not hold", 3)
    refused(station, order.replace("lifetime", "lifetimf"), "", 2)
    other = Offline(centre, tmp_path / "other", "off-else")
    refused(station, centre.order(other), "is for station off-else", 3)
    phrase = station.own.dir / "pass"
    phrase.chmod(0o644)
    refused(station, order, "others may read the passphrase", 3)
    phrase.chmod(0o600)
    station.takes(number=5)
    for n in (4, 1):
        p = station.give(centre.order(station, number=n))
        assert p.returncode == 3 and "older than 5" in p.stdout
    assert station.give(centre.order(
        station, number=5, share=9)).returncode == 3


def test_an_order_of_another_centre(station, tmp_path):
    with World() as other:
        other.start().product()
        theirs = Centre(other)
        other.stop()
        order = theirs.order(station)
        refused(station, order, "sign", 3)


def test_an_order_that_has_ended(station):
    import time
    now = time.time()
    station.takes(not_before=orders.stamp(now - 7200),
                  until=orders.stamp(now - 3600))
    station.plug()
    code, a = station.provision("SN-01")
    assert (code, a["reason"]) == (3, "order") and "ended at" in a["note"]
    assert station.counted() == 0


def test_the_order_names_a_recipe(centre, tmp_path):
    """By its name alone: what runs is what the station has installed."""
    s = Offline(centre, tmp_path / "station", f"off-{next(NUMBERS)}", n=0)
    board = tmp_path / "board"
    board.mkdir()
    here = pathlib.Path(__file__).with_name("exec_board.py")
    program = f'program = {{"/usr/bin/python3", "{here}"}}'
    plain = s.conf.read_text() + \
        f'fixture "f1" {{\n\tdriver = exec\n\tport = "{board}"\n}}\n'
    other = plain + f'recipe "other" {{\n\t{program}\n}}\n'

    def told(conf, serial="SN-01"):
        s.conf.write_text(conf)
        code, a = s.provision(serial)
        return code, a.get("reason", a.get("detail"))

    assert "or recipes" in told(plain)[1]
    assert "duplicate" in told(other + 'recipe "other" {\n}\n')[1]
    assert "whole path" in told(other + 'recipe "x" {\n\tprogram = {"x"}\n}\n'
                                )[1]
    s.conf.write_text(other)
    s.takes(share=2, recipe="esp")
    for conf in (other, other + 'recipe "esp" {\n}\n'):
        assert told(conf) == (1, "no-recipe")
        assert s.counted() == 0
    s.conf.write_text(other)
    order = json.loads(run(*s.argv("status", "--json")).stdout)["order"]
    assert order["no_recipe"] == "esp", order
    assert 'recipe "esp" {}' in run(*s.argv("status")).stdout
    s.conf.write_text(other + f'recipe "esp" {{\n\t{program}\n}}\n')
    (board / "tool").write_text('{"result":"done","tool":"t"}')
    p = run(*s.argv("selftest", "--json"))
    assert json.loads(p.stdout)["tool"] == "t"
    asked = json.loads((board / "asked").read_text().splitlines()[0])
    assert asked["recipe"] == "esp"
    s.passes("SN-01")
    assert s.counted() == 1
    order = json.loads(run(*s.argv("status", "--json")).stdout)["order"]
    assert "no_recipe" not in order, order
    # an order that names none has no program for this fixture
    s.takes(share=2, number=3)
    code, a = s.provision("SN-02")
    assert (code, a["reason"]) == (1, "no-recipe"), a


def test_a_signer_that_does_not_start(station):
    """The technician is told to stop; why, the log and status say."""
    station.takes(share=1)
    station.plug()
    own = station.dir / "own"

    def told(path, text, status, words):
        was = path.read_bytes()
        path.unlink()
        if text is not None:
            path.write_text(text)
            path.chmod(0o600)
        code, a = station.provision("SN-01")
        assert (code, a["reason"]) == (1, "signer"), a
        assert "signer does not" in a["what"] and "call" in a["to_do"], a
        assert f"does not start ({status})" in a["note"], a
        assert words in a["note"], a
        order = json.loads(run(*station.argv("status", "--json")).stdout)
        assert words in order["order"]["why"], order
        path.write_bytes(was)
        path.chmod(0o600)

    told(own / "pass", "another passphrase\n", 8, "wrong passphrase")
    told(own / "pass", None, 4, "a file is missing")
    told(own / "signer/keys/station.key", None, 4, "a file is missing")
    told(own / "signer/keys/station.key", "no key\n", 4, "a file is missing")
    told(pathlib.Path(station.own.conf), "name = {\n", 2, "cannot be read")
    station.passes("SN-01")
    station.once("SN-01")


# ---- the network comes and goes ----

def test_the_network_goes_and_the_station_goes_on(centre, tmp_path):
    world = centre.world
    world.start()
    s = None
    try:
        s = Offline(centre, tmp_path / "station", "away", n=1,
                    mode="when-away")
        world.stop()
        s.takes(share=2)
        text = s.conf.read_text()
        s.conf.write_text(text.replace("patience = 5s", "patience = 1s"))
        world.start()
        s.plug()
        s.passes("ON-1")  # online: the order does not even have it
        assert s.counted() == 0 and not s.signed()
        assert s.rows()[-1]["by"] == "centre"
        world.stop()
        s.unplug()
        s.blank(1)
        s.plug()
        a = s.passes("SN-01")
        assert not a["again"]
        s.once("SN-01")
        assert s.rows()[-1]["by"] == "station"
        # the network is back, the board too: it stays the station's
        world.start()
        assert s.passes("SN-01")["serial"] == a["serial"]
        s.once("SN-01")
        assert s.certificates("SN-01") == []
    finally:
        if s:
            s.close()
        world.stop()


def test_who_was_asked_at_the_centre_waits_for_it(centre, tmp_path):
    """Its answer may be all that was lost: no second certificate."""
    world = centre.world
    world.start()
    s = None
    try:
        s = Offline(centre, tmp_path / "station", "asked", n=1,
                    mode="when-away")
        world.stop()
        s.takes(serials="AS-{1..5}")
        text = s.conf.read_text()
        s.conf.write_text(text.replace("patience = 5s", "patience = 1s"))
        world.start()
        s.plug()
        code, a = s.provision("AS-1", env={"MINTMARK_DIE_AT": "rowed:6"})
        if code == 0:
            pytest.skip("needs a build with -Dfaults=true")
        world.stop()
        code, a = s.provision("AS-1")
        assert (code, a["reason"]) == (7, "centre-away"), a
        assert not s.signed()
        world.start()
        s.passes("AS-1")
        (cert,) = s.certificates("AS-1")
        assert cert["state"] == "confirmed" and not s.signed()
    finally:
        if s:
            s.close()
        world.stop()


def test_a_stick_for_the_centre(station):
    station.takes(share=3)
    station.plug()
    station.passes("SN-01")
    head, *lines, end = station.export()
    assert head["station"] == station.name and head["v"] == 1
    assert end["size"] == len(lines) == 3
    issued, confirmed = lines[1:]
    proof = confirmed["proof"]
    assert hashlib.sha256(proof.encode()).hexdigest() == json.loads(
        confirmed["entry"])["detail_sha256"]
    assert json.loads(proof)["device"] == "SN-01"
    import base64
    assert hashlib.sha256(base64.b64decode(
        issued["certificate"])).hexdigest() == json.loads(
        issued["entry"])["cert_sha256"]


# ---- one order after another ----

def text_sha(station):
    return hashlib.sha256(text_of(station)).hexdigest()


def line_check(station, *orders):
    path = station.dir / "export.jsonl"
    p = run(MINT, "--json", "line", "check", path, *orders, "--key",
            station.ledger_key, check=False)
    return p.returncode, [json.loads(x) for x in p.stdout.splitlines()]


def second_order(station):
    """Batch b8 after what was made of b7; both orders as files."""
    one, two = station.dir / "one.json", station.dir / "two.json"
    shutil.copy(station.dir / "order.json", one)
    station.takes(number=2, previous=text_sha(station), batch="b8",
                  serials="TN-{01..05}", share=2)
    shutil.copy(station.dir / "order.json", two)
    return one, two


def made(station, serial, **more):
    station.unplug()
    station.blank(1)
    station.plug()
    return station.passes(serial, **more)


def test_the_ledger_has_what_two_orders_made(station):
    station.takes(share=2)
    station.plug()
    station.passes("SN-01")
    orders_given = second_order(station)
    made(station, "TN-01")
    station.once("TN-01")
    issued = [x for x in station.export() if "certificate" in x]
    assert [json.loads(x["entry"])["batch"] for x in issued] == ["b7", "b8"]
    code, out = line_check(station, *orders_given)
    assert code == 0 and out[-1]["issued"] == 2, out
    station.once("SN-01")


@pytest.mark.parametrize("place", ["answered:1", "journalled:1"])
def test_killed_between_two_orders(station, place):
    """Signed for the first, and not in the ledger when the second comes."""
    station.takes(share=2)
    station.plug()
    code, a = station.provision("SN-01", env={"MINTMARK_DIE_AT": place})
    if code == 0:
        pytest.skip("needs a build with -Dfaults=true")
    assert [x["device"] for x in station.signed()] == ["SN-01"]
    orders_given = second_order(station)
    made(station, "TN-01")
    issued = station.entries("certificate.issued")
    assert [(e["device"], e["batch"], e["authority"]) for e in issued] == [
        ("SN-01", "b7", "order:b7:1"), ("TN-01", "b8", "order:b8:2")]
    assert {e["serial"] for e in issued} == {
        x["serial"] for x in station.signed()}
    code, out = line_check(station, *orders_given)
    assert code == 0 and out[-1]["issued"] == 2, out


# ---- what is scrapped ----

def scrap(station, serial, *more):
    p = run(*station.argv("scrap", "--serial", serial, *more), check=False)
    return p.returncode, p.stdout + p.stderr


def decisions(station):
    path = station.dir / "state/decisions"
    return [json.loads(x) for x in path.read_text().splitlines()] \
        if path.exists() else []


def test_what_is_scrapped_makes_room_within_the_allowance(station):
    station.takes(share=2, scrap=1)
    for n in (1, 2):
        fails_signed(station, f"SN-0{n}", n)
    station.unplug()
    station.blank(1)
    station.plug()
    code, a = station.provision("SN-03")
    assert (code, a["reason"]) == (1, "quota-gone"), a
    assert scrap(station, "SN-01")[0] == 0
    station.passes("SN-03")
    station.once("SN-03")
    order = json.loads(run(*station.argv("status", "--json")).stdout)["order"]
    assert (order["share"], order["counted"]) == (3, 3), order
    # more is somebody's to decide, who says why, and makes no room
    code, said = scrap(station, "SN-02")
    assert code == 3 and "over the allowance" in said, said
    code, said = scrap(station, "SN-02", "--over-allowance")
    assert code == 2 and "say the reason" in said, said
    assert station.rows()[-1]["serial"] == "SN-03" and not decisions(station)
    code, said = scrap(station, "SN-02", "--over-allowance", "--reason",
                       "cracked")
    assert code == 0, said
    (made,) = decisions(station)
    assert (made["decision"], made["device"], made["reason"]) == (
        "scrap-over", "SN-02", "cracked")
    station.unplug()
    station.blank(1)
    station.plug()
    code, a = station.provision("SN-04")
    assert (code, a["reason"]) == (1, "quota-gone"), a
    # what has proved its identity is the centre's, and makes no room either
    code, said = scrap(station, "SN-03")
    assert code == 0 and "mintmark batch scrap b7 SN-03" in said, said
    code, a = station.provision("SN-04")
    assert (code, a["reason"]) == (1, "quota-gone"), a
    scrapped = [x for x in station.journal() if x["kind"] == "scrapped"]
    assert [x["device"] for x in scrapped] == ["SN-01"]
