"""Token handshakes that fail, by the thousand: what test/integration/tries.c
sends, and what it and the processes' clocks say about it."""
import os
import pathlib
import random
import statistics
import subprocess

from tokens import parts, to_base32
from world import BUILD

TRIES = BUILD / "test/integration/tries"
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
NO_VERSION = 0xEE  # of a test token's key; there is none of that number


class Try:
    """One failed handshake as tries.c saw it."""

    def __init__(self, line):
        self.kind, alert, ns, self.flights = line.split(" ")
        self.alert, self.us = int(alert), int(ns) / 1000


def wrong_secret(ident):
    return ident


def unknown_id(ident):
    """Of the same key version, never minted."""
    return ident[:1] + os.urandom(len(ident) - 1)


def unknown_version(ident):
    return bytes([NO_VERSION]) + os.urandom(len(ident) - 1)


KINDS = {f.__name__: f for f in (wrong_secret, unknown_id, unknown_version)}


def lines(texts, kinds, n):
    """n tries of each kind in a random order, over as many ids of each."""
    ids = {k: ["mm1-" + to_base32(KINDS[k](parts(t)[1]), 20) for t in texts]
           for k in kinds}
    out = [f"{k} {ids[k][i % len(texts)]} {os.urandom(32).hex()}"
           for k in kinds for i in range(n)]
    random.shuffle(out)
    return out


def tries(port, version, what, threads=1):
    p = subprocess.run([str(TRIES), str(port), version, str(threads)],
                       input="\n".join(what) + "\n", text=True,
                       capture_output=True, timeout=300)
    assert p.returncode == 0, p.stderr
    return [Try(line) for line in p.stdout.splitlines()]


def cpu_us(pids):
    """CPU that processes have used so far, all their threads together."""
    total = 0
    for pid in pids:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1000


def trimmed(values, share=0.05):
    """Without the slowest and the fastest: what the machine did meanwhile."""
    cut = int(len(values) * share)
    return sorted(values)[cut:len(values) - cut]


def times(done, kind):
    return [t.us for t in done if t.kind == kind]


def gap_us(done, a, b, block=60):
    """How much longer b takes than a.

    A machine's mood changes from second to second and would move two medians
    over everything by more than what is looked for.  So the difference is
    taken of the medians within each block of neighbours, which were tried in
    the same mood, and the median of these differences is the answer.
    """
    gaps = []
    for i in range(0, len(done), block):
        one, other = (times(done[i:i + block], k) for k in (a, b))
        if one and other:
            gaps.append(statistics.median(other) - statistics.median(one))
    return statistics.median(gaps)
