"""A hostile server: every kind on every link, whatever it contains.

What it can achieve is the list in architecture.md, "What a compromised server
can still do"; what it cannot is a test each.
"""
import base64
import hashlib
import json
import os
import random
import resource
import shutil
import struct
import subprocess
import sys
import threading
import time

import pytest

HERE = os.path.dirname(__file__)
sys.path[:0] = [HERE, os.path.join(HERE, "../../integration")]
from world import open_files  # noqa: E402
from harness import (EAGAIN, EAUTH, ECONFLICT, EINPUT, ENOTFOUND,  # noqa
                     EPOLICY, ERATE, FIELDS, KINDS, LINKS, Gone, Link, Refused, Requests,
                     Signer, body, encode, entry, frame, program)


opened = {}  # sealed key -> its secret: opening one is made to be slow


def secret_of(s, name):
    """A token master, or the scalar or seed in a PKCS#8."""
    sealed = (s.dir / "signer/keys" / name).read_bytes()
    if sealed not in opened:
        opened[sealed] = unseal(s, name)
    return opened[sealed]


def unseal(s, name):
    raw = subprocess.run([os.environ["MM_UNSEAL"],
                          s.dir / "signer/keys" / name, s.dir / "pass"],
                         check=True, capture_output=True).stdout
    return raw if len(raw) == 32 else raw.split(b"\x04\x20", 1)[1][:32]


def assert_nothing_told(s):
    log = (s.dir / "log").read_bytes()
    for path in (s.dir / "signer/keys").iterdir():
        secret = secret_of(s, path.name)
        assert len(secret) == 32 and secret not in Link.heard, path
        assert secret not in log and secret.hex().encode() not in log
    assert b"long enough passphrase" not in log
    assert b"runtime error" not in log and b"Sanitizer" not in log


@pytest.fixture(scope="module")
def founded(tmp_path_factory):
    """What "init" makes, once for all: each test gets a copy."""
    s = Signer(program(), tmp_path_factory.mktemp("founded"))
    s.init()
    return s.dir


@pytest.fixture
def signer(founded, tmp_path):
    Link.heard.clear()
    s = Signer(program(), tmp_path)
    for folder in ("signer", "server"):
        shutil.copytree(founded / folder, tmp_path / folder)
    s.start()
    yield s
    if s.links:
        s.kill()
    assert_nothing_told(s)  # no CA, ledger or master key, whatever was done


@pytest.fixture(scope="module")
def requests(tmp_path_factory):
    return Requests(tmp_path_factory.mktemp("requests"))


@pytest.fixture(scope="module")
def csr(requests):
    return requests.make()


def issue(s, csr, profile="plain", version=1, device="SN-1", keygen=0):
    return s["issue"].call("issue", profile, version, device, "thermo",
                           "token:x", 0, keygen, csr)


def refused(code, f, *args):
    with pytest.raises(Refused) as e:
        f(*args)
    assert e.value.code == code, e.value
    return e.value.text


def certificates(s):
    return [x for x in s.journal() if x["kind"] == "certificate"]


def settle(s, cert, device="SN-1", kind="certificate.issued", **kw):
    index = s["ledger"].call("hello", 1)[3]
    s["ledger"].call("ledger_add", index,
                     entry(kind, device, cert[1], kw.pop("spki", cert[6]),
                           **kw))


def sample(kind, csr):
    """A good body of each kind."""
    now = int(time.time())
    return {
        "hello": body("hello", 1),
        "issue": body("issue", "plain", 1, "SN-1", "thermo", "token:x", 0, 0,
                      csr),
        "possess": body("possess", csr),
        "token_mint": body("token_mint", "SN-1"),
        "token_psk": body("token_psk", b"\x81" * 12, 0),
        "token_check": body("token_check", b"\x81" * 12, b"s" * 20),
        "crl_begin": body("crl_begin", "issuing", 10 ** 6, now, now + 60,
                          1, b""),
        "crl_add": body("crl_add", bytes(16) + struct.pack(">QB", now, 0)),
        "crl_sign": body("crl_sign", 0),
        "crl_read": body("crl_read", 0, 100),
        "ledger_add": body("ledger_add", 0, b"{}"),
        "ledger_sign": body("ledger_sign", 0),
        "ledger_check": body("ledger_check", b"note"),
        "outstanding": body("outstanding", 0, 10),
        "order_sign": body("order_sign", 0, order()),
        "duty_status": body("duty_status", 0),
        "duty_find": body("duty_find", "b7", "SN-1", bytes(32)),
        "line_make": body("line_make", "line-x", "l3", b"cert", b""),
        "line_open": body("line_open", "line-x", b"cert", b"key"),
        "duty_extend": body("duty_extend", "MMX1 b7 l3 1 2 x"),
        "duty_adopt": body("duty_adopt", "SN-1", b"cert", b"chain", bytes(32),
                           b"HW", b"sig"),
        "duty_nonce": body("duty_nonce", "SN-1"),
        "duty_scrap": body("duty_scrap", "SN-1", bytes(32)),
        "ocsp_start": body("ocsp_start", "issuing", b"", b"", 0),
        "ocsp_sign": body("ocsp_sign", b"\x01" * 16, b"0", 0, 0, 0, now,
                          now + 60, b""),
        "config_sign": body("config_sign", b"\x01" * 16, "SN-1", bytes(32),
                            1, bytes(16), b"{}"),
        "status": body("status", 0),
    }[kind]


def order(**changed):
    """A work order's text, as docs/protocol/order.md has it."""
    stamp = "%Y-%m-%dT%H:%M:%S.000Z"
    now = time.time()
    fields = {
        "centre": "localhost/ledger", "station": "l3", "number": 1,
        "made_at": time.strftime(stamp, time.gmtime(now)), "batch": "b7",
        "product": "thermo", "state": "open", "marker": "test",
        "mode": "online", "share": 25, "scrap": 0,
        "not_before": time.strftime(stamp, time.gmtime(now)),
        "until": time.strftime(stamp, time.gmtime(now + 86400)),
        "level": "software", "take": "next", "on_conflict": "stop",
        "key_origin": "device", "serials": "SN-{01..25}",
        "profiles": [{"name": "plain", "version": 1, "sha256": "03" * 32}],
        "people": []} | changed
    return b"mintmark-order/1\n" + json.dumps(
        fields, separators=(",", ":")).encode() + b"\n"


def verify_ed25519(tmp, key, data, signature):
    """By OpenSSL alone."""
    der = bytes.fromhex("302a300506032b6570032100") + key
    for name, b in (("key", der), ("data", data), ("sig", signature)):
        (tmp / name).write_bytes(b)
    return subprocess.run(
        ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER",
         "-inkey", tmp / "key", "-rawin", "-in", tmp / "data", "-sigfile",
         tmp / "sig"], capture_output=True).returncode == 0


def orders_key(s):
    name, hashed, raw = s.command(
        "orders-key").stdout.strip().split("+", 2)
    assert name == "localhost/ledger/orders"
    raw = base64.b64decode(raw)
    assert raw[0] == 1 and hashlib.sha256(
        name.encode() + b"\n" + raw).hexdigest()[:8] == hashed
    return raw[1:]


# ---- work orders: what it has read, for its own centre, now ----

def test_an_order_is_signed_and_journalled(signer, tmp_path):
    text = order()
    key = orders_key(signer)
    assert signer["ops"].call("hello", 1)[9] == key
    note, = signer["ops"].call("order_sign", 0, text)
    signed, _, line = note.rpartition(b"\n\n")
    assert signed + b"\n" == text
    dash, name, sig = line.decode().split()
    assert (dash, name) == ("\u2014", "localhost/ledger/orders")
    sig = base64.b64decode(sig)
    assert verify_ed25519(tmp_path, key, text, sig[4:])
    assert not verify_ed25519(tmp_path, key, text + b" ", sig[4:])
    last = signer.journal()[-1]
    assert (last["kind"], last["number"], last["authority"], last["device"],
            last["tbs_sha256"]) == ("order", 1, "batch:b7", "l3",
                                    hashlib.sha256(text).hexdigest())


def test_an_extension_is_signed_and_journalled(signer, tmp_path):
    line = b"MMX1 b7 l3 12 2700 2026-12-30T07:00:00Z"
    text, = signer["ops"].call("order_sign", 1, line)
    assert text.startswith(line + b" ")
    sig = base64.urlsafe_b64decode(text[len(line) + 1:] + b"==")
    tbs = (b"mintmark-extension/1 localhost/ledger/orders\n" + line + b"\n")
    assert verify_ed25519(tmp_path, orders_key(signer), tbs, sig)
    assert signer.journal()[-1]["kind"] == "extension"


@pytest.mark.parametrize("what, extension, text, code", [
    ("another centre", 0, {"centre": "other/ledger"}, EPOLICY),
    ("production", 0, {"marker": "production"}, EPOLICY),
    ("made long ago", 0, {"made_at": "2024-01-01T00:00:00.000Z"}, EPOLICY),
    ("made tomorrow", 0, {"made_at": "2099-01-01T00:00:00.000Z"}, EPOLICY),
    ("a command", 0, {"exec": "rm"}, EINPUT),
    ("no number", 0, {"number": 0}, EINPUT),
    ("nothing", 0, b"", EINPUT),
    ("a checkpoint", 0, b"localhost/ledger\n1\nAAAA\n", EINPUT),
    ("an order as an extension", 1, {}, EINPUT),
    ("an extension as an order", 0,
     b"MMX1 b7 l3 12 2700 2026-12-30T07:00:00Z", EINPUT),
    ("a signed extension", 1,
     b"MMX1 b7 l3 12 2700 2026-12-30T07:00:00Z AAAA", EINPUT),
])
def test_what_is_no_order_of_its_own_is_not_signed(signer, what, extension,
                                                   text, code):
    before = len(signer.journal())
    with pytest.raises(Refused) as refused:
        signer["ops"].call("order_sign", extension,
                           order(**text) if isinstance(text, dict) else text)
    assert refused.value.code == code, what
    assert len(signer.journal()) == before


# ---- framing: each kind on its links only, an error ends one link ----

def test_kind_on_wrong_link_ends_that_link(signer, csr):
    signer.kill()
    pairs = [(r, k) for r in LINKS for k in KINDS[1:] if k not in LINKS[r]]
    for some in (pairs[i:i + 30] for i in range(0, len(pairs), 30)):
        signer.start(roles=[r for r, _ in some] + ["ops"])
        for role, kind in some:
            link = signer.links[role].pop(0)
            link.send(frame(kind, [sample(kind, csr)]))
            with pytest.raises(Gone):
                link.recv()
        assert signer.links["ops"][-1].call("status", 0)[0] == 0
        assert signer.stop() == 0
    assert not certificates(signer)


BAD_FRAMES = [
    b"\0", b"\1", b"\1\1", b"\1\1\0", b"\1\1\0\0",
    b"\2\1\0\1" + bytes(8), b"\0\1\0\1" + bytes(8),
    b"\1\0\0\1" + bytes(8), b"\1\xff\0\1" + bytes(8),
    b"\1\x0f\0\1" + bytes(8), b"\1\x81\0\1" + bytes(8),
    b"\1\1\0\1" + bytes(7), b"\1\1\0\1" + bytes(9),
    b"\1\1\0\1" + b"\0\0\0\0\xff\xff\xff\xff",
    b"\1\1\0\1" + b"\0\0\0\0\0\0\0\5abcd",
    b"\1\1\0\2" + struct.pack(">III", 0, 4, 1),
    frame("hello", [body("hello", 1)] * 65),
    b"\1\1\0\1" + struct.pack(">II", 0, 140000) + bytes(140000),
    bytes(131073),
]


def test_bad_frame_ends_that_link(signer):
    signer.kill()
    signer.start(roles=["psk"] * len(BAD_FRAMES) + ["ops"])
    for link, bad in zip(signer.links["psk"], BAD_FRAMES, strict=True):
        link.send(bad)
        with pytest.raises(Gone):
            link.recv()
    assert signer["ops"].call("status", 0)[0] == 0


def test_random_frames(signer):
    signer.kill()
    rnd = random.Random(7)
    signer.start(roles=["issue", "ledger", "ops", "psk", "check"] * 7)
    for links in list(signer.links.values()):
        for link in links:
            try:
                for _ in range(20):
                    kind = rnd.choice(sorted(LINKS[link.role]))
                    link.raw(kind, [rnd.randbytes(rnd.randrange(200))
                                    for _ in range(rnd.randrange(1, 64))])
                link.send(rnd.randbytes(rnd.randrange(1, 5000)))
                link.recv()
            except Gone:
                pass
    assert signer.process.poll() is None
    assert signer.stop() == 0
    assert not certificates(signer)


def test_truncated_and_longer_bodies_are_refused(signer, csr):
    for role, kinds in LINKS.items():
        for kind in sorted(kinds):
            good = sample(kind, csr)
            step = max(1, len(good) // 50)
            bad = [good[:n] for n in range(0, len(good), step)]
            bad.append(good + b"\0")
            for one in bad:
                a = signer[role].raw(kind, [one])[0]
                assert a[0] == EINPUT, (kind, one)
    assert not certificates(signer)


def test_texts_out_of_form(signer, csr):
    for device in ["", "a" * 65, "a b", "a/b", "../x", 'a"', "a\nb", "a\0",
                   "\xe9"]:
        got = signer["issue"].raw("issue", [encode(FIELDS["issue"][0], [
            "plain", 1, device, "thermo", "token:x", 0, 0, csr])])[0]
        assert got[0] == EINPUT, device
        assert signer["ops"].raw("token_mint", [
            body("token_mint", device)])[0][0] == EINPUT
    for authority in ["", "x" * 97, 'a"b', "a\\b", "a\nb", "\x7f"]:
        got = signer["issue"].raw("issue", [body(
            "issue", "plain", 1, "SN-1", "thermo", authority, 0, 0, csr)])[0]
        assert got[0] == EINPUT, authority


# ---- certificates: within profiles and ceilings, with possession ----

def test_issue_refusals_spend_nothing(signer, requests, csr):
    bent = csr[:-1] + bytes([csr[-1] ^ 1])
    rows = [
        ("few", 1, csr, 0), ("few", 4, csr, 0), ("none", 1, csr, 0),
        ("plain", 1, csr, 1),
        ("few", 3, requests.make("RSA", "rsa_keygen_bits:2048"), 0),
    ]
    for profile, version, request, keygen in rows:
        refused(EPOLICY, issue, signer, request, profile, version, "SN-1",
                keygen)
    with pytest.raises(Refused):
        issue(signer, bent, "few", 3)
    with pytest.raises(Refused):
        signer["issue"].call("possess", bent)
    assert not certificates(signer)
    for _ in range(3):
        issue(signer, csr, "few", 3)


def test_an_authority_is_of_a_known_kind_and_fits(signer, csr):
    """A group's names the device, and makes no keys."""
    def asks(authority, keygen=0, profile="plain", device="SN-1"):
        return signer["issue"].call("issue", profile, 1, device, "thermo",
                                    authority, 0, keygen, csr)
    before = len(certificates(signer))
    for authority in ("group:old/SN-2", "group:old/sn-11", "group:old",
                      "group:old/", "wish:x", "token", "batch:B7", "SN-1"):
        refused(EINPUT, asks, authority)
    refused(EPOLICY, asks, "group:old/given", 1, "given", "given")
    asks("token:x", 1, "given", "given")
    asks("group:old/sn-1")
    assert len(certificates(signer)) == before + 2


def test_each_signature_has_its_journal_line(signer, csr):
    got = signer["issue"].many("issue", [
        ("plain", 1, f"SN-{n}", "thermo", "token:x", 0, 0, csr)
        for n in range(64)])
    lines = {x["serial"]: x for x in certificates(signer)}
    assert len(lines) == 64
    for cert in got:
        line = lines[cert[1].hex()]
        # TBSCertificate: the first element of the outer SEQUENCE
        tbs = cert[7][4:]
        size = struct.unpack_from(">H", tbs, 2)[0] + 4
        assert hashlib.sha256(tbs[:size]).hexdigest() == line["tbs_sha256"]
        assert line["n"] == cert[0] and line["profile"] == "plain@1"
    prev = "00" * 32
    path = signer.dir / "signer/journal.jsonl"
    for raw in path.read_bytes().splitlines(keepends=True):
        assert f'"prev":"{prev}"'.encode() in raw
        prev = hashlib.sha256(raw).hexdigest()


def early_in_a_minute(seconds):
    """Counters are of the clock's minutes: leaves that many of this one."""
    left = 60 - time.time() % 60
    if left < seconds:
        time.sleep(left)


def unsanitized(test):
    """faketime is preloaded, and a sanitizer wants to be first."""
    return pytest.mark.plain(pytest.mark.skipif(
        "MM_SANITIZED" in os.environ, reason="sanitized build")(test))


def test_minutes_ceiling_holds_across_starts(signer, csr):
    early_in_a_minute(10)
    for _ in range(3):
        issue(signer, csr, "few", 3)
    assert "minute" in refused(EPOLICY, issue, signer, csr, "few", 3)
    for how in (signer.kill, signer.stop):
        how()
        signer.start()
        assert "minute" in refused(EPOLICY, issue, signer, csr, "few", 3)
        signer["ledger"].call("ledger_sign", 0)


@unsanitized
def test_ceilings_hold_across_a_kill(signer, csr):
    early_in_a_minute(10)
    for _ in range(3):
        issue(signer, csr, "few", 3)
    assert "minute" in refused(EPOLICY, issue, signer, csr, "few", 3)
    signer.kill()
    signer.start(before=("faketime", "-f", "+1m"))
    for _ in range(2):
        issue(signer, csr, "few", 3)
    assert "day" in refused(EPOLICY, issue, signer, csr, "few", 3)
    signer["ledger"].call("ledger_sign", 0)
    assert signer.stop() == 0
    signer.start(before=("faketime", "-f", "+2m"))
    assert "day" in refused(EPOLICY, issue, signer, csr, "few", 3)
    assert len(certificates(signer)) == 5


def test_server_keygen_is_new_each_time(signer):
    a = issue(signer, b"", "given", keygen=1)
    b = issue(signer, b"", "given", keygen=1)
    assert a[8] and b[8] and a[8] != b[8] and a[6] != b[6]


def test_replay_is_a_new_certificate_in_the_journal(signer, csr):
    a, b = issue(signer, csr), issue(signer, csr)
    assert a[1] != b[1] and len(certificates(signer)) == 2


# ---- tokens: a secret is shown once ----

def test_token_secret_is_shown_once(signer):
    mint = signer["ops"].call("token_mint", "SN-1")
    before = len(Link.heard)
    assert signer["check"].call("token_check", mint[0], mint[1]) == [1]
    assert signer["check"].call("token_check", mint[0], bytes(20)) == [0]
    for use in (0, 1):
        signer["psk"].call("token_psk", mint[0], use)
    refused(EINPUT, signer["psk"].call, "token_psk", mint[0], 2)
    assert mint[1] not in Link.heard[before:]
    again = signer["ops"].call("token_mint", "SN-1")
    assert again[0] != mint[0] and again[1] != mint[1]
    line = signer.journal()[-2]
    assert line["kind"] == "token" and mint[1].hex() not in str(line)


def test_every_id_gets_a_key(signer):
    keys = {signer["psk"].call("token_psk", bytes([v]) + bytes(11), 0)[0]
            for v in range(256)}
    assert len(keys) == 256
    unknown = bytes([0x42]) + bytes(11)
    assert signer["check"].call("token_check", unknown, bytes(20)) == [0]


# ---- the tree: forwards only, one tree a size ----

def test_tree_only_grows_from_its_end(signer):
    add = signer["ledger"].call
    for index in (1, 2 ** 64 - 1):
        refused(ECONFLICT, add, "ledger_add", index, b"{}")
    refused(EINPUT, add, "ledger_add", 0, b"")
    refused(EINPUT, add, "ledger_add", 0, bytes(65536))
    assert add("ledger_add", 0, b"{}") == [1]
    refused(ECONFLICT, add, "ledger_add", 0, b"{}")
    refused(ECONFLICT, add, "ledger_sign", 0)
    refused(ECONFLICT, add, "ledger_sign", 2)


def test_no_second_tree_of_a_size(signer):
    call = signer["ledger"].call
    for n in range(5):
        call("ledger_add", n, b'{"a":%d}' % n)
    first = call("ledger_sign", 5)
    call("ledger_add", 5, b'{"unsigned":1}')
    signer.kill()
    signer.start()
    call = signer["ledger"].call
    assert call("hello", 1)[3] == 5, "an unsigned entry is not in the state"
    refused(ECONFLICT, call, "ledger_add", 4, b'{"b":4}')
    refused(ECONFLICT, call, "ledger_sign", 4)
    assert call("ledger_sign", 5) == first
    call("ledger_add", 5, b'{"other":1}')
    assert call("ledger_sign", 6)[1] != first[1]
    sizes = [x["number"] for x in signer.journal()
             if x["kind"] == "checkpoint"]
    assert sizes == [5, 5, 6]


# ---- no signature can be hidden ----

def test_outstanding_until_its_entry(signer, csr):
    a, b = issue(signer, csr), issue(signer, csr, device="SN-2")
    count = lambda: signer["ledger"].call("status", 0)[4]  # noqa: E731
    assert count() == 2
    for kind in ("certificate.issued", "signature.orphaned"):
        for wrong in ({"spki": b"\1" * 32}, {"spki": None},
                      {"device": "SN-2"}, {"device": None}, {"device": "SN"},
                      {"profile": "plain@2"}, {"profile": None}):
            settle(signer, a, kind=kind, **wrong)
            assert count() == 2, "another certificate's entry settles nothing"
    settle(signer, a)
    assert count() == 1
    size = signer["ledger"].call("hello", 1)[3]
    signer["ledger"].call("ledger_sign", size)
    for how in (signer.kill, signer.stop):
        how()
        signer.start()
        n, lines = signer["ledger"].call("outstanding", 0, 10)
        assert n == 1 and b[1] in lines and a[1] not in lines
    settle(signer, b, device="SN-2", kind="signature.orphaned")
    assert count() == 0


def crl_entry(number, issuer="issuing", **more):
    return json.dumps({"v": 1, "type": "crl.signed",
                       "at": "2026-11-23T05:00:00.000Z", "issuer": issuer,
                       **more, "number": number},
                      separators=(",", ":")).encode()


def test_crl_outstanding_until_its_entry(signer):
    count = lambda: signer["ledger"].call("status", 0)[4]  # noqa: E731
    numbers = []
    for k in (1, 2):
        numbers.append(crl(signer, k))
        signer["ops"].call("crl_sign", 0)
    assert count() == 2
    for n, wrong in enumerate([(numbers[0], "root"), (3,), (0,),
                               (10 ** 40,), (None,), ("1",)]):
        signer["ledger"].call("ledger_add", n, crl_entry(*wrong))
        assert count() == 2, "another list's entry settles nothing"
    signer["ledger"].call("ledger_add", 6, crl_entry(numbers[1]))
    assert count() == 1
    signer["ledger"].call("ledger_sign", 7)
    for how in (signer.kill, signer.stop):
        how()
        signer.start()
        n, lines = signer["ledger"].call("outstanding", 0, 10)
        assert n == 1 and lines.endswith(struct.pack(">Q", numbers[0]))
    signer["ledger"].call("ledger_add", 7,
                          crl_entry(numbers[0], result="lost"))
    assert count() == 0


def responder_entry(serial, spki, issuer="issuing", **more):
    return json.dumps({"v": 1, "type": "responder.made",
                       "at": "2026-11-23T05:00:00.000Z", "issuer": issuer,
                       "serial": serial.hex(), "spki_sha256": spki.hex(),
                       "not_after": "2026-11-30T05:00:00Z", **more},
                      separators=(",", ":")).encode()


def test_responder_outstanding_until_its_entry(signer):
    count = lambda: signer["ledger"].call("status", 0)[4]  # noqa: E731
    (_, a, _, _, key_a, _), (_, b, _, _, key_b, _) = [
        signer["ocsp"].call("ocsp_start", "issuing", b"", b"", 0)
        for _ in range(2)]
    assert count() == 2
    wrong = [responder_entry(a, key_a, "root"), responder_entry(a, key_b),
             entry("certificate.issued", "SN-1", a, key_a),
             entry("signature.orphaned", "", a, key_a, profile=""),
             crl_entry(1)]
    for n, one in enumerate(wrong):
        signer["ledger"].call("ledger_add", n, one)
        assert count() == 2, "another's entry settles nothing"
    signer["ledger"].call("ledger_add", 5, responder_entry(b, key_b))
    assert count() == 1
    signer["ledger"].call("ledger_sign", 6)
    for how in (signer.kill, signer.stop):
        how()
        signer.start()
        n, lines = signer["ledger"].call("outstanding", 0, 10)
        assert n == 1 and a in lines and b not in lines
    signer["ledger"].call("ledger_add", 6,
                          responder_entry(a, key_a, result="lost"))
    assert count() == 0


def test_certificate_unknown_to_the_journal_is_recovered(signer):
    forged = b"\1" + b"\xab" * 15
    signer["ledger"].call("ledger_add", 0, entry(
        "certificate.issued", "SN-9", forged, b"\2" * 32))
    line = signer.journal()[-1]
    assert line["kind"] == "recovered" and line["serial"] == forged.hex()
    assert line["spki_sha256"] == "02" * 32


def test_no_number_hides_a_certificate_but_an_existing_cas(tmp_path):
    Link.heard.clear()
    s = Signer(program(), tmp_path, lambda conf: conf + """
issuer "corporate" {
  certificate = "/nowhere/corporate.crt"
  exec = {"/bin/false"}
}
""")
    s.init()
    s.start()
    for n, (first, issuer, want) in enumerate((
            (0x80, "corporate", 0), (0x80, "issuing", 1),
            (0x80, "was-removed", 1), (0x80, None, 2), (0x01, "corporate", 3),
            (0x01, "was-removed", 4), (0xff, "corporate", 4))):
        s["ledger"].call("ledger_add", n, entry(
            "certificate.issued", "SN-9", bytes([first, n]) * 8, b"\2" * 32,
            issuer=issuer))
        kinds = [x["kind"] for x in s.journal()]
        assert kinds.count("recovered") == want, (first, issuer)
    s.kill()
    assert_nothing_told(s)


def test_recovered_lines_have_an_end(signer):
    def add(at, n):
        return signer["ledger"].many("ledger_add", [
            (k, entry("certificate.issued", "SN-9",
                      b"\1" + struct.pack(">Q", k) + bytes(7), b"\2" * 32))
            for k in range(at, at + n)])
    for at in range(0, 10000, 50):
        assert add(at, 50)[-1] == [at + 50]
    for _ in range(2):
        assert add(10000, 1)[0].code == EPOLICY
    log = (signer.dir / "log").read_text()
    assert log.count("journal.recovered-too-many") == 1
    signer["ledger"].call("ledger_sign", 10000)
    signer.stop()
    signer.start()
    assert add(10000, 1) == [[10001]]


# ---- several nodes: what another one's signer signs ----

def named(name):
    return lambda conf: f'node = "{name}"\n' + conf


@pytest.fixture
def pair(tmp_path):
    """The one with the ledger's key, and one that joined."""
    Link.heard.clear()
    a, b = tmp_path / "a", tmp_path / "b"
    a.mkdir()
    b.mkdir()
    a = Signer(program(), a, named("a"))
    a.init()
    a.command("export-node", "--out", tmp_path / "node.pem")
    b = Signer(program(), b, named("b"))
    b.command("join", "--from", tmp_path / "node.pem")
    a.start()
    b.start()
    yield a, b
    for s in (a, b):
        if s.links:
            s.kill()
        assert_nothing_told(s)


def test_another_nodes_certificate_is_not_recovered(pair):
    a, _ = pair
    for n, (node, want) in enumerate((("b", 0), (None, 0), ("a", 1))):
        a["ledger"].call("ledger_add", n, entry(
            "certificate.issued", "SN-9", bytes([1, n]) * 8, b"\2" * 32,
            node=node))
        kinds = [x["kind"] for x in a.journal()]
        assert kinds.count("recovered") == want, node


def test_a_node_without_the_key_signs_no_checkpoint(pair):
    a, b = pair
    assert a["ledger"].call("hello", 1)[6] == 1
    assert b["ledger"].call("hello", 1)[6] == 0
    assert a["ledger"].call("hello", 1)[1] == b["ledger"].call("hello", 1)[1]
    assert not (b.dir / "signer/keys/ledger.key").exists()
    assert not (b.dir / "signer/keys/root.key").exists()
    b["ledger"].call("ledger_add", 0, b"{}")
    refused(EPOLICY, b["ledger"].call, "ledger_sign", 1)


def test_a_checkpoint_of_the_same_tree_is_checked_and_kept(pair, csr):
    a, b = pair
    notes = {}
    for n in range(6):
        for s in (a, b):
            s["ledger"].call("ledger_add", n, b'{"a":%d}' % n)
        notes[n + 1] = a["ledger"].call("ledger_sign", n + 1)[2]
    check = b["ledger"].call
    assert check("ledger_check", notes[3]) == [3]  # the tree has gone on
    refused(ENOTFOUND, check, "ledger_check", notes[2])
    assert check("ledger_check", notes[6]) == [6]
    a["ledger"].call("ledger_add", 6, b'{"a":6}')
    more = a["ledger"].call("ledger_sign", 7)[2]
    refused(EAGAIN, check, "ledger_check", more)
    b.kill()  # what was checked is on the disk
    b.start()
    assert b["ledger"].call("hello", 1)[3] == 6
    assert issue(b, csr)[1]


@pytest.mark.parametrize("how", ["tree", "signature"])
def test_a_fork_ends_issuing(how, pair, csr):
    a, b = pair
    assert issue(b, csr)[1]
    for n in range(3):
        a["ledger"].call("ledger_add", n, b'{"a":%d}' % n)
        b["ledger"].call("ledger_add", n, b'{"a":%d}' %
                         (n if how != "tree" else n + n // 2))
    note = a["ledger"].call("ledger_sign", 3)[2]
    if how == "signature":
        note = note.replace(b"\n3\n", b"\n2\n")
    refused(EPOLICY, b["ledger"].call, "ledger_check", note)
    assert "another tree" in refused(EAGAIN, issue, b, csr)
    assert b["ledger"].call("status", 0)[5] == 0


def test_join_wants_the_passphrase_and_an_empty_folder(pair, tmp_path):
    _, b = pair
    again = b.command("join", "--from", tmp_path / "node.pem", check=False)
    assert again.returncode != 0
    (tmp_path / "c").mkdir()
    c = Signer(program(), tmp_path / "c", named("c"))
    (c.dir / "pass").write_text("another passphrase\n")
    wrong = c.command("join", "--from", tmp_path / "node.pem", check=False)
    assert wrong.returncode != 0 and not (c.dir / "signer/keys").exists()
    d = Signer(program(), tmp_path / "c")
    unnamed = d.command("join", "--from", tmp_path / "node.pem", check=False)
    assert unnamed.returncode != 0 and "node" in unnamed.stderr


def test_only_the_ledgers_own_key_is_taken(pair, tmp_path):
    a, b = pair
    other = b.dir / "signer/keys/issuing.key"
    p = b.command("take-ledger", "--from", other, check=False)
    assert p.returncode != 0
    assert not (b.dir / "signer/keys/ledger.key").exists()
    b.command("take-ledger", "--from", a.dir / "signer/keys/ledger.key")
    b.stop()
    b.start()
    b["ledger"].call("ledger_add", 0, b"{}")
    assert b["ledger"].call("ledger_sign", 1)[0] == 1


@unsanitized
def test_token_mints_have_a_ceiling(signer):
    early_in_a_minute(20)
    row = [("SN-1",)] * 50
    for _ in range(2000):
        got = signer["ops"].many("token_mint", row)
        assert not isinstance(got[-1], Refused), got[-1]
    refused(ERATE, signer["ops"].call, "token_mint", "SN-1")
    signer.kill()
    signer.start()
    refused(ERATE, signer["ops"].call, "token_mint", "SN-1")


def test_too_many_outstanding_stops_issuing(signer, csr):
    row = ("plain", 1, "SN-1", "thermo", "token:x", 0, 0, csr)
    certs = []
    for _ in range(64):
        certs += signer["issue"].many("issue", [row] * 64)
    refused(EAGAIN, issue, signer, csr)
    status = signer["ops"].call("status", 0)
    assert status[4] == 4096 and status[5] == 0 and status[6]
    text = signer["ledger"]
    for at in range(0, 4096, 64):
        text.many("ledger_add", [
            (at + k, entry("certificate.issued", "SN-1", c[1], c[6]))
            for k, c in enumerate(certs[at:at + 64])])
    assert signer["ops"].call("status", 0)[4:6] == [0, 1]
    issue(signer, csr)


@unsanitized
def test_old_outstanding_stops_issuing(signer, csr):
    cert = issue(signer, csr)
    signer.stop()
    signer.start(before=("faketime", "-f", "+15m"))
    assert "turned up" in refused(EAGAIN, issue, signer, csr)
    assert "turned up" in refused(EAGAIN, signer["ocsp"].call, "ocsp_start",
                                  "issuing", b"", b"", 0)
    settle(signer, cert)
    issue(signer, csr)


@unsanitized
def test_clock_behind_the_journal_stops_issuing(signer, csr):
    signer.stop()
    signer.start(before=("faketime", "-f", "+1h"))
    settle(signer, issue(signer, csr))
    signer["ledger"].call("ledger_sign", 1)
    signer.stop()
    signer.start()
    assert "clock" in refused(EAGAIN, issue, signer, csr)
    signer.stop()
    signer.start(before=("faketime", "-f", "-400d"))
    assert "clock" in refused(EAGAIN, issue, signer, csr)


# ---- CRLs ----

def crl(s, number, issuer="issuing", this=None, life=3600):
    this = int(time.time()) if this is None else this
    return s["ops"].call("crl_begin", issuer, number, this, this + life, 1,
                         b"")[0]


def test_crl_refusals(signer):
    ops, now = signer["ops"], int(time.time())
    refused(ECONFLICT, ops.call, "crl_sign", 0)
    refused(ECONFLICT, ops.call, "crl_add", b"")
    refused(EPOLICY, crl, signer, 1, "root")
    refused(EPOLICY, crl, signer, 1, "issuing", now + 9999)
    refused(EPOLICY, crl, signer, 1, "issuing", now, 10 ** 9)
    refused(EPOLICY, crl, signer, 1, "issuing", now, 0)
    for number in (2 ** 63 - 1, 2 ** 63, (now + 400) * 1000):
        assert "number" in refused(EPOLICY, crl, signer, number)
    crl(signer, 1)
    for bad in (b"x", bytes(24), bytes(16) + struct.pack(">QB", 0, 7),
                bytes(16) + struct.pack(">QB", 2 ** 63, 0)):
        refused(EINPUT, ops.call, "crl_add", bad)
    refused(ENOTFOUND, ops.call, "crl_read", 1, 10)


def test_crl_number_never_goes_back(signer):
    crl(signer, 7)
    signer["ops"].call("crl_sign", 0)
    for number in (0, 1, 7):
        assert crl(signer, number) == 8
    signer.kill()
    signer.start()
    assert crl(signer, 7) == 8
    signer["ops"].call("crl_sign", 0)
    assert [x["number"] for x in signer.journal()
            if x["kind"] == "crl"] == [7, 8]


# ---- OCSP ----

def question(tmp, issuer, serial="0x" + "01" * 16):
    """A CertID as "openssl ocsp" makes it."""
    req = tmp / "request.der"
    subprocess.run(["openssl", "ocsp", "-issuer", issuer, "-serial", serial,
                    "-no_nonce", "-reqout", req], check=True,
                   capture_output=True)
    der = req.read_bytes()
    assert der[8] == 0x30  # four SEQUENCEs, then the CertID
    return der[8:]


def test_ocsp_refusals(signer, tmp_path):
    ocsp, now = signer["ocsp"], int(time.time())
    issuing = signer.dir / "signer/issuers/issuing.crt"
    refused(EPOLICY, ocsp.call, "ocsp_start", "nosuch", b"", b"", 0)
    refused(EPOLICY, ocsp.call, "ocsp_start", "root", b"", b"", 0)
    refused(EAUTH, ocsp.call, "ocsp_start", "line-x", b"cert", b"kept", 0)
    _, serial, begins, ends, *_ = ocsp.call("ocsp_start", "issuing", b"",
                                            b"", 0)
    assert ends - now <= 14 * 86400 and begins <= now
    line, = [x for x in signer.journal() if x["kind"] == "responder"]
    assert line["serial"] == serial.hex() and line["issuer"] == "issuing"
    good = question(tmp_path, issuing)

    def sign(responder=serial, id_=good, status=0, reason=0, revoked=0,
             this=now, life=3600, nonce=b""):
        return ocsp.call("ocsp_sign", responder, id_, status, reason,
                         revoked, this, this + life, nonce)

    assert sign()[0][:2] == b"\x30\x82"
    refused(ENOTFOUND, sign, bytes(16))
    for bad in (b"", good[:-1], good + b"\0", b"\x30\x00"):
        refused(EINPUT, lambda: sign(id_=bad))
    key = hashlib.sha1(b"another").digest()  # the CA's name, not its key
    at = good.rindex(b"\x02\x10") - 20
    other = good[:at] + key + good[at + 20:]
    refused(EPOLICY, lambda: sign(id_=other))
    for bad in ({"status": 3}, {"reason": 7}, {"reason": 8}, {"reason": 11},
                {"revoked": 2 ** 63}, {"nonce": b"n" * 129}):
        refused(EINPUT, lambda: sign(**bad))
    for bad in ({"this": now + 9999}, {"life": 0}, {"life": 8 * 86400},
                {"this": now - 86400, "life": 30 * 86400}):
        refused(EPOLICY, lambda: sign(**bad))
    signer.kill()
    signer.start()
    ocsp = signer["ocsp"]
    refused(ENOTFOUND, sign)  # its key ended with the process


# ---- configurations of devices in the field ----

def test_configuration_refusals(signer, tmp_path):
    """What is signed says whose it is; a key is good for one use."""
    ocsp, now = signer["ocsp"], int(time.time())
    refused(EINPUT, ocsp.call, "ocsp_start", "issuing", b"", b"", 2)
    _, answers, *_ = ocsp.call("ocsp_start", "issuing", b"", b"", 0)
    _, serial, _, ends, *_ = ocsp.call("ocsp_start", "issuing", b"", b"", 1)
    assert ends - now <= 14 * 86400

    def sign(responder=serial, device="SN-1", certificate=b"c" * 32,
             version=7, document=b'{"a":1}', salt=b"s" * 16):
        return ocsp.call("config_sign", responder, device, certificate,
                         version, salt, document)[0]

    (tmp_path / "c.p7m").write_bytes(sign())
    done = subprocess.run(
        ["openssl", "cms", "-verify", "-inform", "DER", "-binary", "-purpose",
         "any", "-in", tmp_path / "c.p7m", "-CAfile",
         tmp_path / "server/root.crt"], capture_output=True)
    text = b"mintmark-configuration 1\ndevice SN-1\ncertificate " + \
        (b"c" * 32).hex().encode() + b"\nversion 7\nsalt " + \
        (b"s" * 16).hex().encode() + b'\n\n{"a":1}'
    assert done.stdout == text, done.stderr
    line = [x for x in signer.journal() if x["kind"] == "configuration"]
    assert len(line) == 1 and line[0]["number"] == 7
    assert line[0]["device"] == "SN-1" and line[0]["serial"] == serial.hex()
    assert line[0]["tbs_sha256"] == hashlib.sha256(text).hexdigest()
    mark = hashlib.sha256(b'{"a":1}').digest()
    assert line[0]["document_sha256"] == hashlib.sha256(
        b"s" * 16 + mark).hexdigest()
    refused(ENOTFOUND, sign, bytes(16))
    refused(ENOTFOUND, sign, answers)  # an OCSP responder's
    refused(ENOTFOUND, lambda: ocsp.call(
        "ocsp_sign", serial, b"0", 0, 0, 0, now, now + 60, b""))
    for bad in ({"device": ""}, {"device": "SN 1"}, {"device": "SN-1\nx"},
                {"version": 0}, {"version": 2 ** 31}, {"version": 2 ** 63},
                {"document": b""}, {"document": b"x" * 65537}):
        refused(EINPUT, lambda: sign(**bad))
    assert len(sign(document=b"x" * 65536)) > 65536
    assert len(signer.journal()) == len(set(map(str, signer.journal())))
    signer.kill()
    signer.start()
    ocsp = signer["ocsp"]
    refused(ENOTFOUND, sign)


def test_large_crl(signer, tmp_path):
    ops, now = signer["ops"], int(time.time())
    crl(signer, 1)
    n = 20000
    for at in range(0, n, 4000):
        ops.call("crl_add", b"".join(
            b"\1" + struct.pack(">Q", k) + bytes(7) +
            struct.pack(">QB", now, 4) for k in range(at, at + 4000)))
    size, sha = ops.call("crl_sign", 0)
    der = b""
    while len(der) < size:
        der += ops.call("crl_read", len(der), 1 << 30)[0]
    assert hashlib.sha256(der).digest() == sha
    (tmp_path / "crl").write_bytes(der)
    done = subprocess.run(
        ["openssl", "crl", "-inform", "DER", "-in", tmp_path / "crl",
         "-CAfile", tmp_path / "server/issuing.crt", "-noout", "-text"],
        capture_output=True, text=True)
    assert "verify OK" in done.stderr
    assert done.stdout.count("Serial Number") == n


# ---- promise 8: no journal, no signature ----

def test_journal_that_cannot_be_written(signer, csr):
    issue(signer, csr)
    path = signer.dir / "signer/journal.jsonl"
    size = path.stat().st_size
    inf = resource.RLIM_INFINITY
    resource.prlimit(signer.process.pid, resource.RLIMIT_FSIZE,
                     (size + 100, inf))
    for _ in range(3):
        refused(EAGAIN, issue, signer, csr)
        refused(EAGAIN, signer["ops"].call, "token_mint", "SN-1")
        crl(signer, 1)
        refused(EAGAIN, signer["ops"].call, "crl_sign", 0)
        refused(EAGAIN, signer["ledger"].call, "ledger_sign", 0)
        refused(ENOTFOUND, signer["ops"].call, "crl_read", 1, 1)
    assert path.stat().st_size == size
    assert signer["ops"].call("status", 0)[5] == 0
    resource.prlimit(signer.process.pid, resource.RLIMIT_FSIZE, (inf, inf))
    issue(signer, csr)
    assert signer["ops"].call("status", 0)[5] == 1
    signer.stop()
    signer.start()
    assert len(certificates(signer)) == 2


# ---- start: what was changed is noticed ----

def fails_to_start(s, word):
    s.start()
    assert s.wait() != 0
    s.links = {}
    assert word in (s.dir / "log").read_text()


def test_torn_line_is_cut_and_a_changed_one_found(signer, csr):
    cert = issue(signer, csr)
    signer.kill()
    path = signer.dir / "signer/journal.jsonl"
    whole = path.read_bytes()
    for tail in (b'{"n":9', b"\0" * 300):
        path.write_bytes(whole + tail)
        signer.start()
        assert signer["ledger"].call("outstanding", 0, 9)[0] == 1
        signer.stop()
        assert path.read_bytes() == whole
    path.write_bytes(whole.replace(b'"SN-1"', b'"SN-2"'))
    signer.start()
    settle(signer, cert)
    signer.stop()
    path.write_bytes(whole.replace(b'"kind":"ca"', b'"kind":"crl"'))
    fails_to_start(signer, "does not follow")


def test_shorter_journal_is_found(signer, csr):
    issue(signer, csr)
    signer["ledger"].call("ledger_sign", 0)
    signer.stop()
    path = signer.dir / "signer/journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    fails_to_start(signer, "journal")


def test_used_profile_cannot_change(signer, csr):
    issue(signer, csr)
    signer.stop()
    text = signer.conf.read_text()
    signer.conf.write_text(text.replace("per_day = 5", "per_day = 6"))
    signer.start()
    signer.stop()
    signer.conf.write_text(text.replace('"30d"', '"31d"'))
    fails_to_start(signer, "changed after")
    signer.conf.write_text(text.replace('version = 1\n  issuer = "issuing"\n'
                                        '  lifetime = "30d"',
                                        'version = 2\n  issuer = "issuing"\n'
                                        '  lifetime = "31d"'))
    signer.start()
    issue(signer, csr, "plain", 2)


def test_one_signer_at_a_time(signer):
    signer["ops"].call("status", 0)  # it is there, and the lock its own
    other = Signer(program(), signer.dir)
    fails_to_start(other, "in use")


# ---- what it is locked into; what it never said ----

def test_process_is_locked_in(signer):
    signer["ops"].call("status", 0)
    pid = signer.process.pid
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status") as f:
            status = f.read()
        assert "NoNewPrivs:\t1" in status
        if "sandbox.no-seccomp" not in (signer.dir / "log").read_text():
            assert "Seccomp:\t2" in status
    sockets = [f for f in open_files(pid) if f.startswith("socket:")]
    assert len(sockets) == 7


def test_what_was_said_is_searched(signer, csr):
    """The search in the fixture would find a key."""
    Link.heard += secret_of(signer, "ledger.key")
    with pytest.raises(AssertionError):
        assert_nothing_told(signer)
    Link.heard.clear()
    issue(signer, csr)


def test_all_links_at_once(signer, csr):
    row = ("plain", 1, "SN-1", "thermo", "token:x", 0, 0, csr)
    certs, done = [], []

    def run(work):
        def body():
            work()
            done.append(1)
        return threading.Thread(target=body)

    def issuing(link):
        for _ in range(8):
            certs.extend(link.many("issue", [row] * 16))

    def feeding():
        n = 0
        while n < 256:
            for c in certs[n:]:
                signer["ledger"].call("ledger_add", n, entry(
                    "certificate.issued", "SN-1", c[1], c[6]))
                n += 1
            signer["ledger"].call("ledger_sign", n)
            signer["ledger"].call("outstanding", 0, 100)

    def operating():
        for k in range(1, 20):
            signer["ops"].call("token_mint", "SN-1")
            crl(signer, k)
            signer["ops"].call("crl_sign", 0)
            signer["ops"].call("status", 0)

    def asking():
        for k in range(200):
            signer["psk"].call("token_psk", bytes([k]) * 12, 0)

    threads = [run(lambda x=x: issuing(x)) for x in signer.links["issue"]]
    threads += [run(f) for f in (feeding, operating, asking)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(done) == 5, "a link failed"
    assert len({c[1] for c in certs}) == 256
    lists = [x["number"] for x in signer.journal() if x["kind"] == "crl"]
    for n, number in enumerate(lists):
        signer["ledger"].call("ledger_add", 256 + n, crl_entry(number))
    assert signer["ops"].call("status", 0)[4] == 0
    signer["ledger"].call("ledger_sign", 256 + len(lists))
    signer.stop()
    signer.start()  # the journal's chain is whole
    assert signer["ledger"].call("hello", 1)[3] == 256 + len(lists)
    assert signer["ledger"].call("outstanding", 0, 100)[0] == 0
