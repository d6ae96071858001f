#!/usr/bin/env python3
"""Keeps AWS IoT's certificates as Mintmark's are, from Mintmark's webhooks.

A receiver of Standard Webhooks: it verifies the signature, fetches the
certificate by serial from Mintmark, and sees to it that AWS IoT has it in the
state that it is in now, whatever the event says: RegisterCertificateWithoutCA
(POST /certificate/register-no-ca) for one that counts, UpdateCertificate (PUT
/certificates/ID?newStatus=...) for one that AWS has, signed with Signature
Version 4.  It says 2xx only when AWS has taken that, so that Mintmark's
retries are its queue; what AWS will never take is logged and left.

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
CHANGED = ("certificate.revoked", "certificate.held", "certificate.released",
           "certificate.superseded", "signature.orphaned")
# Of a certificate's state in Mintmark; any other is REVOKED.
STATUS = {"issued": "ACTIVE", "confirmed": "ACTIVE", "held": "INACTIVE"}
# RFC 9110 15.5: of all refusals these may pass by themselves.  403 is a
# secret or a policy of ours, to be mended, and not the certificate's fault.
PASSING = (401, 403, 408, 429)


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
    """Headers that sign a request with a JSON body; a query is in order."""
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
        method, urllib.parse.quote(parts.path or "/"), parts.query,
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
        conn.request(method, parts.path + ("?" + parts.query
                                           if parts.query else ""),
                     body, headers)
        r = conn.getresponse()
        return r.status, r.read()
    finally:
        conn.close()


class Failed(Exception):
    """Not now: Mintmark is to try again."""


class Refused(Exception):
    """Never: trying again would hold up all that comes after it."""


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
        return json.loads(body)

    def aws(self, method, path, body, good):
        """The status, if it is a good one."""
        url = self.a.endpoint + path
        headers = sigv4(
            method, url, body, self.a.region, os.environ["AWS_ACCESS_KEY_ID"],
            os.environ["AWS_SECRET_ACCESS_KEY"],
            datetime.datetime.now(datetime.timezone.utc),
            os.environ.get("AWS_SESSION_TOKEN"))
        status, answer = request(method, url, body, headers)
        if status in good:
            return status
        words = f"AWS IoT: {status} {answer[:200]!r}"
        if 400 <= status < 500 and status not in PASSING:
            raise Refused(words)
        raise Failed(words)

    def register(self, pem, status):
        """True: new; False: AWS has it already, in whatever state."""
        body = json.dumps({"certificatePem": pem, "status": status}).encode()
        # 409: ResourceAlreadyExistsException
        return self.aws("POST", "/certificate/register-no-ca", body,
                        (200, 409)) == 200

    def update(self, pem, status):
        """True: it is so now; False: AWS does not have it."""
        # a certificate's id at AWS is the SHA-256 of its DER
        name = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
        # 404: ResourceNotFoundException
        return self.aws("PUT", f"/certificates/{name}?newStatus={status}",
                        b"", (200, 404)) == 200

    def settle(self, cert):
        """AWS is brought to the state of now: events may be old, and come
        twice.  One that does not count is not made known to AWS."""
        status = STATUS.get(cert["state"], "REVOKED")
        if status == "ACTIVE" and self.register(cert["pem"], status):
            return "registered"
        known = self.update(cert["pem"], status)
        if status == "ACTIVE" and not known:
            raise Failed("AWS IoT: it was removed just now")
        return status.lower() if known else "left out"

    def take(self, event):
        entry = event["data"].get("entry", {})
        if entry.get("type") not in NEW + CHANGED:
            return
        try:
            done = self.settle(self.certificate(entry["serial"]))
        except Refused as e:
            done = f"refused: {e}"
        print(f"{entry.get('device', '-')} {entry['serial']} {done}",
              flush=True)


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


class Server(http.server.ThreadingHTTPServer):
    """The handshake is the connection's thread's, with its timeout: one that
    says nothing keeps nobody else waiting."""
    daemon_threads = True
    tls = None

    def finish_request(self, request, client_address):
        if self.tls:
            request.settimeout(Handler.timeout)
            request = self.tls.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, request, client_address):
        print(f"aws-register: {client_address[0]}: {sys.exc_info()[1]}",
              file=sys.stderr)


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
    server = Server((host, int(port)), Handler)
    try:
        server.registrar = Registrar(a)
        for s in server.registrar.secrets:
            base64.b64decode(s.removeprefix("whsec_"), validate=True)
    except (OSError, binascii.Error) as e:
        sys.exit(f"aws-register: {e}")
    if a.tls:
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ctx.load_cert_chain(*a.tls)
        server.tls = ctx
    print(f"listening {server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
