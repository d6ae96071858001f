"""What one of the three records hides or changes, reconcile names."""
import json
import os
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
