"""Lists of shards: each certificate names one (RFC 5280 4.2.1.13), which says
so itself, critical (5.2.5), and has exactly the revoked ones of that shard."""
import contextlib
import json
import re
import sqlite3
import time
import urllib.parse

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

import relying
from relying import revoke, serial
from world import MINT, World, run, until

SHARDS = 64


def point(path):
    """The address that a certificate's list is said to be at."""
    crt = x509.load_pem_x509_certificate(path.read_bytes())
    ext = crt.extensions.get_extension_for_class(x509.CRLDistributionPoints)
    (one,), = [p.full_name for p in ext.value]
    return one.value


def fetch(w, url):
    """By its path alone: what resolves the name is not asked."""
    a = w.get_public(urllib.parse.urlsplit(url).path)
    assert a.status == 200, a
    return a


def listed(crl):
    return {x.serial_number for x in crl}


def number(crl):
    return crl.extensions.get_extension_for_class(
        x509.CRLNumber).value.crl_number


def shard(w, n, name="issuing"):
    return x509.load_der_x509_crl(w.get_public(f"/crl/{name}/{n}.crl").body)


def is_shard(crl):
    try:
        crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint)
    except x509.ExtensionNotFound:
        return False
    return True


def shard_of(path):
    return int(re.fullmatch(r".*/(\d+)\.crl", point(path))[1])


def device(w):
    return relying.device(w, "SH")[1]


def two_devices(w):
    """Of different shards."""
    a = device(w)
    b = device(w)
    while shard_of(b) == shard_of(a):
        b = device(w)
    return a, b


def pem(w, path, crl):
    path.write_bytes(crl.public_bytes(Encoding.PEM))
    return path


@pytest.fixture(scope="module")
def w():
    with World(profile="\tbearer = true") as w:
        w.start().product()
        until(lambda: is_shard(shard(w, 0)))
        yield w


def test_every_shard_has_a_list_that_says_so(w):
    ca = x509.load_der_x509_certificate(
        w.get_public("/issuer/issuing.cer").body)
    base = point(device(w)).rsplit("/", 1)[0]
    for n in range(SHARDS):
        crl = shard(w, n)
        assert crl.is_signature_valid(ca.public_key())
        assert crl.issuer == ca.subject
        aki = crl.extensions.get_extension_for_class(
            x509.AuthorityKeyIdentifier)
        assert not aki.critical
        idp = crl.extensions.get_extension_for_class(
            x509.IssuingDistributionPoint)
        assert idp.critical and idp.value.only_contains_user_certs
        (one,) = idp.value.full_name
        assert one.value == f"{base}/{n}.crl"
        assert len(crl.extensions) == 3
        life = crl.next_update - crl.last_update
        assert life.total_seconds() == 24 * 3600
    for n in (SHARDS, 65535):  # of none: the complete one is right for it
        assert not is_shard(shard(w, n))


def test_it_is_for_caches(w):
    a = w.get_public("/crl/issuing/7.crl")
    assert a.headers["content-type"] == "application/pkix-crl"
    crl = x509.load_der_x509_crl(a.body)
    assert a.headers["etag"] == f'"{number(crl)}-7"'
    assert "max-age" in a.headers["cache-control"]
    b = w.get_public("/crl/issuing/7.crl",
                     {"If-None-Match": a.headers["etag"]})
    assert b.status == 304 and b.body == b""


def test_a_revocation_signs_its_shard_alone(w):
    crt, other = two_devices(w)
    mine, theirs = shard_of(crt), shard_of(other)
    before = [number(shard(w, n)) for n in range(SHARDS)]
    complete = w.get_public("/crl/issuing.crl").body
    no = int(serial(crt), 16)
    revoke(w, crt)
    began = time.monotonic()
    until(lambda: no in listed(shard(w, mine)), 5)
    assert time.monotonic() - began < 5
    after = [number(shard(w, n)) for n in range(SHARDS)]
    assert [n for n in range(SHARDS) if after[n] != before[n]] == [mine]
    assert after[mine] > before[mine]
    assert no not in listed(shard(w, theirs))
    until(lambda: w.get_public("/crl/issuing.crl").body != complete, 10)
    crl = x509.load_der_x509_crl(w.get_public("/crl/issuing.crl").body)
    assert no in listed(crl)
    whole = set().union(*[listed(shard(w, n)) for n in range(SHARDS)])
    assert whole == listed(crl)


def test_a_hold_is_released_from_its_shard(w):
    crt = device(w)
    mine, no = shard_of(crt), int(serial(crt), 16)
    w.cli("cert", "hold", serial(crt))
    until(lambda: no in listed(shard(w, mine)), 5)
    w.cli("cert", "release", serial(crt))
    until(lambda: no not in listed(shard(w, mine)), 5)


def verify(w, crt, *more):
    return run("openssl", "verify", "-CAfile", w.anchor, "-untrusted",
               w.etc / "issuing.crt", "-crl_check", *more, crt, check=False)


@pytest.mark.parametrize("extended", [(), ("-extended_crl",)])
def test_openssl_takes_the_list_that_is_named(w, extended):
    """It downloads it; another shard's is not taken for it."""
    good, bad = two_devices(w)
    revoke(w, bad)
    no = int(serial(bad), 16)
    until(lambda: no in listed(shard(w, shard_of(bad))), 5)
    ok = verify(w, good, "-crl_download", *extended)
    assert ok.returncode == 0, ok
    p = verify(w, bad, "-crl_download", *extended)
    assert p.returncode != 0 and "certificate revoked" in p.stderr, p
    mine = pem(w, w.dir / "mine.pem", shard(w, shard_of(good)))
    theirs = pem(w, w.dir / "theirs.pem", shard(w, shard_of(bad)))
    assert verify(w, good, "-CRLfile", mine, *extended).returncode == 0
    for crt, path in ((good, theirs), (bad, mine)):
        p = verify(w, crt, "-CRLfile", path, *extended)
        assert p.returncode != 0 and "CRL" in p.stderr, p
        assert "revoked" not in p.stderr, p


@contextlib.contextmanager
def sql(w):
    """The database beside the server."""
    if not w.database.startswith("sqlite:"):
        pytest.skip("by SQLite's own words")
    with contextlib.closing(sqlite3.connect(
            w.database.removeprefix("sqlite:"), timeout=30)) as db:
        yield db
        db.commit()


def stand(w):
    """The numbers of all that are served."""
    return [number(shard(w, n)) for n in range(SHARDS)]


def test_a_restart_signs_what_lacks_something_alone(w):
    """A list that is good stays; what was revoked in the last moment before
    it is listed."""
    first, crt = two_devices(w)
    revoke(w, first)
    until(lambda: int(serial(first), 16) in listed(shard(w, shard_of(
        first))), 5)
    before, mine = stand(w), shard_of(crt)
    w.stop()
    w.start()
    until(lambda: w.rest("GET", "/status").status == 200)
    until(lambda: is_shard(shard(w, mine)), 10)
    assert stand(w) == before
    # never listed: the process ended before the list was signed
    a = w.rest("POST", f"/certificates/{serial(crt)}/revoke",
               {"reason": "keyCompromise"})
    w.kill_all()
    assert a.status == 200, a
    w.start()
    until(lambda: int(serial(crt), 16) in listed(shard(w, mine)), 10)
    assert [n for n, (a, b) in enumerate(zip(before, stand(w), strict=True))
            if a != b] == [mine]
    out = json.loads(run(MINT, "--json", "ledger", "reconcile", "--config",
                         w.conf).stdout)
    assert out["agree"], out


def test_lists_that_would_name_another_place_are_signed(w):
    before = stand(w)
    w.stop()
    text = w.conf.read_text()
    w.conf.write_text(text.replace("http://localhost:", "http://127.0.0.1:"))
    try:
        w.start()
        until(lambda: all(a > b for a, b in zip(stand(w), before,
                                                strict=True)), 10)
        idp = shard(w, 3).extensions.get_extension_for_class(
            x509.IssuingDistributionPoint).value
        assert idp.full_name[0].value.startswith("http://127.0.0.1:")
    finally:
        w.stop()
        w.conf.write_text(text)
        w.start()


def test_a_run_that_fails_holds_nobody_up(w):
    """One shard whose list cannot be stored: another one's is, though both
    are wanted at once, and for as long as that lasts."""
    first, crt = two_devices(w)
    bad, mine = shard_of(first), shard_of(crt)
    before = stand(w)
    with sql(w) as db:
        db.execute("CREATE TRIGGER poison BEFORE UPDATE ON shard WHEN "
                   f"NEW.shard = {bad} BEGIN SELECT RAISE(ABORT, 'no'); END")
        db.execute("CREATE TRIGGER poison2 BEFORE INSERT ON shard WHEN "
                   f"NEW.shard = {bad} BEGIN SELECT RAISE(ABORT, 'no'); END")
    try:
        for one in (first, crt):
            until(lambda one=one: w.rest(
                "POST", f"/certificates/{serial(one)}/revoke",
                {"reason": "keyCompromise"}).status in (200, 409), 20)
        until(lambda: int(serial(crt), 16) in listed(shard(w, mine)), 30)
        assert number(shard(w, bad)) == before[bad]
    finally:
        with sql(w) as db:
            db.execute("DROP TRIGGER poison")
            db.execute("DROP TRIGGER poison2")
    until(lambda: int(serial(first), 16) in listed(shard(w, bad)), 20)


def test_a_list_that_has_ended_is_not_served(w):
    """Where the complete one is good still."""
    crt = device(w)
    mine = shard_of(crt)
    w.stop()
    with sql(w) as db:
        # one that cannot be signed anew, and ends
        db.execute("UPDATE shard SET next_s = 1 WHERE shard = ?", (mine,))
        db.execute("CREATE TRIGGER poison BEFORE UPDATE ON shard BEGIN "
                   "SELECT RAISE(ABORT, 'no'); END")
        db.execute("CREATE TRIGGER poison2 BEFORE INSERT ON shard BEGIN "
                   "SELECT RAISE(ABORT, 'no'); END")
    w.start()
    try:
        until(lambda: w.get_public(f"/crl/issuing/{(mine + 1) % SHARDS}.crl"
                                   ).status == 200)
        until(lambda: is_shard(shard(w, (mine + 1) % SHARDS)), 10)
        assert not is_shard(shard(w, mine))
    finally:
        with sql(w) as db:
            db.execute("DROP TRIGGER poison")
            db.execute("DROP TRIGGER poison2")
    w.cli("ca", "crl", "issuing")
    until(lambda: is_shard(shard(w, mine)), 10)


def test_by_hand_all_of_them_are_signed(w):
    for _ in range(3):  # runs grow again after one that failed
        w.cli("ca", "crl", "issuing")
    before = [number(shard(w, n)) for n in range(SHARDS)]
    w.cli("ca", "crl", "issuing")
    after = [number(shard(w, n)) for n in range(SHARDS)]
    assert all(b > a for a, b in zip(before, after, strict=True))
    assert len(set(after)) == 1  # one run, one entry


def shards_stored(w):
    """Number by shard, as the database has them."""
    with sql(w) as db:
        return dict(db.execute("SELECT shard, number FROM shard").fetchall())


def test_another_count_is_noticed_before_anything_is_revoked():
    """By the store, which keeps what the issuer's certificates name."""
    with World(profile="\tbearer = true") as w:
        w.start().product()
        until(lambda: is_shard(shard(w, 0)))
        crt = device(w)
        w.stop()
        text = w.conf.read_text()
        w.conf.write_text(text.replace("crl_shards = 64", "crl_shards = 128"))
        w.start()
        until(lambda: "crl_shards is not what it was" in w.log(), 20)
        assert not is_shard(shard(w, shard_of(crt)))
        w.stop()
        w.conf.write_text(text)
        w.start()
        until(lambda: is_shard(shard(w, shard_of(crt))), 10)


def test_another_count_of_shards_makes_the_complete_list_stand(w):
    """A certificate names the list that it was issued with: one that has left
    that list would be accepted there."""
    crt = device(w)
    revoke(w, crt)
    no = int(serial(crt), 16)
    until(lambda: no in listed(shard(w, shard_of(crt))), 5)
    w.stop()
    text = w.conf.read_text()
    stored_before = shards_stored(w)
    changed = text.replace("crl_shards = 64", "crl_shards = 61")
    assert changed != text
    w.conf.write_text(changed)
    try:
        w.start()
        until(lambda: not is_shard(shard(w, shard_of(crt))), 10)
        for n in (0, 1, 60, 61, 63):
            crl = shard(w, n)
            assert not is_shard(crl) and no in listed(crl)
        assert "crl_shards is not what it was" in w.log()
        assert stored_before == shards_stored(w)
        assert "crl_shards" in w.cli("doctor", check=False).stdout
    finally:
        w.stop()
        w.conf.write_text(text)
        w.start()
    until(lambda: is_shard(shard(w, shard_of(crt))), 10)
    assert no in listed(shard(w, shard_of(crt)))
