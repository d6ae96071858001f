"""EST clients that have to be fetched: globalsign/est and Bouncy Castle's."""
import re
import subprocess

import pytest

from fetched import go_module, maven_classpath
from world import World, basic_of, x509

LEAF = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----",
                  re.S)


@pytest.fixture(scope="module")
def world():
    w = World(profile="\tbearer = true")
    try:
        yield w.start().product()
    finally:
        w.close()


@pytest.fixture(scope="module")
def globalsign(tmp_path_factory):
    return [go_module("globalsign", tmp_path_factory.mktemp("globalsign"))]


@pytest.fixture(scope="module")
def bouncycastle(tmp_path_factory):
    classes = tmp_path_factory.mktemp("bouncycastle")
    return ["java", "-cp", maven_classpath("bouncycastle", "Est.java",
                                           classes), "Est"]


@pytest.mark.parametrize("label", ["", "thermo"])
@pytest.mark.parametrize("client", ["globalsign", "bouncycastle"])
def test_enrols_and_renews(world, request, client, label):
    argv = request.getfixturevalue(client)
    name = f"{client}-{label}"
    user, secret = basic_of(world.token(name, door="bearer")["token"])
    p = subprocess.run(
        [*argv, f"localhost:{world.devices}", world.anchor, label, name, user,
         secret], text=True, capture_output=True, timeout=60)
    assert p.returncode == 0, p.stderr
    got = LEAF.findall(p.stdout)
    assert len(got) == 2, p.stdout
    pubs = set()
    for n, text in enumerate(got):
        pem = world.dir / f"{name}{n}.crt"
        pem.write_text(text + "\n")
        assert f"CN={name}" in x509(pem, "-subject", "-nameopt", "RFC2253")
        pubs.add(x509(pem, "-pubkey"))
    assert len(pubs) == 2
