"""examples/est-by-token/ask.sh and CAs that write their answers otherwise than
ours does.  Its keys in tokens are test_provider.py's."""
import os
import shutil
import subprocess

import pytest

from test_existing_ca_est import Hostile
from world import ROOT, run

ASK = ROOT / "examples/est-by-token/ask.sh"


@pytest.fixture(scope="module")
def corp(tmp_path_factory):
    """The folder that it has, and the CA; the key is a file here."""
    d = tmp_path_factory.mktemp("corp")
    ca = Hostile(d)
    for name, was in zip(("registrar.pem", "key.pem"),
                         ca.tls.save(d, "registrar")):
        if was.name != name:
            shutil.copy(was, d / name)
    shutil.copy(d / "tls.crt", d / "anchors.pem")
    (d / "openssl.cnf").touch()
    (d / "tmp").mkdir()
    try:
        yield d, ca
    finally:
        ca.est.close()


def ask(d, ca, device):
    csr = d / f"{device}.csr"
    run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-noenc", "-keyout", d / "device.key",
        "-subj", f"/CN={device}", "-out", csr)
    return subprocess.run([ASK, d, ca.url(), csr], capture_output=True,
                          text=True, timeout=60,
                          env={**os.environ, "TMPDIR": str(d / "tmp")})


@pytest.mark.parametrize("answer, status, certificates", [
    ("good", 0, 1), ("line", 0, 1), ("ber", 0, 2),
    ("html", 1, 0), ("wait", 75, 0), ("403", 77, 0), ("500", 1, 0)])
def test_its_answer(corp, answer, status, certificates):
    d, ca = corp
    p = ask(d, ca, f"{answer}-1")
    assert p.returncode == status, (p.stdout, p.stderr)
    assert p.stdout.count("-----BEGIN CERTIFICATE-----") == certificates
    assert list((d / "tmp").iterdir()) == []
