"""Certificates of the real server as other libraries judge them: every kind
of device key under issuers of two kinds, a foreign root (so that each judge is
seen to refuse), and a revoked one with the CRL of the public listener."""
import urllib.parse

import pytest
from cryptography import x509

from peers import ANY_KEY, KINDS, build_c, build_go, build_java, keyed, need, \
    says
from world import run, serial_of


class Pki:
    """Certificates that one server has issued, as files."""

    def __init__(self, key_type):
        self.w = keyed(key_type, profile="\tbearer = true\n" + ANY_KEY)
        self.root = self.w.anchor
        self.issuing = self.w.etc / "issuing.crt"
        self.foreign = self.w.dir / "foreign.crt"
        self.leaf = {}

    def fill(self):
        self.w.start().product()
        for kind in KINDS:
            self.leaf[kind] = self.issue(f"DEV-{kind}", kind)
        self.leaf["revoked"] = self.issue("DEV-revoked", "p256")
        a = self.w.rest("POST", "/certificates/" + serial_of(
            self.leaf["revoked"]) + "/revoke", {"reason": "keyCompromise"})
        assert a.status == 200, a
        a = self.w.rest("POST", "/issuers/issuing/crl")
        assert a.status in (200, 202, 204), a
        self.fetch_crl()
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-subj",
            "/O=Acme, Inc./CN=Acme, Inc. Root CA", "-keyout",
            self.w.dir / "foreign.key", "-out", self.foreign)
        return self

    def issue(self, name, kind):
        csr = self.w.key_and_csr(name, kind=kind.removesuffix("2048"))[1]
        a = self.w.enrol_basic(self.w.token(name, door="bearer"), csr)
        assert a.status == 200, a
        return self.w.save_p7(a, name)

    def fetch_crl(self):
        a = self.w.get_public("/crl/issuing.crl")
        assert a.status == 200, a
        self.crl_der, self.crl = self.w.dir / "crl", self.w.dir / "crl.pem"
        self.crl_der.write_bytes(a.body)
        run("openssl", "crl", "-inform", "DER", "-in", self.crl_der, "-out",
            self.crl)


@pytest.fixture(scope="module", params=["p256", "rsa2048"])
def pki(request):
    p = Pki(request.param)
    try:
        yield p.fill()
    finally:
        p.w.close()


# ---- judges: (root, pki, leaf, whether the CRL counts) -> (verdict, words)

class OpenSSL:
    def __init__(self, tmp):
        need("openssl")

    def __call__(self, root, pki, leaf, crl):
        more = ["-crl_check", "-CRLfile", pki.crl] if crl else []
        return says(["openssl", "verify", "-x509_strict", "-purpose",
                     "sslclient", *more, "-CAfile", root, "-untrusted",
                     pki.issuing, leaf])


class GnuTLS:
    def __init__(self, tmp):
        need("certtool")
        self.tmp = tmp

    def __call__(self, root, pki, leaf, crl):
        chain = self.tmp / "chain"
        chain.write_text(leaf.read_text() + pki.issuing.read_text())
        more = ["--load-crl", pki.crl] if crl else []
        return says(["certtool", "--verify", "--verify-profile", "medium",
                     "--load-ca-certificate", root, *more, "--infile", chain])


class NSS:
    """One database for each judgement: it trusts what it was told once."""
    cannot = {"ed25519"}

    def __init__(self, tmp):
        need("certutil", "crlutil", "vfychain")
        self.tmp, self.n = tmp, 0

    def database(self, root, pki, crl=False):
        self.n += 1
        db = self.tmp / str(self.n)
        db.mkdir()
        where = ["-d", f"sql:{db}"]
        run("certutil", "-N", *where, "--empty-password")
        for name, trust, path in (("root", "CT,C,C", root),
                                  ("issuing", ",,", pki.issuing)):
            ok, words = self.add(where, name, trust, path)
            assert ok, words
        if crl:
            run("crlutil", "-I", *where, "-i", pki.crl_der)
        return where

    @staticmethod
    def add(where, name, trust, path):
        """A key that it does not know it does not even take in."""
        return says(["certutil", "-A", *where, "-n", name, "-t", trust, "-i",
                     path])

    def __call__(self, root, pki, leaf, crl):
        where = self.database(root, pki, crl)
        taken = self.add(where, "leaf", ",,", leaf)
        if not taken[0]:
            return taken
        first = says(["certutil", "-V", *where, "-n", "leaf", "-u", "C",
                      "-e"])
        second = says(["vfychain", *where, "-u", "0", "-a", leaf, "-a",
                       pki.issuing])
        assert crl or first[0] == second[0], (first, second)
        return first


class MbedTLS:
    cannot = {"ed25519"}

    def __init__(self, tmp):
        self.exe = build_c("mbed_verify.c", tmp / "mbed", "-lmbedx509",
                           "-lmbedcrypto", header="mbedtls/x509_crt.h")

    def __call__(self, root, pki, leaf, crl):
        return says([self.exe, root, pki.issuing, leaf,
                     *([pki.crl] if crl else [])])


class Go:
    def __init__(self, tmp):
        self.exe = build_go("verify.go", tmp / "verify")

    __call__ = MbedTLS.__call__


class Java:
    def __init__(self, tmp):
        self.classes = build_java("Verify.java", tmp)

    def __call__(self, root, pki, leaf, crl):
        return says(["java", "-XX:TieredStopAtLevel=1", "-cp", self.classes,
                     "Verify", root, pki.issuing, leaf,
                     *([pki.crl] if crl else [])])


JUDGES = (OpenSSL, GnuTLS, NSS, MbedTLS, Go, Java)


@pytest.fixture(scope="module", params=JUDGES, ids=lambda j: j.__name__)
def judge(request, tmp_path_factory):
    return request.param(tmp_path_factory.mktemp(request.param.__name__))


@pytest.mark.parametrize("kind", KINDS)
def test_accepted_where_its_kind_is_known(pki, judge, kind):
    ok, words = judge(pki.root, pki, pki.leaf[kind], False)
    # what a library does not know it refuses: until a version that does
    assert ok == (kind not in getattr(judge, "cannot", ())), words


def test_a_foreign_root_of_the_same_name_is_refused(pki, judge):
    ok, words = judge(pki.foreign, pki, pki.leaf["p256"], False)
    assert not ok, words


def test_with_the_crl_a_good_one_is_accepted(pki, judge):
    ok, words = judge(pki.root, pki, pki.leaf["p256"], True)
    assert ok, words


def test_with_the_crl_a_revoked_one_is_refused(pki, judge):
    assert judge(pki.root, pki, pki.leaf["revoked"], False)[0]
    ok, words = judge(pki.root, pki, pki.leaf["revoked"], True)
    assert not ok and "revoked" in words.lower(), words


class Named:
    """A Pki with another list: the one that a leaf names."""

    def __init__(self, pki, leaf, tmp):
        self.w, self.root, self.issuing = pki.w, pki.root, pki.issuing
        crt = x509.load_pem_x509_certificate(pki.leaf[leaf].read_bytes())
        (one,) = crt.extensions.get_extension_for_class(
            x509.CRLDistributionPoints).value
        a = self.w.get_public(urllib.parse.urlsplit(
            one.full_name[0].value).path)
        self.crl, self.crl_der = tmp / "named.pem", tmp / "named.der"
        self.crl_der.write_bytes(a.body)
        run("openssl", "crl", "-inform", "DER", "-in", self.crl_der, "-out",
            self.crl)


# NSS and mbed TLS 2.28 know no issuingDistributionPoint and refuse any list
# that has one, GnuTLS does not and takes it: docs/revocation.md.  Java fetches
# the one that is named by itself.
READ = (OpenSSL, Go, Java, GnuTLS)


def test_by_the_list_that_it_names(pki, judge, tmp_path):
    if not isinstance(judge, READ):
        pytest.skip("it cannot read it")
    ok, words = judge(pki.root, Named(pki, "p256", tmp_path),
                      pki.leaf["p256"], True)
    assert ok, words
    ok, words = judge(pki.root, Named(pki, "revoked", tmp_path),
                      pki.leaf["revoked"], True)
    assert not ok and "revoked" in words.lower(), words


def test_another_shards_list_is_not_taken_for_it(pki, judge, tmp_path):
    if not isinstance(judge, (OpenSSL, Go)):
        pytest.skip("it does not look, or elsewhere")
    for kind in KINDS:
        other = Named(pki, kind, tmp_path)
        if other.crl.read_text() != Named(pki, "revoked",
                                          tmp_path).crl.read_text():
            break
    other = Named(pki, kind, tmp_path)
    ok, words = judge(pki.root, other, pki.leaf["revoked"], True)
    assert not ok and "certificate revoked" not in words and \
        "revoked at" not in words, words


SERVER_WANTED = {
    "openssl": lambda p, chain: [
        "openssl", "verify", "-x509_strict", "-purpose", "sslserver",
        "-verify_hostname", "localhost", "-CAfile", p.root, "-untrusted",
        chain, chain],
    "certtool": lambda p, chain: [
        "certtool", "--verify", "--load-ca-certificate", p.root,
        "--verify-purpose", "1.3.6.1.5.5.7.3.1", "--verify-hostname",
        "localhost", "--infile", chain],
}


@pytest.mark.parametrize("program", SERVER_WANTED)
def test_the_servers_own_certificate(pki, program):
    need(program)
    chain = pki.w.dir / "server.pem"
    chain.write_text((pki.w.state / "server/tls.crt").read_text() +
                     pki.issuing.read_text())
    ok, words = says(SERVER_WANTED[program](pki, chain))
    assert ok, words


def test_the_servers_own_certificate_in_nss(pki, tmp_path):
    where = NSS(tmp_path).database(pki.root, pki)
    ok, words = NSS.add(where, "leaf", ",,", pki.w.state / "server/tls.crt")
    assert ok, words
    ok, words = says(["certutil", "-V", *where, "-n", "leaf", "-u", "V",
                      "-e"])
    assert ok, words
