"""A fleet renews at once while its lists are made: test/bench/e2e/storm.py in
small."""
import sys

from test_operators import pages
from world import ROOT, World, sanitized

sys.path.insert(0, str(ROOT / "test/bench/e2e"))
import ocsp  # noqa: E402  pylint: disable=wrong-import-position
import storm  # noqa: E402  pylint: disable=wrong-import-position


def test_everybody_has_a_new_certificate_and_lists_are_made():
    clients, at_once = (60, 20) if sanitized() else (240, 120)
    with World(profile=storm.bench.PROFILE) as w:
        w.set_conf("log_level", '"warn"')
        w.set_conf("connections_per_source", "2000")
        w.start().product()
        got = storm.measure(w, clients, at_once)
        print(got)
        assert got["lists"] > 0 and got["list_most_s"] < 30, got
        renewed = pages(w, w.admin_key, "/ledger/entries?type="
                        "certificate.renewed", 1000)
        assert len({e["entry"]["device"] for e in renewed}) == clients


def test_answers_that_are_signed_already_are_cheap():
    """OCSP: 20,000 a second of a core are wanted, which is 50 us; a machine
    that does other things too is forgiven the double."""
    with World(profile=storm.bench.PROFILE) as w:
        w.set_conf("log_level", '"warn"')
        w.set_conf("connections_per_source", "2000")
        w.start().product()
        got = ocsp.measure(w, 1600 if sanitized() else 16000, 20)
    print(got)
    if not sanitized():
        assert min(x["us"] for x in got.values()) < 100, got
