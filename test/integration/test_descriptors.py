"""Who fills one listener takes nothing from the others, nor from the next."""
import contextlib
import resource
import socket
import ssl
import time

import pytest

from world import DAEMON, World, run

FEW = 700


def few():
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, FEW))


def soft():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))


@pytest.fixture
def w():
    with World(threads=1) as it:
        yield it


def source(i):
    return f"127.1.{i // 200}.{i % 200 + 1}"


def hold(stack, w, n, secured):
    """n connections to the devices' listener, each from its own address."""
    ctx = ssl.create_default_context(cafile=str(w.anchor))
    ctx.check_hostname = False
    for i in range(n):
        s = stack.enter_context(socket.create_connection(
            ("127.0.0.1", w.devices), 20, (source(i), 0)))
        if secured:
            with contextlib.suppress(OSError):
                stack.enter_context(ctx.wrap_socket(s))


def asked_for(w, seconds):
    """/healthz of the devices' listener, asked again while it is full."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            return w.device_call("GET", "/healthz").status
        time.sleep(0.05)
    return None


@pytest.mark.parametrize("secured", [True, False])
def test_a_full_listener_is_full_alone(w, secured):
    w.start(preexec_fn=few)
    assert "event=connections-lowered" in w.log()
    with contextlib.ExitStack() as stack:
        hold(stack, w, FEW + 50, secured)
        for _ in range(3):
            assert w.get_public("/readyz").status == 200
            assert w.rest("GET", "/status").status == 200
        status = w.rest("GET", "/status").json
        assert status["listeners"]["devices"]["open"] <= (FEW - 192) // 3
        if secured:  # idle ones make room for who comes new
            assert asked_for(w, 5) == 200
    load = [f for f in w.rest("GET", "/doctor").json["findings"]
            if f["check"] == "load" and f["level"] == "warn"]
    assert any("enough for" in f["what"] for f in load), load


def test_the_soft_limit_is_no_limit(w):
    w.start(preexec_fn=soft)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limits = open(f"/proc/{w.children()['server']}/limits").read()
    line = next(x for x in limits.splitlines() if x.startswith("Max open"))
    assert line.split()[3] == str(hard)


def test_check_says_so(w):
    out = run(DAEMON, "check", "--config", w.conf, preexec_fn=few)
    assert "enough for 169 connections" in out.stdout
    w.set_conf("connections", 100)
    out = run(DAEMON, "check", "--config", w.conf, preexec_fn=few)
    assert "warning" not in out.stdout
