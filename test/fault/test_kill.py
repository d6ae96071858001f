"""kill -9 of server and signer, over and over, while devices enrol.

Afterwards promises.py asks from outside whether anything was lost, doubled,
burned or hidden.  KILLS sets how many (default 12).
"""
import http.client
import os
import queue
import random
import signal
import ssl
import threading
import time

import pytest

from promises import Witness
from world import World

KILLS = int(os.environ.get("KILLS", "12"))
DEVICES = 160
LIMIT_S = 150


class Load:
    """Devices that try until they are answered, from four threads."""

    def __init__(self, witness, names):
        self.witness, self.todo = witness, queue.SimpleQueue()
        for n in names:
            self.todo.put(n)
        self.stop = threading.Event()
        self.wrong = []
        self.threads = [threading.Thread(target=self.work) for _ in range(4)]

    def work(self):
        while not self.stop.is_set():
            try:
                name = self.todo.get_nowait()
            except queue.Empty:
                return
            try:
                self.device(name)
            except AssertionError as e:
                self.wrong.append(str(e))

    def device(self, name):
        w, t = self.witness.world, self.witness
        while not self.stop.is_set():
            try:
                a = w.enrol_basic(t.token[name], t.csr[name])
            except (OSError, ssl.SSLError, http.client.HTTPException):
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


def kill_some(w, load, who, kills, seed):
    rng = random.Random(seed)
    end = time.monotonic() + LIMIT_S
    done = 0
    while done < kills and time.monotonic() < end and \
            any(t.is_alive() for t in load.threads):
        time.sleep(rng.uniform(0.05, 0.5))
        pid = w.children().get(rng.choice(who))
        if pid is None:
            continue
        try:
            os.kill(pid, signal.SIGKILL)
            done += 1
        except ProcessLookupError:
            continue
        w.wait_ready(60)
    return done


@pytest.mark.parametrize("who", [["server"], ["signer"],
                                 ["server", "signer"]])
def test_killed_under_load_nothing_is_lost_doubled_or_hidden(who):
    with World(profile="\tbearer = true") as w:
        w.start().product()
        t = Witness(w)
        names = [f"K-{i}" for i in range(DEVICES)]
        items = []
        for n in names:
            t.csr[n] = w.key_and_csr(n)[1]
            items.append({"device": n, "product": "thermo",
                          "door": "bearer"})
        made = w.rest("POST", "/tokens", {"tokens": items})
        assert made.status == 201, made
        t.token = {i["device"]: i for i in made.json["items"]}
        with Load(t, names) as load:
            done = kill_some(w, load, who, KILLS, "+".join(who))
            w.wait_ready(60)
            for th in load.threads:
                th.join(LIMIT_S)
        assert not load.wrong, load.wrong[:3]
        assert done >= min(KILLS, 3), f"only {done} kills"
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
