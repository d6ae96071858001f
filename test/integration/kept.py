#!/usr/bin/env python3
"""Writes test/vectors/ledger/RELEASE: ledgers as this release exports them,
which test/integration/test_kept.py has every later release verify.

    MINTMARK_BUILD=$PWD/build/test test/integration/kept.py RELEASE

Two real ones: "one", a node over SQLite to which everything has happened
that tests know how to bring about, and "nodes", two over PostgreSQL of which
the second took the ledger over.  Together they have every type of entry that
docs/reference/ledger.md has, or nothing is written.  What was written once
is kept as it is: a new release makes a folder of its own.
"""
import collections
import json
import pathlib
import re
import shutil
import struct
import sys
import tempfile

import postgres
from busy import Busy
from nodes import Cluster, kill_all, passphrase_run
from test_offline_order import Line, new
from world import ROOT, SIGNER, faketime, run, until

KEPT = ROOT / "test/vectors/ledger"


def covered(w):
    s = w.rest("GET", "/status").json["ledger"]
    return s["checkpoint_size"] == s["size"]


def entries(w):
    lines = w.cli("ledger", "entries", "--limit", "0").stdout.splitlines()
    return [json.loads(line) for line in lines]


def certificates(w, of):
    """PEM of each that an entry says was issued."""
    for e in of:
        if e["entry"]["type"] in ("certificate.issued", "certificate.renewed"):
            a = w.rest("GET", f"/certificates/{e['entry']['serial']}")
            assert a.status == 200, a
            yield a.json["pem"]


def keep(w, folder, earlier):
    """Everything that an auditor takes home."""
    folder.mkdir(parents=True)
    until(lambda: covered(w))
    of = entries(w)
    issued = [e["index"] for e in of
              if e["entry"]["type"] == "certificate.issued"]
    w.cli("ledger", "export", "--format", "tiles", "--out", folder / "export")
    (folder / "receipts").mkdir()
    for i in [0, issued[0], issued[-1]]:
        w.cli("ledger", "receipt", str(i), "--out",
              folder / f"receipts/{i}.json")
    (folder / "certificates.pem").write_text("".join(certificates(w, of)))
    (folder / "earlier.checkpoint").write_bytes(earlier)
    types = collections.Counter(e["entry"]["type"] for e in of)
    (folder / "contents.json").write_text(json.dumps({
        "key": w.cli("ledger", "key").stdout.strip(), "size": len(of),
        "types": dict(sorted(types.items()))}, indent=1) + "\n")
    return set(types)


def refusals(b):
    """Of who has proved an authority, and of who has not."""
    csr = b.w.key_and_csr("CANCELLED")[1]
    assert b.enrol("CANCELLED", b.tokens["CANCELLED"], csr=csr).status == 403
    text = b.tokens["MINTED"]["token"]
    wrong = {"token": text[:40] + ("0" if text[40] != "0" else "1") +
             text[41:]}  # in the secret
    assert text[40] != "-"
    assert b.enrol("MINTED", wrong).status in (401, 403)


def lie(station, like):
    """Its program writes an entry of a unit that was never made."""
    entry = json.dumps({**like, "device": "KEPT-08", "serial": "22" * 16,
                        "spki_sha256": "11" * 32, "cert_sha256": "33" * 32},
                       separators=(",", ":")).encode()
    with open(station.dir / "state/ledger", "ab") as f:
        f.write(struct.pack(">H", len(entry)) + entry)


def line(b, folder):
    """Batches online and offline, a station that made units by itself."""
    w, centre = b.w, Line(b.w)
    s = new(centre, folder, "line-1")
    try:
        name, file = centre.line_ca(s, "kept")
        centre.again()
        centre.batch("kept", "line-1=2", "--mode", "offline")
        order = centre.order("kept", s, "--line-ca", file)
        w.cli("batch", "extend", "kept", "--until", "60d", "--reason", "late")
        centre.order("kept", s)
        w.cli("batch", "extend", "kept", "--until", "90d", "--reason", "later")
        w.cli("batch", "order", "kept", "--station", "line-1", "--extension")
        s.imports(order)
        s.plug()
        s.passes("KEPT-01")
        out = s.dir / "export.jsonl"
        run(*s.argv("export", "--out", out))
        lie(s, next(e for e in (json.loads(json.loads(x)["entry"]) for x in
                                out.read_text().splitlines()[1:-1])
                    if e["type"] == "certificate.issued"))
        w.cli("station", "trust", "line-1", s.made["ledger_key"])
        p = run(*s.argv("sync"), check=False)
        assert p.returncode == 3 and "1 put aside" in p.stdout, p
        b.ok("POST", "/batches/kept/units", {"station": "line-1", "units": [
            {"serial": "KEPT-01", "result": "passed",
             "at": "2026-01-01T00:00:00Z"}]})
        for verb in ("pause", "open", "close"):
            w.cli("batch", verb, "kept")
        s.imports(centre.order("kept", s))
        run(*s.argv("sync"))
        w.cli("station", "remove", "line-1")
    finally:
        s.close()
    assert w.stop() == 0


def one(folder):
    b = Busy()
    w = b.w
    try:
        b.do_all()
        with tempfile.TemporaryDirectory(prefix="kept-") as tmp:
            line(b, pathlib.Path(tmp))
        b.days_later()
        w.start(env=faketime("+27h"))
        refusals(b)
        assert w.stop() == 0
        # the clock is right again, and the operator says so
        run(SIGNER, "accept-clock", "--config", w.conf, "--yes")
        w.start()
        return keep(w, folder, bytes(b.checkpoint[1]))
    finally:
        w.close()


def nodes(folder):
    with postgres.Postgres() as server, \
            Cluster(server.database(), n=2) as cluster:
        a, b = cluster.start().nodes
        for i, w in enumerate([a, b, a]):
            t = w.token(f"N-{i}", door="bearer")
            assert w.enrol_basic(t, w.key_and_csr(f"N-{i}")[1]).status == 200
        until(lambda: covered(b))
        earlier = b.cli("ledger", "checkpoint").stdout.encode()
        passphrase_run(b, "take-ledger", "--from",
                       a.state / "signer/keys/ledger.key")
        kill_all(a)
        cluster.takeover(b, "--yes")
        b.stop()
        b.start()
        t = b.token("N-9", door="bearer")
        assert b.enrol_basic(t, b.key_and_csr("N-9")[1]).status == 200
        return keep(b, folder, earlier)


def main():
    if len(sys.argv) != 2 or not re.fullmatch(r"\d+\.\d+\.\d+", sys.argv[1]):
        sys.exit("usage: test/integration/kept.py RELEASE")
    folder = KEPT / sys.argv[1]
    if folder.exists():
        sys.exit(f"{folder} is there already; what is kept stays as it is")
    try:
        types = one(folder / "one") | nodes(folder / "nodes")
        page = (ROOT / "docs/reference/ledger.md").read_text()
        missing = set(re.findall(r"^\| `([a-z._]+)` \|", page, re.M)) - types
        assert not missing, f"no entry of {sorted(missing)}"
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


if __name__ == "__main__":
    main()
