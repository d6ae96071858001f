"""The attempt log: why a device was refused, and what to do about it."""
import base64
import concurrent.futures
import contextlib
import re
import sqlite3

import pytest

from tokens import http_request, parts, s_client, to_base32, token_request
from world import World, faketime, sanitized, serial_of


def why(world, device, check=True):
    return world.cli("device", "why", device, check=check)


def attempts(world, device):
    a = world.rest("GET", f"/devices/{device}/attempts")
    assert a.status == 200, a
    return a.json


def enrol(world, name, **more):
    """A device with a certificate of its own: paths of both."""
    key, csr = world.key_and_csr(name)
    a = world.enrol_basic(world.token(name, door="bearer", **more), csr)
    assert a.status == 200, a
    return world.save_p7(a, name), key


def fresh(world, name, cn=None):
    """A request by a new key, whose file is not the old one's."""
    return world.key_and_csr(name + "-new", cn or name)[1]


def confirm(world, cert, key):
    a = world.device_call("POST", "/.well-known/mintmark/confirm", b"",
                          cert=cert, key=key)
    return a


def est(world, path, csr, **ids):
    return world.device_call(
        "POST", f"/.well-known/est/{path}",
        base64.encodebytes(csr.read_bytes()),
        {"Content-Type": "application/pkcs10"}, **ids)


# ---- refusals, each as a device meets it ----

def other_key(world, name):
    t = world.token(name, door="bearer")
    assert world.enrol_basic(t, world.key_and_csr(name)[1]).status == 200
    assert world.enrol_basic(t, world.key_and_csr(name)[1]).status == 409


def wrong_door(world, name):
    t = world.token(name)
    assert world.enrol_basic(t, world.key_and_csr(name)[1]).status == 403


def cancelled(world, name):
    t = world.token(name, door="bearer")
    world.rest("POST", f"/tokens/{t['id']}/cancel", {})
    assert world.enrol_basic(t, world.key_and_csr(name)[1]).status == 403


def not_yet(world, name):
    t = world.token(name, door="bearer", not_before="2090-01-01T00:00:00Z")
    assert world.enrol_basic(t, world.key_and_csr(name)[1]).status == 403


def wrong_secret(world, name):
    t = world.token(name, door="bearer")
    digits = t["token"].replace("-", "")[3:]
    digit = "7" if digits[30] != "7" else "8"  # in the secret
    forged = {"token": "mm1-" + digits[:30] + digit + digits[31:]}
    assert world.enrol_basic(
        forged, world.key_and_csr(name)[1]).status == 401


def wrong_handshake(world, name):
    identity, _, _ = parts(world.token(name)["token"])
    for _ in range(3):
        s_client(world.devices, "-psk_identity", identity, "-psk", "ab" * 32,
                 "-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256")


def revoked(world, name):
    cert, key = enrol(world, name)
    world.rest("POST", f"/certificates/{serial_of(cert)}/revoke",
               {"reason": "superseded"})
    a = est(world, "simplereenroll", fresh(world, name), cert=cert,
            key=key)
    assert a.status == 403, a


def wrong_names(world, name):
    cert, key = enrol(world, name)
    a = est(world, "simplereenroll", fresh(world, name, "other"),
            cert=cert, key=key)
    assert a.status == 403, a


def ldevid_enrols(world, name):
    cert, key = enrol(world, name)
    a = est(world, "simpleenroll", fresh(world, name), cert=cert,
            key=key)
    assert a.status == 403, a


def key_type(world, name):
    t = world.token(name, door="bearer")
    a = world.enrol_basic(t, world.key_and_csr(name, kind="ed25519")[1])
    assert a.status in (400, 403), a


def malformed(world, name):
    t = world.token(name)
    req = http_request("POST", "/.well-known/est/simpleenroll", b"AAAA",
                       Content_Type="application/pkcs10")
    assert b" 400 " in token_request(world.devices, t["token"], req)[1]


def retired(world, name):
    t = world.token(name, door="bearer")
    world.rest("POST", f"/devices/{name}/retire", {})
    assert world.enrol_basic(t, world.key_and_csr(name)[1]).status >= 400


def by_operator(world, name):
    key, csr = world.key_and_csr(name)
    assert world.enrol_basic(world.token("Y" + name, door="bearer"),
                             csr).status == 200
    world.token(name)
    a = world.rest("POST", f"/devices/{name}/enrol", {
        "csr": base64.b64encode(csr.read_bytes()).decode()})
    assert a.status == 409, a


CASES = [
    (other_key, "basic", "token-used-with-another-key", "thaw|new token"),
    (wrong_door, "basic", "token-needs-handshake", "--door bearer"),
    (cancelled, "basic", "token-cancelled", "token create --device"),
    (not_yet, "basic", "token-not-yet-valid", "token create --device"),
    (wrong_secret, "basic", "credential-refused", "token create --device"),
    (wrong_handshake, "handshake", "credential-refused", "token create"),
    (revoked, "mtls", "certificate-revoked", "cert release"),
    (wrong_names, "mtls", "names-differ-from-certificate", "firmware"),
    (ldevid_enrols, "mtls", "not-an-idevid", "simplereenroll"),
    (key_type, "basic", "key-type-not-allowed", "profile"),
    (malformed, "handshake", "malformed-request", "firmware"),
    (by_operator, "rest", "key-certified-for-another-device", "new one"),
]


@pytest.mark.parametrize("refuse, door, reason, todo", CASES,
                         ids=[c[0].__name__ for c in CASES])
def test_a_refusal_is_remembered(world, refuse, door, reason, todo):
    name = "WHY-" + refuse.__name__
    refuse(world, name)
    a = attempts(world, name.lower())
    assert a["device"] == name
    last = a["attempts"][0]
    assert (last["door"], last["reason"]) == (door, reason), a
    assert last["peer"] == "127.0.0.1" and last["text"]
    assert any(t in last["do"] for t in todo.split("|")), last
    assert "{" not in last["do"] and "{" not in last["text"]
    if refuse is wrong_handshake:
        assert last["count"] == 3
    said = why(world, name).stdout
    assert a["verdict"] == "refused"
    assert f"{name} was refused " in said and reason in said
    assert last["do"] in said


def test_retired_is_said(world):
    retired(world, "WHY-RET")
    assert attempts(world, "WHY-RET")["verdict"] == "retired"
    assert "is retired" in why(world, "WHY-RET").stdout


def test_nothing_is_wrong(world):
    cert, key = enrol(world, "WHY-FINE")
    assert confirm(world, cert, key).status == 204
    a = attempts(world, "WHY-FINE")
    assert a["attempts"] == [] and a["verdict"] == "ok"
    assert a["last_success"]["what"] == "confirmed"
    assert a["certificates"][0]["serial"] == serial_of(cert)
    assert "nothing is wrong: last success" in why(world, "WHY-FINE").stdout


def test_refused_before_and_fine_now(world):
    not_yet(world, "WHY-LATER")
    enrol(world, "WHY-LATER")
    a = attempts(world, "WHY-LATER")
    assert a["verdict"] == "ok" and len(a["attempts"]) == 1
    said = why(world, "WHY-LATER").stdout
    assert "nothing is wrong" in said and "Before that it was refused once" \
        in said


@pytest.mark.parametrize("what", ["waiting", "nothing"])
def test_a_device_that_never_came(world, what):
    name = f"WHY-{what}"
    if what == "waiting":
        world.token(name)
    else:
        world.rest("POST", "/devices", {"id": name, "product": "thermo"})
    assert attempts(world, name)["verdict"] == what
    assert f"{name} ha" in why(world, name).stdout


def test_only_who_may_read_devices_hears_why(world):
    for roles, status in [(["support"], 200), (["auditor"], 200),
                          (["line"], 403)]:
        key = world.rest("POST", "/keys", {"name": "w",
                                           "roles": roles}).json["key"]
        world.token("WHY-ROLE")
        assert world.rest("GET", "/devices/WHY-ROLE/attempts",
                          key=key).status == status
    assert world.rest("GET", "/devices/nosuch/attempts").status == 404
    assert why(world, "nosuch", check=False).returncode == 4


def test_the_last_eight_newest_first(world):
    """Alternating reasons are runs of their own; the ninth pushes one out."""
    name = "WHY-8"
    t = world.token(name)
    csr = world.key_and_csr(name)[1]
    for _ in range(5):
        assert world.enrol_basic(t, csr).status == 403
        malformed_by(world, t)
        attempts(world, name)  # written each time
    a = attempts(world, name)["attempts"]
    assert len(a) == 8
    times = [x["time"] for x in a]
    assert times == sorted(times, reverse=True)
    assert a[0]["reason"] == "malformed-request"
    assert a[1]["reason"] == "token-needs-handshake"


def malformed_by(world, t):
    req = http_request("POST", "/.well-known/est/simpleenroll", b"AAAA",
                       Content_Type="application/pkcs10")
    assert b" 400 " in token_request(world.devices, t["token"], req)[1]


def test_the_same_again_counts(world):
    name = "WHY-SAME"
    t = world.token(name)
    csr = world.key_and_csr(name)[1]
    for _ in range(3):
        world.enrol_basic(t, csr)
        attempts(world, name)  # written each time
    a = attempts(world, name)["attempts"]
    assert len(a) == 1 and a[0]["count"] == 3
    assert f"{name} was refused 3 times" in why(world, name).stdout


def test_peers_can_be_left_out_and_a_restart_forgets_nothing():
    with World(profile="\tbearer = true") as w:
        text = w.conf.read_text()
        w.conf.write_text("attempt_peers = false\n" + "\n".join(
            x for x in text.splitlines()
            if not x.startswith("attempt_peers")) + "\n")
        w.start().product()
        wrong_door(w, "WHY-PEER")
        assert w.stop() == 0  # not read before: written at the end
        w.start()
        a = attempts(w, "WHY-PEER")["attempts"]
        assert len(a) == 1 and "peer" not in a[0]


def storm(world, names):
    """Basic refusals over kept-open connections; their number."""
    conn = world.https(world.devices)
    csr = base64.b64encode(world.storm_csr.read_bytes())
    n = 0
    try:
        for user in names:
            head = {"Authorization": "Basic " + base64.b64encode(
                        f"{user}:{'0' * 32}".encode()).decode(),
                    "Content-Type": "application/pkcs10"}
            a = world.ask(conn, "POST", "/.well-known/est/simpleenroll", csr,
                          head)
            assert a.status == 401, a
            n += 1
    finally:
        conn.close()
    return n


def rss_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(next(x.split()[1] for x in f if x.startswith("VmRSS")))


def test_a_storm_of_refusals_stays_small(world):
    """10,000 refusals of ids that nobody knows: memory bounded, nothing
    written, and a device that exists is remembered all the same."""
    world.storm_csr = world.key_and_csr("storm")[1]
    ids = ["mm1-" + to_base32(bytes([0x80 | 1]) + i.to_bytes(11, "big"), 20)
           for i in range(10000)]
    known = parts(world.token("WHY-STORM", door="bearer")["token"])[0]
    server = world.children()["server"]
    storm(world, ids[:500])
    before, docs = rss_kib(server), written(world)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda k: storm(world, ids[k::4]),
                            range(4))) == 10000
    if not sanitized():  # which keeps freed memory for a while
        assert rss_kib(server) - before < 32 * 1024
    text = world.rest("GET", "/metrics", base="").text
    held = re.search(r'^mintmark_queue_depth\{queue="attempts"\} (\d+)$',
                     text, re.M)
    assert int(held[1]) <= 2 * 512
    noted = re.search(r"^mintmark_attempts_noted_total (\d+)$", text, re.M)
    assert int(noted[1]) >= 10000
    storm(world, [known])
    assert written(world) - docs <= 1  # the known one, if at all
    assert remembered(world, "WHY-STORM", known)[0]["reason"] == \
        "credential-refused"


def written(world):
    """Documents of the attempt log in the database."""
    db = world.state / "server/mintmark.db"
    with contextlib.closing(sqlite3.connect(f"file:{db}?mode=ro",
                                            uri=True)) as c:
        return c.execute("select count(*) from doc where kind = 4"
                         ).fetchone()[0]


def remembered(world, device, token):
    """A storm may hold the claims' table until it is emptied next: a device
    that comes again is in it then."""
    for _ in range(20):
        a = attempts(world, device)["attempts"]
        if a:
            return a
        storm(world, [token])
    raise AssertionError("never remembered")


def test_an_expired_token_is_told_with_the_cure():
    with World(profile="\tbearer = true") as w:
        w.start().product()
        t = w.token("SN-000123", door="bearer", ttl="60s")
        csr = w.key_and_csr("SN-000123")[1]
        w.stop()
        w.start(env=faketime("+2m"))
        for _ in range(3):
            assert w.enrol_basic(t, csr).status == 403
        said = why(w, "SN-000123").stdout
        assert "SN-000123 was refused 3 times, last " in said
        assert "token-expired" in said
        assert "Mint a new token: mintmark token create --device SN-000123" \
            in said
