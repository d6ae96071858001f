"""Lists of shards: what the signer signs of what a server asks, by a reader
that is not ours."""
import hashlib
import json
import struct
import time

import pytest
from cryptography import x509

from harness import (ECONFLICT, EINPUT, EPOLICY, Refused, Signer, program)


def refused(code, f, *args, **more):
    with pytest.raises(Refused) as e:
        f(*args, **more)
    assert e.value.code == code, e.value
    return e.value.text


def crl_entry(number, **more):
    return json.dumps({"v": 1, "type": "crl.signed",
                       "at": "2026-11-23T05:00:00.000Z", "issuer": "issuing",
                       "number": number, **more},
                      separators=(",", ":")).encode()


def crl(s, number, issuer="issuing", this=None, life=3600, whole=1,
        shards=()):
    this = int(time.time()) if this is None else this
    wanted = shards if isinstance(shards, bytes) else \
        struct.pack(f">{len(shards)}H", *shards)
    return s["ops"].call("crl_begin", issuer, number, this, this + life,
                         whole, wanted)[0]


def crl_read(s):
    """What a run signed, list by list."""
    size, sha = s["ops"].call("crl_sign", 0)
    der = b""
    while len(der) < size:
        der += s["ops"].call("crl_read", len(der), 1 << 30)[0]
    assert hashlib.sha256(der).digest() == sha
    while der:
        head = 2 + (der[1] & 127 if der[1] > 127 else 0)
        n = int.from_bytes(der[2:head], "big") if head > 2 else der[1]
        yield x509.load_der_x509_crl(der[:head + n])
        der = der[head + n:]


def crl_rows(serials):
    now = int(time.time())
    return b"".join(x + struct.pack(">QB", now, 4) for x in serials)


def serial_of(shard, n=0):
    """A serial number of that shard of 64."""
    return b"\1" + n.to_bytes(11, "big") + (64 * n + shard).to_bytes(4, "big")


def public(conf):
    return conf.replace("log_level", 'public_url = "http://pki.test/x"\n'
                        "log_level")


def test_crl_of_shards(tmp_path):
    s = Signer(program(), tmp_path, public)
    s.init()
    s.start()
    crl(s, 5, shards=(3, 7, 63), whole=0)
    rows = [serial_of(7, 2), serial_of(3), serial_of(7, 1)]
    s["ops"].call("crl_add", crl_rows(rows))
    for other in (0, 4, 62):  # of no shard of the run: nothing of it is taken
        assert "shard" in refused(EINPUT, s["ops"].call, "crl_add", crl_rows(
            [serial_of(3, 9), serial_of(other)]))
    lists = list(crl_read(s))
    ca = x509.load_pem_x509_certificate(
        (tmp_path / "server/issuing.crt").read_bytes())
    for got, shard, want in zip(lists, (3, 7, 63), ([rows[1]], [
            rows[0], rows[2]], []), strict=True):
        assert got.is_signature_valid(ca.public_key())
        idp = got.extensions.get_extension_for_class(
            x509.IssuingDistributionPoint)
        assert idp.critical and idp.value.only_contains_user_certs
        assert not (idp.value.only_contains_ca_certs or
                    idp.value.indirect_crl or
                    idp.value.only_contains_attribute_certs or
                    idp.value.only_some_reasons)
        assert [x.value for x in idp.value.full_name] == [
            f"http://pki.test/x/crl/issuing/{shard}.crl"]
        assert [x.serial_number for x in got] == [
            int.from_bytes(x, "big") for x in want]
        assert got.extensions.get_extension_for_class(
            x509.CRLNumber).value.crl_number == 5
    lines = [x for x in s.journal() if x["kind"] == "shard"]
    assert [(x["number"], x.get("shard", 0)) for x in lines] == [
        (5, 3), (5, 7), (5, 63)]
    for got, line in zip(lists, lines, strict=True):
        assert hashlib.sha256(got.tbs_certlist_bytes).hexdigest() == \
            line["tbs_sha256"]
    # all of a run are one that waits for its entry, and one number
    count = lambda: s["ledger"].call("status", 0)[4]  # noqa: E731
    assert count() == 1
    s.kill()
    s.start()
    assert count() == 1
    s["ledger"].call("ledger_add", 0, crl_entry(5, shards="3,7,63"))
    assert count() == 0
    assert crl(s, 5, shards=(3,), whole=0) == 6
    # the complete one and each shard's, of the same entries
    assert crl(s, 1, shards=(0, 7)) == 6
    s["ops"].call("crl_add", crl_rows(rows))
    assert [len(list(x)) for x in crl_read(s)] == [3, 0, 2]
    assert s.stop() == 0


def test_crl_shards_that_are_refused(tmp_path):
    s = Signer(program(), tmp_path, public)
    s.init()
    s.start()
    for bad in ((64,), (65535,), (3, 3), (7, 3), (0, 1, 64)):
        refused(EPOLICY, crl, s, 1, shards=bad)
    refused(EINPUT, crl, s, 1, shards=b"\0")
    refused(EINPUT, crl, s, 1, shards=range(4097))
    refused(EINPUT, crl, s, 1, whole=2)
    for call in ("crl_add", b""), ("crl_sign", 0):
        refused(ECONFLICT, s["ops"].call, *call)
    assert not [x for x in s.journal() if x["kind"] in ("crl", "shard")]
    assert s.stop() == 0
