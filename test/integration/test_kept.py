"""Ledgers that earlier releases exported (kept.py) verify with this one:
records are kept for ten years, longer than any program that wrote them."""
import base64
import hashlib
import json
import re
import shutil

import pytest

from world import MINT, ROOT, run

KEPT = sorted((ROOT / "test/vectors/ledger").glob("*/*"))
PEM = re.compile(r"-----BEGIN CERTIFICATE-----\n(.*?)-----END", re.S)


@pytest.fixture(params=KEPT, ids=lambda p: f"{p.parent.name}-{p.name}")
def kept(request):
    return request.param


def contents(kept):
    return json.loads((kept / "contents.json").read_text())


def verify(folder, key, *more, check=True):
    return run(MINT, "--json", "ledger", "verify", folder, "--key", key, *more,
               check=check)


def exported(kept, out):
    run(MINT, "ledger", "export", "--from", kept / "export", "--out", out)
    return [json.loads(line)["entry"]
            for line in out.read_text().splitlines()]


def test_something_is_kept():
    assert {p.name for p in KEPT} >= {"one", "nodes"}


def test_it_verifies(kept, tmp_path):
    want = contents(kept)
    said = json.loads(verify(kept / "export", want["key"]).stdout)
    assert said["verified"] and said["key_given"]
    assert said["size"] == want["size"]
    assert said["not_known"] == 0  # nothing is ever forgotten
    head = shutil.copy(kept / "earlier.checkpoint", tmp_path / "head")
    said = json.loads(verify(kept / "export", want["key"], "--keep",
                             head).stdout)
    size = int((kept / "earlier.checkpoint").read_text().split("\n")[1])
    assert 0 < said["kept_size"] == size < want["size"]


def test_its_entries_are_read(kept, tmp_path):
    want = contents(kept)
    types = [e["type"] for e in exported(kept, tmp_path / "out")]
    assert {t: types.count(t) for t in types} == want["types"]
    for t in want["types"]:  # and asked for
        out = tmp_path / t
        run(MINT, "ledger", "export", "--from", kept / "export", "--type", t,
            "--out", out)
        assert len(out.read_text().splitlines()) == want["types"][t]


def test_its_receipts_verify(kept):
    receipts = sorted((kept / "receipts").iterdir())
    assert len(receipts) == 3
    for r in receipts:
        p = run(MINT, "ledger", "verify-receipt", r, "--key",
                contents(kept)["key"])
        assert f"verified: entry {r.stem} of" in p.stdout


def test_its_certificates_are_those_of_the_entries(kept, tmp_path):
    issued = {e["cert_sha256"] for e in exported(kept, tmp_path / "out")
              if e["type"] in ("certificate.issued", "certificate.renewed")}
    text = (kept / "certificates.pem").read_text()
    assert issued == {hashlib.sha256(base64.b64decode(b)).hexdigest()
                      for b in PEM.findall(text)}


# ---- falsified ----

def in_file(pattern, change):
    """The first file of that pattern that the change changes."""
    def spoil(copy):
        for f in sorted(f for f in copy.glob(pattern) if f.is_file()):
            was = f.read_bytes()
            if change(was) != was:
                f.write_bytes(change(was))
                return
        raise AssertionError(f"nothing to change in {pattern}")
    return spoil


def flip(data):
    return data[:-1] + bytes([data[-1] ^ 1])


FAULTS = {
    "another serial": in_file("tile/entries/**/*", lambda b: re.sub(
        rb'"serial":"(.)', lambda m: b'"serial":"' +
        (b"1" if m[1] == b"0" else b"0"), b, count=1)),
    "another type": in_file("tile/entries/**/*", lambda b: b.replace(
        b'"type":"token.minted"', b'"type":"token.melted"', 1)),
    "an entry is another's": in_file("tile/entries/**/*", lambda b: b.replace(
        b'"device":"', b'"device":"x', 1)),
    "a hash": in_file("tile/0/**/*", flip),
    "a bundle is cut": in_file("tile/entries/**/*", lambda b: b[:-1]),
    "a bundle goes on": in_file("tile/entries/**/*", lambda b: b + b"\0\1x"),
    "another size": in_file("checkpoint", lambda b: re.sub(
        rb"\n\d+\n", b"\n20\n", b, count=1)),
    "another root": in_file("checkpoint", lambda b: b.replace(
        b.split(b"\n")[2], base64.b64encode(bytes(32)), 1)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_falsified_copy_does_not(kept, tmp_path, fault):
    copy = tmp_path / "copy"
    shutil.copytree(kept / "export", copy)
    key = contents(kept)["key"]
    verify(copy, key)
    FAULTS[fault](copy)
    p = verify(copy, key, check=False)
    assert p.returncode == 9, p
    assert json.loads(p.stderr)["error"]["code"] == "unverified"


def test_nor_does_one_that_somebody_else_signed(tmp_path):
    one, nodes = (next(p for p in KEPT if p.name == n)
                  for n in ("one", "nodes"))
    p = verify(one / "export", contents(nodes)["key"], check=False)
    assert p.returncode == 9, p
    head = shutil.copy(one / "earlier.checkpoint", tmp_path / "head")
    head.write_bytes(flip(head.read_bytes()[:-1]) + b"\n")
    p = verify(one / "export", contents(one)["key"], "--keep", head,
               check=False)
    assert p.returncode not in (0, 1), p
