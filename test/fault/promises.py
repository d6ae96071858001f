"""Checks the eight promises of docs/architecture.md from outside: the API, the
devices' own doors, and the files that an auditor may read.

A Witness is told what devices asked and were answered while something was
broken under them; check() then asks the server, the ledger and the journal.
Its devices ask for a name that is not theirs; some of them, the veterans, have
a certificate and renew it meanwhile.
"""
import base64
import json
import os
import pathlib

from cryptography.x509.oid import ExtensionOID

import keys
from world import MINT, faketime, run

SUBJECT_ALTERNATIVE_NAME = ExtensionOID.SUBJECT_ALTERNATIVE_NAME
PROFILE = "\tbearer = true\n\tserverkeygen = true"
EST = "/.well-known/est/"
# RFC 5480 2.1.1: everything of a P-256 key's SubjectPublicKeyInfo before the
# point
SPKI_HEAD = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703"
                          "4200")


def spki_in(der):
    """The public key of a request, or of anything that holds one P-256 key."""
    at = der.index(SPKI_HEAD)
    return der[at:at + len(SPKI_HEAD) + 65]


class Certificate:
    """What a certificate says, read by others."""

    def __init__(self, pem):
        self.pem = pem
        cert = keys.load(pem)
        self.serial = keys.serial_of(pem)
        self.subject = keys.subject(cert)
        self.names_more = any(e.oid == SUBJECT_ALTERNATIVE_NAME
                              for e in cert.extensions)
        self.spki = keys.spki(cert.public_key())


class Witness:
    def __init__(self, world):
        self.world = world
        self.token = {}     # device -> token's JSON
        self.csr = {}       # device -> path of its request
        self.answers = {}   # device -> set of bodies it was given
        self.veteran = {}   # device -> its first certificate and key
        self.proved = {}    # veteran -> its second certificate and key
        self.server_made = 0

    # ---- devices ----

    def enlist(self, names):
        """Devices with tokens; their requests ask for somebody else's name."""
        w = self.world
        for n in names:
            self.csr[n] = w.key_and_csr(n, cn=f"root-{n}.example.com")[1]
        made = w.rest("POST", "/tokens", {"tokens": [
            {"device": n, "product": "thermo", "door": "bearer"}
            for n in names]})
        assert made.status == 201, made
        self.token.update({i["device"]: i for i in made.json["items"]})
        return names

    def veterans(self, names):
        """Devices that have proved a certificate and renew it from now on."""
        w = self.world
        for n in self.enlist(names):
            a = w.enrol_basic(self.token[n], self.csr[n])
            assert a.status == 200, (n, a)
            old = w.save_p7(a, f"{n}-first"), w.dir / f"{n}.key"
            assert self.proves(*old).status == 204
            self.veteran[n] = old
            self.csr[n] = w.key_and_csr(f"{n}-second", cn=n)[1]
        return names

    def ask(self, name):
        """The device's request, first or again: a renewal or a first claim."""
        if name not in self.veteran:
            return self.world.enrol_basic(self.token[name], self.csr[name])
        cert, key = self.veteran[name]
        return self.world.device_call(
            "POST", EST + "simplereenroll", base64.b64encode(
                self.csr[name].read_bytes()),
            {"Content-Type": "application/pkcs10"}, cert=cert, key=key)

    def proves(self, cert, key):
        return self.world.device_call("POST", "/.well-known/mintmark/confirm",
                                      b"", cert=cert, key=key)

    def got(self, device, answer):
        assert answer.status in (200, 409, 503), (device, answer)
        if answer.status == 200:
            self.answers.setdefault(device, set()).add(answer.body)
        if answer.status == 503:
            assert answer.headers.get("retry-after"), answer

    # ---- what is on record ----

    def certificates(self, device):
        a = self.world.rest("GET", f"/certificates?device={device}&limit=100")
        assert a.status == 200, a
        return a.json["items"]

    def journal(self, *kinds):
        text = (self.world.state / "signer/journal.jsonl").read_text()
        lines = [json.loads(s) for s in text.splitlines()]
        return [x for x in lines if x["kind"] in kinds]

    def entries(self):
        """serial -> the ledger's entry of its issue."""
        out, after = {}, ""
        while after is not None:
            a = self.world.rest("GET", f"/ledger/entries?limit=1000{after}")
            assert a.status == 200, a
            out.update({i["entry"]["serial"]: i["entry"]
                        for i in a.json["items"] if i["entry"]["type"] in
                        ("certificate.issued", "certificate.renewed")})
            after = f"&after={a.json['next']}" if "next" in a.json else None
        return out

    # ---- the promises ----

    def check(self):
        """All eight; raises AssertionError.  May be called again."""
        have = {n: self.same_again(n) for n in self.csr
                if n not in self.proved}
        made = self.made_by_the_server()
        rows = {c.serial: self.row(c) for c in [*have.values(), made]}
        for name, cert in have.items():
            self.is_the_devices(name, cert, rows[cert.serial])
        self.records_agree(rows)
        for name in self.veteran:
            self.old_until_proved(name, have.get(name))
        return self.reconciled()

    def same_again(self, name):
        """3: the same bytes for the same key, however often; 4: who was
        refused has lost nothing and is given one now."""
        bodies = self.answers.get(name, set())
        assert len(bodies) <= 1, f"{name}: {len(bodies)} answers"
        a = self.ask(name)
        assert a.status == 200, (name, a)
        assert not bodies or {a.body} == bodies, name
        self.answers[name] = {a.body}
        return Certificate(self.world.save_p7(a, f"check-{name}"))

    def row(self, cert):
        """1: what was released is on record."""
        a = self.world.rest("GET", f"/certificates/{cert.serial}")
        assert a.status == 200, (cert.serial, a)
        return a.json

    def is_the_devices(self, name, cert, row):
        """1: one certificate, the device's; 6: of the key that it made; 7:
        with the name that the server knows, and no other."""
        assert row["device"] == name
        live = {c["serial"] for c in self.certificates(name)
                if c["state"] in ("issued", "confirmed")}
        first = {Certificate(self.veteran[name][0]).serial} \
            if name in self.veteran else set()
        assert live == {cert.serial} | first, (name, live)
        assert cert.spki == spki_in(self.csr[name].read_bytes()), name
        assert row["key_origin"] == "device", row
        assert cert.subject == [("serialNumber", name), ("CN", name),
                                ("O", "Acme, Inc.")], cert.subject
        assert not cert.names_more, name

    def made_by_the_server(self):
        """6: a key that was not made on the device is on record as that."""
        w = self.world
        self.server_made += 1
        name = f"SERVER-MADE-{self.server_made}"
        csr = w.key_and_csr(name)[1]
        a = w.enrol_basic(w.token(name, door="bearer"), csr,
                          path="serverkeygen")
        assert a.status == 200, a
        boundary = a.headers["content-type"].split("boundary=")[1]
        key, p7 = [base64.b64decode(part.split(b"\r\n\r\n")[1]) for part in
                   a.body.split(b"--" + boundary.encode())[1:3]]
        pem = w.dir / f"{name}.crt"
        pem.write_text(keys.certificates(p7))
        public = keys.spki(keys.private(key).public_key())
        cert = Certificate(pem)
        assert cert.spki == public != spki_in(csr.read_bytes())
        assert self.row(cert)["key_origin"] == "server"
        return cert

    def records_agree(self, rows):
        """1, 6: record and ledger say the same of each; 8: none was given out
        that the journal has not."""
        self.world.cli("ledger", "checkpoint")
        entries = self.entries()
        lines = {x["serial"] for x in self.journal("certificate",
                                                   "recovered")}
        for serial, row in rows.items():
            entry = entries[serial]
            for field in ("device", "key_origin", "profile", "issuer"):
                assert entry[field] == row[field], (field, entry, row)
            assert serial in lines, f"{serial} is not in the journal"

    def old_until_proved(self, name, cert):
        """5: the old certificate works until the new one is proved, and no
        longer.  Every other device proves its new one here."""
        old = self.veteran[name]
        if name not in self.proved:
            assert self.proves(*old).status == 204, f"{name}: old one is dead"
            if len(self.proved) > len(self.veteran) // 2:
                return
            new = cert.pem, self.world.dir / f"{name}-second.key"
            a = self.proves(*new)
            assert a.status == 204, (name, a)
            self.proved[name] = new
        assert self.proves(*self.proved[name]).status == 204, name
        a = self.proves(*old)
        assert a.status == 403 and "superseded" in a.text, (name, a)

    def reconciled(self):
        """1, 2: every entry and tile; every signature in all records."""
        w = self.world
        key = w.dir / "ledger.key"
        key.write_text(w.cli("ledger", "key").stdout)
        w.cli("ledger", "verify", "--key", key, "--keep", w.dir / "kept")
        # an hour later nothing can be on its way any more
        p = run(MINT, "--json", "ledger", "reconcile", "--config", w.conf,
                check=False, env={**os.environ, **faketime("+1h")})
        assert p.returncode in (0, 9), p.stderr
        out = json.loads(p.stdout)
        assert out["agree"], out
        return out

    def nothing_is_signed(self, names):
        """8, while journal or ledger cannot be written: devices and operators
        get 503, and the journal has no more certificates or lists."""
        kinds = ("certificate", "crl")
        for _ in range(50):  # a list's line is short: some may still fit
            a = self.world.rest("POST", "/issuers/issuing/crl")
            if a.status == 503:
                break
        before = self.journal(*kinds)
        for n in names:
            a = self.ask(n)
            assert a.status == 503, (n, a)
            self.got(n, a)
        a = self.world.rest("POST", "/issuers/issuing/crl")
        assert a.status == 503, a
        more = self.journal(*kinds)[len(before):]
        assert not more, f"signed meanwhile: {more}"
