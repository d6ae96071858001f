"""When certificates end: GET /expiry and "mintmark expiry", as the store has
it, by day, product and issuer; and what else ends: GET /expiry/ends."""
import base64
import contextlib
import datetime
import json
import re

import pytest

import keys
import postgres
from world import MINT, World, faketime, run, until

SHORT = """
profile "short" {
	version = 1
	issuer = "issuing"
	lifetime = "40d"
	jitter_percent = 0
}
"""


@contextlib.contextmanager
def a_fleet(database=None):
    """Three thermostats for a year, two lamps for forty days; one more of each
    that was revoked."""
    with World(extra=SHORT, database=database) as w:
        w.start().product().product("lamp", ldevid_profile="short")
        for product, n in ("thermo", 4), ("lamp", 3):
            for i in range(n):
                issue(w, f"{product}-{i}", product)
        for device in "thermo-0", "lamp-0":
            row = w.rest("GET", f"/certificates?device={device}").json
            revoked = w.rest(
                "POST", f"/certificates/{row['items'][0]['serial']}/revoke",
                {"reason": "keyCompromise"})
            assert revoked.status == 200, revoked
        yield w


@pytest.fixture(scope="module")
def fleet():
    with a_fleet() as w:
        yield w


KEYS = {}


def issue(w, device, product):
    made = w.rest("POST", "/devices", {"id": device, "product": product})
    assert made.status == 201, made
    KEYS[w, device], csr = keys.request(device)
    answer = w.rest("POST", f"/devices/{device}/enrol",
                    {"csr": base64.b64encode(csr).decode()})
    assert answer.status in (200, 201), answer


def forecast(w, query="", key=None):
    """One that counted all that there is."""
    def counted():
        answer = w.rest("GET", f"/expiry{query}", key=key)
        assert answer.status in (200, 503), answer
        got = answer.json if answer.status == 200 else None
        return got if got and got["as_of"] > now else None
    now = datetime.datetime.now(datetime.timezone.utc).isoformat()[:23] + "Z"
    return until(counted)


def test_by_day_product_and_issuer(fleet):
    got = forecast(fleet, "?days=60")
    assert (got["within"], got["later"], got["ended"]) == (2, 3, 0)
    ends = {c["not_after"][:10] for c in fleet.rest(
        "GET", "/certificates?product=lamp&state=issued").json["items"]}
    assert {d["day"]: d["certificates"] for d in got["by_day"]} == \
        {ends.pop(): 2} and not ends
    assert got["by_product"] == [{"product": "lamp", "certificates": 2}]
    assert got["by_issuer"] == [{"issuer": "issuing", "certificates": 2}]
    got = forecast(fleet, "?days=1100")
    assert (got["within"], got["later"]) == (5, 0)
    assert [(p["product"], p["certificates"]) for p in got["by_product"]] == \
        [("lamp", 2), ("thermo", 3)]


def test_the_same_on_postgresql():
    with a_fleet(postgres.shared().database()) as w:
        test_by_day_product_and_issuer(w)


def test_filters(fleet):
    got = forecast(fleet, "?days=1100&product=thermo")
    assert got["within"] == 3 and len(got["by_product"]) == 1
    assert forecast(fleet, "?days=1100&issuer=nosuch")["within"] == 0
    for bad in "days=0", "days=1101", "days=x", "by=day":
        assert fleet.rest("GET", f"/expiry?{bad}").status == 400, bad


def test_a_credential_of_one_product_sees_that_alone(fleet):
    made = fleet.rest("POST", "/keys", {
        "name": "lamps", "roles": ["support"], "products": ["lamp"]})
    assert made.status == 201, made
    got = forecast(fleet, "?days=1100", key=made.json["key"])
    assert got["within"] == 2
    assert [p["product"] for p in got["by_product"]] == ["lamp"]


@pytest.mark.parametrize("by, lines", [("day", 60), ("week", 9)])
def test_the_chart(fleet, by, lines):
    forecast(fleet)
    told = fleet.cli("expiry", "--days", "60", "--by", by).stdout
    bars = [line for line in told.splitlines() if line[:2] == "20"]
    assert len(bars) == lines
    assert sum(int(line.split()[1]) for line in bars) == 2
    assert [line.split()[2][0] for line in bars if "#" in line] == ["#"]
    assert "later                 3" in told


def test_the_chart_by_month_and_for_programs(fleet):
    forecast(fleet)
    told = fleet.cli("expiry", "--days", "400", "--by", "month").stdout
    months = [line.split()[0] for line in told.splitlines()
              if line[:2] == "20"]
    assert all(m.endswith("-01") for m in months[1:]) and \
        13 <= len(months) <= 15
    assert "thermo" in told and "lamp" in told
    got = json.loads(fleet.cli("--json", "expiry", "--days", "60").stdout)
    assert got["within"] == 2
    p = run(MINT, "--context", fleet.context, "expiry", "--by", "year",
            check=False)
    assert p.returncode == 2 and "day, week or month" in p.stderr


def ends(w, key=None):
    """GET /expiry/ends, made after this was called."""
    def made():
        answer = w.rest("GET", "/expiry/ends", key=key)
        assert answer.status in (200, 503), answer
        got = answer.json if answer.status == 200 else None
        return got if got and got["as_of"] > now and \
            got["devices"]["as_of"] > now else None
    now = datetime.datetime.now(datetime.timezone.utc).isoformat()[:23] + "Z"
    return until(made)


def of_kind(got, kind):
    return [i for i in got["items"] if i["kind"] == kind]


def in_days(n):
    return (datetime.datetime.now(datetime.timezone.utc) +
            datetime.timedelta(days=n)).isoformat()[:19] + "Z"


def not_after(path):
    text = run("openssl", "x509", "-noout", "-enddate", "-in", path).stdout
    return datetime.datetime.strptime(
        text.strip(), "notAfter=%b %d %H:%M:%S %Y GMT").isoformat()


def test_what_else_ends(fleet):
    """Each with its true end: the CA's own, credentials, a batch, a group."""
    w = fleet
    key = w.rest("POST", "/keys", {"name": "grafana", "roles": ["support"],
                                   "ttl": "9d"}).json
    b = w.rest("POST", "/batches", {
        "id": "b-ends", "product": "thermo", "quantity": 1,
        "serials": "EX-{001..009}", "until": in_days(20)})
    assert b.status == 201, b
    got = ends(w)
    assert [i["ends"] for i in got["items"]] == \
        sorted(i["ends"] for i in got["items"]) and got["later"] == 0
    (k,) = [i for i in of_kind(got, "api-key") if i["name"] == key["id"]]
    assert k["of"] == "grafana" and k["renewed"] == "by-hand"
    assert in_days(8) < k["ends"] < in_days(10)
    (batch,) = of_kind(got, "batch")
    assert batch["name"] == "b-ends" and batch["renewed"] == "meant"
    (tls,) = of_kind(got, "tls")
    assert tls["ends"][:19] == not_after(
        re.search(r"tls_certificate = \"(.*)\"", w.conf.read_text())[1])
    (issuer,) = of_kind(got, "issuer")
    assert issuer["ends"] == w.rest(
        "GET", "/issuers").json["items"][0]["not_after"]
    (short,) = of_kind(got, "issuer-cuts-short")
    assert short["ends"] < issuer["ends"]
    crl = of_kind(got, "crl") + of_kind(got, "shard-crl")
    assert {c["name"] for c in crl} == {"issuing"}
    assert all(c["renewed"] == "by-itself" and not c["late"] for c in crl)
    (root,) = of_kind(got, "anchor")
    assert root["ends"][:19] == not_after(w.anchor)
    near = w.rest("GET", "/expiry/ends?days=10").json
    assert near["later"] > 0 and all(
        i["ends"] < in_days(10) for i in near["items"])
    assert w.rest("GET", "/expiry/ends?days=0").status == 400
    assert w.rest("POST", f"/keys/{key['id']}/revoke").status == 200
    assert key["id"] not in [i["name"] for i in ends(w)["items"]]


def test_who_sees_what_else_ends(fleet):
    w = fleet
    made = [w.rest("POST", "/keys", {"name": f"k-{r}", "roles": [r],
                                     "ttl": "30d"}).json
            for r in ("auditor", "line")]
    got = ends(w, key=made[0]["key"])
    assert got["items"] and not any("of" in i for i in got["items"])
    assert w.rest("GET", "/expiry/ends", key=made[1]["key"]).status == 403
    for m in made:
        w.rest("POST", f"/keys/{m['id']}/revoke")


def test_how_products_stand(fleet):
    got = {p["product"]: p for p in ends(fleet)["devices"]["products"]}
    assert got["lamp"]["ends"] == {"7d": 0, "30d": 0, "90d": 2}
    assert got["thermo"]["ends"] == {"7d": 0, "30d": 0, "90d": 0}
    assert not any(p["not_renewed"] for p in got.values())


def test_for_cron(fleet):
    """Nothing near: no word, 0.  Something: named, with what to do, 1.  No
    answer: neither."""
    w = fleet

    def cron(within, *more, check=True):
        p = run(MINT, "--context", w.context, *more, "expiry",
                "--fail-within", within, check=False)
        return p.returncode, p.stdout
    assert cron("1d") == (0, "")
    key = w.rest("POST", "/keys", {"name": "nagios", "roles": ["support"],
                                   "ttl": "12h"}).json
    ends(w)
    code, told = cron("1d")
    assert code == 1 and key["id"] in told and "nagios" in told and \
        "mintmark key create" in told
    code, told = cron("1d", "--json")
    assert code == 1 and [i["name"] for i in json.loads(told)["items"]] == \
        [key["id"]] and json.loads(told)["products"] == []
    assert cron("1h") == (0, "")
    assert w.rest("POST", f"/keys/{key['id']}/revoke").status == 200
    ends(w)
    assert cron("1d") == (0, "")
    p = run(MINT, "--context", w.context, "--server",
            "https://127.0.0.1:9", "expiry", "--fail-within", "1d",
            check=False)
    assert p.returncode == 7
    p = run(MINT, "--context", w.context, "expiry", "--fail-within", "soon",
            check=False)
    assert p.returncode == 2


def test_one_view(fleet):
    ends(fleet)
    told = fleet.cli("expiry", "--days", "60").stdout
    assert "tls" in told and "issuer" in told and "by-hand" in told
    assert [line.split() for line in told.splitlines()
            if line.startswith("lamp ")][0][1:] == ["0", "0", "0", "0", "2"]
    got = json.loads(fleet.cli("--json", "expiry").stdout)
    assert of_kind(got["own"], "tls")


def by_product(w):
    """What the alert compares: (in use, of that late) of each product."""
    text = w.rest("GET", "/metrics", base="").text
    return {p: (int(n), int(re.search(
        rf'_certificates_late{{product="{p}"}} (\d+)', text)[1]))
        for p, n in re.findall(
            r'_certificates_in_use{product="(\w+)"} (\d+)', text)}


def test_what_should_have_been_renewed_by_product(fleet, tmp_path):
    """Of what is confirmed alone.  Time does not go back: then the last."""
    for device in "thermo-1", "lamp-1":
        row = fleet.rest("GET", f"/certificates?device={device}").json
        got = fleet.rest(
            "GET", f"/certificates/{row['items'][0]['serial']}").json
        cert, key = tmp_path / "c", tmp_path / "k"
        cert.write_text(got["pem"])
        key.write_bytes(KEYS[fleet, device])
        a = fleet.device_call("POST", "/.well-known/mintmark/confirm", b"",
                              cert=cert, key=key)
        assert a.status == 204, a
    forecast(fleet)
    assert by_product(fleet) == {"thermo": (1, 0), "lamp": (1, 0)}
    fleet.stop()
    fleet.start(env=faketime("+37d"))
    until(lambda: by_product(fleet) == {"thermo": (1, 0), "lamp": (1, 1)},
          told=lambda: by_product(fleet))
    # and once a day there is an alert, which names the product
    late = until(lambda: [e for e in fleet.entries("alert")
                          if e["reason"] == "devices-not-renewed"],
                 seconds=90)
    assert [(e["product"], e["count"]) for e in late] == [("lamp", 1)]
    p = run(MINT, "--context", fleet.context, "expiry", "--fail-within",
            "1h", check=False)
    assert p.returncode == 1 and "product lamp: 1 of 1" in p.stdout, p


def test_what_has_ended_is_told(fleet):
    """As long ago as is looked ahead.  Comes last: time does not go back."""
    fleet.stop()
    fleet.start(env=faketime("+41d"))
    told = until(lambda: fleet.rest("GET", "/expiry?days=90").status == 200
                 and fleet.rest("GET", "/expiry?days=90").json)
    assert (told["ended"], told["within"], told["later"]) == (2, 0, 3)
    assert "2 have ended" in fleet.cli("expiry").stderr
