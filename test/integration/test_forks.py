"""One key, one history: what a station's key has signed of its ledger once is
the beginning of all that the centre takes from it afterwards."""
import base64
import copy
import subprocess

import pytest

import tlog
from test_offline_order import Line
from test_sync import Synced, agree, forger, piece
from world import DAEMON, MINT, World, until

HOSTILE = True  # see world.py


@pytest.fixture(scope="module")
def centre():
    with World() as world:
        yield Line(world)


@pytest.fixture(scope="module")
def line(centre, tmp_path_factory):
    """A station whose ledger the tests forge; its own unit is not synced."""
    x = Synced(centre, tmp_path_factory.mktemp("line"), "sfk", quantity=150)
    x.make("001").export()
    yield x
    x.s.close()


def consistency(hashes, m, whole=True):
    """RFC 6962 2.1.2, of the first m with all of them."""
    n = len(hashes)
    if m == n:
        return [] if whole else [tlog.root(hashes)]
    k = 1
    while 2 * k < n:
        k *= 2
    if m <= k:
        return consistency(hashes[:k], m, whole) + [tlog.root(hashes[k:])]
    return consistency(hashes[k:], m - k, False) + [tlog.root(hashes[:k])]


def first(f, n):
    """The first n of its entries, as a piece of all of them."""
    hashes = [tlog.leaf(x["entry"].encode()) for x in f.lines]
    return {**piece(f), "entries": f.lines[:n], "rest": base64.b64encode(
        b"".join(consistency(hashes, n))).decode()}


def clone(f):
    """Another with its key, that goes on by itself."""
    g = copy.copy(f)
    g.lines = list(f.lines)
    return g


def post(x, body):
    return x.w.rest("POST", f"/stations/{x.name}/sync", body)


def alerts(x, f):
    return [e for e in x.centre.entries("alert")
            if e["reason"] == "station-ledger-forked" and
            e["origin"] == f.key]


def has(x, serial):
    return x.w.rest("GET", f"/devices/{serial}").status == 200


def where(x):
    return x.w.rest("GET", f"/stations/{x.name}/sync").json


def test_what_was_signed_is_kept_to(line, tmp_path):
    """A sync that was cut off after some of what was signed: another history
    from there on is refused whole, though it begins with what was taken."""
    x, f = line, forger(line, "signed")
    for i in range(11, 15):
        f.unit(f"SFK-0{i}")
    a = post(x, first(f, 3))
    assert a.status == 200 and (a.json["size"], a.json["of"]) == (3, 9), a
    assert where(x)["signed"] == 9
    g = clone(f)
    del g.lines[3:]
    for i in range(21, 26):
        g.unit(f"SFK-0{i}")  # ... and longer
    code, out, words = x.sync(g.write(tmp_path / "longer"), "--dry-run")
    assert code == 3 and "another history than the 9 entries" in words
    assert not alerts(x, f)
    code, out, words = x.sync(g.write(tmp_path / "longer"))
    assert code == 3 and "another history than the 9 entries" in words
    assert (x.size(), has(x, "SFK-021"), len(alerts(x, f))) == (
        3, False, 1), words
    # as long: another root
    del g.lines[9:]
    code, out, words = x.sync(g.write(tmp_path / "as-long"))
    assert code == 3 and "another history than the 9 entries" in words
    # shorter than what was signed, and longer than what was taken
    del g.lines[6:]
    code, out, words = x.sync(g.write(tmp_path / "shorter"))
    assert code == 3 and "of which its key has signed 9 before" in words
    assert (x.size(), len(alerts(x, f))) == (3, 1)
    # who does not prove it is asked to
    f.unit("SFK-015")
    a = post(x, {**piece(f), "dry_run": True})
    assert a.status == 409 and "wants the proof from there" in a.json[
        "detail"], a
    # the true one goes on
    code, out, words = x.sync(f.write(tmp_path / "true"))
    assert code == 0 and out["issued"] == 4 and x.size() == 11, words
    agree(x.w)


def test_an_older_export_is_no_alarm(line, tmp_path):
    """The file ends before what the centre has, and is the beginning of it: a
    stick that came late.  Another history of that size is a fork still."""
    x, f = line, forger(line, "older")
    f.unit("SFK-030")
    old = f.write(tmp_path / "old")
    f.unit("SFK-031")
    assert x.sync(f.write(tmp_path / "new"))[0] == 0
    for _ in range(2):
        code, out, words = x.sync(old)
        assert code == 3 and "an older export: it ends at entry 3, and the " \
            "centre has 5" in words, words
    assert not alerts(x, f)
    g = clone(f)
    del g.lines[1:]
    g.unit("SFK-032")
    code, out, words = x.sync(g.write(tmp_path / "other"))
    assert code == 3 and "ends at entry 3, of which" in words, words
    assert len(alerts(x, f)) == 1
    assert x.sync(tmp_path / "new")[0] == 0
    agree(x.w)


def test_a_key_that_is_trusted_again_goes_on(line, tmp_path):
    """Nothing is judged anew, what was put aside stays, and a fork of the old
    ledger is one still."""
    x, f = line, forger(line, "first")
    f.unit("SFK-998")
    f.unit("SFK-040")
    code, out, words = x.sync(f.write(tmp_path / "first"))
    assert code == 3 and out["issued"] == 1, words
    g = forger(x, "second")
    g.unit("SFK-041")
    assert x.sync(g.write(tmp_path / "second"))[0] == 0
    x.trust(f.key)
    assert x.size() == len(f.lines)
    code, out, words = x.sync(tmp_path / "first")
    assert code == 0 and out["entries"] == 0, words
    fork = clone(f)
    fork.lines.pop()
    fork.unit("SFK-042")
    code, out, words = x.sync(fork.write(tmp_path / "fork"))
    assert code == 3 and "another history" in words and alerts(x, f), words
    f.unit("SFK-043")
    code, out, words = x.sync(f.write(tmp_path / "first"))
    assert code == 0 and out["issued"] == 1, words
    assert not has(x, "SFK-042")
    agree(x.w)


def test_two_histories_at_the_same_moment(line, tmp_path):
    """A station and its clone: whoever is first, nothing of the other one is
    in force."""
    x, f = line, forger(line, "moment")
    assert x.sync(f.write(tmp_path / "opened"))[0] == 0
    both = []
    for k, base in enumerate((50, 70)):
        g = clone(f)
        for i in range(base, base + 20):
            g.unit(f"SFK-0{i}")
        both.append(g.write(tmp_path / f"clone{k}"))
    running = [subprocess.Popen(
        [MINT, "--context", x.w.context, "station", "sync", x.name, path],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for path in both]
    codes = [p.wait(120) for p in running]
    assert sorted(codes)[0] == 0, codes
    # who lost may have been told to ask again
    codes = [x.sync(path)[0] for path in both]
    assert sorted(codes) == [0, 3], codes
    won = codes.index(0)
    assert [has(x, f"SFK-0{i}") for i in range(50, 90)] == \
        [won == 0] * 20 + [won == 1] * 20
    assert len(alerts(x, f)) == 1
    agree(x.w)


@pytest.mark.skipif(b"MINTMARK_DIE_AT" not in DAEMON.read_bytes(),
                    reason="needs a build with -Dfaults=true")
def test_what_is_signed_is_noted_before_anything_is_stored(line, tmp_path):
    """The centre dies in between: the clone comes first then, and nothing of
    it is taken."""
    x, w = line, line.w
    f = forger(x, "claimed")
    g = clone(f)
    f.unit("SFK-090")
    g.unit("SFK-091")
    w.stop()
    w.start(env={"MINTMARK_DIE_AT": "sync.claimed:1"})
    assert x.sync(f.write(tmp_path / "true"))[0] != 0
    w.kill_all()
    w.start()
    until(lambda: w.rest("GET", "/status").status == 200)
    assert not has(x, "SFK-090") and where(x)["signed"] == 3
    agree(w)
    code, out, words = x.sync(g.write(tmp_path / "clone"))
    assert code == 3 and "another history" in words, words
    assert not has(x, "SFK-091")
    code, out, words = x.sync(tmp_path / "true")
    assert code == 0 and out["issued"] == 1, words
    agree(w)


def test_what_is_not_in_its_form(line, tmp_path):
    """Of a piece, and of an export: a number is no text, nor nothing."""
    f = forger(line, "form")
    body = {**piece(f), "dry_run": True}
    assert post(line, body).status == 200
    for more in ({"since": 7}, {"since": {}}, {"since": {"size": 0,
                                                        "proof": ""}},
                 {"since": {"size": "3", "proof": ""}},
                 {"since": {"size": 3, "proof": "x"}}, {"v": "1"}, {"v": 1.5},
                 {"v": True}):
        a = post(line, {**body, **more})
        assert a.status == 400, (more, a)
    for change in ({"from": "0"}, {"from": None}, {"v": "1"}):
        f.head = {**f.head, "from": 0, "v": 1, **change}
        code, out, words = line.sync(f.write(tmp_path / "x"))
        assert code == 2 and "damaged" in words, (change, words)
