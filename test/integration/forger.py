"""Whoever has root on a station: its ledger key and its line CA's, so that
anything can be written that the centre must find out for itself."""
import base64
import datetime
import hashlib
import json
import os
import subprocess
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

import tlog
from world import BUILD

UTC = datetime.timezone.utc


def stamp(at):
    """To the millisecond: a batch may have begun in this very second."""
    ms = int(at * 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(
        ms // 1000)) + f".{ms % 1000:03}Z"


def sha(data):
    return hashlib.sha256(data).hexdigest()


def spki(key):
    return key.public_key().public_bytes(
        serialization.Encoding.DER,
        serialization.PublicFormat.SubjectPublicKeyInfo)


class Forger:
    """like: an export of an honest station, whose certificates and entries
    are what this one's look like; key: the line CA's, opened."""

    def __init__(self, like, ca_pem, ca_key, station, origin):
        lines = [json.loads(x) for x in like.read_text().splitlines()]
        self.head, self.station, self.origin = lines[0], station, origin
        self.entry = next(e for e in (json.loads(x["entry"])
                                      for x in lines[1:-1])
                          if e["type"] == "certificate.issued")
        der = next(base64.b64decode(x["certificate"]) for x in lines
                   if "certificate" in x)
        self.like = x509.load_der_x509_certificate(der)
        self.ca, self.ca_key = x509.load_pem_x509_certificate(ca_pem), ca_key
        self.ledger = ed25519.Ed25519PrivateKey.generate()
        public = b"\1" + self.ledger.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.id = sha(origin.encode() + b"\n" + public)[:8]
        self.key = f"{origin}+{self.id}+{base64.b64encode(public).decode()}"
        self.lines = []
        self.add({"v": 1, "type": "ledger.opened", "at": stamp(time.time()),
                  "time_source": "system", "origin": origin,
                  "key": self.key})

    def add(self, entry, **more):
        self.lines.append({"entry": json.dumps(
            entry, separators=(",", ":")), **more})

    def names(self, device):
        """The honest one's subject, for another device."""
        old = self.entry["device"]
        return x509.Name([x509.NameAttribute(
            a.oid, a.value.replace(old, device)) for a in self.like.subject])

    def certificate(self, device, key, start, end, serial=None, named=None):
        serial = serial or bytes([1]) + os.urandom(15)
        b = x509.CertificateBuilder(
            self.ca.subject, self.names(named or device), key.public_key(),
            int.from_bytes(serial, "big"), start, end)
        for e in self.like.extensions:
            value = e.value
            if isinstance(value, x509.SubjectKeyIdentifier):
                value = x509.SubjectKeyIdentifier(hashlib.sha256(  # RFC 7093
                    key.public_key().public_bytes(
                        serialization.Encoding.X962, serialization
                        .PublicFormat.UncompressedPoint)).digest()[:20])
            b = b.add_extension(value, e.critical)
        return b.sign(self.ca_key, hashes.SHA256()).public_bytes(
            serialization.Encoding.DER)

    def unit(self, device, key=None, at=None, der=None, serial=None,
             named=None, shift=0, proof=True, **changed):
        """A certificate and its entry; shift: seconds of its window."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        shift = datetime.timedelta(seconds=shift)
        old = self.like
        der = der or self.certificate(
            device, key, old.not_valid_before + shift,
            old.not_valid_after + shift, serial, named)
        cert = x509.load_der_x509_certificate(der)
        number = cert.serial_number.to_bytes(16, "big").hex()
        entry = {**self.entry, "at": stamp(at or time.time()),
                 "device": device, "station": self.station,
                 "serial": number, "cert_sha256": sha(der),
                 "spki_sha256": sha(spki(key)),
                 "not_before": stamp(cert.not_valid_before.replace(
                     tzinfo=UTC).timestamp()).replace(".000", ""),
                 "not_after": stamp(cert.not_valid_after.replace(
                     tzinfo=UTC).timestamp()).replace(".000", ""), **changed}
        self.add(entry, certificate=base64.b64encode(der).decode())
        if proof:
            self.prove(device, key, der, number)
        return der

    def prove(self, device, key, der, number):
        nonce, hardware = os.urandom(32), b"1"
        signature = key.sign(b"mintmark-prove" + nonce + hardware +
                             hashlib.sha256(der).digest(),
                             ec.ECDSA(hashes.SHA256()))
        text = json.dumps({"device": device, "nonce": nonce.hex(),
                           "hardware": hardware.hex(), "signature":
                           base64.b64encode(signature).decode()},
                          separators=(",", ":"))
        e = {k: v for k, v in self.entry.items() if k in (
            "v", "at", "time_source", "actor", "batch", "issuer", "result")}
        entry = {"v": 1, "type": "certificate.confirmed", "at":
                 stamp(time.time()), "time_source": e["time_source"],
                 "actor": "station", "authority": "proof", "device": device,
                 "batch": e["batch"], "station": self.station,
                 "issuer": e["issuer"], "serial": number,
                 "detail_sha256": sha(text.encode()), "result": "ok"}
        self.add(entry, proof=text)

    def text(self, lines=None):
        lines = self.lines if lines is None else lines
        hashes_ = [tlog.leaf(x["entry"].encode()) for x in lines]
        note = (f"{self.origin}\n{len(lines)}\n"
                f"{base64.b64encode(tlog.root(hashes_)).decode()}\n")
        sig = base64.b64encode(bytes.fromhex(self.id) + self.ledger.sign(
            note.encode())).decode()
        end = {"size": len(lines), "checkpoint":
               f"{note}\n\N{EM DASH} {self.origin} {sig}\n"}
        head = {**self.head, "station": self.station}
        return "".join(json.dumps(x, ensure_ascii=False) + "\n"
                       for x in [head, *lines, end])

    def write(self, path, lines=None):
        path.write_text(self.text(lines), encoding="utf-8")
        return path


def opened(path, passphrase):
    """A sealed key, as its owner opens it."""
    der = subprocess.run([BUILD / "test/unit/signer/unseal", path,
                          passphrase], check=True, capture_output=True).stdout
    return serialization.load_der_private_key(der, None)
