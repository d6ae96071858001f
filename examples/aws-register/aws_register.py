#!/usr/bin/env python3
"""Registers each new certificate with AWS IoT, from Mintmark's webhooks.

A receiver of Standard Webhooks: it verifies the signature, fetches the
certificate by serial from Mintmark, and calls AWS IoT's
RegisterCertificateWithoutCA (POST /certificate/register-no-ca), signed with
Signature Version 4.  It says 2xx only when AWS has taken the certificate, so
that Mintmark's retries are its queue.

Only Python's standard library.
"""
import argparse
import base64
import binascii
import datetime
import hashlib
import hmac
import http.client
import http.server
import json
import os
import pathlib
import ssl
import sys
import time
import urllib.parse

TOLERANCE_S = 300
BODY_MAX = 256 * 1024
NEW = ("certificate.issued", "certificate.renewed")


# ---- Standard Webhooks 1.0.0 ----

def verified(secrets, headers, body, now):
    """Whether one of the secrets (whsec_...) signed this, lately."""
    wid, at = headers.get("webhook-id"), headers.get("webhook-timestamp", "")
    if not wid or not at.isdigit() or abs(now - int(at)) > TOLERANCE_S:
        return False
    text = f"{wid}.{at}.".encode() + body
    good = False
    for secret in secrets:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        want = base64.b64encode(
            hmac.new(key, text, hashlib.sha256).digest()).decode()
        for given in headers.get("webhook-signature", "").split(" "):
            version, _, value = given.partition(",")
            good |= version == "v1" and hmac.compare_digest(
                value.encode(), want.encode())
    return good


# ---- AWS Signature Version 4 ----

def sigv4(method, url, body, region, key_id, secret, now, token=None,
          service="iot"):
    """Headers that sign a request with a JSON body and no query."""
    parts = urllib.parse.urlsplit(url)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    headers = {"content-type": "application/json", "host": parts.netloc,
               "x-amz-date": stamp}
    if token:
        headers["x-amz-security-token"] = token
    names = sorted(headers)
    signed = ";".join(names)
    canonical = "\n".join([
        method, urllib.parse.quote(parts.path or "/"), "",
        *(f"{n}:{headers[n].strip()}" for n in names), "", signed,
        hashlib.sha256(body).hexdigest()])
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope,
                      hashlib.sha256(canonical.encode()).hexdigest()])
    k = b"AWS4" + secret.encode()
    for part in (stamp[:8], region, service, "aws4_request"):
        k = hmac.new(k, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(k, text.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={key_id}/{scope}, "
        f"SignedHeaders={signed}, Signature={signature}")
    return headers


# ---- two clients ----

def request(method, url, body, headers, ca=None, timeout=8):
    """(status, body)."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https":
        conn = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=timeout,
            context=ssl.create_default_context(cafile=ca))
    else:
        conn = http.client.HTTPConnection(parts.hostname, parts.port,
                                          timeout=timeout)
    try:
        conn.request(method, parts.path, body, headers)
        r = conn.getresponse()
        return r.status, r.read()
    finally:
        conn.close()


class Failed(Exception):
    """Not now: Mintmark is to try again."""


class Registrar:
    def __init__(self, a):
        self.a = a
        self.mintmark_key = pathlib.Path(a.key_file).read_text().strip()
        self.secrets = pathlib.Path(a.secret_file).read_text().split()

    def certificate(self, serial):
        status, body = request(
            "GET", f"{self.a.mintmark}/api/v1/certificates/{serial}", None,
            {"Authorization": f"Bearer {self.mintmark_key}"}, self.a.ca)
        if status != 200:
            raise Failed(f"mintmark: {status}")
        return json.loads(body)["pem"]

    def register(self, pem):
        """True: new; False: AWS has it already, which is as good."""
        body = json.dumps({"certificatePem": pem, "status": "ACTIVE"}).encode()
        url = f"{self.a.endpoint}/certificate/register-no-ca"
        headers = sigv4(
            "POST", url, body, self.a.region, os.environ["AWS_ACCESS_KEY_ID"],
            os.environ["AWS_SECRET_ACCESS_KEY"],
            datetime.datetime.now(datetime.timezone.utc),
            os.environ.get("AWS_SESSION_TOKEN"))
        status, answer = request("POST", url, body, headers)
        if status == 409:  # ResourceAlreadyExistsException
            return False
        if status != 200:
            raise Failed(f"AWS IoT: {status} {answer[:200]!r}")
        return True

    def take(self, event):
        entry = event["data"].get("entry", {})
        if entry.get("type") not in NEW:
            return
        new = self.register(self.certificate(entry["serial"]))
        print(f"{entry['device']} {entry['serial']} "
              f"{'registered' if new else 'known'}", flush=True)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_POST(self):
        n = self.headers.get("Content-Length", "")
        if not n.isdigit() or int(n) > BODY_MAX:
            self.close_connection = True
            return self.say(413)
        body = self.rfile.read(int(n))
        headers = {k.lower(): v for k, v in self.headers.items()}
        r = self.server.registrar
        try:
            if not verified(r.secrets, headers, body, time.time()):
                return self.say(401)
            event = json.loads(body)
            events = event["data"] if event["type"] == "mintmark.events" \
                else [event["data"]]
            for data in events:
                r.take({"data": data})
        except (Failed, OSError, http.client.HTTPException) as e:
            print(f"aws-register: {e}", file=sys.stderr)
            return self.say(503)
        except (ValueError, KeyError, TypeError) as e:
            print(f"aws-register: {e!r}", file=sys.stderr)
            return self.say(400)
        return self.say(204)

    def say(self, status):
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


def main():
    ap = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog="AWS_ACCESS_KEY_ID, "
        "AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN come from the "
        "environment, as for every AWS program.")
    ap.add_argument("--listen", default="127.0.0.1:8081")
    ap.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    ap.add_argument("--secret-file", required=True,
                    help="the webhook's secrets, whsec_..., one a line")
    ap.add_argument("--mintmark", required=True, help="https://host:8444")
    ap.add_argument("--ca", required=True, help="PEM of the trust anchor")
    ap.add_argument("--key-file", required=True,
                    help="API key of an auditor, one line")
    ap.add_argument("--region", required=True)
    ap.add_argument("--endpoint",
                    help="default: https://iot.REGION.amazonaws.com")
    a = ap.parse_args()
    a.endpoint = a.endpoint or f"https://iot.{a.region}.amazonaws.com"
    host, _, port = a.listen.rpartition(":")
    server = http.server.ThreadingHTTPServer((host, int(port)), Handler)
    server.daemon_threads = True
    try:
        server.registrar = Registrar(a)
        for s in server.registrar.secrets:
            base64.b64decode(s.removeprefix("whsec_"), validate=True)
    except (OSError, binascii.Error) as e:
        sys.exit(f"aws-register: {e}")
    if a.tls:
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ctx.load_cert_chain(*a.tls)
        server.socket = ctx.wrap_socket(server.socket, server_side=True)
    print(f"listening {server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
