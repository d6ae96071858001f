"""When certificates end: GET /expiry and "mintmark expiry", as the store has
it, by day, product and issuer."""
import base64
import datetime
import json
import re

import pytest

import keys
from world import MINT, World, faketime, run, until

SHORT = """
profile "short" {
	version = 1
	issuer = "issuing"
	lifetime = "40d"
	jitter_percent = 0
}
"""


@pytest.fixture(scope="module")
def fleet():
    """Three thermostats for a year, two lamps for forty days; one more of each
    that was revoked."""
    with World(extra=SHORT) as w:
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


KEYS = {}


def issue(w, device, product):
    made = w.rest("POST", "/devices", {"id": device, "product": product})
    assert made.status == 201, made
    KEYS[device], csr = keys.request(device)
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
        key.write_bytes(KEYS[device])
        a = fleet.device_call("POST", "/.well-known/mintmark/confirm", b"",
                              cert=cert, key=key)
        assert a.status == 204, a
    forecast(fleet)
    assert by_product(fleet) == {"thermo": (1, 0), "lamp": (1, 0)}
    fleet.stop()
    fleet.start(env=faketime("+37d"))
    until(lambda: by_product(fleet) == {"thermo": (1, 0), "lamp": (1, 1)},
          told=lambda: by_product(fleet))


def test_what_has_ended_is_told(fleet):
    """As long ago as is looked ahead.  Comes last: time does not go back."""
    fleet.stop()
    fleet.start(env=faketime("+41d"))
    told = until(lambda: fleet.rest("GET", "/expiry?days=90").status == 200
                 and fleet.rest("GET", "/expiry?days=90").json)
    assert (told["ended"], told["within"], told["later"]) == (2, 0, 3)
    assert "2 have ended" in fleet.cli("expiry").stderr
