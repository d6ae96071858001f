#!/usr/bin/env python3
"""Prints token.json: tokens worked out from docs, not from src/pki/token.c.

Every implementation of tokens (src/pki, device/, clients of others) checks
itself against the file.
"""
import hashlib
import hmac
import json

DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def base32(data):
    """Crockford base32, most significant bit first, zero bits at the end."""
    count = (8 * len(data) + 4) // 5
    value = int.from_bytes(data, "big") << (5 * count - 8 * len(data))
    return "".join(DIGITS[value >> 5 * (count - 1 - i) & 31]
                   for i in range(count))


def hkdf(secret, info):
    """RFC 5869 with SHA-256, an empty salt and 32 bytes of output."""
    prk = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(prk, info.encode() + b"\x01", "sha256")


def vector(what, master, ident, anchor):
    secret = hmac.digest(master, b"mintmark token secret v1" + ident,
                         "sha256")[:20]
    check = hashlib.sha256(b"mintmark token check v1" + ident + secret +
                           anchor).digest()
    kind = "test token" if ident[0] & 0x80 else "token"
    return {
        "what": what,
        "master": master.hex(),
        "id": ident.hex(),
        "secret": secret.hex(),
        "anchor": anchor.hex(),
        "id_text": "mm1-" + base32(ident),
        "secret_text": base32(secret),
        "text": "-".join(["mm1", base32(ident), base32(secret),
                          base32(anchor), base32(check)[:4]]),
        "psk13": hkdf(secret, f"mintmark {kind} tls13 sha256 v1").hex(),
        "psk12": hkdf(secret, f"mintmark {kind} tls12 v1").hex(),
    }


def count(first, n):
    return bytes((first + i) & 0xff for i in range(n))


print(json.dumps([
    vector("production", count(0, 32), count(1, 12), count(0x40, 10)),
    vector("production, version 127", hashlib.sha256(b"master").digest(),
           b"\x7f" + hashlib.sha256(b"id").digest()[:11],
           hashlib.sha256(b"anchor").digest()[:10]),
    vector("test", count(0, 32), b"\x81" + count(2, 11), count(0x40, 10)),
    vector("test, all ones", b"\xff" * 32, b"\xff" * 12, b"\xff" * 10),
    vector("zeros", bytes(32), bytes(12), bytes(10)),
], indent=1))
