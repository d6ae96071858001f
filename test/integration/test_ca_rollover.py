"""docs/ca-rollover.md: a second issuing CA takes the first one's place under
the same profiles, and the first one ends when its certificates have."""
import datetime
import json
import os
import re
import subprocess

import pytest

import relying
import test_line_cas as line_cas
from nodes import passphrase_run
from test_est import certs_of, enrolled
from world import (AGENT, DAEMON, MINT, ROOT, World, faketime, free_ports, run,
                   serial_of, until)

FAR = "2099-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def w():
    w = World(profile='\tbearer = true\n\tlifetime = "90d"')
    try:
        yield w.start().product()
    finally:
        w.close()


def offline(w, *argv, check=True):
    return run(MINT, "--json", "ca", *argv, "--config", w.conf,
               "--passphrase-file", w.passphrase, check=check)


def issuer_of(w, pem):
    return w.rest("GET", f"/certificates/{serial_of(pem)}").json["issuer"]


def states(w):
    return {i["name"]: i["state"] for i in w.rest("GET", "/issuers")
            .json["items"]}


def published(w, name):
    pem = w.dir / f"{name}.pem"
    der = w.dir / f"{name}.cer"
    der.write_bytes(w.get_public(f"/issuer/{name}.cer").body)
    pem.write_text(run("openssl", "x509", "-inform", "DER", "-in",
                       der).stdout)
    return pem


def cacerts(w, label="thermo"):
    got = certs_of(w.device_call(
        "GET", f"/.well-known/est/{label}/cacerts").body)
    return [p.strip() for p in got]


def again(w, **more):
    w.stop()
    w.start(**more)


def agent_dir(w, device):
    d = w.dir / f"agent-{device}"
    t = w.dir / f"{device}.token"
    t.touch(0o600)
    t.write_text(w.token(device)["token"])
    run(AGENT, "--json", "enrol", "--token-file", t, "--dir", d, "--server",
        f"127.0.0.1:{w.devices}")
    return d


def until_renewed(w, d):
    out = json.loads(run(AGENT, "--json", "renew", "--now", "--dir",
                         d).stdout)
    assert out["confirmed"] is True
    return w.rest("GET", f"/certificates/{out['serial']}").json["issuer"]


def entries(w, kind):
    """All of that type: a page alone looks at some of them, for a time."""
    said = w.cli("ledger", "entries", "--type", kind, "--limit", "0").stdout
    return [json.loads(x)["entry"] for x in said.splitlines()]


def reconciled(w):
    p = w.cli("--json", "ledger", "reconcile", "--config", w.conf)
    assert json.loads(p.stdout)["differences"] == [], p.stdout


@pytest.fixture(scope="module")
def old(w):
    """What the first issuer has made: an agent's identity and a certificate."""
    return agent_dir(w, "RO-1"), enrolled(w, "RO-2")


def test_a_plan_changes_nothing(w, old):
    before = w.conf.read_bytes()
    files = sorted(p.name for p in w.etc.iterdir())
    p = run(MINT, "ca", "rollover", "issuing", "--from", FAR, "--dry-run",
            "--config", w.conf)
    assert 'issuer "issuing-2" {' in p.stdout and "Nothing was done" in p.stdout
    assert w.conf.read_bytes() == before
    assert sorted(p.name for p in w.etc.iterdir()) == files


@pytest.mark.parametrize("argv, says", [
    (["rollover", "issuing"], "--from"),
    (["rollover", "other", "--from", "now"], "no issuer"),
    (["rollover", "issuing", "--from", "soon"], "2027-01-01T00:00:00Z"),
    (["rollover", "issuing", "--from", "now", "--name", "issuing"],
     "there is an issuer"),
    (["rollover", "issuing", "--from", FAR, "--pull", "3d"],
     "--pull goes with --from now"),
    (["rollover", "issuing", "--from", "now", "--name", "A b"], "--name"),
])
def test_what_cannot_be_planned(w, old, argv, says):
    before = w.conf.read_bytes()
    p = offline(w, *argv, check=False)
    assert p.returncode != 0 and says in p.stderr, p
    assert w.conf.read_bytes() == before


@pytest.fixture(scope="module")
def made(w, old):
    """The new issuer, whose time has not come."""
    out = json.loads(offline(w, "rollover", "issuing", "--from", FAR).stdout)
    assert out["changed"] and out["issuer"] == "issuing-2"
    assert not (w.etc / "mintmark.conf.rollover").exists()
    again(w)
    return out


def test_before_its_time_it_is_handed_out_and_issues_nothing(w, made):
    assert states(w) == {"issuing": "issuing", "issuing-2": "next"}
    both = [published(w, n).read_text().strip()
            for n in ("issuing", "issuing-2")]
    assert all(pem in cacerts(w) and pem in cacerts(w, "thermo")
               for pem in both)
    subjects = {run("openssl", "x509", "-noout", "-subject", "-in",
                    w.dir / f"{n}.pem").stdout for n in
                ("issuing", "issuing-2")}
    assert len(subjects) == 2
    pem, _ = enrolled(w, "RO-3")
    assert issuer_of(w, pem) == "issuing"
    entry, = entries(w, "issuer.follows")
    assert entry["issuer"] == "issuing-2" and entry["from"] == "issuing"
    assert entry["not_before"].startswith("2099-01-01")


def test_it_cannot_be_followed_twice(w, made):
    p = offline(w, "rollover", "issuing", "--from", "now", check=False)
    assert p.returncode == 5 and "issuing-2 follows" in p.stderr
    p = offline_retire(w, check=False)
    assert p.returncode != 0 and "taken its place" in p.stderr


@pytest.fixture(scope="module")
def taken(w, made):
    """Its time comes while the server runs."""
    at = datetime.datetime.now(datetime.timezone.utc) + \
        datetime.timedelta(seconds=4)
    w.conf.write_text(w.conf.read_text().replace(
        FAR, at.strftime("%Y-%m-%dT%H:%M:%SZ")))
    again(w)
    n = iter(range(1000))

    def follower_signs():
        key, csr = w.key_and_csr(f"RO-n{next(n)}")
        a = w.enrol_basic(w.token(key.stem, door="bearer"), csr)
        assert a.status == 200, a
        return issuer_of(w, w.save_p7(a, key.stem)) == "issuing-2"
    until(follower_signs)
    return w


def test_new_certificates_are_the_followers(taken):
    w = taken
    assert states(w) == {"issuing": "followed", "issuing-2": "issuing"}
    pem, _ = enrolled(w, "RO-4")
    assert issuer_of(w, pem) == "issuing-2"
    chain = published(w, "issuing-2")
    run("openssl", "verify", "-x509_strict", "-CAfile", w.anchor,
        "-untrusted", chain, pem)
    with pytest.raises(AssertionError):
        run("openssl", "verify", "-CAfile", w.anchor, "-untrusted",
            published(w, "issuing"), pem)


def test_a_device_of_the_old_one_renews_to_the_new_one(taken, old):
    assert until_renewed(taken, old[0]) == "issuing-2"
    assert until_renewed(taken, old[0]) == "issuing-2"


def lists(w, name):
    crl = w.dir / f"{name}.crl"
    crl.write_bytes(w.get_public(f"/crl/{name}.crl").body)
    out = run("openssl", "crl", "-inform", "DER", "-in", crl, "-noout",
              "-text", "-CAfile", published(w, name)).stdout
    return re.findall(r"Serial Number: ([0-9A-F]+)", out)


def status(w, name, pem, env=None):
    p = run("openssl", "ocsp", "-issuer", published(w, name), "-cert", pem,
            "-no_nonce", "-CAfile", w.anchor, "-url",
            f"http://127.0.0.1:{w.public}/ocsp", check=False,
            **({"env": env} if env else {}))
    return p.stdout + p.stderr


def test_the_old_one_keeps_its_lists_and_answers(taken, old):
    """Each lists what it issued, and nothing of the other's."""
    w, pem = taken, old[1][0]
    assert "good" in status(w, "issuing", pem)
    theirs, _ = enrolled(w, "RO-5")
    assert ": good" in status(w, "issuing-2", theirs)
    relying.revoke(w, pem)
    relying.revoke(w, theirs)
    number = [serial_of(p).upper() for p in (pem, theirs)]
    until(lambda: number[0] in lists(w, "issuing") and
          number[1] in lists(w, "issuing-2"))
    assert number[1] not in lists(w, "issuing")
    assert ": revoked" in status(w, "issuing", pem)
    assert ": revoked" in status(w, "issuing-2", theirs)
    bundle = w.get_public("/crl/bundle.pem").text
    assert bundle.count("BEGIN X509 CRL") == 3  # and the root's


def test_the_records_agree(taken):
    reconciled(taken)
    worst = [f for f in json.loads(taken.cli(
        "--json", "doctor", check=False).stdout)["findings"]
        if f["level"] == "fail"]
    assert worst == []


def test_the_tls_certificate_moves_along(taken):
    """By its names, which the old one has signed."""
    w = taken
    out = json.loads(offline(w, "renew-tls").stdout)
    assert "localhost" in out["tls_dns"]
    run("openssl", "verify", "-CAfile", w.anchor, "-untrusted",
        published(w, "issuing-2"), w.state / "server/tls.crt")


def test_it_is_not_retired_while_what_it_issued_is_good(taken):
    before = taken.conf.read_bytes()
    p = offline_retire(taken, check=False)
    assert p.returncode == 5 and "has not ended" in p.stderr
    assert "cert list --issuer issuing" in p.stderr
    assert taken.conf.read_bytes() == before


def offline_retire(w, *argv, check=True, env=None):
    return run(MINT, "--context", w.context, "ca", "retire", "issuing",
               "--config", w.conf, *argv, check=check,
               **({"env": env} if env else {}))


def test_retired_when_all_has_ended(taken):
    """Comes last: time does not go back."""
    w = taken
    later = {**os.environ, **faketime("+100d")}
    again(w, env=faketime("+100d"))
    cert = published(w, "issuing").read_text().strip()
    assert "would be" in offline_retire(w, "--dry-run", env=later).stdout
    out = offline_retire(w, env=later).stdout
    assert "destroy its key" in out and "issuing.key" in out
    assert w.conf.read_text().count("retired = true") == 1
    (w.state / "signer/keys/issuing.key").rename(w.dir / "destroyed")
    passphrase_run(w, "export-node", "--out", w.dir / "one-more-node")
    again(w, env=faketime("+100d"))
    assert states(w) == {"issuing": "retired", "issuing-2": "issuing"}
    assert cert not in cacerts(w) and len(cacerts(w)) == 2
    pem = w.dir / "RO-2.crt"
    assert "unauthorized" in status(w, "issuing", pem, later)
    # who has its last list keeps it, and can verify it
    until(lambda: w.get_public("/crl/bundle.pem").status == 200)
    assert w.get_public("/crl/bundle.pem").text.count("BEGIN X509 CRL") == 3
    w.cli("crl", "sync", "--once", "--out", w.dir / "lists.pem", "--url",
          f"http://127.0.0.1:{w.public}", "--ca", w.anchor)
    retired, = entries(w, "issuer.retired")
    assert retired["issuer"] == "issuing"
    key, csr = w.key_and_csr("RO-6")
    a = w.enrol_basic(w.token("RO-6", door="bearer"), csr)
    assert a.status == 200 and \
        issuer_of(w, w.save_p7(a, "RO-6")) == "issuing-2"


# ---- the page ----

def play(w, block, env):
    """A block of the page; what restarts the service restarts the world."""
    said = ""
    for part in re.split(r"(systemctl restart mintmarkd\n)", block):
        if part.startswith("systemctl"):
            again(w, env=env)
            until(lambda: w.rest("GET", "/expiry").status == 200)
        elif part.strip():
            said += run("bash", "-c", "set -euo pipefail\n" + part, env={
                **os.environ, **(env or {}), "CONFIG": str(w.conf),
                "PATH": f"{MINT.parent}:{os.environ['PATH']}",
                "MINTMARK_CONTEXT": str(w.context)}).stdout
    return said


def test_the_page_is_what_is_done():
    text = (ROOT / "docs/ca-rollover.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)
    assert len(blocks) == 3
    with World(profile='\tbearer = true\n\tlifetime = "30d"') as w:
        w.start().product()
        enrolled(w, "RP-1")
        blocks = [re.sub(r"(mintmark ca (?:rollover|retire|renew-tls)\b.*)",
                         rf"\1 --config {w.conf}", b) for b in blocks]
        first, second, third = [
            re.sub(r"(mintmark ca (?:rollover|renew-tls)\b.*)",
                   rf"\1 --passphrase-file {w.passphrase}", b)
            for b in blocks]
        assert re.search(r"issuing-2 +next", play(w, first, None))
        assert re.search(r"issuing +followed", play(w, second, None))
        w.stop()
        w.start(env=faketime("+31d"))
        assert re.search(r"issuing +retired",
                         play(w, third, faketime("+31d")))


# ---- a root that is elsewhere ----

@pytest.fixture
def corporate(tmp_path):
    """init with an external root, and who signs its requests."""
    root, key = tmp_path / "corp.pem", tmp_path / "corp.key"
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", root,
        "-subj", "/O=Corp/CN=Corp Root", "-days", "900", "-addext",
        "basicConstraints=critical,CA:TRUE", "-addext",
        "keyUsage=critical,keyCertSign,cRLSign")
    (tmp_path / "ext").write_text(
        "basicConstraints=critical,CA:TRUE,pathlen:0\n"
        "keyUsage=critical,keyCertSign,cRLSign\n"
        "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")

    def sign(request, name):
        pem = tmp_path / name
        run("openssl", "x509", "-req", "-in", request, "-CA", root, "-CAkey",
            key, "-CAcreateserial", "-days", "800", "-extfile",
            tmp_path / "ext", "-out", pem)
        pem.write_text(pem.read_text() + root.read_text())
        return pem
    return sign


def test_two_steps_with_a_root_elsewhere(corporate, tmp_path):
    phrase = tmp_path / "passphrase"
    phrase.write_text("correct horse battery staple\n")
    phrase.chmod(0o600)
    etc, ports = tmp_path / "etc", free_ports(3)
    conf = etc / "mintmark.conf"
    secret = ["--passphrase-file", phrase]
    run(MINT, "--json", "init", "--test", "--yes", "--name", "Acme",
        "--root", "external", "--dir", etc, "--state", tmp_path / "state",
        "--public-url", "http://localhost:1", "--host", "localhost",
        *[x for name, port in zip(("devices", "operators", "public"), ports)
          for x in (f"--{name}-listen", f"127.0.0.1:{port}")], *secret)
    request, = etc.glob("*.csr")
    config = ["--config", conf, *secret]
    run(MINT, "ca", "install", "issuing", "--chain",
        corporate(request, "one.pem"), *config)

    before, csr = conf.read_bytes(), tmp_path / "two.csr"
    conf.chmod(0o640)
    assert aside_mode(conf) == 0o640
    p = run(MINT, "ca", "rollover", "issuing", "--from", FAR, "--out", csr,
            *config)
    assert conf.read_bytes() == before and "Answer sheet" in p.stdout
    assert "pathlen:0" in p.stdout and f"--from {FAR} --chain" in p.stdout
    wrong = corporate(request, "wrong.pem")
    p = run(MINT, "ca", "rollover", "issuing", "--from", FAR, "--chain",
            wrong, *config, check=False)
    assert p.returncode != 0 and "key" in p.stderr
    assert conf.read_bytes() == before
    run(MINT, "ca", "rollover", "issuing", "--from", FAR, "--chain",
        corporate(csr, "two.pem"), *config)
    assert 'issuer "issuing-2"' in conf.read_text()
    run(MINT, "ca", "renew-tls", "--tls-dns", "localhost", *config)
    run(DAEMON, "check", "--config", conf)


def aside_mode(conf):
    """Of the copy that the signer is given, while its passphrase is waited
    for."""
    aside = conf.with_name(conf.name + ".rollover")
    r, pipe = os.pipe()
    p = subprocess.Popen(
        [MINT, "ca", "rollover", "issuing", "--from", FAR, "--config", conf,
         "--passphrase-fd", str(r)], pass_fds=[r], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    try:
        until(aside.exists)
        return aside.stat().st_mode & 0o777
    finally:
        os.close(r)
        os.close(pipe)
        assert p.wait() != 0


# ---- what ends ----

def alerts(w):
    return {(e["reason"], e.get("issuer")) for e in entries(w, "alert")}


def test_ends_are_told_before():
    """An issuer that lives shorter than what it issues; who is silent.
    Nothing outlives its issuer."""
    with World(profile='\tbearer = true\n\tlifetime = "90d"') as w:
        w.start().product()
        enrolled(w, "EN-1")
        again(w, env=faketime("+82d"))
        until(lambda: w.rest("GET", "/issuers").status == 200)
        silent = json.loads(w_later(w, "+82d", "device", "silent"))["items"]
        assert [s["device"] for s in silent] == ["EN-1"], silent
        assert json.loads(w_later(w, "+82d", "device", "silent",
                                  "--ended"))["items"] == []
        w.stop()
        w.start(env=faketime("+5430d"))
        want = {("issuer-ends", "issuing"), ("issuer-cuts-short", "issuing")}
        until(lambda: want <= alerts(w), told=lambda: alerts(w))
        key, csr = w.key_and_csr("EN-2")
        a = w.enrol_basic(w.token("EN-2", door="bearer"), csr)
        assert a.status == 200, a
        end = run("openssl", "x509", "-noout", "-enddate", "-in",
                  w.save_p7(a, "EN-2")).stdout
        ca = run("openssl", "x509", "-noout", "-enddate", "-in",
                 published(w, "issuing")).stdout
        assert end == ca
        assert "its end cuts short what profile thermo has" in w.cli(
            "doctor", check=False).stdout


def w_later(w, when, *argv, check=True):
    return run(MINT, "--json", "--context", w.context, *argv, check=check,
               env={**os.environ, **faketime(when)}).stdout


# ---- line CAs ----

def test_line_cas_follow(tmp_path):
    """Each order's line CA is below whoever makes them then; what was made
    before keeps its list, its answers and its order."""
    with World() as w:
        line_cas.add_lines(w)
        w.start().product()
        line_cas.stations(w, ["l1", "l2"])
        pem = line_cas.certificate(tmp_path, "station")
        made = {}

        def order(batch, station):
            line_cas.batch(w, batch, [station])
            a = line_cas.ask(w, batch, station, pem)
            assert a.status in (200, 201), a
            made[batch] = line_cas.ca_of(a.json)
            return a.json
        first = order("b1", "l1")
        offline(w, "rollover", "lines", "--from", "now")
        again(w)
        order("b2", "l2")
        der = {n: w.get_public(f"/issuer/{n}.cer").body
               for n in ("lines", "lines-2")}
        assert made["b1"][1][1] == der["lines"]
        assert made["b2"][1][1] == der["lines-2"]
        for batch, (name, chain) in made.items():
            folder = tmp_path / batch
            folder.mkdir()
            until(lambda: line_cas.crl(w, name))
            line_cas.verify(w, folder, name, chain)
            assert line_cas.ocsp(w, folder, serial_of(folder / "c0.crt"),
                                 "c1.crt") == "good"
        # the same order is given again, below the old one
        a = line_cas.ask(w, "b1", "l1", pem)
        assert line_cas.ca_of(a.json) == made["b1"] == line_cas.ca_of(first)
        p = run(MINT, "--context", w.context, "ca", "retire", "lines",
                "--config", w.conf, check=False)
        assert p.returncode != 0 and "line CAs below it" in p.stderr
        line_cas.agrees(w)
