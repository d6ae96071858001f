"""Every kind of authority at every door, in every bad shape: all refused.

The doors are the server's own list of routes, so that a new one is in here
from its first day.  A cell is one request, which must not be answered 2xx, and
all of them together must leave nothing behind: no certificate, no token spent,
no key made.  What is good is then shown to be good, where it may.

The cast is made first; then the server goes on two hours later, when what was
short-lived has expired.
"""
import base64
import http.client
import json
import os

import pytest

from cast import CERTS, TOKENS, Cast, Line
from routes import API, from_documentation, from_server
from tokens import http_request, token_request
from world import World, free_ports, serial_of

ROUTES = from_server()
REFUSED = (400, 401, 403, 409)
OPEN = {"cacerts", "csrattrs", "healthz", "readyz"}  # for everybody
ROLES = ("admin", "operator", "line", "support", "auditor", "metrics")


def last(path):
    return path.rsplit("/", 1)[1]


def doors(listener):
    return [(m, p) for at, m, p in ROUTES if at == listener]


DEVICE = [(m, p) for m, p in doors("devices") if last(p) not in OPEN]
OPERATOR = [(m, p) for m, p in doors("operators") if last(p) not in OPEN]
# what stands for ":" after a word, there and not there
NAMES = {"est": ("thermo", "nosuch"), "profiles": ("thermo", "nosuch"),
         "products": ("thermo", "nosuch"), "devices": ("M-1", "NOSUCH"),
         "tokens": ("{token}", "mm1-00000000000000000000"),
         "certificates": ("{serial}", "0" * 32),
         "issuers": ("issuing", "nosuch"), "keys": ("{key}", "0" * 16),
         "webhooks": ("wh_0000000000000000", "nosuch"),
         "batches": ("nosuch", "nosuch"), "stations": ("nosuch", "nosuch"),
         "dead-letters": ("0", "nosuch"), "quarantine": ("0", "nosuch"),
         "configurations": ("M-1", "NOSUCH"),
         "groups": ("old", "nosuch"), "waiting": ("M-1", "NOSUCH"),
         "approvals": ("0" * 16, "0" * 16),
         "receipts": ("0", "999999"), "tile": ("0/000", "9/999")}


def fill(path, there=True, **values):
    """A route's pattern as a request's path."""
    out = []
    for s in path.split("/"):
        out.append(NAMES[out[-1]][not there] if s in (":", "*") else s)
    return "/".join(out).format(**values)


@pytest.fixture(scope="module")
def cast():
    w = World(profile="\tbearer = true\n\tserverkeygen = true",
              extra=Cast.PROFILES)
    root = os.geteuid() == 0  # else another test CA stands for it
    other = World(profile="\tbearer = true", production=root,
                  users=("nobody", "games") if root else None)
    try:
        other.start().product()
        (w.legacy,) = free_ports(1)
        w.set_conf("legacy_listen", f'"127.0.0.1:{w.legacy}"')
        w.start()
        c = Cast(w, other)
        other.stop()
        c.two_hours_later()
        c.before = c.state()
        yield c
    finally:
        w.close()
        other.close()


def body_for(path, csr):
    """(body, content type) of a good request at a device's door."""
    der = base64.b64encode(csr.read_bytes())
    if path.startswith("/api"):
        return json.dumps({"csr": der.decode()}).encode(), "application/json"
    if last(path) in ("confirm", "receipt", "renewal", "config"):
        return b"", None
    return der, "application/pkcs10"


def at_doors(line, csr, may=(), head=None, doors=DEVICE):
    """[(path, answer)] of one who comes to every door that is not his."""
    out = []
    for method, path in doors:
        if last(path) in may:
            continue
        body, ctype = body_for(path, csr)
        headers = {**(head or {}), **({"Content-Type": ctype} if ctype
                                      else {})}
        out.append((path, line.ask(method, fill(path), body
                                   if method == "POST" else None, headers)))
    assert out or may
    return out


def all_refused(got, allowed=REFUSED):
    bad = [(p, a) for p, a in got if a.status not in allowed]
    assert not bad, bad


# ---- the list itself ----

def test_every_route_is_documented_with_its_roles():
    documented = from_documentation()
    assert set(ROUTES) == set(documented)
    for door, roles in ROUTES.items():
        if door[0] != "operators" or last(door[2]) in OPEN:
            assert not roles, door
            continue
        who = set(documented[door].split(", "))
        assert roles == (set(ROLES) - {"metrics"} if who == {"any"} else who), \
            door
        assert roles, f"{door}: open to all"


# ---- devices listener: HTTP authentication ----

HEADERS = {
    "none": None,
    "empty": "Basic ",
    "not base64": "Basic ???",
    "no colon": "Basic " + base64.b64encode(b"mm1-").decode(),
    "an API key": "Bearer {admin}",
    "an API key as Basic": "Basic {admin64}",
    "another scheme": "Digest username=x",
    "unknown id": "Basic " + base64.b64encode(
        b"mm1-" + b"0" * 20 + b":" + b"0" * 32).decode(),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_devices_without_a_right_credential(cast, kind):
    key = cast.w.admin_key
    value = HEADERS[kind]
    head = {} if value is None else {"Authorization": value.format(
        admin=key, admin64=base64.b64encode(f"x:{key}".encode()).decode())}
    with Line(cast.w) as line:
        all_refused(at_doors(line, cast.csr("M-1"), head=head))


@pytest.mark.parametrize("kind", TOKENS)
def test_a_token_by_basic_that_may_not(cast, kind):
    device, may, reason = TOKENS[kind]
    with Line(cast.w) as line:
        got = at_doors(line, cast.csr(device), may,
                       {"Authorization": cast.basic(kind)})
    all_refused(got)
    says(got, "simpleenroll", reason)


def says(got, door, reason):
    """The refusal has the reason that it should have, at the door where what
    came would be right if it were not what it is."""
    for path, a in got:
        if reason and last(path) == door and "/:" not in path:
            assert reason in a.text, (path, reason, a)


# ---- devices listener: a token's handshake ----

HANDSHAKES = {k: v for k, v in TOKENS.items()
              if k not in ("for the handshake", "wrong secret",
                           "of a production CA")}


@pytest.mark.parametrize("kind", HANDSHAKES)
def test_a_token_by_handshake_that_may_not(cast, kind):
    device, may, reason = HANDSHAKES[kind]
    got = []
    for method, path in DEVICE:
        if last(path) in may:
            continue
        body, ctype = body_for(path, cast.csr(device))
        request = http_request(method, fill(path), body if method == "POST"
                               else b"", **({"Content_Type": ctype} if ctype
                                            else {}))
        out = token_request(cast.w.devices, cast.tokens[kind], request)[1]
        got.append((path, cast.answer(out)))
    all_refused(got)
    says(got, "simpleenroll", reason)


@pytest.mark.parametrize("version", ["1.3", "1.2"])
def test_a_token_of_another_world_has_no_handshake(cast, version):
    """A production CA's at a test CA; a test CA's at a production CA."""
    alert = {"1.3": "alert number 47", "1.2": "alert number 20"}[version]
    get = http_request("GET", "/.well-known/est/cacerts")
    out, err = token_request(cast.w.devices,
                             cast.tokens["of a production CA"], get,
                             version)[1:]
    assert not out and alert in err, (out, err)
    cast.other.start()
    try:
        out, err = token_request(cast.other.devices, cast.tokens["good"], get,
                                 version)[1:]
        assert not out and alert in err, (out, err)
        with Line(cast.other) as line:
            all_refused(at_doors(line, cast.csr("M-1"), head={
                "Authorization": cast.basic("good")}), (400, 401))
        # and its own is not refused for being that
        out = token_request(cast.other.devices, cast.other_token, get,
                            version)[1]
        assert b"200 OK" in out
    finally:
        cast.other.stop()


def test_a_handshake_and_a_header_are_two_authorities(cast):
    for method, path in DEVICE:
        body, ctype = body_for(path, cast.csr("T-good"))
        if method == "GET":
            continue  # refused as all GETs by a token are
        out = token_request(cast.w.devices, cast.tokens["good"], http_request(
            method, fill(path), body, Authorization=cast.basic("good"),
            **({"Content_Type": ctype} if ctype else {})))[1]
        assert cast.answer(out).status == 400, (path, out)


# ---- devices listener: certificates ----

@pytest.mark.parametrize("kind", CERTS)
def test_a_certificate_that_may_not(cast, kind):
    device, may, reason = CERTS[kind]
    with Line(cast.w, *cast.certs[kind]) as line:
        got = at_doors(line, cast.csr(device), may)
    all_refused(got, (400, 403))
    door = "simpleenroll" if "IDevID" in kind or kind.startswith("old") \
        else "simplereenroll"
    says(got, door, reason)


def test_the_certificate_of_one_with_the_request_of_another(cast):
    with Line(cast.w, *cast.certs["good"]) as line:
        got = at_doors(line, cast.csr("M-5"), ("confirm", "receipt",
                                               "renewal", "config"))
    all_refused(got, (403,))
    says(got, "simplereenroll", "names-differ-from-certificate")


@pytest.mark.parametrize("kind", CERTS)
def test_a_certificate_beside_the_token_of_another(cast, kind):
    if CERTS[kind][0] == "T-good":
        pytest.skip("its own")
    with Line(cast.w, *cast.certs[kind]) as line:
        all_refused(at_doors(line, cast.csr("T-good"), head={
            "Authorization": cast.basic("good")}), (400, 403))


# ---- operators listener ----

KEYS = {
    "none": None,
    "empty": "Bearer ",
    "garbage": "Bearer mmk_x",
    "unknown": "Bearer mmk_0123456789abcdef_" + "A" * 43,
    "wrong secret": "Bearer {wrong}",
    "expired": "Bearer {expired}",
    "revoked": "Bearer {revoked}",
    "of a production CA": "Bearer {production}",
    "as Basic": "Basic {basic}",
    "without a scheme": "{admin}",
    "a token": "Bearer {token}",
    "a token as Basic": "{token_basic}",
    "one and another": "Bearer {admin}, Bearer {admin}",
}


def ask_operators(cast, line, head, there=True, doors=OPERATOR):
    names = {"token": cast.token_id("good"), "key": cast.admin_id,
             "serial": serial_of(cast.certs["good"][0])}
    out = []
    for method, path in doors:
        where = fill(path, there, **names)
        body = b"{}" if method in ("POST", "PUT", "PATCH") else None
        a = line.ask(method, where, body, {
            **head, **({"Content-Type": "application/json"} if body else {})})
        out.append(((method, path), a))
    return out


@pytest.mark.parametrize("kind", KEYS)
def test_operators_without_a_right_key(cast, kind):
    value = KEYS[kind]
    head = {} if value is None else {
        "Authorization": value.format(**cast.keys)}
    with Line(cast.w, port=cast.w.operators) as line:
        all_refused(ask_operators(cast, line, head), (401,))


def test_operators_with_a_key_twice_or_elsewhere(cast):
    """Not in the query, not in a cookie; HEAD is no way round."""
    key = cast.w.admin_key
    with Line(cast.w, port=cast.w.operators) as line:
        for path in (f"/status?access_token={key}", f"/status?key={key}"):
            assert line.ask("GET", API + path).status == 401, path
        for head in ({"Cookie": f"key={key}"}, {"X-Api-Key": key}):
            assert line.ask("GET", API + "/status", None,
                            head).status == 401, head
        heads = [("HEAD", p) for m, p in OPERATOR if m == "GET"]
        all_refused(ask_operators(cast, line, {}, doors=heads), (401,))


@pytest.mark.parametrize("role", ROLES)
def test_operators_with_a_role_that_may_not(cast, role):
    """And what it may is not refused for the role: the names are of nothing,
    so that nothing happens."""
    head = {"Authorization": "Bearer " + cast.keys[role]}
    shut = [(m, p) for m, p in OPERATOR
            if role not in ROUTES["operators", m, p]]
    with Line(cast.w, port=cast.w.operators) as line:
        all_refused(ask_operators(cast, line, head, doors=shut), (403,))
        allowed = [d for d in OPERATOR if d not in shut]
        assert len(allowed) + len(shut) == len(OPERATOR) and allowed
        all_refused(ask_operators(cast, line, head, there=False,
                                  doors=allowed), (200, 400, 404))


@pytest.mark.parametrize("kind", ["good", "good IDevID"])
def test_a_device_certificate_is_no_operator(cast, kind):
    with Line(cast.w, *cast.certs[kind], port=cast.w.operators) as line:
        all_refused(ask_operators(cast, line, {}), (401,))


@pytest.mark.parametrize("version", ["1.3", "1.2"])
def test_operators_take_no_token_handshake(cast, version):
    """1.3 would go on with the server's certificate, which is no login."""
    out, err = token_request(
        cast.w.operators, cast.tokens["good"],
        http_request("GET", API + "/status"), version)[1:]
    assert not out or b"HTTP/1.1 401" in out, (out, err)


# ---- one listener's doors at another's ----

def elsewhere(names, others):
    """Doors of some listeners that another does not have by itself."""
    here = {(m, p) for at in others for m, p in doors(at)}
    return [d for d in names if d not in here]


def test_the_devices_listener_has_none_of_the_operators_doors(cast):
    head = {"Authorization": f"Bearer {cast.w.admin_key}"}
    for cert in ((), cast.certs["good"]):
        with Line(cast.w, *cert) as line:
            all_refused(ask_operators(cast, line, head, doors=elsewhere(
                OPERATOR, ["devices"])), (404, 405))


def test_the_operators_listener_has_none_of_the_devices_doors(cast):
    for head in ({}, {"Authorization": cast.basic("good")},
                 {"Authorization": f"Bearer {cast.w.admin_key}"}):
        with Line(cast.w, *cast.certs["good"],
                  port=cast.w.operators) as line:
            all_refused(at_doors(line, cast.csr("T-good"), head=head),
                        (404, 405))


def test_the_public_listener_has_none_of_both(cast):
    head = {"Authorization": f"Bearer {cast.w.admin_key}"}
    with Line(cast.w, port=cast.w.public, plain=True) as line:
        all_refused(at_doors(line, cast.csr("T-good"), head={
            "Authorization": cast.basic("good")}), (404, 405))
        all_refused(ask_operators(cast, line, head), (404, 405))


def test_the_legacy_listener_lets_nobody_in(cast):
    """None who is good, or bad, elsewhere; and has none of the others'
    doors."""
    enrols = [d for d in doors("legacy") if last(d[1]) == "simpleenroll"]
    others = elsewhere(DEVICE, ["legacy"])
    for pair in [(), *cast.certs.values()]:
        with Line(cast.w, *pair, port=cast.w.legacy) as line:
            all_refused(at_doors(line, cast.csr("M-1"), doors=enrols), (403,))
            all_refused(at_doors(line, cast.csr("M-1"), doors=others),
                        (404, 405))
    # what is there is the same for everybody
    for pair in ((), cast.certs["good"]):
        with Line(cast.w, *pair, port=cast.w.legacy) as line:
            all_refused(ask_operators(cast, line, {}), (404, 405))
    for head in ({"Authorization": cast.basic("good")},
                 {"Authorization": f"Bearer {cast.w.admin_key}"}):
        with Line(cast.w, port=cast.w.legacy) as line:
            all_refused(at_doors(line, cast.csr("T-good"), head=head,
                                 doors=enrols), (403,))
    out, err = token_request(
        cast.w.legacy, cast.tokens["good"],
        http_request("GET", "/.well-known/est/cacerts"))[1:]
    assert not out, (out, err)


def test_no_tls_listener_speaks_plainly(cast):
    for port in (cast.w.devices, cast.w.operators, cast.w.legacy):
        with Line(cast.w, port=port, plain=True) as line:
            with pytest.raises((http.client.HTTPException, OSError)):
                a = line.ask("GET", API + "/status", None, {
                    "Authorization": f"Bearer {cast.w.admin_key}"})
                assert a.status == 400, a
                raise OSError


# ---- afterwards: these two in this order, last ----

def test_nothing_has_come_of_all_this(cast):
    assert cast.state() == cast.before


def test_what_is_good_is_good(cast):
    """Or all that was refused above might have been refused for nothing."""
    for product in cast.w.rest("GET", "/products").json["items"]:
        cast.w.rest("PUT", f"/products/{product['name']}/configuration",
                    {"template": "{}"})
    for kind, (device, may, _) in CERTS.items():
        for door in may:
            method, path = next(d for d in DEVICE if last(d[1]) == door)
            with Line(cast.w, *cast.certs[kind]) as line:
                # of an old one's devices the key is claimed once
                a = at_doors(line, cast.csr(device, fresh="old" not in kind),
                             doors=[(method, path)])[0][1]
            assert a.status in (200, 204), (kind, door, a)
    by_basic = next(d for d in DEVICE if last(d[1]) == "simpleenroll")
    with Line(cast.w) as line:
        a = at_doors(line, cast.csr("T-good"), doors=[by_basic], head={
            "Authorization": cast.basic("good")})[0][1]
    assert a.status == 200, a
    a = cast.w.rest("GET", "/metrics", key=cast.keys["metrics"], base="")
    assert a.status == 200, a
    for role in set(ROLES) - {"metrics"}:
        a = cast.w.rest("GET", "/whoami", key=cast.keys[role])
        assert a.status == 200 and a.json["roles"] == [role], a
