"""A webhook receiver with faults, and Standard Webhooks' signature by hand.

Nothing here comes from the product: the signature is computed from the
specification alone.
"""
import base64
import hashlib
import hmac
import http.server
import json
import socket
import struct
import threading
import time


def verify(secrets, headers, body, now=None):
    """Standard Webhooks 1.0.0: which of the secrets signed this, by index.

    Raises AssertionError where a receiver would refuse."""
    wid, at = headers["webhook-id"], headers["webhook-timestamp"]
    assert abs((now or time.time()) - int(at)) < 300, "old"
    text = f"{wid}.{at}.".encode() + body
    sigs = headers["webhook-signature"].split(" ")
    found = set()
    for i, secret in enumerate(secrets):
        assert secret.startswith("whsec_")
        key = base64.b64decode(secret[len("whsec_"):], validate=True)
        want = "v1," + base64.b64encode(
            hmac.new(key, text, hashlib.sha256).digest()).decode()
        if any(hmac.compare_digest(want, s) for s in sigs):
            found.add(i)
    assert found, "no signature fits"
    return found


class Delivery:
    def __init__(self, path, headers, body):
        self.path, self.headers, self.body = path, headers, body
        self.at = time.monotonic()
        self.id = headers.get("webhook-id")

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def indexes(self):
        """Of the events in it; a test has none."""
        data = self.json["data"]
        if isinstance(data, list):
            return [d["index"] for d in data]
        return [data["index"]] if "index" in data else []


class Receiver:
    """Answers by a program: answer(delivery) gives a status, or a callable
    that is given the handler and does what it likes with the connection."""

    def __init__(self, answer=lambda d: 200, tls=None):
        self.got, self.cond = [], threading.Condition()
        self.answer, self.hold = answer, threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                n = int(self.headers["Content-Length"])
                d = Delivery(self.path, {k.lower(): v for k, v in
                                         self.headers.items()},
                             self.rfile.read(n))
                what = outer.answer(d)
                with outer.cond:
                    outer.got.append(d)
                    outer.cond.notify_all()
                if callable(what):
                    what(self)
                    return
                status, extra = what if isinstance(what, tuple) else (what,
                                                                      {})
                self.send_response(status)
                for k, v in extra.items():
                    self.send_header(k, v)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, *args):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket,
                                                 server_side=True)
        self.port = self.server.server_address[1]
        self.scheme = "https" if tls else "http"
        self.thread = threading.Thread(target=self.server.serve_forever,
                                       args=(0.02,), daemon=True)
        self.thread.start()

    def url(self, path="/hook", host="127.0.0.1"):
        return f"{self.scheme}://{host}:{self.port}{path}"

    def wait(self, good, seconds=60):
        """Until good(deliveries); gives them."""
        with self.cond:
            assert self.cond.wait_for(lambda: good(self.got), seconds), \
                f"{len(self.got)} deliveries: {[d.id for d in self.got]}"
            return list(self.got)

    def forget(self):
        with self.cond:
            self.got = []

    def close(self):
        self.hold.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    # ---- ways to misbehave ----

    def never(self, handler):
        """No answer while the receiver lives."""
        self.hold.wait(60)
        handler.close_connection = True

    @staticmethod
    def reset(handler):
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                      struct.pack("ii", 1, 0))
        handler.connection.close()
        handler.close_connection = True

    @staticmethod
    def huge(handler):
        """A good status and a body without an end (1 GiB at most)."""
        handler.close_connection = True
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(1 << 14):
                handler.wfile.write(b"x" * (1 << 16))
        except OSError:
            pass

    @staticmethod
    def huge_head(handler):
        handler.close_connection = True
        try:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
            for i in range(1 << 14):
                handler.wfile.write(b"X-%d: %s\r\n" % (i, b"y" * 4096))
        except OSError:
            pass
