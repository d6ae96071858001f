"""A clock that ran ahead and was set right: an operator says so, once, and
everything goes on; journal and ledger show it."""
import datetime
import hashlib
import json
import os
import re
import time
import urllib.parse

import pytest

from test_days import enrol_unchecked, wait_started
from world import SIGNER, World, faketime, run

AHEAD_S = 20 * 86400


@pytest.fixture
def w():
    it = World(profile="\tbearer = true\n\tper_day = 3")
    try:
        yield it
    finally:
        it.close()


def accept(w, *argv, when=None):
    return run(SIGNER, "accept-clock", "--config", w.conf, *argv, check=False,
               env={**os.environ, **(faketime(when) if when else {})})


def journal(w):
    path = w.state / "signer/journal.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def crl(w):
    """Number and thisUpdate of what is served."""
    path = w.dir / "crl"
    path.write_bytes(w.get_public("/crl/issuing.crl").body)
    out = run("openssl", "crl", "-inform", "DER", "-in", path, "-noout",
              "-crlnumber", "-lastupdate", "-dateopt", "iso_8601").stdout
    number = int(re.search(r"crlNumber=(?:0x)?([0-9A-Fa-f]+)", out)[1], 16)
    return number, re.search(r"lastUpdate=(\S+)", out)[1]


def reconcile(w):
    return json.loads(w.cli("--json", "ledger", "reconcile", "--config",
                            w.conf).stdout)


def verify(w):
    key = w.dir / "ledger.key"
    key.write_text(w.cli("ledger", "key").stdout)
    w.cli("ledger", "verify", "--key", key)


def once(w, name):
    return w.rest("POST", "/products", {"name": name}, headers={
        "Idempotency-Key": name})


def answers(w, n):
    """Products that were made, each with the answer that is kept for a day."""
    w.start(wait=False)
    wait_started(w)
    made = {f"idem-{i}": once(w, f"idem-{i}") for i in range(n)}
    assert all(a.status == 201 for a in made.values()), made
    w.stop()
    return {name: a.body for name, a in made.items()}


def ahead(w, devices):
    """Two certificates and a list of a day to come; the clock is right again
    when this returns, and the signer waits."""
    w.start().product()
    made = [(w.token(d, door="bearer", ttl="60d"), w.key_and_csr(d)[1])
            for d in devices]
    w.stop()
    w.start(wait=False, env=faketime(f"+{AHEAD_S}s"))
    assert wait_started(w).status == 200, w.log()
    for t, csr in made[:2]:
        assert enrol_unchecked(w, t, csr).status == 200
    number, this = crl(w)
    assert number > (time.time() + AHEAD_S - 3600) * 1000, (number, this)
    w.stop()
    return made, number


def test_the_operator_accepts_the_clock(w):
    made, number = ahead(w, ["C-1", "C-2", "C-3", "C-4"])
    w.start(wait=False)
    a = wait_started(w)
    assert a.status == 503 and "accept-clock" in a.json["why"], a
    assert w.enrol_basic(*made[2]).status == 503
    p = accept(w, "--yes")
    assert p.returncode == 5 and "in use" in p.stderr, p  # it runs
    w.stop()

    lines = journal(w)
    kept = answers(w, 20)
    p = accept(w)  # says what it would do, and does nothing
    said = json.loads(p.stdout)
    assert p.returncode == 0 and not said["accepted"] and "--yes" in said["next"]
    assert abs(said["back_s"] - AHEAD_S) < 600 and journal(w) == lines
    assert json.loads(accept(w, "--yes").stdout)["accepted"]
    line = journal(w)[-1]
    assert line["kind"] == "clock" and line["n"] == said["last_line"] + 1
    assert line["at"] < said["last_at"]
    assert line["number"] // 1000 - time.time() > AHEAD_S - 600
    p = accept(w, "--yes")
    assert p.returncode == 5 and "nothing to accept" in p.stderr, p

    w.start()
    assert w.enrol_basic(*made[2]).status == 200
    assert kept == {n: once(w, n).body for n in kept}
    # what was counted in the day to come is counted against today
    a = w.enrol_basic(*made[3])
    assert a.status == 403, a
    # the list of the day to come is replaced, and numbers only grow
    tomorrow = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 86400))
    end = time.monotonic() + 20
    while crl(w)[1] > tomorrow and time.monotonic() < end:
        time.sleep(0.1)
    assert crl(w)[1] <= tomorrow and crl(w)[0] > number, crl(w)
    w.stop()
    w.start()  # told again by the signer, entered once
    entry = json.loads(w.cli("--json", "ledger", "entries", "--type",
                             "clock.set_back").stdout)["entry"]
    assert entry["number"] == line["n"]
    assert entry["from"] == said["last_at"] and entry["to"] == line["at"]
    verify(w)
    out = reconcile(w)
    assert out["agree"] and out["clock_set_back"] == 1, out


def every(w, path, **query):
    """All of a list, page by page."""
    items, after = [], {}
    for _ in range(1000):
        a = w.rest("GET", f"{path}?{urllib.parse.urlencode(query | after)}")
        assert a.status == 200, a
        items += a.json["items"]
        if "next" not in a.json:
            return items
        after = {"after": a.json["next"]}
    raise AssertionError("the list does not end")


def register(w, stem, n):
    for i in range(n):
        a = w.rest("POST", "/devices", {"id": f"{stem}-{i}",
                                        "product": "thermo"})
        assert a.status == 201, a


def around(days):
    """An hour each way, that many days from now."""
    at = datetime.datetime.now(datetime.timezone.utc) + \
        datetime.timedelta(days=days)
    return [(at + datetime.timedelta(hours=h)).strftime("%Y-%m-%dT%H:%M:%SZ")
            for h in (-1, 1)]


def compare_searches(w, days):
    """By time, with what a walk over everything finds."""
    low, high = around(days)
    entries = every(w, "/ledger/entries", limit=1000)
    want = [e["index"] for e in entries if low <= e["entry"]["at"] < high]
    assert want
    for order in ("oldest", "newest"):
        got = [e["index"] for e in every(w, "/audit", **{
            "from": low, "to": high, "order": order, "limit": 7})]
        assert sorted(got) == want, (days, order)
        assert got == sorted(got, reverse=order == "newest")
    open_end = [e["index"] for e in every(w, "/audit", **{"from": low})]
    assert sorted(open_end) == [e["index"] for e in entries
                                if e["entry"]["at"] >= low], days
    devices = every(w, "/devices", limit=1000)
    got = every(w, "/devices", created_from=low, created_to=high, limit=7)
    assert sorted(d["id"] for d in got) == sorted(
        d["id"] for d in devices if low <= d["created"] < high), days
    issued = [e["entry"]["device"] for e in entries
              if e["entry"]["type"] == "certificate.issued" and
              low <= e["entry"]["at"] < high]
    got = every(w, "/devices", issued_from=low, issued_to=high, limit=3)
    assert sorted(d["id"] for d in got) == sorted(issued), days


@pytest.mark.parametrize("day", [-365, 20])
def test_searches_by_time_find_all_after_a_wrong_clock(w, day):
    """Times go back in the ledger: whoever halved it would land anywhere."""
    w.start().product()
    made = [(w.token(d, door="bearer", ttl="60d"), w.key_and_csr(d)[1])
            for d in ("E-1", "E-2", "E-3")]
    assert w.enrol_basic(*made[0]).status == 200
    register(w, "before", 10)
    w.stop()
    w.start(wait=False, env=faketime(f"{day:+d}d"))
    wait_started(w)
    register(w, "meanwhile", 30)
    if day > 0:
        assert enrol_unchecked(w, *made[1]).status == 200
    w.stop()
    if day > 0:
        assert json.loads(accept(w, "--yes").stdout)["accepted"]
    w.start()
    assert w.enrol_basic(*made[2]).status == 200
    register(w, "after", 8)
    compare_searches(w, 0)
    compare_searches(w, day)


def test_a_wrong_clock_is_not_accepted(w):
    ahead(w, ["D-1", "D-2"])
    lines = journal(w)
    p = accept(w, "--yes", when="-40y")
    assert p.returncode == 3 and "built" in p.stderr, p
    assert journal(w) == lines


def test_reconcile_names_what_the_ledger_does_not_have(w):
    """A clock's line, and a checkpoint after it: the server knew."""
    w.start().product()
    w.stop()
    path = w.state / "signer/journal.jsonl"
    good = path.read_bytes()
    text = good
    for kind, at in (("clock", "2026-01-01T00:00:00.000Z"),
                     ("checkpoint", "2026-01-01T00:00:01.000Z")):
        last = text.splitlines(keepends=True)[-1]
        before = json.loads(last)
        line = {"n": before["n"] + 1, "at": at, "kind": kind,
                "number": millis(before["at"])
                if kind == "clock" else 9,
                "prev": hashlib.sha256(last).hexdigest()}
        text += json.dumps(line, separators=(",", ":")).encode() + b"\n"
    copy = w.dir / "copy"
    copy.write_bytes(text)
    p = w.cli("--json", "ledger", "reconcile", "--config", w.conf,
              "--journal", copy, check=False)
    assert p.returncode == 9, p
    assert any("clock" in d["difference"] and "not in the ledger" in
               d["difference"] for d in json.loads(p.stdout)["differences"])
    # and one that did not come from where the journal stood is no journal
    copy.write_bytes(text.replace(b'"number":1', b'"number":2'))
    p = w.cli("ledger", "reconcile", "--config", w.conf, "--journal", copy,
              check=False)
    assert p.returncode == 9 and "does not follow" in p.stderr, p


def millis(text):
    t = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return round(t.timestamp() * 1000)
