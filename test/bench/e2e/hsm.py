#!/usr/bin/env python3
"""The issuing key in a file and in a token of SoftHSM's, turn by turn: what a
certificate costs with 64 requests in flight and with one, as processor time
of server, signer and keepers, and as a ratio to the file's.

    hsm.py [-n ISSUANCES] [--turns N] [--json]        1,000, 3 turns
"""
import argparse
import json
import pathlib
import statistics
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "integration"))
sys.path.insert(0, str(HERE))
import bench  # noqa: E402
import events  # noqa: E402
import softhsm  # noqa: E402
import world as W  # noqa: E402


def below(pid):
    found, todo = [], [pid]
    while todo:
        at = todo.pop()
        for task in pathlib.Path(f"/proc/{at}/task").iterdir():
            todo += [int(p) for p in (task / "children").read_text().split()]
        found.append(at)
    return found


def cpu(w):
    kids = w.children()
    return {"us": events.cpu_us([kids["server"], *below(kids["signer"])])}


def start(w):
    for key, value in {"log_level": '"warn"',
                       "connections_per_source": 2000}.items():
        w.set_conf(key, value)
    return w.start().product()


def measure(worlds, n, turns):
    rows = {}
    for turn in range(turns):
        for name, w in worlds.items():
            for threads in (64, 1):
                some = n if threads > 1 else n // 5
                csv = bench.mint(w, f"{turn}-{threads}", some)
                run = bench.enrol(w, [w.devices], lambda w=w: cpu(w), "open",
                                  csv, threads)
                rows.setdefault((name, threads), []).append(run)
    return rows


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("-n", type=int, default=1000)
    a.add_argument("--turns", type=int, default=3)
    a.add_argument("--json", action="store_true")
    a = a.parse_args()
    token = softhsm.Token(tempfile.mkdtemp(prefix="mintmark-hsm-"))
    with W.World(profile=bench.PROFILE) as file, \
            softhsm.hsm_world(token, bench.PROFILE) as far:
        rows = measure({"file": start(file), "token": start(far)}, a.n,
                       a.turns)
    out = [{"key": name, "in_flight": threads, **{
        k: round(statistics.median(r[k] for r in runs), 2)
        for k in ("us", "p50_ms", "p99_ms", "per_s", "floor_us")}}
        for (name, threads), runs in rows.items()]
    if a.json:
        print(json.dumps(out, indent=1))
        return
    base = {r["in_flight"]: r["us"] for r in out if r["key"] == "file"}
    print(f"{'key':<6} {'in flight':>9} {'us CPU':>8} {'of file':>8} "
          f"{'p50 ms':>8} {'p99 ms':>8} {'a second':>9}")
    for r in out:
        print(f"{r['key']:<6} {r['in_flight']:>9} {r['us']:>8.0f} "
              f"{r['us'] / base[r['in_flight']]:>8.2f} {r['p50_ms']:>8.2f} "
              f"{r['p99_ms']:>8.2f} {r['per_s']:>9.0f}")


if __name__ == "__main__":
    main()
