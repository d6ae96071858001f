"""Checks the eight promises from outside: public interfaces only.

A Witness is told what devices asked and were answered, while processes were
killed under them; check() then asks the server, the ledger and the journal.
"""
import json
import os
import pathlib
import signal
import time

from world import serial_of


def alive(pid):
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def kill_all(w):
    """Monitor, server and signer at once; returns when all are gone."""
    pids = [w.daemon.pid, *w.children().values()]
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it was about to go by itself
    w.daemon.wait()
    w.daemon = None
    while any(alive(pid) for pid in pids):
        time.sleep(0.005)


class Witness:
    def __init__(self, world):
        self.world = world
        self.token = {}     # device -> token's JSON
        self.csr = {}       # device -> path of its request
        self.answers = {}   # device -> set of bodies it was given

    def got(self, device, answer):
        assert answer.status in (200, 409, 503), (device, answer)
        if answer.status == 200:
            self.answers.setdefault(device, set()).add(answer.body)
        if answer.status == 503:
            assert answer.headers.get("retry-after"), answer

    def certificates(self, device):
        a = self.world.rest("GET", f"/certificates?device={device}&limit=100")
        assert a.status == 200, a
        return a.json["items"]

    def check(self):
        w = self.world
        for device, bodies in self.answers.items():
            # 3: one authority, one key: the same bytes, however often.
            assert len(bodies) == 1, f"{device}: {len(bodies)} answers"
            again = w.enrol_basic(self.token[device], self.csr[device])
            assert again.status == 200 and {again.body} == bodies, device
            # 1: what was released is on record, and in the ledger.
            pem = w.save_p7(again, f"check-{device}")
            row = w.rest("GET", f"/certificates/{serial_of(pem)}")
            assert row.status == 200 and row.json["device"] == device
            live = [c for c in self.certificates(device)
                    if c["state"] in ("issued", "confirmed")]
            assert len(live) == 1, (device, live)
        for device in self.token:
            # 4: what failed spent nothing: it can still be claimed.
            if device not in self.answers:
                a = w.enrol_basic(self.token[device], self.csr[device])
                assert a.status == 200, (device, a)
        # 1, 2: every entry and tile; every signature in all three records.
        key = w.dir / "ledger.key"
        key.write_text(w.cli("ledger", "key").stdout)
        w.cli("ledger", "verify", "--key", key, "--keep", w.dir / "kept")
        out = json.loads(w.cli("--json", "ledger", "reconcile", "--config",
                               w.conf).stdout)
        assert out["agree"], out
        return out
