"""docs/ca-compromise.md, played: another issuing CA, the fleet pulled, the old
one revoked by the root for good, and what became of each certificate."""
import json
import os
import re
import subprocess
import time

import pytest

from test_ca_rollover import (again, agent_dir, issuer_of, offline, play,
                              published, states, until_renewed)
from test_est import b64, enrolled
from world import (AGENT, MINT, ROOT, World, faketime, run, serial_of,
                   until)

BLOCKS = re.findall(r"^```sh\n(.*?)^```$",
                    (ROOT / "docs/ca-compromise.md").read_text(),
                    re.M | re.S)


@pytest.fixture(scope="module")
def w():
    w = World(profile="\tbearer = true")
    try:
        yield w.start().product()
    finally:
        w.close()


def block(w, n):
    return block_of(w, BLOCKS[n])


def block_of(w, text):
    text = re.sub(r"(mintmark ca (?:rollover|root-crl|renew-tls)\b.*)",
                  rf"\1 --passphrase-file {w.passphrase}", text)
    text = re.sub(r"(mintmark ca (?:rollover|root-crl|retire|renew-tls)"
                  r"\b.*)",
                  rf"\1 --config {w.conf}", text)
    return play(w, text, {"ISSUERS": str(w.etc), "HOME": str(w.dir)}) \
        if "systemctl" in text else bash(w, text)


def bash(w, text):
    return run("bash", "-c", "set -euo pipefail\n" + text, cwd=w.dir, env={
        **os.environ, "ISSUERS": str(w.etc), "MINTMARK_CONTEXT":
        str(w.context), "PATH": f"{MINT.parent}:{os.environ['PATH']}"}).stdout


@pytest.fixture(scope="module")
def fleet(w):
    """Who moves, who does not, and who was revoked before."""
    return {"agent": agent_dir(w, "CC-1"), "mover": enrolled(w, "CC-2"),
            "asleep": enrolled(w, "CC-3")}


def test_the_page_has_its_steps():
    assert len(BLOCKS) == 4


def window(w, pem, key):
    return w.device_call("GET", "/.well-known/mintmark/renewal", cert=pem,
                         key=key).json


@pytest.fixture(scope="module")
def late(w, fleet):
    """The command was given; the old one still issues, until the restart."""
    text = BLOCKS[0].partition("systemctl")[0]
    block_of(w, text)
    time.sleep(1.1)  # renew_before is the next second
    return enrolled(w, "CC-6")


@pytest.fixture(scope="module")
def pulled(w, fleet, late):
    assert re.search(r"issuing-2 +issuing",
                     block_of(w, "systemctl" + BLOCKS[0].partition(
                         "systemctl")[2]))
    return w


def test_the_fleet_is_pulled_and_the_new_are_not(pulled, fleet, late):
    w = pulled
    assert issuer_of(w, late[0]) == "issuing"
    assert window(w, *late)["why"] == "pulled"
    assert states(w) == {"issuing": "followed", "issuing-2": "issuing"}
    assert window(w, *fleet["mover"])["why"] == "pulled"
    assert until_renewed(w, fleet["agent"]) == "issuing-2"
    fresh = enrolled(w, "CC-4")
    assert issuer_of(w, fresh[0]) == "issuing-2"
    assert window(w, *fresh)["why"] != "pulled"


def bundle(w):
    path = w.dir / "bundle.pem"
    path.write_bytes(w.get_public("/crl/bundle.pem").body)
    return path


def verified(w, pem):
    """As who checks each certificate of the chain does it."""
    chain = w.dir / "chain.pem"
    chain.write_text("".join(published(w, n).read_text()
                             for n in ("issuing", "issuing-2")))
    p = subprocess.run(
        ["openssl", "verify", "-crl_check_all", "-CAfile", w.anchor,
         "-untrusted", chain, "-CRLfile", bundle(w), pem],
        capture_output=True, text=True)
    return "OK" if p.returncode == 0 else p.stderr


def test_what_is_not_revoked_is_not_retired(pulled):
    """Whatever is said of it."""
    w = pulled
    before = w.conf.read_bytes()
    p = w.cli("ca", "retire", "issuing", "--revoked", "--config", w.conf,
              check=False)
    assert p.returncode != 0 and "it is not revoked" in p.stderr, p
    assert "root-crl --revoke" in p.stderr
    assert w.conf.read_bytes() == before


@pytest.fixture(scope="module")
def revoked(pulled, fleet):
    w = pulled
    (w.dir / "before.crl").write_bytes(
        (w.state / "server/root.crl").read_bytes())
    assert verified(w, fleet["asleep"][0]) == "OK"
    block(w, 1)
    until(lambda: "revoked" in verified(w, fleet["asleep"][0]),
          told=lambda: verified(w, fleet["asleep"][0]))
    return w


def test_who_checks_the_chain_refuses_the_old_and_takes_the_new(revoked):
    pem, _ = enrolled(revoked, "CC-5")
    assert verified(revoked, pem) == "OK"


def test_who_was_asleep_can_still_renew(revoked, fleet):
    """By the records: the root's list is for others."""
    w, (pem, key) = revoked, fleet["mover"]
    k, csr = w.key_and_csr("CC-2-new", cn="CC-2")
    a = w.device_call("POST", "/.well-known/est/simplereenroll", b64(csr),
                      {"Content-Type": "application/pkcs10"}, cert=pem,
                      key=key)
    assert a.status == 200, a
    new = w.save_p7(a, "CC-2-new")
    assert issuer_of(w, new) == "issuing-2"
    a = w.device_call("POST", "/.well-known/mintmark/confirm", b"", cert=new,
                      key=k)
    assert a.status == 204, a


def test_the_file_of_before_takes_nothing_back(revoked, fleet):
    """Over a restart, too; nor do new lists."""
    w, path = revoked, revoked.state / "server/root.crl"
    good = path.read_bytes()
    path.write_bytes((w.dir / "before.crl").read_bytes())
    again(w)
    until(lambda: w.get_public("/crl/bundle.pem").status == 200)
    assert "revoked" in verified(w, fleet["asleep"][0])
    assert "older lists than were published" in w.cli(
        "doctor", check=False).stdout
    path.write_bytes(good)
    until(lambda: "root_crl: it has older" not in w.cli(
        "doctor", check=False).stdout)
    path.unlink()
    until(lambda: "root_crl: it cannot be read" in w.cli(
        "doctor", check=False).stdout)
    offline(w, "root-crl")
    until(lambda: "root_crl: it cannot be read" not in w.cli(
        "doctor", check=False).stdout)
    assert "revoked" in verified(w, fleet["asleep"][0])


def test_many_lists_are_read(revoked, fleet):
    """More than a hundred and a few, as of several roots over the years."""
    w, path = revoked, revoked.state / "server/root.crl"
    good = path.read_text()
    before = (w.dir / "before.crl").read_text()
    path.write_text(before * 6 + good)
    assert (before * 6 + good).count("BEGIN") > 180
    says = lambda words: words in w.cli(  # noqa: E731
        "--json", "doctor", check=False).stdout
    until(lambda: says("the root's lists are good for"))
    assert "revoked" in verified(w, fleet["asleep"][0])
    assert not says("root_crl: it ")
    path.write_text(good)


def test_what_became_of_each(revoked, fleet):
    w = revoked
    out = block(w, 2)
    assert "waiting" in out
    told = json.loads((w.dir / "incident.json").read_text())
    by = {c["device"]: c for c in told["certificates"]}
    assert {d: c["standing"] for d, c in by.items()} == {
        "CC-1": "replaced", "CC-2": "replaced", "CC-3": "waiting",
        "CC-6": "waiting"}
    assert told["totals"] == {"replaced": 2, "superseded": 0, "revoked": 0,
                              "ended": 0, "waiting": 2}
    assert told["issuer"]["name"] == "issuing"
    assert by["CC-2"]["serial"] == serial_of(fleet["mover"][0])
    new = by["CC-2"]["replaced_by"]
    assert new["serial"] == serial_of(w.dir / "CC-2-new.crt")
    assert new["issuer"] == "issuing-2" and new["confirmed"]
    (w.dir / "r").write_text(new["receipt"])
    key = json.loads(w.cli("--json", "ledger", "key").stdout)[
        "key"].strip()
    p = w.cli("ledger", "verify-receipt", w.dir / "r", "--key", key)
    assert "certificate.renewed" in p.stdout and "CC-2" in p.stdout
    page = (w.dir / "incident.html").read_text()
    assert page.startswith("<!doctype html>") and "CC-3" in page
    assert page.count("<tr>") == 5 + 1 + 4


def test_the_end(revoked, fleet):
    w = revoked
    p = w.cli("ca", "retire", "issuing", "--config", w.conf, check=False)
    assert p.returncode == 5
    assert re.search(r"issuing +retired", block(w, 3))
    assert "revoked" in verified(w, fleet["asleep"][0])
    p = run(AGENT, "--json", "renew", "--now", "--dir", fleet["agent"])
    assert json.loads(p.stdout)["confirmed"] is True
    p = w.cli("--json", "ledger", "reconcile", "--config", w.conf)
    assert json.loads(p.stdout)["differences"] == []


# ---- a year later ----

LIST_DAYS = 365.25  # from one list of the root's to the next
BACK = 1            # they begin a day before


def hours(days):
    return f"+{round(days * 24)}h"


def roots_list(w):
    """(its number, how many it revokes), as it is published."""
    text = bundle(w).read_text()
    for pem in re.findall(r"-----BEGIN.*?END X509 CRL-----", text, re.S):
        path = w.dir / "one.pem"
        path.write_text(pem + "\n")
        said = run("openssl", "crl", "-in", path, "-noout", "-text",
                   "-crlnumber").stdout
        if "Root" in re.search(r"Issuer: (.*)", said)[1]:
            number = re.search(r"crlNumber=(?:0x)?([0-9A-F]+)", said)[1]
            return int(number, 16), said.count("Serial Number:")
    return None


def later(w, days, *argv):
    return run(MINT, "--json", "ca", *argv, "--config", w.conf,
               "--passphrase-file", w.passphrase,
               env={**os.environ, **faketime(hours(days))})


def test_in_the_day_before_a_list_is_a_year_old():
    """Then a list that was signed long ago has begun whose number is that of
    the day; what is revoked now counts, by a clock that is behind, too."""
    with World() as w:
        at = LIST_DAYS - BACK / 2
        w.start(env=faketime(hours(at)))
        until(lambda: roots_list(w) is not None)
        first, n = roots_list(w)
        assert n == 0
        later(w, LIST_DAYS - BACK - 0.5, "root-crl", "--revoke",
              w.etc / "issuing.crt")
        until(lambda: roots_list(w)[1] == 1, told=lambda: roots_list(w))
        second, _ = roots_list(w)
        assert second > first
        (w.state / "server/root.crl").unlink()
        later(w, at, "root-crl")
        until(lambda: roots_list(w)[0] > second, told=lambda: roots_list(w))
        assert roots_list(w)[1] == 1
