#!/usr/bin/env python3
"""Everything that an issuer has ever issued, revoked: the look beforehand, the
command, until the broker's file says so, and one more list; each in seconds,
and in seconds of processor time of server and signer.  Then 500 clients read
that list, a byte every half second: what OCSP answers take beside them, and
what memory they take.  Peaks of memory come last.

    revoke.py [--stored N] [--json]        a million
"""
import argparse
import json
import os
import pathlib
import re
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "integration"))
import world as W  # noqa: E402
from test_slow_clients import N, Crowd, Public, Slow, connect  # noqa: E402

FILL = W.BUILD / "test/bench/e2e/fill"


def peak_mb(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


def cpu_s(w):
    """What server and signer have used: neighbours hardly change it."""
    return sum(sum(map(int, pathlib.Path(f"/proc/{pid}/stat").read_text()
                       .rpartition(")")[2].split()[11:13]))
               for name, pid in w.children().items()
               if name in ("server", "signer")) / os.sysconf("SC_CLK_TCK")


def entries(w, out):
    """How many are on the list of the file that "crl sync" keeps."""
    p = W.run(W.MINT, "--json", "crl", "sync", "--once", "--ca", w.anchor,
              "--url", f"http://127.0.0.1:{w.public}", "--out", out,
              timeout=600)
    return max(x["revoked"] for x in json.loads(p.stdout)["lists"])


def slow_reader(w, i):
    s = connect(w.public, i, small=True)
    s.sendall(b"GET /crl/issuing.crl HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return Slow(s, b"")


def beside_slow_readers(w):
    """p50 and p99 of OCSP answers in ms, alone and beside; MiB more."""
    p = Public(w, "beside")

    def took():
        each = []
        for _ in range(200):
            began = time.monotonic()
            p.status()
            each.append((time.monotonic() - began) * 1e3)
        each.sort()
        return [round(each[100], 1), round(each[197], 1)]
    alone, before = took(), w.resident()
    with Crowd() as crowd:
        crowd.all += [slow_reader(w, i) for i in range(N)]
        crowd.thread.start()
        return {"ocsp_ms": alone, "ocsp_beside_slow_ms": took(),
                "slow_readers": crowd.left(),
                "slow_mib": round(w.resident() - before)}


def measure(w, n):
    def clock(what):
        began, cpu = time.monotonic(), cpu_s(w)
        got = what()
        return (round(time.monotonic() - began, 2),
                round(cpu_s(w) - cpu, 2)), got

    def mass(*more):
        return json.loads(w.cli("--json", "cert", "revoke", "--product",
                                "thermo", *more, timeout=36000).stdout)

    out = w.dir / "crls.pem"
    look, told = clock(lambda: mass("--dry-run"))
    assert told["found"] == n and not told["left"], told
    command, told = clock(lambda: mass("--yes", "--reason", "keyCompromise"))
    assert told["changed"] == n, told
    until, _ = clock(lambda: W.until(lambda: entries(w, out) == n, 3600))
    again, _ = clock(lambda: w.rest("POST", "/issuers/issuing/crl", {}))
    who, slow = w.children(), beside_slow_readers(w)
    return {"certificates": n, **slow, "look_s": look, "command_s": command,
            "until_listed_s": until, "list_anew_s": again,
            "file_mb": out.stat().st_size / 1e6,
            "server_mb": peak_mb(who["server"]),
            "signer_mb": peak_mb(who["signer"])}


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--stored", type=int, default=10**6)
    ap.add_argument("--json", action="store_true")
    a = ap.parse_args()
    w = W.World(profile="\tbearer = true")
    w.set_conf("log_level", '"error"')
    with w:
        w.start().product()
        w.stop()
        W.run(FILL, w.database, "thermo", "thermo@1", "issuing", a.stored,
              timeout=36000)
        w.start(wait=False)
        w.wait_ready(36000)
        got = measure(w, a.stored)
    if a.json:
        print(json.dumps(got))
    else:
        print(", ".join(f"{k} {v:.1f}" if isinstance(v, float) else f"{k} {v}"
                        for k, v in got.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
