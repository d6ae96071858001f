"""Ledgers that a later release wrote: with types and fields of entries that
this one does not know.  What is new is not what is false."""
import csv
import json

import pytest

from tlog import Log, leaf
from world import MINT, run

AT = '"at":"2031-01-02T03:04:05.678Z","time_source":"ntp"'


def entry(kind, more=""):
    return f'{{"v":1,"type":"{kind}",{AT}{more}}}'.encode()


KNOWN = [entry("product.created", ',"product":"thermo"')] * 300
MIRRORED = entry("station.mirrored", ',"device":"SN-1","station":"L3",'
               '"lamport":7,"place":"a\\nb"')
WIDER = entry("product.created", ',"product":"thermo","colour":"red"')
LATER = [entry("epoch.opened"), MIRRORED, WIDER, MIRRORED]


@pytest.fixture
def log(tmp_path):
    made = Log(tmp_path / "log")
    made.write([*KNOWN, *LATER])
    return made


def mint(*argv, check=True):
    return run(MINT, *argv, check=check)


def test_what_a_later_release_wrote_is_counted_and_named(log):
    p = mint("ledger", "verify", log.folder, "--key", log.key)
    assert "has 304 entries; every entry" in p.stdout
    assert ("4 entries are of a form that this release does not know: "
            "epoch.opened, station.mirrored, product.created.") in p.stdout
    said = json.loads(mint("--json", "ledger", "verify", log.folder, "--key",
                           log.key).stdout)
    assert said["verified"] and said["not_known"] == 4
    assert said["not_known_types"] == ["epoch.opened", "station.mirrored",
                                       "product.created"]
    log.write(KNOWN)
    p = mint("ledger", "verify", log.folder, "--key", log.key)
    assert "not know" not in p.stdout
    log.write([entry(f"new.type{i}") for i in range(20)])
    p = mint("ledger", "verify", log.folder, "--key", log.key)
    assert "20 entries are" in p.stdout
    assert "new.type7 and others." in p.stdout


def test_what_is_not_known_is_hashed_like_the_rest(log):
    bundle = log.folder / "tile/entries/001.p/48"
    bundle.write_bytes(bundle.read_bytes().replace(b'"lamport":7',
                                                   b'"lamport":8', 1))
    p = mint("ledger", "verify", log.folder, "--key", log.key, check=False)
    assert p.returncode == 9 and "is not what the entries hash to" in p.stderr


@pytest.mark.parametrize("what,json_", [
    ("no name of a type", entry("Epoch\\u001b[2J")),
    ("no name of a field", entry("epoch.opened", ',"A b":"x"')),
    ("a space", entry("epoch.opened", ', "a":"x"')),
    ("a field twice", entry("epoch.opened", ',"a":"x","a":"x"')),
    ("known fields in another order",
     entry("epoch.opened", ',"product":"x","device":"y"')),
    ("a list", entry("epoch.opened", ',"a":[]')),
    ("a hash in another form", entry("epoch.opened", ',"cert_sha256":"00"')),
    ("must have a product", entry("product.created", ',"colour":"red"')),
    ("version 2", entry("epoch.opened").replace(b'"v":1', b'"v":2')),
], ids=lambda v: v.replace(" ", "-") if isinstance(v, str) else "")
def test_what_no_release_writes_is_still_refused(log, what, json_):
    log.write([*KNOWN, json_])
    p = mint("ledger", "verify", log.folder, "--key", log.key, check=False)
    assert p.returncode == 9 and "entry 300: " in p.stderr, (what, p)
    assert "\x1b" not in p.stderr


def test_an_export_keeps_what_it_does_not_know(log, tmp_path):
    out, table, copy = (tmp_path / n for n in ("out", "out.csv", "copy"))
    mint("ledger", "export", "--from", log.folder, "--out", out)
    lines = out.read_text().splitlines()
    assert [json.loads(x)["entry"] for x in lines[300:]] == \
        [json.loads(x) for x in LATER]
    assert lines[301].endswith(MIRRORED.decode() + "}")
    p = mint("ledger", "export", "--from", log.folder, "--format", "csv",
             "--out", table)
    assert "4 of them are of a form" in p.stderr
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [r["type"] for r in rows[300:]] == [
        "epoch.opened", "station.mirrored", "product.created", "station.mirrored"]
    assert rows[301]["station"] == "L3" and rows[302]["product"] == "thermo"
    mint("ledger", "export", "--from", log.folder, "--format", "tiles",
         "--out", copy)
    assert "4 entries" in mint("ledger", "verify", copy, "--key",
                               log.key).stdout
    out.unlink()
    mint("ledger", "export", "--from", log.folder, "--device", "sn-1",
         "--out", out)
    assert len(out.read_text().splitlines()) == 2


def test_a_receipt_of_a_later_entry_verifies(log, tmp_path):
    log.write([KNOWN[0], WIDER])
    path = tmp_path / "receipt"
    path.write_text(json.dumps({
        "v": 1, "entry": WIDER.decode(), "index": 1,
        "proof": [leaf(KNOWN[0]).hex()], "chain": "",
        "checkpoint": (log.folder / "checkpoint").read_text("utf-8")}))
    p = mint("ledger", "verify-receipt", path, "--key", log.key)
    assert "verified: entry 1" in p.stdout and '"colour":"red"' in p.stdout
