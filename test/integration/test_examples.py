"""The consumers in examples/, run against a real server."""
import base64
import contextlib
import hashlib
import hmac
import http.server
import importlib.util
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading

import pytest

from world import ROOT, World, free_ports, run, serial_of, until

ALLOW = ROOT / "examples/broker-allow-list/allow_list.py"
AWS = ROOT / "examples/aws-register/aws_register.py"
REGION, KEY_ID, SECRET = "eu-central-1", "AKIDEXAMPLE", "wJalrXUtnFEMI/K7+key"


@pytest.fixture(scope="module")
def world():
    w = World(profile="\tbearer = true")
    w.set_conf("webhook_deny_private", "false")
    w.set_conf("webhook_retries", '{"1s", "1s", "1s", "1s"}')
    try:
        yield w.start().product()
    finally:
        w.close()


@pytest.fixture(scope="module")
def auditor(world):
    path = world.dir / "auditor.key"
    path.write_text(world.rest("POST", "/keys", {
        "name": "consumer", "roles": ["auditor"]}).json["key"] + "\n")
    return path


def enrol(world, name):
    """(serial, SHA-256 of the certificate as openssl sees it)."""
    _, csr = world.key_and_csr(name)
    a = world.enrol_basic(world.token(name, door="bearer"), csr)
    assert a.status == 200, a
    pem = world.save_p7(a, name)
    der = subprocess.run(["openssl", "x509", "-in", pem, "-outform", "DER"],
                         capture_output=True, check=True).stdout
    return serial_of(pem), hashlib.sha256(der).hexdigest()


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    m = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(m)
    return m


# ---- the broker's allow-list ----

def allow_argv(world, auditor, folder, *more):
    return [sys.executable, str(ALLOW), "--server",
            f"https://localhost:{world.operators}", "--ca", str(world.anchor),
            "--key-file", str(auditor), "--dir", str(folder), *more]


def test_the_list_follows_a_certificates_life(world, auditor, tmp_path):
    def now():
        run(*allow_argv(world, auditor, tmp_path, "--once"))
        return [tuple(x.split()) for x in
                (tmp_path / "allow.txt").read_text().splitlines()]

    one, two = enrol(world, "BR-1"), enrol(world, "BR-2")
    assert {(one[1], "BR-1"), (two[1], "BR-2")} <= set(now())
    world.rest("POST", f"/certificates/{one[0]}/hold", {})
    assert (one[1], "BR-1") not in now() and (two[1], "BR-2") in now()
    world.rest("POST", f"/certificates/{one[0]}/release", {})
    assert (one[1], "BR-1") in now()
    world.rest("POST", f"/certificates/{one[0]}/revoke",
               {"reason": "keyCompromise"})
    assert (one[1], "BR-1") not in now() and (two[1], "BR-2") in now()


@contextlib.contextmanager
def following(world, auditor, folder, *more):
    p = subprocess.Popen(allow_argv(world, auditor, folder, *more),
                         stderr=subprocess.PIPE)
    try:
        yield p
    finally:
        p.kill()
        p.communicate()


def test_the_list_resumes_after_a_kill_and_tells_the_broker(
        world, auditor, tmp_path):
    broker = subprocess.Popen([sys.executable, "-c", (
        "import signal\nsignal.signal(signal.SIGHUP, lambda *a: None)\n"
        "print('up', flush=True)\n"
        "while True:\n signal.pause()\n print('again', flush=True)")],
        stdout=subprocess.PIPE, text=True)
    try:
        assert broker.stdout.readline() == "up\n"
        (tmp_path / "pid").write_text(str(broker.pid))
        allow = tmp_path / "allow.txt"
        hup = ("--hup", str(tmp_path / "pid"))
        with following(world, auditor, tmp_path, *hup):
            _, first = enrol(world, "BR-3")
            until(lambda: allow.exists() and first in allow.read_text())
            assert broker.stdout.readline() == "again\n"
            until((tmp_path / "state.json").exists)  # it is written last
        cursor = json.loads((tmp_path / "state.json").read_text())["after"]
        serial, second = enrol(world, "BR-4")  # while nobody looks
        with following(world, auditor, tmp_path, *hup):
            until(lambda: second in allow.read_text())
            assert first in allow.read_text()
            world.rest("POST", f"/certificates/{serial}/revoke", {})
            until(lambda: second not in allow.read_text())
            world.stop()  # it outlives a restart of the server
            world.start()
            _, third = enrol(world, "BR-5")
            until(lambda: third in allow.read_text())
        after = json.loads((tmp_path / "state.json").read_text())["after"]
        assert int(after) > int(cursor)
    finally:
        broker.kill()
        broker.communicate()


def test_the_list_forgets_what_has_expired():
    m = load(ALLOW)
    k = m.Known()
    k.take({"type": "certificate.issued", "serial": "1", "device": "a",
            "cert_sha256": "x", "not_after": "2030-01-01T00:00:00Z"})
    assert k.allowed("2029-12-31T23:59:59Z") == [("x", "a")]
    assert k.allowed("2030-01-01T00:00:00Z") == []
    k.forget_expired("2030-01-01T00:00:00Z")
    assert k.certs == {}


# ---- AWS ----

def sigv4(method, path, headers, signed, body, secret, scope):
    """Signature Version 4 as AWS's documentation has it; for the stand-in."""
    path, _, query = path.partition("?")
    lines = [method, path, query]
    lines += [f"{n}:{' '.join(headers[n].split())}" for n in signed]
    lines += ["", ";".join(signed), hashlib.sha256(body).hexdigest()]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{headers['x-amz-date']}\n{scope}\n{digest}"
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def test_the_stand_in_computes_awss_own_example():
    """get-vanilla of AWS's Signature Version 4 test suite."""
    assert sigv4("GET", "/", {"host": "example.amazonaws.com",
                              "x-amz-date": "20150830T123600Z"},
                 ["host", "x-amz-date"], b"",
                 "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                 "20150830/us-east-1/service/aws4_request") == (
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")


class StandIn:
    """AWS IoT's two calls, as strict as AWS about who signs."""

    def __init__(self):
        self.pems, self.calls, self.faults = {}, [], []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get(
                    "Content-Length", 0)))
                headers = {k.lower(): v for k, v in self.headers.items()}
                status, answer = outer.call(self.command, self.path, headers,
                                            body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_PUT = do_POST

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                                      Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,),
                         daemon=True).start()

    def call(self, method, path, headers, body):
        m = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8}/[^/]+/iot/"
            r"aws4_request), SignedHeaders=([a-z0-9;-]+), "
            r"Signature=([0-9a-f]{64})", headers.get("authorization", ""))
        if not m or m[1] != KEY_ID:
            return 403, {"message": "UnrecognizedClientException"}
        signed = m[3].split(";")
        want = sigv4(method, path, headers, signed, body, SECRET, m[2])
        if signed != sorted(signed) or "host" not in signed or want != m[4] \
                or m[2].split("/")[1] != REGION:
            return 403, {"message": "SignatureDoesNotMatch"}
        if method == "PUT":
            return self.update(path)
        if path != "/certificate/register-no-ca":
            return 404, {"message": "ResourceNotFound"}
        self.calls.append(json.loads(body))
        if self.faults:
            return self.faults.pop(0), {"message": "InternalFailure"}
        pem = self.calls[-1]["certificatePem"]
        if pem in self.pems:
            return 409, {"message": "ResourceAlreadyExistsException"}
        self.pems[pem] = self.calls[-1]["status"]
        return 200, {"certificateArn": "arn", "certificateId": "id"}

    def update(self, path):
        m = re.fullmatch(r"/certificates/([0-9a-f]{64})\?newStatus="
                         r"(ACTIVE|INACTIVE|REVOKED)", path)
        for pem in self.pems if m else ():
            der = ssl.PEM_cert_to_DER_cert(pem)
            if hashlib.sha256(der).hexdigest() == m[1]:
                self.pems[pem] = m[2]
                return 200, {}
        return 404, {"message": "ResourceNotFoundException"}

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def aws():
    s = StandIn()
    yield s
    s.close()


@contextlib.contextmanager
def registrar(world, auditor, aws, tmp_path, secret, aws_secret=SECRET,
              *more):
    secrets = tmp_path / "whsec"
    secrets.write_text(secret + "\n")
    env = {**os.environ, "AWS_ACCESS_KEY_ID": KEY_ID,
           "AWS_SECRET_ACCESS_KEY": aws_secret}
    env.pop("AWS_SESSION_TOKEN", None)
    p = subprocess.Popen(
        [sys.executable, str(AWS), "--listen", "127.0.0.1:0", "--secret-file",
         str(secrets), "--mintmark", f"https://localhost:{world.operators}",
         "--ca", str(world.anchor), "--key-file", str(auditor), "--region",
         REGION, "--endpoint", aws.url, *more], env=env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield p, int(p.stdout.readline().split()[1])
    finally:
        p.kill()
        p.communicate()


def webhook(world, **more):
    a = world.rest("POST", "/webhooks", {
        "url": "http://127.0.0.1:9/", "types": ["certificate."], **more})
    assert a.status == 201, a
    return a.json


def point_at(world, hook, port):
    a = world.rest("PUT", f"/webhooks/{hook['id']}", {
        "url": f"http://127.0.0.1:{port}/", "types": hook["types"],
        "batch": hook["batch"]})
    assert a.status == 200, a


@pytest.mark.parametrize("batch", [False, True])
def test_each_new_certificate_is_registered_once(world, auditor, aws,
                                                 tmp_path, batch):
    hook = webhook(world, batch=batch)
    try:
        with registrar(world, auditor, aws, tmp_path,
                       hook["secret"]) as (_, port):
            point_at(world, hook, port)
            aws.faults += [500]  # AWS has a bad moment: it is tried again
            serials = [enrol(world, f"AWS-{batch}-{i}")[0] for i in range(3)]
            until(lambda: len(aws.pems) == 3)
            stored = {world.rest("GET", f"/certificates/{s}").json["pem"]
                      for s in serials}
            assert set(aws.pems) == stored
            assert set(aws.pems.values()) == {"ACTIVE"}
            # the same events again: AWS says 409, which is good
            at = world.rest("GET", "/events?after=-1&limit=1000&device="
                            f"AWS-{batch}-0&type=certificate.issued"
                            ).json["items"][0]["index"]
            before = len(aws.calls)
            a = world.rest("POST", f"/webhooks/{hook['id']}/replay",
                           {"from": at})
            assert a.status == 200
            until(lambda: len(aws.calls) == before + 3)
            assert len(aws.pems) == 3
    finally:
        world.rest("DELETE", f"/webhooks/{hook['id']}")


def test_aws_follows_what_becomes_of_a_certificate(world, auditor, aws,
                                                   tmp_path):
    def change(serial, what, body=None):
        a = world.rest("POST", f"/certificates/{serial}/{what}", body)
        assert a.status == 200, a

    revoke = ("revoke", {"reason": "keyCompromise"})
    hook = webhook(world)
    try:
        early = enrol(world, "AWS-early")[0]  # while nobody receives
        change(early, *revoke)
        with registrar(world, auditor, aws, tmp_path,
                       hook["secret"]) as (_, port):
            point_at(world, hook, port)
            serial = enrol(world, "AWS-later")[0]
            pem = world.rest("GET", f"/certificates/{serial}").json["pem"]
            for want, what in (("ACTIVE", None), ("INACTIVE", ("hold",)),
                               ("ACTIVE", ("release",)),
                               ("REVOKED", revoke)):
                if what:
                    change(serial, *what)
                until(lambda: aws.pems.get(pem) == want)
            assert list(aws.pems) == [pem]  # the revoked one never came
    finally:
        world.rest("DELETE", f"/webhooks/{hook['id']}")


def test_what_aws_will_never_take_holds_up_nobody(world, auditor, aws,
                                                  tmp_path):
    hook = webhook(world)
    try:
        with registrar(world, auditor, aws, tmp_path,
                       hook["secret"]) as (p, port):
            aws.faults += [400]
            point_at(world, hook, port)
            bad, good = (enrol(world, f"AWS-4xx-{i}")[0] for i in range(2))
            until(lambda: len(aws.pems) == 1)
            assert world.rest("GET", f"/certificates/{good}").json["pem"] \
                in aws.pems
            assert f"AWS-4xx-0 {bad} refused: AWS IoT: 400" in \
                p.stdout.readline()
            live = world.rest("GET", f"/webhooks/{hook['id']}").json
            assert live["delivery"]["dead_letters"] == 0
    finally:
        world.rest("DELETE", f"/webhooks/{hook['id']}")


def test_one_that_says_nothing_keeps_nobody_waiting(world, auditor, aws,
                                                    tmp_path):
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj",
        "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days",
        "1", "-keyout", tmp_path / "k", "-out", tmp_path / "c")
    with registrar(world, auditor, aws, tmp_path, "whsec_AAAA", SECRET,
                   "--tls", str(tmp_path / "c"), str(tmp_path / "k")) as (
                       _, port), \
            socket.create_connection(("127.0.0.1", port)):
        ctx = ssl.create_default_context(cafile=tmp_path / "c")
        with socket.create_connection(("127.0.0.1", port), 10) as s, \
                ctx.wrap_socket(s, server_hostname="localhost") as t:
            t.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2"
                      b"\r\n\r\n{}")
            assert t.recv(64).startswith(b"HTTP/1.1 401 ")


def test_what_is_not_signed_is_not_registered(world, auditor, aws, tmp_path):
    hook, other = webhook(world), webhook(world)
    try:
        with registrar(world, auditor, aws, tmp_path,
                       hook["secret"]) as (_, port):
            point_at(world, other, port)  # whose secret it does not know
            a = world.rest("POST", f"/webhooks/{other['id']}/test", {})
            assert a.json["status"] == 401 and not a.json["delivered"]
            point_at(world, hook, port)
            a = world.rest("POST", f"/webhooks/{hook['id']}/test", {})
            assert a.json["status"] == 204 and a.json["delivered"]
        assert aws.calls == []
    finally:
        for h in (hook, other):
            world.rest("DELETE", f"/webhooks/{h['id']}")


def test_a_wrong_aws_secret_keeps_the_event(world, auditor, aws, tmp_path):
    hook = webhook(world)
    try:
        with registrar(world, auditor, aws, tmp_path, hook["secret"],
                       "wrong") as (_, port):
            point_at(world, hook, port)
            enrol(world, "AWS-wrong")
            until(lambda: world.rest("GET", f"/webhooks/{hook['id']}").json[
                "delivery"]["attempts"] >= 1)
        assert aws.pems == {}
        with registrar(world, auditor, aws, tmp_path,
                       hook["secret"]) as (_, port):
            point_at(world, hook, port)
            until(lambda: len(aws.pems) == 1)
    finally:
        world.rest("DELETE", f"/webhooks/{hook['id']}")


def test_old_deliveries_are_refused():
    import base64
    m = load(AWS)
    key, body = os.urandom(32), b"{}"
    at = 1_700_000_000
    sig = base64.b64encode(hmac.digest(key, f"m.{at}.".encode() + body,
                                       "sha256")).decode()
    head = {"webhook-id": "m", "webhook-timestamp": str(at),
            "webhook-signature": f"v1a,x v1,{sig}"}
    secret = "whsec_" + base64.b64encode(key).decode()
    for now, good in ((at, True), (at + 300, True), (at + 301, False),
                      (at - 301, False)):
        assert m.verified([secret], head, body, now) is good
    assert not m.verified([secret], {**head, "webhook-signature": ""}, body,
                          at)
    assert not m.verified([], head, body, at)


# ---- a list decides who may enrol ----

def test_a_list_decides_who_may_enrol(tmp_path):
    w = World(profile="\tbearer = true")
    try:
        port, = free_ports(1)
        ca = w.state / "server/hooks-ca.pem"
        shutil.copy(w.anchor, ca)
        w.set_conf("webhook_ca", f'"{ca}"')
        w.set_conf("webhook_deny_private", "false")
        w.set_conf("authorise_url", f'"https://localhost:{port}/"')
        w.start().product()
        secret, devices = tmp_path / "secret", tmp_path / "devices.txt"
        secret.write_text(json.loads(w.cli(
            "--json", "authorise", "rotate").stdout)["secret"] + "\n")
        devices.write_text("AL-1\nAL-3\n")
        with listing(w, port, secret, devices):
            until(lambda: ask(w, "AL-1").status == 200)
            a = ask(w, "AL-2")
            assert a.status == 403 and "authorise-refused" in a.text
            devices.write_text("AL-2\n")
            assert ask(w, "AL-2").status == 200
        secret.write_text("whsec_" + base64.b64encode(bytes(32)).decode())
        devices.write_text("AL-3\n")
        with listing(w, port, secret, devices):
            a = ask(w, "AL-3")
            assert a.status == 503 and "authorise-unavailable" in a.text
            assert "401" in w.rest("GET", "/authorise").json["last_why"]
    finally:
        w.close()


def ask(w, name):
    return w.enrol_basic(w.token(name, door="bearer"),
                         w.key_and_csr(name)[1])


@contextlib.contextmanager
def listing(w, port, secret, devices):
    p = subprocess.Popen(
        [sys.executable, str(ROOT / "examples/authorise-list/authorise.py"),
         "--listen", f"127.0.0.1:{port}", "--certificate",
         str(w.state / "server/tls.crt"), "--key",
         str(w.state / "server/tls.key"), "--secret-file", str(secret),
         "--list", str(devices)], stdout=subprocess.PIPE, text=True)
    try:
        assert p.stdout.readline().startswith("listening")
        yield p
    finally:
        p.kill()
        p.communicate()
