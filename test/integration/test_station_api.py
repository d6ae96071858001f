"""The station's HTTP API: what a test program asks, who may ask, and that
nothing a client does holds a fixture up."""
import http.client
import itertools
import json
import os
import re
import socket
import stat
import threading

import pytest

from screen import DOORS, events, Running
from station import Station, STATION
from world import ROOT, run, until

LEAKS = True
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def centre(world):
    world.product()
    return world


@pytest.fixture(scope="module")
def station(centre, tmp_path_factory):
    s = Station(centre, tmp_path_factory.mktemp("s") / "station", "api-1",
                more=DOORS)
    try:
        yield s.plug()
    finally:
        s.close()


def make_key(station, name):
    return json.loads(run(*station.argv("api-key", "--name", name,
                                        "--json")).stdout)["key"]


@pytest.fixture(scope="module")
def key(station):
    return make_key(station, "mes")


@pytest.fixture(scope="module")
def line(station, key):
    with Running(station) as r:
        yield r


def test_a_unit_by_the_api(station, line, key):
    a = line.call("POST", "/api/v1/units?wait=60",
                  {"serial": "AP-1", "fixture": "f2"}, key)
    assert a.status == 200, a
    assert a.headers["content-type"] == "application/json"
    got = a.json
    assert got["result"] == "passed" and got["exit"] == 0
    assert got["device"] == "AP-1" and got["fixture"] == "f2"
    station.once("AP-1")
    # the same object as what provision prints, and as is asked for later
    assert line.call("GET", "/api/v1/units/AP-1", key=key).json == got
    again = line.call("POST", "/api/v1/units?wait=60",
                      {"serial": "AP-1", "fixture": "f2"}, key).json
    assert again["again"] and again["serial"] == got["serial"]


def test_a_unit_that_is_asked_for_until_it_is_done(station, line, key):
    a = line.call("POST", "/api/v1/units", {"serial": "AP-2",
                                            "fixture": "f1"}, key)
    assert a.status == 202 and a.json["result"] == "working", a
    assert a.json["attempt"] == 1
    got = line.call("GET", "/api/v1/units/AP-2?wait=60", key=key)
    assert got.status == 200 and got.json["result"] == "passed", got
    assert line.call("GET", "/api/v1/units/AP-none", key=key).status == 404
    assert line.call("GET", "/api/v1/units/..-/", key=key).status == 404
    assert line.call("GET", "/api/v1/units/AP-2?wait=61",
                     key=key).status == 400


def test_what_is_refused_has_exit_and_reason(line, key):
    a = line.call("POST", "/api/v1/units", {"serial": "no good",
                                            "fixture": "f1"}, key)
    assert a.status == 409 and a.json["reason"] == "bad-serial", a
    assert a.json["exit"] == 3 and a.json["result"] == "refused"
    a = line.call("POST", "/api/v1/units", {"serial": "AP-9",
                                            "fixture": "f9"}, key)
    assert a.status == 404 and a.json["reason"] == "no-such-fixture", a
    for body in ("", "[]", '{"serial":1}', '{"fixture":"f1"}',
                 '{"serial":"AP-9","colour":"red"}', '{"serial":"a"',
                 '{"serial":"a","serial":"b"}',
                 json.dumps({"serial": "x" * 300})):
        a = line.call("POST", "/api/v1/units", body, key)
        assert a.status == 400, (body, a)
    a = line.call("POST", "/api/v1/units",
                  json.dumps({"serial": "x" * 5000}), key)
    assert a.status == 413, a


def test_other_board_as_provision_says_it(station, line, key):
    assert line.call("POST", "/api/v1/units?wait=60", {
        "serial": "AP-3", "fixture": "f3"}, key).json["result"] == "passed"
    a = line.call("POST", "/api/v1/units?wait=60",
                  {"serial": "AP-3", "fixture": "f4"}, key)
    assert a.status == 200 and a.json["reason"] == "other-board", a
    assert a.json["exit"] == 22 and a.json["result"] == "quarantined"
    failures = line.status()["failures"]
    assert failures[0]["device"] == "AP-3"
    assert failures[0]["to_do"] == a.json["to_do"]


def test_status(station, line, key):
    s = line.call("GET", "/api/v1/status", key=key).json
    assert s["station"] == "api-1" and s["product"] == "thermo"
    assert [f["name"] for f in s["fixtures"]] == ["f1", "f2", "f3", "f4"]
    assert s["counters"]["passed"] >= 1 and s["counters"]["p99_ms"] > 0
    assert s["counters"]["units_per_hour"] > 0
    until(lambda: line.status()["centre"]["is"] == "there")
    items = line.call("GET", "/api/v1/fixtures", key=key).json["items"]
    assert [f["name"] for f in items] == ["f1", "f2", "f3", "f4"]


def test_events(line, key):
    a = line.call("GET", "/api/v1/events", key=key)
    assert a.status == 200
    assert a.headers["content-type"] == "text/event-stream"
    (cursor, event, state), = events(a.text)
    assert event == "state" and state["station"] == "api-1"
    made = line.call("POST", "/api/v1/units?wait=60", {
        "serial": "AP-2", "fixture": "f1"}, key).json
    line.call("POST", "/api/v1/scan", {"text": "f9 AP-5"}, key)
    later = events(line.call("GET", "/api/v1/events", key=key,
                             headers={"Last-Event-ID": cursor}).text)
    told = [(e, d) for _, e, d in later if e != "state"]
    assert told[0] == ("unit", made)
    assert told[1][0] == "no" and told[1][1]["code"] == "no-such-fixture"
    assert later[-1][1] == "state"
    # Nothing is told twice.
    assert not [e for _, e, _ in events(line.call(
        "GET", f"/api/v1/events?only=unit&wait=1&after={later[-1][0]}",
        key=key).text) if e]


def test_a_cursor_of_an_earlier_start_has_lost_something(line, key):
    """A test program that was away while the station was restarted is told
    so, at once and first, and has what this start told."""
    made = line.call("POST", "/api/v1/units?wait=60", {
        "serial": "AP-2", "fixture": "f1"}, key).json
    for foreign in ("00000000-7", "ffffffff-99999", "x"):
        a = line.call("GET", f"/api/v1/events?after={foreign}", key=key)
        assert [e for _, e, _ in events(a.text)] == ["lost", "state"]
        got = events(line.call(
            "GET", f"/api/v1/events?only=unit&wait=60&after={foreign}",
            key=key).text)
        assert got[0][1:] == ("lost", {}), got
        assert made in [d for _, e, d in got if e == "unit"]
        # told once: the next cursor is this start's
        assert not [e for _, e, _ in events(line.call(
            "GET", f"/api/v1/events?only=unit&wait=1&after={got[-1][0]}",
            key=key).text) if e]


def test_events_come_when_they_happen(line, key):
    cursor = events(line.call("GET", "/api/v1/events", key=key).text)[0][0]
    got = []
    t = threading.Thread(target=lambda: got.append(line.call(
        "GET", f"/api/v1/events?only=unit&wait=60&after={cursor}", key=key)))
    t.start()
    made = line.call("POST", "/api/v1/units?wait=60", {
        "serial": "AP-2", "fixture": "f1"}, key).json
    t.join(60)
    assert [d for _, e, d in events(got[0].text) if e == "unit"] == [made]


@pytest.mark.parametrize("headers, status", [
    ({"Host": "evil.example:80"}, 403),
    ({"Host": "evil.example"}, 403),
    ({"Host": "127.0.0.1"}, 403),
    ({"Origin": "http://evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": "http://localhost:1"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Content-Type": "text/plain"}, 415),
    ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    ({"Content-Type": None}, 415),
    ({"Sec-Fetch-Site": "same-origin"}, 202),
    ({"Content-Type": "application/json; charset=utf-8"}, 202),
])
def test_pages_of_others_are_kept_out(line, headers, status):
    before = len(line.status()["failures"])
    a = line.call("POST", "/api/v1/scan", {"text": ""}, headers=headers)
    assert a.status == status, a
    assert len(line.status()["failures"]) == before
    if status == 403:
        assert line.call("GET", "/api/v1/status",
                         headers={k: v for k, v in headers.items()
                                  if k != "Content-Type"}).status == 403


def test_the_screens_own_origin_may_ask(line):
    for host in ("127.0.0.1", "localhost"):
        name = f"{host}:{line.doors['screen']}"
        a = line.call("POST", "/api/v1/scan", {"text": ""}, headers={
            "Host": name, "Origin": f"http://{name}"})
        assert a.status == 202, a
    # one of its names is not the other's page
    a = line.call("POST", "/api/v1/scan", {"text": ""}, headers={
        "Host": f"localhost:{line.doors['screen']}",
        "Origin": f"http://127.0.0.1:{line.doors['screen']}"})
    assert a.status == 403, a


def test_the_network_wants_a_key(station, line, key):
    for wrong in (None, "Bearer ", f"Bearer {key[:-1]}", f"Bearer {key}x",
                  f"Basic {key}", "Bearer " + "x" * 4000):
        a = line.call("GET", "/api/v1/status", door="api",
                      headers={"Authorization": wrong})
        assert a.status == 401, (wrong, a)
        assert a.headers["www-authenticate"] == "Bearer"
    a = line.call("GET", "/api/v1/status", key=key,
                  headers={"Origin": f"http://127.0.0.1:{line.doors['api']}"})
    assert a.status == 403, a
    # The file has no key in it, and is its owner's alone.
    file = station.dir / "state/api-keys"
    assert key not in file.read_text() and file.read_text().startswith("mes ")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    p = run(*station.argv("api-key", "--name", "mes"), check=False)
    assert p.returncode == 5, p
    # One that is removed is none at once.
    other = make_key(station, "other")
    assert line.call("GET", "/api/v1/status", key=other).status == 200
    run(*station.argv("api-key", "--name", "other", "--remove"))
    assert line.call("GET", "/api/v1/status", key=other).status == 401
    assert line.call("GET", "/api/v1/status", key=key).status == 200
    p = run(*station.argv("api-key", "--name", "other", "--remove"),
            check=False)
    assert p.returncode == 4, p


@pytest.mark.skipif(os.geteuid() != 0, reason="for root alone")
def test_a_key_that_root_makes_is_the_stations(station, line, key):
    file, folder = station.dir / "state/api-keys", station.dir / "state"
    was = folder.stat()
    os.chown(folder, 65534, 65533)
    try:
        one = make_key(station, "by-root")
        st = file.stat()
        assert (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)) == (
            65534, 65533, 0o600)
    finally:
        os.chown(folder, was.st_uid, was.st_gid)
    assert line.call("GET", "/api/v1/status", key=one).status == 200
    run(*station.argv("api-key", "--name", "by-root", "--remove"))
    assert file.stat().st_uid == was.st_uid


def test_keys_that_are_made_at_once(station, line, key):
    for more in ((), ("--remove",)):
        made = [station.begin("api-key", "--name", f"k{i}", *more)
                for i in range(12)]
        said = [p.communicate(timeout=60) for p in made]
        assert [p.returncode for p in made] == [0] * 12, said
        names = [x.split()[0] for x in (station.dir / "state/api-keys")
                 .read_text().splitlines()]
        assert sum(f"k{i}" in names for i in range(12)) == 12 * (not more)
    assert line.call("GET", "/api/v1/status", key=key).status == 200


def test_keys_that_cannot_be_read_are_told_once(station, line, key):
    file = station.dir / "state/api-keys"
    text = file.read_text()

    def put(text):  # another file: two writes may have the same time
        (station.dir / "keys").write_text(text)
        (station.dir / "keys").replace(file)

    try:
        put("no keys\n")
        for _ in range(3):
            a = line.call("GET", "/api/v1/status", key=key)
            assert a.status == 401, a
    finally:
        put(text)
        file.chmod(0o600)
    assert line.call("GET", "/api/v1/status", key=key).status == 200
    assert line.log.read_text().count("event=api-keys-unread") == 1


def test_clients_that_are_slow_or_many_hold_nothing_up(line, key):
    """Half a head, half a body, feeds that nobody reads: up to the door's
    ceiling and above it, and a unit goes through the other door."""
    held = []
    half = (b"POST /api/v1/units HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
            b"Content-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
            % line.doors["screen"])
    feed = (b"GET /api/v1/events?only=unit&wait=60 HTTP/1.1\r\n"
            b"Host: 127.0.0.1:%d\r\n\r\n" % line.doors["screen"])
    try:
        for i in range(80):
            s = socket.create_connection(("127.0.0.1", line.doors["screen"]))
            held.append(s)
            try:
                s.sendall((half, feed, b"GET /api")[i % 3])
            except OSError:
                pass  # above the ceiling it is closed at once
        a = line.call("POST", "/api/v1/units?wait=60", {
            "serial": "AP-6", "fixture": "f2"}, key)
        assert a.status == 200 and "exit" in a.json, a
    finally:
        for s in held:
            s.close()
    # and the screen's door is open again once they have gone
    until(lambda: line.call("GET", "/api/v1/status").status == 200,
          passing=(OSError, http.client.HTTPException))


def test_ends_while_somebody_waits(station, tmp_path_factory, centre):
    s = Station(centre, tmp_path_factory.mktemp("e") / "station", "api-2",
                n=1, more=DOORS)
    with Running(s) as r:
        conn = r.connect()
        conn.request("GET", "/api/v1/events?only=unit&wait=60")
        until(lambda: r.status()["station"] == "api-2")
        out = r.end()
        assert conn.getresponse().status == 503
        conn.close()
    assert '"passed":0' in out
    assert r.p.returncode == 0


def test_over_tls(centre, tmp_path_factory):
    folder = tmp_path_factory.mktemp("t")
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=line-3",
        "-addext", "subjectAltName=IP:127.0.0.1", "-days", "30",
        "-keyout", folder / "api.key", "-out", folder / "api.crt")
    s = Station(centre, folder / "station", "api-3", n=1, more=(
        'api = "127.0.0.1:0"\n'
        f'api_cert = "{folder}/api.crt"\n'
        f'api_cert_key = "{folder}/api.key"\n'))
    (folder / "header").write_text(
        f"Authorization: Bearer {make_key(s, 'mes')}\n")
    page = (ROOT / "docs/line.md").read_text()
    (block,) = re.findall(r"^```sh\n(.*?)^```$", page, re.M | re.S)
    s.plug()
    try:
        with Running(s) as r:
            tls = f"https://127.0.0.1:{r.doors['api']}"
            p = run("bash", "-ec", block.replace('"left"', '"f1"'),
                    cwd=folder, env={**os.environ, "STATION": tls})
            first, again, status, *told = p.stdout.splitlines()
            assert json.loads(first) == json.loads(again)
            assert json.loads(first)["exit"] == 0
            assert json.loads(status)["counters"]["passed"] == 1
            assert told[0] == "retry: 100", told
            p = run("curl", "-sS", "-o", os.devnull, "-w", "%{http_code}",
                    "--cacert", folder / "api.crt", f"{tls}/api/v1/status")
            assert p.stdout == "401", p
    finally:
        s.close()


@pytest.mark.parametrize("more, says", [
    ('screen = "0.0.0.0:0"\n', "screen: want 127.0.0.1"),
    ('screen = "192.0.2.1:8090"\n', "screen: want 127.0.0.1"),
    ('api = "127.0.0.1:0"\n', "api: wants api_cert"),
])
def test_what_the_configuration_may_not_say(tmp_path, more, says):
    conf = tmp_path / "station.conf"
    conf.write_text(f'name = x\ncentre = "https://localhost:1"\n'
                    f'state = "{tmp_path}/state"\n{more}')
    p = run(STATION, "status", "--config", conf, check=False)
    assert p.returncode == 2 and says in p.stderr, p
