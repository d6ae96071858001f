#!/usr/bin/env python3
"""Says which devices may enrol, from a list of theirs.

Answers Mintmark's question before a first enrolment (authorise_url).  Verifies
the signature (Standard Webhooks), then looks the device up in a file with one
device id a line, read anew for every question.  What it cannot verify gets
401, which Mintmark takes for no answer: the device is told to come again.

Only Python's standard library.
"""
import argparse
import base64
import hashlib
import hmac
import http.server
import json
import pathlib
import ssl
import time

BODY_MOST = 16384
AGE_MOST_S = 300


def genuine(secret, headers, body, now=None):
    """Standard Webhooks 1.0.0, "Signature scheme"."""
    wid = headers.get("webhook-id", "")
    at = headers.get("webhook-timestamp", "")
    if not (at.isascii() and at.isdigit()) or \
            abs((now or time.time()) - int(at)) > AGE_MOST_S:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{wid}.{at}.".encode() + body, hashlib.sha256)
    want = b"v1," + base64.b64encode(mac.digest())
    given = headers.get("webhook-signature", "").encode().split(b" ")
    return any(hmac.compare_digest(want, s) for s in given)


def decide(question, devices):
    """The answer's members besides the id."""
    if question["device"] in devices:
        return {"allow": True}
    return {"allow": False, "reason": "not on the list"}


def read_list(path):
    return set(pathlib.Path(path).read_text(encoding="utf-8").split())


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10

    def do_POST(self):
        n = self.headers.get("Content-Length", "")
        if not (n.isascii() and n.isdigit()) or int(n) > BODY_MOST:
            self.close_connection = True
            return self.answer(413, {})
        body = self.rfile.read(int(n))
        if not genuine(self.server.secret, self.headers, body):
            return self.answer(401, {})
        question = json.loads(body)
        said = decide(question, read_list(self.server.list))
        print(question["device"], json.dumps(said), flush=True)
        return self.answer(200, {"id": question["id"], **said})

    def answer(self, status, members):
        body = json.dumps(members).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def get_request(self):
        """The handshake is the connection's own thread's."""
        sock, peer = super().get_request()
        return self.tls.wrap_socket(sock, server_side=True,
                                    do_handshake_on_connect=False), peer


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--listen", default="127.0.0.1:9443", metavar="HOST:PORT")
    p.add_argument("--certificate", required=True, help="PEM, with its chain")
    p.add_argument("--key", required=True, help="PEM")
    p.add_argument("--secret-file", required=True,
                   help="one line: whsec_..., mode 0600")
    p.add_argument("--list", required=True, help="one device id a line")
    a = p.parse_args()
    host, port = a.listen.rsplit(":", 1)
    s = Server((host, int(port)), Handler)
    s.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    s.tls.load_cert_chain(a.certificate, a.key)
    s.secret = pathlib.Path(a.secret_file).read_text().strip()
    s.list = a.list
    print(f"listening on {s.server_address[1]}", flush=True)
    s.serve_forever()


if __name__ == "__main__":
    main()
