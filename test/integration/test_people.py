"""People at a station: who stands there by a badge, what a supervisor decides,
with and without the centre; and the badges' texts nowhere."""
import hashlib
import itertools
import json

import pytest

from offline import Offline, stopped_centre
from screen import DOORS, Browser, Running
from station import Station
from test_screen import Terminal, accessible, clean
from world import faketime, run, until, World

LEAKS = True

NUMBERS = itertools.count(1)
SALT = bytes(range(16))
BADGES = {"op-7": "0012345678", "op-8": "B-4711-x", "boss-1": "S 0815 zwei"}
ROLES = {"op-7": "operator", "op-8": "operator", "boss-1": "supervisor"}


def hashed(text):
    """docs/protocol/order.md: Badges."""
    return hashlib.scrypt(text.encode(), salt=SALT, n=16384, r=8, p=1,
                          maxmem=1 << 26, dklen=32).hex()


NOBODYS = "0099887766"  # a badge of another batch, and a label's form
PEOPLE = [{"id": i, "role": ROLES[i], "badge": hashed(BADGES[i])}
          for i in sorted(BADGES)]


def badge_file(station, who, end="\n"):
    path = station.dir.parent / f"badge-{who}"
    path.write_text(BADGES.get(who, who) + end)
    return path


def nowhere(station, text, *more):
    """A text that was scanned and that nobody knows."""
    for path in station.dir.rglob("*"):
        if path.is_file():
            assert text.encode() not in path.read_bytes(), path
    assert not any(text in said for said in more), more


def no_badge(station, *more):
    """Where the station has been, and what it said."""
    looked = 0
    for path in station.dir.rglob("*"):
        if path.is_file():
            looked += 1
            for text in BADGES.values():
                assert text.encode() not in path.read_bytes(), path
    assert looked > 3
    for text in more:
        assert not any(b in text for b in BADGES.values()), text


def decisions(station):
    text = (station.dir / "state/decisions").read_text()
    return [json.loads(line) for line in text.splitlines()]


def command(station, *argv, **more):
    p = run(*station.argv(*argv), check=False, **more)
    return p.returncode, p.stdout + p.stderr


def make(station, serial, *more, **kw):
    code, out = command(station, "provision", "--serial", serial, "--fixture",
                        "f1", "--json", *more, **kw)
    return code, json.loads(out.splitlines()[0])


def other_board(station):
    station.unplug()
    station.blank(1)
    station.plug()


@pytest.fixture(scope="module")
def world():
    with World() as w:
        yield w.start().product()


@pytest.fixture
def station(world, tmp_path):
    """One whose batch names people, and that it alone makes."""
    k = next(NUMBERS)
    s = Station(world, tmp_path / "station", f"crew-{k}", n=2, more=DOORS)
    key, = [x["id"] for x in world.rest("GET", "/keys").json["items"]
            if x["name"] == s.name]
    assert world.rest("POST", "/stations", {
        "id": s.name, "key": key}).status == 201
    s.batch, s.serials = f"crew-{k}", [f"P{k}-{i}" for i in range(1, 10)]
    a = world.rest("POST", "/batches", {
        "id": s.batch, "product": "thermo", "quantity": 9,
        "serials": f"P{k}-{{1..9}}", "until": "2030-01-01T00:00:00Z",
        "shares": [{"station": s.name, "share": 9}], "badge_salt": SALT.hex(),
        "people": PEOPLE})
    assert a.status == 201, a
    s.conf.write_text(f"batch = {s.batch}\n" + s.conf.read_text())
    try:
        yield s
    finally:
        s.close()


def test_an_operator_for_one_unit(station):
    station.plug()
    one, two = station.serials[:2]
    code, a = make(station, one)
    assert (code, a["reason"]) == (3, "no-operator"), a
    code, a = make(station, one, "--operator-badge-file",
                   badge_file(station, "nobody's"))
    assert (code, a["error"]) == (3, "not-allowed"), a
    code, a = make(station, one, "--operator-badge-file",
                   badge_file(station, "op-7"))
    assert code == 0, a
    assert station.record(one)["facts"]["operator"] == {
        "grade": "observed", "value": "op-7"}
    # from standard input, and a supervisor can do what an operator can
    other_board(station)
    code, a = make(station, two, "--operator-badge-file", "-",
                   input=BADGES["boss-1"])
    assert code == 0 and station.fact(two, "operator") == "boss-1"
    assert station.rows()[0]["serial"] == one
    no_badge(station)
    kept = station.dir / f"state/people-{station.batch}"
    assert kept.stat().st_mode & 0o777 == 0o600


def test_the_people_are_known_without_the_centre(station, world):
    """They are asked for once; not who else the centre has."""
    station.plug()
    code, a = make(station, station.serials[0])
    assert a["reason"] == "no-operator"
    station.conf.write_text(station.conf.read_text().replace(
        f"localhost:{world.operators}", "localhost:9").replace(
        "patience = 5s", "patience = 0s"))
    code, a = make(station, station.serials[0])
    assert a["reason"] == "no-operator"
    code, a = make(station, station.serials[0], "--operator-badge-file",
                   badge_file(station, "op-8"))
    assert a["reason"] == "centre-away", a
    # and where they were never heard of, nothing is made
    (station.dir / f"state/people-{station.batch}").unlink()
    code, a = make(station, station.serials[0], "--operator-badge-file",
                   badge_file(station, "op-8"))
    assert code != 0 and a["reason"] == "centre-away", a


def put_aside(station, serial):
    """Another key under the same serial number: a repaired board."""
    station.plug()
    operator = ("--operator-badge-file", badge_file(station, "op-7"))
    assert make(station, serial, *operator)[0] == 0
    other_board(station)
    code, a = make(station, serial, *operator)
    assert code == 22 and a["exit"] == 22, a
    return operator


def test_a_supervisor_lets_a_repaired_board_be_tried(station):
    serial = station.serials[0]
    operator = put_aside(station, serial)
    release = ("release", "--serial", serial, "--json")
    why = ("--reason", "new board, ticket 4711")

    def by(who):
        return "--supervisor-badge-file", badge_file(station, who)

    for more, code, words in (
            ((), 3, "supervisors"), (why, 3, "supervisors"),
            ((*by("op-7"), *why), 3, "want a supervisor's"),
            ((*by("nobody's"), *why), 3, "nobody's"),
            (by("boss-1"), 2, "say the reason"),
            ((*by("boss-1"), "--reason", "x" * 201), 5, "at most")):
        got, out = command(station, *release, *more)
        assert got != 0 and words in out, (more, got, out)
        if code != 5:
            assert got == code, (more, out)
    assert not (station.dir / "state/decisions").exists()
    got, out = command(station, *release, *by("boss-1"), *why)
    assert got == 0, out
    told, = decisions(station)
    assert told.pop("at") and told == {
        "decision": "release", "device": serial, "by": "boss-1",
        "reason": "new board, ticket 4711"}
    code, a = make(station, serial, *operator)
    assert a["reason"] == "in-the-field", a  # what the centre says of it
    got, out = command(station, "scrap", "--serial", serial, *by("boss-1"),
                       "--reason", "burnt")
    assert got == 0 and [d["decision"] for d in decisions(station)] == [
        "release", "scrap"]
    no_badge(station)


def test_no_decision_while_the_people_are_unknown(station, world):
    """Another disk, or the state's copy: that no file names supervisors does
    not make everybody one."""
    serial = station.serials[0]
    put_aside(station, serial)
    kept = station.dir / f"state/people-{station.batch}"
    conf = station.conf.read_text()
    kept.unlink()
    station.conf.write_text(conf.replace(
        f"localhost:{world.operators}", "localhost:9"))
    for word in ("release", "scrap"):
        for more in ((), ("--supervisor-badge-file",
                          badge_file(station, "boss-1"), "--reason", "x")):
            code, out = command(station, word, "--serial", serial, *more)
            assert code == 7 and "not known yet" in out, (code, out)
    assert station.rows()[-1]["state"] == "quarantined"
    assert not (station.dir / "state/decisions").exists()
    # the centre is asked for them; an answer that is not its own is none
    station.conf.write_text(conf.replace(
        f'anchor = "{world.anchor}"',
        f'anchor = "{station.dir}/state/station.crt"'))
    code, out = command(station, "scrap", "--serial", serial)
    assert code != 0 and not kept.exists(), out
    station.conf.write_text(conf)
    code, out = command(station, "scrap", "--serial", serial)
    assert code == 3 and "supervisors" in out, out
    assert kept.exists()


def test_asked_until_they_are_known(station, world):
    """A line that was started before its batch was made."""
    late = f"late-{station.batch}"
    station.conf.write_text(station.conf.read_text().replace(
        f"batch = {station.batch}", f"batch = {late}"))
    station.plug(1)
    with Running(station) as line:
        status = line.status()
        assert status["stopped"]["reason"] == "no-batch", status
        assert status["next"] == {"do": "stop"}
        for text in (NOBODYS, BADGES["boss-1"], "!clock why"):
            line.call("POST", "/api/v1/scan", {"text": text})
        status = line.status()
        assert status["operator"] is status["supervisor"] is None
        assert {f["reason"] for f in status["failures"]} == {"no-batch"}
        assert not any(b in json.dumps(status) for b in (
            NOBODYS, *BADGES.values()))
        a = world.rest("POST", "/batches", {
            "id": late, "product": "thermo", "quantity": 2,
            "serials": f"{late}-{{1..2}}", "until": "2030-01-01T00:00:00Z",
            "shares": [{"station": station.name, "share": 2}],
            "badge_salt": SALT.hex(), "people": PEOPLE})
        assert a.status == 201, a
        until(lambda: line.status()["next"] == {"do": "badge"}, 60)
        assert line.status()["stopped"] is None
        line.call("POST", "/api/v1/scan", {"text": BADGES["op-7"]})
        assert line.status()["operator"] == "op-7"
        log = line.log.read_text()
    no_badge(station, log)
    nowhere(station, NOBODYS)


def test_a_clock_is_right_once(station):
    station.plug(1)
    now = station.dir.parent / "now"
    now.write_text("+30m\n")
    env = {**faketime("+30m"), "FAKETIME_TIMESTAMP_FILE": str(now),
           "FAKETIME_NO_CACHE": "1"}
    del env["FAKETIME"]
    p = station.begin("run", "--json", stdin=-1, stderr=-3, env=env)

    def say(text, **want):
        p.stdin.write(text + "\n")
        p.stdin.flush()
        for line in iter(p.stdout.readline, ""):
            got = json.loads(line)
            if all(got.get(k) == v for k, v in want.items()):
                return
            assert "result" not in got, (got, want)
        raise AssertionError(want)

    label = f"f1 {station.serials[0]}"
    try:
        say(BADGES["op-7"], operator="op-7")
        say(label, result="passed")
        for at in ("+20m", "+10m"):
            now.write_text(at + "\n")
            say(label, result="refused", reason="clock")
            say(BADGES["boss-1"], supervisor="boss-1")
            say("!clock battery changed", supervisor=None)
            say(label, result="passed")
    finally:
        p.stdin.close()
        p.terminate()
        p.wait(20)
        p.stdout.close()
    assert [d["decision"] for d in decisions(station)] == ["clock"] * 2


def test_lines(station, world):
    """As a scanner types them into run."""
    one, two = station.serials[:2]
    station.plug(2)
    with Running(station, "--json", stdin=-1) as line:
        line.p.stdin.write("")
        told = iter(line.p.stdout.readline, "")

        def say(text):
            line.p.stdin.write(text + "\n")
            line.p.stdin.flush()

        def hears(**want):
            for text in told:
                got = json.loads(text)
                if all(got.get(k) == v for k, v in want.items()):
                    return got
            raise AssertionError(want)

        for text in (NOBODYS, f"f1 {NOBODYS}"):
            say(text)
            assert hears(result="refused", reason="no-operator")[
                "device"] == ""
        assert NOBODYS not in json.dumps(line.status())
        say(BADGES["op-7"])
        hears(operator="op-7", supervisor=None)
        # a badge of another batch is no label because somebody is in
        for text in (NOBODYS, f"f1 {NOBODYS}"):
            say(text)
            assert hears(result="refused", reason="bad-serial")[
                "device"] == ""
        say(f"f1 {one}")
        hears(device=one, result="passed")
        say("!release " + one + " why not")
        hears(code="needs-supervisor")
        say(BADGES["op-8"])
        hears(operator="op-8")
        say(BADGES["boss-1"])
        hears(operator="op-8", supervisor="boss-1")
        say(f"f2 {two}")
        hears(device=two, result="passed")
        say(f"!scrap {two}")
        hears(code="no-reason")
        say(f"!release {two} because")
        hears(code="not-decided")
        say("!burn it")
        hears(code="no-such-word")
        say(f"!scrap {two} " + "x" * 201)
        hears(code="reason-too-long")
        say(f"!scrap {two} fell down")
        hears(device=two, result="scrapped")
        say(f"!scrap {one} and this")  # the badge was for that one
        hears(code="needs-supervisor")
        say("!out")
        hears(operator=None, supervisor=None)
        say(f"f1 {one}")
        hears(result="refused", reason="no-operator")
    assert station.fact(one, "operator") == "op-7"
    assert station.fact(two, "operator") == "op-8"
    assert [(d["decision"], d["by"], d["reason"]) for d in
            decisions(station)] == [("scrap", "boss-1", "fell down")]
    no_badge(station)
    nowhere(station, NOBODYS)
    assert world.rest("GET", f"/devices/{NOBODYS}").status == 404


def test_the_api(station):
    serial = station.serials[0]
    put_aside(station, serial)
    key = json.loads(run(*station.argv("api-key", "--name", "mes",
                                       "--json")).stdout)["key"]
    with Running(station) as line:
        def call(path, body):
            return line.call("POST", f"/api/v1/{path}", body, key=key)

        status = line.status()
        assert status["badges"] and status["operator"] is None
        assert status["next"] == {"do": "badge"}
        a = call("units", {"serial": station.serials[1]})
        assert a.status == 409 and a.json["reason"] == "no-operator"
        a = call("badge", {"badge": "guess"})
        assert a.status == 403, a
        a = call("badge", {"badge": BADGES["op-8"]})
        assert a.status == 200 and a.json == {
            "badges": True, "operator": "op-8", "supervisor": None}
        path = f"units/{serial}/release"
        assert call(path, {"badge": BADGES["op-8"],
                           "reason": "x"}).status == 403
        assert call(path, {"badge": BADGES["boss-1"]}).status == 400
        for what in ("scrap", "scrap-over"):
            a = call(f"units/none/{what}", {"badge": BADGES["boss-1"],
                                            "reason": "x"})
            assert a.status == 404, a
            a = call(f"units/{serial}/{what}", {"badge": BADGES["op-8"],
                                                "reason": "x"})
            assert a.status == 403, a
        a = call(path, {"badge": BADGES["boss-1"], "reason": "repaired"})
        assert a.status == 200 and a.json["decision"] == "release", a
        a = call(path, {"badge": BADGES["boss-1"], "reason": "again"})
        assert a.status == 409, a
        # a word wants a scanner at the station itself
        for text in (BADGES["boss-1"], f"!scrap {serial} x", NOBODYS):
            assert call("scan", {"text": text}).status == 202
        status = line.status()
        assert (status["operator"], status["supervisor"]) == (
            "op-8", "boss-1"), status
        log = line.log.read_text()
    assert [d["reason"] for d in decisions(station)] == ["repaired"]
    no_badge(station, log)


def test_in_a_terminal(station):
    station.plug(1)
    t = Terminal(station)
    try:
        t.shows("Scan your badge: Labels are taken after that.")
        t.type(BADGES["op-7"])
        t.shows(" > " + "*" * len(BADGES["op-7"]))
        t.type("\n")
        t.shows("Badged in: op-7")
        t.shows("Scan the label: The board is in f1.")
        t.type(station.serials[0] + "\n")
        t.shows(f" PASS   {station.serials[0]}")
        t.type(BADGES["boss-1"])
        t.shows(" > " + "*" * len(BADGES["boss-1"]))
        t.type("\n")
        t.shows("Supervisor boss-1 may decide")
        t.type(BADGES["op-7"] + "\n")
        t.shows("Nobody is badged in")
    finally:
        assert t.end()
    no_badge(station, t.seen.decode("utf-8", "replace"))
    t = Terminal(station, ())
    try:
        until(lambda: b"ready: scan the label" in t.seen)
        t.type(BADGES["op-7"] + "\n")
        until(lambda: b"badged in: op-7" in t.seen)
    finally:
        assert t.end()
    no_badge(station, t.seen.decode("utf-8", "replace"))


def test_on_the_screen(station):
    station.plug(2)
    browser = Browser()
    one, two = station.serials[:2]
    crew = "document.querySelector('#crew').innerText"
    next_ = "document.querySelector('#next').dataset.do"
    try:
        with Running(station) as line:
            browser.open(line.url())
            browser.until(f"{next_} === 'badge'")
            assert "Nobody is badged in" in browser.get(crew)
            accessible(browser)
            browser.scan(f"f1 {one}")
            browser.until(f"{next_} === 'refused'")
            assert "Scan your badge, then the label" in browser.text()
            for c in "001":
                browser.press(c)
            browser.until("document.querySelector('#typed').innerText"
                          " === '•••'")
            browser.press("Escape")
            browser.scan(BADGES["op-7"])
            browser.until(f"{crew} === 'Badged in: op-7'")
            browser.scan(f"f1 {one}")
            browser.until_tile("f1", "passed")
            for c in "S 0":
                browser.press(c)
            browser.until("document.querySelector('#typed').innerText"
                          " === '•••'")
            browser.press("Escape")
            browser.scan(f"!scrap {one} scratched")
            browser.until(f"{next_} === 'no'")
            assert "A supervisor decides that" in browser.text()
            browser.scan(BADGES["boss-1"])
            browser.until(f"{crew}.includes('Supervisor boss-1')")
            browser.scan(f"!scrap {one} scratched")
            browser.until(f"{next_} !== 'no'")
            browser.press("F2")
            browser.until(f"{crew}.includes('Angemeldet: op-7')")
            accessible(browser)
            clean(browser)
    finally:
        browser.close()
    assert [d["reason"] for d in decisions(station)] == ["scratched"]
    assert station.fact(one, "operator") == "op-7"
    no_badge(station)


# ---- without a network ----

@pytest.fixture(scope="module")
def centre():
    with stopped_centre() as c:
        yield c


def test_offline_by_the_order(centre, tmp_path):
    s = Offline(centre, tmp_path / "station", f"away-{next(NUMBERS)}")
    try:
        s.takes(share=3, badge_salt=SALT.hex(), people=PEOPLE)
        s.plug()
        code, a = make(s, "SN-01")
        assert (code, a["reason"]) == (3, "no-operator"), a
        code, a = make(s, "SN-01", "--operator-badge-file",
                       badge_file(s, "op-8", "\r\n"))
        assert code == 0, a
        assert s.fact("SN-01", "operator") == "op-8"
        s.once("SN-01")
        # a clock that is behind the journal: a supervisor says it is right
        rows = s.dir / "state/journal"
        last = json.loads(rows.read_text().splitlines()[-1])
        assert last["state"] == "passed"
        code, out = command(s, "provision", "--serial", "SN-01", "--fixture",
                            "f1", "--accept-clock", "--operator-badge-file",
                            badge_file(s, "op-8"))
        assert code == 3 and "supervisors" in out, out
        code, out = command(s, "provision", "--serial", "SN-01", "--fixture",
                            "f1", "--accept-clock", "--operator-badge-file",
                            badge_file(s, "op-8"), "--supervisor-badge-file",
                            badge_file(s, "boss-1"), "--reason", "battery")
        assert code == 0, out
        told, = decisions(s)
        assert (told["decision"], told["by"], told["reason"]) == (
            "clock", "boss-1", "battery") and "device" not in told
        no_badge(s)
    finally:
        s.close()
