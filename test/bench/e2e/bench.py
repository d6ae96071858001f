#!/usr/bin/env python3
"""What an issuance costs the server: CPU of all its processes, everything on,
beside the arithmetic floor of the same run.  script/bench runs it.

Figures are CPU microseconds per issuance (user + system of server and
signer), because requests per second of a shared machine say little.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "integration"))
import world as W  # noqa: E402

LOAD = W.BUILD / "test/bench/e2e/load"
FLOOR = W.BUILD / "test/bench/pki/bench_pki_issue"
TICK = os.sysconf("SC_CLK_TCK")


def cpu_us(w):
    """User and system time of server and signer together."""
    total = 0
    for pid in w.children().values():
        f = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1]
        f = f.split()
        total += int(f[11]) + int(f[12])
    return total * 1e6 / TICK


def memory_kib(pid):
    """Memory of its own (not shared), KiB."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text() \
            .splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1])
    return 0


class Bench:
    def __init__(self, w, per):
        self.w, self.per, self.batch, self.rows = w, per, 0, []

    def tokens(self, n, door):
        self.batch += 1
        src = self.w.dir / f"in{self.batch}.csv"
        out = self.w.dir / f"out{self.batch}.csv"
        src.write_text("device,product,door\n" + "".join(
            f"D{self.batch}-{i},thermo,{door}\n" for i in range(n)))
        self.w.cli("--quiet", "token", "create", "--csv", src, "--out", out,
                   timeout=600)
        return out

    def load(self, name, mode, csv, threads, must, aim):
        state = self.w.dir / "state-load"
        state.mkdir(exist_ok=True)
        before = cpu_us(self.w)
        p = W.run(LOAD, mode, self.w.devices, self.w.anchor, csv, threads,
                  state, timeout=600)
        used = cpu_us(self.w) - before
        r = json.loads(p.stdout)
        self.rows.append({
            "what": name, "n": r["n"], "us": used / r["n"], "must": must,
            "aim": aim, "p50_ms": r["p50_ms"], "p99_ms": r["p99_ms"],
            "per_s": r["n"] / r["seconds"]})

    def idle(self, n=500):
        pid = self.w.children()["server"]
        csv = self.w.dir / "none"
        before = memory_kib(pid)
        p = subprocess.Popen([str(LOAD), "idle", str(self.w.devices),
                              str(self.w.anchor), str(csv), str(n),
                              str(self.w.dir)], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
        assert p.stdout.readline().strip() == "open"
        after = memory_kib(pid)
        p.communicate(timeout=60)
        return (after - before) / n


def floor():
    """Verify + sign of this machine, now (microseconds)."""
    out = W.run(FLOOR, timeout=300).stdout
    return next(float(line.split()[1]) for line in out.splitlines()
                if line.startswith("floor "))


def table(rows, fl, extra):
    print(f"arithmetic floor (one verify, one sign): {fl:.0f} us CPU\n")
    print(f"{'issuance':34} {'us CPU':>7} {'x floor':>8} {'must':>6} "
          f"{'aim':>6} {'p50 ms':>7} {'p99 ms':>7} {'per s':>7}")
    for r in rows:
        print(f"{r['what']:34} {r['us']:7.0f} {r['us'] / fl:8.2f} "
              f"{r['must'] or '':>6} {r['aim'] or '':>6} {r['p50_ms']:7.2f} "
              f"{r['p99_ms']:7.2f} {r['per_s']:7.0f}")
    print()
    for k, v in extra.items():
        print(f"{k:50} {v}")


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--json", action="store_true")
    ap.add_argument("-n", type=int, default=4000, help="issuances a row")
    a = ap.parse_args()
    extra = {}
    fl = floor()
    with W.World(profile="\tbearer = true\n\tsame_key_renewal = true",
                 extra="") as w:
        w.set_conf("log_level", '"warn"')
        w.set_conf("connections_per_source", 2000)
        w.start().product()
        b = Bench(w, a.n)
        t0 = time.monotonic()
        csv = b.tokens(a.n, "bearer")
        extra["tokens minted and exported, per second"] = \
            f"{a.n / (time.monotonic() - t0):.0f}"
        b.load("open connection, 64 in flight", "open", csv, 64, 240, 190)
        b.load("fresh mutual TLS, renewal, 64", "mtls", csv, 64, 1300, 1000)
        b.load("open connection, 16 in flight", "open",
               b.tokens(a.n // 2, "bearer"), 16, None, None)
        b.load("open connection, 1 in flight", "open",
               b.tokens(a.n // 4, "bearer"), 1, None, None)
        b.load("token handshake + enrol, 16", "psk",
               b.tokens(a.n // 2, "handshake"), 16, 750, 550)
        extra["idle TLS connection, KiB (24 must, 20 aim)"] = \
            f"{b.idle():.1f}"
        key = w.dir / "ledger.key"
        key.write_text(w.cli("ledger", "key").stdout)
        t0 = time.monotonic()
        v = json.loads(w.cli("--json", "ledger", "verify", "--key", key,
                             timeout=300).stdout)
        extra["ledger verify over the API, entries/s"] = \
            f"{v['size'] / (time.monotonic() - t0):.0f}"
        copy = w.dir / "copy"
        w.cli("ledger", "export", "--format", "tiles", "--out", copy)
        t0 = time.monotonic()
        w.cli("ledger", "verify", copy, "--key", key)
        extra["ledger verify of a copy, entries/s (500,000)"] = \
            f"{v['size'] / (time.monotonic() - t0):.0f}"
        w.cli("ledger", "reconcile", "--config", w.conf)
        t0 = time.monotonic()
        w.stop()
        w.start()
        extra["restart, s"] = f"{time.monotonic() - t0:.2f}"
    if a.json:
        print(json.dumps({"floor_us": fl, "rows": b.rows, **extra}))
    else:
        table(b.rows, fl, extra)


if __name__ == "__main__":
    main()
