"""A machine that was off for more than a year: it makes what is due, and knows
who may still come back."""
import base64
import datetime
import http.client
import json
import os
import ssl
import time

import pytest
from cryptography import x509

from world import MINT, World, faketime, run, until

DAYS = 400
PROFILE = "\tbearer = true"
LONG = """
profile "long" {
	kind = "ldevid"
	issuer = "issuing"
	lifetime = "390d"
	grace = "60d"
	bearer = true
}
profile "short" {
	kind = "ldevid"
	issuer = "issuing"
	lifetime = "30d"
	grace = "60d"
	bearer = true
}
"""


def device(w, name, product):
    """Certificate and key of one that is confirmed."""
    a = w.rest("POST", "/tokens", {"device": name, "product": product,
                                   "door": "bearer"})
    assert a.status == 201, a
    key, csr = w.key_and_csr(name)
    crt = w.save_p7(w.enrol_basic(a.json, csr), name)
    a = w.device_call("POST", "/.well-known/mintmark/confirm", cert=crt,
                      key=key)
    assert a.status == 204, a
    return crt, key


def call(w, path, body=None, who=None):
    """Of a server whose own certificate is over by its clock."""
    ctx = ssl.create_default_context()
    ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
    if who:
        ctx.load_cert_chain(*who)
    conn = http.client.HTTPSConnection("127.0.0.1", w.devices, timeout=30,
                                       context=ctx)
    try:
        return w.ask(conn, "POST" if body else "GET", path, body and
                     base64.encodebytes(body),
                     {"Content-Type": "application/pkcs10"})
    finally:
        conn.close()


def utc(when):
    return when.replace(tzinfo=datetime.timezone.utc).timestamp()


def lists(w):
    """All that are served: the complete one and the shards'."""
    return [x509.load_der_x509_crl(w.get_public(p).body) for p in
            ["/crl/issuing.crl", *(f"/crl/issuing/{n}.crl"
                                   for n in range(64))]]


@pytest.fixture(scope="module")
def later():
    """Three devices of then, and the server that was started now."""
    with World(profile=PROFILE, extra=LONG) as w:
        w.start().product()
        for name in ("long", "short"):
            w.product(name)
        w.who = {n: device(w, n.upper(), p) for n, p in (
            ("late", "long"), ("gone", "short"), ("ended", "long"))}
        until(lambda: w.get_public("/crl/issuing/63.crl").status == 200)
        serial = x509.load_pem_x509_certificate(
            w.who["ended"][0].read_bytes()).serial_number
        a = w.rest("POST", f"/certificates/{serial:032x}/revoke",
                   {"reason": "keyCompromise"})
        assert a.status == 200, a
        w.ended = serial
        w.stop()
        w.now = time.time() + DAYS * 86400
        w.start(wait=False, env=faketime(f"+{DAYS}d"))
        until(lambda: w.get_public("/crl/issuing.crl").status == 200,
              passing=(OSError, http.client.HTTPException))
        yield w


def test_the_lists_are_made_anew_at_the_start(later):
    def fresh():
        return all(utc(x.last_update) < later.now + 600 and
                   utc(x.next_update) > later.now for x in lists(later))
    until(fresh, 30)


def test_who_is_within_the_grace_comes_back(later):
    csr = later.key_and_csr("LATE-next", cn="LATE")[1].read_bytes()
    a = until(lambda: (lambda a: a if a.status != 503 else None)(
        call(later, "/.well-known/est/simplereenroll", csr,
             later.who["late"])), 30)
    assert a.status == 200, a
    crt = x509.load_pem_x509_certificate(
        later.save_p7(a, "LATE-next").read_bytes())
    assert utc(crt.not_valid_after) > later.now + 300 * 86400


@pytest.mark.parametrize("name, why", [("gone", "certificate-expired"),
                                       ("ended", "certificate-")])
def test_who_is_not_is_refused(later, name, why):
    csr = later.key_and_csr(name + "-next", cn=name.upper())[1].read_bytes()
    a = call(later, "/.well-known/est/simplereenroll", csr, later.who[name])
    assert a.status == 403 and why in a.text, a
    a = call(later, "/.well-known/est/simpleenroll", csr, later.who[name])
    assert a.status == 403, a
    a = call(later, "/.well-known/mintmark/config", None, later.who[name])
    assert a.status == 403, a


def test_the_records_agree(later):
    p = run(MINT, "--json", "ledger", "reconcile", "--config", later.conf,
            check=False, env={**os.environ, **faketime(f"+{DAYS}d")})
    assert p.returncode == 0 and json.loads(p.stdout)["agree"], p
