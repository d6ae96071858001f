"""Certificates that no device confirms are listed and told of, once a day."""
import json
import os
import time

import pytest

from world import MINT, World, faketime, run

LATER = faketime("+8d")


@pytest.fixture(scope="module")
def w():
    """A confirmed certificate and an unconfirmed one, eight days on."""
    with World(profile="\tbearer = true") as w:
        w.start().product()
        for name in ("GONE", "HERE"):
            key, csr = w.key_and_csr(name)
            a = w.enrol_basic(w.token(name, door="bearer"), csr)
            pem = w.save_p7(a, name)
        a = w.device_call("POST", "/.well-known/mintmark/confirm", cert=pem,
                          key=key)
        assert a.status == 204, a
        w.stop()
        w.start(env=LATER)
        yield w


def wait_tidy(w):
    """Two lists signed one after the other: one whole round lies between."""
    serial = w.rest("GET", "/certificates?device=HERE").json["items"][0]
    path = f"/certificates/{serial['serial']}/"
    for verb in ("hold", "release"):
        before = number(w)
        assert w.rest("POST", path + verb).status == 200
        end = time.monotonic() + 60
        while number(w) == before:
            assert time.monotonic() < end, w.log()[-2000:]


def number(w):
    """None: the first round is not over yet."""
    return w.rest("GET", "/issuers").json["items"][0].get("crl_number")


def alerts(w):
    items = w.rest("GET", "/ledger/entries?limit=1000&type=alert").json
    return [i["entry"] for i in items["items"]
            if i["entry"]["reason"] == "unconfirmed"]


def test_listed(w):
    a = w.rest("GET", "/certificates?state=issued"
               "&issued_to=2999-01-01T00:00:00Z")
    assert [c["device"] for c in a.json["items"]] == ["GONE"]
    for age, want in (("7d", ["GONE"]), ("9d", [])):
        p = run(MINT, "--context", w.context, "--json", "cert", "list",
                "--state", "issued", "--older-than", age,
                env={**os.environ, **LATER})
        assert [c["device"] for c in json.loads(p.stdout)] == want, p


def test_only_unconfirmed_ones_have_an_age(w):
    for query in ("issued_to=2999-01-01T00:00:00Z",
                  "state=revoked&issued_to=2999-01-01T00:00:00Z",
                  "state=issued&issued_to=yesterday"):
        assert w.rest("GET", "/certificates?" + query).status == 400, query
    p = w.cli("cert", "list", "--older-than", "soon", check=False)
    assert p.returncode == 2, p


def test_counted(w):
    assert w.rest("GET", "/status").json["counts"]["unconfirmed"] == 1


def test_one_alert_a_day_names_the_oldest(w):
    wait_tidy(w)
    a, = alerts(w)
    c = w.rest("GET", "/certificates?device=GONE").json["items"][0]
    assert (a["count"], a["device"], a["serial"], a["from"]) == \
        (1, "GONE", c["serial"], c["issued"])
    w.stop()
    w.start(env=LATER)
    wait_tidy(w)
    assert len(alerts(w)) == 1
    w.stop()
    w.start(env=faketime("+9d"))
    wait_tidy(w)
    assert len(alerts(w)) == 2


def test_switched_off_nobody_is_told(w):
    before = len(alerts(w))
    w.stop()
    w.set_conf("unconfirmed_alert", '"0s"')
    w.start(env=faketime("+10d"))
    wait_tidy(w)
    assert len(alerts(w)) == before
    assert "unconfirmed" not in w.rest("GET", "/status").json["counts"]
