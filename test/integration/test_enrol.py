"""What a token may do, and what happens when it is used twice."""
import concurrent.futures
import json

import pytest

import postgres
from world import World, faketime, serial_of


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request):
    """As conftest's, once on each kind of database."""
    database = postgres.shared().database() \
        if request.param == "postgresql" else None
    with World(profile="\tbearer = true", database=database) as w:
        yield w.start().product()


def entries(world, type_):
    world.cli("ledger", "checkpoint")
    return world.entries(type_)


def journal(world, device):
    path = world.state / "signer/journal.jsonl"
    lines = [json.loads(s) for s in path.read_text().splitlines()]
    return [x for x in lines if x.get("device") == device
            and x["kind"] == "certificate"]


def test_the_same_key_gets_the_same_bytes(world):
    t = world.token("E-1", door="bearer")
    csr = world.key_and_csr("E-1")[1]
    first = world.enrol_basic(t, csr)
    assert first.status == 200, first
    for _ in range(3):
        assert world.enrol_basic(t, csr).body == first.body
    assert len(journal(world, "E-1")) == 1


def test_another_key_is_refused_and_freezes_the_token(world):
    t = world.token("E-2", door="bearer")
    csr = world.key_and_csr("E-2")[1]
    first = world.enrol_basic(t, csr)
    thief = world.enrol_basic(t, world.key_and_csr("E-2x")[1])
    assert thief.status == 409
    assert "token-used-with-another-key" in thief.text
    assert world.rest("GET", f"/tokens/{t['id']}").json["state"] == "frozen"
    # the first key's owner is not punished
    assert world.enrol_basic(t, csr).body == first.body
    assert any(e["token"] == t["id"] for e in entries(world, "token.frozen"))
    assert any(e.get("token") == t["id"] for e in entries(world, "alert"))


def test_thaw_keeps_or_rebinds(world):
    t = world.token("E-3", door="bearer")
    csr, other = (world.key_and_csr(n)[1] for n in ("E-3", "E-3b"))
    first = world.enrol_basic(t, csr)
    pem = world.save_p7(first, "E-3")
    world.enrol_basic(t, other)
    import hashlib
    import subprocess
    spki = subprocess.run(
        f"openssl req -inform DER -in {other} -noout -pubkey |"
        " openssl pkey -pubin -outform DER", shell=True,
        capture_output=True, check=True).stdout
    a = world.rest("POST", f"/tokens/{t['id']}/thaw",
                   {"rebind_spki_sha256": hashlib.sha256(spki).hexdigest()})
    assert a.status == 200, a
    assert world.enrol_basic(t, csr).status in (403, 409)
    assert world.enrol_basic(t, other).status == 200
    old = world.rest("GET", f"/certificates/{serial_of(pem)}").json
    assert old["state"] == "revoked"


def test_a_hundred_claims_at_once_one_certificate(world):
    t = world.token("E-4", door="bearer")
    csr = world.key_and_csr("E-4")[1]
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        got = list(pool.map(lambda _: world.enrol_basic(t, csr), range(100)))
    assert [a.status for a in got] == [200] * 100
    assert len({a.body for a in got}) == 1
    assert len(journal(world, "E-4")) == 1


def test_different_keys_at_once_one_certificate_and_an_alert(world):
    t = world.token("E-5", door="bearer")
    csrs = [world.key_and_csr(f"E-5-{i}")[1] for i in range(12)]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        got = list(pool.map(lambda c: world.enrol_basic(t, c), csrs))
    assert sorted(a.status for a in got) == [200] + [409] * 11
    assert len(journal(world, "E-5")) == 1
    assert any(e.get("device") == "E-5" for e in entries(world, "alert"))


@pytest.mark.parametrize("more, reason", [
    ({"not_before": "2090-01-01T00:00:00Z", "ttl": "2y"},
     "token-not-yet-valid"),
    ({"bound_spki_sha256": "ab" * 32}, "token-bound-to-another-key"),
])
def test_first_claim_outside_its_bounds(world, more, reason):
    t = world.token(f"E-6-{reason[:12]}", door="bearer", **more)
    a = world.enrol_basic(t, world.key_and_csr("E-6")[1])
    assert a.status in (403, 409) and reason in a.text, a


def test_cancelled_is_refused_always(world):
    t = world.token("E-7", door="bearer")
    assert world.rest("POST", f"/tokens/{t['id']}/cancel").status == 200
    a = world.enrol_basic(t, world.key_and_csr("E-7")[1])
    assert a.status == 403 and "token-cancelled" in a.text


def test_a_token_made_for_the_handshake_refuses_basic_and_says_so(world):
    t = world.token("E-8")
    a = world.enrol_basic(t, world.key_and_csr("E-8")[1])
    assert a.status == 403 and "token-needs-handshake" in a.text


def test_unknown_id_and_wrong_secret_are_one_answer(world):
    t = world.token("E-9", door="bearer")
    csr = world.key_and_csr("E-9")[1]
    # digit 30 lies in the secret, digit 8 in the id
    base = t["token"].replace("-", "")[3:]
    made = []
    for at in (30, 8):
        digit = "7" if base[at] != "7" else "8"
        made.append({"token": "mm1-" + base[:at] + digit + base[at + 1:]})
    got = [world.enrol_basic(m, csr) for m in made]
    assert [a.status for a in got] == [401, 401]
    strip = [{k: v for k, v in a.headers.items()
              if k not in ("date", "x-request-id")} for a in got]
    assert strip[0] == strip[1] and got[0].body == got[1].body
    assert world.enrol_basic(t, csr).status == 200


def test_after_confirm_the_token_is_done(world):
    t = world.token("E-10", door="bearer")
    key, csr = world.key_and_csr("E-10")
    pem = world.save_p7(world.enrol_basic(t, csr), "E-10")
    a = world.device_call("POST", "/.well-known/mintmark/confirm", b"",
                          cert=pem, key=key)
    assert a.status == 204, a
    a = world.enrol_basic(t, csr)
    assert a.status == 409 and "already-confirmed" in a.text
    assert world.rest("GET", f"/tokens/{t['id']}").json["state"] == \
        "confirmed"


def test_a_key_of_another_device_is_an_alarm(world):
    csr = world.key_and_csr("E-11")[1]
    assert world.enrol_basic(world.token("E-11", door="bearer"),
                             csr).status == 200
    a = world.enrol_basic(world.token("E-12", door="bearer"), csr)
    assert a.status == 409
    assert "key-certified-for-another-device" in a.text


def test_the_name_is_the_servers(world):
    t = world.token("E-13", door="bearer")
    csr = world.key_and_csr("E-13", cn="admin.example.com")[1]
    pem = world.save_p7(world.enrol_basic(t, csr), "E-13")
    from world import x509
    subject = x509(pem, "-subject", "-nameopt", "RFC2253")
    assert "CN=E-13" in subject and "admin" not in subject


def test_expiry_limits_the_first_claim_only():
    with World(profile="\tbearer = true") as w:
        w.start().product()
        used, unused = (w.token(n, door="bearer", ttl="60s")
                        for n in ("X-1", "X-2"))
        csr1, csr2 = (w.key_and_csr(n)[1] for n in ("X-1", "X-2"))
        first = w.enrol_basic(used, csr1)
        assert first.status == 200
        w.stop()
        w.start(env=faketime("+2m"))
        assert w.enrol_basic(used, csr1).body == first.body
        late = w.enrol_basic(unused, csr2)
        assert late.status == 403 and "token-expired" in late.text
