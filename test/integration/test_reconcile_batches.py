"""Batches, stations, work orders: what one record hides or changes."""
import pytest

from records import records
from test_batches import Factory
from test_reconcile import TREE, changed, reconcile, rewrite
from world import World

HOSTILE = True  # see world.py

BATCH, STATION, ORDER, UNIT, COUNT = 9, 10, 11, 13, 14  # mm_doc_kind


@pytest.fixture(scope="module")
def made():
    """A stopped CA: a batch with an order, an extension, a certificate; and
    one that was shared out later."""
    w = World()
    try:
        w.start()
        f = Factory(w)
        f.key = f.station("l1")
        f.id = f.batch(3, shares=[{"station": "l1", "share": 2}])["id"]
        ask = lambda **more: w.rest("POST", f"/batches/{f.id}/order",
                                    {"station": "l1", **more})
        assert ask().status == 200
        f.change(f.id, "extend", quantity=4, reason="more")
        f.change(f.id, "shares", shares=[{"station": "l1", "share": 3}])
        assert ask(extension=True).status == 200
        a = f.enrol("P1-001", batch=f.id, key=f.key)
        assert a.status == 200, a
        # shared out after the first of it was made
        later = f.batch(3)["id"]
        assert f.enrol("P2-001", batch=later, key=f.key, csr=1).status == 200
        f.change(later, "shares", shares=[{"station": "l1", "share": 2}])
        assert f.enrol("P2-002", batch=later, key=f.key, csr=2).status == 200
        # the order for it was followed by another
        f.station("l2")
        twice = f.batch(6, shares=[{"station": "l2", "share": 3}])["id"]
        order = f"/batches/{twice}/order", {"station": "l2"}
        assert w.rest("POST", *order).status == 200
        f.older = records(w).sql(
            "SELECT " + records(w).hex("body") +
            f" FROM doc WHERE kind = {ORDER} AND id = 'l2/{twice}'")[0][0]
        f.change(twice, "shares", shares=[{"station": "l2", "share": 5}])
        assert w.rest("POST", *order).status == 200
        w.cli("ledger", "verify")
        w.stop()
        yield f
    finally:
        w.close()


def document(kind, old, new):
    """A document with other words, under the version that it has."""
    return lambda db: (
        "UPDATE doc SET body = " + db.bytes(
            f"replace({db.text('body')}, '{old}', '{new}')") +
        f" WHERE kind = {kind}")


def test_untouched_they_agree(made):
    rc, differences, p = reconcile(made.w)
    assert rc == 0 and differences == [], p


EXTENDED = "{json} LIKE '%\"order.extended\"%'"
NEWEST = "the newest, not in the database"
GIVEN = "more given back in the database than was reported"


def counted(told, said):
    return (f"{told} certificates by the ledger, {said} counted in the "
            "database")


def count_of(name):
    return f"INSERT INTO doc (kind, id, version, body) VALUES ({COUNT}, " \
           f"'{name}', 1, '{{}}')"


SIGNED = "{json} LIKE '%\"order.signed\"%'"


@pytest.mark.parametrize("change, says", [
    (document(BATCH, '"quantity":4', '"quantity":9'),
     {"another plan in the database", "another quota in the database"}),
    (document(BATCH, '"state":"open"', '"state":"paused"'),
     {"open in the ledger, paused in the database"}),
    (f"DELETE FROM doc WHERE kind = {BATCH}", {"not in the database"}),
    (document(STATION, '"state":"active"', '"state":"removed"'),
     {"active in the ledger, removed in the database"}),
    (document(STATION, '"number":1', '"number":0'),
     {"another newest order in the database"}),
    (f"DELETE FROM doc WHERE kind = {STATION}", {"not in the database"}),
    (document(ORDER, r'\"share\":2', r'\"share\":7'),
     {"in the database, not in the journal",
      "in the database, not in the ledger"}),
    (document(ORDER, '"share', '"sh_re'),
     {"is none in the database", NEWEST}),
    (f"DELETE FROM doc WHERE kind = {ORDER}", {NEWEST}),
    (rewrite('"number":1', '"number":7', SIGNED),
     {"not in the ledger", "in the database, not in the ledger", TREE}),
    (rewrite('"number":1', '"number":7', EXTENDED),
     {"not in the ledger", TREE}),
    (rewrite('"count":3', '"count":5', EXTENDED), {TREE}),
    (rewrite('"count":4', '"count":9', "{json} LIKE '%\"batch.changed\"%'"),
     {TREE, "another quota in the database"}),
    (f"DELETE FROM doc WHERE kind = {COUNT}",
     {counted(1, 0), counted(2, 0)}),
    (f"DELETE FROM doc WHERE kind = {COUNT} AND id LIKE '%/l1'",
     {counted(1, 0), counted(2, 0)}),
    (f"UPDATE doc SET version = 2 WHERE kind = {COUNT} AND id = 'b1'",
     {counted(1, 2)}),
    (count_of("b1//"), {GIVEN}),
    (count_of("b1/l1/"), {GIVEN}),
    (count_of("b1/l2"), {"not in the ledger"}),
    (f"DELETE FROM doc WHERE kind = {UNIT}", {"not in the database"}),
], ids=["plan", "state", "batch", "removed", "order", "station", "share",
        "note", "no order", "number", "extension", "count", "quota", "counts",
        "a station's", "too many", "given back", "by a station",
        "of nobody", "unit"])
def test_what_was_changed_is_named(made, change, says):
    with changed(made.w, change):
        rc, differences, p = reconcile(made.w)
    assert rc == 9 and set(differences) == says, p


def test_an_order_that_was_put_back(made):
    older = lambda db: (
        f"UPDATE doc SET body = {db.blob(bytes.fromhex(made.older))} "
        f"WHERE kind = {ORDER} AND id LIKE 'l2/%'")
    with changed(made.w, older):
        rc, differences, p = reconcile(made.w)
    assert rc == 9 and differences == [NEWEST], p
