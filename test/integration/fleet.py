"""An old fleet: a CA of somebody else, certificates of it, and devices that
come with them for an identity of their own."""
import base64
import datetime
import hashlib
import http.client
import json
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

import keys
from world import until

DAY = datetime.timedelta(days=1)
PEM = serialization.Encoding.PEM


def name_of(cn, serial=None):
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, cn)] if cn else []
    if serial:
        parts.append(x509.NameAttribute(NameOID.SERIAL_NUMBER, serial))
    return x509.Name(parts)


def sha256(pem):
    return x509.load_pem_x509_certificate(pem.read_bytes()).fingerprint(
        hashes.SHA256()).hex()


class Fleet:
    brings = ()

    def __init__(self, world, cn="Old Maker Device CA", bits=None):
        """bits: an RSA key of so many, and SHA-1 in what it signs."""
        self.w, self.n = world, 0
        Fleet.made = getattr(Fleet, "made", 0) + 1
        self.ca_key = rsa.generate_private_key(65537, bits) if bits else \
            ec.generate_private_key(ec.SECP256R1())
        self.hash = hashes.SHA1() if bits else hashes.SHA256()
        self.ca_name = name_of(cn)
        self.cn = cn.replace(" ", "-") + f"-{Fleet.made}"
        self.ca = self.save("ca", self.sign(
            self.ca_name, self.ca_key.public_key(), -3000, 3000, True))

    def below(self, cn):
        """A fleet whose CA this one's has signed; leaves bring that along."""
        f = Fleet(self.w, cn)
        f.ca = f.save("sub", self.sign(
            f.ca_name, f.ca_key.public_key(), -3000, 3000, True))
        f.brings = [f.ca]
        return f

    def revoke(self, *certs, days=-1, **more):
        """The CA's revocation list, PEM; over long ago."""
        now = datetime.datetime.now(datetime.timezone.utc)
        b = (x509.CertificateRevocationListBuilder()
             .issuer_name(more.get("name", self.ca_name))
             .last_update(now + days * DAY)
             .next_update(now + (days + 0.5) * DAY))
        for c in certs:
            b = b.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(
                    x509.load_pem_x509_certificate(c.read_bytes())
                    .serial_number).revocation_date(now - 5 * DAY).build())
        for e in more.get("extensions", ()):
            b = b.add_extension(e, True)
        self.n += 1
        path = self.w.dir / f"{self.cn}-{self.n}.crl"
        path.write_bytes(b.sign(self.ca_key, hashes.SHA256()
                                ).public_bytes(PEM))
        return path

    def sign(self, name, public, start, end, ca=False, hash_=None):
        now = datetime.datetime.now(datetime.timezone.utc)
        b = (x509.CertificateBuilder().subject_name(name)
             .issuer_name(self.ca_name).public_key(public)
             .serial_number(x509.random_serial_number())
             .not_valid_before(now + start * DAY)
             .not_valid_after(now + end * DAY))
        if ca:
            b = b.add_extension(x509.BasicConstraints(True, None), True)
        return b.sign(self.ca_key, hash_ or self.hash)

    def save(self, name, cert, key=None):
        path = self.w.dir / f"{self.cn}-{name}.pem"
        path.write_bytes(cert.public_bytes(PEM) + b"".join(
            p.read_bytes() for p in self.brings))
        if key is None:
            return path
        kpath = self.w.dir / f"{self.cn}-{name}.key"
        kpath.touch(0o600)
        kpath.write_bytes(key.private_bytes(
            PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()))
        return path, kpath

    def leaf(self, cn="old-device", start=-100, end=100, bits=None, **more):
        """(certificate, key) of the old CA."""
        self.n += 1
        key = rsa.generate_private_key(65537, bits) if bits else \
            ec.generate_private_key(ec.SECP256R1())
        cert = self.sign(name_of(cn), key.public_key(), start, end, **more)
        return self.save(f"leaf{self.n}", cert, key)


class Comer:
    """A device that comes with an old certificate and a new key."""

    def __init__(self, world, device, old, serial=None):
        self.w, self.device, self.old = world, device, old
        self.private = keys.KINDS["p256"]()
        self.csr = x509.CertificateSigningRequestBuilder().subject_name(
            name_of(device, serial)).sign(self.private, hashes.SHA256()
                                          ).public_bytes(keys.DER)
        self.spki = hashlib.sha256(keys.spki(self.private.public_key())
                                   ).hexdigest()

    def come(self, path="/.well-known/est/simpleenroll", old=None):
        return self.w.device_call(
            "POST", path, base64.b64encode(self.csr),
            {"Content-Type": "application/pkcs10"}, *(old or self.old))

    def come_by_json(self):
        """As firmware without an EST client does."""
        return self.w.device_call(
            "POST", "/api/v1/enrol", json.dumps(
                {"csr": base64.b64encode(self.csr).decode()}),
            {"Content-Type": "application/json"}, *self.old)

    def come_weakly(self, port=None, source=None):
        return self.ask_weakly(port, "POST", "/.well-known/est/simpleenroll",
                               base64.b64encode(self.csr),
                               {"Content-Type": "application/pkcs10"}, source)

    def ask_weakly(self, port, method, path, body=None, head=None,
                   source=None):
        """As a client whose OpenSSL allows what is long out of use."""
        ctx = ssl.create_default_context(cafile=str(self.w.anchor))
        ctx.set_ciphers("DEFAULT@SECLEVEL=0")
        if self.old[0]:
            ctx.load_cert_chain(*self.old)
        conn = http.client.HTTPSConnection(
            "localhost", port or self.w.devices, context=ctx, timeout=30,
            source_address=(source, 0) if source else None)
        try:
            return self.w.ask(conn, method, path, body, head)
        finally:
            conn.close()

    def confirm(self, answer):
        assert answer.status == 200, answer
        cert = self.w.save_p7(answer, f"new-{self.device}-{self.spki[:8]}")
        key = self.w.dir / f"new-{self.device}-{self.spki[:8]}.key"
        key.touch(0o600)
        key.write_bytes(self.private.private_bytes(
            PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()))
        a = self.w.device_call("POST", "/.well-known/mintmark/confirm",
                               cert=cert, key=key)
        assert a.status == 204, a
        return cert, key


def make(world, id_, old, kind="ca", opened=True, **more):
    body = {"id": id_, "product": "thermo", "kind": kind, "quantity": 100,
            "until": "2096-01-01T00:00:00Z",
            "certificates": [p.read_text() for p in old], **more}
    a = world.rest("POST", "/groups", body)
    assert a.status == 201, a
    if opened:
        assert world.rest("POST", f"/groups/{id_}/open").status == 200
    return id_


def listed(world, group, *rows):
    a = world.rest("POST", f"/groups/{group}/devices", {"devices": [
        {"device": r} if isinstance(r, str) else r for r in rows]})
    assert a.status == 200, a
    return a.json


def approve(world, group, comer, how="approve"):
    return world.rest("POST", f"/groups/{group}/waiting/{comer.device}/{how}",
                      {"spki_sha256": comer.spki})


def why(world, device, reason):
    """Waits until the attempt log says so."""
    return until(lambda: [i for i in world.rest(
        "GET", f"/devices/{device}/attempts").json["attempts"]
        if i["reason"] == reason])
