#!/usr/bin/env python3
"""What an agent that waits costs its device: resident memory, and of that its
own; how often it is woken, as systemd's unit has it (with its watchdog) and by
itself.  Times it was scheduled are counted, so that nothing is missed.

    agent.py [--seconds N] [--json]    310: two of the unit's beats
"""
import argparse
import json
import pathlib
import re
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "integration"))
import world as W  # noqa: E402
from agent_service import Service  # noqa: E402

UNIT = HERE.parents[2] / "etc/systemd/mintmark-agent.service"


def kib(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return {k: int(v) for k, v in re.findall(r"^(\w+): +(\d+) kB", text,
                                             re.M)}


def woken(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return sum(map(int, re.findall(r"ctxt_switches:\s+(\d+)", text)))


def watch(services, seconds):
    """Wake-ups an hour of each; systemd reads what it is told."""
    before, began = [woken(s.p.pid) for s in services], time.monotonic()
    while time.monotonic() - began < seconds:
        time.sleep(1)
        for s in services:
            s.drain()
    hours = (time.monotonic() - began) / 3600
    return [round((woken(s.p.pid) - b) / hours)
            for s, b in zip(services, before)]


def measure(w, seconds):
    n, unit = re.search(r"^WatchdogSec=(\d+)(min|s)?$", UNIT.read_text(),
                        re.M).groups()
    usec = int(n) * {"min": 60, "s": 1, None: 1}[unit] * 10**6
    with Service(w, "unit", env={"WATCHDOG_USEC": str(usec)}) as s, \
            Service(w, "alone") as t:
        s.good()
        t.good()
        by_unit, alone = watch([s, t], seconds)
        of = kib(s.p.pid)
    return {"resident_kib": of["Rss"],
            "own_kib": of["Private_Clean"] + of["Private_Dirty"],
            "wakes_an_hour": by_unit,
            "wakes_an_hour_without_a_watchdog": alone}


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--seconds", type=int, default=310)
    ap.add_argument("--json", action="store_true")
    a = ap.parse_args()
    with W.World() as w:
        w.start().product()
        got = measure(w, a.seconds)
    print(json.dumps(got) if a.json else
          ", ".join(f"{k} {v}" for k, v in got.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
