"""What stations brought: what the database hides or changes of it."""
import time

import pytest

from test_offline_order import Line
from test_reconcile import changed, reconcile
from test_reconcile_batches import COUNT, UNIT, count_of, counted, document
from test_sync import Synced, forger
from world import World

LEAKS = True
NOTED, COPY, QUARANTINE = 7, 18, 19  # enum mm_doc_kind


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A stopped CA that took two units of a station, and put one aside."""
    folder = tmp_path_factory.mktemp("synced")
    with World() as w:
        x = Synced(Line(w), folder, "rcs")
        code, _, words = x.sync(x.make("01", "02").export())
        assert code == 0, words
        f = forger(x, "bad")
        f.unit("RCS-98")
        for _ in range(2):  # one is taken in all the same, one never
            f.unit("RCS-03", at=time.time() + 86400)
        code, out, words = x.sync(f.write(folder / "bad"))
        assert code == 3, words
        for q, what in zip(out["quarantined"][1:], ("accept", "reject")):
            w.cli("station", "quarantine", x.name, f"--{what}", q["entry"],
                  "--reason", "its clock")
        w.cli("ledger", "verify")
        w.stop()
        yield w
        x.s.close()


def test_untouched_they_agree(made):
    rc, differences, p = reconcile(made)
    assert rc == 0 and differences == [], p


CLAIM = f"kind = {NOTED} AND id LIKE 'line:%'"


@pytest.mark.parametrize("change, says", [
    (f"DELETE FROM doc WHERE kind = {COUNT}", {counted(3, 0)}),
    (count_of("rcs//"),
     {"more given back in the database than was reported"}),
    (f"DELETE FROM doc WHERE kind = {UNIT}", {"not in the database"}),
    (f"DELETE FROM doc WHERE {CLAIM}", {"not in the database"}),
    (lambda db: "UPDATE doc SET body = " + db.bytes(
        "'\"" + 64 * "0" + "\"'") + f" WHERE {CLAIM}",
     {"another station and batch in the database"}),
    (f"UPDATE doc SET id = 'line:line-other' WHERE {CLAIM}",
     {"not in the database", "not in the ledger"}),
    (f"DELETE FROM doc WHERE kind = {QUARANTINE}", {"not in the database"}),
    (document(QUARANTINE, "RCS-98", "RCS-97"),
     {"not in the database", "not in the ledger"}),
    (document(QUARANTINE, "a serial number", "no serial number"),
     {"not in the database", "not in the ledger"}),
    (document(QUARANTINE, '"entry":1', '"entry":7'),
     {"not in the database", "not in the ledger"}),
    (document(QUARANTINE, '"state":"rejected"', '"state":"waiting"'),
     {"rejected in the ledger, waiting in the database"}),
    (document(QUARANTINE, '"state":"accepted"', '"state":"waiting"'),
     {"accepted in the ledger, waiting in the database"}),
    (document(QUARANTINE, '"note":"its clock"', '"note":"none"'),
     {"another decision in the database"}),
    (document(QUARANTINE, '"certificate":"MII', '"certificate":"MIJ'),
     {"another certificate in the database"}),
    (f"DELETE FROM doc WHERE kind = {COPY}", {"not whole in the database"}),
    (document(COPY, "certificate.issued", "certificate.1ssued"),
     {"does not make the tree that was entered"}),
], ids=["counts", "given back", "units", "claim", "claimed by another",
        "claimed alone", "put aside", "device", "reason", "number", "not rejected",
        "not accepted", "reason of a decision", "kept certificate", "copy", "another copy"])
def test_what_was_changed_is_named(made, change, says):
    with changed(made, change):
        rc, differences, p = reconcile(made)
    assert rc == 9 and set(differences) == says, p
