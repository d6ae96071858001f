"""Killed at every step of an issuance; wants a build with -Dfaults=true.

MINTMARK_DIE_AT=PLACE:N has a process end by SIGKILL when it passes the place
for the N-th time: 1 to 8 in the server are issuance's steps, the others are
around the signer's journal and its answer (src/base/faults.h).  Whatever had
happened by then, the device gets one certificate when it asks again, and
nothing is lost, doubled, burned or hidden.
"""
import http.client
import pathlib
import ssl
import time

import pytest

from promises import PROFILE, Witness
from world import DAEMON, World

SERVER = ["1", "2", "3", "4", "5", "6", "7"]
SIGNER = ["journal", "journalled", "answer", "answered"]
FIRST = 3  # certificates that are there before the one that dies


def has_faults():
    return b"MINTMARK_DIE_AT" in pathlib.Path(DAEMON).read_bytes()


pytestmark = pytest.mark.skipif(
    not DAEMON.exists() or not has_faults(),
    reason="needs a build with -Dfaults=true")


def ask(t, name):
    """An answer, or None where the connection died with the server."""
    try:
        a = t.ask(name)
    except (OSError, ssl.SSLError, http.client.HTTPException):
        return None
    t.got(name, a)
    return a.status


def ask_until_200(t, name, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if ask(t, name) == 200:
            return
        time.sleep(0.05)
    raise AssertionError(f"{name} got nothing: {t.world.log()[-2000:]}")


def died(w):
    return "event=child-ended" in w.log() and "status=137" in w.log()


def make(sync):
    w = World(profile=PROFILE)
    if sync:
        w.set_conf("journal_sync", "true")
    return w


def enrol_until_it_dies(w, t, place):
    """Devices in turn: the one that was asking at that moment."""
    for name in t.csr:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            status = ask(t, name)
            if died(w):
                return name
            if status == 200:
                break
            time.sleep(0.05)
    raise AssertionError(f"nobody died at {place}: {w.log()[-2000:]}")


@pytest.mark.parametrize("place, sync", [
    *((p, False) for p in SERVER + SIGNER), ("journalled", True)])
def test_killed_at(place, sync):
    with make(sync) as w:
        w.start().product()
        t = Witness(w)
        names = t.enlist([f"D-{i}" for i in range(FIRST + 1)]) + \
            t.veterans(["V-0", "V-1"])
        w.stop()
        w.start(env={"MINTMARK_DIE_AT": f"{place}:{FIRST + 1}"})
        name = enrol_until_it_dies(w, t, place)
        # an answer that was in time is seen before the death of its giver
        assert name == names[FIRST] or place == "answered", (place, name)
        w.kill_all()  # as a power cut that lost nothing
        w.start()
        for n in names:
            ask_until_200(t, n)
        lines = len(t.journal("certificate")) - len(t.veteran)
        out = t.check()
        # signed and not committed: one orphan more than certificates
        orphan = place in ("6", "journalled", "answer", "answered")
        if place != "answered":  # its answer may have been in time
            assert lines == len(names) + orphan, (place, lines, out)
        w.stop()


def test_killed_while_a_certificate_is_confirmed():
    """Step 8: the first use of the new certificate, and again."""
    with World(profile=PROFILE) as w:
        w.start().product()
        t = Witness(w)
        t.enlist(["C"])
        a = t.ask("C")
        pem, key = w.save_p7(a, "C"), w.dir / "C.key"
        w.stop()
        w.start(env={"MINTMARK_DIE_AT": "8:1"})
        with pytest.raises((OSError, ssl.SSLError,
                            http.client.HTTPException)):
            t.proves(pem, key)
        w.kill_all()
        w.start()
        assert states(w) == ["issued"]
        assert t.proves(pem, key).status == 204
        assert states(w) == ["confirmed"]
        again = t.ask("C")
        assert again.status == 409 and "already-confirmed" in again.text
        w.stop()


def states(w):
    a = w.rest("GET", "/certificates?device=C")
    return [c["state"] for c in a.json["items"]]
