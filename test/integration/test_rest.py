"""docs/reference/rest.md, line by line: the operators' API and what is
public."""
import base64
import email.utils
import http.client
import json
import re
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from test_products import pages
from world import run, serial_of


def enrol(world, name, **more):
    key, csr = world.key_and_csr(name)
    a = world.enrol_basic(world.token(name, door="bearer", **more), csr)
    assert a.status == 200, a
    return world.save_p7(a, name), key


# ---- on all listeners ----

@pytest.mark.parametrize("path, key", [("/healthz", "status"),
                                       ("/readyz", "ready")])
def test_health_is_on_all_listeners(world, path, key):
    for a in (world.device_call("GET", path), world.get_public(path),
              world.rest("GET", path, base="", key="")):
        assert a.status == 200 and key in a.json, a
        assert a.headers["cache-control"] == "no-store"


def test_healthz_warns_of_a_test_with_one_user(world):
    warnings = world.rest("GET", "/healthz", base="", key="").json["warnings"]
    assert any("test mode" in w for w in warnings)
    assert any("same user" in w for w in warnings)
    for a in world.get_public("/healthz"), world.device_call("GET", "/healthz"):
        assert a.json == {"status": "ok"}  # nothing for strangers


def test_an_endless_stream_of_requests_on_one_connection(world):
    conn = world.https(world.operators)
    head = {"Authorization": f"Bearer {world.admin_key}"}
    for _ in range(50):
        assert world.ask(conn, "GET", "/api/v1/whoami",
                         headers=head).status == 200
    conn.close()


# ---- errors ----

@pytest.mark.parametrize("method, path, body, status, slug", [
    ("GET", "/nosuch", None, 404, "not-found"),
    ("DELETE", "/products", None, 405, "not-allowed"),
    ("GET", "/products/nosuch", None, 404, "not-found"),
    ("GET", "/devices/" + "x" * 65, None, 404, "not-found"),
    ("GET", "/certificates/zz", None, 404, "not-found"),
    ("GET", "/tokens/mm1-x", None, 404, "not-found"),
    ("POST", "/products", "{", 400, "malformed"),
    ("POST", "/products", "[]", 400, "malformed"),
    ("POST", "/products", '{"name":"a","name":"b"}', 400, "malformed"),
    ("POST", "/products", '{"nam":"a"}', 400, "malformed"),
    ("POST", "/products", '{"name":"BAD NAME"}', 400, "malformed"),
    ("POST", "/products", ("[", 5000), 400, "malformed"),
    ("POST", "/products", ("x", 100000), 413, "too-large"),
    ("POST", "/products", '{"name":"a","ldevid_profile":"nosuch"}', 400,
     "malformed"),
    ("PUT", "/products/thermo", '{"ldevid_profile":"nosuch"}', 400,
     "malformed"),
    ("PUT", "/products/nosuch", '{"ldevid_profile":"thermo"}', 404,
     "not-found"),
    ("POST", "/devices", '{"id":"a b","product":"thermo"}', 400,
     "malformed"),
    ("POST", "/devices", '{"id":"ok-1"}', 400, "malformed"),
    ("POST", "/tokens", '{"device":"a","door":"window"}', 400, "malformed"),
    ("POST", "/tokens", '{"tokens":[]}', 400, "malformed"),
    ("POST", "/keys", '{"name":"x","roles":["king"]}', 400, "malformed"),
    ("GET", "/devices?limit=0", None, 400, "malformed"),
    ("GET", "/devices?limit=1001", None, 400, "malformed"),
    ("GET", "/devices?produkt=thermo", None, 400, "malformed"),
    ("GET", "/devices?state=broken", None, 400, "malformed"),
    ("GET", "/status?x=1", None, 400, "malformed"),
    ("POST", "/products?x=1", "{}", 400, "malformed"),
    ("GET", "/certificates?devic=x&limit=5", None, 400, "malformed"),
    ("GET", "/tokens?&x", None, 400, "malformed"),
    ("GET", "/tokens?state=burned", None, 400, "malformed"),
    ("GET", "/devices?limit=1&limit=2", None, 400, "malformed"),
    ("GET", "/ledger/receipts/99999999", None, 404, "not-found"),
    ("GET", "/ledger/tile/0/999", None, 404, "not-found"),
    ("GET", "/ledger/tile/../../etc/passwd", None, 400, "malformed"),
])
def test_errors_are_problems(world, method, path, body, status, slug):
    if isinstance(body, tuple):
        body = body[0] * body[1]
    a = world.rest(method, path, body)
    assert a.status == status, a
    assert a.headers["content-type"] == "application/problem+json"
    p = a.json
    assert p["type"] == f"https://mintmark.dev/problems/{slug}"
    assert p["title"] == slug and p["status"] == status
    assert p["request_id"] == a.headers["x-request-id"]


def test_401_comes_before_the_body(world):
    """No Authorization of a key's form: nothing of the body is awaited."""
    for auth in ("", "Authorization: Bearer x\r\n",
                 "Authorization: Basic bW1rXw==\r\n"):
        s = world.tls().wrap_socket(socket.create_connection(
            ("127.0.0.1", world.operators), 5), server_hostname="localhost")
        with s:
            s.sendall(b"POST /api/v1/tokens HTTP/1.1\r\nHost: x\r\n" +
                      auth.encode() + b"Content-Length: 1000000\r\n\r\n[")
            got = b""
            while b"request_id" not in got:
                got += s.recv(4096) or pytest.fail(repr(got))
            assert got.startswith(b"HTTP/1.1 401 "), got
            assert b"Connection: close" in got and \
                b"WWW-Authenticate: Bearer" in got


def test_401_says_how(world):
    a = world.rest("GET", "/status", key="")
    assert a.status == 401
    assert a.headers["www-authenticate"].startswith("Bearer")


# ---- reading ----

def test_status(world):
    s = world.rest("GET", "/status").json
    assert s["ready"] is True and s["signer"]["up"] is True
    assert s["counts"]["products"] >= 1
    assert s["ledger"]["size"] >= s["ledger"]["checkpoint_size"]
    assert set(s["listeners"]) == {"devices", "operators", "public"}


def test_whoami(world):
    me = world.rest("GET", "/whoami").json
    assert me["name"] == "boss" and me["roles"] == ["admin"]
    assert me["id"] == world.admin_key.split("_")[1]


def test_profiles(world):
    items = world.rest("GET", "/profiles").json["items"]
    thermo = [p for p in items if p["name"] == "thermo"][0]
    assert re.fullmatch("[0-9a-f]{64}", thermo["hash"])
    assert thermo["bearer"] is True and thermo["keys"]
    assert world.rest("GET", "/profiles/thermo").json == thermo


def test_issuers(world):
    i = world.rest("GET", "/issuers").json["items"][0]
    assert i["name"] == "issuing" and i["pem"].startswith("-----BEGIN")
    assert i["crl_url"].endswith("/crl/issuing.crl")


# ---- products and devices ----

def test_products(world):
    p = {"name": "pump", "description": "a pump", "ldevid_profile": "thermo"}
    a = world.rest("POST", "/products", p)
    assert a.status == 201 and a.json["name"] == "pump"
    assert world.rest("POST", "/products", p).status == 409
    a = world.rest("PUT", "/products/pump", {"description": "a better pump",
                                             "ldevid_profile": "thermo"})
    assert a.status == 200, a
    assert world.rest("GET", "/products/pump").json["description"] == \
        "a better pump"
    assert world.rest("PUT", "/products/none", p).status in (400, 404)


def test_devices(world):
    d = {"id": "DV-1", "product": "thermo", "attributes": {"mac": "00:11"}}
    a = world.rest("POST", "/devices", d)
    assert a.status == 201, a
    got = world.rest("GET", "/devices/DV-1").json
    assert got["attributes"] == {"mac": "00:11"}
    assert got["state"] == "active" and got["certificates"] == []
    assert world.rest("POST", "/devices", {**d, "id": "dv-1"}).status == 409
    assert world.rest("POST", "/devices",
                      {"id": "DV-2", "product": "nosuch"}).status in (404, 409)


def test_retired_is_for_ever(world):
    pem, key = enrol(world, "RT-1")
    a = world.rest("POST", "/devices/RT-1/retire")
    assert a.status == 200 and a.json["state"] == "retired", a
    c = world.rest("GET", f"/certificates/{serial_of(pem)}").json
    assert c["state"] == "revoked"
    a = world.rest("POST", "/tokens", {"device": "RT-1", "product": "thermo"})
    assert a.status in (403, 404, 409), a
    assert world.rest("POST", "/devices", {
        "id": "RT-1", "product": "thermo"}).status == 409


def test_an_operator_enrols_a_device(world):
    assert world.rest("POST", "/devices", {
        "id": "OP-1", "product": "thermo"}).status == 201
    csr = run("openssl", "req", "-inform", "DER", "-in",
              world.key_and_csr("OP-1")[1]).stdout
    a = world.rest("POST", "/devices/OP-1/enrol", {"csr": csr})
    assert a.status == 200, a
    assert a.json["device"] == "OP-1" and a.json["index"] > 0
    again = world.rest("POST", "/devices/OP-1/enrol", {"csr": csr})
    assert again.json["certificate"] == a.json["certificate"]


# ---- pages ----

def test_pages_have_everything_once(world):
    made = [f"PG-{i:03d}" for i in range(25)]
    a = world.rest("POST", "/tokens", {"tokens": [
        {"device": d, "product": "thermo"} for d in made]})
    assert a.status == 201, a
    seen, after, pages = [], "", 0
    while True:
        a = world.rest("GET", f"/devices?limit=7&after={after}").json
        seen += [d["id"] for d in a["items"]]
        pages += 1
        assert len(a["items"]) <= 7
        if "next" not in a:
            break
        after = a["next"]
    assert len(seen) == len(set(seen)) and set(made) <= set(seen)
    assert pages >= 4
    page = world.rest("GET", f"/devices?limit={len(seen)}").json
    assert "next" not in page and len(page["items"]) == len(seen)


@pytest.mark.parametrize("query", ["tokens?device=FL-1",
                                   "certificates?device=FL-1",
                                   "devices?product=thermo"])
def test_filters(world, query):
    enrol_once(world, "FL-1")
    items = world.rest("GET", "/" + query).json["items"]
    assert items
    for i in items:
        assert i.get("device", "FL-1") == "FL-1" or "product=" in query


def enrol_once(world, name):
    if world.rest("GET", f"/devices/{name}").status == 404:
        enrol(world, name)


def test_certificates_by_expiry(world):
    enrol_once(world, "FL-1")
    all_ = world.rest("GET", "/certificates?limit=1000").json["items"]
    some = pages(world, "/certificates?expires_from=1970-01-02T00:00:00Z"
                 "&expires_to=2999-01-01T00:00:00Z", world.admin_key, 1000)
    assert {c["serial"] for c in some} == {c["serial"] for c in all_}
    assert [c["not_after"] for c in some] == \
        sorted(c["not_after"] for c in some)
    none = world.rest("GET", "/certificates?expires_to="
                      "1971-01-01T00:00:00Z&expires_from="
                      "1970-01-02T00:00:00Z").json
    assert none["items"] == []


# ---- tokens ----

def test_a_token_has_all_its_forms(world):
    t = world.rest("POST", "/tokens", {
        "device": "TK-1", "product": "thermo", "ttl": "2h"}).json
    assert t["token"].startswith(t["id"][:4])
    assert t["server"] == f"localhost:{world.devices}"
    assert t["uri"].startswith("mintmark:" + t["token"])
    der = subprocess.run(
        f"openssl x509 -in {world.anchor} -noout -pubkey |"
        " openssl pkey -pubin -outform DER | openssl dgst -sha256 -r",
        shell=True, capture_output=True, text=True, check=True).stdout
    assert t["anchor_sha256"] == der.split()[0]
    hash_ = base64.urlsafe_b64encode(
        bytes.fromhex(t["anchor_sha256"])).decode().rstrip("=")
    assert t["uri"].endswith(f"?s={t['server']}&a={hash_}")
    shown = world.rest("GET", f"/tokens/{t['id']}").json
    assert "token" not in shown and shown["state"] == "minted"


def test_bulk_fails_item_by_item(world):
    a = world.rest("POST", "/tokens", {"tokens": [
        {"device": "BK-1", "product": "thermo"},
        {"device": "BK-2", "product": "nosuch"},
        {"device": "BK-3", "product": "thermo"}]})
    assert a.status == 201, a
    good, bad, also = a.json["items"]
    assert good["token"] and also["token"] and "token" not in bad
    assert bad["error"]["type"].startswith("https://mintmark.dev/problems/")


def test_a_thousand_tokens_and_not_one_more(world):
    many = [{"device": f"TH-{i}", "product": "thermo"} for i in range(1001)]
    assert world.rest("POST", "/tokens", {"tokens": many}).status == 400
    a = world.rest("POST", "/tokens", {"tokens": many[:1000]})
    assert a.status == 201
    assert len({t["id"] for t in a.json["items"]}) == 1000


def test_cancel_twice(world):
    t = world.token("CN-1")
    assert world.rest("POST", f"/tokens/{t['id']}/cancel").json["state"] == \
        "cancelled"
    assert world.rest("POST", f"/tokens/{t['id']}/cancel").status in (200,
                                                                      409)


def test_thaw_wants_one_of_two(world):
    t = world.token("TW-1")
    for body in ({}, {"keep": True, "rebind_spki_sha256": "ab" * 32}):
        assert world.rest("POST", f"/tokens/{t['id']}/thaw",
                          body).status == 400


# ---- what the head says ----

@pytest.mark.parametrize("kind, status", [
    ("application/json", 200), ("Application/JSON; charset=utf-8", 200),
    ("application/x-www-form-urlencoded", 415), ("text/plain", 415),
    ("application/jsonx", 415), (None, 415)])
def test_a_body_is_json(world, kind, status):
    head = {"Authorization": f"Bearer {world.admin_key}"}
    if kind:
        head["Content-Type"] = kind
    conn = world.https(world.operators)
    try:
        a = world.ask(conn, "POST", "/api/v1/products", json.dumps(
            {"name": "thermo", "ldevid_profile": "thermo"}), head)
    finally:
        conn.close()
    assert (a.status == 415) == (status == 415), a
    if status == 415:
        assert "application/json" in a.json["detail"]


def test_no_body_needs_no_type(world):
    conn = world.https(world.operators)
    try:
        a = world.ask(conn, "POST", "/api/v1/issuers/issuing/crl", None,
                      {"Authorization": f"Bearer {world.admin_key}"})
    finally:
        conn.close()
    assert a.status == 200, a


def test_two_idempotency_keys_are_one_too_many(world):
    conn = world.https(world.operators)
    body = b'{"name":"i","roles":["line"]}'
    try:
        conn.putrequest("POST", "/api/v1/keys")
        for name, value in (("Authorization", f"Bearer {world.admin_key}"),
                            ("Content-Type", "application/json"),
                            ("Idempotency-Key", "a"),
                            ("Idempotency-Key", "b"),
                            ("Content-Length", str(len(body)))):
            conn.putheader(name, value)
        conn.endheaders(body)
        r = conn.getresponse()
        assert r.status == 400 and b"Idempotency-Key" in r.read()
    finally:
        conn.close()


def test_a_key_that_has_ended_is_not_made(world):
    a = world.rest("POST", "/keys", {"name": "late", "roles": ["line"],
                                     "expires": "2020-01-01T00:00:00Z"})
    assert a.status == 400 and "expires" in a.json["detail"], a
    assert "late" not in [k["name"] for k in
                          world.rest("GET", "/keys").json["items"]]


# ---- Idempotency-Key ----

def once(world, key, body, path="/products"):
    return world.rest("POST", path, body, headers={"Idempotency-Key": key})


def test_the_same_request_again_is_the_same_answer(world):
    body = {"name": "idem", "ldevid_profile": "thermo"}
    a = once(world, "k-1", body)
    b = once(world, "k-1", body)
    assert (a.status, b.status) == (201, 201) and a.body == b.body
    for other in (once(world, "k-1", {**body, "description": "x"}),
                  once(world, "k-1", body, "/devices")):
        assert other.status == 409 and other.json["title"] == "key-used"
        assert "retry-after" not in other.headers
    assert once(world, "k" * 65, body).status == 400


def test_a_failure_is_not_kept(world):
    body = {"name": "idem2", "ldevid_profile": "nosuch"}
    assert once(world, "k-2", body).status >= 400
    good = {"name": "idem2", "ldevid_profile": "thermo"}
    assert once(world, "k-2", good).status == 201


def test_a_secret_is_shown_once(world):
    body = {"device": "ID-1", "product": "thermo"}
    a = once(world, "k-3", body, "/tokens").json
    b = once(world, "k-3", body, "/tokens").json
    assert b == {k: v for k, v in a.items() if k not in ("token", "uri")}
    items = world.rest("GET", "/tokens?device=ID-1").json["items"]
    assert len(items) == 1


def test_at_once_with_one_key_is_one_token(world):
    body = {"device": "ID-2", "product": "thermo"}
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda _: once(world, "k-4", body, "/tokens"),
                            range(8)))
    assert {a.status for a in got} <= {201, 409}
    assert all(a.json["title"] == "in-flight" and a.headers["retry-after"]
               for a in got if a.status == 409)
    assert len([a for a in got if a.status == 201 and "token" in a.json]) == 1
    items = world.rest("GET", "/tokens?device=ID-2").json["items"]
    assert len(items) == 1


# ---- certificates ----

def test_revoke_hold_release(world):
    pem, key = enrol(world, "RV-1")
    serial = serial_of(pem)
    c = world.rest("GET", f"/certificates/{serial}").json
    assert c["device"] == "RV-1" and c["key_origin"] == "device"
    assert c["pem"].strip() == pem.read_text()[
        pem.read_text().index("-----BEGIN"):].strip()
    steps = [("hold", None, "held"), ("release", None, "confirmed"),
             ("revoke", {"reason": "keyCompromise"}, "revoked")]
    assert world.device_call("POST", "/.well-known/mintmark/confirm", b"",
                             cert=pem, key=key).status == 204
    for verb, body, state in steps:
        a = world.rest("POST", f"/certificates/{serial}/{verb}", body)
        assert a.status == 200 and a.json["state"] == state, (verb, a)
    a = world.rest("POST", f"/certificates/{serial}/revoke",
                   {"reason": "keyCompromise"})
    assert a.status == 200 and a.json["already"] is True
    assert world.rest("POST", f"/certificates/{serial}/revoke",
                      {"reason": "boredom"}).status == 400
    assert world.rest("POST", "/certificates/" + "0" * 31 + "1/revoke"
                      ).status == 404
    a = world.device_call("GET", "/.well-known/mintmark/receipt", cert=pem,
                          key=key)
    assert a.status == 403, a


# ---- the CRL ----

def crl_serials(der):
    p = subprocess.run(["openssl", "crl", "-inform", "DER", "-noout",
                        "-text"], input=der, capture_output=True, check=True)
    return p.stdout.decode().lower()


def wait_for(check, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = check()
        if got:
            return got
        time.sleep(0.05)
    raise AssertionError("it did not come to pass")


@pytest.mark.alone
def test_a_revocation_is_on_the_crl_within_five_seconds(world):
    pem, _ = enrol(world, "CR-1")
    serial = serial_of(pem)
    began = time.monotonic()
    world.rest("POST", f"/certificates/{serial}/revoke",
               {"reason": "keyCompromise"})
    wait_for(lambda: serial in crl_serials(
        world.get_public("/crl/issuing.crl").body))
    assert time.monotonic() - began < 5
    out = crl_serials(world.get_public("/crl/issuing.crl").body)
    assert "key compromise" in out


def test_crl_caching(world):
    number = world.rest("POST", "/issuers/issuing/crl").json["number"]
    a = world.get_public("/crl/issuing.crl")
    assert a.status == 200
    assert a.headers["content-type"] == "application/pkix-crl"
    assert a.headers["etag"] == f'"{number}"'
    assert "max-age=" in a.headers["cache-control"]
    assert email.utils.parsedate(a.headers["last-modified"])
    for head in ({"If-None-Match": a.headers["etag"]},
                 {"If-None-Match": f'"x", W/{a.headers["etag"]}'},
                 {"If-Modified-Since": a.headers["last-modified"]}):
        b = world.get_public("/crl/issuing.crl", head)
        assert b.status == 304 and b.body == b"", head
    for shard in (64, 65535):  # a lowered crl_shards loses no address
        assert world.get_public(f"/crl/issuing/{shard}.crl").body == a.body
    conns = [http.client.HTTPConnection("127.0.0.1", world.public)
             for _ in range(20)]
    for conn in conns:
        b = world.ask(conn, "HEAD", "/crl/issuing.crl")
        assert b.headers["content-length"] == str(len(a.body)) and not b.body
        conn.request("GET", "/crl/issuing.crl")
    again = world.rest("POST", "/issuers/issuing/crl").json["number"]
    assert again > number
    for conn in conns:  # what is being written is whole, whatever came since
        assert len(conn.getresponse().read()) == len(a.body)
        b = world.ask(conn, "GET", "/crl/issuing.crl")
        assert b.headers["etag"] == f'"{again}"' and b.body != a.body
        conn.close()
    assert world.rest("POST", "/issuers/nosuch/crl").status == 404


@pytest.mark.parametrize("path", ["/crl/nosuch.crl", "/crl/issuing",
                                  "/crl/issuing/65536.crl",
                                  "/crl/issuing/-1.crl", "/issuer/x.cer",
                                  "/crl/issuing/x.crl", "/api/v1/status"])
def test_public_404(world, path):
    assert world.get_public(path).status == 404


def test_issuer_and_anchor_are_public(world):
    assert world.get_public("/anchor.pem").text.strip() == \
        world.anchor.read_text().strip()
    der = world.get_public("/issuer/issuing.cer").body
    path = world.dir / "issuing.der"
    path.write_bytes(der)
    pem = run("openssl", "x509", "-inform", "DER", "-in", path).stdout
    assert pem.strip() == world.rest("GET", "/issuers").json["items"][0][
        "pem"].strip()


# ---- keys ----

def test_keys(world):
    a = world.rest("POST", "/keys", {"name": "line 3", "roles": ["line"],
                                     "expires": "2099-01-01T00:00:00Z"})
    assert a.status == 201, a
    key, id_ = a.json["key"], a.json["id"]
    assert key.startswith(f"mmk_{id_}_")
    assert world.rest("GET", "/whoami", key=key).json["roles"] == ["line"]
    row = [k for k in world.rest("GET", "/keys").json["items"]
           if k["id"] == id_][0]
    assert row["name"] == "line 3" and "key" not in row
    assert world.rest("POST", f"/keys/{id_}/revoke").status == 200
    assert world.rest("GET", "/whoami", key=key).status == 401


def test_the_last_administrator_stays(world):
    me = world.rest("GET", "/whoami").json["id"]
    assert world.rest("POST", f"/keys/{me}/revoke").status == 403
    assert world.rest("GET", "/whoami").status == 200


# ---- the ledger ----

def test_entries_and_receipts(world):
    enrol_once(world, "LE-1")
    # a page may be short where the machine is busy
    items = wait_for(lambda: world.rest(
        "GET", "/ledger/entries?device=LE-1&"
        "type=certificate.issued").json["items"])
    assert len(items) == 1
    index = items[0]["index"]
    assert items[0]["entry"]["device"] == "LE-1"
    by_index = wait_for(lambda: receipt(world, f"/ledger/receipts/{index}"))
    by_device = world.rest("GET", "/devices/LE-1/receipt").json
    assert by_index["index"] == by_device["index"] == index
    assert json.loads(by_device["entry"])["type"] == "certificate.issued"


def receipt(world, path):
    a = world.rest("GET", path)
    return a.json if a.status == 200 else None


def test_entries_go_page_by_page(world):
    seen, after = [], ""
    while True:
        a = world.rest("GET", "/ledger/entries?limit=5" +
                       (f"&after={after}" if after else "")).json
        seen += [i["index"] for i in a["items"]]
        if "next" not in a or len(seen) > 60:
            break
        after = a["next"]
    assert seen == list(range(len(seen)))


def test_tiles(world):
    note = world.rest("GET", "/ledger/checkpoint", base="")
    assert note.headers["content-type"].startswith("text/plain")
    size = int(note.text.splitlines()[1])
    width = min(size, 256)
    part = "" if width == 256 else f".p/{width}"
    a = world.rest("GET", f"/ledger/tile/0/000{part}", base="")
    assert a.status == 200 and len(a.body) == 32 * width
    assert "immutable" in a.headers["cache-control"]
    b = world.rest("GET", f"/ledger/tile/entries/000{part}", base="")
    at, n = 0, 0
    import hashlib
    while at < len(b.body):
        length = int.from_bytes(b.body[at:at + 2], "big")
        entry = b.body[at + 2:at + 2 + length]
        assert hashlib.sha256(b"\0" + entry).digest() == \
            a.body[32 * n:32 * n + 32]
        at, n = at + 2 + length, n + 1
    assert n == width


def test_ledger_key(world):
    a = world.rest("GET", "/ledger/key")
    assert a.status == 200 and a.text.count("+") >= 2
    note = world.rest("GET", "/ledger/checkpoint").text
    assert a.text.split("+")[0] == note.splitlines()[0]
