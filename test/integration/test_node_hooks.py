"""Webhooks of several nodes: one key, and one node at a time delivers."""
import os
import shutil
import signal
import threading

import pytest

from nodes import Cluster
from postgres import Postgres
from receiver import Receiver, verify
from test_nodes import meta_locked, until


@pytest.fixture(scope="module")
def server():
    with Postgres() as p:
        yield p


def pair(server, **conf):
    c = Cluster(server.database(), 2)
    for w in c.nodes:
        for key, value in {"webhook_deny_private": "false", **conf}.items():
            w.set_conf(key, value)
    return c


def hook(w, url):
    return w.rest("POST", "/webhooks", {"url": url, "types": ["token."]})


def key_of(w):
    return w.state / "server/webhook.key"


def test_a_node_makes_no_key_of_its_own(server):
    with pair(server) as c, Receiver() as r:
        a, b = c.start().nodes
        made = hook(a, r.url())
        assert made.status == 201, made
        # b can neither sign nor show a secret, and says what to do
        refused = hook(b, r.url("/other"))
        assert refused.status == 403, refused
        assert "copy server_dir/webhook.key" in refused.json["detail"]
        until(lambda: "webhook.key: this node has none" in b.log())
        assert not key_of(b).exists()
        said = b.rest("GET", "/doctor")
        assert any(f["check"] == "webhooks" and f["level"] == "warn" and
                   f["what"].endswith("sign with theirs") and
                   "Copy server_dir/webhook.key" in f["do"]
                   for f in said.json["findings"])
        assert "everybody may read it" not in said.text  # what join has put
        # nor does it deliver, if it is the only one
        a.stop()
        b.token("K-1", door="bearer")
        until(lambda: b.rest("GET", "/status").json["ledger"]["size"] > 0)
        key_of(b).write_bytes(bytes(32))
        key_of(b).chmod(0o600)
        until(lambda: "not the one that the other nodes sign" in b.log())
        assert r.got == []
        shutil.copy(key_of(a), key_of(b))
        d, = r.wait(lambda got: len(got) == 1)
        assert verify([made.json["secret"]], d.headers, d.body) == {0}
        assert hook(b, r.url("/other")).status == 201
        assert "webhook.key" not in b.rest("GET", "/doctor").text


def test_the_first_node_that_is_asked_makes_the_key(server):
    with pair(server) as c, Receiver() as r:
        a, b = c.start().nodes
        assert not key_of(a).exists() and not key_of(b).exists()
        made = hook(b, r.url())
        assert made.status == 201
        assert key_of(b).exists()
        assert hook(a, r.url("/other")).status == 403
        # a, which delivers as long as there is nothing to, passes it on
        a.token("P-1", door="bearer")
        d, = r.wait(lambda got: len(got) == 1)
        assert verify([made.json["secret"]], d.headers, d.body) == {0}


def test_a_node_that_cannot_renew_its_lease_does_not_deliver(server):
    """Another one may have it by then."""
    with pair(server, webhook_retries='{' + ", ".join(['"2s"'] * 32) + '}') \
            as c, Receiver(lambda d: 500) as r:
        a, b = c.start().nodes
        assert hook(a, r.url()).status == 201
        shutil.copy(key_of(a), key_of(b))
        a.token("R-1", door="bearer")
        r.wait(lambda got: len(got) >= 2)
        with meta_locked(server, f"mm{server.n}"):
            until(lambda: silent(r))


def silent(r, seconds=16):
    """No delivery begins, though one was due every two (a store that does
    not write makes the thread wait for up to 8 s)."""
    with r.cond:
        n = len(r.got)
        return not r.cond.wait_for(lambda: len(r.got) > n, seconds)


def test_a_node_without_webhooks_leaves_them_to_another(server):
    with pair(server) as c, Receiver() as r:
        a, b = c.nodes
        a.set_conf("webhooks", "false")
        c.start()  # a first: it has the lease
        made = hook(b, r.url())
        assert made.status == 201
        a.token("N-1", door="bearer")
        d, = r.wait(lambda got: len(got) == 1)
        assert verify([made.json["secret"]], d.headers, d.body) == {0}


def test_every_node_knows_the_dead_letters(server):
    """The one that delivers counts, the other one looks."""
    with pair(server, webhook_retries='{"1s"}') as c, \
            Receiver(lambda d: 500) as r:
        a, b = c.start().nodes
        made = hook(a, r.url()).json["id"]
        shutil.copy(key_of(a), key_of(b))

        def dead(w):
            return w.rest("GET", f"/webhooks/{made}").json["delivery"][
                "dead_letters"]
        for n in range(2):
            a.token(f"D-{n}", door="bearer")
        for w in (a, b):
            until(lambda w=w: dead(w) == 2)
        letter = b.rest("GET", f"/webhooks/{made}/dead-letters").json[
            "items"][0]["index"]
        r.answer = lambda d: 200
        got = b.rest("POST", f"/webhooks/{made}/dead-letters/{letter}/retry",
                     {})
        assert got.json["delivered"], got
        assert dead(b) == 1
        # whoever delivers next has counted what is there
        a.stop()
        until(lambda: dead(b) == 1 and "mintmark_webhook_dead_letters 1" in
              b.rest("GET", "/metrics", base="").body.decode())


def test_a_node_that_lost_its_lease_buries_nothing(server):
    """It hears of a failure when another node has delivered long since."""
    with pair(server, webhook_retries='{"1s"}') as c, Receiver() as r:
        a, b = c.start().nodes
        made = hook(a, r.url()).json["id"]
        shutil.copy(key_of(a), key_of(b))
        asked, held, fail = [], threading.Event(), threading.Event()

        def answer(_):
            asked.append(1)
            if len(asked) == 2:
                held.set()
                fail.wait(60)
            return 500 if len(asked) <= 2 else 200
        r.answer = answer
        a.token("L-1", door="bearer")
        assert held.wait(60)  # by a, whose last attempt it is
        paused = [a.daemon.pid, a.children()["server"]]
        for pid in paused:
            os.kill(pid, signal.SIGSTOP)
        try:
            r.wait(lambda got: len(got) >= 2)  # b's, after a's first
            fail.set()
            r.wait(lambda got: len(got) >= 3)
        finally:
            fail.set()
            for pid in paused:
                os.kill(pid, signal.SIGCONT)
        until(lambda: a.get_public("/readyz").status == 200)
        n = len(r.got)
        b.token("L-2", door="bearer")
        r.wait(lambda got: len(got) > n)
        for w in (a, b):
            letters = w.rest("GET", f"/webhooks/{made}/dead-letters").json
            assert letters["items"] == [], letters
