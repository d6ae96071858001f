#!/usr/bin/env python3
"""Keeps the list of devices that a broker lets in, from Mintmark's events.

Reads GET /api/v1/events by cursor, remembers where it was, and replaces two
files whole: state.json (cursor and what is known) and allow.txt, one line for
each certificate that counts now: SHA-256 of the certificate, a space, the
device's id.  A broker reads allow.txt; see README.md.

Only Python's standard library.
"""
import argparse
import http.client
import json
import os
import pathlib
import signal
import ssl
import subprocess
import sys
import time
import urllib.parse

WAIT_S = 50       # of a long poll; the server's most is 60
STORE_S = 1       # while there is more to read, the files are written so often
PAUSE_MOST_S = 30


class Known:
    """Certificates by serial, and which of them may connect."""

    def __init__(self, state=None):
        state = state or {}
        self.after = state.get("after", "-1")
        self.certs = state.get("certificates", {})

    def take(self, entry):
        """One entry of the ledger; True if it changes the list."""
        kind, serial = entry["type"], entry.get("serial")
        if kind in ("certificate.issued", "certificate.renewed"):
            self.certs[serial] = {"device": entry["device"],
                                  "sha256": entry["cert_sha256"],
                                  "not_after": entry["not_after"]}
        elif serial not in self.certs:
            return False
        elif kind == "certificate.held":
            self.certs[serial]["held"] = True
        elif kind == "certificate.released":
            self.certs[serial].pop("held", None)
        elif kind in ("certificate.revoked", "certificate.superseded",
                      "signature.orphaned"):
            del self.certs[serial]
        else:
            return False
        return True

    def allowed(self, now):
        """(sha256, device) of what counts at a time (RFC 3339, UTC)."""
        return sorted((c["sha256"], c["device"]) for c in self.certs.values()
                      if not c.get("held") and c["not_after"] > now)

    def forget_expired(self, now):
        self.certs = {s: c for s, c in self.certs.items()
                      if c["not_after"] > now}


def replace(path, text):
    """Whole or not at all, also when the power goes."""
    tmp = path.with_name(path.name + ".tmp")
    with open(tmp, "w", encoding="utf-8") as f:
        f.write(text)
        f.flush()
        os.fsync(f.fileno())
    os.replace(tmp, path)


def devices_of(text):
    return {line.split(" ", 1)[1] for line in text.splitlines()}


class Feed:
    def __init__(self, server, ca, key):
        url = urllib.parse.urlsplit(server)
        self.host, self.port = url.hostname, url.port or 443
        self.tls = ssl.create_default_context(cafile=ca)
        self.key = key
        self.conn = None

    def page(self, after, wait):
        """The next page; OSError or http.client's errors when it is not to
        be had now."""
        if self.conn is None:
            self.conn = http.client.HTTPSConnection(
                self.host, self.port, timeout=wait + 30, context=self.tls)
        query = urllib.parse.urlencode({
            "after": after, "wait": wait, "limit": 1000,
            "type": "certificate.,signature.orphaned"})
        try:
            self.conn.request("GET", f"/api/v1/events?{query}", headers={
                "Authorization": f"Bearer {self.key}"})
            r = self.conn.getresponse()
            body = r.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        if r.status in (429, 503):
            raise OSError(f"the server says {r.status}")
        if r.status == 409:
            # The ledger ends before our cursor: it was restored from a
            # copy.  Going on alone would miss what happens from here to
            # there, so a person has to look first.
            sys.exit(f"the ledger is shorter than state.json knows it: "
                     f"{body.decode()}\nfind out why (mintmark ledger "
                     f"verify), then remove state.json: the list is made "
                     f"anew from the beginning")
        if r.status != 200:
            sys.exit(f"the server refused: {r.status} {body.decode()}")
        return json.loads(body)

    def close(self):
        if self.conn:
            self.conn.close()
        self.conn = None


class Follower:
    def __init__(self, feed, folder, on_change=None, on_gone=None):
        self.feed, self.folder = feed, folder
        self.on_change, self.on_gone = on_change, on_gone
        self.allow, self.state = folder / "allow.txt", folder / "state.json"
        self.gone = folder / "gone.txt"
        self.known = Known(json.loads(self.state.read_text())
                           if self.state.exists() else None)
        self.shown = None
        self.listed = devices_of(self.allow.read_text()
                                 if self.allow.exists() else "")
        self.pending = set(self.gone.read_text().splitlines()
                           if self.gone.exists() else [])
        self.stored_at, self.unstored = 0, False

    def store(self):
        """The list first: a crash between the two repeats some events, and
        repeating them changes nothing."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        text = "".join(f"{sha256} {device}\n"
                       for sha256, device in self.known.allowed(now))
        if text != self.shown:
            self.note_gone(devices_of(text))
            replace(self.allow, text)
            self.shown = text
            if self.on_change:
                self.on_change()
        self.known.forget_expired(now)
        replace(self.state, json.dumps({
            "after": self.known.after, "certificates": self.known.certs}))
        self.stored_at, self.unstored = time.monotonic(), False
        self.end_sessions()

    def note_gone(self, listed):
        """Devices that are no longer listed, in a file before the list says
        so: after a crash their sessions are ended twice rather than never."""
        if self.on_gone:
            self.set_pending((self.pending | self.listed) - listed)
        self.listed = listed

    def set_pending(self, devices):
        if devices != self.pending:
            replace(self.gone, "".join(f"{d}\n" for d in sorted(devices)))
        self.pending = devices

    def end_sessions(self):
        """After the list: whoever cannot be reached keeps nobody on it."""
        if self.pending and self.on_gone:
            self.set_pending(set(self.on_gone(sorted(self.pending))))

    def step(self, wait):
        """One page; True if there is more at once."""
        page = self.feed.page(self.known.after, wait)
        for item in page["items"]:
            self.known.take(item["entry"])
        self.unstored |= page.get("next", self.known.after) != \
            self.known.after
        self.known.after = page.get("next", self.known.after)
        # Each time both files are written whole, so not for each page of
        # many; and without news too, as certificates expire.
        if page["more"] and time.monotonic() - self.stored_at < STORE_S * \
                max(1, len(self.known.certs) // 10000):
            return True
        if self.unstored or self.shown is None or wait:
            self.store()
        return page["more"]

    def run(self, once):
        pause = kick = 1
        while True:
            try:
                kick = min(2 * kick, PAUSE_MOST_S) if self.pending else 1
                more = self.step(0 if once else kick if self.pending
                                 else WAIT_S)
                pause = 1
            except (OSError, http.client.HTTPException) as e:
                if once:
                    raise
                print(f"allow-list: {e}; again in {pause} s",
                      file=sys.stderr)
                self.end_sessions()
                time.sleep(pause)
                pause = min(2 * pause, PAUSE_MOST_S)
                continue
            if once and not more:
                if self.pending:
                    sys.exit("sessions are open still: see gone.txt")
                return


def hup(pid_file):
    """Tells a broker to read the list again (mosquitto: SIGHUP)."""
    def tell():
        try:
            os.kill(int(pathlib.Path(pid_file).read_text()), signal.SIGHUP)
        except (OSError, ValueError) as e:
            print(f"allow-list: {pid_file}: {e}", file=sys.stderr)
    return tell


def tell_of_gone(program):
    """Runs a program with the devices as its arguments, 100 at a time; returns
    those that it failed for, who are in until it is run again."""
    def tell(devices):
        left = []
        for i in range(0, len(devices), 100):
            some = devices[i:i + 100]
            try:
                status = subprocess.run([program, *some],
                                        stdin=subprocess.DEVNULL).returncode
            except OSError as e:
                status = e
            if status != 0:
                print(f"allow-list: {program} failed ({status}) for "
                      f"{len(some)} devices; it is run again",
                      file=sys.stderr)
                left += some
        return left
    return tell


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--server", required=True, help="https://host:8444")
    ap.add_argument("--ca", required=True, help="PEM of the trust anchor")
    ap.add_argument("--key-file", required=True,
                    help="API key of an auditor, one line")
    ap.add_argument("--dir", required=True, type=pathlib.Path,
                    help="for allow.txt and state.json")
    ap.add_argument("--hup", metavar="PIDFILE",
                    help="send SIGHUP there when the list changed")
    ap.add_argument("--on-gone", metavar="PROGRAM",
                    help="run with the ids of devices that have gone from "
                    "the list, to end their sessions")
    ap.add_argument("--once", action="store_true",
                    help="catch up and end")
    a = ap.parse_args()
    key = pathlib.Path(a.key_file).read_text().strip()
    Follower(Feed(a.server, a.ca, key), a.dir,
             hup(a.hup) if a.hup else None,
             tell_of_gone(a.on_gone) if a.on_gone else None).run(a.once)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
