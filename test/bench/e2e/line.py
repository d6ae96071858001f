#!/usr/bin/env python3
"""What a station costs: units an hour, what it adds to a unit, fixture by
fixture, and the unit after 10,000 others.  script/bench line runs it.

The boards are linux-sim's: their keys and signatures are real, their consoles
are pseudo-terminals, all of them one process.  So what a unit takes there is
mostly the board's own time; what the station adds is the rest: its journal, the
centre, the record.
"""
import argparse
import itertools
import json
import pathlib
import resource
import statistics
import sys
import tempfile
import time
import zlib

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "integration"))
from offline import Offline, stopped_centre  # noqa: E402
from station import Station  # noqa: E402
from test_station_lines import Line  # noqa: E402
from world import World  # noqa: E402

DEVICE = {"hello", "key", "csr", "put", "commit", "read-back", "prove",
          "lock", "check"}
OVERHEAD_MS, MEMORY_MIB, SPREAD = 30, 64, 1.2
ROUNDS = 3  # of what is held to a few milliseconds
NUMBERS = itertools.count()


def steps_of(station, serial):
    text = station.fact(serial, "durations_ms")
    return {k: int(v) for k, v in
            (part.rsplit(" ", 1) for part in text.split(", "))}


def overhead(station, serial, ms):
    """Of a unit's milliseconds, those that were not the board's."""
    return ms - sum(v for k, v in steps_of(station, serial).items()
                    if k in DEVICE)


def units(station, labels, at_once):
    """Labels by fixture, so many at once, the next when one is done:
    (their answers, seconds, MiB, CPU ms a unit)"""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    p = station.begin("run", "--json", "--once", stdin=-1)
    began, waiting, done = time.monotonic(), list(labels.items()), {}
    for fixture, label in waiting[:at_once]:
        p.stdin.write(f"{fixture} {label}\n")
    p.stdin.flush()
    del waiting[:at_once]
    for line in p.stdout:
        row = json.loads(line)
        if "result" not in row:
            continue
        assert row["result"] == "passed", row
        done[row["fixture"]] = row
        if waiting:
            p.stdin.write("{} {}\n".format(*waiting.pop(0)))
            p.stdin.flush()
        if len(done) == len(labels):
            took = time.monotonic() - began
            p.stdin.close()
    p.stdout.close()
    p.stderr.close()
    assert p.wait(60) == 0 and len(done) == len(labels)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = (after.ru_utime + after.ru_stime - before.ru_utime -
           before.ru_stime) * 1000 / len(labels)
    return done, took, after.ru_maxrss / 1024, cpu


def at(ordered, part):
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)]


def measure(s, at_once, think_ms, bad, mode="online", rounds=1):
    """The middle one of so many rounds, each with boards of its own."""
    rows = sorted((measured(s, at_once, think_ms, mode, n)
                   for n in range(rounds)), key=lambda r: r["station_ms"])
    row = rows[rounds // 2]
    print(json.dumps(row), flush=True)
    if at_once == 1 and row["station_ms"] > OVERHEAD_MS:
        bad.append(f"{mode} the station adds {row['station_ms']} ms to a unit")
    if row["memory_mib"] > MEMORY_MIB:
        bad.append(f"memory: {row['memory_mib']} MiB")
    # Boards that take no time of their own only measure this machine.
    if at_once == s.n and think_ms and row["last_to_first"] > SPREAD:
        bad.append(f"fixture {s.n} takes {row['last_to_first']} times "
                   "what the first one does")


def measured(s, at_once, think_ms, mode, n):
    s.unplug()
    for i in range(1, s.n + 1):
        (s.boards / f"SIM-{i:04}.flash").unlink(missing_ok=True)
    s.plug(s.n, *(["-w", str(think_ms)] if think_ms else []))
    first = next(NUMBERS) * s.n
    labels = {f"f{i}": f"B-{first + i:05}" for i in range(1, s.n + 1)}
    done, took, memory, cpu = units(s, labels, at_once)
    ms = sorted(u["ms"] for u in done.values())
    extra = sorted(overhead(s, u["device"], u["ms"]) for u in done.values())
    return {"mode": mode, "at_once": at_once, "board_ms_an_answer": think_ms,
            "units_per_hour": round(s.n * 3600 / took),
            "unit_ms": round(statistics.median(ms)),
            "unit_p99_ms": at(ms, .99),
            "station_ms": round(statistics.median(extra)),
            "station_p99_ms": at(extra, .99),
            "last_to_first": round(done[f"f{s.n}"]["ms"] /
                                   done["f1"]["ms"], 2),
            "station_cpu_ms": round(cpu, 1), "memory_mib": round(memory, 1)}


def offline(folder, bad):
    """By a work order and the station's own signer, whose time is in it."""
    with stopped_centre() as centre:
        s = Offline(centre, folder / "offline", "bench-off", n=32)
        try:
            s.takes(share=90000, serials="B-{00000..99999}")
            for at_once, think_ms in ((1, 0), (32, 100)):
                measure(s, at_once, think_ms, bad, "offline", ROUNDS)
        finally:
            s.close()


def finished(n, first):
    """Rows of n units that were made before, and have no record here."""
    for i in range(n):
        row = json.dumps({
            "n": first + i, "at": "2026-01-01T00:00:00.000Z",
            "serial": f"OLD-{i}", "fixture": "f1", "attempt": 1,
            "state": "passed", "hw": "0a", "spki_sha256": "03" * 32,
            "cert_sha256": "04" * 32, "crc": "00000000"},
            separators=(",", ":"))
        yield row.replace('"crc":"00000000"',
                          f'"crc":"{zlib.crc32(row.encode()):08x}"') + "\n"


def after_many(world, folder, many, bad):
    """The same unit with nothing before it, and with many; each by a program
    of its own, as a test program does it."""
    s = Station(world, folder / "many", "bench-many", n=1)
    records, took = s.dir / "state/records", {}
    try:
        s.plug(1)
        s.passes("M-0")
        template = (records / "m-0.json").read_text()
        for n in (10, many):
            for i in range(len(list(records.iterdir())), n):
                (records / f"old-{i}.json").write_text(template)
            with (s.dir / "state/journal").open("a") as f:
                f.write("".join(finished(n, s.rows()[-1]["n"] + 1)))
            s.passes("M-0")  # the journal is begun anew if it is long
            began = time.monotonic()
            for i in range(5):
                s.passes("M-0")
            took[n] = (time.monotonic() - began) / 5 * 1000
    finally:
        s.close()
    print(json.dumps({f"program_ms_after_{n}": round(ms)
                      for n, ms in took.items()}), flush=True)
    if took[many] > took[10] * 1.5 + 10:
        bad.append(f"after {many} units one takes {took[many]:.0f} ms")


def wire(world, folder):
    """What one unit takes of its board's line, and how long that is at the
    speed that boards' consoles have."""
    s = Station(world, folder / "w", "wire", n=1)
    told = [0, 0]

    def counted(way):
        def count(data):
            told[way] += len(data)
            return data
        return count
    try:
        with Line(s, counted(0), counted(1)):
            s.passes("W-1")
    finally:
        s.close()
    print(json.dumps({"wire_bytes_to_board": told[0],
                      "wire_bytes_from_board": told[1],
                      "wire_s_at_115200": round(sum(told) * 10 / 115200, 2)}),
          flush=True)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--many", type=int, default=10000)
    args, bad = a.parse_args(), []
    with World() as world, tempfile.TemporaryDirectory() as folder:
        world.start().product()
        s = Station(world, pathlib.Path(folder) / "s", "bench", n=32)
        try:
            for at_once, think_ms in ((1, 0), (8, 0), (32, 0), (32, 100)):
                measure(s, at_once, think_ms, bad,
                        rounds=ROUNDS if at_once == 1 else 1)
        finally:
            s.close()
        wire(world, pathlib.Path(folder))
        offline(pathlib.Path(folder), bad)
        after_many(world, pathlib.Path(folder), args.many, bad)
    for line in bad:
        print("over its budget:", line)
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
