"""zlint's lints that have an RFC as their source, over everything the product
signs: roots, issuing CAs, server, device and factory certificates, CRLs."""
import subprocess

import pytest

from fetched import go_module
from peers import ANY_KEY, KINDS, keyed
from world import run, serial_of

# findings that are right as they are: (lint, part of the file's name): why
EXCEPTIONS = {}

FACTORY = """
profile "factory" {
	kind = "idevid"
	issuer = "issuing"
	lifetime = "0"
	bearer = true
	hw_type_oid = "1.3.6.1.4.1.99999.1"
	keys = { "p256" }
	policies = { "1.3.6.1.4.1.99999.2" }
}
"""


@pytest.fixture(scope="module")
def zlint(tmp_path_factory):
    return go_module("zlint", tmp_path_factory.mktemp("zlint"))


def device(w, name, kind="p256", label=""):
    csr = w.key_and_csr(name, kind=kind.removesuffix("2048"))[1]
    t = w.token(name, door="bearer", **({"profile": label} if label else {}))
    a = w.enrol_basic(t, csr, label=label)
    assert a.status == 200, a
    return w.save_p7(a, name)


def crl(w):
    der, pem = w.dir / "list.der", w.dir / "list.pem"
    der.write_bytes(w.get_public("/crl/issuing.crl").body)
    run("openssl", "crl", "-inform", "DER", "-in", der, "-out", pem)
    return pem


@pytest.fixture(scope="module", params=["p256", "p384", "rsa2048"])
def signed(request):
    w = keyed(request.param, profile="\tbearer = true\n" + ANY_KEY +
              '\n\tsan = { "DNS:{device}.devices.example.com", '
              '"URI:urn:dev:ops:{device}" }', extra=FACTORY)
    try:
        w.start()
        a = w.rest("POST", "/products", {
            "name": "thermo", "ldevid_profile": "thermo",
            "idevid_profile": "factory"})
        assert a.status == 201, a
        files = [w.anchor, w.etc / "issuing.crt", w.state / "server/tls.crt"]
        files += [device(w, f"DEV-{k}", k) for k in KINDS]
        files += [device(w, "FACTORY", label="factory")]
        a = w.rest("POST", f"/certificates/{serial_of(files[3])}/revoke",
                   {"reason": "superseded"})
        assert a.status == 200, a
        w.rest("POST", "/issuers/issuing/crl")
        yield files + [crl(w)]
    finally:
        w.close()


def findings(zlint, files):
    out = subprocess.run([zlint, *files], text=True, capture_output=True,
                         check=True).stdout.splitlines()
    passed = [line for line in out if line.startswith("passed ")]
    assert len(passed) == len(files)
    assert all(int(line.split()[1]) > 0 for line in passed), passed
    return [line for line in out
            if line.split()[0] in ("warn", "error", "fatal")]


def test_nothing_is_found(zlint, signed):
    left = [line for line in findings(zlint, signed) if not any(
        lint in line and part in line for lint, part in EXCEPTIONS)]
    assert not left, "\n".join(left)


def test_something_can_be_found(zlint, tmp_path):
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x", "-addext",
        "keyUsage=keyCertSign", "-keyout", tmp_path / "key", "-out",
        tmp_path / "bad.crt")
    assert any("w_ext_key_usage_not_critical" in line
               for line in findings(zlint, [tmp_path / "bad.crt"]))
