#!/usr/bin/env python3
"""Prints link.json: packets of the link to a device, worked out from
docs/protocol/link.md and RFC 8949, not from device/.  With --page: the page's
own section of them.

Everything that speaks the link checks itself against the file, and so does
the page.
"""
import base64
import binascii
import json
import sys
import zlib

GROUP = 0x4D4D
IDS = {"hello": 0, "key": 1, "csr": 2, "put": 3, "commit": 4, "prove": 5,
       "lock": 6, "get": 7}
WRITES = {"key", "put", "commit", "lock"}


def head(major, n):
    """RFC 8949 3: the shortest head of an item."""
    if n < 24:
        return bytes([major << 5 | n])
    for extra, info in ((1, 24), (2, 25), (4, 26), (8, 27)):
        if n < 1 << 8 * extra:
            return bytes([major << 5 | info]) + n.to_bytes(extra, "big")
    raise ValueError(n)


def cbor(v):
    if isinstance(v, int):
        return head(0, v)
    if isinstance(v, bytes):
        return head(2, len(v)) + v
    if isinstance(v, str):
        return head(3, len(v.encode())) + v.encode()
    return head(5, len(v)) + b"".join(cbor(k) + cbor(x) for k, x in v.items())


def lines(packet, width=124):
    """The packet on the line."""
    crc = binascii.crc_hqx(packet, 0).to_bytes(2, "big")
    text = base64.b64encode((len(packet) + 2).to_bytes(2, "big") + packet +
                            crc)
    out = b""
    for at in range(0, len(text), width):
        mark = b"\x06\x09" if at == 0 else b"\x04\x14"
        out += mark + text[at:at + width] + b"\n"
    return out


def packet(message, body, seq, answer=False, version=1):
    op = (2 if message in WRITES else 0) + answer
    data = cbor(body)
    return bytes([op | version << 3, 0]) + len(data).to_bytes(2, "big") + \
        GROUP.to_bytes(2, "big") + bytes([seq, IDS[message]]) + data


def frame(what, data):
    return {"what": what, "packet": data.hex(), "line": lines(data).hex()}


def run(first, n):
    return bytes((first + i) % 256 for i in range(n))


def frames():
    """Lengths at which a group of base64 or a line fills or just does not."""
    sizes = [8, 9, 10, 86, 87, 88, 89, 90, 182, 183, 512, 520]
    return [frame(f"{n} bytes", run(n, n)) for n in sizes]


def exchange(message, ask, answer, seq):
    asked = packet(message, ask, seq)
    told = packet(message, answer, seq, answer=True)
    return {"message": message, "seq": seq, "request_map": ask,
            "answer_map": answer, "request": asked.hex(),
            "request_line": lines(asked).hex(), "answer": told.hex(),
            "answer_line": lines(told).hex()}


HW = b"SIM-0001"
KEY, CERT, ALL = run(0x20, 32), run(0xC0, 32), run(0xE0, 32)


def exchanges():
    """A unit, message by message; keys and hashes stand for themselves."""
    hello = {"v": 2, "fw": "linux-sim 1", "hw": HW, "state": 0, "kinds": 1,
             "max": 512, "step": 16, "room": 3968, "time": 1780000000,
             "lines": 0, "messages": 0, "flash": 0}
    yield exchange("hello", {"time": 1780000000}, hello, 1)
    yield exchange("key", {"kind": 0, "stir": run(0, 32)},
                   {"pub": run(0x30, 91)}, 2)
    yield exchange("csr", {}, {"csr": run(0x31, 100)}, 3)
    yield exchange("put", {"len": 128, "off": 0, "data": run(0, 128)},
                   {"off": 128}, 4)
    yield exchange("commit", {"cert": 500, "chain": 400, "conf": 36,
                              "all": ALL}, {"cert": CERT}, 5)
    yield exchange("prove", {"nonce": run(0x40, 32)},
                   {"sig": run(0x30, 70)}, 6)
    yield exchange("lock", {"cert": CERT}, {}, 7)
    yield exchange("lock", {"cert": CERT},
                   {"err": {"group": GROUP, "rc": 10}}, 8)
    ready = dict(hello, state=2, key=KEY, cert=CERT, all=ALL, conf=7)
    yield exchange("hello", {}, ready, 9)
    yield exchange("commit", {"cert": 500, "chain": 400, "conf": 36,
                              "all": ALL},
                   {"err": {"group": GROUP, "rc": 13}}, 10)
    yield exchange("get", {"off": 0}, {"cert": 80, "chain": 52,
                                       "data": run(0x50, 132)}, 11)
    yield exchange("commit", {"cert": 500, "chain": 400, "conf": 36,
                              "all": ALL + run(0x10, 16)},
                   {"cert": CERT}, 12)


def store_head(version=1, reader=1, what=0, flags=0, generation=0x01020304):
    """The head of a bundle: 500, 400 and 36 bytes."""
    parts = b"".join(n.to_bytes(4, "big") for n in (500, 400, 36))
    h = b"MMDS" + bytes([version, reader, what, flags]) + \
        generation.to_bytes(4, "big") + parts + \
        (1780000000).to_bytes(8, "big") + run(0xc0, 32) + run(0xe0, 32) + \
        KEY[:28]
    return h + zlib.crc32(h).to_bytes(4, "big")


def heads():
    """rc as the device library's enum: 0 fine, 2 none, 6 too new."""
    rows = [("of this version", 0, {}),
            ("locked", 0, {"flags": 1}),
            ("of a later version that this one may read", 0, {"version": 2}),
            ("a flag that is not known", 0, {"flags": 2}),
            ("of a later version that this one may not read", 6,
             {"version": 2, "reader": 2}),
            ("of the other identity", 2, {"what": 1}),
            ("of a key", 2, {"what": 16})]
    for what, rc, head in rows:
        yield {"what": what, "rc": rc, "locked": head.get("flags") == 1,
               "head": store_head(**head).hex()}
    cut = store_head()
    yield {"what": "a bit changed", "rc": 2, "locked": False,
           "head": (cut[:40] + bytes([cut[40] ^ 1]) + cut[41:]).hex()}
    yield {"what": "cut off", "rc": 2, "locked": False,
           "head": (cut[:120] + b"\xff" * 8).hex()}


def show(v):
    """RFC 8949 8: diagnostic notation."""
    if isinstance(v, dict):
        return "{" + ", ".join(f'"{k}": {show(x)}' for k, x in v.items()) + "}"
    if isinstance(v, bytes):
        return f"h'{v.hex()}'"
    return json.dumps(v)


def block(title, data):
    text = data.hex()
    rows = [text[i:i + 64] for i in range(0, len(text), 64)]
    return f"{title}\n\n```text\n" + "\n".join(rows) + "\n```\n"


def page():
    """The vectors as docs/protocol/link.md has them."""
    out = []
    for x in exchanges():
        out.append(f"### {x['message']}, number {x['seq']}\n")
        for part in "request", "answer":
            data, line = (bytes.fromhex(x[k]) for k in (part, part + "_line"))
            what = "Request" if part == "request" else "Answer"
            out.append(f"{what}: `{show(x[part + '_map'])}`\n")
            out.append(block("As a packet:", data))
            out.append(block("On the line:", line))
    return "\n".join(out)


def vectors():
    hidden = ("request_map", "answer_map")
    return {
        "frames": frames(),
        "exchanges": [{k: v for k, v in x.items() if k not in hidden}
                      for x in exchanges()],
        "before": {"head": store_head(generation=0x01020303).hex()},
        "heads": list(heads())}


if __name__ == "__main__":
    print(page() if "--page" in sys.argv else json.dumps(vectors(), indent=1))
