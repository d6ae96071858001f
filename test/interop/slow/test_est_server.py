"""docs/existing-ca.md: an existing CA by EST, here globalsign/est's server."""
import json
import re
import subprocess

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

import keys
from fetched import go_module
from test_agent import enrol, identity, token_file
from test_existing_ca_est import Corporate, Signer
from world import free_ports, run, until


@pytest.fixture(scope="module")
def corp(tmp_path_factory):
    program = go_module("globalsign", tmp_path_factory.mktemp("estserver"),
                        "github.com/globalsign/est/cmd/estserver")
    (port,) = free_ports(1)

    def make(c):
        c.ca = Signer(c.d, "ca", "/O=Corp/CN=Corp Devices")
        tls = Signer(c.d, "tls", "/O=Corp/CN=Corp TLS")
        server = tls.save(c.d, "server", names=["localhost"],
                          purpose=ExtendedKeyUsageOID.SERVER_AUTH)
        cert, key = tls.save(c.d, "registrar")
        (c.d / "est.json").write_text(json.dumps({
            "mock_ca": {"certificates": str(c.d / "ca.crt"),
                        "private_key": str(c.d / "ca.key")},
            "tls": {"listen_address": f"localhost:{port}",
                    "certificates": str(server[0]),
                    "private_key": str(server[1]),
                    "client_cas": [str(tls.path)]},
            "timeout": 30, "rate_limit": 1000,
            "log_file": str(c.d / "est.log")}))
        return f"""
	certificate = "{c.d}/ca.crt"
	est = "https://localhost:{port}/.well-known/est/devices"
	est_anchors = "{tls.path}"
	est_certificate = "{cert}"
	est_key = "{key}"
"""
    c = Corporate(make, lifetime="100d",
                  eku='{"serverAuth", "clientAuth"}')
    server = subprocess.Popen([program, "-config", c.d / "est.json"])
    try:
        c.w.start().product()
        until(lambda: "registrar-est" in c.w.children())
        yield c
    finally:
        server.kill()
        server.wait()
        c.w.close()


def test_the_agent_enrols_and_renews(corp):
    w = corp.w
    d, _, p = enrol(w, "agent-1", token=token_file(w, "agent-1"))
    assert json.loads(p.stdout)["confirmed"], p
    first = keys.load(identity(d)[0])
    p = w.agent("renew", "--now", "--dir", d)
    assert json.loads(p.stdout)["confirmed"], p
    second = keys.load(identity(d)[0])
    assert second.subject == first.subject
    assert second.serial_number != first.serial_number
    for cert in identity(d)[0],:
        run("openssl", "verify", "-CAfile", corp.d / "ca.crt", cert)
    asked = re.findall("simpleenroll", (corp.d / "est.log").read_text())
    assert len(asked) >= 2
    assert w.rest("GET", "/issuers/corporate").json["upstream"]["made"] == 2
