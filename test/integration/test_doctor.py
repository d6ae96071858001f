"""mintmark doctor: what is wrong, one sentence, and what to do."""
import json
import os
import re
import signal
import time

import pytest

from world import MINT, ROOT, World, faketime, run


def doctor(world, *argv, env=None):
    p = run(MINT, "--json", "--context", world.context, "doctor", *argv,
            check=False, env={**os.environ, **(env or {})})
    assert p.stdout, p.stderr
    return p.returncode, json.loads(p.stdout)


def levels(answer, check):
    return [f["level"] for f in answer["findings"] if f["check"] == check]


def found(answer, check, level):
    return [f for f in answer["findings"]
            if (f["check"], f["level"]) == (check, level)]


@pytest.fixture(scope="module")
def closed(world):
    """The module's world, its passphrase for nobody else to read."""
    world.passphrase.chmod(0o600)
    return world


def test_the_context_beside_the_configuration(closed, tmp_path):
    """Where no other is named; without any, what to give is said."""
    env = {k: v for k, v in os.environ.items() if k != "MINTMARK_CONTEXT"}
    env["HOME"] = str(tmp_path)

    def look(conf, *more):
        p = run(MINT, "--json", *more, "doctor", "--config", conf,
                check=False, env=env)
        return json.loads(p.stdout)

    a = look(closed.conf)
    assert "server" in {f["where"] for f in a["findings"]}
    assert found(a, "server", "fail") == []
    conf = tmp_path / "mintmark.conf"
    conf.write_text(closed.conf.read_text())
    f, = found(look(conf), "server", "fail")
    assert f["what"] == "which server?" and "--context FILE" in f["do"]
    f, = found(look(closed.conf, "--context", tmp_path / "none"), "server",
               "fail")
    assert "none" in f["what"] and "running" not in f["do"]


def test_a_test_ca_has_warnings_and_no_failure(closed):
    status, a = doctor(closed, "--config", closed.conf, "--deep")
    assert status == 1 and a["worst"] == "warn"
    bad = {(f["check"], f["level"]) for f in a["findings"]
           if f["level"] != "ok"}
    assert bad - {("sandbox", "warn")} == {("mode", "warn"),
                                           ("users", "warn"),
                                           ("urls", "warn")}
    for f in a["findings"]:
        assert f["where"] in ("server", "client", "here")
        assert f["what"] and not f["what"].endswith(".")
        assert ("do" in f) == (f["level"] != "ok"), f


def test_every_check_of_the_reference_is_made(closed):
    page = (ROOT / "docs/reference/doctor.md").read_text()
    table = set(re.findall(r"^\| `(\w+)` \|", page, re.M))
    _, a = doctor(closed, "--config", closed.conf)
    assert {f["check"] for f in a["findings"]} == table


def test_for_people(closed):
    p = closed.cli("doctor", check=False)
    assert p.returncode == 1
    assert re.search(r"^WARN  mode +test mode: .*\n +-> For real", p.stdout,
                     re.M)
    assert "OK  " not in p.stdout
    assert re.search(r"\d+ checked: 0 FAIL, \d WARN, \d+ OK", p.stdout)
    assert re.search(r"^OK    server ", closed.cli(
        "doctor", "--verbose", check=False).stdout, re.M)


@pytest.mark.parametrize("role, status", [
    ("support", 200), ("operator", 200), ("line", 403), ("auditor", 403)])
def test_who_may_ask(world, role, status):
    key = world.rest("POST", "/keys", {"name": "d", "roles": [role]}
                     ).json["key"]
    assert world.rest("GET", "/doctor", key=key).status == status


def test_others_can_read_the_passphrase():
    with World() as w:
        w.passphrase.chmod(0o644)
        w.start()
        status, a = doctor(w)
        assert status == 2
        assert "passphrase_file" in found(a, "files", "fail")[0]["what"]
        w.passphrase.chmod(0o600)
        w.conf.chmod(0o666)
        status, a = doctor(w)
        assert status == 2
        assert "others may write" in found(a, "files", "fail")[0]["what"]


def test_without_the_server():
    """What this machine's files say is said all the same."""
    with World() as w:
        w.passphrase.chmod(0o600)
        status, a = doctor(w)
        assert status == 2 and [f["check"] for f in a["findings"]] == \
            ["server"]
        status, a = doctor(w, "--config", w.conf, "--deep")
        assert status == 2 and a["worst"] == "fail"
        assert levels(a, "server") == ["fail"]
        assert levels(a, "database") == ["ok"]
        assert levels(a, "certificates") == ["ok"] * 3
        assert len(levels(a, "disk")) >= 2
        w.start()  # looking has left nothing that is in its way
        status, a = doctor(w, "--config", w.conf)
        assert status == 1


def test_a_damaged_database():
    with World() as w:
        w.start().product()
        for i in range(30):
            w.token(f"D-{i}")
        w.stop()
        db = w.state / "server/mintmark.db"
        data = bytearray(db.read_bytes())
        for page in range(5, len(data) // 8192):
            data[page * 8192 + 16:page * 8192 + 200] = b"\xff" * 184
        db.write_bytes(data)
        status, a = doctor(w, "--config", w.conf, "--deep")
        assert status == 2
        assert found(a, "database", "fail"), a


def test_a_configuration_that_is_none():
    with World() as w:
        w.conf.write_text("nonsense {\n")
        status, a = doctor(w, "--config", w.conf)
        assert status == 2 and found(a, "files", "fail")[0]["where"] == "here"


def test_clocks_and_lists_from_elsewhere(closed):
    """A machine two days ahead sees the difference, and an ended CRL."""
    status, a = doctor(closed, env=faketime("+2d"))
    assert status == 2
    clock = found(a, "clock", "fail")
    assert len(clock) == 1 and clock[0]["where"] == "client"
    assert re.search(r"by -17[23]\d{6} ms", clock[0]["what"])
    assert "has ended" in found(a, "public", "fail")[0]["what"]
    status, a = doctor(closed, env=faketime("+20s"))
    assert status == 1 and len(found(a, "clock", "warn")) == 1


def test_a_public_url_that_nobody_reaches():
    with World() as w:
        port = w.public
        text = w.conf.read_text()
        w.conf.write_text(text.replace(
            f'public_url = "http://localhost:{port}"',
            'public_url = "http://localhost:1"'))
        assert w.conf.read_text() != text
        w.start()
        _, a = doctor(w)
        assert len(found(a, "public", "fail")) == 2


@pytest.mark.parametrize("later, level", [("+370d", "warn"),
                                          ("+395d", "fail")])
def test_a_certificate_that_ends(later, level):
    with World() as w:
        w.start(env=faketime(later))
        a = w.rest("GET", "/doctor").json
        bad = found(a, "certificates", level)
        assert len(bad) == 1 and bad[0]["what"].startswith("TLS certificate")
        assert "renew-tls" in bad[0]["do"]


def test_a_key_that_ends(world):
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(
        time.time() + 86400))
    made = world.rest("POST", "/keys", {"name": "soon-over", "roles":
                                        ["line"], "expires": end}).json
    bad = found(world.rest("GET", "/doctor").json, "keys", "warn")
    assert [made["id"] in f["what"] for f in bad] == [True]
    world.rest("POST", f"/keys/{made['id']}/revoke", {})
    assert not found(world.rest("GET", "/doctor").json, "keys", "warn")


def test_the_last_administrator():
    """Who is limited, or has broken the glass, is none."""
    with World() as w:
        w.start().product()
        first = w.rest("GET", "/whoami").json["id"]
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(
            time.time() + 20 * 86400))
        key = w.rest("POST", "/keys", {"name": "second", "roles": ["admin"],
                                       "expires": end}).json["key"]
        w.rest("POST", "/keys", {"name": "limited", "roles": ["admin"],
                                 "products": ["sensor"]})
        assert not found(w.rest("GET", "/doctor", key=key).json, "keys",
                         "warn")
        assert w.rest("POST", f"/keys/{first}/revoke", {},
                      key=key).status == 200
        bad = found(w.rest("GET", "/doctor", key=key).json, "keys", "warn")
        assert [f["what"] for f in bad] == [
            "the last administrator's credential ends in 19 days"]


def test_a_ceiling():
    with World(profile="\tbearer = true\n\tper_day = 5") as w:
        w.start().product()
        for i in range(5):
            assert w.enrol_basic(w.token(f"C-{i}", door="bearer"),
                                 w.key_and_csr(f"C-{i}")[1]).status == 200
        end = time.monotonic() + 20
        while time.monotonic() < end:
            bad = found(w.rest("GET", "/doctor").json, "signer", "fail")
            if bad:
                break
            time.sleep(0.1)
        assert "profile thermo has used 100 %" in bad[0]["what"]


def wait_for(world, check, level, seconds=40):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        bad = found(world.rest("GET", "/doctor").json, check, level)
        if bad:
            return bad
        time.sleep(0.2)
    raise AssertionError(world.rest("GET", "/doctor").json)


def test_a_signer_that_hangs_and_one_that_keeps_ending():
    with World() as w:
        w.start()
        signer = w.children()["signer"]
        os.kill(signer, signal.SIGSTOP)
        try:
            assert wait_for(w, "signer", "fail")
            text = w.rest("GET", "/metrics", base="").text
            assert "\nmintmark_signer_up 0\n" in text
        finally:
            os.kill(signer, signal.SIGKILL)
        for _ in range(4):
            end = time.monotonic() + 30
            while time.monotonic() < end:
                pid = w.children().get("signer")
                if pid is not None and pid != signer and \
                        w.get_public("/readyz").status == 200:
                    break
                time.sleep(0.05)
            signer = pid
            os.kill(signer, signal.SIGKILL)
        bad = wait_for(w, "signer", "warn")
        assert any("was started" in f["what"] for f in bad)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_production_ca_is_well():
    """Two users, names that devices follow: nothing to complain about."""
    with World(users=("nobody", "games"), production=True) as w:
        w.passphrase.chmod(0o600)
        # init wants a name of the world's; this one leads to this machine
        w.set_conf("public_url", f'"http://mint.localhost:{w.public}"')
        w.start().product()
        status, a = doctor(w, "--config", w.conf, "--deep")
        bad = [f for f in a["findings"] if f["level"] != "ok"
               and f["check"] != "sandbox"]
        assert bad == []
        assert status == (1 if found(a, "sandbox", "warn") else 0)
