#!/usr/bin/env python3
"""OCSP answers that are signed already, over kept-open connections, by GET as
caches ask and by POST as openssl does: how many a second a core of the server
gives, by its processor time, which neighbours hardly change.

    ocsp.py [-n ANSWERS] [--certificates N] [--json]    200,000 of 1,000
"""
import argparse
import base64
import json
import pathlib
import socket
import sys
import threading
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "integration"))
sys.path.insert(0, str(HERE))
import bench  # noqa: E402
import events  # noqa: E402
import storm  # noqa: E402
import world as W  # noqa: E402
from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes  # noqa: E402
from cryptography.hazmat.primitives.serialization import (  # noqa: E402
    Encoding, PublicFormat)

CONNECTIONS, AHEAD = 8, 16


def questions(w, certificates):
    """The bytes of a request by GET and by POST for each."""
    issuer = x509.load_der_x509_certificate(
        w.get_public("/issuer/issuing.cer").body)
    for serial in certificates:
        der = question(*hashes_of(issuer), serial)
        path = urllib.parse.quote(base64.b64encode(der).decode(), safe="")
        yield (f"GET /ocsp/{path} HTTP/1.1\r\nHost: localhost\r\n\r\n"
               .encode(),
               b"POST /ocsp HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
               b"application/ocsp-request\r\nContent-Length: %d\r\n\r\n"
               % len(der) + der)


def tlv(tag, *parts):
    body = b"".join(parts)
    assert len(body) < 128
    return bytes([tag, len(body)]) + body


def question(name, key, serial):
    """RFC 6960 4.1.1, without a nonce."""
    sha1 = tlv(0x30, bytes.fromhex("06052b0e03021a0500"))
    number = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    which = tlv(0x30, sha1, tlv(4, name), tlv(4, key), tlv(2, number))
    return tlv(0x30, tlv(0x30, tlv(0x30, tlv(0x30, which))))


def hashes_of(issuer):
    """Of the issuer's name and key (RFC 6960 4.1.1)."""
    name, key = hashes.Hash(hashes.SHA1()), hashes.Hash(hashes.SHA1())
    name.update(issuer.subject.public_bytes())
    key.update(issuer.public_key().public_bytes(
        Encoding.X962, PublicFormat.UncompressedPoint))
    return name.finalize(), key.finalize()


def ask(port, requests, n, wrong):
    """n answers over one connection, some asked for ahead."""
    with socket.create_connection(("127.0.0.1", port)) as s:
        f = s.makefile("rb")
        for at in range(0, n, AHEAD):
            some = [requests[(at + i) % len(requests)] for i in range(AHEAD)]
            s.sendall(b"".join(some))
            for _ in some:
                status, length = f.readline(), 0
                while (line := f.readline()) not in (b"\r\n", b""):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                body = f.read(length)
                # a whole OCSPResponse that was signed (RFC 6960 4.2.1)
                if b" 200 " not in status or len(body) < 100 or \
                        b"\n\x01\x00" not in body[:16]:
                    wrong.append((status, body[:40]))


def rate(w, requests, n):
    """Answers a second of a core; and those of before, so that each is
    signed."""
    wrong = []
    ask(w.public, requests, len(requests), wrong)
    pid = [w.children()["server"]]
    before = events.cpu_us(pid)
    threads = [threading.Thread(target=ask, args=(
        w.public, requests, n // CONNECTIONS, wrong))
        for _ in range(CONNECTIONS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    used = events.cpu_us(pid) - before
    assert not wrong, wrong[:3]
    return used / n


def measure(w, n, certificates):
    storm.load(w, "open", bench.mint(w, "ocsp", certificates), 32)
    serials, after = [], ""
    while len(serials) < certificates:
        page = w.rest("GET", "/certificates?limit=1000" + after).json
        serials += [int(c["serial"], 16) for c in page["items"]]
        if "next" not in page:
            break
        after = "&after=" + W.quote(page["next"])
    get, post = zip(*questions(w, serials[:certificates]))
    out = {}
    for name, requests in (("get", get), ("post", post)):
        us = rate(w, requests, n)
        out[name] = {"us": round(us, 1), "per_s_core": round(1e6 / us)}
    return out


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("-n", type=int, default=200000)
    ap.add_argument("--certificates", type=int, default=1000)
    ap.add_argument("--json", action="store_true")
    a = ap.parse_args()
    b = bench.Bench()
    with b.world() as w:
        w.start().product()
        got = measure(w, a.n, a.certificates)
    print(json.dumps(got) if a.json else "\n".join(
        f"OCSP by {k}: {v['us']} us of the server an answer, "
        f"{v['per_s_core']} a second of a core (must: 20,000)"
        for k, v in got.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
