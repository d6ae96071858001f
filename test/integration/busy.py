"""A CA that has done everything once: every type of entry that a test can
bring about without breaking in, and a record in every state.  Honest, so that
"ledger reconcile" has nothing to say of it."""
import base64
import contextlib
import resource
import sqlite3
import time

from receiver import Receiver
from test_four_eyes import glass
from test_operators import by_cert, id_of, key, person, register
from test_webhooks import add_conf
from world import World, faketime, serial_of, until

PROFILES = """
profile "factory" {
	kind = "idevid"
	issuer = "issuing"
	lifetime = "10y"
	bearer = true
}
profile "trusting" {
	issuer = "issuing"
	lifetime = "10d"
	bearer = true
	confirm = issue
}
profile "strict" {
	issuer = "issuing"
	lifetime = "10d"
	bearer = true
	revoke_superseded = true
}
"""
SCHEMA = {"properties": {"hw_rev": {"type": "string", "maxLength": 8,
                                    "x-indexed": True},
                         "lot": {"type": "integer"}}}
EST = "/.well-known/est/"
PKCS10 = {"Content-Type": "application/pkcs10"}


class Busy:
    """w: the world.  certs: {name: (certificate, key, request)}."""

    def __init__(self):
        self.w = World(profile="\tbearer = true\n\tserverkeygen = true",
                       extra=PROFILES)
        self.certs, self.tokens = {}, {}

    def ok(self, method, path, body=None, status=(200, 201), **more):
        a = self.w.rest(method, path, body, **more)
        assert a.status in status, (method, path, a)
        return a.json

    def until(self, what, seconds=60):
        until(what, seconds, told=lambda: self.w.log()[-3000:])

    def entries(self, of):
        got = self.ok("GET", f"/ledger/entries?limit=1000&type={of}")
        return [i["entry"] for i in got["items"]]

    # ---- certificates ----

    def token(self, name, **more):
        self.tokens[name] = self.ok("POST", "/tokens", {
            "device": name, "product": "thermo", "door": "bearer", **more})
        return self.tokens[name]

    def enrol(self, name, token=None, label="", csr=None, **more):
        k, own = self.w.key_and_csr(name, cn=more.pop("cn", None),
                                    kind=more.pop("kind", "p256"))
        a = self.w.enrol_basic(token or self.token(name, **more), csr or own,
                               label=label)
        if a.status == 200:
            self.certs[name] = (self.w.save_p7(a, name), k, own)
        return a

    def confirm(self, name):
        pem, k, _ = self.certs[name]
        a = self.w.device_call("POST", "/.well-known/mintmark/confirm",
                               cert=pem, key=k)
        assert a.status == 204, (name, a)

    def renew(self, name, new, label=""):
        pem, k, _ = self.certs[name]
        k2, csr = self.w.key_and_csr(new, cn=name)
        a = self.w.device_call(
            "POST", f"{EST}{label + '/' if label else ''}simplereenroll",
            base64.encodebytes(csr.read_bytes()), PKCS10, pem, k)
        assert a.status == 200, (name, a)
        self.certs[new] = (self.w.save_p7(a, new), k2, csr)

    def change(self, name, *verbs, **body):
        serial = serial_of(self.certs[name][0])
        for verb in verbs:
            self.ok("POST", f"/certificates/{serial}/{verb}", body)

    def certificates(self):
        for n in ("PLAIN", "CONFIRMED", "HELD", "REVOKED", "RELEASED",
                  "RENEWED", "AGAIN", "LATE"):
            assert self.enrol(n).status == 200, n
        for n in ("CONFIRMED", "RENEWED"):
            self.confirm(n)
        self.change("HELD", "hold")
        self.change("REVOKED", "revoke", reason="keyCompromise")
        self.confirm("RELEASED")
        self.change("RELEASED", "hold", "release")
        self.renew("RENEWED", "RENEWED-2")
        self.renew("RENEWED", "RENEWED-3")  # in the place of the second
        self.confirm("RENEWED-3")
        # of an unconfirmed one: held and revoked with its predecessor
        self.renew("CONFIRMED", "CONFIRMED-2")
        self.change("CONFIRMED", "hold", "release", "hold", "revoke")
        self.others()

    def others(self):
        w = self.w
        assert self.enrol("FACTORY", label="factory",
                          profile="factory").status == 200
        pem, k, _ = self.certs["FACTORY"]
        own = w.key_and_csr("FACTORY-2", cn="FACTORY")
        a = w.device_call("POST", EST + "simpleenroll",
                          base64.encodebytes(own[1].read_bytes()), PKCS10,
                          pem, k)
        assert a.status == 200, a
        assert self.enrol("TRUSTING", label="trusting", profile="trusting",
                          product="trust").status == 200
        assert self.enrol("STRICT", label="strict", profile="strict",
                          product="strict").status == 200
        self.confirm("STRICT")
        self.renew("STRICT", "STRICT-2", "strict")
        self.confirm("STRICT-2")
        a = w.enrol_basic(self.token("SERVERKEY"),
                          w.key_and_csr("SERVERKEY")[1], path="serverkeygen")
        assert a.status == 200, a
        csr = base64.b64encode(w.key_and_csr("BYHAND")[1].read_bytes())
        self.ok("POST", "/devices", {"id": "BYHAND", "product": "thermo"})
        self.ok("POST", "/devices/BYHAND/enrol", {"csr": csr.decode()})

    def states_of_tokens(self):
        self.token("MINTED")
        self.token("HANDSHAKE", door="handshake")
        self.token("CANCELLED")
        self.ok("POST", f"/tokens/{self.tokens['CANCELLED']['id']}/cancel",
                {})
        for n in ("FROZEN", "THAWED", "PROVED", "REBOUND"):
            assert self.enrol(n).status == 200
            a = self.w.enrol_basic(self.tokens[n], self.w.key_and_csr(
                n + "-other", cn=n)[1])
            assert a.status in (403, 409), a
        self.ok("POST", f"/tokens/{self.tokens['REBOUND']['id']}/thaw",
                {"rebind_spki_sha256": "ab" * 32})
        self.confirm("PROVED")
        for n in ("THAWED", "PROVED"):
            self.ok("POST", f"/tokens/{self.tokens[n]['id']}/thaw",
                    {"keep": True})
        self.token("BOUND", bound_spki_sha256="cd" * 32)
        self.token("EXPIRED", ttl="1s")
        time.sleep(1.1)
        a = self.enrol("EXPIRED", self.tokens["EXPIRED"])
        assert a.status == 403, a
        self.ok("POST", "/tokens", {"tokens": [
            {"device": f"MANY-{i % 40}", "product": "thermo"}
            for i in range(80)]})

    # ---- products and devices ----

    def products(self):
        self.ok("POST", "/products", {
            "name": "thermo", "ldevid_profile": "thermo",
            "idevid_profile": "factory", "description": "first"})
        for name in ("trust", "strict"):
            self.ok("POST", "/products", {"name": name, "ldevid_profile":
                    {"trust": "trusting"}.get(name, name)})
        for name in ("meter", "bare"):
            self.ok("POST", "/products", {"name": name,
                                          "ldevid_profile": "thermo"})
            self.ok("PUT", f"/products/{name}/schema", SCHEMA)
        self.ok("PUT", "/products/meter/schema",
                {"properties": {**SCHEMA["properties"],
                                "grade": {"type": "string"}}})
        self.ok("DELETE", "/products/bare/schema")
        self.ok("PUT", "/products/bare", {"ldevid_profile": "strict",
                                          "description": "second"})

    def devices(self):
        w = self.w
        table = w.dir / "devices.csv"
        table.write_text("id,product,hw_rev,lot\n" + "".join(
            f"IMP-{i},meter,A{i % 3},{i}\n" for i in range(300)))
        for _ in range(2):  # the second finds all there
            w.cli("device", "import", table)
        self.ok("PUT", "/devices/imp-1", {"product": "meter", "attributes":
                                          {"hw_rev": "B1"}})
        self.ok("PATCH", "/devices/IMP-2", {"attributes": {"lot": 99}})
        self.ok("PATCH", "/devices/IMP-3", {"bound_spki_sha256": "ef" * 32})
        assert self.enrol("MOVED").status == 200
        self.ok("PUT", "/devices/MOVED", {"product": "trust"})
        self.ok("POST", "/devices", {"id": "ONCE", "product": "trust"},
                headers={"Idempotency-Key": "once"})
        assert self.enrol("RETIRED").status == 200
        self.ok("POST", "/devices/RETIRED/retire", {})

    # ---- operators ----

    def operators(self):
        w = self.w
        self.ada = key(w, "Ada", roles=["admin"])
        key(w, "Line", roles=["line"], products=["thermo"],
            expires="2099-01-01T00:00:00Z", description="third hall")
        for name, what in (("Gone", "revoke"), ("Forgotten", "erase")):
            one = id_of(key(w, name, roles=["operator"]))
            self.ok("POST", f"/keys/{one}/{what}", {}, status=(200, 204))
        crt, pem = person(w, "card")
        assert register(w, "Card", crt).status == 201
        new, new_key = person(w, "card-2")
        a = by_cert(w, crt, pem, "POST", "/whoami/renew",
                    {"certificate": new.read_text()})
        assert a.status == 200, a
        assert by_cert(w, new, new_key).status == 200
        assert by_cert(w, *glass(w, "glass")).status == 200

    def four_eyes(self):
        new = {"name": "Carol", "roles": ["admin"]}
        asked = [self.ok("POST", "/keys", new, status=(202,))["approval"]
                 for _ in range(4)]
        for a in asked[:2]:
            self.ok("POST", f"/approvals/{a}/approve", {}, key=self.ada)
        self.ok("POST", "/keys", new,
                headers={"Mintmark-Approval": asked[0]})
        self.ok("POST", f"/approvals/{asked[2]}/refuse", {}, key=self.ada)

    def webhooks(self):
        with Receiver() as good, Receiver(lambda d: 410) as bad:
            made = [self.ok("POST", "/webhooks", {"url": url})["id"]
                    for url in [good.url()] * 4 + [bad.url()]]
            for i, verbs in enumerate((["pause"], ["pause", "resume"],
                                       ["rotate"])):
                for verb in verbs:
                    self.ok("POST", f"/webhooks/{made[i]}/{verb}", {})
            self.ok("POST", f"/webhooks/{made[2]}/replay", {"from": 1})
            self.ok("PUT", f"/webhooks/{made[1]}", {
                "url": good.url(), "description": "changed"})
            self.ok("DELETE", f"/webhooks/{made[3]}")
            for _ in range(2):
                self.ok("POST", "/authorise/rotate", {})
            self.until(lambda: self.entries("webhook.disabled"))

    # ---- what goes wrong ----

    def signed(self, device):
        """Whether the signer made a certificate for it."""
        text = (self.w.state / "signer/journal.jsonl").read_text()
        return any(f'"{device}"' in line for line in text.splitlines()
                   if '"kind":"certificate"' in line)

    def enrol_without_disk(self, device, token):
        """The limit ends who passes it: the server, at its next write."""
        server = self.w.children()["server"]
        was = resource.prlimit(server, resource.RLIMIT_FSIZE)
        resource.prlimit(server, resource.RLIMIT_FSIZE, (0, was[1]))
        try:
            a = self.enrol(device, token)
            assert a.status == 503, a
        except (OSError, EOFError):
            pass
        self.w.wait_ready()

    def orphan(self):
        """Signed, while the database could not be written.  A write of the
        server's own can come before the signature: then once more."""
        token = self.token("ORPHAN")
        for _ in range(20):
            self.enrol_without_disk("ORPHAN", token)
            if self.signed("ORPHAN"):
                break
        self.until(lambda: self.entries("signature.orphaned"))

    def do_all(self):
        w = self.w
        add_conf(w, "webhook_deny_private", "false")
        w.start()
        self.products()
        self.certificates()
        self.states_of_tokens()
        self.devices()
        self.operators()
        self.webhooks()
        w.cli("ca", "crl", "issuing")
        with contextlib.closing(sqlite3.connect(
                w.state / "server/mintmark.db")) as db:
            self.checkpoint = db.execute("SELECT size, note FROM checkpoint"
                                         ).fetchone()
        self.orphan()
        assert w.stop() == 0
        add_conf(w, "four_eyes", "{bulk-thaw}")
        w.edit("\tlifetime = \"3d\"\n\tversion = 3", "")
        w.start()
        self.four_eyes()
        assert self.enrol("NEXT", label="").status == 200
        w.stop()
        return self

    def days_later(self):
        """Approvals end, and those long closed are forgotten."""
        w = self.w
        w.start(env=faketime("+26h"))
        self.until(lambda: len(self.entries("approval.expired")) >= 2)
        w.stop()
        return self
