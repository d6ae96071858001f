"""Webhooks (docs/integrate.md): signed, in order, at least once."""
import json
import os
import pathlib
import shutil
import signal
import ssl
import stat
import time

import pytest

from receiver import Receiver, verify
from records import records
from world import World, open_files, sanitized, until

RETRIES = '{"1s", "1s"}'


def make(**conf):
    w = World(profile="\tbearer = true")
    for key, value in {"webhook_deny_private": "false",
                       "webhook_retries": RETRIES,
                       "webhook_timeout": '"8s"', **conf}.items():
        add_conf(w, key, value)
    return w


def add_conf(w, key, value):
    lines = [x for x in w.conf.read_text().splitlines()
             if not x.startswith(f"{key} =")]
    w.conf.write_text(f"{key} = {value}\n" + "\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def world():
    w = make()
    try:
        yield w.start().product()
    finally:
        w.close()


@pytest.fixture
def hooks(world):
    """Makes webhooks that are gone after the test."""
    made = []

    def new(url, **more):
        a = world.rest("POST", "/webhooks", {"url": url, **more})
        assert a.status == 201, a
        made.append(a.json["id"])
        return a.json

    yield new
    for i in made:
        world.rest("DELETE", f"/webhooks/{i}")


def show(world, hook):
    a = world.rest("GET", f"/webhooks/{hook['id']}")
    assert a.status == 200, a
    return a.json


def post(world, hook, what, body=None, status=200):
    a = world.rest("POST", f"/webhooks/{hook['id']}/{what}", body or {})
    assert a.status == status, a
    return a.json


def entries(world, **match):
    items, page = [], [{"index": -1}]
    while page:  # one that took too long ends early
        page = world.rest("GET", f"/events?after={page[-1]['index']}"
                          "&limit=1000").json["items"]
        items += page
    return [i for i in items if all(i["entry"].get(k) == v
                                    for k, v in match.items())]


def mint(world, *names):
    for n in names:
        world.token(n, door="bearer")
    return [i["index"] for n in names
            for i in entries(world, type="token.minted", device=n)]


# ---- a delivery ----

def test_an_event_arrives_signed_and_is_the_ledgers(world, hooks):
    with Receiver() as r:
        h = hooks(r.url(), types=["token."])
        assert h["secret"].startswith("whsec_") and h["secret_version"] == 1
        index, = mint(world, "A-1")
        d, = r.wait(lambda got: len(got) == 1)
        assert verify([h["secret"]], d.headers, d.body) == {0}
        assert d.headers["content-type"] == "application/json"
        assert d.headers["user-agent"].startswith("Mintmark/")
        body = d.json
        assert body["type"] == "token.minted"
        entry = entries(world, type="token.minted", device="A-1")[0]
        assert body["data"] == entry
        assert body["timestamp"] == entry["entry"]["at"]
        assert d.id.endswith(f".{index}")


def test_the_signature_covers_id_time_and_body(world, hooks):
    with Receiver() as r:
        h = hooks(r.url(), types=["token."])
        mint(world, "A-2")
        d, = r.wait(lambda got: len(got) == 1)
        for name, value in (("webhook-id", d.id + "0"), (
                "webhook-timestamp",
                str(int(d.headers["webhook-timestamp"]) + 1))):
            with pytest.raises(AssertionError):
                verify([h["secret"]], {**d.headers, name: value}, d.body)
        with pytest.raises(AssertionError):
            verify([h["secret"]], d.headers, d.body + b" ")


def test_events_come_in_order_and_filtered(world, hooks):
    with Receiver() as r:
        hooks(r.url(), types=["token.minted", "product."],
              products=["thermo"])
        world.rest("POST", "/products", {"name": "other",
                                         "ldevid_profile": "thermo"})
        want = mint(world, *[f"B-{i}" for i in range(20)])
        got = r.wait(lambda got: len(got) >= 20)
        assert [d.indexes[0] for d in got] == want


def test_a_batch_holds_many(world, hooks):
    with Receiver(lambda d: 500) as r:
        h = hooks(r.url(), types=["token."], batch=True)
        want = mint(world, "C-0")
        r.wait(lambda got: got)
        want += mint(world, *[f"C-{i}" for i in range(1, 30)])
        r.answer = lambda d: 200
        got = r.wait(lambda got: sum(len(d.indexes) for d in got[1:]) >= 30)
        good = got[1:]
        assert sum([d.indexes for d in good], [])[-30:] == want
        d = good[-1]
        assert d.json["type"] == "mintmark.events" and len(d.indexes) > 1
        assert d.id.endswith(f".{d.indexes[0]}-{d.indexes[-1]}")
        assert verify([h["secret"]], d.headers, d.body) == {0}


def test_tls_is_verified(world, hooks):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(world.state / "server/tls.crt",
                        world.state / "server/tls.key")
    with Receiver(tls=ctx) as r:
        h = hooks(r.url(), types=["token."])  # not one of the system's CAs
        mint(world, "T-1")
        why = until(lambda: show(world, h).get("delivery", {}).get("last_why"))
        assert "certificate" in why
        assert not r.got


def test_a_ca_of_ones_own():
    w = make()
    shutil.copy(w.anchor, w.state / "server/hooks-ca.pem")
    add_conf(w, "webhook_ca", f'"{w.state}/server/hooks-ca.pem"')
    with w:
        w.start().product()
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ctx.load_cert_chain(w.state / "server/tls.crt",
                            w.state / "server/tls.key")
        with Receiver(tls=ctx) as r:
            a = w.rest("POST", "/webhooks", {"url": r.url(host="localhost"),
                                             "types": ["token."]})
            mint(w, "T-2")
            d, = r.wait(lambda got: len(got) == 1)
            assert verify([a.json["secret"]], d.headers, d.body)


# ---- REST ----

@pytest.mark.parametrize("body", [
    {}, {"url": "ftp://x/"}, {"url": "https://"}, {"url": "https://u:p@x/"},
    {"url": "http://example.com/"}, {"url": "https://x/ y"},
    {"url": "https://x/#f"}, {"url": "file:///etc/passwd"},
    {"url": "https://[fe80::1%25lo]/"}, {"url": "https://[fe80::1%lo]/"},
    {"url": "https://x/", "types": ["nosuch"]},
    {"url": "https://x/", "types": "token."},
    {"url": "https://x/", "from": -1},
    {"url": "https://x/", "nosuch": 1}, {"url": "https://x/" + "a" * 1024},
])
def test_what_is_refused(world, body):
    assert world.rest("POST", "/webhooks", body).status == 400, body


def test_a_webhook_does_not_begin_behind_the_end(world):
    a = world.rest("POST", "/webhooks", {"url": "https://x/",
                                         "from": 10 ** 9})
    assert a.status == 409 and "ledger ends" in a.json["detail"], a


def test_a_webhook_is_a_document_with_an_etag(world, hooks):
    h = hooks("https://example.com/a", description="first")
    a = world.rest("GET", f"/webhooks/{h['id']}")
    tag = a.headers["etag"]
    assert tag == f'"{h["version"]}"'
    assert "secret" not in a.json
    path = f"/webhooks/{h['id']}"
    new = {"url": "https://example.com/b", "types": ["certificate."]}
    a = world.rest("PUT", path, new, headers={"If-Match": tag})
    assert a.status == 200 and a.headers["etag"] != tag
    assert a.json["url"] == new["url"] and a.json["description"] == ""
    assert world.rest("PUT", path, new,
                      headers={"If-Match": tag}).status == 412
    assert world.rest("PUT", path, new,
                      headers={"If-Match": "nonsense"}).status == 412
    assert world.rest("PUT", path, new).status == 200
    items = world.rest("GET", "/webhooks").json["items"]
    assert [i["url"] for i in items if i["id"] == h["id"]] == [new["url"]]
    assert world.rest("DELETE", path).status == 200
    assert world.rest("GET", path).status == 404
    assert world.rest("DELETE", path).status == 404
    for kind in ("created", "changed", "removed"):
        assert entries(world, type=f"webhook.{kind}", webhook=h["id"])
    ledger = world.rest("GET", "/events?after=-1&limit=1000").text
    assert "example.com" not in ledger  # URLs can hold secrets


def test_only_an_administrator_changes_webhooks(world, hooks):
    url = "https://example.com:8443/services/T0/B0?key=T0/B0"
    h = hooks(url)
    assert world.rest("GET", f"/webhooks/{h['id']}").json["url"] == url
    for role, reads in (("operator", 403), ("auditor", 200),
                        ("support", 403), ("line", 403)):
        key = world.rest("POST", "/keys", {"name": role, "roles": [role]}
                         ).json["key"]
        a = world.rest("GET", "/webhooks", key=key)
        assert a.status == reads and "T0/B0" not in a.text, a
        if reads == 200:  # the URL may be all of a receiver's credential
            one = world.rest("GET", f"/webhooks/{h['id']}", key=key)
            assert one.json["url"] == "https://example.com:8443/...", one
            assert one.json["url"] in [i["url"] for i in a.json["items"]]
        for method, path in (("POST", ""), ("PUT", f"/{h['id']}"),
                             ("DELETE", f"/{h['id']}"),
                             ("POST", f"/{h['id']}/test"),
                             ("POST", f"/{h['id']}/rotate")):
            body = None if method == "DELETE" else {"url": "https://x/"}
            assert world.rest(method, "/webhooks" + path, body,
                              key=key).status == 403


def test_the_key_is_a_private_file_and_no_secret_is_stored(world, hooks):
    h = hooks("https://example.com/")
    path = world.state / "server/webhook.key"
    st = path.stat()
    assert stat.S_IMODE(st.st_mode) == 0o600 and st.st_size == 32
    stored = records(world).contents()
    assert h["id"].encode() in stored
    assert h["secret"][6:].encode() not in stored
    assert h["secret"][6:] not in world.log()


def test_a_secret_is_derived_as_documented(world, hooks):
    import base64, hashlib, hmac
    h = hooks("https://example.com/")
    key = (world.state / "server/webhook.key").read_bytes()
    text = b"mintmark webhook v1" + h["id"].encode() + (1).to_bytes(8, "big")
    want = hmac.new(key, text, hashlib.sha256).digest()
    assert h["secret"] == "whsec_" + base64.b64encode(want).decode()


def test_idempotency_does_not_keep_the_secret(world):
    head = {"Idempotency-Key": "hook-1"}
    body = {"url": "https://example.com/once"}
    a = world.rest("POST", "/webhooks", body, headers=head)
    b = world.rest("POST", "/webhooks", body, headers=head)
    assert (a.status, b.status) == (201, 201) and "secret" in a.json
    assert b.json["id"] == a.json["id"] and "secret" not in b.json
    world.rest("DELETE", f"/webhooks/{a.json['id']}")


def test_a_test_says_how_it_went(world, hooks):
    with Receiver() as r:
        h = hooks(r.url(), types=["token."])
        a = post(world, h, "test")
        assert a["delivered"] and a["status"] == 200
        d, = r.got
        assert d.json["type"] == "webhook.test" and d.id == a["webhook_id"]
        assert verify([h["secret"]], d.headers, d.body)
        r.answer = lambda d: 418
        assert post(world, h, "test")["status"] == 418
        r.answer = lambda d: r.never
        a = post(world, h, "test")
        assert not a["delivered"] and "status" not in a and a["why"]


def test_rotation_signs_with_both(world, hooks):
    with Receiver() as r:
        h = hooks(r.url(), types=["token."])
        new = post(world, h, "rotate")
        assert new["secret"] != h["secret"] and new["secret_version"] == 2
        assert new["previous_secret_until"]
        mint(world, "R-1")
        d, = r.wait(lambda got: len(got) == 1)
        assert verify([h["secret"], new["secret"]], d.headers,
                      d.body) == {0, 1}
        assert len(d.headers["webhook-signature"].split(" ")) == 2
        third = post(world, h, "rotate")
        mint(world, "R-2")
        d = r.wait(lambda got: len(got) == 2)[1]
        assert verify([h["secret"], new["secret"], third["secret"]],
                      d.headers, d.body) == {1, 2}


def test_pause_and_resume(world, hooks):
    with Receiver() as r, Receiver() as other:
        h = hooks(r.url(), types=["token."])
        hooks(other.url(), types=["token."])
        assert post(world, h, "pause")["state"] == "paused"
        want = mint(world, "P-1", "P-2")
        other.wait(lambda got: len(got) == 2)
        assert not r.got
        assert post(world, h, "resume")["state"] == "active"
        got = r.wait(lambda got: len(got) == 2)
        assert [d.indexes[0] for d in got] == want


def test_replay_sends_again_with_the_same_ids(world, hooks):
    with Receiver() as r:
        h = hooks(r.url(), types=["token."])
        want = mint(world, "Y-1", "Y-2", "Y-3")
        first = r.wait(lambda got: len(got) == 3)
        post(world, h, "replay", {"from": want[1]})
        got = r.wait(lambda got: len(got) == 5)[3:]
        assert [d.id for d in got] == [d.id for d in first[1:]]
        assert [d.body for d in got] == [d.body for d in first[1:]]
        a = world.rest("POST", f"/webhooks/{h['id']}/replay",
                       {"from": 10 ** 9})
        assert a.status == 409


def test_a_new_webhook_can_begin_in_the_past(world, hooks):
    with Receiver() as r:
        hooks(r.url(), types=["ledger.opened", "issuer."], **{"from": 0})
        got = r.wait(lambda got: len(got) >= 2)
        assert got[0].indexes == [0]


# ---- receivers that fail ----

def failing_then_good(times, how):
    count = []

    def answer(d):
        count.append(d)
        return how if len(count) <= times else 200
    return answer


@pytest.mark.parametrize("how", ["reset", 500, 302, "huge_head", "never"])
def test_a_failure_is_tried_again_with_the_same_id(world, hooks, how):
    with Receiver() as r:
        fault = getattr(r, how) if isinstance(how, str) else \
            (how, {"Location": r.url("/elsewhere")})
        r.answer = failing_then_good(1, fault)
        h = hooks(r.url(), types=["token."])
        mint(world, f"E-{how}")
        got = r.wait(lambda got: len(got) == 2)
        assert got[0].id == got[1].id and got[0].body == got[1].body
        assert all(d.path == "/hook" for d in got), "a redirect was followed"
        assert got[1].at - got[0].at >= 0.9
        assert verify([h["secret"]], got[1].headers, got[1].body)


def test_a_huge_answer_with_a_good_status_is_good(world, hooks):
    with Receiver() as r:
        r.answer = lambda d: r.huge
        h = hooks(r.url(), types=["token."])
        mint(world, "G-1", "G-2")
        got = r.wait(lambda got: len(got) == 2)
        assert got[0].id != got[1].id
        until(lambda: show(world, h)["delivery"]["delivered"] == 2)


def test_retry_after_is_obeyed(world, hooks):
    with Receiver() as r:
        r.answer = failing_then_good(1, (503, {"Retry-After": "3"}))
        hooks(r.url(), types=["token."])
        mint(world, "O-1")
        got = r.wait(lambda got: len(got) == 2)
        assert 2.9 <= got[1].at - got[0].at  # else after 1


def test_after_the_last_attempt_the_next_event_follows(world, hooks):
    with Receiver() as r:
        bad = []
        r.answer = lambda d: 500 if d.indexes and d.indexes[0] in bad else 200
        h = hooks(r.url(), types=["token."])
        post(world, h, "pause")
        want = mint(world, "D-1", "D-2", "D-3")
        bad.append(want[0])
        post(world, h, "resume")
        got = r.wait(lambda got: len(got) == 5, 30)
        assert [d.indexes[0] for d in got] == [want[0]] * 3 + want[1:]
        page = world.rest("GET", f"/webhooks/{h['id']}/dead-letters").json
        letter, = page["items"]
        assert letter["index"] == want[0] and letter["attempts"] == 3
        assert letter["why"].startswith("500") and letter["webhook_id"] == \
            got[0].id
        assert show(world, h)["delivery"]["dead_letters"] == 1
        again = f"dead-letters/{want[0]}/retry"
        assert not post(world, h, again)["delivered"]
        bad.clear()
        assert post(world, h, again)["delivered"]
        last = r.wait(lambda got: len(got) == 7)[-1]
        assert last.id == got[0].id and last.body == got[0].body
        assert world.rest("GET", f"/webhooks/{h['id']}/dead-letters"
                          ).json["items"] == []
        assert show(world, h)["delivery"]["dead_letters"] == 0
        post(world, h, again, status=404)
        post(world, h, "dead-letters/nosuch/retry", status=404)


def metrics(world):
    """{name: value} of what metrics say of webhooks."""
    text = world.rest("GET", "/metrics", base="").text
    return {k.removeprefix("mintmark_"): float(v) for k, v in (
        line.rsplit(" ", 1) for line in text.splitlines()
        if line.startswith("mintmark_webhook"))}


def doctor(world):
    return [f for f in world.rest("GET", "/doctor").json["findings"]
            if f["check"] == "webhooks"]


def test_metrics_and_the_doctor_say_how_webhooks_do(world, hooks):
    with Receiver() as r:
        base = metrics(world)
        r.answer = lambda d: 500 if len(r.got) < 3 else 200
        began = time.time()
        h = hooks(r.url(), types=["token."])
        mint(world, "M-1")
        r.wait(lambda got: len(got) == 1)
        m = until(lambda: (m := metrics(world))["webhooks_failing"] and m)
        assert m['webhooks{state="active"}'] == base[
            'webhooks{state="active"}'] + 1
        assert began - 1 < m["webhook_oldest_timestamp_seconds"] \
            < time.time() + 1
        until(lambda: show(world, h)["delivery"]["dead_letters"] == 1)
        m = metrics(world)
        assert m["webhook_dead_letters"] == base["webhook_dead_letters"] + 1
        assert "webhook_oldest_timestamp_seconds" not in m
        assert m['webhook_deliveries_total{result="failed"}'] == base[
            'webhook_deliveries_total{result="failed"}'] + 3
        assert [f["level"] for f in doctor(world)] == ["warn"]
        assert "put aside" in doctor(world)[0]["what"]
        mint(world, "M-2")
        until(lambda: metrics(world)[
            'webhook_deliveries_total{result="delivered"}'] > base[
            'webhook_deliveries_total{result="delivered"}'])
        r.answer = lambda d: 410
        mint(world, "M-3")
        until(lambda: metrics(world)['webhooks{state="disabled"}'] == 1)
        assert any("disabled" in f["what"] for f in doctor(world))
    world.rest("DELETE", f"/webhooks/{h['id']}")
    until(lambda: [f["level"] for f in doctor(world)] == ["ok"])


def test_410_disables_and_nothing_is_lost(world, hooks):
    with Receiver(lambda d: 410) as r:
        h = hooks(r.url(), types=["token."])
        want = mint(world, "N-1", "N-2")
        until(lambda: show(world, h)["state"] == "disabled")
        assert show(world, h)["reason"] == "receiver-gone"
        assert len(r.got) == 1
        assert entries(world, type="webhook.disabled", webhook=h["id"],
                       reason="receiver-gone")
        assert entries(world, type="alert", webhook=h["id"])
        r.forget()
        r.answer = lambda d: 200
        post(world, h, "resume")
        got = r.wait(lambda got: len(got) == 2)
        assert [d.indexes[0] for d in got] == want


@pytest.mark.alone
def test_one_that_fails_for_long_is_disabled():
    with make(webhook_give_up='"4s"',
              webhook_retries='{"1s","1s","1s","1s","1s","1s"}') as w, \
            Receiver(lambda d: 500) as r:
        w.start().product()
        h = w.rest("POST", "/webhooks", {"url": r.url(),
                                         "types": ["token."]}).json
        mint(w, "L-1")
        until(lambda: show(w, h)["state"] == "disabled")
        assert show(w, h)["reason"] == "receiver-failing"
        assert entries(w, type="alert", reason="webhook-disabled")
        # resumed, it gets the whole time once more
        n = len(r.got)
        post(w, h, "resume")
        r.wait(lambda got: len(got) >= n + 2)
        assert show(w, h)["state"] == "active"


@pytest.mark.alone
def test_one_that_never_answers_delays_nobody(world, hooks):
    with Receiver() as slow, Receiver() as quick:
        slow.answer = lambda d: slow.never
        for i in range(20):
            hooks(slow.url(f"/{i}"), types=["token."])
        hooks(quick.url(), types=["token."])
        mint(world, "S-0")
        slow.wait(lambda got: len(got) >= 20)
        began = time.monotonic()
        want = mint(world, *[f"S-{i}" for i in range(1, 11)])
        got = quick.wait(lambda got: len(got) == 11)
        assert [d.indexes[0] for d in got[1:]] == want
        assert time.monotonic() - began < 5


# ---- where it may go ----

@pytest.mark.parametrize("url", [
    "http://127.0.0.1:{port}/", "http://localhost:{port}/",
    "https://169.254.169.254/latest", "https://[fe80::1]/",
    "https://[::ffff:169.254.169.254]/", "https://10.0.0.1/",
    "https://0.0.0.0:{port}/", "https://2130706433:{port}/"])
def test_by_preset_only_public_addresses(denying, url):
    w, r = denying
    a = w.rest("POST", "/webhooks", {"url": url.format(port=r.port),
                                     "types": ["token."]})
    assert a.status == 201, a
    said = post(w, a.json, "test")
    assert not said["delivered"] and "not allowed" in said["why"], said
    assert not r.got


@pytest.fixture(scope="module")
def denying():
    with make(webhook_deny_private="true") as w, Receiver() as r:
        w.start().product()
        yield w, r


def test_link_local_is_never_allowed(world, hooks):
    for url in ("https://169.254.169.254/", "https://[fd00:ec2::254]/"):
        said = post(world, hooks(url), "test")
        assert not said["delivered"] and "not allowed" in said["why"]


def test_webhooks_can_be_switched_off():
    with make(webhooks="false") as w:
        w.start()
        assert "courier" not in w.children()
        assert w.rest("POST", "/webhooks",
                      {"url": "https://x/"}).status == 409


# ---- processes ----

def courier(world):
    return until(lambda: world.children().get("courier"))


@pytest.mark.skipif(sanitized(), reason="sanitized builds skip seccomp")
def test_the_courier_is_confined(world):
    pid = courier(world)
    until(lambda: "Seccomp:\t2" in
          pathlib.Path(f"/proc/{pid}/status").read_text())
    assert not any("mintmark.db" in f or "key" in f for f in open_files(pid))


def test_a_courier_that_dies_is_replaced(world, hooks):
    with Receiver() as r:
        r.answer = failing_then_good(1, r.never)
        hooks(r.url(), types=["token."])
        want = mint(world, "K-1")
        r.wait(lambda got: len(got) == 1)
        os.kill(courier(world), signal.SIGKILL)
        got = r.wait(lambda got: len(got) == 2)
        assert got[1].indexes == want and got[0].id == got[1].id
        assert world.daemon.poll() is None


def test_a_delivery_that_kills_the_courier_stops_nobody_else(world, hooks):
    """It fails like any other: later each time, and then put aside."""
    def kill(d):
        os.kill(courier(world), signal.SIGKILL)
        return r.never

    with Receiver() as r, Receiver() as other:
        r.answer = lambda d: kill(d) if "poison" in d.path else 200
        bad = hooks(r.url("/poison"), types=["token."])
        good = hooks(other.url(), types=["token."])
        want = mint(world, "POISON-1")
        until(lambda: show(world, bad)["delivery"]["dead_letters"] == 1, 120)
        # once and two retries, and once more where it was not alone
        assert 3 <= len(r.got) <= 4
        letter, = world.rest(
            "GET", f"/webhooks/{bad['id']}/dead-letters").json["items"]
        assert letter["attempts"] == 3 and "courier" in letter["why"], letter
        want += mint(world, "POISON-2")
        got = other.wait(lambda got: {i for d in got for i in d.indexes}
                         >= set(want))
        assert len(got) < 10  # nor is it flooded
        assert show(world, good)["delivery"]["dead_letters"] == 0


def test_a_test_that_kills_the_courier_is_answered(world, hooks):
    with Receiver() as r:
        def answer(d):
            os.kill(courier(world), signal.SIGKILL)
            return r.never

        r.answer = answer
        said = post(world, hooks(r.url(), types=["token.thawed"]), "test")
        assert not said["delivered"], said
        assert said["why"] == "the courier went away", said
        assert len(r.wait(lambda got: got)) == 1


def test_names_are_looked_up(world, hooks):
    with Receiver() as r:
        h = hooks(r.url(host="localhost"))
        assert post(world, h, "test")["delivered"]


# ---- nothing is lost, and nothing is left ----

def test_what_removed_webhooks_left_behind_goes():
    """The server was killed before it had dropped it, of several."""
    with make() as w, Receiver() as r:
        w.start().product()
        kept = w.rest("POST", "/webhooks", {"url": r.url()}).json["id"]
        w.token("L-1", door="bearer")
        r.wait(lambda got: len(got) > 0)
        w.stop()
        db = records(w)
        delivery = 2  # enum mm_doc_kind
        ids = [f"wh_{n:016x}" for n in range(4)]
        rows = [i + tail for i in ids for tail in (
            "", ".000000000001", ".000000000002")]
        body = db.bytes("'{}'")
        db.sql("INSERT INTO doc (kind, id, version, body) VALUES " +
               ", ".join(f"({delivery}, '{row}', 1, {body})" for row in rows))
        count = lambda like: int(db.sql(
            f"SELECT count(*) FROM doc WHERE kind = {delivery} AND id LIKE "
            f"'{like}%'")[0][0])
        assert count("wh_") > len(rows) and count(kept) > 0
        w.start()
        until(lambda: count("wh_") == count(kept))
        assert count(kept) > 0



@pytest.mark.parametrize("batch", [False, True])
def test_kill_9_in_the_middle_loses_nothing(batch):
    with make() as w, Receiver() as r:
        w.start().product()
        a = w.rest("POST", "/webhooks", {"url": r.url(), "batch": batch,
                                         "types": ["token.minted"]})
        assert a.status == 201
        minted = 0
        for turn in range(4):
            have = len(r.got)
            w.rest("POST", "/tokens", {"tokens": [
                {"device": f"X-{turn}-{i}", "product": "thermo"}
                for i in range(200)]})
            minted += 200
            r.wait(lambda got: len(got) > have + (0 if batch else 20))
            os.kill(w.children()["server"], signal.SIGKILL)
            until(lambda: "ready" in w.log())
            w.wait_ready()
            until(lambda: w.children().get("server"))
        want = {i["index"] for i in all_items(w, "type=token.minted")}
        assert len(want) == minted
        got = r.wait(lambda got: {i for d in got for i in d.indexes} >= want,
                     60)
        by_id, order = {}, []
        for d in got:
            assert verify([a.json["secret"]], d.headers, d.body)
            assert by_id.setdefault(d.id, d.body) == d.body
            order += [i for i in d.indexes if i not in order[-1:]]
        assert {i for d in got for i in d.indexes} == want
        # what is new never comes before what is older
        newest = -1
        for i in order:
            assert i <= newest or i == min(x for x in want if x > newest)
            newest = max(newest, i)


def all_items(w, query):
    items, after = [], "-1"
    while True:
        page = w.rest("GET", f"/events?after={after}&limit=1000&{query}").json
        items, after = items + page["items"], page["next"]
        if not page["more"]:
            return items


def test_a_clean_stop_repeats_nothing():
    with make() as w, Receiver() as r:
        w.start().product()
        w.rest("POST", "/webhooks", {"url": r.url(), "types": ["token."]})
        first = mint(w, *[f"Z-{i}" for i in range(5)])
        r.wait(lambda got: len(got) == 5)
        assert w.stop() == 0
        w.start()
        last = mint(w, "Z-9")
        got = r.wait(lambda got: len(got) >= 6)
        assert [d.indexes[0] for d in got] == first + last


def test_the_command_line(world):
    with Receiver() as r:
        def cli(*argv, **kw):
            return world.cli("--json", "webhook", *argv, **kw)

        h = json.loads(cli("create", r.url(), "--types",
                           "token.minted,product.", "--batch",
                           "--description", "from a shell").stdout)
        assert h["types"] == ["token.minted", "product."] and h["batch"]
        i = h["id"]
        try:
            assert json.loads(cli("test", i).stdout)["delivered"]
            assert verify([h["secret"]], r.got[0].headers, r.got[0].body)
            table = world.cli("webhook", "list").stdout
            assert i in table and "active" in table
            for verb, state in (("pause", "paused"), ("resume", "active")):
                assert json.loads(cli(verb, i).stdout)["state"] == state
            rotated = json.loads(cli("rotate", i).stdout)
            assert rotated["secret"] != h["secret"]
            want = mint(world, "SH-1")
            r.wait(lambda got: len(got) == 2)
            cli("replay", i, "--from", want[0])
            r.wait(lambda got: len(got) >= 3)
            assert json.loads(cli("dead-letters", i).stdout) == []
            p = cli("dead-letters", i, "--retry", "1", check=False)
            assert p.returncode == 4
            assert cli("replay", i, check=False).returncode == 2
            assert "secret" not in json.loads(cli("show", i).stdout)
        finally:
            cli("remove", i)
        assert cli("show", i, check=False).returncode == 4
