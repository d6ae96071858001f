#!/usr/bin/env python3
"""Renewals of a whole fleet at once, of which so many connections are open at
a time, while revocations come and lists are made: until everybody has a new
certificate.

    storm.py [--clients N] [--open N] [--json]        50,000 and 5,000
"""
import argparse
import json
import pathlib
import re
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "integration"))
sys.path.insert(0, str(HERE))
import bench  # noqa: E402
import world as W  # noqa: E402


def peak_mib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


class Lists:
    """Somebody revokes a device, has all lists made, and looks for it in
    what is served: again and again, for as long as the storm lasts."""

    def __init__(self, w, devices):
        self.w, self.devices, self.times = w, devices, []
        self.wrong, self.over = [], threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        try:
            for name in self.devices:
                if self.over.is_set():
                    break
                self.one(name)
        except Exception as e:  # pylint: disable=broad-except
            self.wrong.append(repr(e))

    def one(self, name):
        serial, = [c["serial"] for c in self.w.rest(
            "GET", f"/devices/{name}").json["certificates"]]
        began = time.monotonic()
        a = self.w.rest("POST", f"/certificates/{serial}/revoke",
                        {"reason": "keyCompromise"})
        assert a.status == 200, a
        a = self.w.rest("POST", "/issuers/issuing/crl", {})
        assert a.status == 200, a
        W.until(lambda: bytes.fromhex(serial) in self.w.get_public(
            "/crl/issuing.crl").body, 60)
        self.times.append(time.monotonic() - began)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.over.set()
        self.thread.join()


def load(w, mode, csv, threads):
    """Without a floor, which would take longer than all else."""
    return bench.enrol(w, [w.devices], lambda: bench.cpu_us(w), mode, csv,
                       threads, floor=lambda: 1)


def measure(w, clients, at_once):
    """w: a world of bench.Bench.world()."""
    spare = bench.mint(w, "spare", 200)
    fleet = bench.mint(w, "fleet", clients)
    load(w, "open", spare, 8)
    load(w, "open", fleet, 64)
    names = [f"Dspare-{i}" for i in range(200)]
    with Lists(w, names) as lists:
        got = load(w, "storm", fleet, at_once)
    assert not lists.wrong, lists.wrong
    assert got["n"] == clients
    who = w.children()
    return {"clients": clients, "open": at_once,
            "seconds": round(got["n"] / got["per_s"], 1),
            "per_s": round(got["per_s"]), "us": round(got["us"]),
            "again": got["again"], "p50_s": round(got["p50_ms"] / 1e3, 2),
            "p99_s": round(got["p99_ms"] / 1e3, 2),
            "lists": len(lists.times),
            "list_most_s": round(max(lists.times, default=0), 2),
            "server_mib": round(peak_mib(who["server"])),
            "signer_mib": round(peak_mib(who["signer"]))}


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--clients", type=int, default=50000)
    ap.add_argument("--open", type=int, default=5000)
    ap.add_argument("--json", action="store_true")
    a = ap.parse_args()
    b = bench.Bench()
    with b.world(connections=a.open + 1000,
                 connections_per_source=a.open + 1000) as w:
        w.start().product()
        got = measure(w, a.clients, a.open)
    print(json.dumps(got) if a.json else
          ", ".join(f"{k} {v}" for k, v in got.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
