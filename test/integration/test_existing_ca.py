"""docs/existing-ca.md: certificates that the maker's own CA signs, here one of
openssl's ca, by a program that asks it.  What it does wrong is chosen by a
file, so that one server serves all of it."""
import base64
import datetime
import json
import os
import pathlib
import re
import signal
import threading

import pytest

import keys
import possession
import postgres
from cryptography import x509
from receiver import Receiver
from test_agent import enrol, identity, token_file
from test_est import certs_of, enrolled
from world import World, run, until

EST = "/.well-known/est"

CONF = """
[ca]
default_ca = own
[own]
dir = {d}
new_certs_dir = {d}
database = {d}/index.txt
rand_serial = yes
certificate = {d}/{who}.crt
private_key = {d}/{who}.key
default_md = sha256
default_days = 30
unique_subject = no
policy = any
x509_extensions = device
[any]
organizationName = optional
serialNumber = optional
commonName = optional
[device]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
[ca_true]
basicConstraints = critical,CA:TRUE
extendedKeyUsage = clientAuth
[signs]
keyUsage = critical,digitalSignature,keyCertSign
extendedKeyUsage = clientAuth
[server]
extendedKeyUsage = serverAuth
[named]
extendedKeyUsage = clientAuth
subjectAltName = DNS:other.example
[strange]
extendedKeyUsage = clientAuth
1.2.3.4 = critical,DER:0500
"""

PROGRAM = r"""#!/bin/sh
# DIR REQUEST-FILE: asks the CA in DIR; DIR/mode says how badly
dir=$1 req=$2
cat > "$dir/facts"
echo "$req" >> "$dir/asked"
ca() { flock "$dir/lock" openssl ca -batch -notext -config "$dir/ca.cnf" "$@" 2>> "$dir/err"; }
case $(cat "$dir/mode") in
good) ca -in "$req" ;;
same) [ -s "$dir/made" ] || ca -in "$req" > "$dir/made"; cat "$dir/made" ;;
held) ca -in "$req" > "$dir/made"; echo $$ > "$dir/slow"
    while [ -f "$dir/hold" ]; do sleep 0.05; done; cat "$dir/made" ;;
picky) if grep -q '"device":"picky' "$dir/facts"; then exit 1; fi
    ca -in "$req" ;;
text) echo "here it is"; ca -in "$req" ;;
refuses) exit 77 ;;
falls) ca -in "$req" > /dev/null; exit 1 ;;
later) exit 75 ;;
zero) echo "0 errors"; ca -in "$req" ;;
der) ca -in "$req" | openssl x509 -outform DER ;;
slow) echo $$ > "$dir/slow"; sleep 60 ;;
escapes) setsid sh -c 'echo $$ > "$0/escaped"; sleep 60' "$dir" &
    echo $$ > "$dir/slow"; sleep 60 ;;
numbered) openssl x509 -req -in "$req" -CA "$dir/ca.crt" -CAkey \
    "$dir/ca.key" -set_serial 0x1234567 -days 30 -extfile "$dir/ca.cnf" \
    -extensions device 2>> "$dir/err" ;;
nothing) ;;
garbage) echo no certificate at all ;;
half) ca -in "$req" | head -c 300 ;;
killed) kill -9 $$ ;;
flood) yes ;;
other-name) ca -in "$req" -subj /CN=other ;;
other-key) ca -in "$dir/other.csr" ;;
ca-true) ca -in "$req" -extensions ca_true ;;
signs) ca -in "$req" -extensions signs ;;
too-long) ca -in "$req" -days 4000 ;;
past) ca -in "$req" -startdate 20200101000000Z -enddate 20200301000000Z ;;
to-come) ca -in "$req" -startdate 20980101000000Z -enddate 20980301000000Z ;;
purpose) ca -in "$req" -extensions server ;;
alternative) ca -in "$req" -extensions named ;;
strange) ca -in "$req" -extensions strange ;;
other-issuer) openssl ca -batch -notext -config "$dir/other.cnf" -in "$req" \
    2>> "$dir/err" ;;
same-name) openssl ca -batch -notext -config "$dir/twin.cnf" -in "$req" \
    2>> "$dir/err" ;;
esac
"""


def make_ca(d, who, subject):
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-noenc", "-days", "3650", "-keyout",
        d / f"{who}.key", "-out", d / f"{who}.crt", "-subj", subject,
        "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    (d / f"{who}.cnf").write_text(CONF.format(d=d, who=who))


class Corporate:
    """A World whose profile "thermo" has its certificates from a CA of
    openssl's."""

    def __init__(self, more="", database=None, within="3s", **world):
        self.w = World(database=database, **world)
        self.d = self.w.dir / "corporate"
        self.d.mkdir()
        make_ca(self.d, "ca", "/O=Corp/CN=Corp Devices")
        (self.d / "partner").mkdir()
        make_ca(self.d / "partner", "ca", "/CN=Partner")
        (self.d / "partner/mode").write_text("numbered")
        make_ca(self.d, "other", "/O=Else/CN=Else")
        make_ca(self.d, "twin", "/O=Corp/CN=Corp Devices")
        (self.d / "index.txt").touch()
        (self.d / "asked").touch()
        pem, der = keys.request("other-1")
        (self.d / "other.csr").write_bytes(
            x509.load_der_x509_csr(der).public_bytes(keys.PEM))
        self.w.set_conf("webhook_deny_private", "false")
        self.program = self.d / "ask"
        self.program.write_text(PROGRAM)
        self.program.chmod(0o755)
        self.mode("good")
        self.w.edit('\tissuer = "corporate"\n\tbearer = true\n'
                    '\tlifetime = "60d"\n\tsubject = {"CN={device}"}\n'
                    '\teku = {"clientAuth"}\n\tversion = 2', f"""
issuer "corporate" {{
	certificate = "{self.d}/ca.crt"
	exec = {{"{self.program}", "{self.d}"}}
	answer_within = "{within}"
{more}
}}
issuer "partner" {{
	certificate = "{self.d}/partner/ca.crt"
	exec = {{"{self.program}", "{self.d}/partner"}}
}}
profile "partner" {{
	issuer = "partner"
	bearer = true
	lifetime = "60d"
	subject = {{"CN={{device}}"}}
	eku = {{"clientAuth"}}
}}
profile "second" {{
	issuer = "corporate"
	bearer = true
	lifetime = "60d"
	subject = {{"CN={{device}}"}}
	eku = {{"clientAuth"}}
}}
profile "whole" {{
	issuer = "corporate"
	lifetime = "60d"
	subject = {{"O=Makers", "serialNumber={{device}}"}}
	eku = {{"clientAuth"}}
}}
""")

    def mode(self, mode):
        (self.d / "mode.new").write_text(mode)
        os.rename(self.d / "mode.new", self.d / "mode")

    def asked(self):
        return len((self.d / "asked").read_text().splitlines())

    def facts(self):
        return json.loads((self.d / "facts").read_text())

    def entries(self, kind, device):
        return [e for e in self.w.entries(f"upstream.{kind}")
                if e["device"] == device]

    def start(self):
        self.w.start().product()
        for product in "whole", "partner", "second":
            self.w.product(product)
        until(lambda: "registrar" in self.w.children())
        return self

    def enrol(self, device, csr=None, token=None):
        if csr is None:
            _, csr = self.w.key_and_csr(device)
        return self.w.enrol_basic(
            token or self.w.token(device, door="bearer"), csr)

    def until_enrolled(self, token, csr):
        """The CA is left alone for a while after it did not answer."""
        got = []

        def good():
            got.append(self.w.enrol_basic(token, csr))
            return got[-1].status == 200
        until(good, told=lambda: got[-1])
        return got[-1]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def corp(request):
    c = Corporate(database=postgres.shared().database()
                  if request.param == "postgresql" else None)
    try:
        yield c.start()
    finally:
        c.w.close()


def verified(corp, pem):
    run("openssl", "verify", "-CAfile", corp.d / "ca.crt", "-purpose",
        "sslclient", pem)


def state_of(w, token):
    return w.rest("GET", f"/tokens/{token['id']}").json["state"]


# ---- what works ----

def test_a_device_has_its_certificate_of_the_existing_ca(corp):
    w = corp.w
    key, csr = w.key_and_csr("dev-1")
    token = w.token("dev-1", door="bearer")
    a = w.enrol_basic(token, csr)
    assert a.status == 200, a
    pem = w.save_p7(a, "dev-1")
    verified(corp, pem)
    cert = keys.load(pem)
    assert cert.serial_number.bit_length() > 128  # more than ours ever have
    [entry] = corp.entries("asked", "dev-1")
    facts = corp.facts()
    assert facts["device"] == "dev-1" and facts["subject"] == ["CN=dev-1"]
    assert facts["spki_sha256"] == entry["spki_sha256"]
    assert entry["issuer"] == facts["issuer"] == "corporate"
    assert not facts["renewal"]
    assert not pathlib.Path(facts["request_file"]).exists()
    [row] = w.rest("GET", "/certificates?device=dev-1").json["items"]
    assert row["issuer"] == "corporate" and row["serial"][0] in "89abcdef"
    assert int(row["ca_serial"], 16) == cert.serial_number

    # the same authority with the same key: the same bytes, nobody is asked
    n = corp.asked()
    again = w.enrol_basic(token, csr)
    assert again.status == 200 and again.body == a.body
    assert corp.asked() == n

    # and with it the device does what it does with any
    a = w.device_call("POST", "/.well-known/mintmark/confirm", b"",
                      cert=pem, key=key)
    assert a.status == 204, a
    [row] = w.rest("GET", "/certificates?device=dev-1").json["items"]
    assert row["confirmed"]


def test_it_renews(corp):
    w = corp.w
    pem, key = enrolled(w, "dev-2")
    new, csr = w.key_and_csr("dev-2b", cn="dev-2")
    a = w.device_call("POST", f"{EST}/simplereenroll", base64.encodebytes(
        csr.read_bytes()), {"Content-Type": "application/pkcs10"}, cert=pem,
        key=key)
    assert a.status == 200, a
    assert corp.facts()["renewal"]
    fresh = w.save_p7(a, "dev-2b")
    verified(corp, fresh)
    a = w.device_call("POST", "/.well-known/mintmark/confirm", b"",
                      cert=fresh, key=new)
    assert a.status == 204, a
    rows = w.rest("GET", "/certificates?device=dev-2").json["items"]
    assert sorted(r["state"] for r in rows) == ["active", "superseded"] or \
        len(rows) == 2, rows


def test_cacerts_have_it(corp):
    own = (corp.d / "ca.crt").read_text().strip()
    for label in ("", "/thermo"):
        got = certs_of(corp.w.device_call("GET", f"{EST}{label}/cacerts")
                       .body)
        assert own in [p.strip() for p in got]


def test_text_before_the_certificate_is_passed_over(corp):
    corp.mode("text")
    assert corp.enrol("dev-text").status == 200
    corp.mode("good")


def test_revoked_here_is_refused_here(corp):
    """And whoever hears of it gets the number to revoke it by, there."""
    w = corp.w
    pem, key = enrolled(w, "dev-rev")
    [row] = w.rest("GET", "/certificates?device=dev-rev").json["items"]
    with Receiver() as r:
        hooks = [w.rest("POST", "/webhooks", {
            "url": r.url(), "types": ["certificate.revoked"], "batch": b})
            for b in (False, True)]
        assert all(h.status == 201 for h in hooks), hooks
        a = w.rest("POST", f"/certificates/{row['serial']}/revoke",
                   {"reason": "keyCompromise"})
        assert a.status in (200, 204), a
        told = [d.json["data"] for d in r.wait(lambda got: len(got) == 2)]
        for h in hooks:
            w.rest("DELETE", f"/webhooks/{h.json['id']}")
    told = [t[0] if isinstance(t, list) else t for t in told]
    told += [i for i in w.rest("GET", "/events?type=certificate.revoked"
                               "&device=dev-rev&after=-1").json["items"]]
    assert len(told) == 3
    for t in told:
        assert t["entry"]["serial"] == row["serial"]
        assert int(t["ca_serial"], 16) == keys.load(pem).serial_number
    _, csr = w.key_and_csr("dev-rev2", cn="dev-rev")
    a = w.device_call("POST", f"{EST}/simplereenroll", base64.encodebytes(
        csr.read_bytes()), {"Content-Type": "application/pkcs10"}, cert=pem,
        key=key)
    assert a.status == 403, a
    # the list is its CA's to sign
    assert w.get_public("/crl/corporate.crl").status == 404


def agents(corp, device, **more):
    """Enrols with a token's text, which does not say whose it is."""
    w = corp.w
    d, _, p = enrol(w, device, token=token_file(w, device, **more))
    cert, _ = identity(d)
    verified(corp, cert)
    return d, json.loads(p.stdout), keys.load(cert)


def test_the_agent_enrols_and_renews_by_a_token_alone(corp):
    d, out, cert = agents(corp, "agent-1")
    assert out["device"] == "agent-1" and out["confirmed"]
    assert cert.subject.rfc4514_string() == "CN=agent-1"
    p = corp.w.agent("renew", "--now", "--dir", d)
    assert json.loads(p.stdout)["confirmed"], p
    assert corp.facts()["renewal"] and corp.facts()["device"] == "agent-1"


def test_the_agent_is_told_the_whole_subject(corp):
    d, out, cert = agents(corp, "agent-2", product="whole")
    assert out["confirmed"]
    assert cert.subject.rfc4514_string() == "2.5.4.5=agent-2,O=Makers"
    p = corp.w.agent("renew", "--now", "--dir", d)
    assert json.loads(p.stdout)["confirmed"], p
    renewed = keys.load(identity(d)[0])
    assert renewed.subject == cert.subject
    assert renewed.serial_number != cert.serial_number


def test_the_agent_refuses_another_devices_token(corp):
    w, n = corp.w, corp.asked()
    t = token_file(w, "agent-3")
    _, _, p = enrol(w, "agent-4", "--device", "agent-4", token=t, check=False)
    assert p.returncode == 5 and "the token is for agent-3" in p.stderr + \
        p.stdout, p
    assert t.exists() and corp.asked() == n


def test_the_line_proves_it(corp):
    """By the number that is recorded, and by its CA's own."""
    w = corp.w
    for k, device in enumerate(("line-1", "line-2")):
        key, csr = w.key_and_csr(device)
        a = w.enrol_basic(w.token(device, door="bearer"), csr)
        assert a.status == 200, a
        cert = keys.load(w.save_p7(a, device))
        [row] = w.rest("GET", f"/certificates?device={device}").json["items"]
        assert not row.get("confirmed")
        serial = (row["serial"], f"{cert.serial_number:x}")[k]
        a = w.rest("POST", f"/devices/{device}/proof", possession.proof(
            key, possession.der_of(w, serial), serial))
        assert a.status == 200 and a.json == {"state": "confirmed"}, a


def test_the_line_proves_it_where_two_cas_gave_one_number(corp):
    w, serial = corp.w, "1234567"
    corp.mode("numbered")
    for device, product in (("one-a", "thermo"), ("one-b", "partner")):
        key, csr = w.key_and_csr(device)
        a = w.enrol_basic(w.token(device, door="bearer", product=product),
                          csr)
        assert a.status == 200, a
        [row] = w.rest("GET", f"/certificates?device={device}").json["items"]
        assert int(row["ca_serial"], 16) == int(serial, 16)
        a = w.rest("POST", f"/devices/{device}/proof", possession.proof(
            key, possession.der_of(w, row["serial"]), serial))
        assert a.status == 200 and a.json == {"state": "confirmed"}, a
    corp.mode("good")
    assert w.rest("GET", f"/certificates/{serial}").status == 409
    a = w.rest("POST", "/devices/dev-1/proof", possession.proof(
        key, possession.der_of(w, row["serial"]), serial))
    assert a.status == 404, a


def test_its_cas_serial_number_finds_it(corp):
    w = corp.w
    pem, _ = enrolled(w, "dev-serial")
    serial = f"{keys.load(pem).serial_number:x}"
    [row] = w.rest("GET", "/certificates?device=dev-serial").json["items"]
    for name in (serial, "00" + serial, serial.upper(), row["serial"]):
        a = w.rest("GET", f"/certificates/{name}")
        assert a.status == 200 and a.json["serial"] == row["serial"], a
    for name in (serial[:-1], "0", "x" * 32, "1" * 41):
        assert w.rest("GET", f"/certificates/{name}").status == 404, name
    p = w.cli("--json", "cert", "show", serial)
    assert json.loads(p.stdout)["device"] == "dev-serial"
    # what a token's bearer is to replace, it says as its certificate has it
    other = w.token("dev-serial2", door="bearer")
    _, csr = w.key_and_csr("dev-serial2")
    a = w.enrol_basic(other, csr, headers={"Mintmark-Replaces": serial})
    assert a.status == 403 and "another-devices-certificate" in a.text, a
    own = w.token("dev-serial", door="bearer")
    _, csr = w.key_and_csr("dev-serial3", cn="dev-serial")
    a = w.enrol_basic(own, csr, headers={"Mintmark-Replaces": serial})
    assert a.status == 200, a
    a = w.rest("POST", f"/certificates/{serial}/revoke", {})
    assert a.status == 200 and a.json["serial"] == row["serial"], a


# ---- what is refused before anybody is asked ----

def test_other_names_are_not_asked_for(corp):
    w = corp.w
    _, csr = w.key_and_csr("someone", cn="else")
    token = w.token("dev-names", door="bearer")
    n = corp.asked()
    a = w.enrol_basic(token, csr)
    assert a.status == 403, a
    assert "names-differ-from-record" in a.text
    assert corp.asked() == n and state_of(w, token) == "minted"
    assert not corp.entries("asked", "dev-names")
    assert "name that device by CN, or nobody" in a.text


# ---- what it gives twice ----

def test_a_certificate_on_record_is_not_taken_again(corp):
    w = corp.w
    (corp.d / "made").unlink(missing_ok=True)
    _, csr = w.key_and_csr("same")
    corp.mode("same")
    assert corp.enrol("same", csr).status == 200
    n = corp.asked()
    token = w.token("same", door="bearer")
    a = w.enrol_basic(token, csr)
    corp.mode("good")
    assert a.status == 503 and state_of(w, token) == "minted", a
    assert corp.asked() == n + 1, "it is asked once for one request"
    [entry] = corp.entries("refused", "same")
    assert entry["reason"] == "on-record"
    assert not w.entries("signature.orphaned")
    assert not corp.entries("unknown", "same")
    assert w.enrol_basic(token, csr).status == 200


def orphaned(corp, device):
    """Its record could not be made: its token was cancelled meanwhile."""
    w = corp.w
    _, csr = w.key_and_csr(device)
    token = w.token(device, door="bearer")
    answer = held_one(corp, lambda: ask(w, token, csr))
    a = w.rest("POST", f"/tokens/{token['id']}/cancel", {})
    got = answer()
    assert a.status == 200 and got.status == 403, (a, got)
    until(lambda: device in [e["device"] for e in
                             w.entries("signature.orphaned")])
    [row] = w.rest("GET", f"/certificates?device={device}").json["items"]
    assert row["state"] == "orphaned"
    return row, csr


def test_an_orphan_that_comes_again_is_adopted(corp):
    w = corp.w
    row, csr = orphaned(corp, "adopted")
    corp.mode("same")
    a = corp.enrol("adopted", csr)
    corp.mode("good")
    assert a.status == 200, a
    verified(corp, w.save_p7(a, "adopted"))
    serial = row["serial"]
    [row] = w.rest("GET", "/certificates?device=adopted").json["items"]
    assert row["serial"] == serial and row["state"] == "issued"
    assert not corp.entries("unknown", "adopted")
    assert not corp.entries("refused", "adopted")


@pytest.mark.parametrize("many", [False, True])
def test_an_orphan_that_was_revoked_is_not_adopted(corp, many):
    w, device = corp.w, f"ended-{many}"
    row, csr = orphaned(corp, device)
    assert int(row["ca_serial"], 16) == \
        keys.load(corp.d / "made").serial_number
    how = {"reason": "cessationOfOperation"}
    if many:
        a = w.rest("POST", "/certificates/revoke",
                   {"device": device, "action": "revoke", **how})
        assert a.status == 200 and a.json["changed"] == 1, a
    else:
        a = w.rest("POST", f"/certificates/{row['serial']}/revoke", how)
        assert a.status == 200 and a.json["state"] == "revoked", a
    corp.mode("same")
    a = corp.enrol(device, csr)
    corp.mode("good")
    assert a.status == 503, a
    [again] = w.rest("GET", f"/certificates?device={device}").json["items"]
    assert again["state"] == "revoked" and again["serial"] == row["serial"]
    assert not corp.entries("unknown", device)


def held_one(corp, asking):
    """Its answer is there, and what it is for changes before it is given."""
    (corp.d / "slow").unlink(missing_ok=True)
    (corp.d / "hold").touch()
    corp.mode("held")
    got = []
    t = threading.Thread(target=lambda: got.append(asking()))
    t.start()
    until((corp.d / "slow").exists)

    def answer():
        (corp.d / "hold").unlink()
        t.join()
        corp.mode("good")
        return got[0]
    return answer


def test_what_changed_meanwhile_takes_the_same_certificate(corp):
    """Its batch was made larger while its CA was asked: that one is recorded,
    and no second one is made."""
    w, n = corp.w, corp.asked()
    orphans = len(w.entries("signature.orphaned"))
    soon = (datetime.datetime.now(datetime.timezone.utc) +
            datetime.timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    a = w.rest("POST", "/batches", {
        "id": "grows", "product": "thermo", "until": soon, "quantity": 5,
        "serials": "grows-{01..09}"})
    assert a.status == 201, a
    assert w.rest("POST", "/devices",
                  {"id": "grows-01", "product": "thermo"}).status == 201
    _, csr = w.key_and_csr("grows-01")
    answer = held_one(corp, lambda: w.rest(
        "POST", "/devices/grows-01/enrol", {"batch": "grows", "csr": base64.
            b64encode(csr.read_bytes()).decode()}))
    a = w.rest("POST", "/batches/grows/extend", {"quantity": 6,
                                                 "reason": "more"})
    got = answer()
    assert a.status == 200 and got.status in (200, 201), (a, got)
    assert corp.asked() == n + 1
    assert len(w.entries("signature.orphaned")) == orphans
    assert len(corp.entries("asked", "grows-01")) == 1
    [row] = w.rest("GET", "/certificates?device=grows-01").json["items"]
    assert row["state"] == "issued"


# ---- what goes wrong ----

LOST = {"slow": "no-answer", "nothing": "no-answer", "garbage": "no-answer",
        "half": "no-answer", "falls": "no-answer", "killed": "no-answer",
        "flood": "no-answer"}
REFUSED = {"refuses": "refused", "later": "unavailable"}
WRONG = ["other-name", "other-key", "ca-true", "signs", "too-long", "past",
         "to-come", "purpose", "alternative", "strange", "other-issuer",
         "same-name"]


@pytest.mark.parametrize("mode", [*LOST, *REFUSED, *WRONG])
def test_without_a_good_answer_nothing_is_spent(corp, mode):
    w, device = corp.w, f"bad-{mode}"
    _, csr = w.key_and_csr(device)
    token = w.token(device, door="bearer")
    corp.mode("good")
    corp.until_enrolled(w.token(f"{device}-0", door="bearer"),
                        w.key_and_csr(f"{device}-0")[1])
    corp.mode(mode)
    a = w.enrol_basic(token, csr)
    corp.mode("good")
    assert a.status == 503 and int(a.headers["retry-after"]) > 0, a
    assert state_of(w, token) == "minted"
    assert not w.rest("GET", f"/certificates?device={device}").json["items"]
    assert len(corp.entries("asked", device)) == 1
    unknown = corp.entries("unknown", device)
    refused = corp.entries("refused", device)
    if mode in LOST:
        assert [e["reason"] for e in unknown] == [LOST[mode]]
        assert not refused
    else:
        want = REFUSED.get(mode, "wrong-answer")
        assert [e["reason"] for e in refused] == [want], w.log()[-2000:]
        assert ("cert_sha256" in refused[0]) == (mode in WRONG)
        assert not unknown
    if mode == "refuses":  # by it alone, and for a minute
        assert 50 < int(a.headers["retry-after"]) <= 60
        assert w.enrol_basic(token, csr).status == 503
        assert len(corp.entries("asked", device)) == 1
        return
    if mode in WRONG[1:]:
        return  # it waits for a second, all alike
    # and then it is as if nothing had been
    a = corp.until_enrolled(token, csr)
    verified(corp, w.save_p7(a, device))


def three_without(corp, mode, name):
    """Devices in a row that get no answer."""
    corp.mode(mode)
    answers = [corp.enrol(f"{name}-{i}") for i in range(3)]
    corp.mode("good")
    assert {a.status for a in answers} == {503}


def test_a_ca_that_is_away_is_left_alone(corp):
    """Else each device that comes again would leave two entries."""
    w = corp.w
    _, csr = w.key_and_csr("rest")
    token = w.token("rest", door="bearer")
    corp.until_enrolled(w.token("rest-0", door="bearer"),
                        w.key_and_csr("rest-0")[1])
    corp.mode("later")
    n = corp.asked()
    answers = [w.enrol_basic(token, csr) for _ in range(20)]
    assert "has not answered" not in w.rest("GET", "/doctor").text
    corp.mode("good")
    assert {a.status for a in answers} == {503}
    assert corp.asked() - n <= 4
    corp.until_enrolled(token, csr)


def test_one_device_does_not_rest_the_ca_for_all(corp):
    """Its request may be what the program falls over."""
    w = corp.w
    corp.until_enrolled(w.token("rested-0", door="bearer"),
                        w.key_and_csr("rested-0")[1])
    corp.mode("picky")
    _, csr = w.key_and_csr("picky-1")
    token = w.token("picky-1", door="bearer")
    answers = [w.enrol_basic(token, csr) for _ in range(8)]
    others = [corp.enrol(f"rested-{i}") for i in range(1, 4)]
    corp.mode("good")
    assert {a.status for a in answers} == {503}
    assert len(corp.entries("asked", "picky-1")) <= 3
    assert {a.status for a in others} == {200}


def test_who_proves_nothing_tries_for_nobody(corp):
    """Once they all wait, one tries for them each time: not by a request
    that nobody signed."""
    w = corp.w
    jobs = [(w.token(f"try-{i}", door="bearer"), w.key_and_csr(f"try-{i}")[1])
            for i in range(5)]
    bad = w.dir / "try-bad.csr"
    der = bytearray(jobs[4][1].read_bytes())
    der[-1] ^= 1
    bad.write_bytes(der)
    corp.until_enrolled(w.token("try-good", door="bearer"),
                        w.key_and_csr("try-good")[1])
    corp.mode("later")
    for j in jobs[:3]:
        assert w.enrol_basic(*j).status == 503
    corp.mode("good")
    n = corp.asked()
    assert w.enrol_basic(*jobs[3]).status == 503 and corp.asked() == n

    def both():
        assert w.enrol_basic(jobs[4][0], bad).status != 200
        return w.enrol_basic(*jobs[3]).status == 200
    until(both, seconds=20)


def test_a_ca_whose_answers_are_wrong_is_braked(corp):
    """Each of them is a certificate."""
    w = corp.w
    jobs = [(w.token(f"brake-{i}", door="bearer"),
             w.key_and_csr(f"brake-{i}")[1]) for i in range(4)]
    corp.until_enrolled(w.token("brake-good", door="bearer"),
                        w.key_and_csr("brake-good")[1])
    corp.mode("purpose")
    n = corp.asked()
    answers = [w.enrol_basic(*j) for j in (jobs[0], *jobs) for _ in range(4)]
    assert {a.status for a in answers} == {503}
    assert corp.asked() - n <= 4, "the three, and one that tried for all"

    def rests():
        w.enrol_basic(*jobs[2])
        up = w.rest("GET", "/issuers/corporate").json["upstream"]
        return up if "resting_profiles" in up else None
    up = until(rests)
    assert up["state"] == "answering" and "failing_since" not in up, up
    [rest] = up["resting_profiles"]
    assert rest["profile"] == "thermo" and rest["until"] > up["answered_at"]
    # a template's fault holds up no other profile
    corp.mode("good")
    a = corp.enrol("brake-second", token=w.token(
        "brake-second", door="bearer", product="second"))
    assert a.status == 200, a
    corp.until_enrolled(*jobs[3])
    assert not w.rest("GET", "/issuers/corporate").json["upstream"].get(
        "resting_profiles")


def slow_one(corp, device):
    """A request that is with the program now; its answer later."""
    w, got = corp.w, []
    _, csr = w.key_and_csr(device)
    token = w.token(device, door="bearer")
    corp.until_enrolled(w.token(f"{device}-0", door="bearer"),
                        w.key_and_csr(f"{device}-0")[1])
    (corp.d / "slow").unlink(missing_ok=True)
    corp.mode("slow")
    t = threading.Thread(target=lambda: got.append(ask(w, token, csr)))
    t.start()
    until((corp.d / "slow").exists)
    corp.mode("good")
    return token, csr, t, got


def ask(w, token, csr):
    try:
        return w.enrol_basic(token, csr)
    except OSError as e:
        return e


def test_a_registrar_that_is_killed(corp):
    w = corp.w
    token, csr, t, got = slow_one(corp, "reg-killed")
    old = w.children()["registrar"]
    os.kill(old, signal.SIGKILL)
    t.join()
    assert got[0].status == 503, got
    assert [e["reason"] for e in corp.entries("unknown", "reg-killed")] == \
        ["no-answer"]
    until(lambda: w.children().get("registrar", old) != old)
    corp.until_enrolled(token, csr)


def test_a_registrar_that_hangs():
    """It is ended as if it had died, and nothing else is."""
    corp = Corporate(within="30s")
    w = corp.w
    w.set_conf("watchdog", '"5s"')
    try:
        corp.start()
        token, csr, t, got = slow_one(corp, "reg-hangs")
        before = w.children()
        (worker,) = pathlib.Path("/proc/{0}/task/{0}/children".format(
            before["registrar"])).read_text().split()
        os.kill(int(worker), signal.SIGSTOP)
        t.join()
        assert got[0].status == 503, got
        assert [e["reason"] for e in corp.entries("unknown", "reg-hangs")] \
            == ["no-answer"]
        until(lambda: w.children().get("registrar") not in
              (None, before["registrar"]))
        assert {k: v for k, v in w.children().items() if k != "registrar"} \
            == {k: v for k, v in before.items() if k != "registrar"}
        assert w.log().count("event=child-hung child=registrar ") == 1
        assert metrics(w)['mintmark_upstream_registrar_ends_total'
                          '{issuer="corporate"}'] == 1
        assert "child-hung" in w.rest("GET", "/doctor").text
        corp.until_enrolled(token, csr)
    finally:
        w.close()


def test_a_lease_lasts_as_long_as_it_is_asked():
    """Else another node asks the same meanwhile.  And not much longer than
    the node does: it is renewed."""
    server = postgres.shared()
    url = server.database()
    corp = Corporate("\tat_once = 2", database=url, within="40s")
    try:
        corp.w.set_conf("node", '"a"')
        corp.start()
        token, csr, t, got = slow_one(corp, "leased")
        where = f"WHERE authority = 'token:{token['id']}'"

        def left(sql):
            return float(server.sql(sql, url.split("@/")[1].split("?")[0]))
        ends = ("extract(epoch FROM until - clock_timestamp())"
                " FROM mintmark.reservation ")
        assert 20 < left(f"SELECT {ends}{where}") <= 30
        left("WITH w AS (UPDATE mintmark.reservation SET until ="
             f" clock_timestamp() + interval '9 s' {where} RETURNING 1)"
             " SELECT count(*) FROM w")
        until(lambda: left(f"SELECT {ends}{where}") > 20)
        os.kill(int((corp.d / "slow").read_text()), signal.SIGKILL)
        t.join()
        assert got[0].status == 503
    finally:
        corp.w.close()


def test_a_machine_that_is_switched_off_midway(corp):
    w = corp.w
    token, csr, t, got = slow_one(corp, "off")
    assert corp.entries("asked", "off")
    w.kill_all()
    t.join()
    w.start()
    until(lambda: [e["reason"] for e in corp.entries("unknown", "off")] ==
          ["interrupted"])
    until(lambda: "registrar" in w.children())
    corp.until_enrolled(token, csr)


def test_so_many_at_once(corp):
    """A slow CA holds up no device of another issuer, and takes no more than
    the configuration says."""
    w = corp.w
    jobs = [(w.token(f"many-{i}", door="bearer"), w.key_and_csr(f"many-{i}")[1])
            for i in range(12)]
    corp.until_enrolled(*jobs[0])
    n = corp.asked()
    got = []
    threads = [threading.Thread(target=lambda j=j: got.append(ask(w, *j)))
               for j in jobs[1:]]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert {a.status for a in got} <= {200, 503}
    assert any(a.status == 200 for a in got)
    assert corp.asked() - n == sum(a.status == 200 for a in got)
    for j in jobs[1:]:
        corp.until_enrolled(*j)


# ---- what is seen of it ----

def test_the_issuer_says_how_its_ca_does(corp):
    w = corp.w
    corp.until_enrolled(w.token("seen-0", door="bearer"),
                        w.key_and_csr("seen-0")[1])
    good = w.rest("GET", "/issuers/corporate").json
    up = good["upstream"]
    assert up["state"] == "answering" and up["asked"] >= up["made"] > 0
    assert up["answered_at"] >= up["asked_at"] and "crl_url" not in good
    assert "upstream" not in w.rest("GET", "/issuers/issuing").json
    assert "answering" in w.cli("ca", "list").stdout
    n = metrics(w)
    assert n['mintmark_upstream_up{issuer="corporate"}'] == 1
    assert n['mintmark_upstream_duration_seconds_count'
             '{issuer="corporate"}'] > 0

    corp.mode("later")
    corp.enrol("seen-odd")  # and two of the three that follow are asked
    assert metrics(w)['mintmark_upstream_up{issuer="corporate"}'] == 1
    three_without(corp, "later", "seen-1")
    bad = w.rest("GET", "/issuers/corporate").json["upstream"]
    assert bad["state"] in ("resting", "failing")
    assert bad["unavailable"] == up["unavailable"] + 3
    assert bad["failing_since"] > up["answered_at"]
    assert bad["answered_at"] == up["answered_at"]
    assert "ended with 75" in bad["why"]
    m = metrics(w)
    assert m['mintmark_upstream_up{issuer="corporate"}'] == 0
    for name, labels, more in (
            ("asked_total", "", 3), ("duration_seconds_count", "", 3),
            ("answers_total", ',answer="unavailable"', 3),
            ("answers_total", ',answer="made"', 0)):
        at = f'mintmark_upstream_{name}{{issuer="corporate"{labels}}}'
        assert m[at] - n[at] == more, at
    shown = w.cli("ca", "show", "corporate").stdout
    assert "ended with 75" in shown and "resting_until" in shown or \
        "failing" in shown
    corp.until_enrolled(w.token("seen-2", door="bearer"),
                        w.key_and_csr("seen-2")[1])
    assert metrics(w)['mintmark_upstream_up{issuer="corporate"}'] == 1


def metrics(w):
    lines = w.rest("GET", "/metrics", base="").text.splitlines()
    return {name: float(value) for name, value in
            (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def test_doctor_says_what_is_not_known(corp):
    w = corp.w
    corp.until_enrolled(w.token("doc-0", door="bearer"),
                        w.key_and_csr("doc-0")[1])
    three_without(corp, "falls", "doc-1")
    found = [f for f in w.rest("GET", "/doctor").json["findings"]
             if f["check"] == "upstream"]
    assert any("it is not known what was made" in f["what"] and
               f["level"] == "warn" for f in found), found
    assert any(f["level"] == "fail" for f in found), found
    corp.until_enrolled(w.token("doc-2", door="bearer"),
                        w.key_and_csr("doc-2")[1])


def test_reconcile_knows_that_the_signer_signed_none_of_it(corp):
    w = corp.w
    conf = w.conf.read_text()
    without = w.conf.with_name("without.conf")
    without.write_text(re.sub(r'issuer "corporate" \{.*?\n\}\n', "", conf,
                              flags=re.S).replace('issuer = "corporate"',
                                                  'issuer = "issuing"'))
    assert 'issuer "corporate"' not in without.read_text()
    for path in w.conf, without:
        p = w.cli("ledger", "reconcile", "--config", path, check=False)
        assert p.returncode == 0, p.stdout + p.stderr
