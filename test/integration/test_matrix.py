"""Every kind of authority at every door, in every bad shape: all refused.

Each cell is a request that must not be answered 2xx, and must not leave a
certificate: the table says how it should be refused.
"""
import base64

import pytest

from tokens import http_request, token_request
from world import World, run, serial_of

REFUSED = (400, 401, 403, 404, 405, 409)
EST = "/.well-known/est/"
DEVICE_DOORS = [
    ("POST", EST + "simpleenroll"), ("POST", EST + "simplereenroll"),
    ("POST", EST + "serverkeygen"), ("POST", EST + "thermo/simpleenroll"),
    ("POST", EST + "thermo/simplereenroll"),
    ("POST", "/.well-known/mintmark/confirm"),
    ("POST", "/api/v1/enrol"), ("GET", "/.well-known/mintmark/receipt"),
]
OPERATOR_DOORS = [
    ("GET", "/status"), ("GET", "/whoami"), ("GET", "/products"),
    ("POST", "/products"), ("PUT", "/products/thermo"), ("GET", "/profiles"),
    ("GET", "/devices"), ("POST", "/devices"), ("GET", "/devices/M-1"),
    ("POST", "/devices/M-1/retire"), ("POST", "/devices/M-1/enrol"),
    ("GET", "/devices/M-1/receipt"), ("GET", "/tokens"), ("POST", "/tokens"),
    ("POST", "/tokens/mm1-00000000000000000000/cancel"),
    ("POST", "/tokens/mm1-00000000000000000000/thaw"),
    ("GET", "/certificates"), ("POST", "/certificates/{serial}/revoke"),
    ("POST", "/certificates/{serial}/hold"), ("GET", "/issuers"),
    ("POST", "/issuers/issuing/crl"), ("GET", "/keys"), ("POST", "/keys"),
    ("POST", "/keys/0000000000000000/revoke"), ("GET", "/ledger/checkpoint"),
    ("GET", "/ledger/entries"), ("GET", "/ledger/receipts/0"),
]
# what each role may do; all else must be 403
ROLES = {
    "operator": {"GET", "products", "devices", "tokens", "certificates",
                 "issuers"},
    "line": {"GET", "devices", "tokens"},
    "support": {"GET"},
    "auditor": {"GET"},
}
ONLY = {"keys": {"admin"}, "ledger": {"admin", "auditor"}}


class Cast:
    """One of each: devices with certificates in every state."""

    def __init__(self, w):
        self.w = w
        self.good = self.device("M-1")
        self.revoked = self.device("M-2")
        a = w.rest("POST", f"/certificates/{serial_of(self.revoked[0])}"
                   "/revoke", {"reason": "keyCompromise"})
        assert a.status == 200, a
        self.held = self.device("M-3")
        assert w.rest("POST", f"/certificates/{serial_of(self.held[0])}/hold"
                      ).status == 200
        self.retired = self.device("M-4")
        assert w.rest("POST", "/devices/M-4/retire").status == 200
        self.foreign = self.self_signed("M-1")
        self.csr = w.key_and_csr("fresh", cn="M-1")[1]

    def device(self, name):
        t = self.w.token(name, door="bearer")
        key, csr = self.w.key_and_csr(name)
        a = self.w.enrol_basic(t, csr)
        assert a.status == 200, a
        pem = self.w.save_p7(a, name)
        a = self.w.device_call("POST", "/.well-known/mintmark/confirm", b"",
                               cert=pem, key=key)
        assert a.status == 204, a
        return pem, key

    def self_signed(self, name):
        """Another CA's: the same names, a chain that is not ours."""
        d = self.w.dir
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-subj",
            f"/CN={name}/serialNumber={name}", "-days", "10", "-keyout",
            d / "foreign.key", "-out", d / "foreign.crt")
        return d / "foreign.crt", d / "foreign.key"


@pytest.fixture(scope="module")
def cast():
    w = World(profile="\tbearer = true\n\tserverkeygen = true")
    try:
        w.start().product()
        yield Cast(w)
    finally:
        w.close()


def body_for(cast, path):
    if path.startswith("/api"):
        csr = base64.b64encode(cast.csr.read_bytes()).decode()
        return ('{"csr":"%s"}' % csr).encode(), "application/json"
    if "est" in path:
        return base64.b64encode(cast.csr.read_bytes()), "application/pkcs10"
    return b"", None


BASIC = {
    "none": None,
    "empty": "Basic ",
    "not base64": "Basic ???",
    "no colon": "Basic " + base64.b64encode(b"mm1-").decode(),
    "unknown": "Basic " + base64.b64encode(
        b"mm1-" + b"0" * 20 + b":" + b"0" * 32).decode(),
    "api key": "Bearer {admin}",
    "api key as basic": "Basic {admin64}",
    "other scheme": "Digest username=x",
}


@pytest.mark.parametrize("method, path", DEVICE_DOORS)
@pytest.mark.parametrize("kind", BASIC)
def test_devices_without_a_right_credential(cast, method, path, kind):
    value = BASIC[kind]
    head = {}
    body, ctype = body_for(cast, path)
    if ctype:
        head["Content-Type"] = ctype
    if value is not None:
        head["Authorization"] = value.format(
            admin=cast.w.admin_key, admin64=base64.b64encode(
                f"x:{cast.w.admin_key}".encode()).decode())
    a = cast.w.device_call(method, path, body if method == "POST" else None,
                           head)
    assert a.status in REFUSED, (path, kind, a)


CERTS = {
    "another ca's": ("foreign", set()),
    "revoked": ("revoked", set()),
    "held": ("held", set()),
    "of a retired device": ("retired", set()),
    # a good one: only what it is for
    "good": ("good", {EST + "simplereenroll", EST + "thermo/simplereenroll",
                      "/.well-known/mintmark/confirm",
                      "/.well-known/mintmark/receipt"}),
}


@pytest.mark.parametrize("method, path", DEVICE_DOORS)
@pytest.mark.parametrize("kind", CERTS)
def test_devices_with_a_certificate_that_may_not(cast, method, path, kind):
    who, may = CERTS[kind]
    if path in may:
        pytest.skip("this one may")
    cert, key = getattr(cast, who)
    body, ctype = body_for(cast, path)
    head = {"Content-Type": ctype} if ctype else {}
    a = cast.w.device_call(method, path, body if method == "POST" else None,
                           head, cert=cert, key=key)
    assert a.status in REFUSED, (path, kind, a)


def test_a_token_of_one_with_the_certificate_of_another(cast):
    t = cast.w.token("M-9", door="bearer")
    from world import basic_of
    user, secret = basic_of(t["token"])
    head = {"Authorization": "Basic " + base64.b64encode(
                f"{user}:{secret}".encode()).decode(),
            "Content-Type": "application/pkcs10"}
    body, _ = body_for(cast, "est")
    a = cast.w.device_call("POST", EST + "simpleenroll", body, head,
                           cert=cast.good[0], key=cast.good[1])
    assert a.status == 403, a


def fill(cast, path):
    return path.replace("{serial}", serial_of(cast.good[0]))


KEYS = {
    "none": "", "garbage": "mmk_x", "unknown":
    "mmk_0123456789abcdef_" + "A" * 43, "wrong secret": None,
}


@pytest.mark.parametrize("method, path", OPERATOR_DOORS)
@pytest.mark.parametrize("kind", KEYS)
def test_operators_without_a_key(cast, method, path, kind):
    key = KEYS[kind]
    if key is None:
        last = cast.w.admin_key[-1]
        key = cast.w.admin_key[:-1] + ("A" if last != "A" else "B")
    a = cast.w.rest(method, fill(cast, path), {} if method != "GET" else None,
                    key=key)
    assert a.status == 401, (path, kind, a)


@pytest.fixture(scope="module")
def role_keys(cast):
    out = {}
    for role in ROLES:
        a = cast.w.rest("POST", "/keys", {"name": role, "roles": [role]})
        assert a.status == 201, a
        out[role] = a.json["key"]
    return out


@pytest.mark.parametrize("method, path", OPERATOR_DOORS)
@pytest.mark.parametrize("role", ROLES)
def test_operators_with_a_role_that_may_not(cast, role_keys, method, path,
                                            role):
    noun = path.split("/")[1]
    may = role in ONLY.get(noun, {role}) and \
        (method == "GET" or noun in ROLES[role])
    if may:
        pytest.skip("this role may")
    a = cast.w.rest(method, fill(cast, path), {} if method != "GET" else None,
                    key=role_keys[role])
    assert a.status == 403, (path, role, a)


def test_a_device_certificate_is_no_operator(cast):
    conn = cast.w.https(cast.w.operators, *cast.good)
    a = cast.w.ask(conn, "GET", "/api/v1/status")
    assert a.status == 401, a


def test_a_token_connection_reaches_only_what_tokens_may(cast):
    t = cast.w.token("M-10")
    for method, path in [("POST", EST + "simplereenroll"),
                         ("POST", "/.well-known/mintmark/confirm"),
                         ("GET", "/.well-known/mintmark/receipt")]:
        body, ctype = body_for(cast, path)
        req = http_request(method, path, body if method == "POST" else b"",
                           **({"Content_Type": ctype} if ctype else {}))
        out = token_request(cast.w.devices, t["token"], req)[1]
        status = int(out.split()[1])
        assert status in REFUSED, (path, out[:300])


def test_nothing_was_issued_by_any_of_this(cast):
    a = cast.w.rest("GET", "/certificates?limit=1000")
    assert len(a.json["items"]) == 4, a.json["items"]
