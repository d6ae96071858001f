"""kill -9 of server and signer, over and over, while devices enrol.

Afterwards promises.py asks from outside whether anything was lost, doubled,
burned or hidden.  KILLS sets how many (default 6; each takes longer than the
one before, because the monitor backs off).
"""
import http.client
import os
import random
import signal
import ssl
import threading
import time

import pytest

from promises import PROFILE, Witness
from world import World

KILLS = int(os.environ.get("KILLS", "6"))
DEVICES, VETERANS = 160, 24
LIMIT_S = 150


class Load:
    """Devices that try until they are answered, from four threads.

    New devices come in step with the kills, so that none is killed in vain;
    meanwhile those that were answered ask again.
    """

    def __init__(self, witness, names, kills, answers=False):
        self.witness, self.names, self.kills = witness, names, kills
        self.answers = answers  # the server lives: it always answers
        self.begun = self.killed = 0
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.wrong = []
        self.threads = [threading.Thread(target=self.work) for _ in range(4)]

    def take(self):
        """A device, new or not; None when all is over."""
        with self.lock:
            due = len(self.names) * (self.killed + 1) // self.kills
            if self.begun < min(due, len(self.names)):
                self.begun += 1
                return self.names[self.begun - 1]
            if self.killed >= self.kills:
                return None
            return random.choice(self.names[:self.begun])

    def work(self):
        while not self.stop.is_set():
            name = self.take()
            if name is None:
                return
            try:
                self.device(name)
            except AssertionError as e:
                self.wrong.append(str(e))
            time.sleep(0.005)

    def device(self, name):
        t = self.witness
        while not self.stop.is_set():
            try:
                a = t.ask(name)
            except (OSError, ssl.SSLError, http.client.HTTPException) as e:
                assert not self.answers, f"{name}: no answer: {e!r}"
                time.sleep(0.05)  # nobody listens: the device's back-off
                continue
            t.got(name, a)
            if a.status == 200:
                return
            time.sleep(0.05)

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *exc):
        self.stop.set()
        for t in self.threads:
            t.join(30)


def kill_some(w, load, who, seed):
    """Sometimes before the last one is back."""
    rng = random.Random(seed)
    end = time.monotonic() + LIMIT_S
    while load.killed < load.kills and time.monotonic() < end:
        time.sleep(rng.uniform(0.01, 0.4))
        try:
            pid = w.children().get(rng.choice(who))
            if pid is None:
                continue
            os.kill(pid, signal.SIGKILL)
            load.killed += 1
        except (FileNotFoundError, ProcessLookupError):
            continue
        if rng.random() < 0.8:
            w.wait_ready(60)


@pytest.mark.parametrize("who", [["server"], ["signer"],
                                 ["server", "signer"]])
def test_killed_under_load_nothing_is_lost_doubled_or_hidden(who):
    with World(profile=PROFILE) as w:
        w.start().product()
        t = Witness(w)
        names = t.enlist([f"K-{i}" for i in range(DEVICES - VETERANS)]) + \
            t.veterans([f"KV-{i}" for i in range(VETERANS)])
        random.Random("names").shuffle(names)
        with Load(t, names, KILLS, answers=who == ["signer"]) as load:
            kill_some(w, load, who, "+".join(who))
            w.wait_ready(60)
            for th in load.threads:
                th.join(LIMIT_S)
        assert not load.wrong, load.wrong[:3]
        assert load.killed == KILLS
        assert len(t.answers) == DEVICES
        deadline = time.monotonic() + 60
        while True:  # orphans are settled within their age limit
            try:
                t.check()
                break
            except AssertionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(2)
