"""What a sync has put aside has a way out: a supervisor takes it in with a
reason, or never, and never what is another thing than it says."""
import base64
import json
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from test_offline_order import Line
from test_sync import Synced, agree, forger, x509_serial
from world import DAEMON, World, run, until

FAULTS = True  # see world.py

DAY = 86400


@pytest.fixture(scope="module")
def centre():
    with World() as world:
        yield Line(world)


@pytest.fixture(scope="module")
def line(centre, tmp_path_factory):
    """A station whose ledger the tests forge; its own unit is not synced."""
    x = Synced(centre, tmp_path_factory.mktemp("line"), "sqa", quantity=9)
    x.make("01").export()
    # an order of another batch has the number 2
    centre.w.cli("batch", "create", "--id", "sqo", "--product", "thermo",
                 "--quantity", 1, "--until", "30d", "--serials",
                 "SQO-{1..1}", "--shares", f"{x.name}=1")
    centre.order("sqo", x.s)
    yield x
    x.s.close()


def put_aside(x, path, name, write):
    """The one unit that was."""
    f = forger(x, name)
    write(f)
    code, out, words = x.sync(f.write(path / name))
    assert code == 3 and len(out["quarantined"]) == 1, words
    return out["quarantined"][0]


def decide(x, what, entry, reason="seen by two", status=200):
    a = x.w.rest("POST", f"/stations/{x.name}/quarantine/{entry}/{what}",
                 {"reason": reason})
    assert a.status == status, a
    return a.json


def listed(x, serial):
    return next(q for q in x.w.rest(
        "GET", f"/stations/{x.name}/quarantine?limit=1000").json["items"]
        if q["serial"] == serial)


def entered(x, of, serial):
    return [e for e in x.centre.entries(of) if e.get("serial") == serial]


def on_the_list(x, path, serial):
    x.w.rest("POST", f"/issuers/{x.issuer}/crl", {})
    path.write_bytes(x.w.get_public(f"/crl/{x.issuer}/0.crl").body)
    return serial.upper() in run("openssl", "crl", "-inform", "DER", "-in",
                                 path, "-noout", "-text").stdout


def test_accepted_it_is_what_it_would_have_been(line, tmp_path):
    x, w = line, line.w
    q = put_aside(x, tmp_path, "clock", lambda f: f.unit(
        "SQA-02", at=time.time() + DAY))
    serial = q["serial"]
    assert (q["fault"], q["acceptable"], q["state"]) == (
        "clock", "yes", "waiting"), q
    assert w.rest("GET", f"/stations/{x.name}").json["quarantined"] == 1
    p = w.cli("station", "quarantine", x.name, "--accept", q["entry"],
              check=False)
    assert p.returncode == 2 and "missing --reason" in p.stderr, p
    assert w.rest("GET", "/devices/SQA-02").status == 404
    p = w.cli("--json", "station", "quarantine", x.name, "--accept",
              q["entry"], "--reason", "its clock was set by hand")
    assert '"confirmed": true' in p.stdout, p
    (cert,) = w.rest("GET", "/certificates?device=SQA-02").json["items"]
    assert (cert["serial"], cert["state"]) == (serial, "confirmed"), cert
    report = w.rest("GET", "/batches/sqa/report").json
    assert (report["issued"], report["passed"],
            report["quarantined"]) == (1, 1, 0), report
    assert w.rest("GET", f"/stations/{x.name}").json["quarantined"] == 0
    was = listed(x, serial)
    assert (was["state"], was["decision"]) == (
        "accepted", "its clock was set by hand"), was
    (e,) = entered(x, "unit.released", serial)
    assert (e["batch"], e["station"], e["number"], e["reason"]) == (
        "sqa", x.name, q["entry"], q["reason"]), e
    assert "clock was set" not in str(e) and e["actor"], e
    assert len(entered(x, "certificate.synced", serial)) == 1
    # the same again, by its other name, and the other
    before = len(x.centre.entries("unit.released"))
    decide(x, "accept", serial)
    assert len(x.centre.entries("unit.released")) == before
    decide(x, "reject", serial, status=409)
    assert not on_the_list(x, tmp_path / "crl", serial)
    agree(w)


def closed(x):
    x.w.cli("batch", "close", "sqb")


def removed(x):
    x.w.cli("station", "remove", x.name)


def test_what_was_over_ended_and_out_of_time(centre, tmp_path):
    """All that a supervisor may say, at one board too: its batch's quota, its
    end, its window, its station's end."""
    w = centre.w
    x = Synced(centre, tmp_path, "sqb", quantity=1)
    try:
        x.make("01").export()
        w.cli("station", "sync", x.name, x.s.dir / "export.jsonl")
        over = put_aside(x, tmp_path, "over", lambda f: f.unit("SQB-02"))
        assert (over["fault"], over["acceptable"]) == ("quota", "yes"), over
        closed(x)
        late = put_aside(x, tmp_path, "late", lambda f: f.unit(
            "SQB-03", at=time.time() + 2, proof=False))
        assert (late["fault"], late["acceptable"]) == ("ended", "yes"), late
        early = put_aside(x, tmp_path, "early", lambda f: f.unit(
            "SQB-04", at=time.time() - 40 * DAY))
        assert (early["fault"], early["acceptable"]) == ("window", "yes")
        removed(x)
        for q, state in ((over, "confirmed"), (late, "issued"),
                         (early, "confirmed")):
            decide(x, "accept", q["serial"])
            (cert,) = w.rest("GET", f"/certificates?device={q['device']}"
                             ).json["items"]
            assert cert["state"] == state, cert
        report = w.rest("GET", "/batches/sqb/report").json
        assert (report["issued"], report["passed"], report["left"]) == (
            4, 3, 0), report
        agree(w)
    finally:
        x.s.close()


def by_another_ca(f):
    own, f.ca_key = f.ca_key, ec.generate_private_key(ec.SECP256R1())
    f.unit("SQA-03")
    f.ca_key = own


def its_key_again(f):
    key = ec.generate_private_key(ec.SECP256R1())
    f.unit("SQA-03", key)
    f.unit("SQA-04", key)


def its_number_again(f):
    first = f.unit("SQA-05")
    f.unit("SQA-06", serial=bytes.fromhex(f"{x509_serial(first):032x}"),
           proof=False)


# what was written, its fault, whether its certificate can be on the list
NEVER = {
    "another CA": (by_another_ca, "certificate", False),
    "another key": (lambda f: f.unit("SQA-03", spki_sha256="22" * 32),
                    "certificate", False),
    "two boards": (lambda f: (f.unit("SQA-07"), f.unit("SQA-07")), "double",
                   True),
    "one key": (its_key_again, "double", True),
    "one number": (its_number_again, "double", False),
    "no order": (lambda f: f.unit("SQA-08", authority="order:sqa:7"),
                 "order", True),
    "another batch's order": (
        lambda f: f.unit("SQA-08", authority="order:sqa:2"), "order", True),
    "another batch's": (lambda f: f.unit("SQA-99"), "batch", True),
    "another profile": (lambda f: f.unit("SQA-08", profile="thermo@9"),
                        "profile", True),
    "a configuration": (lambda f: f.unit(
        "SQA-08", config_version=1, config_sha256="22" * 32), "profile",
        True),
}


@pytest.mark.parametrize("what", NEVER)
def test_what_is_another_thing_is_never_accepted(line, tmp_path, what):
    write, fault, can_list = NEVER[what]
    x, w = line, line.w
    q = put_aside(x, tmp_path, what.replace(" ", "-"), write)
    assert q["fault"] == fault and q["acceptable"] != "yes", q
    devices = w.rest("GET", "/devices?limit=1000").json["items"]
    a = decide(x, "accept", q["entry"], status=403)
    assert "cannot be accepted" in a["detail"], a
    assert w.rest("GET", "/devices?limit=1000").json["items"] == devices
    assert not entered(x, "unit.released", q["serial"])
    if any(d["id"] == q["device"] for d in devices):
        said = w.cli("device", "why", q["device"]).stdout
        assert "in what a station made offline: unit-put-aside" in said and \
            q["reason"] in said, said
    # never, then
    a = decide(x, "reject", q["entry"], "it is not ours")
    assert (a["listed"], a["state"]) == (can_list, "rejected"), a
    cert = w.rest("GET", f"/certificates/{q['serial']}")
    assert (cert.status == 200 and cert.json["state"] == "orphaned") == \
        can_list, cert
    assert on_the_list(x, tmp_path / "crl", q["serial"]) == can_list
    (e,) = entered(x, "unit.rejected", q["serial"])
    assert (e["number"], e["reason"]) == (q["entry"], q["reason"]), e
    assert decide(x, "reject", q["entry"])["listed"] == can_list
    assert len(entered(x, "unit.rejected", q["serial"])) == 1
    decide(x, "accept", q["entry"], status=409)
    agree(w)


def test_it_stays_aside_whatever_brings_it_again(line, tmp_path):
    """The same certificate in another ledger, by its true time: it is a
    supervisor's to say, and not who brings it."""
    x = line
    q = put_aside(x, tmp_path, "first", lambda f: f.unit(
        "SQA-09", at=time.time() + DAY))
    lines = (tmp_path / "first").read_text().splitlines()
    unit = json.loads(lines[2])

    def again(f):
        entry = json.loads(unit["entry"])
        f.unit("SQA-09", der=base64.b64decode(unit["certificate"]),
               spki_sha256=entry["spki_sha256"], proof=False)
    q2 = put_aside(x, tmp_path, "again", again)
    assert q2["serial"] == q["serial"] and q2["reason"] == q["reason"], q2
    assert x.w.rest("GET", "/devices/SQA-09").status == 404
    decide(x, "reject", q["serial"])
    agree(x.w)


def test_a_proof_that_comes_later(line, tmp_path):
    """With another sync than its certificate, which is aside by then."""
    x, w = line, line.w
    f = forger(x, "later")
    key = ec.generate_private_key(ec.SECP256R1())
    der = f.unit("SQA-08", key, at=time.time() + DAY, proof=False)
    code, out, words = x.sync(f.write(tmp_path / "a"))
    assert code == 3, words
    serial = out["quarantined"][0]["serial"]
    f.prove("SQA-08", key, der, serial)
    code, out, words = x.sync(f.write(tmp_path / "a"))
    assert code == 0 and out["entries"] == 1, words
    assert decide(x, "accept", serial)["confirmed"]
    (cert,) = w.rest("GET", "/certificates?device=SQA-08").json["items"]
    assert cert["state"] == "confirmed", cert
    agree(w)


def test_what_the_centre_made_no_station_confirms(line, tmp_path):
    x, w = line, line.w
    path, csr = w.key_and_csr("cen-1")
    w.rest("POST", "/devices", {"id": "CEN-1", "product": "thermo"})
    a = w.rest("POST", "/devices/CEN-1/enrol", {
        "csr": base64.b64encode(csr.read_bytes()).decode()})
    assert a.status == 200, a
    der = x509.load_pem_x509_certificate(
        a.json["certificate"].encode()).public_bytes(
            serialization.Encoding.DER)
    f = forger(x, "theirs")
    f.prove("CEN-1", serialization.load_pem_private_key(
        path.read_bytes(), None), der, a.json["serial"])
    code, out, words = x.sync(f.write(tmp_path / "theirs"))
    assert code == 3 and [q["fault"] for q in out["quarantined"]] == [
        "proof"], words
    cert = w.rest("GET", f"/certificates/{a.json['serial']}").json
    assert cert["state"] == "issued", cert
    agree(w)


def test_what_is_no_decision(line, tmp_path):
    x, w = line, line.w
    q = put_aside(x, tmp_path, "none", lambda f: f.unit(
        "SQA-05", at=time.time() + DAY))
    for body in ({}, {"reason": ""}, {"reason": "a\nb"},
                 {"reason": "x" * 200}):
        a = w.rest("POST", f"/stations/{x.name}/quarantine/{q['entry']}/"
                   "accept", body)
        assert a.status == 400, (body, a)
    for entry, status in (("7777", 404), ("22" * 16, 404), ("x", 400)):
        for what in ("accept", "reject"):
            decide(x, what, entry, status=status)
    assert listed(x, q["serial"])["state"] == "waiting"
    decide(x, "reject", q["serial"])


PLACES = {"release.wish": "accept", "release.stored": "accept",
          "release.proved": "accept", "reject.listed": "reject"}


@pytest.mark.skipif(b"MINTMARK_DIE_AT" not in DAEMON.read_bytes(),
                    reason="needs a build with -Dfaults=true")
@pytest.mark.parametrize("place", PLACES)
def test_one_that_was_cut_off_is_ended(line, tmp_path, place):
    """The centre dies between two of its commits: nothing is half, reconcile
    agrees on what is there, and the same again ends it."""
    x, w, what = line, line.w, PLACES[place]
    serial = {"release.wish": "SQA-01", "release.stored": "SQA-04",
              "release.proved": "SQA-06", "reject.listed": "SQA-09"}[place]
    q = put_aside(x, tmp_path, place, lambda f: f.unit(
        serial, at=time.time() + DAY))
    w.stop()
    w.start(env={"MINTMARK_DIE_AT": f"{place}:1"})
    with pytest.raises(OSError):
        decide(x, what, q["entry"])
    w.kill_all()
    w.start()
    until(lambda: w.rest("GET", "/status").status == 200)
    assert listed(x, q["serial"])["state"] == "waiting"
    agree(w)
    decide(x, what, q["entry"])
    decide(x, what, q["entry"])
    assert listed(x, q["serial"])["state"] == f"{what}ed"
    of = {"accept": "unit.released", "reject": "unit.rejected"}[what]
    assert len(entered(x, of, q["serial"])) == 1
    cert = w.rest("GET", f"/certificates/{q['serial']}").json
    assert cert["state"] == {"accept": "confirmed",
                             "reject": "orphaned"}[what], cert
    agree(w)
