#!/usr/bin/env python3
"""What Mintmark costs, everything on: one table.  script/bench runs it.

An issuance's figure is CPU microseconds (user + system) of server and signer
together, because requests per second of a shared machine say little.  Beside
it stands its ratio to the arithmetic floor (one verify, one sign), measured
just before and just after the row.
"""
import argparse
import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "integration"))
sys.path.insert(0, str(HERE))
import events  # noqa: E402
import world as W  # noqa: E402

LOAD = W.BUILD / "test/bench/e2e/load"
FILL = W.BUILD / "test/bench/e2e/fill"
FLOOR = W.BUILD / "test/bench/pki/bench_pki_issue"
PROFILE = "\tbearer = true\n\tsame_key_renewal = true"
# The load ends with its connections open: in a sanitized build no leak.
UNTIDY = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
STEP = 16384  # entries between two notes of how far was looked
SETTLE_S = 1.2  # what minting left to be fed and signed is not issuing


def cpu_us(w):
    """User and system time of the server's processes together."""
    return {"us": events.cpu_us(w.children().values())}


def memory_kib(pid):
    """Memory of its own (not shared), KiB."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text() \
            .splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1])
    return 0


def floor_us():
    """Verify + sign of this machine, now (microseconds)."""
    out = W.run(FLOOR, "floor", timeout=300).stdout
    return next(float(line.split()[1]) for line in out.splitlines()
                if line.startswith("floor "))


def seconds(call, *argv, **kw):
    began = time.monotonic()
    result = call(*argv, **kw)
    return time.monotonic() - began, result


def mint(w, name, n, door="bearer"):
    """Tokens for n devices, as the command line writes them."""
    src, out = w.dir / f"in{name}.csv", w.dir / f"out{name}.csv"
    src.write_text("device,product,door\n" + "".join(
        f"D{name}-{i},thermo,{door}\n" for i in range(n)))
    w.cli("--quiet", "token", "create", "--csv", src, "--out", out,
          timeout=600)
    time.sleep(SETTLE_S)
    return out


def enrol(w, ports, cpu, mode, csv, threads, per_s=0, floor=None):
    """One run of the load: CPU by who used it, latency, floor."""
    state = w.dir / "state-load"
    state.mkdir(exist_ok=True)
    floor = floor or floor_us
    before_floor, before = floor(), cpu()
    p = W.run(LOAD, mode, ",".join(str(p) for p in ports), w.anchor, csv,
              threads, state, per_s, timeout=3600, env=UNTIDY)
    after, r = cpu(), json.loads(p.stdout)
    used = {k: (v - before[k]) / r["n"] for k, v in after.items()}
    return {"n": r["n"], **used, "again": r["again"], "p50_ms": r["p50_ms"],
            "p99_ms": r["p99_ms"], "per_s": r["n"] / r["seconds"],
            "floor_us": (before_floor + floor()) / 2}


class Bench:
    """Rows of issuances, and facts: what, value, budget."""

    def __init__(self):
        self.rows, self.facts, self.batch, self.w = [], [], 0, None

    def fact(self, what, value, must="", aim=""):
        self.facts.append({"what": what, "value": value, "must": must,
                           "aim": aim})

    def world(self, **settings):
        w = self.w = W.World(profile=PROFILE)
        for key, value in {"log_level": '"warn"',
                           "connections_per_source": 2000,
                           **settings}.items():
            w.set_conf(key, value)
        return w

    def tokens(self, n, door="bearer"):
        self.batch += 1
        return mint(self.w, self.batch, n, door)

    def load(self, mode, csv, threads, per_s=0):
        return enrol(self.w, [self.w.devices], lambda: cpu_us(self.w), mode,
                     csv, threads, per_s)

    def row(self, what, run, must=None, aim=None):
        self.rows.append({"what": what, **run, "must": must, "aim": aim})
        return run

    def best(self, what, n, must=None, aim=None, times=3):
        """64 in flight over kept-open connections, the best of a few: a
        neighbour only ever adds."""
        runs = [(self.load("open", csv, 64), csv)
                for csv in (self.tokens(n) for _ in range(times))]
        run, csv = min(runs, key=lambda r: r[0]["us"])
        self.row(what, run, must, aim)
        return run, csv

    def idle(self, n=1000):
        pid = self.w.children()["server"]
        before = memory_kib(pid)
        p = subprocess.Popen([str(LOAD), "idle", str(self.w.devices),
                              str(self.w.anchor), "none", str(n),
                              str(self.w.dir), "0"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
        assert p.stdout.readline().strip() == "open"
        after = memory_kib(pid)
        p.communicate(timeout=60)
        self.fact("idle TLS connection, KiB", round((after - before) / n, 1),
                  24, 20)

    def verify(self):
        """The rate of checking a copy of the ledger with nobody's help."""
        key, copy = self.w.dir / "ledger.key", self.w.dir / "copy"
        key.write_text(self.w.cli("ledger", "key").stdout)
        self.w.cli("ledger", "export", "--format", "tiles", "--out", copy,
                   timeout=3600)
        took, p = seconds(self.w.cli, "--json", "ledger", "verify", copy,
                          "--key", key, timeout=600)
        self.fact("ledger verify, entries/s",
                  round(json.loads(p.stdout)["size"] / took), 500000)

    def journal_bytes(self):
        return (self.w.state / "signer/journal.jsonl").stat().st_size


def fresh(b, n):
    """An empty store: every way of issuing."""
    with b.world() as w:
        w.start().product()
        b.idle()  # first: later connections would reuse what was freed
        before = b.journal_bytes()
        took, csv = seconds(b.tokens, n)
        b.fact("tokens minted and exported, per second",
               round(n / (took - SETTLE_S)))
        minted = b.journal_bytes()
        b.load("open", csv, 64)  # warms caches, files, the clock
        b.fact("journal bytes per token",
               round((minted - before) / n))
        b.fact("journal bytes per certificate",
               round((b.journal_bytes() - minted) / n))
        base, csv = b.best("open connection, 64 in flight", n, 240, 190)
        b.row("open connection, half load",
              b.load("open", b.tokens(n), 64, int(base["per_s"] / 2)))
        b.row("open connection, 16 in flight",
              b.load("open", b.tokens(n // 2), 16))
        b.row("open connection, 1 in flight",
              b.load("open", b.tokens(n // 4), 1))
        b.row("fresh mutual TLS, renewal, 64 in flight",
              b.load("mtls", csv, 64), 1300, 1000)
        b.row("token handshake + enrol, 64 in flight",
              b.load("psk", b.tokens(n, "handshake"), 64), 750, 550)
        b.row("token handshake + enrol, 16 in flight",
              b.load("psk", b.tokens(n // 2, "handshake"), 16))
    return base


def feed(b, n):
    """The same ledger as events."""
    with b.world(webhook_deny_private="false") as w:
        w.start().product()
        b.tokens(n)
        events.measure(w, n, b.fact)


def looked(w, entries):
    """Until housekeeping has looked at the entries' times, once for all: in
    slices, so that this takes longer than its processor time."""
    db = sqlite3.connect(f"file:{w.state}/server/mintmark.db?mode=ro",
                         uri=True)

    def seen():
        row = db.execute("SELECT body FROM doc WHERE id = 'times'").fetchone()
        have = json.loads(row[0])["seen"] if row else 0
        return have + STEP > entries
    W.until(seen, seconds=60 + entries // 5000,
            passing=(sqlite3.OperationalError,),
            told=lambda: "all entries' times were looked at in time")
    db.close()


def full(b, n, stored, base):
    """The same with so many certificates there already."""
    with b.world(log_level='"error"') as w:
        p = W.run(FILL, f"sqlite:{w.state}/server/mintmark.db", "thermo",
                  "thermo@2", "issuing", stored, timeout=7200)
        made = json.loads(p.stdout)
        b.fact("bytes per certificate (with entry, leaf)",
               made["certificate"], 1500, 1300)
        b.fact("bytes per token with its device", made["token"])
        w.start(wait=False)
        w.wait_ready(3600)  # the signer reads all of it into its tree
        w.product()
        looked(w, stored)
        w.stop()
        took, _ = seconds(w.start)
        b.fact(f"start with {stored:,} certificates, s", round(took, 2), 0.5
               if stored <= 10**6 else 1, 0.1)
        b.tokens(n)
        run, _ = b.best(f"open, 64, {stored:,} stored", n)
        b.fact(f"issuance with {stored:,} stored: us more",
               round(run["us"] - base["us"]), 25, 15)
        times = sorted(seconds(
            w.rest, "GET", f"/certificates?product=thermo&limit=100"
            f"&state={state}")[0] for _ in range(50)
            for state in ("issued", "revoked"))
        b.fact("list of 100 over a new connection, p99 ms",
               round(times[98] * 1e3, 1))
        b.verify()


def table(b):
    print(f"{'issuance':42} {'us CPU':>6} {'floor':>6} {'x':>5} {'must':>6} "
          f"{'aim':>5} {'p50 ms':>7} {'p99 ms':>7} {'per s':>6}")
    for r in b.rows:
        print(f"{r['what']:42} {r['us']:6.0f} {r['floor_us']:6.1f} "
              f"{r['us'] / r['floor_us']:5.2f} {r['must'] or '':>6} "
              f"{r['aim'] or '':>5} {r['p50_ms']:7.2f} {r['p99_ms']:7.2f} "
              f"{r['per_s']:6.0f}")
    print(f"\n{'':52} {'':>9} {'must':>8} {'aim':>6}")
    for f in b.facts:
        print(f"{f['what']:52} {f['value']:>9} {f['must']:>8} {f['aim']:>6}")


def main():
    ap = argparse.ArgumentParser(prog="script/bench")
    ap.add_argument("--json", action="store_true")
    ap.add_argument("--long", action="store_true",
                    help="10 million certificates instead of one")
    ap.add_argument("--stored", type=int, help="or so many; 0: none")
    ap.add_argument("-n", type=int, default=4000, help="issuances a row")
    a = ap.parse_args()
    stored = a.stored
    if stored is None:
        stored = 10**7 if a.long else 10**6
    b = Bench()
    base = fresh(b, a.n)
    feed(b, 5 * a.n)
    if stored > 0:
        full(b, a.n, stored, base)
    if a.json:
        print(json.dumps({"issuance": b.rows, "facts": b.facts}))
    else:
        table(b)


if __name__ == "__main__":
    sys.exit(main())
