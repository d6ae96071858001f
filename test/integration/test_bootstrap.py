"""Groups whose devices have no old certificate, or one that is too weak."""
import base64
import hashlib
import json
import re
import signal
import subprocess

import pytest

import postgres
from agent_service import Service
from fleet import Comer, Fleet, listed, make
from test_enrol import entries, journal
from tokens import handshake_request, http_request, parts, to_base32, \
    token_request
from world import AGENT, World, faketime, free_ports, until

ENROLL = "/.well-known/est/simpleenroll"
PKCS10 = {"Content-Type": "application/pkcs10"}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request):
    database = postgres.shared().database() \
        if request.param == "postgresql" else None
    with World(profile="\tbearer = true", database=database) as w:
        (w.legacy,) = free_ports(1)
        w.set_conf("pairing", "true")
        w.set_conf("claim_secrets", "true")
        w.set_conf("legacy_listen", f'"127.0.0.1:{w.legacy}"')
        w.start().product()
        yield w


def refused(answer, status, reason):
    assert answer.status == status, answer
    assert reason in answer.text, answer


# ---- pairing ----

class Bare(Comer):
    """A device that has nothing."""

    def __init__(self, world, device, serial=None):
        super().__init__(world, device, (None, None), serial)

    @property
    def code(self):
        """As docs/fielded.md says it is made, not by the product's code."""
        digits = to_base32(hashlib.sha256(
            b"mintmark pairing code v1\n" + self.device.lower().encode() +
            b"\n" + bytes.fromhex(self.spki)).digest()[:5], 8)
        return f"{digits[:4]}-{digits[4:]}"


def pairing(world, id_, **more):
    a = world.rest("POST", "/groups", {
        "id": id_, "product": "thermo", "kind": "none", "quantity": 100,
        "until": "2096-01-01T00:00:00Z", **more})
    assert a.status == 201, a
    assert world.rest("POST", f"/groups/{id_}/open").status == 200
    return a.json


def waiting(world, group):
    return {i["device"]: i for i in world.rest(
        "GET", f"/groups/{group}/waiting").json["items"]}


@pytest.fixture(scope="module")
def bare(world):
    """A group whose devices have nothing, for all tests."""
    return pairing(world, "bare", range="BARE-{1..99}")


def test_a_device_with_nothing_waits_for_its_code(world, bare):
    c = Bare(world, "Bare-1")
    a = c.come()
    refused(a, 202, "waits-for-approval")
    assert int(a.headers["retry-after"]) <= 10
    row = waiting(world, "bare")["Bare-1"]
    assert (row["code"], row["spki_sha256"]) == (c.code, c.spki)
    assert journal(world, "Bare-1") == []
    assert c.come().status == 202
    assert len([e for e in entries(world, "group.asked")
                if e["device"] == "Bare-1"]) == 1
    path = "/groups/bare/waiting/Bare-1/approve"
    for status, body in ((409, {"code": "0000-0000"}), (400, {"code": "7"}),
                         (400, {}), (400, {"code": c.code,
                                           "spki_sha256": c.spki})):
        assert world.rest("POST", path, body).status == status, body
    assert c.come().status == 202
    # as a person types it
    said = world.cli("group", "approve", "bare",
                     c.code.lower().replace("-", "").replace("0", "o"))
    assert "approved" in said.stdout
    a = c.come()
    assert a.status == 200, a
    assert c.come().body == a.body and len(journal(world, "Bare-1")) == 1
    c.confirm(a)
    refused(Bare(world, "Bare-1").come(), 403, "old-credential-superseded")


def test_its_code_by_one_json_call(world, bare):
    c = Bare(world, "Bare-66")
    a = c.come_by_json()
    assert a.status == 202 and a.json["reason"] == "waits-for-approval", a
    assert waiting(world, "bare")["Bare-66"]["code"] == c.code
    world.cli("group", "approve", "bare", c.code)
    a = c.come_by_json()
    assert a.status == 200 and a.json["device"] == "Bare-66", a


def test_its_code_is_for_one_key_and_one_device(world):
    pairing(world, "codes", range="CODE-{1..9}")
    first, second = (Bare(world, "CODE-1") for _ in range(2))
    assert first.come().status == 202
    # who comes later with another key waits for nothing, pauses nothing
    for _ in range(3):
        refused(Bare(world, "CODE-1").come(), 409, "claimed-with-another-key")
    refused(second.come(), 409, "claimed-with-another-key")
    got = world.rest("GET", "/groups/codes").json
    assert (got["state"], got["conflicts"]) == ("open", 0)
    until(lambda: [e for e in entries(world, "alert")
                   if e.get("device") == "CODE-1"])
    assert len([e for e in entries(world, "alert")
                if e.get("device") == "CODE-1"]) == 1
    p = world.cli("group", "approve", "codes", second.code, check=False)
    assert p.returncode == 4 and "shows that code" in p.stderr
    world.cli("group", "refuse", "codes", "CODE-1", first.code)
    refused(first.come(), 403, "approval-refused")
    assert second.come().status == 202
    # a fact on record does not stand for a person
    listed(world, "codes", {"device": "CODE-2", "address": "127.0.0.1"},
           {"device": "CODE-3", "address": "10.0.0.1"})
    assert Bare(world, "CODE-2").come().status == 202
    refused(Bare(world, "CODE-3").come(), 403, "second-fact-differs")


def test_who_is_of_no_group_learns_nothing(world, bare):
    before = len(entries(world, "alert"))
    for n in range(5):
        a = Bare(world, f"STRANGER-{n}").come()
        refused(a, 401, "")
        assert "group" not in a.text and "device" not in a.text
    assert len(entries(world, "alert")) == before
    # EST's first 401 has no body (RFC 7030 3.2.3); who calls by JSON has
    # nothing but the body to go by
    assert a.body == b""
    a = Bare(world, "STRANGER-9").come_by_json()
    refused(a, 401, "credential-refused")
    assert a.headers["content-type"] == "application/problem+json"
    assert a.headers["www-authenticate"].startswith("Basic ")
    assert "wants a token" in a.json["detail"] and "group" not in a.text
    # nor does it come by any other way
    c = Bare(world, "BARE-50")
    for path in ("simplereenroll", "serverkeygen"):
        assert c.come(f"/.well-known/est/{path}").status in (401, 403)
    assert "BARE-50" not in world.rest("GET", "/groups/bare/waiting").text


def test_the_queue_is_a_short_one(world):
    assert pairing(world, "short", range="SHORT-{1..9}", waiting=2)[
        "waiting_most"] == 2
    assert [Bare(world, f"SHORT-{n}").come().status for n in (1, 2)] == \
        [202, 202]
    a = Bare(world, "SHORT-3").come()
    refused(a, 503, "too-many-waiting")
    assert int(a.headers["retry-after"]) <= 30
    assert pairing(world, "preset")["waiting_most"] == 20
    for body in ({"names": True}, {"legacy": True}, {"bearer": True},
                 {"certificates": ["ab" * 32]}, {"waiting": 5000}):
        a = world.rest("POST", "/groups", {
            "id": "bad", "product": "thermo", "kind": "none", "quantity": 1,
            "until": "2096-01-01T00:00:00Z", **body})
        assert a.status == 400, (body, a)


def test_nobody_takes_all_places_of_a_queue(world):
    """One address has a quarter of them; who waits is not hindered."""
    pairing(world, "crowd", range="CROWD-{01..99}", waiting=20)
    all_ = [Bare(world, f"CROWD-{n:02}") for n in range(1, 8)]
    assert [c.come().status for c in all_[:5]] == [202] * 5
    for c in all_[5:]:
        refused(c.come(), 503, "too-many-waiting")
    refused(all_[6].come_weakly(source="127.0.0.2"), 202,
            "waits-for-approval")
    assert all_[0].come().status == 202
    world.cli("group", "approve", "crowd", all_[0].code)
    assert all_[5].come().status == 202


@pytest.fixture(scope="module")
def agents(world):
    return pairing(world, "agents", range="PA-{1..9}")


def test_the_agent_shows_its_code_and_finishes(world, agents):
    p = subprocess.Popen(
        [str(AGENT), "--json", "enrol", "--pairing", "--anchor",
         str(world.anchor), "--server", f"127.0.0.1:{world.devices}",
         "--device", "PA-1", "--dir", str(world.dir / "pa1"), "--deadline",
         "60"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = p.stderr.readline()
    code = line.split("pairing code ")[1][:9]
    assert waiting(world, "agents")["PA-1"]["code"] == code
    world.cli("group", "approve", "agents", code)
    out, err = p.communicate(timeout=60)
    assert p.returncode == 0, (out, err)
    got = json.loads(out)
    assert got["device"] == "PA-1" and got["confirmed"]
    assert "pairing code" not in err  # once
    p = world.agent("renew", "--now", "--dir", world.dir / "pa1")
    assert json.loads(p.stdout)["renewed"]


def test_the_service_tells_its_code(world, agents):
    with Service(world, "PA-2", token=False, pairing="true", device="PA-2",
                 anchor=world.anchor) as s:
        s.address.unlink()  # nobody reads
        got = s.reaches(lambda v: v.get("pairing_code"))
        assert waiting(world, "agents")["PA-2"]["code"] == got["pairing_code"]
        world.cli("group", "approve", "agents", "PA-2", got["pairing_code"])
        got = s.good()
        assert got["identity"]["device"] == "PA-2"
        assert got["pairing_code"] is None


def test_the_agent_says_what_a_pairing_wants(world):
    for argv in (("--pairing",), ("--pairing", "--anchor", world.anchor),
                 ("--pairing", "--credential", world.anchor),
                 ("--pairing", "--token-file", world.anchor)):
        p = world.agent("enrol", "--dir", world.dir / "panone", *argv,
                        check=False)
        assert p.returncode == 2, (argv, p)


def paced(world):
    """Of a storm so many a minute begin to wait; a device that waits already is
    not hindered."""
    pairing(world, "storm", range="STORM-{1..900}", waiting=900)
    mine = Bare(world, "STORM-900")
    assert mine.come().status == 202
    for n in range(1, 130):
        a = Bare(world, f"STORM-{n}").come()
        if a.status == 503:
            refused(a, 503, "too-many-waiting")
            break
        assert a.status == 202, a
    else:
        raise AssertionError("all of them wait")
    assert mine.come().status == 202


def patient(w):
    """An agent that waits with its code shown, and that code."""
    p = subprocess.Popen(
        [str(AGENT), "enrol", "--pairing", "--anchor", str(w.anchor),
         "--server", f"127.0.0.1:{w.devices}", "--device", "LATE-3", "--dir",
         str(w.dir / "late3"), "--retry", "0", "--deadline", "120"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return p, p.stderr.readline().split("pairing code ")[1][:9]


def taken_back(shown):
    """The server does not say that it waits for this key any more: nobody is to
    compare its code.  That is no end of its patience."""
    p, _ = shown
    assert "counts no more" in p.stderr.readline()
    assert "the next in" in p.stderr.readline()


def shown_again(w, shown):
    """Another one here: the time of the first was over meanwhile."""
    p, code = shown
    new = next(line for line in iter(p.stderr.readline, "")
               if "pairing code " in line).split("pairing code ")[1][:9]
    assert new != code and waiting(w, "late")["LATE-3"]["code"] == new
    w.cli("group", "approve", "late", new)
    _, err = p.communicate(timeout=60)
    assert p.returncode == 0 and "counts no more" not in err, err


def test_a_code_counts_for_a_while_only():
    """Then the device makes another key; who approves is told so."""
    with World() as w:
        w.set_conf("pairing", "true")
        w.start().product()
        pairing(w, "late", range="LATE-{1..9}")
        pairing(w, "places", range="PLACE-{1..9}", waiting=2)
        for n in (1, 2):
            assert Bare(w, f"PLACE-{n}").come().status == 202
        refused(Bare(w, "PLACE-3").come(), 503, "too-many-waiting")
        c = Bare(w, "LATE-1")
        assert c.come().status == 202
        argv = ("enrol", "--pairing", "--anchor", w.anchor, "--server",
                f"127.0.0.1:{w.devices}", "--device", "LATE-2", "--dir",
                w.dir / "late2", "--deadline", "2")
        first = w.agent(*argv, check=False).stderr
        shown = patient(w)
        w.stop()
        taken_back(shown)
        w.start(env=faketime("+16m"))
        # their places are free, their records still there
        assert len(waiting(w, "places")) == 2
        assert [Bare(w, f"PLACE-{n}").come().status for n in (3, 4, 5)] == \
            [202, 202, 503]
        path = "/groups/late/waiting/LATE-1/approve"
        a = w.rest("POST", path, {"code": c.code})
        assert a.status == 409 and "over" in a.text
        refused(c.come(), 403, "pairing-ended")
        new = Bare(w, "LATE-1")
        refused(new.come(), 202, "waits-for-approval")
        refused(c.come(), 409, "claimed-with-another-key")
        assert w.rest("POST", path, {"code": new.code}).status == 200
        assert new.come().status == 200
        # the agent makes another key by itself
        second = w.agent(*argv, check=False).stderr
        codes = [s.split("pairing code ")[1][:9] for s in (first, second)]
        assert codes[0] != codes[1]
        assert waiting(w, "late")["LATE-2"]["code"] == codes[1]
        shown_again(w, shown)
        paced(w)


# ---- a secret that devices share ----

def claim(world, id_, **more):
    a = world.rest("POST", "/groups", {
        "id": id_, "product": "thermo", "kind": "claim", "quantity": 100,
        "until": "2096-01-01T00:00:00Z", **more})
    assert a.status == 201, a
    assert world.rest("POST", f"/groups/{id_}/open").status == 200
    return a.json["token"]


def by_secret(world, token, c, version="1.3"):
    """A device's request by the handshake: status and text."""
    _, out, err = token_request(
        world.devices, token, http_request(
            "POST", ENROLL, base64.b64encode(c.csr),
            Content_Type="application/pkcs10"), version)
    assert out, err
    return int(out.split(b" ", 2)[1]), out.decode("utf-8", "replace")


def by_secret_and_json(world, token, c):
    _, out, err = token_request(
        world.devices, token, http_request(
            "POST", "/api/v1/enrol", json.dumps(
                {"csr": base64.b64encode(c.csr).decode()}).encode(),
            Content_Type="application/json"))
    assert out, err
    head, body = out.split(b"\r\n\r\n", 1)
    return int(head.split(b" ", 2)[1]), body.decode()


def by_basic(world, token, c):
    path = world.dir / f"{c.device}-{c.spki[:6]}.csr"
    path.write_bytes(c.csr)
    return world.enrol_basic({"token": token}, path)


@pytest.fixture(scope="module")
def secret(world):
    token = claim(world, "batch", range="CS-{1..99}")
    listed(world, "batch", {"device": "CS-1", "address": "127.0.0.0/8"},
           {"device": "CS-2", "address": "127.0.0.0/8"},
           {"device": "CS-3", "address": "127.0.0.0/8"},
           {"device": "CS-4", "address": "127.0.0.0/8"})
    return token


def test_a_shared_secret_lets_a_batch_in(world, secret):
    """By the handshake, in either version; each device with its own claim."""
    for n, version in ((1, "1.3"), (2, "1.2")):
        c = Bare(world, f"CS-{n}")
        status, text = by_secret(world, secret, c, version)
        assert status == 200, text
        (issued,) = [e for e in entries(world, "certificate.issued")
                     if e["device"] == f"CS-{n}"]
        assert issued["authority"] == f"group:batch/cs-{n}"
    status, text = by_secret_and_json(world, secret, Bare(world, "CS-4"))
    assert status == 200 and '"device":"CS-4"' in text, text
    # again the same, another key, a person for who has no fact, none beyond
    assert by_secret(world, secret, c)[0] == 200
    for device, want, reason in (
            ("CS-2", 409, "claimed-with-another-key"),
            ("CS-50", 202, "waits-for-approval"),
            ("CS-100", 403, "device-not-of-the-group")):
        status, text = by_secret(world, secret, Bare(world, device))
        assert status == want and reason in text, text


def test_the_secret_is_nowhere_but_where_it_was_shown(world, secret):
    ident, _, _ = parts(secret)
    shown = world.rest("GET", "/groups/batch").json
    assert shown["secret"] == ident and "token" not in shown
    digits = secret[4:].replace("-", "")[20:52]
    for root in (world.state, world.dir):
        for f in root.glob("**/*"):
            if f.is_file() and not f.name.endswith(".token"):
                text = f.read_bytes()
                assert digits.encode() not in text.replace(b"-", b""), f
    (made,) = [e for e in entries(world, "group.created")
               if e["group"] == "batch"]
    assert made["token"] == ident
    found = [f["what"] for f in world.rest("GET", "/doctor").json["findings"]
             if f["check"] == "groups"]
    assert any("batch takes a secret that its devices share" in w or
               "group batch: " in w for w in found), found
    report = world.rest("GET", "/groups/batch/report").json
    assert (report["kind"], report["secret"]) == ("claim", ident)


def test_a_wrong_secret_is_a_wrong_token(world, secret):
    wrong = secret[:40] + ("0" if secret[40] != "0" else "1") + secret[41:]
    _, out, err = handshake_request(world.devices, wrong, http_request(
        "GET", "/.well-known/est/cacerts"), "1.3", ())
    assert not out and "alert" in err


def test_the_secret_is_good_for_nothing_else(world, secret):
    for path in ("simplereenroll", "serverkeygen"):
        c = Bare(world, "CS-60")
        _, out, _ = token_request(world.devices, secret, http_request(
            "POST", f"/.well-known/est/{path}", base64.b64encode(c.csr),
            Content_Type="application/pkcs10"))
        assert int(out.split(b" ", 2)[1]) in (401, 403), out
    assert "CS-60" not in world.rest("GET", "/groups/batch/waiting").text


def test_by_basic_where_the_group_says_so(world, secret):
    refused(by_basic(world, secret, Bare(world, "CS-3")), 403,
            "token-needs-handshake")
    token = claim(world, "basic", bearer=True)
    listed(world, "basic", {"device": "CB-1", "address": "127.0.0.0/8"})
    wrong = token[:40] + ("0" if token[40] != "0" else "1") + token[41:]
    refused(by_basic(world, wrong, Bare(world, "CB-1")), 401,
            "credential-refused")
    c = Bare(world, "CB-1")
    a = by_basic(world, token, c)
    assert a.status == 200, a
    c.confirm(a)
    refused(by_basic(world, token, Bare(world, "CB-1")), 403,
            "old-credential-superseded")


def test_the_agent_comes_with_the_secret(world):
    token = claim(world, "firmware")
    listed(world, "firmware", {"device": "FW-1", "address": "127.0.0.0/8"})
    path = world.dir / "firmware.token"
    path.touch(0o600)
    path.write_text(token)
    got = json.loads(world.agent(
        "enrol", "--token-file", path, "--keep-token", "--device", "FW-1",
        "--server", f"127.0.0.1:{world.devices}", "--dir",
        world.dir / "fw1").stdout)
    assert got["device"] == "FW-1" and got["confirmed"]


def test_closed_batches_take_no_place_from_new_ones(world):
    """Of the secrets that there can be; what came to nothing neither."""
    made, refused_ones = [], 0
    for n in range(70):
        body = {"id": f"fill-{n}", "product": "thermo", "kind": "claim",
                "quantity": 1, "until": "2096-01-01T00:00:00Z"}
        a = world.rest("POST", "/groups", body)
        if a.status == 413:
            refused_ones += 1
            world.rest("POST", f"/groups/{made.pop(0)}/close")
            a = world.rest("POST", "/groups", body)
        assert a.status == 201, a
        made.append(body["id"])
    assert refused_ones
    # the last one is believed
    assert world.rest("POST", f"/groups/{made[-1]}/open").status == 200
    _, text = by_secret(world, a.json["token"], Bare(world, "FILL-1"))
    assert "device-not-of-the-group" in text
    for id_ in made:
        world.rest("POST", f"/groups/{id_}/close")


def test_a_closed_batch_is_over(world):
    token = claim(world, "ends")
    listed(world, "ends", {"device": "END-1", "address": "127.0.0.0/8"},
           {"device": "END-2", "address": "127.0.0.0/8"})
    c = Bare(world, "END-1")
    assert by_secret(world, token, c)[0] == 200
    world.rest("POST", "/groups/ends/pause")
    found = [f["what"] for f in world.rest("GET", "/doctor").json["findings"]]
    assert any("group ends takes a secret" in w for w in found)
    world.rest("POST", "/groups/ends/close")
    status, text = by_secret(world, token, Bare(world, "END-2"))
    assert status == 403 and "group-closed" in text
    assert by_secret(world, token, c)[0] == 200  # an answer that was lost
    found = [f["what"] for f in world.rest("GET", "/doctor").json["findings"]]
    assert not any("group ends" in w for w in found)


# ---- the legacy listener ----

@pytest.fixture(scope="module")
def weak(world):
    """A fleet of 2009: RSA-1024, signed with SHA-1."""
    f = Fleet(world, "Weak Maker", bits=1024)
    make(world, "weak", [f.ca], range="WEAK-{1..9}", names=True, legacy=True)
    make(world, "strict", [f.ca], range="STRICT-{1..9}", names=True)
    return f


def aged(fleet, cn):
    return fleet.leaf(cn, bits=1024)


def test_a_weak_chain_comes_by_the_legacy_listener(world, weak):
    c = Comer(world, "WEAK-1", aged(weak, "WEAK-1"))
    refused(c.come_weakly(), 403, "credential-refused")
    a = c.come_weakly(world.legacy)
    assert a.status == 200, a
    c.confirm(a)
    refused(Comer(world, "STRICT-1", aged(weak, "STRICT-1")).come_weakly(
        world.legacy), 403, "old-credential-weak")
    # what is strong comes there, too, where the group is for it
    strong = weak.leaf("WEAK-2")
    assert Comer(world, "WEAK-2", strong).come_weakly(
        world.legacy).status == 200


def openssl(world, *argv):
    return subprocess.run(["openssl", *argv], cwd=world.dir, check=True,
                          capture_output=True)


def signed(world, cn, bits, ca, digest="sha1"):
    """(certificate, key) of a CA that only openssl would still make."""
    name = f"{cn}-{bits}-{digest}"
    openssl(world, "req", "-new", "-newkey", f"rsa:{bits}", "-nodes", "-subj",
            f"/CN={cn}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
    openssl(world, "x509", "-req", f"-{digest}", "-in", f"{name}.csr", "-CA",
            f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial", "-days",
            "99", "-out", f"{name}.pem")
    return world.dir / f"{name}.pem", world.dir / f"{name}.key"


def test_a_node_with_the_legacy_listener_alone():
    """Also where its certificate is another one meanwhile."""
    with World() as w:
        (port,) = free_ports(1)
        w.set_conf("legacy_listen", f'"127.0.0.1:{port}"')
        w.start().product()
        f = Fleet(w, "Alone Maker", bits=1024)
        make(w, "alone", [f.ca], range="ALONE-{1..9}", names=True,
             legacy=True)
        w.stop()
        for name in ("devices_listen", "operators_listen"):
            w.set_conf(name, '""')
        w.start()
        c = Comer(w, "ALONE-1", aged(f, "ALONE-1"))
        assert c.come_weakly(port).status == 200
        before = w.log_n
        pem = re.search(r'tls_certificate = "(.*)"', w.conf.read_text())[1]
        path = w.etc / pem
        path.write_bytes(path.read_bytes() + b"\n")
        w.daemon.send_signal(signal.SIGHUP)
        until(lambda: "tls-reload" in (w.dir / f"log{before}").read_text())
        assert Comer(w, "ALONE-2", aged(f, "ALONE-2")).come_weakly(
            port).status == 200


def test_what_anybody_can_forge_comes_by_no_listener(world):
    for bits in (1024, 768):
        openssl(world, "req", "-x509", "-newkey", f"rsa:{bits}", "-sha1",
                "-nodes", "-subj", f"/CN=Floor {bits}", "-days", "99",
                "-keyout", f"floor{bits}.key", "-out", f"floor{bits}.pem")
    make(world, "floor", [world.dir / "floor1024.pem",
                          world.dir / "floor768.pem"],
         range="FLOOR-{1..9}", names=True, legacy=True)
    own = signed(world, "FLOOR-5", 768, "floor1024")
    make(world, "single", [own[0]], "certificates", range="FLOOR-{1..9}",
         names=True, legacy=True)
    rows = [("FLOOR-1", signed(world, "FLOOR-1", 1024, "floor1024"), None),
            ("FLOOR-2", signed(world, "FLOOR-2", 768, "floor1024"),
             "old-credential-weak"),
            ("FLOOR-3", signed(world, "FLOOR-3", 1024, "floor768"),
             "credential-refused"),
            ("FLOOR-4", signed(world, "FLOOR-4", 1024, "floor1024", "md5"),
             "credential-refused"),
            ("FLOOR-5", own, "old-credential-weak")]
    for device, old, reason in rows:
        a = Comer(world, device, old).come_weakly(world.legacy)
        assert a.status == (403 if reason else 200), (device, a)
        assert reason is None or reason in a.text, (device, a)
    for group in ("floor", "single"):
        world.rest("POST", f"/groups/{group}/close")


def test_openssl_itself_comes_by_the_legacy_listener(world, weak):
    cert, key = aged(weak, "WEAK-3")
    c = Comer(world, "WEAK-3", (cert, key))
    request = http_request("POST", ENROLL, base64.b64encode(c.csr),
                           Content_Type="application/pkcs10")
    got = {}
    for port in (world.devices, world.legacy):
        p = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{port}",
             "-servername", "localhost", "-CAfile", world.anchor,
             "-verify_return_error", "-cert", cert, "-key", key, "-cipher",
             "DEFAULT@SECLEVEL=0", "-tls1_2", "-quiet", "-ign_eof"],
            input=request, capture_output=True, timeout=60)
        got[port] = p.stdout.split(b"\r\n")[0]
    assert b"403" in got[world.devices], got
    assert b"200" in got[world.legacy], got


def test_the_legacy_listener_answers_nothing_else(world, weak, bare):
    cert, key = aged(weak, "WEAK-4")
    ctx = Comer(world, "WEAK-4", (cert, key))

    def ask(method, path, body=None, head={}, old=None):
        c = Comer(world, "WEAK-4", old or (cert, key))
        return c.ask_weakly(world.legacy, method, path, body, head)

    for method, path in (("POST", "/.well-known/est/simplereenroll"),
                         ("POST", "/.well-known/est/serverkeygen"),
                         ("POST", "/.well-known/mintmark/confirm"),
                         ("GET", "/.well-known/mintmark/renewal"),
                         ("GET", "/.well-known/mintmark/config"),
                         ("POST", "/api/v1/enrol"), ("GET", "/healthz"),
                         ("GET", "/api/v1/devices")):
        assert ask(method, path).status == 404, path
    assert ask("GET", "/.well-known/est/cacerts").status == 200
    # our own certificate, a token, a header, nothing: all of them elsewhere
    t = world.token("LEG-1", "bearer")
    body = base64.b64encode(ctx.csr)
    user, password = parts(t["token"])[0], "0" * 32
    basic = base64.b64encode(f"{user}:{password}".encode()).decode()
    refused(ask("POST", ENROLL, body, {**PKCS10, "Authorization":
                                       f"Basic {basic}"}), 403,
            "credential-refused")
    refused(ask("POST", ENROLL, body, PKCS10, old=(None, None)), 403, "")
    own = Bare(world, "BARE-77")
    own.come()
    world.cli("group", "approve", "bare", own.code)
    mine = own.confirm(own.come())
    refused(ask("POST", ENROLL, body, PKCS10, old=mine), 403,
            "credential-refused")
    _, out, err = handshake_request(world.legacy, t["token"], http_request(
        "GET", "/.well-known/est/cacerts"), "1.3", ())
    assert not out and "alert" in err


def test_the_doctor_knows_of_the_door(world, weak):
    def found():
        return {f["what"]: f["level"] for f in world.rest(
            "GET", "/doctor").json["findings"] if f["check"] == "groups"}
    assert any("legacy listener is on for" in w for w in found())
    world.rest("POST", "/groups/weak/close")
    assert found()["the legacy listener is on, and no open group is for it"] \
        == "warn"


def test_what_the_records_say_is_what_the_ledger_says(world):
    if world.database.startswith("postgresql"):
        pytest.skip("as on SQLite")
    p = world.cli("--json", "ledger", "reconcile", "--config", world.conf,
                  check=False)
    assert p.returncode == 0, p.stdout + p.stderr
