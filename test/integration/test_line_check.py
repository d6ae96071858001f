"""What a station made offline, checked without believing it: the tree, what
was seen before, and each unit."""
import base64
import datetime
import hashlib
import json
import shutil
import struct

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from test_offline import centre, station  # noqa: F401
from world import MINT, run


NO_USE = dict.fromkeys((
    "digital_signature", "key_cert_sign", "crl_sign", "content_commitment",
    "key_encipherment", "data_encipherment", "key_agreement",
    "encipher_only", "decipher_only"), False)
KEY_CERT_SIGN = x509.KeyUsage(
    **{**NO_USE, "digital_signature": True, "key_cert_sign": True})


class Check:
    def __init__(self, station, share=3):
        self.station, self.path = station, station.dir / "copy.jsonl"
        station.takes(share=share)
        self.orders = [station.dir / "order-1.json"]
        shutil.copy(station.dir / "order.json", self.orders[0])

    def make(self, *serials):
        for serial in serials:
            self.station.plug()
            self.station.passes(serial)
            self.station.unplug()
            self.station.blank(1)
        return self

    def export(self):
        return [json.dumps(x) for x in self.station.export()]

    def check(self, lines, *more, orders=None, key=None):
        """(exit status, objects that were printed, words)"""
        self.path.write_text("".join(x + "\n" for x in lines))
        p = run(MINT, "--json", "line", "check", self.path,
                *(self.orders if orders is None else orders), "--key",
                key or self.station.ledger_key, *more, check=False)
        out = [json.loads(x) for x in p.stdout.splitlines() if x[0] == "{"]
        return p.returncode, out, p.stdout + p.stderr

    def faults(self, lines, **more):
        code, out, words = self.check(lines, **more)
        assert code == 3, words
        return [(x["device"], x["fault"]) for x in out if "fault" in x]


@pytest.fixture
def checked(station):  # noqa: F811
    return Check(station).make("SN-01", "SN-02")


def test_a_good_one(checked, tmp_path):
    lines = checked.export()
    keep = tmp_path / "keep"
    for _ in range(2):  # twice the same: nothing new, nothing wrong
        code, out, words = checked.check(lines, "--keep", keep)
        assert code == 0, words
        assert (out[-1]["issued"], out[-1]["confirmed"],
                out[-1]["faults"]) == (2, 2, 0)
        assert out[-1]["size"] == len(lines) - 2 == 5
    checked.make("SN-03")
    code, out, words = checked.check(checked.export(), "--keep", keep)
    assert code == 0 and out[-1]["size"] == 7, words
    # an old stick, after a new one
    code, out, words = checked.check(lines, "--keep", keep)
    assert code != 0 and "put back" in words


def test_half_a_file(checked):
    lines = checked.export()
    for n in range(len(lines)):
        code, _, words = checked.check(lines[:n])
        assert code != 0 and "half a file" in words, n
    text = "\n".join(lines)
    code, _, words = checked.check([text[:len(text) // 2]])
    assert code != 0 and "half a file" in words
    code, _, words = checked.check([*lines, lines[-1]])
    assert code != 0


def test_what_was_not_signed(checked, station, centre, tmp_path):  # noqa: F811
    lines = checked.export()
    forged = [x.replace("SN-02", "SN-20") for x in lines]
    code, out, words = checked.check(forged)
    assert code != 0 and "signed" in words
    fewer = lines[:2] + lines[3:]
    assert checked.check(fewer)[0] != 0
    swapped = [lines[0], lines[2], lines[1], *lines[3:]]
    assert checked.check(swapped)[0] != 0
    other = tmp_path / "other"
    other.write_text(centre.signer("ledger-key"))
    code, out, words = checked.check(lines, key=other)
    assert code != 0


def test_a_station_that_was_put_back_and_made_another_history(
        station, tmp_path):  # noqa: F811
    c, keep = Check(station), tmp_path / "keep"
    image = tmp_path / "image"
    shutil.copytree(station.dir / "own", image)
    c.make("SN-01")
    code, out, words = c.check(c.export(), "--keep", keep)
    assert code == 0, words
    shutil.rmtree(station.dir / "own")
    shutil.copytree(image, station.dir / "own")
    shutil.rmtree(station.dir / "state/records")
    for name in ("journal", "ledger", "proofs"):
        (station.dir / "state" / name).unlink()
    c.make("SN-02", "SN-03")
    code, out, words = c.check(c.export(), "--keep", keep)
    assert code != 0 and "another history" in words, words


def test_orders_that_do_not_let_it(checked):
    lines = checked.export()
    assert {f for _, f in checked.faults(lines, orders=[])} == {
        "made by an order that was not given"}
    text = checked.orders[0].read_text()
    low = checked.station.dir / "low.json"
    low.write_text(text.replace(r'\"share\":3', r'\"share\":1'))
    assert checked.faults(lines, orders=[low]) == [
        ("", "batch b7: 2 were made, the station's share is 1")]
    low.write_text(text.replace("SN-{01..25}", "SN-{02..25}"))
    assert checked.faults(lines, orders=[low]) == [
        ("SN-01", "a serial number that the order does not have")]


def test_certificates_and_proofs_of_others(checked):
    lines = checked.export()
    d = [json.loads(x) for x in lines]
    first, second = [n for n, x in enumerate(d) if "certificate" in x]
    d[first]["certificate"] = d[second]["certificate"]
    assert ("SN-01", "its certificate is another than the entry's") in \
        checked.faults(map(json.dumps, d))
    del d[first]["certificate"]
    assert ("SN-01", "its certificate is missing") in \
        checked.faults(map(json.dumps, d))
    d = [json.loads(x) for x in lines]
    one, two = [x for x in d if "proof" in x]
    one["proof"] = two["proof"]
    assert checked.faults(map(json.dumps, d)) == [
        ("SN-01", "what it signed is missing, or another than the entry's")]


def append(ledger, entry):
    data = json.dumps(entry, separators=(",", ":")).encode()
    with open(ledger, "ab") as f:
        f.write(struct.pack(">H", len(data)) + data)


def test_a_station_program_that_lies(checked):
    """It writes what it likes into its own ledger, and the signer signs the
    tree: what is not so is found."""
    ledger = checked.station.dir / "state/ledger"
    entries = [json.loads(json.loads(x)["entry"])
               for x in checked.export()[1:-1]]
    issued, confirmed = entries[1], entries[2]
    append(ledger, issued)                         # twice
    append(ledger, issued | {"device": "SN-09"})   # one key, two devices
    append(ledger, issued | {"device": "SN-08", "spki_sha256": "11" * 32,
                             "serial": "22" * 16, "cert_sha256": "33" * 32})
    append(ledger, confirmed | {"serial": "22" * 16, "device": "SN-08"})
    append(ledger, {"v": 1, "type": "alert", "at": issued["at"],
                    "time_source": "system", "reason": "hello"})
    faults = checked.faults(checked.export())
    for fault in [("SN-01", "its serial number was made before"),
                  ("SN-01", "its certificate was entered before"),
                  ("SN-09", "its key was certified before"),
                  ("SN-08", "its certificate is missing"),
                  ("SN-08", "what it signed is missing, or another than the "
                            "entry's"),
                  ("", "an entry that no station writes"),
                  ("", "batch b7: 5 were made, the station's share is 3")]:
        assert fault in faults, (fault, faults)
    # and the honest units are not among them
    assert not [f for f in faults if f[0] == "SN-02"]


# ---- certificates that the order does not let be made ----

def own_ca():
    """(key, certificate) of a line CA as the centre's signer makes them."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Line")])
    now = datetime.datetime.now(datetime.timezone.utc)
    cert = x509.CertificateBuilder().subject_name(name).issuer_name(
        name).public_key(key.public_key()).serial_number(1).not_valid_before(
        now - datetime.timedelta(days=500)).not_valid_after(
        datetime.datetime(9999, 12, 31)).add_extension(
        x509.BasicConstraints(True, 0), True).add_extension(
        x509.KeyUsage(**{**NO_USE, "key_cert_sign": True,
                         "crl_sign": True}), True).add_extension(
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
        False).sign(key, hashes.SHA256())
    return key, cert


class Forger:
    """Has a line CA's key, as root on the station has: of an order b9, with
    certificates that begin as those of b7."""

    def __init__(self, checked):
        self.checked, self.n, self.der = checked, 0, {}
        self.key, self.ca = own_ca()
        first = next(x for x in map(json.loads, checked.export())
                     if "certificate" in x)
        self.entry = json.loads(first["entry"])
        self.like = x509.load_der_x509_certificate(
            base64.b64decode(first["certificate"]))
        self.write_order()

    def write_order(self):
        file = json.loads(self.checked.orders[0].read_text())
        head, line, rest = file["order"].split("\n", 2)
        order = json.loads(line)
        order |= {"batch": "b9", "ca_chain": base64.b64encode(
            self.ca.public_bytes(serialization.Encoding.DER)).decode()}
        order |= {"share": 99}
        file["order"] = "\n".join([head, json.dumps(
            order, separators=(",", ":")), rest])
        path = self.checked.station.dir / "b9.json"
        path.write_text(json.dumps(file))
        self.checked.orders.append(path)

    def adapted(self, value, key):
        if isinstance(value, x509.SubjectKeyIdentifier):
            bits = key.public_key().public_bytes(  # RFC 7093 2, method 1
                serialization.Encoding.X962,
                serialization.PublicFormat.UncompressedPoint)
            return x509.SubjectKeyIdentifier(
                hashlib.sha256(bits).digest()[:20])
        if isinstance(value, x509.AuthorityKeyIdentifier):
            return x509.AuthorityKeyIdentifier.from_issuer_public_key(
                self.key.public_key())
        return value

    def make(self, device, cn=None, drop=(), add=(), **dates):
        """One like those that the station made, but for what is said."""
        self.n += 1
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.NameAttribute(a.oid, a.value.replace(
            self.entry["device"], cn or device)) for a in self.like.subject]
        b = x509.CertificateBuilder(
            ).subject_name(x509.Name(names)).issuer_name(
            self.ca.subject).public_key(key.public_key()).serial_number(
            int(f"01{self.n:030x}", 16)).not_valid_before(
            dates.get("begins", self.like.not_valid_before)).not_valid_after(
            dates.get("ends", self.like.not_valid_after))
        for x in self.like.extensions:
            if type(x.value) not in drop:
                b = b.add_extension(self.adapted(x.value, key), x.critical)
        for value, critical in add:
            b = b.add_extension(value, critical)
        der = b.sign(self.key, hashes.SHA256()).public_bytes(
            serialization.Encoding.DER)
        self.enter(device, der, key)

    def enter(self, device, der, key):
        spki = key.public_key().public_bytes(
            serialization.Encoding.DER,
            serialization.PublicFormat.SubjectPublicKeyInfo)
        self.der[device] = der
        append(self.checked.station.dir / "state/ledger", self.entry | {
            "device": device, "batch": "b9", "authority": "order:b9:1",
            "serial": f"01{self.n:030x}",
            "cert_sha256": hashlib.sha256(der).hexdigest(),
            "spki_sha256": hashlib.sha256(spki).hexdigest()})

    def faults(self):
        lines = [json.loads(x) for x in self.checked.export()]
        for x in lines:
            device = json.loads(x["entry"]).get("device") if "entry" in x \
                else None
            if device in self.der:
                x["certificate"] = base64.b64encode(
                    self.der[device]).decode()
        return self.checked.faults(map(json.dumps, lines))


def test_whom_a_certificate_names(station):  # noqa: F811
    f = Forger(Check(station).make("SN-01"))
    f.make("SN-10")  # as a station makes them
    f.make("SN-11", cn="SN-12")
    f.make("SN-13", cn="boss")
    f.make("SN-14", drop=[x509.BasicConstraints],
           add=[(x509.BasicConstraints(ca=True, path_length=0), True)])
    f.make("SN-15", add=[(x509.SubjectAlternativeName(
        [x509.DNSName("mint.example.com")]), False)])
    f.make("SN-16", drop=[x509.KeyUsage],
           add=[(KEY_CERT_SIGN, True)])
    day = datetime.timedelta(days=1)
    f.make("SN-17", begins=f.like.not_valid_before - day)
    f.make("SN-18", begins=f.like.not_valid_before + 40 * day)
    f.make("SN-19", ends=f.like.not_valid_after + 20000 * day)
    faults = f.faults()
    told = dict(faults)
    assert sorted(told) == ["SN-11", "SN-13", "SN-14", "SN-15", "SN-16",
                            "SN-17", "SN-18", "SN-19"], faults
    for device in ("SN-17", "SN-18"):
        assert told[device] == \
            "its certificate begins outside the order's window"
    assert "subject" in told["SN-11"] and "subject" in told["SN-13"], told
    assert "no CA" in told["SN-14"], told
    assert "validity" in told["SN-19"], told


def test_a_profile_that_the_order_does_not_name(checked):
    lines = [json.loads(x) for x in checked.export()]
    ledger = checked.station.dir / "state/ledger"
    issued = json.loads(lines[2]["entry"])
    append(ledger, issued | {"device": "SN-09", "profile": "other@1"})
    lines = [json.loads(x) for x in checked.export()]
    lines[-2]["certificate"] = lines[2]["certificate"]
    assert ("SN-09", "of a profile that the order does not name") in \
        checked.faults(map(json.dumps, lines))
