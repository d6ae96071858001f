"""What stations made offline comes to the centre by file: verified, judged
unit by unit, stored before it is acknowledged, and never merged silently."""
import base64
import datetime
import json
import re
import shutil
import ssl
import subprocess
import time



import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

import forger as forge
from forger import Forger, opened
from offline import fails_signed
from receiver import Receiver
from test_offline_order import Line, new
from world import MINT, World, run, until

LEAKS = True


class Synced:
    """A station with an offline order for three of a batch, at a centre that
    trusts its ledger."""

    def __init__(self, centre, folder, batch, trusted=True, quantity=3,
                 more=()):
        self.centre, self.w, self.batch = centre, centre.w, batch
        self.s = new(centre, folder, f"st-{batch}")
        self.name = self.s.name
        self.issuer, file = centre.line_ca(self.s, batch)
        centre.again()
        digits = "{01..09}" if quantity < 10 else "{001..200}"
        self.w.cli("batch", "create", "--id", batch, "--product", "thermo",
                   "--quantity", quantity, "--until", "30d", "--serials",
                   f"{batch.upper()}-{digits}", "--shares",
                   f"{self.name}={quantity}", "--mode", "offline", *more)
        self.s.imports(centre.order(batch, self.s, "--line-ca", file))
        if trusted:
            self.trust()

    def trust(self, key=None):
        self.w.cli("station", "trust", self.name,
                   key or self.s.made["ledger_key"])

    def make(self, *serials):
        for serial in serials:
            self.s.plug()
            self.s.passes(f"{self.batch.upper()}-{serial}")
            self.s.unplug()
            self.s.blank(1)
        return self

    def export(self, name="export.jsonl"):
        path = self.s.dir / name
        run(*self.s.argv("export", "--out", path))
        return path

    def sync(self, path, *more):
        """(exit status, what was printed as JSON or None, words)"""
        p = self.w.cli("--json", "station", "sync", self.name, path, *more,
                       check=False)
        out = json.loads(p.stdout) if p.stdout.startswith("{") else None
        return p.returncode, out, p.stdout + p.stderr

    def size(self):
        return self.w.rest("GET", f"/stations/{self.name}/sync").json["size"]

    def counts(self, out):
        return (out["entries"], out["issued"], out["confirmed"],
                out["unchanged"], len(out["quarantined"]))


@pytest.fixture(scope="module")
def centre():
    with World() as world:
        yield Line(world)


@pytest.fixture
def closing():
    made = []
    yield made.append
    for one in made:
        one.s.close()


def agree(w):
    """Journal, ledger and database, and the ledger by itself."""
    out = json.loads(w.cli("--json", "ledger", "reconcile", "--config",
                           w.conf).stdout)
    assert out["agree"], out
    w.cli("ledger", "verify")
    return out


def test_what_was_made_offline_is_there(centre, tmp_path, closing):
    w = centre.w
    x = Synced(centre, tmp_path, "sya", trusted=False)
    closing(x)
    path = x.make("01", "02").export()
    code, _, words = x.sync(path)
    assert code == 3 and "no key of its ledger is trusted" in words
    x.trust()
    assert x.size() == 0
    code, out, words = x.sync(path, "--dry-run")
    assert code == 0 and x.counts(out) == (5, 2, 2, 0, 0), words
    assert x.size() == 0 and w.rest("GET", "/devices/SYA-01").status == 404
    code, out, words = x.sync(path)
    assert code == 0 and x.counts(out) == (5, 2, 2, 0, 0), words
    assert x.size() == 5
    # the same again
    code, out, words = x.sync(path)
    assert code == 0 and x.counts(out) == (0, 0, 0, 0, 0), words
    p = w.cli("station", "sync", x.name, path)
    assert "nothing new, the centre has all 5 entries" in p.stdout
    # it goes on, by a file without what the centre has; not behind that
    x.make("03")
    late, part = tmp_path / "late.jsonl", tmp_path / "part.jsonl"
    for n, file in ((6, late), (5, part)):
        run(*x.s.argv("export", "--out", file, "--from", n))
    assert len(part.read_text().splitlines()) == 4
    code, out, words = x.sync(late)
    assert code == 3 and "export --from 5" in words, words
    code, out, words = x.sync(part)
    assert code == 0 and x.counts(out) == (2, 1, 1, 0, 0), words
    key = x.s.made["ledger_key"]
    p = w.cli("line", "check", part, "--key", key, check=False)
    assert p.returncode != 0 and "begins at entry 5" in p.stderr, p
    # devices and certificates like others
    (cert,) = w.rest("GET", "/certificates?device=SYA-01").json["items"]
    assert (cert["state"], cert["issuer"]) == ("confirmed", x.issuer)
    serial = cert["serial"]
    assert x.s.fact("SYA-01", "serial") == serial
    w.cli("device", "show", "SYA-01")
    w.cli("cert", "show", serial)
    receipt = tmp_path / "receipt.json"
    w.cli("device", "receipt", "SYA-01", "--out", receipt)
    key = w.cli("ledger", "key").stdout.strip()
    w.cli("ledger", "verify-receipt", receipt, "--key", key)
    record = tmp_path / "birth.json"
    w.cli("device", "birth-record", "SYA-01", "--out", record)
    w.cli("device", "birth-record", "--verify", record, "--key", key,
          "--root", w.anchor)
    facts = {k: v["value"] for k, v in
             json.loads(record.read_text())["facts"].items()}
    assert (facts["batch"], facts["station"]) == ("sya", x.name)
    # by which order it was made, and when: the station's own entry, which the
    # centre's has the hash of
    own = json.loads(record.read_text())["station"]
    assert own in [json.loads(line).get("entry") for line in
                   path.read_text().splitlines()]
    assert (facts["made_by"], facts["made_at"]) == (
        "order:sya:1", json.loads(own)["at"].split(".")[0] + "Z")
    for other, said in ((own.replace("order:sya:1", "order:sya:2"),
                         "not the one that the receipt has the hash of"),
                        ("", "made_at is not what")):
        bad = tmp_path / "bad.json"
        bad.write_text(record.read_text().replace(
            json.dumps(own), json.dumps(other)))
        p = w.cli("device", "birth-record", "--verify", bad, "--key", key,
                  "--root", w.anchor, check=False)
        assert p.returncode != 0 and said in p.stderr, p
    report = w.rest("GET", "/batches/sya/report").json
    assert (report["issued"], report["first_serial"]) == (3, "SYA-01")
    assert (report["passed"], report["quarantined"],
            report["yield_percent"]) == (3, 0, 100), report
    # entered: each certificate, and how far the station's ledger was taken
    assert {e["device"] for e in centre.entries("certificate.synced")
            if e["station"] == x.name} == {"SYA-01", "SYA-02", "SYA-03"}
    last = [e for e in centre.entries("station.synced")
            if e["station"] == x.name][-1]
    end = json.loads(part.read_text().splitlines()[-1])
    assert last["size"] == end["size"] == 7
    root = end["checkpoint"].splitlines()[2]
    assert bytes.fromhex(last["detail_sha256"]) == base64.b64decode(root)
    # revoked here, it is on the line CA's list
    w.cli("cert", "revoke", serial, "--reason", "keyCompromise")
    w.rest("POST", f"/issuers/{x.issuer}/crl", {})
    crl = tmp_path / "crl"
    crl.write_bytes(w.get_public(f"/crl/{x.issuer}/0.crl").body)
    text = run("openssl", "crl", "-inform", "DER", "-in", crl, "-noout",
               "-text").stdout
    assert serial.upper() in text
    assert agree(w)["stations"] == 3


# ---- who has root on the station ----

@pytest.fixture(scope="module")
def honest(centre, tmp_path_factory):
    """An export with one honest unit, which is not synced."""
    x = Synced(centre, tmp_path_factory.mktemp("honest"), "syh",
               quantity=9)
    x.make("01").export()
    yield x
    x.s.close()


def forged_by(x):
    return ((x.w.dir / f"lines/{x.issuer}.crt").read_bytes(),
            opened(x.w.dir / f"lines/{x.issuer}.key", x.w.passphrase))


def forger(x, name):
    f = Forger(x.s.dir / "export.jsonl", *forged_by(x), x.name,
               f"localhost/ledger/{x.name}/{name}")
    x.trust(f.key)
    return f


def test_another_ledger_is_an_administrators_to_say(honest):
    w = honest.w
    key = w.rest("POST", "/keys", {"name": "syn-op",
                                   "roles": ["operator"]}).json["key"]
    have = w.rest("GET", f"/stations/{honest.name}").json
    path = f"/stations/{honest.name}/trust"
    other = Forger(honest.s.dir / "export.jsonl", *forged_by(honest),
                   honest.name, f"localhost/ledger/{honest.name}/other").key
    a = w.rest("POST", path, {"key": other}, key=key)
    assert a.status == 403 and "administrator" in a.json["detail"], a
    assert w.rest("GET", f"/stations/{honest.name}").json == have
    assert w.rest("POST", path, {"key": have["ledger_key"]},
                  key=key).status == 200


def reasons(out):
    return {(q["device"], q["reason"]) for q in out["quarantined"]}


def test_a_closed_batch_ends_with_its_key(centre, tmp_path, closing):
    """The station's ledger says so, and that is no entry to put aside."""
    x = Synced(centre, tmp_path, "sye")
    closing(x)
    x.make("01")
    x.w.cli("batch", "close", "sye")
    x.s.imports(centre.order("sye", x.s))
    code, out, words = x.sync(x.export())
    assert code == 0 and x.counts(out) == (4, 1, 1, 0, 0), words


def test_a_unit_that_fits_is_taken_from_whoever_signed_it(honest, tmp_path):
    """What the other tests here change, unchanged."""
    f = forger(honest, "fits")
    f.unit("SYH-02")
    code, out, words = honest.sync(f.write(tmp_path / "x"))
    assert code == 0 and honest.counts(out) == (3, 1, 1, 0, 0), words


DAYS = 86400


def other_device(f):
    f.unit("SYH-03", named="SYH-04")


def other_key_type(f):
    f.unit("SYH-03", ec.generate_private_key(ec.SECP384R1()))


def by_another_ca(f):
    own, f.ca_key = f.ca_key, ec.generate_private_key(ec.SECP256R1())
    f.unit("SYH-03")
    f.ca_key = own


# what is written, and the reason that is named
BAD = {
    "another station": (
        lambda f: f.unit("SYH-03", station="st-sya"),
        "made at another station"),
    "a batch of another centre": (
        lambda f: f.unit("SYH-03", batch="nosuch", authority="order:nosuch:1"),
        "made in a batch that the centre does not have"),
    "an order that was never signed": (
        lambda f: f.unit("SYH-03", authority="order:syh:2"),
        "made by an order that the centre did not sign"),
    "no order": (
        lambda f: f.unit("SYH-03", authority="token:mm1-x"),
        "made by an order that the centre did not sign"),
    "another product": (
        lambda f: f.unit("SYH-03", product="valve"),
        "of another product than batch syh"),
    "a serial number that is none": (
        lambda f: f.unit("SYH-99"),
        "a serial number that batch syh does not have"),
    "before the window": (
        lambda f: f.unit("SYH-03", at=time.time() - 40 * DAYS),
        "made outside the window of batch syh"),
    "after the window": (
        lambda f: f.unit("SYH-03", at=time.time() + 40 * DAYS),
        "made outside the window of batch syh"),
    "a certificate that begins after the window": (
        lambda f: f.unit("SYH-03", shift=40 * DAYS),
        "made outside the window of batch syh"),
    "tomorrow": (
        lambda f: f.unit("SYH-03", at=time.time() + DAYS),
        "made after now, by the station's clock"),
    "another issuer": (
        lambda f: f.unit("SYH-03", issuer="issuing"),
        "its issuer is not line CA line-syh of batch syh"),
    "not signed by the line CA": (
        by_another_ca,
        "its certificate is not signed by line CA line-syh"),
    "another profile": (
        lambda f: f.unit("SYH-03", profile="thermo@9"),
        "profile thermo@9 is none of batch syh, or not in the configuration "
        "any more"),
    "a certificate for another device": (
        other_device, "its certificate is not as profile thermo@1 says: "),
    "a key that the profile has not": (
        other_key_type, "its certificate is not as profile thermo@1 says: "),
    "a certificate of another key": (
        lambda f: f.unit("SYH-03", spki_sha256="22" * 32),
        "its certificate has another serial number or key than the entry"),
    "a device that is none": (
        lambda f: f.unit("SYH 03"),
        "its device has no name that one may have"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_does_not_fit_is_put_aside(honest, tmp_path, what):
    write, reason = BAD[what]
    f = forger(honest, what.replace(" ", "-"))
    write(f)
    before = honest.w.rest("GET", f"/stations/{honest.name}/sync").json
    code, out, words = honest.sync(f.write(tmp_path / "x"), "--dry-run")
    assert code == 3 and out["issued"] == 0, words
    code, out, words = honest.sync(f.write(tmp_path / "x"))
    assert code == 3 and out["issued"] == out["confirmed"] == 0, words
    ((device, said),) = reasons(out)
    assert said.startswith(reason), words
    # no certificate in force, and it can be looked up
    serial = out["quarantined"][0]["serial"]
    assert honest.w.rest("GET", f"/certificates/{serial}").status == 404
    after = honest.w.rest("GET", f"/stations/{honest.name}/sync").json
    assert after["quarantined"] == before["quarantined"] + 1
    listed = honest.w.rest(
        "GET", f"/stations/{honest.name}/quarantine?limit=1000").json["items"]
    assert serial in {q["serial"] for q in listed}
    assert [e for e in honest.centre.entries("unit.quarantined")
            if e.get("serial") == serial]
    # once more: nothing new, and nothing twice
    code, out, words = honest.sync(f.write(tmp_path / "x"))
    assert code == 0 and out["entries"] == 0, words


def test_what_does_not_fit_is_put_aside_once_whoever_brings_it(
        honest, tmp_path):
    """Three at once, and again: one document, one entry for each."""
    w, f = honest.w, forger(honest, "race")
    for _ in range(12):
        f.unit("SYH-03", product="valve")
        f.lines.append({"entry": '{"v":2}'})
    path = f.write(tmp_path / "x")
    before = w.rest("GET", f"/stations/{honest.name}/sync").json

    def entered():
        return len(honest.centre.entries("unit.quarantined"))

    had = entered()
    running = [subprocess.Popen(
        [MINT, "--context", w.context, "--json", "station", "sync",
         honest.name, path], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL) for _ in range(3)]
    codes = [p.wait(120) for p in running]
    assert set(codes) <= {0, 3, 5} and 3 in codes, codes
    honest.sync(path)
    after = w.rest("GET", f"/stations/{honest.name}/sync").json
    assert after["quarantined"] == before["quarantined"] + 24
    assert entered() == had + 24


def test_one_bad_unit_leaves_its_neighbours(honest, tmp_path):
    f = forger(honest, "neighbours")
    f.unit("SYH-98")
    f.unit("SYH-05")
    f.add({"v": 1, "type": "alert", "at": forge.stamp(time.time()),
           "time_source": "system", "reason": "hello"})
    f.lines.append({"entry": '{"v":2}'})
    code, out, words = honest.sync(f.write(tmp_path / "x"))
    assert code == 3 and (out["issued"], out["confirmed"]) == (1, 1), words
    assert reasons(out) == {
        ("SYH-98", "a serial number that batch syh does not have"),
        ("", "an entry that no station writes"),
        ("", "an entry that is not in its form")}, words


def test_doubles(centre, honest, tmp_path):
    """Of serial number and key: in one ledger, of two stations, and with what
    the centre has itself."""
    w = centre.w
    f = forger(honest, "doubles")
    key = ec.generate_private_key(ec.SECP256R1())
    first = f.unit("SYH-06", key)
    f.unit("SYH-06")               # another key under its name
    f.unit("SYH-07", key)          # its key under another name
    f.unit("SYH-07", serial=bytes.fromhex(f"{x509_serial(first):032x}"),
           proof=False)
    csr = w.key_and_csr("syh-8")[1]
    w.rest("POST", "/devices", {"id": "SYH-08", "product": "thermo"})
    a = w.rest("POST", "/devices/SYH-08/enrol", {
        "csr": base64.b64encode(csr.read_bytes()).decode()})
    assert a.status == 200, a
    f.unit("SYH-08")               # one that the centre made itself
    code, out, words = honest.sync(f.write(tmp_path / "x"))
    assert code == 3 and out["issued"] == 1, words
    assert reasons(out) == {
        ("SYH-06", "device SYH-06 was made before, in entry 1"),
        ("SYH-07", "its key is certified for device SYH-06"),
        ("SYH-07", "its serial number is another certificate's, of device "
                   "SYH-06"),
        ("SYH-08", "device SYH-08 has a certificate already")}, words
    # from another ledger, against what is stored
    g = forger(honest, "doubles-2")
    g.unit("SYH-06")
    g.unit("SYH-07", key)
    code, out, words = honest.sync(g.write(tmp_path / "y"))
    assert reasons(out) == {
        ("SYH-06", f"device SYH-06 has a certificate already: station "
                   f"{honest.name} made it"),
        ("SYH-07", "its key is certified for device SYH-06")}, words


def x509_serial(der):
    return x509.load_der_x509_certificate(der).serial_number


def test_proofs(honest, tmp_path):
    f = forger(honest, "proofs")
    one, two = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    der = f.unit("SYH-09", one, proof=False)
    number = f"{x509_serial(der):032x}"
    f.prove("SYH-09", two, der, number)          # by another key
    f.prove("SYH-02", one, der, number)          # as another device
    f.prove("SYH-09", one, der, "ab" * 16)       # of none
    code, out, words = honest.sync(f.write(tmp_path / "x"))
    assert code == 3 and (out["issued"], out["confirmed"]) == (1, 0), words
    assert sorted(q["reason"] for q in out["quarantined"]) == [
        "proved a certificate that was not made for it",
        "proved a certificate that was not made for it",
        "what it signed does not prove its certificate"], words
    (c,) = honest.w.rest("GET", "/certificates?device=SYH-09").json["items"]
    assert c["state"] == "issued"


def piece(f):
    """All of a ledger, as one that has not looked at it sends it."""
    end = json.loads(f.text().splitlines()[-1])
    return {"v": 1, "checkpoint": end["checkpoint"],
            "frontier": base64.b64encode(bytes(8)).decode(), "seen": "",
            "rest": "", "entries": f.lines}


DAMAGE = {
    "no certificate": lambda a, b: a.pop("certificate"),
    "another certificate": lambda a, b: a.update(
        certificate=b64(b64(a["certificate"])[:-1] +
                        bytes([b64(a["certificate"])[-1] ^ 1]))),
    "a certificate that is no text": lambda a, b: a.update(certificate=7),
    "no proof": lambda a, b: b.pop("proof"),
    "another proof": lambda a, b: b.update(proof=b["proof"] + " "),
}


def b64(x):
    return (base64.b64decode(x) if isinstance(x, str)
            else base64.b64encode(x).decode())


def test_a_damaged_file_is_no_fault_of_its_units(centre, tmp_path, closing):
    """What stands beside the entries nobody has signed: whoever carries the
    file must not be able to make an honest unit's quarantine of it."""
    x = Synced(centre, tmp_path, "sydam", quantity=9)
    closing(x)
    x.make("01").export()
    f = forger(x, "damaged")
    for i in range(2, 5):
        f.unit(f"SYDAM-0{i}")
    whole = f.lines
    for what, harm in DAMAGE.items():
        f.lines = [dict(line) for line in whole]
        harm(*f.lines[3:5])
        for more in (["--dry-run"], []):
            code, out, words = x.sync(f.write(tmp_path / "x"), *more)
            assert code == 2 and out is None, (what, words)
            assert "damaged" in words and "copy the export again" in words
        a = centre.w.rest("POST", f"/stations/{x.name}/sync", piece(f))
        assert a.status == 400 and "damaged on its way" in a.text, (what, a)
    at = centre.w.rest("GET", f"/stations/{x.name}/sync").json
    assert (at["size"], at["quarantined"]) == (0, 0), at
    assert centre.w.rest("GET", "/devices/SYDAM-02").status == 404
    for kind in ("station.synced", "unit.quarantined", "certificate.synced"):
        assert x.name not in {e["station"] for e in centre.entries(kind)}
    f.lines = whole
    code, out, words = x.sync(f.write(tmp_path / "x"))
    assert code == 0 and x.counts(out) == (7, 3, 3, 0, 0), words


def test_more_than_the_share(centre, tmp_path, closing):
    x = Synced(centre, tmp_path, "syq")
    closing(x)
    x.make("01").export()
    f = forger(x, "quota")
    for i in range(1, 6):
        f.unit(f"SYQ-0{i}")
    code, out, words = x.sync(f.write(tmp_path / "x"), "--dry-run")
    assert (out["issued"], len(out["quarantined"])) == (3, 2), words
    code, out, words = x.sync(f.write(tmp_path / "x"))
    assert (out["issued"], out["confirmed"]) == (3, 3), words
    assert {r for _, r in reasons(out)} == {
        "batch syq: its quota of 3 is gone"}, words
    assert centre.w.rest("GET", "/batches/syq/report").json["issued"] == 3
    agree(centre.w)


def test_after_its_batch_was_closed(centre, tmp_path, closing):
    """What was made before is taken afterwards, too."""
    x = Synced(centre, tmp_path, "syend", quantity=9)
    closing(x)
    x.make("01").export()
    f = forger(x, "end")
    f.unit("SYEND-02")
    x.w.cli("batch", "close", "syend")
    f.unit("SYEND-03", at=time.time() + 2, proof=False)
    code, out, words = x.sync(f.write(tmp_path / "x"))
    assert code == 3 and (out["issued"], out["confirmed"]) == (1, 1), words
    assert reasons(out) == {
        ("SYEND-03", "made after batch syend was closed")}, words
    assert centre.w.rest("GET", "/devices/SYEND-03").status == 404
    error = json.loads(words.splitlines()[-1])["error"]
    assert (error["code"], error["exit"], error["reason"]) == (
        "quarantined", 3, "1 quarantined"), error
    assert f"mintmark station quarantine {x.name}" in error["hint"], error
    report = centre.w.rest("GET", "/batches/syend/report").json
    for sums in (report, report["stations"][0]):
        assert (sums["issued"], sums["passed"], sums["quarantined"],
                sums["yield_percent"]) == (1, 1, 1, 50), report
    assert report["problems"] == [
        "1 quarantined: a serial number came from two stations, or with two "
        "keys, or what a station made offline does not fit",
        f"station {x.name} has the key of its line CA still: bring it the "
        "batch's last order, and its ledger here"]
    agree(centre.w)


def test_after_the_station_was_removed(centre, tmp_path, closing):
    x = Synced(centre, tmp_path, "sygone", quantity=9)
    closing(x)
    x.make("01").export()
    f = forger(x, "gone")
    f.unit("SYGONE-02")
    x.w.cli("station", "remove", x.name)
    f.unit("SYGONE-03", at=time.time() + 2, proof=False)
    code, out, words = x.sync(f.write(tmp_path / "x"))
    assert code == 3 and (out["issued"], out["confirmed"]) == (1, 1), words
    assert reasons(out) == {
        ("SYGONE-03", f"made after station {x.name} was removed")}, words
    # no order any more, but the one that takes its key away
    p = centre.order("sygone", x.s, check=False)
    assert p.returncode == 5 and "was removed" in p.stderr, p
    x.w.cli("batch", "close", "sygone")
    x.s.imports(centre.order("sygone", x.s))
    assert x.s.journal()[-1]["kind"] == "destroyed"
    agree(centre.w)


def test_many_small_batches(centre, tmp_path, closing):
    """More than the centre looks up for one piece."""
    x = Synced(centre, tmp_path, "symany")
    closing(x)
    x.make("01").export()
    f = forger(x, "many")
    names = [f"symany{i}" for i in range(12)]
    for name in names:
        centre.w.cli("batch", "create", "--id", name, "--product", "thermo",
                     "--quantity", 1, "--until", "30d", "--serials",
                     f"{name.upper()}-{{1..1}}")
        f.unit(f"{name.upper()}-1", batch=name, authority=f"order:{name}:1",
               at=time.time() + 2, proof=False)  # behind the batch's start
    f.unit("SYMANY-01")
    for more in (["--dry-run"], []):
        code, out, words = x.sync(f.write(tmp_path / "x"), *more)
        assert code == 3 and x.counts(out) == (15, 1, 1, 0, 12), words
    assert {r for _, r in reasons(out)} == {
        f"batch {name} has no order with a line CA for station {x.name}"
        for name in names}, words
    assert x.size() == 15


# ---- ledgers ----

def test_forged_cut_and_swapped(honest, tmp_path):
    f = forger(honest, "forged")
    f.unit("SYH-08")
    text = f.text()
    lines = text.splitlines()
    size = honest.size()
    for bad, said in [
            (lines[:-1], "half a file"), (lines[:2], "half a file"),
            ([text[:len(text) // 2]], "half a file"),
            ([*lines, lines[-1]], "half a file"),
            ([x.replace(r'\"device\":\"SYH-08\",\"pro',
                        r'\"device\":\"SYH-80\",\"pro') for x in lines],
             "not those that the station's signer signed"),
            ([lines[0], *lines[2:]], "half a file"),
            ([lines[0], lines[2], lines[1], *lines[3:]],
             "not those that the station's signer signed")]:
        (tmp_path / "x").write_text("".join(x + "\n" for x in bad))
        code, out, words = honest.sync(tmp_path / "x")
        assert code != 0 and said in words, words
    # by another key: another station, another centre's
    g = forger(honest, "other")
    code, out, words = honest.sync(f.write(tmp_path / "x"))
    assert code == 3 and "not signed by the ledger key" in words
    # another station's file
    g.station = "st-other"
    code, out, words = honest.sync(g.write(tmp_path / "x"))
    assert code == 2 and "the file is station st-other's" in words
    assert honest.size() == 0 != size or size == 0


def test_a_station_that_was_put_back(honest, tmp_path):
    """Its ledger ends earlier, or goes on otherwise: named, and the latter
    entered once."""
    f = forger(honest, "back")
    f.unit("SYH-98", proof=False)
    old = f.write(tmp_path / "old")
    f.unit("SYH-97", proof=False)
    code, out, words = honest.sync(f.write(tmp_path / "x"))
    assert honest.size() == 3
    code, out, words = honest.sync(old)
    assert code == 3 and "an older export: it ends at entry 2, and the " \
        "centre has 3" in words
    f.lines.pop()
    f.unit("SYH-96", proof=False)  # instead
    f.unit("SYH-95", proof=False)
    for more in (["--dry-run"], [], []):
        code, out, words = honest.sync(f.write(tmp_path / "x"), *more)
        assert code == 3 and "another history than the 3 entries" in words
    alerts = [e for e in honest.centre.entries("alert")
              if e["reason"] == "station-ledger-forked"]
    assert len([e for e in alerts if e["origin"] == f.key]) == 1
    assert honest.size() == 3


def test_two_stations_with_one_share(centre, tmp_path, closing):
    """A copy of a station: each makes its own of the same share."""
    x = Synced(centre, tmp_path, "sytwo")
    closing(x)
    image = tmp_path / "image"
    shutil.copytree(x.s.dir / "own", image)
    one = x.make("01").export("one.jsonl")
    shutil.rmtree(x.s.dir / "own")
    shutil.copytree(image, x.s.dir / "own")
    for name in ("journal", "ledger", "proofs"):
        (x.s.dir / "state" / name).unlink()
    shutil.rmtree(x.s.dir / "state/records")
    two = x.make("02", "03").export("two.jsonl")
    assert x.sync(one)[0] == 0
    code, out, words = x.sync(two)
    assert code == 3 and "another history than the 3 entries" in words
    assert "or copied" in words


# ---- a sync that is cut off ----

def test_what_was_cut_off_goes_on(centre, tmp_path, closing):
    """The centre is killed while a piece is on its way, some times, and sent
    it again: no unit is half or twice, and the quota is exact."""
    x = Synced(centre, tmp_path, "syk", quantity=150)
    closing(x)
    w = centre.w
    x.make("001").export()
    f = forger(x, "killed")
    for i in range(1, 141):
        f.unit(f"SYK-{i:03}")
    path = f.write(tmp_path / "x")
    # a unit whose proof is in the next piece is none that does not fit
    code, out, words = x.sync(path, "--dry-run")
    assert code == 0 and x.counts(out) == (281, 140, 140, 0, 0), words
    for ms in (5, 20, 60, 120):
        p = subprocess.Popen([MINT, "--context", w.context, "station", "sync",
                              x.name, path], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        time.sleep(ms / 1000)  # not for a result: when it is killed
        w.kill_all()
        p.wait(60)
        w.start()
    code, out, words = x.sync(path)
    assert code == 0 and out["quarantined"] == [], words
    assert x.size() == len(f.lines) == 281
    assert x.sync(path)[1]["entries"] == 0
    items = w.rest("GET", "/certificates?limit=1000").json["items"]
    mine = [c for c in items if c["device"].startswith("SYK-")]
    assert len(mine) == 140 == len({c["device"] for c in mine})
    assert {c["state"] for c in mine} == {"confirmed"}
    assert w.rest("GET", "/batches/syk/report").json["issued"] == 140
    agree(w)


# ---- over the network ----

def over_network(x, want=0):
    p = run(*x.s.argv("sync", "--json"), check=False)
    assert p.returncode == want, p
    return json.loads(p.stdout)


def order_of(x):
    return json.loads(run(*x.s.argv("status", "--json")).stdout)["order"]


def test_by_the_station_itself(centre, tmp_path, closing):
    """Its own credential, over mutual TLS; what the centre has acknowledged
    is known here."""
    w = centre.w
    x = Synced(centre, tmp_path, "syn", trusted=False)
    closing(x)
    x.make("01", "02")
    assert order_of(x)["unsynced"] == 2
    p = run(*x.s.argv("sync"), check=False)
    assert p.returncode == 3 and "no key of its ledger is trusted" in p.stderr
    x.trust()
    out = over_network(x)
    assert (out["entries"], out["issued"], out["confirmed"],
            out["quarantined"]) == (5, 2, 2, 0), out
    assert order_of(x)["unsynced"] == 0 and order_of(x)["synced"]
    assert over_network(x)["entries"] == 0
    p = run(*x.s.argv("sync"))
    assert p.stdout == "nothing new: the centre has all 5 entries\n"
    # by file and by network it is one
    assert x.sync(x.export())[1]["entries"] == 0
    # what this station does not remember to have brought, the centre does
    (x.s.dir / "state/synced").unlink()
    assert order_of(x)["unsynced"] == 2
    assert over_network(x)["entries"] == 0
    assert order_of(x)["unsynced"] == 0
    # away: nothing is lost, and it goes on
    x.make("03")
    w.stop()
    p = run(*x.s.argv("sync"), check=False)
    assert p.returncode == 7, p
    assert order_of(x)["unsynced"] == 1
    w.start()
    assert over_network(x)["issued"] == 1
    # for itself alone
    other = centre.w.rest("POST", "/stations", {
        "id": "st-else", "key": w.rest("POST", "/keys", {
            "name": "else", "roles": ["line"]}).json["id"]})
    assert other.status == 201, other
    x.s.conf.write_text(x.s.conf.read_text().replace(
        f"name = {x.name}", "name = st-else"))
    p = run(*x.s.argv("sync"), check=False)
    assert p.returncode == 3 and "another credential" in p.stderr, p


def test_what_was_scrapped_comes_behind_its_certificate(centre, tmp_path,
                                                        closing):
    """Whose place was used again, so that there are more than the share: the
    certificate is there before it is revoked."""
    w = centre.w
    x = Synced(centre, tmp_path, "sys", quantity=2, more=("--scrap", "1"))
    closing(x)
    fails_signed(x.s, "SYS-01", 1)
    run(*x.s.argv("scrap", "--serial", "SYS-01"))
    x.s.unplug()
    x.s.blank(1)
    x.make("02", "03")
    out = over_network(x)
    assert (out["issued"], out["confirmed"], out["quarantined"]) == (
        3, 2, 0), out
    assert "refused" not in out and "untold" not in out, out

    def unit(serial):
        units = w.rest("GET", "/batches/sys/units").json["items"]
        return [u["result"] for u in units if u["device"] == serial]

    assert unit("SYS-01") == ["scrapped"]
    (cert,) = x.s.certificates("SYS-01")
    assert cert["state"] == "revoked", cert
    assert w.rest("GET", "/batches/sys/report").json["scrapped"] == 1
    told = len(w.entries("units.reported"))
    # what has proved its identity is an operator's: the centre says so once
    run(*x.s.argv("scrap", "--serial", "SYS-02"))
    out = over_network(x)
    assert "SYS-02: SYS-02 has proved its identity" in out["refused"], out
    assert "refused" not in over_network(x)
    assert len(w.entries("units.reported")) == told
    assert unit("SYS-02") == ["passed"]
    w.cli("batch", "scrap", "sys", "SYS-02", "--reason", "cracked")
    assert unit("SYS-02") == ["scrapped"]
    agree(w)


def test_what_was_put_aside_is_told_with_what_was_scrapped(centre, tmp_path,
                                                           closing):
    """By a station that tells the centre of its units: a sync does not leave
    them behind the mark of what was told."""
    w = centre.w
    x = Synced(centre, tmp_path, "syo", quantity=2, more=("--scrap", "1"))
    closing(x)
    fails_signed(x.s, "SYO-01", 1)
    run(*x.s.argv("scrap", "--serial", "SYO-01"))
    for i in range(2):  # another key under a label that was done
        x.s.unplug()
        x.s.blank(1)
        x.s.plug()
        if i == 0:
            x.s.passes("SYO-02")
    code, a = x.s.provision("SYO-02")
    assert code != 0 and x.s.rows()[-1]["state"] == "quarantined", a
    text = x.s.conf.read_text()
    assert "offline = always" in text
    x.s.conf.write_text(text.replace("offline = always",
                                  "offline = when-away"))
    over_network(x)
    units = {u["device"]: u["result"] for u in
             w.rest("GET", "/batches/syo/units").json["items"]}
    assert units == {"SYO-01": "scrapped", "SYO-02": "quarantined"}


def test_a_station_that_was_put_back_says_so_itself(centre, tmp_path,
                                                    closing):
    x = Synced(centre, tmp_path, "syb")
    closing(x)
    image = tmp_path / "image"
    x.make("01")
    for name in ("own", "state"):
        shutil.copytree(x.s.dir / name, image / name)
    x.make("02")
    assert over_network(x)["issued"] == 2
    for name in ("own", "state"):
        shutil.rmtree(x.s.dir / name)
        shutil.copytree(image / name, x.s.dir / name)
    p = run(*x.s.argv("sync"), check=False)
    assert p.returncode == 3 and "put back to an older state" in p.stderr, p
    # it goes on all the same: the centre finds another history
    x.make("03", "04")
    p = run(*x.s.argv("sync"), check=False)
    assert p.returncode == 3 and "another history" in p.stderr, p


def test_too_long_without_the_centre(centre, tmp_path, closing):
    x = Synced(centre, tmp_path, "syu")
    closing(x)
    conf = x.s.conf.read_text()
    x.make("01")
    x.s.conf.write_text("unsynced = 1s\n" + conf)
    made = next(e for e in (json.loads(json.loads(line)["entry"])
                            for line in x.export().read_text().splitlines()
                            [1:-1]) if e["type"] == "certificate.issued")
    until(lambda: time.time() > datetime.datetime.fromisoformat(
        made["at"].replace("Z", "+00:00")).timestamp() + 1.1)
    x.s.plug()
    code, a = x.s.provision("SYU-02")
    assert (code, a["reason"]) == (1, "unsynced"), a
    assert "stopped      what was made here has not come to the centre" in \
        run(*x.s.argv("status")).stdout
    # what was begun is ended: the same board again
    assert over_network(x)["issued"] == 1
    x.s.passes("SYU-02")


def test_while_units_are_made(centre, tmp_path, closing):
    """run brings what was made before and what is made now, by itself; a
    centre that is away and a SIGKILL of either lose nothing."""
    w = centre.w
    x = Synced(centre, tmp_path, "syr")
    closing(x)
    x.make("01")
    x.s.conf.write_text("sync = 1s\n" + x.s.conf.read_text())
    x.s.plug()
    p = x.s.begin("run", "--json", stdin=subprocess.PIPE)
    try:
        until(lambda: x.size() == 3)
        p.stdin.write("SYR-02\n")
        p.stdin.flush()
        until(lambda: x.size() == 5)
        w.kill_all()
        p.kill()
        p.wait(30)
    finally:
        p.kill()
        p.communicate(timeout=30)
    w.start()
    x.s.unplug()
    x.s.blank(1)
    x.make("03")
    x.s.plug()
    p = x.s.begin("run", "--json", stdin=subprocess.PIPE)
    try:
        until(lambda: x.size() == 7)
        (cert,) = w.rest("GET", "/certificates?device=SYR-03").json["items"]
        w.cli("cert", "revoke", cert["serial"])
        heard = x.s.dir / "state/revocations" / x.issuer
        until(lambda: heard.exists() and
              heard.read_text() == cert["serial"] + "\n")
        p.stdin.close()
        p.terminate()
        p.wait(30)
    finally:
        p.kill()
        p.stdout.close()
        p.stderr.close()
        p.wait(30)
    items = w.rest("GET", "/certificates?limit=1000").json["items"]
    mine = [c for c in items if c["device"].startswith("SYR-")]
    assert sorted(c["device"] for c in mine) == ["SYR-01", "SYR-02",
                                                 "SYR-03"]
    assert sorted(c["state"] for c in mine) == [
        "confirmed", "confirmed", "revoked"], (mine, w.rest(
            "GET", f"/stations/{x.name}/quarantine").json)
    agree(w)


def test_the_end_of_a_line_ca(centre, tmp_path, closing):
    """What a station says of its copy of the key is entered once, and only of
    its own line CA."""
    x = Synced(centre, tmp_path, "syd")
    closing(x)
    x.make("01")
    centre.w.cli("batch", "close", "syd")
    last = centre.order("syd", x.s)

    def keys():
        report = centre.w.rest("GET", "/batches/syd/report").json
        return ([s["line_ca_key"] for s in report["stations"]],
                [p for p in report["problems"] if "line CA" in p],
                centre.w.rest("GET", f"/stations/{x.name}").json[
                    "line_ca_keys"])
    held = ["held"], [f"station {x.name} has the key of its line CA still: "
                      "bring it the batch's last order, and its ledger here"
                      ], ["syd"]
    assert keys() == held
    x.s.imports(last)
    assert keys() == held  # the centre has not heard of it
    over_network(x)
    assert keys() == (["destroyed"], [], [])

    def ends():
        return [e for e in centre.entries("line.destroyed")
                if e["station"] == x.name]
    (end,) = ends()
    assert (end["batch"], end["issuer"], end["number"]) == (
        "syd", x.issuer, 2), end
    own = next(e for e in (json.loads(json.loads(line)["entry"]) for line in
                           x.export().read_text().splitlines()[1:-1])
               if e["type"] == "line.destroyed")
    f = forger(x, "end")
    f.add(own)
    for change in ({"serial": "22" * 16}, {"batch": "sya"},
                   {"issuer": "issuing"}, {"station": "st-sya"}):
        f.add({**own, **change})
    code, out, words = x.sync(f.write(tmp_path / "x"))
    assert code == 3 and [q["reason"] for q in out["quarantined"]] == 4 * [
        "the end of a line CA that is not this station's"], words
    assert ends() == [end]
    agree(centre.w)


class Before(Receiver):
    """The centre, as a release of before that knows no "have" of an order:
    a member that it does not know it refuses."""

    def __init__(self, world, station):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server = world.state / "server"
        tls.load_cert_chain(server / "tls.crt", server / "tls.key")
        self.world, self.station = world, station
        super().__init__(self.ask, tls)
        handler = self.server.RequestHandlerClass
        handler.do_GET = lambda h: self.pass_on(h, None)

    def ask(self, d):
        return lambda handler: self.pass_on(handler, d.body)

    def pass_on(self, handler, body):
        old = body is not None and "have" in json.loads(body)
        if old:
            status, text = 400, b'{"status":400,"detail":"have: not known"}'
        else:
            s = self.station
            conn = self.world.https(self.world.operators,
                                    s.dir / "station.crt",
                                    s.dir / "station.key")
            a = self.world.ask(conn, handler.command, handler.path, body,
                               {"Content-Type": "application/json"})
            conn.close()
            status, text = a.status, a.body
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)


class Deaf(Before):
    """The centre, which answers questions for revocations with a status, or
    as it is for those whose status is None."""

    def __init__(self, world, station):
        self.asked, self.says = [], {}
        super().__init__(world, station)

    def pass_on(self, handler, body):
        query = dict(re.findall(r"(state|limit)=(\w+)", handler.path))
        state = query.get("state") if "limit" in query else None
        if state:
            self.asked.append(state)
        status = self.says.get(state)
        if status is None:
            super().pass_on(handler, body)
            return
        text = json.dumps({"status": status, "detail": "not now"}).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)


def test_news_that_does_not_come(centre, tmp_path, closing):
    """What is cut off goes on where it was; what is refused is in the log
    once, and once that it is over."""
    x = Synced(centre, tmp_path, "syw")
    closing(x)
    x.make("01")
    over_network(x)
    heard = x.s.dir / "state/revocations" / x.issuer
    heard.unlink()
    with Deaf(centre.w, x.s) as deaf, open(x.s.dir / "log", "w") as log:
        x.s.conf.write_text("sync = 1s\n" + x.s.conf.read_text().replace(
            f":{centre.w.operators}\"", f":{deaf.port}\""))
        deaf.says = {"orphaned": 503}
        p = x.s.begin("run", "--json", stdin=subprocess.PIPE, stderr=log)
        try:
            until(lambda: len(deaf.asked) >= 3)
            assert deaf.asked[:3] == ["held", "orphaned", "orphaned"]
            deaf.says = {"orphaned": 403}
            n = len(deaf.asked)
            until(lambda: deaf.asked[n:].count("orphaned") >= 3)
            # refused, it is asked for from the start
            assert "held" in deaf.asked[n:] and not heard.exists()
            deaf.says = {}
            until(heard.exists)
            n = len(deaf.asked)
            until(lambda: len(deaf.asked) >= n + 6)
            p.stdin.close()
            p.terminate()
            p.wait(30)
        finally:
            p.kill()
            p.stdout.close()
            p.wait(30)
    text = (x.s.dir / "log").read_text()
    assert text.count("sync.no-revocations") == 1, text
    assert text.count("sync.revocations") == 1, text


def test_orders_come_down(centre, tmp_path):
    """The first, the next one when the batch has changed, and the last, which
    closes it: over the network as from a stick."""
    w = centre.w
    s = new(centre, tmp_path, "st-down")
    try:
        s.set_batch("sydown")

        def sync(want=0):
            p = run(*s.argv("sync", "--json"), check=False)
            assert p.returncode == want, p
            return json.loads(p.stdout)
        p = run(*s.argv("sync"), check=False)
        assert p.returncode == 4 and "no such batch" in p.stderr, p
        name, file = centre.line_ca(s, "sydown")
        centre.again()
        centre.batch("sydown", "st-down=2", "--mode", "offline")
        p = run(*s.argv("sync"), check=False)
        assert p.returncode == 5 and "wants a line CA" in p.stderr, p
        centre.order("sydown", s, "--line-ca", file)
        w.cli("station", "trust", s.name, s.made["ledger_key"])
        out = sync()
        assert (out["batch"], out["new_order"], out["size"]) == (
            "sydown", True, 0), out
        s.plug()
        s.passes("SYDOWN-01")
        out = sync()
        assert (out["issued"], out["new_order"], out["revoked"]) == (
            1, False, 0), out
        # news of revocations: that board passes no more
        assert s.passes("SYDOWN-01")["again"]
        (cert,) = w.rest("GET", "/certificates?device=SYDOWN-01").json["items"]
        w.cli("cert", "revoke", cert["serial"], "--reason", "keyCompromise")
        w.cli("batch", "extend", "sydown", "--until", "60d", "--reason", "x")
        p = run(*s.argv("sync"))
        assert p.stdout.splitlines() == [
            "nothing new: the centre has all 3 entries",
            "1 of its certificates are revoked: their boards pass no more",
            "a new order of batch sydown"], p
        assert (s.dir / "state/revocations" / name).read_text() == (
            cert["serial"] + "\n")
        code, a = s.provision("SYDOWN-01")
        assert (code, a["reason"]) == (22, "revoked"), a
        order = json.loads(run(*s.argv("status", "--json")).stdout)["order"]
        assert (order["number"], order["may"]) == (2, True), order
        # one on hold waits, until it is released, and that is heard of
        s.unplug()
        s.blank(1)
        s.plug().passes("SYDOWN-02")
        sync()
        (held,) = w.rest("GET", "/certificates?device=SYDOWN-02").json["items"]
        w.cli("cert", "hold", held["serial"])
        p = run(*s.argv("sync"))
        assert ("1 of its certificates are on hold: their boards wait until "
                "they are released") in p.stdout.splitlines(), p
        assert (s.dir / "state/revocations" / name).read_text() == "".join(
            sorted([cert["serial"] + "\n", held["serial"] + " held\n"]))
        code, a = s.provision("SYDOWN-02")
        assert (code, a["reason"]) == (22, "revoked"), a
        assert "on hold" in a["note"], a
        w.cli("cert", "release", held["serial"])
        out = sync()
        assert (out["revoked"], out["held"]) == (1, 0), out
        run(*s.argv("release", "--serial", "SYDOWN-02"))
        assert s.passes("SYDOWN-02")["again"]
        # an older centre is asked once more, as it knows it
        with Before(w, s) as old:
            now = s.conf.read_text()
            s.conf.write_text(now.replace(f":{w.operators}\"",
                                          f":{old.port}\""))
            out = sync()
            assert (out["new_order"], out["revoked"]) == (False, 1), out
            asked = [d.json for d in old.got if d.path.endswith("/order")]
            assert [sorted(x) for x in asked] == [
                ["have", "station"], ["station"]], asked
            s.conf.write_text(now)
        # one whose end is damaged comes again, though its beginning is whole
        kept = s.dir / "state/orders/sydown.json"
        was = kept.read_bytes()
        kept.write_bytes(was[:-20])
        assert sync()["new_order"]
        assert json.loads(kept.read_bytes()) == json.loads(was)
        w.cli("batch", "close", "sydown")
        assert sync()["new_order"]
        order = json.loads(run(*s.argv("status", "--json")).stdout)["order"]
        assert not order["may"], order
        # and the last comes again, too, when no stick has it any more
        last = kept.read_bytes()
        s.set_batch('""')  # its file's name says which
        kept.write_bytes(last[:len(last) // 2])
        out = sync()
        assert (out["batch"], out["new_order"]) == ("sydown", True), out
        assert json.loads(kept.read_bytes()) == json.loads(last)
        # its end goes up with the next one, and no order is made any more
        assert sync()["entries"] == 1 and not sync()["new_order"]
        assert [e["batch"] for e in centre.entries("line.destroyed")
                if e["station"] == s.name] == ["sydown"]
    finally:
        s.close()
