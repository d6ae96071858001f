#!/usr/bin/env python3
"""How fast events reach a webhook over loopback, and what one costs.

The receiver is as little as HTTP allows: it finds the end of a request and
says 200.  Alone: events.py [N]; script/bench asks for the same figures.
"""
import pathlib
import re
import socket
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "integration"))
import world as W  # noqa: E402

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
LENGTH = re.compile(rb"content-length: (\d+)", re.I)


class Trivial:
    """Counts events ("index": in the body) of kept-open connections."""

    def __init__(self):
        self.events, self.posts = 0, 0
        self.cond = threading.Condition()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d/" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(conn,),
                             daemon=True).start()

    def serve(self, conn):
        data = b""
        while True:
            end = data.find(b"\r\n\r\n")
            if end >= 0:
                total = end + 4 + int(LENGTH.search(data, 0, end)[1])
                if len(data) >= total:
                    conn.sendall(ANSWER)
                    self.count(data[end:total].count(b'{"index":'))
                    data = data[total:]
                    continue
            more = conn.recv(1 << 18)
            if not more:
                return
            data += more

    def count(self, n):
        with self.cond:
            self.posts += 1
            self.events += n
            self.cond.notify_all()

    def wait(self, n, seconds=120):
        with self.cond:
            assert self.cond.wait_for(lambda: self.events >= n, seconds), \
                self.events

    def close(self):
        self.listener.close()


def cpu_us(pids):
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids) * 1e6


def deliver(w, n, hooks=1, **how):
    """n events to each of some webhooks, from the beginning: events a second
    in all, and the CPU time of server and courier for one."""
    r = Trivial()
    pids = [w.children()[c] for c in ("server", "courier")]
    used, began = cpu_us(pids), time.monotonic()
    made = [w.rest("POST", "/webhooks", {
        "url": r.url, "types": ["token.minted"], "from": 0, **how}).json["id"]
        for _ in range(hooks)]
    r.wait(n * hooks)
    took, used = time.monotonic() - began, cpu_us(pids) - used
    for i in made:
        w.rest("DELETE", f"/webhooks/{i}")
    r.close()
    return round(n * hooks / took), round(used / (n * hooks), 1)


def page_through(w, n):
    """The feed by cursor, a thousand a page."""
    conn = w.https(w.operators)
    head = {"Authorization": f"Bearer {w.admin_key}"}
    got, after, began = 0, "-1", time.monotonic()
    while got < n:
        page = w.ask(conn, "GET", "/api/v1/events?type=token.minted&limit="
                     f"1000&after={after}", headers=head).json
        got, after = got + len(page["items"]), page["next"]
    return round(got / (time.monotonic() - began))


def measure(w, n, fact):
    """w runs, with n tokens minted and webhook_deny_private off."""
    fact("event feed, events/s", page_through(w, n))
    for what, hooks, how in (("batch form", 1, {"batch": True}),
                             ("one a POST", 1, {}),
                             ("one a POST, 8 webhooks", 8, {})):
        rate, us = deliver(w, n, hooks, **how)
        fact(f"webhook, {what}, events/s", rate,
             5000 if "batch" in how else "")
        fact(f"webhook, {what}, us CPU an event", us)


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 20000
    w = W.World()
    w.set_conf("webhook_deny_private", "false")
    w.set_conf("log_level", '"warn"')
    with w:
        w.start().product()
        csv = w.dir / "in.csv"
        csv.write_text("device,product\n" + "".join(
            f"E-{i},thermo\n" for i in range(n)))
        w.cli("--quiet", "token", "create", "--csv", csv, "--out",
              w.dir / "out.csv", timeout=600)
        measure(w, n, lambda what, value, must="": print(
            f"{what:45} {value:>9} {must:>8}"))


if __name__ == "__main__":
    main()
