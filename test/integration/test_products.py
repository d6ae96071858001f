"""What belongs to which product, and until when a line may act: entries and
events by product, devices that move, cursors, devices in the field."""
import base64
import pytest

from receiver import Receiver
from world import World, serial_of, until

# what is entered about a device, and how each comes about below
ABOUT_A_DEVICE = {
    "device.created", "device.changed", "device.retired", "token.minted",
    "token.frozen", "token.thawed", "token.cancelled", "token.expired",
    "certificate.issued", "certificate.renewed", "certificate.confirmed",
    "certificate.superseded", "certificate.revoked", "certificate.held",
    "certificate.released", "alert", "refused"}


@pytest.fixture(scope="module")
def world():
    w = World(profile="\tbearer = true\n\tsame_key_renewal = true")
    w.set_conf("webhook_deny_private", "false")
    try:
        w.start().product()
        w.rest("POST", "/products", {"name": "beta",
                                     "ldevid_profile": "thermo"})
        yield w
    finally:
        w.close()


def key(w, name, roles, *products):
    a = w.rest("POST", "/keys", {"name": name, "roles": roles,
                                 **({"products": products} if products
                                    else {})})
    assert a.status == 201, a
    return a.json["key"]


def device(w, name, product="thermo"):
    a = w.rest("POST", "/devices", {"id": name, "product": product})
    assert a.status == 201, a
    return name


def csr(w, name, cn=None):
    return base64.b64encode(w.key_and_csr(name, cn)[1].read_bytes()).decode()


def enrol(w, dev, name=None, key=None):
    return w.rest("POST", f"/devices/{dev}/enrol",
                  {"csr": csr(w, name or dev, dev)}, key=key)


class Identity:
    """A device's certificate, which it can confirm and renew."""

    def __init__(self, w, dev, name=None):
        self.w, self.dev, self.name = w, dev, name or dev
        a = enrol(w, dev, name)
        assert a.status == 200, a
        self.serial, self.chain = a.json["serial"], a.json["chain"]
        self.pem = w.dir / f"{self.name}.pem"
        self.pem.write_text(a.json["certificate"] + self.chain)
        self.key = w.dir / f"{self.name}.key"

    def confirm(self):
        a = self.w.device_call("POST", "/.well-known/mintmark/confirm", b"",
                               cert=self.pem, key=self.key)
        assert a.status == 204, a
        return self

    def renew(self):
        """With the same key, and confirmed."""
        body = base64.encodebytes(
            (self.w.dir / f"{self.name}.csr").read_bytes())
        a = self.w.device_call(
            "POST", "/.well-known/est/simplereenroll", body,
            {"Content-Type": "application/pkcs10"}, cert=self.pem,
            key=self.key)
        assert a.status == 200, a
        leaf = self.w.save_p7(a, self.name + "-r")
        self.pem.write_text(leaf.read_text() + self.chain)
        self.serial = serial_of(leaf)
        return self.confirm()


def items(w, path, k=None):
    a = w.rest("GET", path, key=k)
    assert a.status == 200, a
    return a.json["items"]


def pages(w, path, k, limit=1, between=lambda n: None):
    """All items of a list, and what happens between its pages."""
    out, after, n = [], "", 0
    while True:
        a = w.rest("GET", f"{path}{'&' if '?' in path else '?'}limit={limit}"
                   + (f"&after={after}" if after else ""), key=k)
        assert a.status == 200, a
        out += a.json["items"]
        after = a.json.get("next")
        if not after:
            return out
        n += 1
        between(n)


# ---- every entry about a device says of which product it is ----

def live(w, dev):
    """A device's life, of which every kind of entry comes."""
    device(w, dev)
    w.rest("PATCH", f"/devices/{dev}", {"attributes": {"lot": 1}})
    t = w.token(dev)
    w.rest("POST", f"/tokens/{t['id']}/cancel", {})
    frozen = w.token(dev, door="bearer")
    assert w.enrol_basic(frozen, w.key_and_csr(dev + "-1")[1]).status == 200
    assert w.enrol_basic(frozen, w.key_and_csr(dev + "-2")[1]).status == 409
    a = w.rest("POST", f"/tokens/{frozen['id']}/thaw", {"keep": True})
    assert a.status == 200, a
    late = w.token(dev, door="bearer", not_before="2020-01-01T00:00:00Z",
                   ttl="1h")
    assert w.enrol_basic(late, w.key_and_csr(dev + "-3")[1]).status == 403
    i = Identity(w, dev).confirm()
    first = i.serial
    i.renew()
    for act in ("hold", "release"):
        a = w.rest("POST", f"/certificates/{i.serial}/{act}", {})
        assert a.status == 200, a
    assert w.rest("POST", f"/devices/{dev}/retire", {}).status == 200
    return first


def test_every_entry_about_a_device_names_its_product(world):
    live(world, "P-1")
    world.stop()  # what was refused is entered, all of it
    world.start()
    found = [i["entry"] for i in items(world, "/events?limit=1000&after=-1")
             if i["entry"].get("device") == "P-1"]
    assert {e["type"] for e in found} == ABOUT_A_DEVICE
    assert {e.get("product") for e in found} == {"thermo"}
    by_product = items(world, "/events?limit=1000&after=-1&product=thermo")
    assert found == [i["entry"] for i in by_product
                     if i["entry"].get("device") == "P-1"]
    scoped = items(world, "/events?limit=1000&after=-1",
                   key(world, "sees-p1", ["support"], "thermo"))
    assert found == [i["entry"] for i in scoped
                     if i["entry"].get("device") == "P-1"]


def test_a_webhook_of_a_product_hears_of_revocations(world):
    with Receiver() as there:
        a = world.rest("POST", "/webhooks", {
            "url": there.url(), "types": ["certificate."],
            "products": ["thermo"]})
        assert a.status == 201, a
        i = Identity(world, device(world, "P-2")).confirm()
        Identity(world, device(world, "P-3", "beta")).confirm()
        world.rest("POST", f"/certificates/{i.serial}/revoke",
                   {"reason": "keyCompromise"})
        there.wait(lambda got: len(got) >= 3)
        assert [d.json["type"] for d in there.got] == [
            "certificate.issued", "certificate.confirmed",
            "certificate.revoked"]
        world.rest("DELETE", f"/webhooks/{a.json['id']}")


# ---- a device that moves takes all that is its own with it ----

def test_what_is_a_devices_is_where_the_device_is(world):
    a, b = (key(world, f"only-{p}", ["operator", "auditor", "support"], p)
            for p in ("thermo", "beta"))
    dev = device(world, "M-1")
    i = Identity(world, dev).confirm()
    t = world.rest("POST", "/tokens", {"device": dev}).json["id"]
    at = items(world, f"/events?after=-1&device={dev}")[0]["index"]
    assert world.rest("PATCH", f"/devices/{dev}",
                      {"product": "beta"}).status == 200
    for path in (f"/devices/{dev}", f"/devices/{dev}/history",
                 f"/devices/{dev}/receipt", f"/devices/{dev}/attempts",
                 f"/tokens/{t}", f"/certificates/{i.serial}",
                 f"/ledger/receipts/{at}"):
        assert world.rest("GET", path, key=a).status == 404, path
        assert world.rest("GET", path, key=b).status == 200, path
    for path in (f"/certificates?device={dev}", f"/tokens?device={dev}",
                 f"/events?after=-1&device={dev}", f"/audit?device={dev}",
                 f"/devices?limit=1000&product=beta"):
        assert not items(world, path, a), path
        assert items(world, path, b), path
    assert i.serial not in [c["serial"] for c in items(
        world, "/certificates?limit=1000", a)]
    assert i.serial in [c["serial"] for c in items(
        world, "/certificates?limit=1000", b)]
    assert t not in [c["id"] for c in items(world, "/tokens?limit=1000", a)]
    for path in (f"/certificates/{i.serial}/revoke",
                 f"/certificates/{i.serial}/hold", f"/tokens/{t}/cancel"):
        assert world.rest("POST", path, {}, key=a).status == 404, path
    cert = world.rest("GET", f"/certificates/{i.serial}", key=b).json
    assert cert["product"] == "beta" and cert["state"] == "confirmed"
    assert world.rest("POST", f"/tokens/{t}/cancel", {},
                      key=b).status == 200
    assert world.rest("POST", f"/certificates/{i.serial}/revoke", {},
                      key=b).status == 200


@pytest.mark.parametrize("limit", (1, 2, 5))
def test_a_list_of_several_products_skips_none_under_moves(world, limit):
    names = [f"c{limit}{x}" for x in "abc"]
    for n in names:
        world.rest("POST", "/products", {"name": n,
                                         "ldevid_profile": "thermo"})
    k = key(world, f"three-{limit}", ["support"], *names)
    made = [device(world, f"{n}-{i}", n) for n in names for i in range(4)]
    for d in made:
        assert enrol(world, d).status == 200
        world.rest("POST", "/tokens", {"device": d})

    def away(n):
        """The device that the first page ends with goes to the last product,
        and then out of sight."""
        world.rest("PATCH", f"/devices/{made[limit - 1]}",
                   {"product": names[2] if n == 1 else "beta"})

    for path, of in (("/devices", "id"), ("/certificates", "device"),
                     ("/tokens", "device")):
        got = pages(world, path, k, limit, away)
        seen = [i[of] for i in got]
        assert set(made) - {made[limit - 1]} <= set(seen), path
        world.rest("PATCH", f"/devices/{made[limit - 1]}",
                   {"product": names[0]})
    for bad in ("x", "beta/x", "nosuch/", names[0]):
        assert world.rest("GET", f"/devices?after={bad}",
                          key=k).status == 400, bad


# ---- more of a device than a page ----

def test_the_newest_certificates_and_a_verdict_from_all(world):
    dev = device(world, "N-1")
    for n in range(103):  # by renewal there are no more than 24 a day
        i = Identity(world, dev, f"N-1-{n}").confirm()
    d = world.rest("GET", f"/devices/{dev}").json
    assert d["certificates"][0]["serial"] == i.serial
    assert len(d["certificates"]) == 100 and d["more_certificates"] is True
    a = world.rest("GET", f"/devices/{dev}/attempts").json
    assert a["certificates"][0]["serial"] == i.serial
    assert len(a["certificates"]) == 100 and a["more_certificates"] is True
    assert a["verdict"] == "ok" and a["more_tokens"] is False
    assert "nothing is wrong" in world.cli("device", "why", dev).stdout
    # one old certificate in force behind a hundred that are not
    dev = device(world, "N-2")
    old = Identity(world, dev).confirm()
    for n in range(101):
        new = Identity(world, dev, f"N-2-{n}").confirm()
        assert world.rest("POST", f"/certificates/{new.serial}/revoke",
                          {}).status == 200
    a = world.rest("GET", f"/devices/{dev}/attempts").json
    assert old.serial not in [c["serial"] for c in a["certificates"]]
    assert a["verdict"] == "ok"
    assert world.rest("POST", f"/certificates/{old.serial}/revoke",
                      {}).status == 200
    a = world.rest("GET", f"/devices/{dev}/attempts").json
    assert a["verdict"] == "no-certificate"


# ---- a line is done with a device that has proved who it is ----

def refusals(w, dev):
    return [(a["door"], a["reason"]) for a in
            w.rest("GET", f"/devices/{dev}/attempts").json["attempts"]]


@pytest.mark.parametrize("state", ("confirmed", "held"))
def test_a_line_does_not_replace_an_identity(world, state):
    line = key(world, f"line-{state}", ["line"], "thermo")
    dev = device(world, f"L-{state}")
    t = world.rest("POST", "/tokens", {"device": dev}, key=line)
    assert t.status == 201, t
    assert enrol(world, dev, key=line).status == 200
    i = Identity(world, dev)  # unconfirmed: it may be another unit still
    assert enrol(world, dev, dev + "-x", key=line).status == 200
    i = Identity(world, dev).confirm()
    if state == "held":
        world.rest("POST", f"/certificates/{i.serial}/hold", {})
    a = enrol(world, dev, "evil", key=line)
    assert a.status == 403, a
    assert a.json["reason"] == "device-in-the-field"
    assert a.json["type"].endswith("/not-allowed")
    for _ in range(2):  # a refusal has done nothing, so it is one again
        a = world.rest("POST", "/tokens", {"device": dev}, key=line,
                       headers={"Idempotency-Key": f"field-{state}"})
        assert a.status == 403 and a.json["reason"] == "device-in-the-field"
    a = world.rest("POST", "/tokens", {"tokens": [
        {"device": dev}, {"device": f"L-{state}-new", "product": "thermo"}]},
        key=line)
    assert a.json["items"][0]["error"]["reason"] == "device-in-the-field"
    assert "token" in a.json["items"][1]
    assert refusals(world, dev)[0] == ("rest", "device-in-the-field")
    # a page of events ends early while others look for much
    alerts = until(lambda: items(
        world, f"/events?after=-1&type=alert&device={dev}"))
    assert {(e["entry"]["reason"], e["entry"]["product"], e["entry"]["actor"])
            for e in alerts} == {("device-in-the-field", "thermo",
                                  world.rest("GET", "/whoami",
                                             key=line).json["id"])}
    # its own key, and whoever may more
    cert = world.rest("GET", f"/certificates/{i.serial}").json
    spki = cert["spki_sha256"]
    a = world.rest("POST", "/tokens", {"device": dev,
                                       "bound_spki_sha256": spki}, key=line)
    assert a.status == 201, a
    both = key(world, f"both-{state}", ["line", "operator"], "thermo")
    assert world.rest("POST", "/tokens", {"device": dev},
                      key=both).status == 201
    assert enrol(world, dev, "good", key=both).status == 200
    assert enrol(world, dev, "better").status == 200


def test_a_line_goes_on_where_nothing_is_in_force(world):
    line = key(world, "line-again", ["line"])
    dev = device(world, "L-again")
    i = Identity(world, dev).confirm()
    world.rest("POST", f"/certificates/{i.serial}/revoke", {})
    assert enrol(world, dev, dev + "-2", key=line).status == 200


# ---- one rule for filters and cursors ----

def test_a_device_is_found_whatever_its_case(world):
    # a page of events looks at so many entries, found or not
    latest = world.rest("GET", "/events?after=latest").json["next"]
    device(world, "Case-1")
    for path in (f"/events?after={latest}&device=", "/audit?device=",
                 "/ledger/entries?device="):
        assert len(items(world, path + "cASE-1")) == 1, path


@pytest.mark.parametrize("path", ("/events?after=-1&", "/audit?order=oldest&",
                                  "/ledger/entries?"))
def test_a_type_that_there_is_not(world, path):
    if not items(world, "/devices?limit=1"):
        device(world, "Typed-1")
    assert world.rest("GET", path + "type=bogus").status == 400
    some = items(world, path + "limit=1000&type=device.,ledger.opened")
    assert {"device.created", "ledger.opened"} <= {
        i["entry"]["type"] for i in some}


def test_a_cursor_behind_the_end_is_no_cursor(world):
    end = world.rest("GET", "/events?after=latest").json["next"]
    last = int(end)
    for n in (last + 1, last + 100000):
        for path in ("/events?after=", "/events?wait=5&after=",
                     "/ledger/entries?after="):
            a = world.rest("GET", path + str(n))
            assert a.status == 409 and f"index {last}" in a.json["detail"], \
                a
    a = world.rest("GET", f"/events?after={last}&wait=1")
    assert a.status == 200 and a.json["items"] == []
    h = world.rest("POST", "/webhooks", {"url": "http://127.0.0.1:9/"}).json
    last = int(world.rest("GET", "/events?after=latest").json["next"])
    a = world.rest("POST", f"/webhooks/{h['id']}/replay",
                   {"from": last + 2})
    assert a.status == 409 and "ends at index" in a.json["detail"], a
    assert world.rest("POST", f"/webhooks/{h['id']}/replay",
                      {"from": last + 1}).status == 200
    world.rest("DELETE", f"/webhooks/{h['id']}")
