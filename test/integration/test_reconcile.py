"""What one of the three records hides or changes, reconcile names."""
import contextlib
import http.client
import json
import os
import socket
import subprocess
import time

import pytest

from offline import harness
from records import records
from world import MINT, SIGNER, World, faketime, run, until

HOSTILE = True  # see world.py


@contextlib.contextmanager
def asked(w):
    """An OCSP question that a responder has to answer; the connection."""
    der = w.dir / "question.der"
    run("openssl", "ocsp", "-issuer", w.state / "signer/issuers/issuing.crt",
        "-serial", "0x1234", "-no_nonce", "-reqout", der)
    with contextlib.closing(http.client.HTTPConnection(
            "127.0.0.1", w.public, timeout=30)) as conn:
        conn.request("POST", "/ocsp", der.read_bytes(),
                     {"Content-Type": "application/ocsp-request"})
        yield conn


def responders(w):
    text = (w.state / "signer/journal.jsonl").read_text()
    return [json.loads(s)["serial"] for s in text.splitlines()
            if '"kind":"responder"' in s]


@pytest.fixture(scope="module")
def settled():
    """A stopped CA with three certificates on record."""
    w = World(profile="\tbearer = true")
    try:
        w.start().product()
        for n in ("A", "B", "C"):
            a = w.enrol_basic(w.token(n, door="bearer"), w.key_and_csr(n)[1])
            assert a.status == 200, a
        w.cli("ca", "crl", "issuing")
        db = records(w)
        w.old, = db.sql(f"SELECT number, {db.hex('der')} FROM crl")
        w.cli("ca", "crl", "issuing")
        with asked(w) as conn:
            assert conn.getresponse().status == 200
        w.cli("ledger", "verify")
        w.stop()
        yield w
    finally:
        w.close()


def reconcile(w):
    """An hour later: nothing can be on its way any more."""
    p = run(MINT, "--json", "ledger", "reconcile", "--config", w.conf,
            check=False, env={**os.environ, **faketime("+1h")})
    out = json.loads(p.stdout) if p.stdout else {"differences": []}
    return p.returncode, [d["difference"] for d in out["differences"]], p


@contextlib.contextmanager
def changed(w, *change):
    """The database with changes, put back in the end.  A change is SQL, or
    makes it of the database's records."""
    db = records(w)
    with db.kept():
        for sql in change:
            db.sql(sql if isinstance(sql, str) else sql(db))
        yield


def rewrite(old, new, where):
    """Every entry for which it is true, with other words."""
    return lambda db: (
        "UPDATE entry SET json = " + db.bytes(
            f"replace({db.text('json')}, '{old}', '{new}')") +
        " WHERE " + where.format(json=db.text("json")))


def test_untouched_it_agrees(settled):
    assert reconcile(settled)[0] == 0


@pytest.mark.parametrize("sql, says", [
    ("UPDATE cert SET not_after_s = not_after_s + 1 WHERE id = 1",
     "another end in the database"),
    ("UPDATE cert SET device = (SELECT id FROM device WHERE name = 'B') "
     "WHERE id = 1", "another device, issuer or profile in the database"),
    ("UPDATE cert SET spki = (SELECT spki FROM cert WHERE id = 2) "
     "WHERE id = 1", "another key in the database"),
    ("DELETE FROM cert WHERE id = 2", "not in the database"),
])
def test_a_changed_database(settled, sql, says):
    with changed(settled, sql):
        rc, differences, p = reconcile(settled)
    assert rc == 9 and says in differences, p


def test_a_changed_entry(settled):
    with changed(settled, rewrite('"device":"A"', '"device":"Z"', "1 = 1")):
        rc, differences, p = reconcile(settled)
    assert rc == 9, p
    assert "another device, issuer or profile in the ledger" in differences


def test_a_signature_that_only_the_journal_has(settled):
    """Its certificate and its entry were left out."""
    with changed(settled, "DELETE FROM cert WHERE id = 3",
                 rewrite("certificate.issued", "certificate.held",
                         "{json} LIKE '%\"device\":\"C\"%'")):
        rc, differences, p = reconcile(settled)
    assert rc == 9 and "not in the database" in differences and \
        "not in the ledger" in differences, p


def test_a_changed_journal(settled):
    path = settled.state / "signer/journal.jsonl"
    good = path.read_bytes()
    try:
        path.write_bytes(good.replace(b'"device":"A"', b'"device":"Y"'))
        rc, _, p = reconcile(settled)
        assert rc == 9 and "journal" in p.stderr, p
    finally:
        path.write_bytes(good)


# ---- OCSP responders ----

TREE = "the database's entries are not what was signed"
MADE = "{json} LIKE '%\"responder.made\"%'"


@pytest.mark.parametrize("old, new, says", [
    ("responder.made", "certificate.held", {"not in the ledger"}),
    ('"serial":"0', '"serial":"1', {"not in the ledger",
                                    "not in the journal"}),
    ('"issuer":"issuing"', '"issuer":"root"',
     {"another device, issuer or profile in the ledger"}),
    ('"not_after":"2', '"not_after":"3', {"another end in the ledger"}),
], ids=["none", "serial", "issuer", "end"])
def test_a_changed_responder(settled, old, new, says):
    with changed(settled, rewrite(old, new, MADE)):
        rc, differences, p = reconcile(settled)
    assert rc == 9 and set(differences) == {TREE} | {
        f"OCSP responder, {s}" for s in says}, p


def hostile_start(w, use=0, sign=None):
    """By a server that was taken over: its signer certifies a responder, and
    nobody hears of it; nor of what is signed by that."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    p = subprocess.Popen([SIGNER, "run", "--config", w.conf, "--links",
                          f"ocsp:{theirs.fileno()}"],
                         pass_fds=[theirs.fileno()],
                         stderr=subprocess.DEVNULL)
    theirs.close()
    try:
        link = harness.Link("ocsp", ours)
        serial = link.call("ocsp_start", "issuing", b"", b"", use)[1]
        if sign:
            link.call("config_sign", serial, *sign)
        return serial.hex()
    finally:
        ours.close()
        p.wait(30)


def test_a_responder_that_was_never_entered(settled):
    folder = settled.state / "signer"
    good = {n: (folder / n).read_bytes() for n in ("journal.jsonl", "state")}
    try:
        serial = hostile_start(settled)
        rc, differences, p = reconcile(settled)
    finally:
        for name, data in good.items():
            (folder / name).write_bytes(data)
    assert rc == 9 and differences == ["OCSP responder, not in the ledger"], p
    assert [d["serial"] for d in json.loads(p.stdout)["differences"]] == [
        serial]


def test_a_configuration_that_was_never_entered(settled):
    folder = settled.state / "signer"
    good = {n: (folder / n).read_bytes() for n in ("journal.jsonl", "state")}
    try:
        hostile_start(settled, 1, ("SN-X", bytes(32), 5, bytes(16), b"{}"))
        rc, differences, p = reconcile(settled)
    finally:
        for name, data in good.items():
            (folder / name).write_bytes(data)
    assert rc == 9 and set(differences) == {
        "OCSP responder, not in the ledger", "signed, not in the ledger"}, p
    assert "configuration 5 of sn-x" in p.stdout


# ---- revocation lists ----

LIST = "{json} LIKE '%\"crl.signed\"%'"
OLDEST = f"{LIST} AND idx = (SELECT min(idx) FROM entry WHERE {LIST})"
NEWEST = f"{LIST} AND idx = (SELECT max(idx) FROM entry WHERE {LIST})"


def one_byte(db):
    (text,), = db.sql(f"SELECT {db.hex('der')} FROM crl")
    der = bytearray.fromhex(text)
    der[60] ^= 1
    return f"UPDATE crl SET der = {db.blob(der)}"


@pytest.mark.parametrize("sql, says", [
    ("UPDATE crl SET number = number + 1",
     {"in the database, not in the journal",
      "in the database, not in the ledger"}),
    (one_byte, {"not what was signed in the database"}),
    (lambda db: f"UPDATE crl SET der = {db.blob(b'')}",
     {"not what was signed in the database"}),
    ("DELETE FROM crl", {"not in the database"}),
    (rewrite('"number":', '"number":9', OLDEST),
     {"not in the journal", "not in the ledger",
      "an older one in the database", TREE}),
    (rewrite(',"size":', ',"result":"lost","size":', NEWEST),
     {"in the database, lost in the ledger", TREE}),
], ids=["number", "byte", "empty", "none", "entry", "lost"])
def test_a_changed_list(settled, sql, says):
    with changed(settled, sql):
        rc, differences, p = reconcile(settled)
    assert rc == 9 and set(differences) == says, p


SHARD = "shard WHERE issuer = 'issuing' AND shard = 7"


def other_shard(db):
    (text,), = db.sql(f"SELECT {db.hex('der')} FROM {SHARD}")
    der = bytearray.fromhex(text)
    der[60] ^= 1
    return (f"UPDATE shard SET der = {db.blob(der)} WHERE issuer = 'issuing' "
            "AND shard = 7")


@pytest.mark.parametrize("sql, says", [
    (other_shard, {"not what was signed in the database"}),
    (lambda db: "UPDATE shard SET der = (SELECT der FROM shard WHERE issuer "
     "= 'issuing' AND shard = 8) WHERE issuer = 'issuing' AND shard = 7",
     {"not what was signed in the database"}),
    (f"DELETE FROM {SHARD}", {"not in the database"}),
    ("UPDATE shard SET next_s = next_s + 1 WHERE shard = 7",
     {"another end in the database"}),
    ("UPDATE shard SET number = number - 1 WHERE shard = 7",
     {"an older one in the database", "in the database, not in the journal",
      "in the database, not in the ledger"}),
], ids=["byte", "another's", "none", "end", "number"])
def test_a_changed_list_of_a_shard(settled, sql, says):
    with changed(settled, sql):
        rc, differences, p = reconcile(settled)
    assert rc == 9 and set(differences) == says, p
    assert all(d["shard"] == 7 for d in json.loads(p.stdout)["differences"])


def test_an_older_list(settled):
    """Put back by somebody who was on the newer one."""
    number, der = settled.old
    with changed(settled, lambda db: f"UPDATE crl SET number = {number}, "
                 f"der = {db.blob(bytes.fromhex(der))}"):
        rc, differences, p = reconcile(settled)
    # its end is another one, too, if it was not signed in the same second
    assert rc == 9 and set(differences) - {"another end in the database"} == {
        "an older one in the database"}, p


def first_list(w):
    """That of the start is stored."""
    end = time.monotonic() + 30
    while w.get_public("/crl/issuing.crl").status != 200:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_list_whose_end_came_before_it_was_stored():
    """Signed, never recorded, and then the server is killed: the next start
    enters it as lost."""
    with World() as w:
        w.start()
        first_list(w)
        with records(w).held():
            a = w.rest("POST", "/issuers/issuing/crl")
            assert a.status == 503, a
            w.kill_all()
        rc, differences, p = reconcile(w)
        # one, or more if the server itself tried meanwhile; a run of shards'
        # has many lists, and one entry
        assert rc == 9 and set(differences) == {"not in the ledger"}, p
        runs = {d["crl"] for d in json.loads(p.stdout)["differences"]}
        w.start()
        out = w.cli("--json", "ledger", "reconcile", "--config", w.conf)
        assert json.loads(out.stdout)["agree"], out
        entries = w.rest("GET", "/ledger/entries?limit=1000&type=crl.signed")
        assert [e["entry"].get("result") for e in entries.json["items"]
                ].count("lost") == len(runs)
        lose_a_responder(w)
        w.stop()
        rc, differences, p = reconcile(w)
        assert rc == 0, p


def lose_a_responder(w):
    """The end comes between its certificate and its entry: the next start
    enters it as lost, and has another one certified."""
    with records(w).held(), asked(w):
        until(lambda: responders(w))
        w.kill_all()
    rc, differences, p = reconcile(w)
    lost = differences.count("OCSP responder, not in the ledger")
    # a list may have been on its way, too
    assert rc == 9 and lost > 0 and set(differences) <= {
        "OCSP responder, not in the ledger", "not in the ledger"}, p
    w.start()
    with asked(w) as conn:
        assert conn.getresponse().status == 200
    entries = w.rest("GET", "/ledger/entries?type=responder.made").json
    made = {e["entry"]["serial"]: e["entry"].get("result")
            for e in entries["items"]}
    assert set(made) == set(responders(w)), made
    assert sorted(made.values(), key=str) == [None, *["lost"] * lost], made
