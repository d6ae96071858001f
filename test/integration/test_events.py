"""The event feed (docs/integrate.md): cursor, filters, long poll."""
import concurrent.futures
import contextlib
import json
import os
import re
import selectors
import socket
import sqlite3
import struct
import subprocess
import threading
import time

import pytest

from world import MINT, World, until

TOKENS = 25


@pytest.fixture(scope="module")
def world():
    w = World(profile="\tbearer = true")
    w.set_conf("connections_per_source", 4000)
    try:
        yield w.start().product()
    finally:
        w.close()


def events(world, query="", **kw):
    a = world.rest("GET", "/events" + ("?" + query if query else ""), **kw)
    assert a.status == 200, a
    return a.json


def everything(world, query=""):
    """All items from the beginning, page by page."""
    items, after = [], "-1"
    while True:
        page = events(world, f"after={after}&limit=7&{query}")
        items += page["items"]
        assert int(page["next"]) > int(after) or not page["more"]
        after = page["next"]
        if not page["more"]:
            return items, after


def latest(world):
    return events(world, "after=latest")["next"]


def mint(world, device):
    return world.token(device, door="bearer")


# ---- pages ----

def test_the_feed_is_the_ledger_entry_by_entry(world):
    items, _ = everything(world)
    assert [i["index"] for i in items] == list(range(len(items)))
    ledger = world.rest("GET", "/ledger/entries?limit=1000").json["items"]
    assert items == ledger[:len(items)]
    assert items[0]["entry"]["type"] == "ledger.opened"


def test_entries_are_the_ledgers_own_bytes(world):
    raw = world.rest("GET", "/events?after=-1&limit=1").body
    entry = world.rest("GET", "/ledger/tile/entries/000.p/1").body
    assert entry[2:] in raw  # two bytes of length before it


def test_filters(world):
    mint(world, "F-1")
    for query, good in (
            ("type=token.minted", lambda e: e["type"] == "token.minted"),
            ("type=token.", lambda e: e["type"].startswith("token.")),
            ("type=token.minted,ledger.", lambda e: e["type"] in
             ("token.minted", "ledger.opened")),
            ("device=F-1", lambda e: e.get("device") == "F-1"),
            ("product=thermo", lambda e: e.get("product") == "thermo"),
            ("device=F-1&type=certificate.", lambda e: False)):
        got, after = everything(world, query)
        whole, _ = everything(world)
        assert [i for i in whole if good(i["entry"])] == got, query
        # the cursor has passed what the filter left out
        assert int(after) >= max(i["index"] for i in whole)


def test_a_cursor_resumes_exactly(world):
    after = latest(world)
    for i in range(TOKENS):
        mint(world, f"R-{i}")
    seen = []
    while True:
        page = events(world, f"after={after}&limit=3&type=token.minted")
        seen += [i["entry"]["device"] for i in page["items"]]
        after = page["next"]
        if not page["more"]:
            break
    assert seen == [f"R-{i}" for i in range(TOKENS)]


@pytest.mark.parametrize("query", [
    "after=x", "after=-2", "wait=61", "wait=-1", "wait=x", "limit=0",
    "limit=1001", "type=nosuch", "type=certificate", "typ=x",
    "after=99999999999999999999"])
def test_what_is_refused(world, query):
    assert world.rest("GET", "/events?" + query).status == 400


def test_who_may_read(world):
    for role, status in (("admin", 200), ("operator", 200), ("support", 200),
                         ("auditor", 200), ("line", 403)):
        key = world.rest("POST", "/keys", {"name": role, "roles": [role]})
        assert world.rest("GET", "/events",
                          key=key.json["key"]).status == status, role
    assert world.rest("GET", "/events", key="").status == 401


# ---- long poll ----

WAIT_S = 60  # what ends before half of it was not waited for

class Waiter:
    """A request that is on its way; its answer is read when it is there."""

    def __init__(self, world, query, key=None):
        self.conn = world.https(world.operators, timeout=90)
        self.conn.request("GET", "/api/v1/events?" + query, headers={
            "Authorization": f"Bearer {key or world.admin_key}"})

    def answer(self):
        r = self.conn.getresponse()
        body = r.read()
        self.conn.close()
        return r.status, json.loads(body), r


def test_a_new_entry_ends_the_wait(world):
    after = latest(world)
    w = Waiter(world, f"after={after}&wait=60&type=token.")
    began = time.monotonic()
    mint(world, "W-1")
    status, page, _ = w.answer()
    assert status == 200 and time.monotonic() - began < WAIT_S / 2
    assert [i["entry"]["device"] for i in page["items"]] == ["W-1"]
    assert int(page["next"]) > int(after)


def test_a_full_page_says_that_there_is_more(world):
    after = latest(world)
    w = Waiter(world, f"after={after}&wait=60&type=token.minted&limit=5")
    world.rest("POST", "/tokens", {"tokens": [
        {"device": f"P-{i}", "product": "thermo"} for i in range(200)]})
    seen, (_, page, _) = [], w.answer()
    assert len(page["items"]) <= 5
    while True:
        seen += [i["entry"]["device"] for i in page["items"]]
        if not page["more"] and len(seen) == 200:
            break
        page = events(world, f"after={page['next']}&type=token.minted")
    assert seen == [f"P-{i}" for i in range(200)]


def test_what_does_not_match_moves_the_cursor_only(world):
    after = latest(world)
    w = Waiter(world, f"after={after}&wait=1&type=certificate.")
    mint(world, "W-2")
    status, page, _ = w.answer()
    assert status == 200 and page["items"] == [] and not page["more"]
    assert int(page["next"]) > int(after)


def test_an_entry_that_is_there_is_not_waited_for(world):
    began = time.monotonic()
    assert events(world, "after=-1&wait=60")["items"]
    assert time.monotonic() - began < WAIT_S / 2


def test_a_revoked_key_gets_nothing_more(world):
    key = world.rest("POST", "/keys", {"name": "short",
                                       "roles": ["auditor"]}).json
    after = latest(world)
    w = Waiter(world, f"after={after}&wait=30&type=token.", key["key"])
    world.rest("POST", f"/keys/{key['id']}/revoke", {})
    mint(world, "W-3")
    status, page, _ = w.answer()
    assert status in (200, 401)
    assert status == 401 or page["items"] == []


def test_an_expired_key_gets_nothing_more(world):
    key = world.rest("POST", "/keys", {"name": "short", "roles": ["auditor"],
                                       "ttl": 2}).json["key"]
    after, began = latest(world), time.monotonic()
    status, page, _ = Waiter(world, f"after={after}&wait=60", key).answer()
    assert status == 200 and page["items"] == []
    assert page["next"] == after, "and its cursor stays"
    assert time.monotonic() - began < WAIT_S / 2
    assert world.rest("GET", "/events", key=key).status == 401


# ---- keys that are limited to products ----

@pytest.fixture(scope="module")
def limited(world):
    """A key of product thermo; there is another product, gauge."""
    a = world.rest("POST", "/products", {"name": "gauge",
                                         "ldevid_profile": "thermo"})
    assert a.status == 201, a
    return world.rest("POST", "/keys", {"name": "limited", "roles": ["auditor"],
                                        "products": ["thermo"]}).json["key"]


def of_gauge(world, device):
    a = world.rest("POST", "/tokens", {"device": device, "product": "gauge",
                                       "profile": "thermo", "door": "bearer"})
    assert a.status == 201, a
    return a.json["id"]


def whole(world, path, key):
    """All pages: one that took too long ends early."""
    items, after = [], ""
    while after is not None:
        page = world.rest("GET", f"{path}?limit=1000{after}", key=key).json
        items += page["items"]
        after = f"&after={page['next']}" if page.get(
            "more", "next" in page) else None
    return items


def test_a_limited_key_sees_its_own(world, limited):
    mine = mint(world, "L-1")
    theirs = of_gauge(world, "THEIRS-1")
    for t in (mine["id"], theirs):
        world.rest("POST", f"/tokens/{t}/cancel", {})
    seen = whole(world, "/events", limited)
    text = json.dumps(seen)
    assert mine["id"] in text
    assert theirs not in text and "THEIRS" not in text and \
        "gauge" not in text
    types = {i["entry"]["type"] for i in seen}
    assert "token.cancelled" in types
    assert not types & {"operator.created", "ledger.opened"}
    assert events(world, "type=token.&product=gauge", key=limited
                  )["items"] == []
    assert events(world, "device=THEIRS-1", key=limited)["items"] == []
    assert whole(world, "/ledger/entries", limited) == seen, \
        "as the ledger's own list"


def test_a_long_poll_of_a_limited_key(world, limited):
    """Whoever waits beside it, it is shown its own."""
    after = latest(world)
    both = Waiter(world, f"after={after}&wait=60")
    own = Waiter(world, f"after={after}&wait=60", limited)
    until(lambda: waits(world) == 2)
    theirs = of_gauge(world, "THEIRS-2")
    status, page, _ = both.answer()
    assert status == 200 and theirs in json.dumps(page)
    world.rest("POST", f"/tokens/{theirs}/cancel", {})
    world.rest("POST", "/keys", {"name": "other", "roles": ["line"]})
    assert waits(world) == 1
    mint(world, "L-2")
    status, page, _ = own.answer()
    assert status == 200
    assert [(i["entry"]["type"], i["entry"]["device"])
            for i in page["items"]][:1] in ([("device.created", "L-2")],
                                            [("token.minted", "L-2")])
    assert "THEIRS" not in json.dumps(page) and theirs not in \
        json.dumps(page)


def test_a_limited_keys_empty_wait_moves_its_cursor(world, limited):
    after = latest(world)
    w = Waiter(world, f"after={after}&wait=1", limited)
    of_gauge(world, "THEIRS-3")
    status, page, _ = w.answer()
    assert status == 200 and page["items"] == []
    assert events(world, f"after={page['next']}", key=limited)["items"] == []


@pytest.mark.skipif("MINTMARK_DATABASE" in os.environ, reason="SQLite's file")
def test_what_one_key_cannot_be_told_holds_up_no_other(world):
    """Its batch's record is damaged: it hears so at once, and comes again;
    who waits beside it is told as ever."""
    a = world.rest("POST", "/batches", {
        "id": "torn", "product": "thermo", "quantity": 1, "serials": "TORN-{1..2}",
        "until": "2030-01-01T00:00:00Z"})
    assert a.status == 201, a
    key = world.rest("POST", "/keys", {
        "name": "of torn", "roles": ["auditor"], "batches": ["torn"]})
    assert key.status == 201, key
    with contextlib.closing(sqlite3.connect(
            world.state / "server/mintmark.db", timeout=20)) as db:
        of = "FROM doc WHERE id = 'torn' AND kind = 9"
        (body,), = db.execute(f"SELECT body {of}").fetchall()
        after = latest(world)
        limited = Waiter(world, f"after={after}&wait=60", key.json["key"])
        whole = Waiter(world, f"after={after}&wait=60&type=token.")
        until(lambda: waits(world) == 2)
        db.execute("UPDATE doc SET body = '{' WHERE id = 'torn' AND body = ?",
                   (body,))
        db.commit()
        made = mint(world, "TORN-1")
        began = time.monotonic()
        status, page, _ = whole.answer()
        assert status == 200 and made["id"] in json.dumps(page)
        status, page, r = limited.answer()
        assert status == 503 and page["type"].endswith("internal"), page
        assert re.search(r"entry \d+: batch torn: ", page["detail"]), page
        assert r.headers["Retry-After"]
        assert time.monotonic() - began < WAIT_S / 2
        db.execute("UPDATE doc SET body = ? WHERE id = 'torn' AND body = '{'",
                   (body,))
        db.commit()
    assert events(world, f"after={after}", key=key.json["key"])["items"] == []


def raw_wait(world, ctx, query):
    s = ctx.wrap_socket(socket.create_connection(
        ("127.0.0.1", world.operators), timeout=60),
        server_hostname="localhost")
    s.sendall(f"GET /api/v1/events?{query} HTTP/1.1\r\nHost: localhost\r\n"
              f"Authorization: Bearer {world.admin_key}\r\n\r\n".encode())
    return s


def waits(world):
    return world.rest("GET", "/status").json["waiting"]


def test_who_has_gone_waits_no_longer(world):
    """Killed clients leave nothing but a closed side behind them."""
    ctx, after = world.tls(), latest(world)
    socks = [raw_wait(world, ctx, f"after={after}&wait=60&type=token.")
             for _ in range(4)]
    until(lambda: waits(world) == 4)
    began = time.monotonic()
    socks[0].close()
    socks[1].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                        struct.pack("ii", 1, 0))
    socks[1].close()
    until(lambda: waits(world) == 2, 10)
    # one that only has no more to say gets its page, and at once
    half = socket.socket(fileno=os.dup(socks[2].fileno()))
    half.shutdown(socket.SHUT_WR)
    half.close()
    got = socks[2].recv(65536)
    assert b" 200 " in got.split(b"\r\n")[0] and b'"items":[]' in got, got
    assert waits(world) == 1 and time.monotonic() - began < 20
    # and one that sends more waits on
    socks[3].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert world.rest("GET", "/whoami").status == 200
    assert waits(world) == 1
    socks[3].close()
    until(lambda: waits(world) == 0, 10)
    socks[2].close()


@pytest.fixture(scope="module")
def long_ledger():
    with World() as w:
        w.start().product()
        for turn in range(30):
            a = w.rest("POST", "/devices/import", {"rows": [
                {"id": f"L-{turn}-{i}", "product": "thermo"}
                for i in range(1000)]})
            assert a.status == 200, a
        yield w


def test_many_that_look_for_little_find_all_and_block_nobody(long_ledger):
    """Pages end early while others scan, but none skips an entry."""
    w, stop, took = long_ledger, threading.Event(), []

    def scan(_):
        after, found, pages = "-1", [], 0
        while True:
            a = w.rest("GET", f"/events?after={after}&limit=10"
                       "&device=L-29-999")
            assert a.status == 200, a
            found += a.json["items"]
            pages += 1
            assert pages < 5000 and a.json["next"] != after or \
                not a.json["more"]
            after = a.json["next"]
            if not a.json["more"]:
                return len(found), after, pages

    def ask():
        while not stop.is_set():
            began = time.monotonic()
            assert w.rest("GET", "/whoami").status == 200
            took.append(time.monotonic() - began)

    t = threading.Thread(target=ask)
    t.start()
    try:
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            got = list(pool.map(scan, range(20)))
    finally:
        stop.set()
        t.join()
    assert {g[:2] for g in got} == {(1, got[0][1])}
    took.sort()
    print(f"20 scans in {sum(g[2] for g in got)} pages; meanwhile a call "
          f"took {took[len(took) // 2] * 1000:.0f} ms, the longest "
          f"{took[-1] * 1000:.0f}")
    assert sum(g[2] for g in got) > 20  # some gave way


@pytest.mark.alone
def test_500_that_wait_are_woken_at_once_and_block_nobody(world):
    ctx, after = world.tls(), latest(world)
    socks = [raw_wait(world, ctx, f"after={after}&wait=60&type=token.")
             for _ in range(500)]
    try:
        until(lambda: waits(world) == 500)
        began = time.monotonic()  # others are served meanwhile
        assert world.rest("GET", "/whoami").status == 200
        assert time.monotonic() - began < 2
        sel = selectors.DefaultSelector()
        for s in socks:
            sel.register(s, selectors.EVENT_READ)
        woken, minted = 0, []
        t = threading.Thread(
            target=lambda: minted.append((mint(world, "W-500"),
                                          time.monotonic())))
        t.start()
        while woken < 500:
            ready = sel.select(20)
            assert ready, f"only {woken} of 500 were woken"
            for key, _ in ready:
                data = key.fileobj.recv(65536)
                if data:
                    assert b"W-500" in data
                    woken += 1
                sel.unregister(key.fileobj)
        t.join()
        late = time.monotonic() - minted[0][1]
        print(f"500 waiters: the last one {late * 1000:.0f} ms after the "
              f"minting call returned")
        assert late < 3
    finally:
        for s in socks:
            s.close()
    assert waits(world) == 0


def test_more_than_1000_are_told_to_come_again(world):
    ctx, after = world.tls(), latest(world)
    socks = []
    try:
        for _ in range(1000):
            socks.append(raw_wait(world, ctx,
                                  f"after={after}&wait=60&type=token."))
        until(lambda: waits(world) == 1000)
        status, _, r = Waiter(world,
                              f"after={after}&wait=60&type=token.").answer()
        assert status == 503 and int(r.getheader("Retry-After")) > 0
        # without waiting it is answered all the same
        assert events(world, f"after={after}&type=token.")["items"] == []
        mint(world, "W-1000")
        until(lambda: waits(world) == 0)
    finally:
        for s in socks:
            s.close()


def test_entries_meanwhile_are_never_missed(world):
    """A writer at full speed; readers by long poll see every token once."""
    after, n = latest(world), 300
    writer = threading.Thread(target=lambda: [
        world.rest("POST", "/tokens", {"tokens": [
            {"device": f"M-{i}-{k}", "product": "thermo"}
            for k in range(10)]}) for i in range(n // 10)])
    writer.start()
    seen = []
    while len(seen) < n:
        status, page, _ = Waiter(
            world, f"after={after}&wait=20&limit=50&type=token.").answer()
        assert status == 200 and page["items"], "a wake-up was lost"
        seen += [i["entry"]["device"] for i in page["items"]]
        after = page["next"]
    writer.join()
    assert sorted(seen) == sorted(f"M-{i}-{k}" for i in range(n // 10)
                                  for k in range(10))


def test_a_server_that_stops_answers_those_that_wait(world):
    w = Waiter(world, f"after={latest(world)}&wait=60&type=token.")
    until(lambda: waits(world) == 1)
    assert world.stop(timeout=WAIT_S / 2) == 0
    status, page, _ = w.answer()
    assert status == 200 and page["items"] == []
    world.start()


# ---- the command line ----

def lines(p):
    return [json.loads(x) for x in p.stdout.splitlines()]


def test_event_list_prints_what_the_feed_has(world):
    mint(world, "CLI-1")
    want, _ = everything(world, "type=token.&device=CLI-1")
    got = lines(world.cli("--json", "event", "list", "--type", "token.",
                          "--device", "CLI-1", "--limit", "0"))
    assert got == want
    got = lines(world.cli("--json", "event", "list", "--limit", "3"))
    assert [i["index"] for i in got] == [0, 1, 2]
    p = world.cli("event", "list", "--after", "1", "--limit", "1")
    assert p.stdout.split()[0] == "2" and "--after 2" in p.stderr
    assert world.cli("event", "list", "--type", "nope",
                     check=False).returncode == 2


def test_event_follow_resumes_from_its_state(world, tmp_path):
    state = tmp_path / "cursor"
    follow = ("--json", "event", "follow", "--type", "token.minted",
              "--state", state, "--count")
    after = latest(world)
    mint(world, "CLI-2")
    mint(world, "CLI-3")
    first = lines(world.cli(*follow, "1", "--after", after))
    rest = lines(world.cli(*follow, "1"))
    assert [i["entry"]["device"] for i in first + rest] == ["CLI-2", "CLI-3"]
    assert int(state.read_text()) >= rest[0]["index"]


def test_event_follow_waits_and_outlives_a_restart(world, tmp_path):
    p = subprocess.Popen(
        [str(MINT), "--context", str(world.context), "--json", "event",
         "follow", "--type", "token.minted", "--count", "2"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: waits(world) == 1)
        mint(world, "CLI-4")
        assert json.loads(p.stdout.readline())["entry"]["device"] == "CLI-4"
        assert world.stop() == 0
        world.start()
        mint(world, "CLI-5")
        assert json.loads(p.stdout.readline())["entry"]["device"] == "CLI-5"
        assert p.wait(20) == 0
    finally:
        p.kill()
        p.communicate()
