"""The authorise hook (docs/integrate.md): asked before a first enrolment,
signed, never in the way of anything else, and without an answer a refusal."""
import base64
import concurrent.futures
import hashlib
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import ssl
import threading
import time

import pytest

from receiver import Receiver, verify
from test_webhooks import add_conf, entries
from world import DAEMON, World, free_ports, run, until

TIMEOUT_S = 2


def says(status=200, **members):
    """An answer; id: the question's, unless it is given."""
    def answer(d):
        body = json.dumps({"id": d.json["id"], **members}).encode()
        return raw(body, status)
    return answer


def raw(body, status=200):
    def write(handler):
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
    return write


ALLOW, DENY = says(allow=True), says(allow=False, reason="not on the list")


class Maker:
    """A CA and the system that it asks."""

    def __init__(self, timeout=TIMEOUT_S, https=True, **conf):
        self.w = World(profile="\tbearer = true")
        w, ca = self.w, self.w.state / "server/hooks-ca.pem"
        shutil.copy(w.anchor, ca)
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ctx.load_cert_chain(w.state / "server/tls.crt",
                            w.state / "server/tls.key")
        self.r = Receiver(answer=ALLOW, tls=ctx)
        for key, value in {
                "webhook_ca": f'"{ca}"', "webhook_deny_private": "false",
                "authorise_url": f'"{self.r.url("/ask", "localhost")}"',
                "authorise_timeout": f'"{timeout}s"', **conf}.items():
            add_conf(w, key, value)

    def start(self):
        self.w.start().product()
        a = self.w.rest("POST", "/authorise/rotate", {})
        assert a.status == 200, a
        self.secret = a.json["secret"]
        self.ready()
        return self

    def ready(self):
        """The courier comes after the server is ready."""
        until(lambda: "courier" in self.w.children())
        n = [0]

        def once():
            n[0] += 1
            return self.enrol(f"ready-{time.monotonic_ns()}").status == 200
        until(once)
        self.r.forget()

    def close(self):
        self.r.close()
        self.w.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.close()

    def token(self, name):
        return self.w.token(name, door="bearer")

    def enrol(self, name, token=None, csr=None):
        csr = csr or self.w.key_and_csr(name)[1]
        return self.w.enrol_basic(token or self.token(name), csr)

    def show(self):
        return self.w.rest("GET", "/authorise").json

    def state(self, token):
        return self.w.rest("GET", f"/tokens/{token['id']}").json["state"]

    def metric(self, name, **labels):
        text = self.w.rest("GET", "/metrics", base="").text
        want = name + ("{" + ",".join(f'{k}="{v}"' for k, v in
                                      labels.items()) + "}" if labels else "")
        return next(float(x.rsplit(" ", 1)[1]) for x in text.splitlines()
                    if x.rsplit(" ", 1)[0] == want)

    def unspent(self, token):
        return self.state(token) == "minted"


@pytest.fixture(scope="module")
def shared():
    with Maker() as m:
        yield m


@pytest.fixture
def maker(shared):
    shared.r.forget()
    shared.r.answer = ALLOW
    return shared


def gone(a, reason="authorise-unavailable"):
    assert a.status == 503 and f"reason: {reason}" in a.text, a
    assert int(a.headers["retry-after"]) > 0
    return True


def spki_of(csr):
    pem = run("openssl", "req", "-inform", "DER", "-in", csr, "-pubkey",
              "-noout").stdout
    der = base64.b64decode("".join(pem.splitlines()[1:-1]))
    return hashlib.sha256(der).hexdigest()


# ---- the question ----

def test_a_question_says_who_and_is_signed(maker):
    t = maker.token("Q-1")
    csr = maker.w.key_and_csr("Q-1")[1]
    a = maker.enrol("Q-1", t, csr)
    assert a.status == 200, a
    d, = maker.r.got
    assert verify([maker.secret], d.headers, d.body) == {0}
    assert d.headers["content-type"] == "application/json"
    q = d.json
    assert q.pop("at") and q.pop("id") == d.id
    assert q == {"type": "mintmark.authorise", "device": "Q-1",
                 "product": "thermo", "profile": "thermo",
                 "authority": "token-bearer", "token": t["id"],
                 "spki_sha256": spki_of(csr), "peer": "127.0.0.1"}


def test_the_handshake_and_operators_are_asked_about_too(maker):
    t = maker.w.token("Q-2")
    p = maker.w.dir / "q2.token"
    p.write_text(t["token"] + "\n")
    maker.w.agent("enrol", "--server", f"127.0.0.1:{maker.w.devices}",
                  "--token-file", p, "--dir", maker.w.dir / "q2")
    d, = maker.r.got
    assert d.json["authority"] == "token" and d.json["device"] == "Q-2"
    maker.r.forget()
    a = operator(maker, "Q-3")
    assert a.status == 200, a
    d, = maker.r.got
    assert d.json["authority"] == "operator" and "token" not in d.json


def operator(maker, name, key=None):
    csr = maker.w.key_and_csr(name)[1]
    maker.w.rest("POST", "/devices", {"id": name, "product": "thermo"})
    return maker.w.rest("POST", f"/devices/{name}/enrol", {
        "csr": base64.b64encode(pathlib.Path(csr).read_bytes()).decode()},
        key)


def test_the_same_key_again_asks_nobody(maker):
    t, csr = maker.token("Q-4"), maker.w.key_and_csr("Q-4")[1]
    first = maker.enrol("Q-4", t, csr)
    maker.r.answer = DENY
    again = maker.enrol("Q-4", t, csr)
    assert (again.status, again.body) == (200, first.body)
    assert len(maker.r.got) == 1


def test_a_renewal_asks_nobody(maker):
    key, csr = maker.w.key_and_csr("Q-5")
    cert = maker.w.save_p7(maker.enrol("Q-5", csr=csr), "Q-5")
    maker.r.forget()
    maker.r.answer = DENY
    _, new = maker.w.key_and_csr("Q-5b", cn="Q-5")
    a = maker.w.device_call(
        "POST", "/.well-known/est/simplereenroll",
        base64.encodebytes(pathlib.Path(new).read_bytes()),
        {"Content-Type": "application/pkcs10"}, cert, key)
    assert a.status == 200, a
    assert not maker.r.got


# ---- a no ----

def doctors(m):
    """What the doctor finds of it: (level, whether it says what to do)."""
    return [(f["level"], "do" in f) for f in
            m.w.rest("GET", "/doctor").json["findings"]
            if f["check"] == "authorise"]


def tries(m, name):
    """The attempt log is written every two seconds."""
    return until(lambda: m.w.rest(
        "GET", f"/devices/{name}/attempts").json.get("attempts"))


def test_a_no_is_403_and_spends_nothing(maker):
    maker.r.answer = DENY
    t, csr = maker.token("N-1"), maker.w.key_and_csr("N-1")[1]
    a = maker.enrol("N-1", t, csr)
    assert a.status == 403 and "reason: authorise-refused" in a.text
    assert "not on the list" not in a.text  # for operators alone
    assert maker.unspent(t)
    tried = tries(maker, "N-1")[0]
    assert (tried["reason"], tried["text"]) == ("authorise-refused",
                                                "not on the list")
    maker.r.answer = ALLOW
    assert maker.enrol("N-1", t, csr).status == 200


def test_an_operator_reads_why(maker):
    maker.r.answer = DENY
    a = operator(maker, "N-2")
    assert a.status == 403 and "not on the list" in a.json["detail"], a


def test_a_reason_is_cut_and_cleaned(maker):
    maker.r.answer = says(allow=False, reason="a\x1b[2J\u202eb\u0085" +
                          "\u00e9" * 400)
    maker.enrol("N-3")
    tried = tries(maker, "N-3")[0]
    assert tried["text"].startswith("a [2J b \u00e9\u00e9")
    assert len(tried["text"].encode()) <= 160


def test_a_no_is_in_the_ledger():
    """A refusal of a proven authority: one entry an hour, or at the end."""
    with Maker() as m:
        m.r.answer = DENY
        t, csr = m.token("N-4"), m.w.key_and_csr("N-4")[1]
        for _ in range(2):
            assert m.enrol("N-4", t, csr).status == 403
        m.w.stop()
        m.w.start()
        e, = entries(m.w, type="refused", reason="authorise-refused")
        assert e["entry"]["count"] == 2 and e["entry"]["device"] == "N-4"
        # a text that somebody wrote is no matter for an append-only ledger
        assert "not on the list" not in json.dumps(e)
        assert tries(m, "N-4")[0]["text"] == "not on the list"


# ---- no answer ----

def drip(handler):
    handler.close_connection = True
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(100):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.1)


LIES = {
    "garbage": lambda d: raw(b"yes"),
    "nothing": lambda d: raw(b""),
    "a list": lambda d: raw(b"[true]"),
    "no id": lambda d: raw(b'{"allow":true}'),
    "another's id": says(allow=True, id="auth." + "0" * 32),
    "a text": says(allow="true"),
    "a number": says(allow=1),
    "twice": lambda d: raw(json.dumps({"id": d.json["id"]})[:-1].encode() +
                           b',"allow":false,"allow":true}'),
    "more behind": lambda d: raw(json.dumps(
        {"id": d.json["id"], "allow": True}).encode() + b"x"),
    "201": says(201, allow=True),
    "404": says(404, allow=True),
    "500": says(500, allow=True),
    "401": says(401, allow=True),
    "huge": lambda d: Receiver.huge,
    "a little too long": lambda d: raw(json.dumps(
        {"id": d.json["id"], "allow": True, "x": "y" * 4096}).encode()),
    "huge head": lambda d: Receiver.huge_head,
    "reset": lambda d: Receiver.reset,
    "short": lambda d: lambda h: (raw(b'{"allow":true')(h),
                                  setattr(h, "close_connection", True)),
    "redirect": lambda d: (307, {"Location": "/elsewhere"}),
    "drip": lambda d: drip,
}


@pytest.mark.parametrize("lie", LIES)
def test_whatever_is_no_answer_is_a_refusal(maker, lie):
    maker.r.answer = LIES[lie]
    name = "L-" + lie.replace(" ", "-").replace("'", "")
    t, csr = maker.token(name), maker.w.key_and_csr(name)[1]
    assert gone(maker.enrol(name, t, csr)) and maker.unspent(t)
    assert all(d.path == "/ask" for d in maker.r.got)
    assert maker.show()["last_why"]
    maker.r.answer = ALLOW
    assert maker.enrol(name, t, csr).status == 200


def test_one_that_never_answers_holds_up_nobody_else(maker):
    never = maker.r.never
    maker.r.answer = lambda d: never if d.json["device"] == "S-1" \
        else ALLOW(d)
    t = maker.token("S-1")
    csr, others = maker.w.key_and_csr("S-1")[1], []
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        slow = pool.submit(maker.enrol, "S-1", t, csr)
        until(lambda: any(d.json["device"] == "S-1" for d in maker.r.got) or
              maker.show()["waiting"])
        for i in range(3):
            assert maker.enrol(f"S-2-{i}").status == 200
            others.append(time.monotonic() - began)
        assert maker.w.rest("GET", "/status").status == 200
        assert not slow.done() or others[-1] > TIMEOUT_S
        assert gone(slow.result(20))
    took = time.monotonic() - began
    assert TIMEOUT_S - 0.5 < took < TIMEOUT_S + 4
    assert maker.unspent(t)


def test_operators_that_wait_take_no_worker(maker):
    """More than there are workers; others are served meanwhile."""
    never = maker.r.never
    maker.r.answer = lambda d: never
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        slow = [pool.submit(operator, maker, f"W-{i}") for i in range(4)]
        until(lambda: maker.show()["waiting"] == 4)
        assert not any(f.done() for f in slow)
        assert maker.w.rest("GET", "/devices").status == 200
        for f in slow:
            a = f.result(20)
            assert a.status == 503 and int(a.headers["retry-after"]) > 0, a
            assert "authorise-unavailable" in a.json["detail"]


def test_a_key_is_held_while_the_question_waits(maker):
    """Idempotency-Key: nobody else works under it, and what came of it is
    what it answers from then on."""
    def enrol(body):
        return maker.w.rest("POST", "/devices/I-1/enrol", body,
                            headers={"Idempotency-Key": "once"})
    maker.w.rest("POST", "/devices", {"id": "I-1", "product": "thermo"})
    bodies = [{"csr": base64.b64encode(maker.w.key_and_csr(
        f"I-1{x}", cn="I-1")[1].read_bytes()).decode()} for x in "ab"]
    go = held(maker)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(enrol, bodies[0])
        until(lambda: maker.show()["waiting"] == 1)
        for body in bodies:
            a = enrol(body)
            assert a.status == 409 and "in flight" in a.json["detail"], a
        go.set()
        first = first.result(20)
    assert first.status == 200, first
    again = enrol(bodies[0])
    assert (again.status, again.json) == (200, first.json)
    assert enrol(bodies[1]).status == 409
    assert len(maker.r.got) == 1


def test_what_was_issued_is_answered_to_who_asked(maker):
    """Whatever became of the credential while the question waited."""
    key = maker.w.rest("POST", "/keys", {"name": "line",
                                         "roles": ["line"]}).json
    go = held(maker)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        a = pool.submit(operator, maker, "I-2", key["key"])
        until(lambda: maker.show()["waiting"] == 1)
        maker.w.rest("POST", f"/keys/{key['id']}/revoke", {})
        go.set()
        a = a.result(20)
    assert a.status == 200 and a.json["serial"], a
    assert operator(maker, "I-3", key["key"]).status == 401


@pytest.mark.parametrize("trusted, names", [
    (False, ["-subj", "/CN=localhost", "-addext",
             "subjectAltName=DNS:localhost"]),
    # what libcurl says of it ends within a character
    (True, ["-utf8", "-subj", "/CN=" + "\u00e9" * 60])])
def test_a_wrong_certificate_is_no_answer(tmp_path, trusted, names):
    """For the right name, of a CA that is none of webhook_ca's; or the other
    way round."""
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-keyout", tmp_path / "k",
        "-out", tmp_path / "c", "-days", "1", *names)
    with Maker() as m:
        if trusted:
            with (m.w.state / "server/hooks-ca.pem").open("a") as f:
                f.write((tmp_path / "c").read_text())
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ctx.load_cert_chain(tmp_path / "c", tmp_path / "k")
        with Receiver(answer=ALLOW, tls=ctx) as other:
            m.w.stop()
            add_conf(m.w, "authorise_url",
                     f'"{other.url("/ask", "localhost")}"')
            m.w.start()
            t = m.token("C-1")
            until(lambda: gone(m.enrol("C-1", t)) and
                  "certificate" in m.show()["last_why"])
            assert not other.got and m.unspent(t)
            assert tries(m, "C-1")[0]["text"] in m.show()["last_why"]


def test_one_that_is_not_there_is_no_answer():
    with Maker() as m:
        m.w.stop()
        add_conf(m.w, "authorise_url",
                 f'"https://localhost:{free_ports(1)[0]}/ask"')
        m.w.start()
        t, csr = m.token("D-1"), m.w.key_and_csr("D-1")[1]
        began = time.monotonic()
        assert gone(m.enrol("D-1", t, csr)) and m.unspent(t)
        assert time.monotonic() - began < TIMEOUT_S + 2
        assert doctors(m) == [("fail", True)]


def test_an_endpoint_that_checks_refuses_another_secrets_signature(maker):
    """As the documentation tells a maker to do it."""
    def check(d, secret):
        try:
            verify([secret], d.headers, d.body)
        except AssertionError:
            return raw(b"", 401)
        return ALLOW(d)

    wrong = "whsec_" + base64.b64encode(bytes(32)).decode()
    maker.r.answer = lambda d: check(d, wrong)
    t = maker.token("V-1")
    assert gone(maker.enrol("V-1", t)) and maker.unspent(t)
    maker.r.answer = lambda d: check(d, maker.secret)
    assert maker.enrol("V-1", t).status == 200
    old = maker.secret
    maker.secret = maker.w.rest("POST", "/authorise/rotate",
                                {}).json["secret"]
    assert maker.secret != old
    maker.r.forget()
    assert maker.enrol("V-2").status == 200  # with the new one
    d, = maker.r.got
    assert verify([old, maker.secret], d.headers, d.body) == {0, 1}


# ---- at once ----

def held(maker, say=ALLOW):
    """Questions are answered once the event is set."""
    go = threading.Event()

    def answer(d):
        then = say(d)

        def late(handler):
            go.wait(20)
            then(handler)
        return late
    maker.r.answer = answer
    return go


def storm(m, name, n):
    t, csr = m.token(name), m.w.key_and_csr(name)[1]
    pool = concurrent.futures.ThreadPoolExecutor(n)
    return t, pool, [pool.submit(m.enrol, name, t, csr) for _ in range(n)]


@pytest.mark.parametrize("answer", ["yes", "no", "nothing"])
def test_a_hundred_claims_ask_once(answer):
    with Maker(timeout=6) as m:
        go = held(m, {"yes": ALLOW, "no": DENY, "nothing": says(500)}[answer])
        t, pool, claims = storm(m, "M-1", 100)
        with pool:
            until(lambda: m.metric("mintmark_queue_depth",
                                   queue="core") == 100, 5)
            go.set()
            got = [c.result(30) for c in claims]
        assert len(m.r.got) == 1
        want = {"yes": 200, "no": 403, "nothing": 503}[answer]
        assert {a.status for a in got} == {want}
        assert len({a.body for a in got}) == 1
        assert m.state(t) == ("issued" if answer == "yes" else "minted")


def test_what_there_was_is_counted(maker):
    def now():
        return [maker.metric("mintmark_authorise_asked_total")] + [
            maker.metric("mintmark_authorise_answers_total", answer=a)
            for a in ("allowed", "refused", "unavailable")] + [
            maker.metric("mintmark_authorise_duration_seconds_count")]
    before = now()
    maker.enrol("K-1")
    maker.r.answer = DENY
    maker.enrol("K-2")
    maker.r.answer = says(500)
    maker.enrol("K-3")
    assert [b - a for a, b in zip(before, now())] == [3, 1, 1, 1, 3]


# ---- somebody dies meanwhile ----

def test_a_killed_courier_is_no_answer_at_once():
    with Maker(timeout=8) as m:
        go = held(m)
        t, pool, (claim,) = storm(m, "X-1", 1)
        with pool:
            until(lambda: m.show()["waiting"] == 1)
            time.sleep(0.2)
            began = time.monotonic()
            os.kill(m.w.children()["courier"], signal.SIGKILL)
            assert gone(claim.result(20))
            assert time.monotonic() - began < 5
        go.set()
        assert m.unspent(t)
        m.r.answer = ALLOW
        until(lambda: m.enrol("X-1", t).status == 200)


def test_a_killed_server_spends_nothing():
    with Maker(timeout=8) as m:
        go = held(m)
        t, csr = m.token("X-2"), m.w.key_and_csr("X-2")[1]
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            claim = pool.submit(m.enrol, "X-2", t, csr)
            until(lambda: m.show()["waiting"] == 1)
            os.kill(m.w.children()["server"], signal.SIGKILL)
            with pytest.raises((OSError, http.client.HTTPException)):
                claim.result(20)
        go.set()
        m.w.wait_ready()
        assert m.unspent(t)
        m.r.answer = ALLOW
        until(lambda: m.enrol("X-2", t, csr).status == 200)
        assert m.state(t) == "issued"


def test_a_server_that_stops_answers_who_waits():
    with Maker(timeout=8) as m:
        held(m)
        t, pool, (claim,) = storm(m, "X-3", 1)
        with pool:
            until(lambda: m.show()["waiting"] == 1)
            assert m.w.stop(timeout=40) == 0
            assert gone(claim.result(20))
        m.w.start()
        assert m.unspent(t)


# ---- settings ----

def test_profiles_that_are_not_listed_are_not_asked_about():
    m = Maker(authorise_profiles='{"other"}')
    m.w.edit("", m.w.conf.read_text().split('profile "thermo"', 1)[1].join(
        ['\nprofile "other"', ""]).split("\n}", 1)[0] + "\n}\n")
    try:
        m.start()
        m.r.answer = DENY
        assert m.enrol("P-1").status == 200
        assert not m.r.got
    finally:
        m.close()


@pytest.mark.parametrize("key,value,text", [
    ("authorise_url", '"http://localhost/ask"', "want https://"),
    ("authorise_url", '"https://u:p@localhost/"', "no password"),
    ("authorise_profiles", '{"nobody"}', "no profile"),
    ("authorise_timeout", '"9s"', "authorise_timeout"),
])
def test_a_setting_that_would_not_do_is_refused(key, value, text):
    w = World()
    try:
        add_conf(w, key, value)
        p = run(DAEMON, "check", "--config", w.conf, check=False)
        assert p.returncode != 0 and text in p.stdout + p.stderr
    finally:
        w.close()


def test_without_webhooks_there_is_a_courier_for_it():
    with Maker(webhooks="false") as m:
        assert m.enrol("Z-1").status == 200
        assert len(m.r.got) == 1


def test_the_doctor_warns_of_a_secret_that_nobody_has():
    m = Maker()
    try:
        m.w.start()
        assert doctors(m) == [("warn", True), ("ok", False)]
        assert m.show()["secret_version"] == 0
        first = m.w.rest("GET", "/authorise")
        a = m.w.rest("POST", "/authorise/rotate", {}, headers={
            "If-Match": first.headers["etag"]})
        assert a.status == 200 and a.json["secret_version"] == 1
        assert a.headers["etag"] != first.headers["etag"]
        assert doctors(m) == [("ok", False)]
        again = m.w.rest("POST", "/authorise/rotate", {}, headers={
            "If-Match": first.headers["etag"]})
        assert again.status == 412, again
        assert m.show()["secret_version"] == 1
    finally:
        m.close()


def test_only_an_administrator_sees_the_secret(maker):
    key = maker.w.rest("POST", "/keys", {"name": "aud", "roles": ["auditor"]})
    assert key.status == 201, key
    key = key.json["key"]
    assert maker.w.rest("POST", "/authorise/rotate", {}, key).status == 403
    shown = maker.w.rest("GET", "/authorise", key=key)
    assert shown.status == 200 and "secret" not in shown.json
    whole = maker.w.rest("GET", "/authorise").json["url"]
    assert shown.json["url"] == "/".join(whole.split("/")[:3]) + "/..."
    before = shown.json["secret_version"]
    out = json.loads(maker.w.cli("--json", "authorise", "rotate").stdout)
    assert out["secret"].startswith("whsec_")
    assert out["secret_version"] == before + 1
    maker.secret = out["secret"]
    assert entries(maker.w, type="webhook.changed", webhook="authorise")
    assert "localhost" in maker.w.cli("authorise", "show").stdout
