"""docs/ca-root.md: another root takes the trust anchor's place (RFC 4210 4.4,
RFC 7030 4.1.3); who trusts one of the two gets to what hangs below the other."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

import pytest
from cryptography import x509

from nodes import Node, passphrase_run
from test_ca_rollover import (again, agent_dir, cacerts, entries, offline,
                              offline_retire, published, reconciled,
                              until_renewed)
from test_est import enrolled
from world import (AGENT, MINT, ROOT, World, faketime, run, until)

NAMES = ("new_with_old", "old_with_new")


def text_of(pem):
    return run("openssl", "x509", "-noout", "-subject", "-issuer",
               "-fingerprint", "-sha256", input=pem).stdout


def named(pem):
    """(subject's CN, issuer's CN)"""
    return tuple(re.search(rf"{k}=.*CN = (.*)", text_of(pem)).group(1)
                 for k in ("subject", "issuer"))


def pems(path):
    return [p + "-----END CERTIFICATE-----" for p in
            path.read_text().split("-----END CERTIFICATE-----")[:-1]]


@pytest.fixture(scope="module")
def w():
    with World(profile='\tbearer = true\n\tlifetime = "90d"') as w:
        w.start().product()
        w.held = w.token("CR-7")["token"]  # names the old root
        w.agent = agent_dir(w, "CR-1")
        w.late = agent_dir(w, "CR-9")      # comes when all is over
        w.first, _ = enrolled(w, "CR-2")
        yield w


def anchor_of(d):
    """The file that the agent pins, wherever it has it."""
    slot = json.loads(run(AGENT, "--json", "status", "--dir", d).stdout)
    found = [p for p in d.rglob("anchor.pem")]
    assert found, (slot, list(d.rglob("*")))
    return max(found, key=lambda p: p.stat().st_mtime_ns).read_text().strip()


def test_a_plan_changes_nothing(w):
    before = w.conf.read_bytes()
    files = sorted(p.name for p in w.etc.iterdir())
    p = run(MINT, "ca", "root", "--dry-run", "--config", w.conf)
    assert "root-2 would take the place of root" in p.stdout
    assert w.conf.read_bytes() == before
    assert sorted(p.name for p in w.etc.iterdir()) == files
    p = run(MINT, "ca", "root-end", "--config", w.conf, check=False)
    assert p.returncode == 5 and "no change" in p.stderr


def test_only_the_roots_key_signs_for_it(w):
    before = w.conf.read_bytes()
    p = offline(w, "root", "--root-key", w.state / "signer/keys/issuing.key",
                check=False)
    assert p.returncode != 0 and "do not belong together" in p.stderr
    assert w.conf.read_bytes() == before


def test_no_other_root_is_believed(w):
    """RFC 7030 4.1.3: a server that hands out a younger root, with a link that
    the pinned one has not signed, moves nobody."""
    d = w.dir / "forged"
    d.mkdir()
    young, stranger = (made_root(d, n, s) for n, s in (("Young", "5"),
                                                       ("Stranger", "6")))
    posing = d / "posing.pem"  # the pinned root's name, another's key
    pinned = run("openssl", "x509", "-noout", "-subject", "-nameopt",
                 "compat", "-in", w.anchor).stdout.split("=", 1)[1].strip()
    run("openssl", "req", "-x509", "-new", "-key", stranger[1], "-out",
        posing, "-subj", pinned if pinned.startswith("/") else "/" + pinned,
        "-days", "900", "-addext", "basicConstraints=critical,CA:TRUE")
    links = w.etc / "forged-links.crt"
    links.write_text("".join(p.read_text() for p in (
        young[0], crossed(d, young, stranger),
        crossed(d, young, (posing, stranger[1])))))
    before = w.conf.read_text()
    w.conf.write_text(re.sub(r"(?m)^root_links = .*", f'root_links = "{links}"',
                             before))
    again(w)
    assert any(named(p) == ("Young", "Young") for p in cacerts(w))
    assert until_renewed(w, w.agent) == "issuing"
    assert anchor_of(w.agent) == w.anchor.read_text().strip()
    w.conf.write_text(before)
    again(w)


@pytest.fixture(scope="module")
def changed(w):
    """The new root is in force; all issuers are below the old one."""
    kept = w.dir / "offline-root.key"
    shutil.move(w.state / "signer/keys/root.key", kept)
    kept2 = w.dir / "offline-root-2.key"
    argv = ["root", "--root-key", kept, "--new-root-key", kept2]
    out = json.loads(offline(w, *argv).stdout)
    assert out["changed"] and out["root"] == "root-2"
    assert kept2.stat().st_mode & 0o777 == 0o600
    w.roots = {"old": w.anchor, "new": w.etc / "root-2.crt"}
    w.root_key = kept2
    p = offline(w, *argv, check=False)
    assert p.returncode == 5 and "under way" in p.stderr
    again(w)
    return out


def test_all_four_are_handed_out(w, changed):
    """RFC 7030 4.1.3: OldWithOld, OldWithNew and NewWithOld, with the root."""
    for label in ("", "thermo"):
        got = [named(p) for p in (cacerts(w, label) if label else [
            p.strip() for p in cacerts(w)])]
        roots = {s for s, i in got if s == i}
        links = {(s, i) for s, i in got if {s, i} == roots and s != i}
        assert len(roots) == 2 and len(links) == 2, got
    entry, = entries(w, "root.changed")
    sha = run("openssl", "x509", "-in", w.roots["new"], "-noout",
              "-fingerprint", "-sha256").stdout
    assert sha.split("=")[1].strip().replace(":", "").lower() == \
        entry["cert_sha256"]
    reconciled(w)


def chain_of(w, issuer, root):
    """What is between: the issuer, and the link to the root that is asked."""
    mine = published(w, issuer).read_text()
    links = [p for p in pems(w.etc / "root-2-links.crt")
             if len(set(named(p))) == 2]
    f = w.dir / f"{issuer}-{root}.chain"
    f.write_text(mine + "".join(links))
    return f


def verified(w, pem, issuer):
    """By OpenSSL, strictly, and by GnuTLS, from either root."""
    for root, anchor in w.roots.items():
        chain = chain_of(w, issuer, root)
        run("openssl", "verify", "-x509_strict", "-CAfile", anchor,
            "-untrusted", chain, pem)
        # a chain in order: itself, its issuer, and the link if it needs one
        top = named(published(w, issuer).read_text())[1]
        link = [p for p in pems(w.etc / "root-2-links.crt")
                if named(p)[0] == top and named(p)[1] != top]
        other = named(anchor.read_text())[0] != top
        text = pem.read_text() + published(w, issuer).read_text() + \
            (link[0] if other else "")
        said = run("certtool", "--verify", "--load-ca-certificate", anchor,
                   input=text).stdout
        assert "Chain verification output: Verified" in said, said


def test_an_issuers_chain_is_below_its_own_root(w, changed):
    """Also where its file is the issuer alone."""
    mine, = w.rest("GET", "/certificates?device=CR-2").json["items"]
    path = w.etc / "issuing.crt"
    whole = path.read_text()
    path.write_text(pems(path)[0] + "\n")
    again(w)
    chain = w.rest("GET", f"/certificates/{mine['serial']}").json["chain"]
    path.write_text(whole)
    again(w)
    assert chain.count("BEGIN") == 2
    leaf = w.dir / "alone.crt"
    leaf.write_text(chain)
    assert text_of(pems(leaf)[1]) == text_of(w.roots["old"].read_text())


def test_a_node_that_joins_has_what_joins_the_roots(w, changed):
    bundle = w.dir / "node.pem"
    before = w.conf.read_bytes()
    w.set_conf("node", '"a"')
    passphrase_run(w, "export-node", "--out", bundle)
    with Node(w, "b", bundle) as b:
        for name in ("root-2.crt", "root-2-links.crt"):
            assert (b.etc / name).read_bytes() == \
                (w.etc / name).read_bytes()
    w.conf.write_bytes(before)


def test_who_trusts_one_root_gets_to_what_is_below_the_other(w, changed):
    verified(w, w.first, "issuing")


def served_to(w, anchor):
    p = run("openssl", "s_client", "-connect", f"127.0.0.1:{w.devices}",
            "-servername", "localhost", "-CAfile", anchor,
            "-verify_return_error", input="", check=False)
    return "Verify return code: 0" in p.stdout, p.stdout


def test_the_server_is_known_by_either(w, changed):
    for anchor in w.roots.values():
        ok, said = served_to(w, anchor)
        assert ok, said


def test_an_agent_moves_on_when_the_old_root_vouches(w, changed):
    old = w.roots["old"].read_text().strip()
    new = w.roots["new"].read_text().strip()
    assert anchor_of(w.agent) == old
    assert until_renewed(w, w.agent) == "issuing"
    assert anchor_of(w.agent) == new
    assert until_renewed(w, w.agent) == "issuing"  # by the new one
    assert anchor_of(w.agent) == new


@pytest.mark.parametrize("device, held", [("CR-7", True), ("CR-8", False)])
def test_tokens_of_before_and_of_now(w, changed, device, held):
    """One names the old root, one the new."""
    t = w.dir / f"{device}.token"
    t.touch(0o600)
    t.write_text(w.held if held else w.token(device)["token"])
    d = w.dir / f"agent-{device}"
    run(AGENT, "--json", "enrol", "--token-file", t, "--dir", d, "--server",
        f"127.0.0.1:{w.devices}")
    assert anchor_of(d) == w.roots["new"].read_text().strip()


@pytest.fixture(scope="module")
def rolled(w, changed):
    """Then the issuer rolls over, below the new root."""
    offline(w, "rollover", "issuing", "--from", "now", "--root-key",
            w.root_key)
    again(w)
    return w


def test_new_certificates_hang_below_the_new_root(rolled):
    w = rolled
    pem, _ = enrolled(w, "CR-3")
    assert named(published(w, "issuing-2").read_text())[1] == \
        named(w.roots["new"].read_text())[0]
    verified(w, pem, "issuing-2")
    assert until_renewed(w, w.agent) == "issuing-2"
    verified(w, w.first, "issuing")


def bundle(w):
    until(lambda: w.get_public("/crl/bundle.pem").status == 200)
    return w.get_public("/crl/bundle.pem").text


def test_both_roots_lists_are_there(rolled):
    w = rolled
    assert bundle(w).count("BEGIN X509 CRL") == 4
    for name, anchor in w.roots.items():
        out = w.dir / f"{name}.lists"
        w.cli("crl", "sync", "--once", "--out", out, "--url",
              f"http://127.0.0.1:{w.public}", "--ca", anchor)
        assert out.read_text().count("BEGIN X509 CRL") == 4
    # every link of a chain over both roots is checked by a list
    run("openssl", "verify", "-crl_check_all", "-CRLfile",
        w.dir / "new.lists", "-CAfile", w.roots["new"], "-untrusted",
        chain_of(w, "issuing", "new"), w.first)


def test_lists_run_out_with_the_first_root_that_has_none(rolled):
    """Whoever looks a month ahead is told of that one, not of the last."""
    w = rolled
    path = re.search(r'(?m)^root_crl = "(.*)"', w.conf.read_text()).group(1)
    last = {}
    for crl in re.findall("-----BEGIN.*?-----END X509 CRL-----",
                          pathlib.Path(path).read_text(), re.S):
        c = x509.load_pem_x509_crl(crl.encode())
        last[c.issuer] = max(c.next_update, last.get(c.issuer,
                                                     c.next_update))
    assert len(set(last.values())) == 2  # else it would say nothing
    said = [i["ends"] for i in w.rest("GET", "/expiry/ends").json["items"]
            if i["kind"] == "root-crl"]
    assert [s[:19] for s in said] == [min(last.values()).isoformat()]


def test_the_old_root_revokes_still(rolled):
    """Whichever root signs, the other one's lists stay."""
    w = rolled
    p = offline(w, "root-crl", "root", "--root-key", w.dir /
                "offline-root.key", "--revoke", w.roots["new"], check=False)
    assert p.returncode != 0 and "not one that this root" in p.stderr
    link = w.dir / "old-with-new.pem"
    link.write_text(next(p for p in pems(w.etc / "root-2-links.crt")
                         if named(p) == tuple(named(x.read_text())[0]
                                              for x in (w.roots["old"],
                                                        w.roots["new"]))))
    lists = re.search(r'root_crl = "(.*)"', w.conf.read_text()).group(1)
    kept = open(lists).read()
    offline(w, "root-crl", "--root-key", w.root_key, "--revoke", link)
    issuers = {run("openssl", "crl", "-noout", "-issuer", input=x +
                   "-----END X509 CRL-----\n").stdout
               for x in open(lists).read().split("-----END X509 CRL-----")
               if "BEGIN" in x}
    assert len(issuers) == 2
    open(lists, "w").write(kept)
    (w.state / "signer/root-revoked").unlink()


def test_it_does_not_end_too_early(rolled):
    before = rolled.conf.read_bytes()
    p = run(MINT, "ca", "root-end", "--config", rolled.conf, check=False)
    assert p.returncode == 5 and "ca renew-tls" in p.stderr
    assert rolled.conf.read_bytes() == before
    assert "Nothing was done" in run(
        MINT, "ca", "root-end", "--force", "--dry-run", "--config",
        rolled.conf).stdout


def test_the_end(rolled):
    """Comes last: time does not go back."""
    w = rolled
    later = {**os.environ, **faketime("+100d")}
    offline(w, "renew-tls")
    p = run(MINT, "ca", "root-end", "--config", w.conf, check=False)
    assert p.returncode == 5 and "issuer issuing is below" in p.stderr
    again(w)
    for anchor in w.roots.values():  # below the new one now
        ok, said = served_to(w, anchor)
        assert ok, said
    again(w, env=faketime("+100d"))
    offline_retire(w, env=later)
    out = run(MINT, "ca", "root-end", "--config", w.conf, env=later).stdout
    assert "destroy the key of the root before" in out
    w.anchor = w.roots["new"]
    again(w, env=faketime("+100d"))
    got = [named(p) for p in cacerts(w)]
    assert sorted(s == i for s, i in got) == [False, True]
    assert served_to(w, w.roots["new"])[0]
    assert bundle(w).count("BEGIN X509 CRL") == 4
    run(MINT, "crl", "sync", "--once", "--out", w.dir / "new.lists", "--url",
        f"http://127.0.0.1:{w.public}", "--ca", w.roots["new"], env=later)
    p = run(AGENT, "renew", "--now", "--dir", w.late, check=False, env=later)
    assert p.returncode != 0  # it pins a root that is gone
    passphrase_run(w, "export-node", "--out", w.dir / "one-more-node")


# ---- roots elsewhere ----

def made_root(d, name, serial):
    pem, key = d / f"{name}.pem", d / f"{name}.key"
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", pem,
        "-subj", f"/O=Corp/CN={name}", "-days", "900", "-set_serial", serial,
        "-addext", "basicConstraints=critical,CA:TRUE", "-addext",
        "keyUsage=critical,keyCertSign,cRLSign")
    return pem, key


def crossed(d, of, by, basic="CA:TRUE", out=None):
    """of's name and key, certified by by."""
    csr = d / "x.csr"
    out = out or d / f"{of[0].stem}-with-{by[0].stem}.pem"
    run("openssl", "x509", "-x509toreq", "-in", of[0], "-signkey", of[1],
        "-out", csr)
    (d / "ca.ext").write_text(
        f"basicConstraints=critical,{basic}\n"
        "keyUsage=critical,keyCertSign,cRLSign\n"
        "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
    run("openssl", "x509", "-req", "-in", csr, "-CA", by[0], "-CAkey", by[1],
        "-set_serial", "77", "-days", "300", "-extfile", d / "ca.ext", "-out",
        out)
    return out


def test_roots_that_are_elsewhere(tmp_path):
    """What their people made is proved, and refused where it is wrong."""
    from test_ca_rollover import free_ports
    phrase = tmp_path / "passphrase"
    phrase.write_text("correct horse battery staple\n")
    phrase.chmod(0o600)
    etc, ports = tmp_path / "etc", free_ports(3)
    secret = ["--passphrase-file", phrase, "--config", etc / "mintmark.conf"]
    run(MINT, "--json", "init", "--test", "--yes", "--name", "Acme",
        "--root", "external", "--dir", etc, "--state", tmp_path / "state",
        "--public-url", "http://localhost:1", "--host", "localhost",
        *[x for name, port in zip(("devices", "operators", "public"), ports)
          for x in (f"--{name}-listen", f"127.0.0.1:{port}")], *secret[:2])
    elder = made_root(tmp_path, "Elder", "4")
    time.sleep(1.1)  # certificates count whole seconds
    old = made_root(tmp_path, "Old", "1")
    time.sleep(1.1)
    new = made_root(tmp_path, "New", "2")
    stranger = made_root(tmp_path, "Stranger", "3")
    request, = etc.glob("*.csr")
    (tmp_path / "ext").write_text(
        "basicConstraints=critical,CA:TRUE,pathlen:0\n"
        "keyUsage=critical,keyCertSign,cRLSign\n"
        "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
    one = tmp_path / "one.pem"
    run("openssl", "x509", "-req", "-in", request, "-CA", old[0], "-CAkey",
        old[1], "-set_serial", "9", "-days", "800", "-extfile",
        tmp_path / "ext", "-out", one)
    one.write_text(one.read_text() + old[0].read_text())
    run(MINT, "ca", "install", "issuing", "--chain", one, *secret)

    before = (etc / "mintmark.conf").read_bytes()
    links = [crossed(tmp_path, new, old), crossed(tmp_path, old, new)]
    wrong = crossed(tmp_path, new, stranger)
    limited = crossed(tmp_path, new, old, "CA:TRUE,pathlen:1",
                      tmp_path / "limited.pem")
    chain = tmp_path / "chain.pem"
    for given, says in (
            ([new[0], links[0]], "OldWithNew is not in it"),
            ([new[0], links[1]], "NewWithOld is not in it"),
            ([new[0], wrong, *links], "nothing else"),
            ([elder[0], crossed(tmp_path, elder, old),
              crossed(tmp_path, old, elder)], "not younger"),
            ([new[0], limited, links[1]], "pathLenConstraint"),
            ([stranger[0], *links], "not of that root's name and key")):
        chain.write_text("".join(p.read_text() for p in given))
        p = run(MINT, "ca", "root", "--chain", chain, *secret, check=False)
        assert p.returncode != 0 and says in p.stderr, (says, p.stderr)
        assert (etc / "mintmark.conf").read_bytes() == before
    chain.write_text("".join(p.read_text() for p in
                             [*reversed(links), new[0]]))
    run(MINT, "ca", "root", "--chain", chain, *secret)
    assert (etc / "root-2.crt").read_text() == new[0].read_text()
    # and a certificate of the new root is taken for the next issuer
    two, csr = tmp_path / "two.pem", tmp_path / "two.csr"
    run(MINT, "ca", "rollover", "issuing", "--from", "now", "--out", csr,
        *secret)
    run("openssl", "x509", "-req", "-in", csr, "-CA", new[0], "-CAkey",
        new[1], "-set_serial", "10", "-days", "800", "-extfile",
        tmp_path / "ext", "-out", two)
    two.write_text(two.read_text() + new[0].read_text())
    run(MINT, "ca", "rollover", "issuing", "--from", "now", "--chain", two,
        *secret)


# ---- the page ----

def test_the_page_is_what_is_done():
    from test_ca_rollover import play
    text = (ROOT / "docs/ca-root.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)
    assert len(blocks) == 3
    with World(profile='\tbearer = true\n\tlifetime = "30d"') as w:
        w.start().product()
        enrolled(w, "RP-1")
        blocks = [re.sub(r"(mintmark ca (?:root|root-end|rollover|retire|"
                         r"renew-tls)\b.*)", rf"\1 --config {w.conf}", b)
                  for b in blocks]
        first, second, third = [
            re.sub(r"(mintmark ca (?:root|rollover|renew-tls) .*)",
                   rf"\1 --passphrase-file {w.passphrase}", b)
            for b in blocks]
        assert "root-2 takes the place" in play(w, first, None)
        assert re.search(r"issuing-2 +issuing", play(w, second, None))
        w.stop()
        w.anchor = w.etc / "root-2.crt"
        w.start(env=faketime("+31d"))
        assert "no more" in play(w, third, faketime("+31d"))
