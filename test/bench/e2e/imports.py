#!/usr/bin/env python3
"""An import of many devices with bad rows among them, by the command line: all
bad ones are named, the good ones are in, or none; client and server stay as
small as they are; how many rows a second.

    imports.py [--rows N] [--bad N] [--must ROWS_PER_SECOND]

Ends with 1 if something of that does not hold.
"""
import argparse
import csv
import pathlib
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "integration"))
import world as W  # noqa: E402

SCHEMA = {"additionalProperties": False, "properties": {
    "hw_rev": {"type": "string", "maxLength": 8},
    "lot": {"type": "integer"}}}
# What a bad row is, and the column that it is named by.
BAD = (("BAD {}", "meter", "B7", "1", "id"),
       ("=cmd|' /C calc'!A{}", "meter", "B7", "1", "id"),
       ("NP-{}", "nosuch", "B7", "1", "product"),
       ("NL-{}", "meter", "B7", "many", "attributes.lot"),
       ("NR-{}", "meter", "much too long", "1", "attributes.hw_rev"),
       ("TW-{}", "meter", "B7", "1,2", "row"))
# Caches that fill once: the writer's 64 MiB, readers' 8 MiB each, and what
# goes with a megabyte of rows under way.
SERVER_MIB, CLIENT_MIB, STILL_MIB = 160, 24, 32


def resident(pid, what="VmRSS:"):
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    for line in text.splitlines():
        if line.startswith(what):
            return int(line.split()[1]) / 1024
    return 0


class Watch(threading.Thread):
    """The memory of the server and of a command, as it grows (MiB)."""

    def __init__(self, server, client):
        super().__init__()
        self.server, self.client = server, client
        self.seen, self.most, self.ending = [], 0, False
        self.start()

    def run(self):
        while not self.ending:
            self.seen.append(resident(self.server))
            self.most = max(self.most, resident(self.client, "VmHWM:"))
            time.sleep(0.02)

    def done(self):
        self.ending = True
        self.join()
        return self


def table(path, rows, bad):
    """Writes it; which rows are bad, by number, and their columns."""
    every, wrong = rows // bad, {}
    with open(path, "w") as f:
        f.write("id,product,hw_rev,lot\n")
        for i in range(1, rows + 1):
            if i % every == every // 2 and len(wrong) < bad:
                a, b, c, d, column = BAD[len(wrong) % len(BAD)]
                wrong[i] = column
                f.write(f"{a.format(i)},{b},{c},{d}\n")
            else:
                f.write(f"DEV-{i:08d},meter,B{i % 50},{i // 100}\n")
    return wrong


def imported(w, path, *more):
    """Exit status, what it said, seconds, memory."""
    began = time.monotonic()
    p = subprocess.Popen(
        [str(W.MINT), "--context", str(w.context), "device", "import",
         str(path), *more], stderr=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True)
    watch = Watch(w.children()["server"], p.pid)
    _, err = p.communicate(timeout=7200)
    return p.returncode, err, time.monotonic() - began, watch.done()


def named(path):
    with open(path, newline="") as f:
        return {int(r["row"]): r["column"] for r in csv.DictReader(f)}


def devices(w):
    return w.rest("GET", "/status").json["counts"]["devices"]


def check(rows, bad, must):
    with W.World() as w:
        w.set_conf("log_level", '"error"')
        w.start().product("meter", ldevid_profile="thermo")
        assert w.rest("PUT", "/products/meter/schema", SCHEMA).status == 200
        path, errors = w.dir / "devices.csv", w.dir / "errors.csv"
        wrong = table(path, rows, bad)
        before = resident(w.children()["server"])

        status, err, took, _ = imported(w, path, "--all-or-nothing",
                                        "--errors", str(errors))
        assert status == 5 and "nothing was written" in err, err
        assert named(errors) == wrong, "not all bad rows are named"
        assert devices(w) == 0, "something is in"
        print(f"all or nothing, {bad} of {rows} bad: none in, "
              f"{rows / took:.0f} rows/s")

        status, err, took, m = imported(w, path, "--errors", str(errors))
        good = rows - len(wrong)
        assert status == 5 and f"{good} registered" in err, err
        assert named(errors) == wrong and devices(w) == good
        rate = rows / took
        half = m.seen[len(m.seen) // 2:]
        grown, still = max(m.seen) - before, max(half) - half[0]
        print(f"the same, good ones in: {rate:.0f} rows/s; the server's "
              f"memory {before:.0f} MiB and {grown:.0f} more, {still:.0f} of "
              f"them in the second half; the client's {m.most:.0f} MiB")
        assert grown < SERVER_MIB and m.most < CLIENT_MIB
        assert rows < 10**6 or still < STILL_MIB

        status, err, took, _ = imported(w, path, "--errors", str(errors))
        assert status == 5 and f"{good} there already" in err, err
        print(f"again: {rows / took:.0f} rows/s")
    print(f"import of {rows} rows, {bad} of them bad: {rate:.0f} rows/s")
    return 1 if rate < must else 0


def main():
    ap = argparse.ArgumentParser(prog="imports.py")
    ap.add_argument("--rows", type=int, default=10**6)
    ap.add_argument("--bad", type=int, default=1000)
    ap.add_argument("--must", type=float, default=0, help="rows a second")
    a = ap.parse_args()
    return check(a.rows, a.bad, a.must)


if __name__ == "__main__":
    sys.exit(main())
