"""Each configuration of docs/modular.md, as it stands there: checked, started,
and what is left works without what is off."""
import base64
import json
import re
import socket

import pytest

from world import DAEMON, ROOT, World, run

PAGE = (ROOT / "docs/modular.md").read_text()
ROLES = ("devices", "operators", "public")
CACERTS = "/.well-known/est/cacerts"


def settings():
    """Of each heading with a configuration: what its lines set."""
    for part in re.split(r"^## ", PAGE, flags=re.M)[1:]:
        lines = re.findall(r"^    (\w+) = (\S+)", part, re.M)
        if lines:
            yield part.partition("\n")[0], dict(lines)


SETTINGS = dict(settings())


@pytest.fixture(scope="module")
def world():
    with World(profile="\tbearer = true") as w:
        w.start().product()
        w.address = {r: f'"127.0.0.1:{getattr(w, r)}"' for r in ROLES}
        yield w


def bound(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def begin(w, said):
    """Started anew with what the page says, at the ports of this world; the
    roles that are on."""
    w.stop()
    on = {r for r in ROLES if said.get(f"{r}_listen") != '""'}
    for key, value in said.items():
        role = key.removesuffix("_listen")
        assert role in ROLES, f"{key}: this test does not know it"
        w.set_conf(key, w.address[role] if role in on else value)
    for role in ROLES:  # what the page does not name is as it was
        if f"{role}_listen" not in said:
            w.set_conf(f"{role}_listen", w.address[role])
    p = run(DAEMON, "check", "--config", w.conf)
    assert p.returncode == 0, p.stdout + p.stderr
    w.start()
    return on


def by_rest(w, name):
    """A certificate as a station or a service of one's own asks for it."""
    key = w.rest("POST", "/keys", {"name": f"line {name}",
                                   "roles": ["line"]}).json["key"]
    _, csr = w.key_and_csr(name)
    a = w.rest("POST", "/devices", {"id": name, "product": "thermo"}, key=key)
    assert a.status == 201, a
    a = w.rest("POST", f"/devices/{name}/enrol", {
        "csr": base64.b64encode(csr.read_bytes()).decode()}, key=key)
    assert a.status == 200, a


def by_token(w, name):
    a = w.enrol_basic(w.token(name, door="bearer"), w.key_and_csr(name)[1])
    assert a.status == 200, a


USES = {"Only provisioning": by_rest, "Only remote init": by_token,
        "Only the CA": by_rest}


@pytest.mark.parametrize("part", SETTINGS)
def test_what_is_left_does_not_miss_the_rest(world, part):
    on = begin(world, SETTINGS[part])
    assert {r for r in ROLES if bound(getattr(world, r))} == on
    USES[part](world, f"MO-{len(part)}")
    told = world.rest("GET", "/status").json["listeners"]
    assert set(told) & set(ROLES) == on, told
    text = world.ask(world.https(world.operators), "GET", "/metrics", None, {
        "Authorization": f"Bearer {world.admin_key}"}).text
    assert {r for r in ROLES if f'listener="{r}"' in text} == on
    if "devices" not in on:  # ... nor is it answered anywhere else
        assert world.ask(world.https(world.operators), "GET",
                         CACERTS).status == 404
        assert world.get_public(CACERTS).status == 404
    assert world.get_public("/crl/issuing.crl").status == 200


def test_every_configuration_of_the_page_has_a_use():
    assert set(SETTINGS) == set(USES), json.dumps(SETTINGS)
