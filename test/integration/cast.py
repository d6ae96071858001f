"""Whoever comes to the doors of test_matrix.py: devices, tokens and keys in
every state that they can be in."""
import base64
import datetime
import http.client

from fleet import Comer, Fleet, listed, make
from world import Answer, basic_of, faketime, run, serial_of

CONFIRM = "/.well-known/mintmark/confirm"
REENROL = "/.well-known/est/simplereenroll"
PKCS10 = {"Content-Type": "application/pkcs10"}

# kind: (device, doors that it may pass, the reason to be told at the door
# that it could pass if it were good)
CERTS = {
    "good": ("M-1", {"simplereenroll", "confirm", "receipt", "config",
                      "renewal"}, None),
    "good IDevID": ("M-1", {"simpleenroll", "serverkeygen", "enrol",
                            "confirm", "receipt", "renewal", "config"}, None),
    "revoked": ("M-2", (), "certificate-revoked"),
    "held": ("M-3", (), "certificate-revoked"),
    "of a retired device": ("M-4", (), "certificate-revoked"),
    "expired": ("M-6", (), "certificate-expired"),
    "expired, within the grace": ("M-7", {"simplereenroll", "renewal"},
                                  None),
    "superseded": ("M-8", (), "clone-suspected"),
    "successor of a stolen one": ("M-9", (), "certificate-revoked"),
    "revoked IDevID": ("M-10", (), "certificate-revoked"),
    "held IDevID": ("M-11", (), "certificate-revoked"),
    "expired IDevID": ("M-12", (), "certificate-expired"),
    "self-signed": ("M-1", (), "certificate-unknown"),
    "of an old maker's CA": ("M-1", (), "certificate-unknown"),
    "of a CA that has our name": ("M-1", (), "certificate-unknown"),
    "of a production CA": ("M-1", (), "certificate-unknown"),
    "the server's own": ("M-1", (), "certificate-unknown"),
    "old, of an open group": ("B-1", {"simpleenroll", "enrol"}, None),
    "old, for another device": ("B-9", (), "device-not-of-the-group"),
    "old, of a closed group": ("B-2", (), "group-closed"),
    "old, expired": ("B-3", (), "old-credential-expired"),
    "old, of one that is over": ("B-4", (), "old-credential-superseded"),
    "old, of a CA of that name": ("B-1", (), "credential-refused"),
}
TOKENS = {
    "good": ("T-good", {"simpleenroll", "serverkeygen", "enrol"}, None),
    "cancelled": ("T-cancelled", (), "token-cancelled"),
    "expired": ("T-expired", (), "token-expired"),
    "not yet valid": ("T-early", (), "token-not-yet-valid"),
    "frozen": ("T-frozen", (), "token-used-with-another-key"),
    "used by its key": ("T-used", (), "already-confirmed"),
    "used by another key": ("T-other", (), "token-used-with-another-key"),
    "bound to another key": ("T-bound", (), "token-bound-to-another-key"),
    "of a retired device": ("T-retired", (), "device-retired-or-unknown"),
    "for the handshake": ("T-handshake", (), "token-needs-handshake"),
    "wrong secret": ("T-good", (), "credential-refused"),
    "of a production CA": ("T-good", (), "credential-refused"),
}


class Line:
    """A kept connection to one listener, as somebody."""

    def __init__(self, w, cert=None, key=None, port=None, plain=False):
        self.w = w
        self.conn = http.client.HTTPConnection(
            "127.0.0.1", port, timeout=30) if plain else \
            w.https(port or w.devices, cert, key)

    def ask(self, method, path, body=None, headers=None):
        try:
            return self.w.ask(self.conn, method, path, body, headers)
        except http.client.RemoteDisconnected:
            self.conn.close()  # it was closed after the last answer
            return self.w.ask(self.conn, method, path, body, headers)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.conn.close()


class Cast:
    PROFILES = "".join(f'''
profile "{name}" {{
	issuer = "issuing"
	bearer = true
	jitter_percent = 0
	{more}
}}
''' for name, more in {
        "factory": 'kind = "idevid"\n\tlifetime = "10y"',
        "brief-factory": 'kind = "idevid"\n\tlifetime = "30m"',
        "brief": 'lifetime = "30m"',
        "graced": 'lifetime = "30m"\n\tgrace = "10d"'}.items())
    PRODUCTS = {"thermo": ("thermo", "factory"),
                "brief": ("brief", "brief-factory"),
                "graced": ("graced", "")}

    def __init__(self, w, other):
        self.w, self.other = w, other
        self.certs, self.tokens, self.csrs = {}, {}, {}
        for name, (ldevid, idevid) in self.PRODUCTS.items():
            a = w.rest("POST", "/products", {
                "name": name, "ldevid_profile": ldevid,
                **({"idevid_profile": idevid} if idevid else {})})
            assert a.status == 201, a
        self.make_devices()
        self.make_strangers()
        self.make_old_ones()
        self.make_tokens()
        self.make_keys()

    # ---- devices ----

    def device(self, kind, product="thermo", profile=None, w=None):
        """One that has its certificate and has proved it."""
        w = w or self.w
        name = CERTS[kind][0]
        file = kind.replace(" ", "-").replace("'", "")
        t = w.token(name, door="bearer", product=product,
                    **({"profile": profile} if profile else {}))
        key, csr = w.key_and_csr(file)
        a = w.enrol_basic(t, csr, label=profile or product)
        assert a.status == 200, a
        self.certs[kind] = w.save_p7(a, file), key
        self.confirm(*self.certs[kind], w=w)
        return self.certs[kind]

    def confirm(self, cert, key, w=None):
        a = (w or self.w).device_call("POST", CONFIRM, b"", cert=cert,
                                      key=key)
        assert a.status == 204, a

    def renew(self, cert, key, name):
        """The successor, not proved yet."""
        key2, csr = self.w.key_and_csr(f"{name}-next", cn=name)
        a = self.w.device_call("POST", REENROL, base64.b64encode(
            csr.read_bytes()), PKCS10, cert=cert, key=key)
        assert a.status == 200, a
        return self.w.save_p7(a, f"{name}-next"), key2

    def withdraw(self, cert, how="revoke", **body):
        a = self.w.rest("POST", f"/certificates/{serial_of(cert)}/{how}",
                        body)
        assert a.status == 200, a

    def make_devices(self):
        self.device("good")
        self.device("good IDevID", profile="factory")
        self.withdraw(self.device("revoked")[0], reason="keyCompromise")
        self.withdraw(self.device("held")[0], "hold")
        self.device("of a retired device")
        assert self.w.rest("POST", "/devices/M-4/retire").status == 200
        self.device("expired", "brief")
        self.device("expired, within the grace", "graced")
        self.confirm(*self.renew(*self.device("superseded"), "M-8"))
        stolen = self.device("successor of a stolen one")
        self.certs["successor of a stolen one"] = self.renew(*stolen, "M-9")
        self.withdraw(stolen[0], reason="keyCompromise")
        self.withdraw(self.device("revoked IDevID", profile="factory")[0],
                      reason="keyCompromise")
        self.withdraw(self.device("held IDevID", profile="factory")[0],
                      "hold")
        self.device("expired IDevID", "brief", "brief-factory")

    # ---- who is none of ours ----

    def self_signed(self, name, subject, *more):
        key, cert = self.w.dir / f"{name}.key", self.w.dir / f"{name}.crt"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-subj", subject, "-days",
            "10", "-keyout", key, "-out", cert, *more)
        return cert, key

    def signed(self, ca, name):
        """M-1's own names and serial, by a CA of somebody else."""
        key, csr = self.w.key_and_csr(name, cn="M-1")
        cert = self.w.dir / f"{name}.crt"
        run("openssl", "x509", "-req", "-inform", "DER", "-in", csr, "-CA",
            ca[0], "-CAkey", ca[1], "-set_serial", "0x" +
            serial_of(self.certs["good"][0]), "-days", "10", "-out", cert)
        return cert, key

    def make_strangers(self):
        ours = run("openssl", "x509", "-in", self.w.etc / "issuing.crt",
                   "-noout", "-subject", "-nameopt", "RFC2253").stdout
        parts = ours.strip().split("=", 1)[1].replace("\\,", "\0").split(",")
        name = "/" + "/".join(reversed(parts)).replace("\0", ",")
        self.certs["self-signed"] = self.self_signed(
            "self", "/CN=M-1/serialNumber=M-1")
        self.certs["of an old maker's CA"] = self.signed(
            self.self_signed("old", "/O=Old Maker/CN=Device CA"), "old-1")
        self.certs["of a CA that has our name"] = self.signed(
            self.self_signed("namesake", name), "namesake-1")
        self.certs["the server's own"] = (self.w.state / "server/tls.crt",
                                          self.w.state / "server/tls.key")
        self.device("of a production CA", w=self.other)

    # ---- old certificates, of bootstrap groups ----

    def make_old_ones(self):
        fleet, like = Fleet(self.w), Fleet(self.w)
        self.certs["old, of a CA of that name"] = like.leaf()
        for kind in ("of an open group", "for another device",
                     "of one that is over", "of a closed group"):
            self.certs[f"old, {kind}"] = fleet.leaf()
        self.certs["old, expired"] = fleet.leaf("B-3", -900, -400)
        here = [{"device": f"B-{n}", "address": "127.0.0.1"}
                for n in (1, 3, 4)]
        make(self.w, "old", [fleet.ca])
        listed(self.w, "old", *here)
        make(self.w, "gone", [self.certs["old, of a closed group"][0]],
             "certificates")
        listed(self.w, "gone", {**here[0], "device": "B-2"})
        assert self.w.rest("POST", "/groups/gone/close").status == 200
        over = Comer(self.w, "B-4", self.certs["old, of one that is over"])
        over.confirm(over.come())

    # ---- tokens ----

    def make_tokens(self):
        w = self.w
        more = {"expired": {"ttl": "60s"},
                "not yet valid": {"not_before": "2090-01-01T00:00:00Z"},
                "bound to another key": {"bound_spki_sha256": "ab" * 32},
                "for the handshake": {"door": "handshake"}}
        for kind, (device, _, _) in TOKENS.items():
            if kind not in ("wrong secret", "of a production CA"):
                self.tokens[kind] = w.token(device, **{
                    "door": "bearer", **more.get(kind, {})})["token"]
        a = w.rest("POST", f"/tokens/{self.token_id('cancelled')}/cancel")
        assert a.status == 200, a
        assert w.rest("POST", "/devices/T-retired/retire").status == 200
        for kind in ("frozen", "used by its key", "used by another key"):
            self.use(kind)
        key, csr = w.key_and_csr("thief")
        assert self.enrol("frozen", csr).status == 409
        self.tokens["wrong secret"] = self.tokens["good"]
        self.other_token = self.tokens["of a production CA"] = \
            self.other.token("T-good", door="bearer")["token"]

    def enrol(self, kind, csr):
        return self.w.enrol_basic({"token": self.tokens[kind]}, csr)

    def use(self, kind):
        device = TOKENS[kind][0]
        key, csr = self.w.key_and_csr(device)
        a = self.enrol(kind, csr)
        assert a.status == 200, a
        if kind != "frozen":
            self.confirm(self.w.save_p7(a, device), key)
        if kind == "used by its key":
            self.csrs[device] = csr

    def token_id(self, kind):
        return basic_of(self.tokens[kind])[0]

    def basic(self, kind):
        user, secret = basic_of(self.tokens[kind])
        if kind == "wrong secret":
            secret = ("1" if secret[0] != "1" else "2") + secret[1:]
        return "Basic " + base64.b64encode(f"{user}:{secret}".encode()
                                           ).decode()

    # ---- operators ----

    def key(self, name, roles, **more):
        a = self.w.rest("POST", "/keys", {"name": name, "roles": roles,
                                          **more})
        assert a.status == 201, a
        return a.json

    def make_keys(self):
        admin = self.w.admin_key
        self.admin_id = admin.split("_")[1]
        soon = datetime.datetime.now(datetime.timezone.utc) + \
            datetime.timedelta(hours=1)
        gone = self.key("gone", ["admin"])
        a = self.w.rest("POST", f"/keys/{gone['id']}/revoke")
        assert a.status == 200, a
        self.keys = {
            "admin": admin, "revoked": gone["key"],
            "wrong": admin[:-2] + ("AA" if admin[-2:] != "AA" else "BA"),
            "expired": self.key("brief", ["admin"], expires=soon.strftime(
                "%Y-%m-%dT%H:%M:%SZ"))["key"],
            "production": self.other.admin_key,
            "basic": base64.b64encode(f"x:{admin}".encode()).decode(),
            "token": self.tokens["good"], "token_basic": self.basic("good"),
            **{role: self.key(role, [role])["key"] for role in (
                "operator", "line", "support", "auditor", "metrics")}}
        # not wrong but in what it should be wrong
        assert self.w.rest("GET", "/whoami",
                           key=self.keys["expired"]).status == 200

    # ---- what they need ----

    def csr(self, device, fresh=False):
        """A request with the device's own name; the same one every time."""
        if device not in self.csrs or fresh:
            self.csrs[device] = self.w.key_and_csr(
                f"ask-{device}-{len(self.csrs)}-{fresh}", cn=device)[1]
        return self.csrs[device]

    def answer(self, out):
        """Of raw bytes."""
        assert out.startswith(b"HTTP/1.1 "), out
        head, _, body = out.partition(b"\r\n\r\n")
        return Answer(int(head.split(b" ")[1]), {}, body)

    def two_hours_later(self):
        self.w.stop()
        self.w.start(env=faketime("+2h"))
        # that its time is over is entered when it is seen first
        assert self.enrol("expired", self.csr("T-expired")).status == 403

    def state(self):
        """All that a request could have changed, but when a credential was
        used last: one that is refused for its role has been."""
        out = {}
        for what, key in (("certificates", "serial"), ("tokens", "id"),
                          ("devices", "id"), ("keys", "id"),
                          ("products", "name"), ("approvals", "id"),
                          ("webhooks", "id")):
            a = self.w.rest("GET", f"/{what}?limit=1000")
            assert a.status == 200 and "next" not in a.json, a
            items = a.json["items"]
            for i in items:
                i.pop("used", None)
            out[what] = {i[key]: i.get("state", i) for i in items}
        return out
