"""The n-th allocation, or write, of the running server or signer fails.

The fault comes when the sandbox is in place and devices enrol: nth.c shares
its counters with this test.  Whatever failed: no crash, an answer of 503 with
Retry-After or a connection that ends, and afterwards all promises hold.
Runs the plain build (an interposed malloc and a sanitizer do not mix).
"""
import contextlib
import http.client
import mmap
import os
import pathlib
import shutil
import ssl
import struct
import time

import pytest

from promises import PROFILE, Witness
from test_nth import HERE, PLAIN

ROUNDS = int(os.environ.get("NTH_ROUNDS", "40"))
# the names of their control files
CHILDREN = {"server": "serve", "signer": "run"}
FIELDS = {"allocs": 0, "writes": 8, "hits": 16, "calls": 24}


class Control:
    def __init__(self, path):
        path.write_bytes(bytes(4096))
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 4096)

    def get(self, name):
        return struct.unpack_from("<q", self.map, FIELDS[name])[0]

    def set(self, name, value):
        struct.pack_into("<q", self.map, FIELDS[name], value)


@pytest.fixture
def w(shim, tmp_path):
    import world
    saved = {n: getattr(world, n) for n in ("MINT", "DAEMON", "SIGNER")}
    world.MINT = PLAIN / "src/cli/mintmark"
    world.DAEMON = PLAIN / "src/server/mintmarkd"
    world.SIGNER = PLAIN / "src/signer/mintmark-signer"
    it = world.World(profile=PROFILE)
    it.control = {who: Control(tmp_path / name)
                  for who, name in CHILDREN.items()}
    # the signer is given little of an environment: it looks beside itself
    it.shim = {"LD_PRELOAD": shutil.copy(shim, tmp_path)}
    try:
        yield it
    finally:
        it.close()
        for n, v in saved.items():
            setattr(world, n, v)


def ask(t, name):
    """The status, or None where the connection ended."""
    try:
        a = t.world.enrol_basic(t.token[name], t.csr[name])
    except (OSError, ssl.SSLError, http.client.HTTPException):
        return None
    t.got(name, a)
    return a.status


def until_enrolled(t, name, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if ask(t, name) == 200:
            return
        time.sleep(0.05)
    raise AssertionError(f"{name}: {t.world.log()[-3000:]}")


def cost(t, control, field, name):
    """How many calls of that kind one enrolment makes, and what goes on
    beside it."""
    if field == "allocs":
        control.set("calls", 0)
        until_enrolled(t, name)
        return control.get("calls")
    control.set(field, 10**6)
    until_enrolled(t, name)
    left = control.get(field)
    control.set(field, 0)
    return 10**6 - left


def witness(w, n):
    t = Witness(w)
    names = [f"N-{i}" for i in range(n)]
    csr = [w.key_and_csr(name)[1] for name in names]
    made = w.rest("POST", "/tokens", {"tokens": [
        {"device": d, "product": "thermo", "door": "bearer"}
        for d in names]})
    assert made.status == 201, made
    t.token = {i["device"]: i for i in made.json["items"]}
    t.csr = dict(zip(names, csr))
    return t, names


def check(t, seconds=60):
    end = time.monotonic() + seconds
    while True:  # orphans are settled within their age limit
        try:
            return t.check()
        except AssertionError:
            if time.monotonic() > end:
                raise
            time.sleep(1)


@pytest.mark.parametrize("field", ["allocs", "writes"])
@pytest.mark.parametrize("who", CHILDREN)
def test_a_call_of_a_running_process_fails(w, who, field):
    w.start(env=w.shim).product()
    control, before = w.control[who], w.children()
    assert control.get("calls") > 0  # the shim is in that process
    t, names = witness(w, ROUNDS + 1)
    total = cost(t, control, field, names.pop())
    assert total > 0
    hits = control.get("hits")
    for i, name in enumerate(names):
        control.set(field, 1 + i * total // len(names))
        ask(t, name)
        until_enrolled(t, name)
        control.set(field, 0)
    assert control.get("hits") - hits > len(names) // 8
    assert w.children() == before, w.log()[-3000:]
    assert "event=child-ended" not in w.log()
    w.wait_ready()
    check(t)


READS = ["/status", "/profiles", "/profiles/thermo", "/products", "/devices",
         "/devices/R-0", "/devices/R-0/receipt", "/certificates", "/tokens",
         "/issuers", "/keys", "/ledger/entries", "/ledger/checkpoint",
         "/ledger/receipts/0"]
WRITES = [("/tokens", {"device": "R-1", "product": "thermo"}),
          ("/products", {"name": "other", "ldevid_profile": "thermo"}),
          ("/issuers/issuing/crl", None),
          ("/keys", {"name": "k", "roles": ["auditor"]})]


@pytest.mark.parametrize("who", CHILDREN)
def test_operators_requests_while_allocations_fail(w, who):
    w.start(env=w.shim).product()
    control, before = w.control[who], w.children()
    t, names = witness(w, 2)
    until_enrolled(t, names[0])
    t.token["R-0"] = w.token("R-0", door="bearer")
    t.csr["R-0"] = w.key_and_csr("R-0")[1]
    until_enrolled(t, "R-0")
    requests = [("POST", p, b) for p, b in WRITES]
    if who == "server":
        requests += [("GET", p, None) for p in READS]
    for method, path, body in requests:
        control.set("calls", 0)
        assert w.rest(method, path, body).status in (200, 201), path
        total = control.get("calls")
        for i in range(min(total, ROUNDS)):
            control.set("allocs", 1 + i * total // min(total, ROUNDS))
            a = None
            with contextlib.suppress(OSError, ssl.SSLError,
                                     http.client.HTTPException):
                a = w.rest(method, path, body)
            control.set("allocs", 0)
            assert a is None or a.status in (200, 201, 409) or \
                a.status == 503 and a.headers["retry-after"], (path, a)
            assert w.children() == before, (path, w.log()[-3000:])
        assert w.rest(method, path, body).status in (200, 201, 409), path
    check(t)
