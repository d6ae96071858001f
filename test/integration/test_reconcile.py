"""What one of the three records hides or changes, reconcile names."""
import contextlib
import json
import os
import signal
import sqlite3

import pytest

from world import MINT, World, faketime, run


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
        with contextlib.closing(sqlite3.connect(database(w))) as db:
            w.old = db.execute("SELECT number, der FROM crl").fetchall()
        w.cli("ca", "crl", "issuing")
        w.cli("ledger", "verify")
        w.stop()
        yield w
    finally:
        w.close()


def database(w):
    return w.state / "server/mintmark.db"


def reconcile(w):
    """An hour later: nothing can be on its way any more."""
    p = run(MINT, "--json", "ledger", "reconcile", "--config", w.conf,
            check=False, env={**os.environ, **faketime("+1h")})
    out = json.loads(p.stdout) if p.stdout else {"differences": []}
    return p.returncode, [d["difference"] for d in out["differences"]], p


def test_untouched_it_agrees(settled):
    assert reconcile(settled)[0] == 0


@pytest.mark.parametrize("sql, says", [
    ("UPDATE cert SET not_after_s = not_after_s + 1 WHERE id = 1",
     "another end in the database"),
    ("UPDATE cert SET device = (SELECT id FROM device WHERE name = 'B') "
     "WHERE id = 1", "another device, issuer or profile in the database"),
    ("UPDATE cert SET spki = zeroblob(32) WHERE id = 1",
     "another key in the database"),
    ("DELETE FROM cert WHERE id = 2", "not in the database"),
])
def test_a_changed_database(settled, sql, says):
    path = settled.state / "server/mintmark.db"
    good = path.read_bytes()
    db = sqlite3.connect(path)
    try:
        db.execute(sql)
        db.commit()
        db.close()
        rc, differences, p = reconcile(settled)
        assert rc == 9 and says in differences, p
    finally:
        db.close()
        path.write_bytes(good)


def test_a_changed_entry(settled):
    path = settled.state / "server/mintmark.db"
    good = path.read_bytes()
    db = sqlite3.connect(path)
    try:
        db.execute("UPDATE entry SET json = CAST(replace(CAST(json AS TEXT),"
                   " '\"device\":\"A\"', '\"device\":\"Z\"') AS BLOB)")
        db.commit()
        db.close()
        rc, differences, p = reconcile(settled)
        assert rc == 9, p
        assert "another device, issuer or profile in the ledger" in \
            differences
    finally:
        db.close()
        path.write_bytes(good)


def test_a_signature_that_only_the_journal_has(settled):
    """Its certificate and its entry were left out."""
    path = settled.state / "server/mintmark.db"
    good = path.read_bytes()
    db = sqlite3.connect(path)
    try:
        db.execute("DELETE FROM cert WHERE id = 3")
        db.execute("UPDATE entry SET json = CAST(replace(CAST(json AS TEXT),"
                   " 'certificate.issued', 'certificate.held') AS BLOB) "
                   "WHERE CAST(json AS TEXT) LIKE '%\"device\":\"C\"%'")
        db.commit()
        db.close()
        rc, differences, p = reconcile(settled)
        assert rc == 9 and "not in the database" in differences and \
            "not in the ledger" in differences, p
    finally:
        db.close()
        path.write_bytes(good)


def test_a_changed_journal(settled):
    path = settled.state / "signer/journal.jsonl"
    good = path.read_bytes()
    try:
        path.write_bytes(good.replace(b'"device":"A"', b'"device":"Y"'))
        rc, _, p = reconcile(settled)
        assert rc == 9 and "journal" in p.stderr, p
    finally:
        path.write_bytes(good)


# ---- revocation lists ----

@contextlib.contextmanager
def changed(w, *sql):
    """The database with a change, put back in the end."""
    good = database(w).read_bytes()
    try:
        with contextlib.closing(sqlite3.connect(database(w))) as db:
            db.execute(*sql)
            db.commit()
        yield
    finally:
        database(w).write_bytes(good)


LIST = "CAST(json AS TEXT) LIKE '%\"crl.signed\"%'"


@pytest.mark.parametrize("sql, says", [
    ("UPDATE crl SET number = number + 1",
     {"in the database, not in the journal",
      "in the database, not in the ledger"}),
    ("UPDATE crl SET der = CAST(substr(der, 1, 60) || x'00' || "
     "substr(der, 62) AS BLOB)", {"not what was signed in the database"}),
    ("UPDATE crl SET der = x''", {"not what was signed in the database"}),
    ("DELETE FROM crl", {"not in the database"}),
    ("UPDATE entry SET json = CAST(replace(CAST(json AS TEXT), "
     f"'\"number\":', '\"number\":9') AS BLOB) WHERE {LIST} AND idx = "
     f"(SELECT min(idx) FROM entry WHERE {LIST})",
     {"not in the journal", "not in the ledger",
      "an older one in the database"}),
    ("UPDATE entry SET json = CAST(replace(CAST(json AS TEXT), '}', "
     f"',\"result\":\"lost\"}}') AS BLOB) WHERE {LIST} AND idx = "
     f"(SELECT max(idx) FROM entry WHERE {LIST})",
     {"in the database, lost in the ledger"}),
])
def test_a_changed_list(settled, sql, says):
    with changed(settled, sql):
        rc, differences, p = reconcile(settled)
    if "UPDATE entry" in sql:  # another tree, too
        says = says | {"the database's entries are not what was signed"}
    assert rc == 9 and set(differences) == says, p


def test_an_older_list(settled):
    """Put back by somebody who was on the newer one."""
    number, der = settled.old[0]
    with changed(settled, "UPDATE crl SET number = ?, der = ?",
                 (number, der)):
        rc, differences, p = reconcile(settled)
    assert rc == 9 and differences == ["an older one in the database"], p


def test_a_list_whose_end_came_before_it_was_stored():
    """Signed, never recorded, and then the server is killed: the next start
    enters it as lost."""
    with World() as w:
        w.start()
        with contextlib.closing(sqlite3.connect(database(w))) as db:
            db.execute("BEGIN IMMEDIATE")
            a = w.rest("POST", "/issuers/issuing/crl")
            assert a.status == 503, a
            w.stop(signal.SIGKILL)
        rc, differences, p = reconcile(w)
        assert rc == 9 and differences == ["not in the ledger"], p
        w.start()
        out = w.cli("--json", "ledger", "reconcile", "--config", w.conf)
        assert json.loads(out.stdout)["agree"], out
        entries = w.rest("GET", "/ledger/entries?limit=1000&type=crl.signed")
        assert [e["entry"].get("result") for e in entries.json["items"]
                ].count("lost") == 1
        w.stop()
        rc, differences, p = reconcile(w)
        assert rc == 0, p
