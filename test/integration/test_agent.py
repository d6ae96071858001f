"""mintmark-agent against the server: first enrolment, renewal, accidents."""
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from world import AGENT, faketime, run, x509

LEAKS = True


def token_file(world, name, **more):
    t = world.token(name, **more)
    path = world.dir / f"{name}.token"
    path.write_text(t["token"] + "\n")
    os.chmod(path, 0o600)
    return path


def enrol(world, name, *more, check=True, **kw):
    d = world.dir / f"agent-{name}"
    t = kw.pop("token", None) or token_file(world, name)
    p = run(AGENT, "--json", "enrol", "--token-file", t, "--server",
            f"127.0.0.1:{world.devices}", "--dir", d, *more, check=check, **kw)
    return d, t, p


def identity(d):
    current = (d / "current").resolve()
    return current / "cert.pem", current / "key.pem"


@pytest.mark.parametrize("tls", [[], ["--tls", "1.2"]])
def test_enrol_confirm_and_erase(world, tls):
    name = "AG-" + ("12" if tls else "13")
    d, t, p = enrol(world, name, *tls)
    out = json.loads(p.stdout)
    assert out["device"] == name and out["confirmed"] is True
    assert not t.exists(), "the token is erased when it is spent"
    assert f"CN = {name}" in x509(identity(d)[0], "-subject").replace(
        "CN=", "CN = ")
    for f in d.rglob("*.pem"):
        if f.name == "key.pem":
            assert f.stat().st_mode & 0o077 == 0, f
    c = world.rest("GET", f"/certificates/{out['serial']}").json
    assert c["state"] == "confirmed" and c["key_origin"] == "device"


def test_a_key_of_an_earlier_try_is_kept_and_named(world):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = closed.getsockname()[1]
    d = world.dir / "agent-AG-kept"
    t = token_file(world, "AG-kept")
    p = run(AGENT, "enrol", "--token-file", t, "--dir", d, "--retry", "0",
            "--server", f"127.0.0.1:{nobody}", check=False)
    assert p.returncode == 7 and "note:" not in p.stderr, p
    key = (d / "a/key.pem").read_bytes()
    _, _, p = enrol(world, "AG-kept", "--key-type", "p384", token=t)
    assert "--key-type p384 is not used" in p.stderr and "p256" in p.stderr, p
    assert json.loads(p.stdout)["confirmed"]
    assert identity(d)[1].read_bytes() == key
    # a key of the type that is asked for is no surprise
    p = run(AGENT, "renew", "--now", "--keep-key", "--key-type", "p256",
            "--dir", d, check=False)
    assert "note:" not in p.stderr, p
    p = run(AGENT, "renew", "--now", "--keep-key", "--key-type", "rsa2048",
            "--dir", d, check=False)
    assert "--key-type rsa2048 is not used" in p.stderr, p


def test_a_second_run_says_it_is_done(world):
    d, t, p = enrol(world, "AG-2", "--keep-token")
    again = run(AGENT, "--json", "enrol", "--token-file", t, "--server",
                f"127.0.0.1:{world.devices}", "--dir", d)
    assert json.loads(again.stdout)["serial"] == \
        json.loads(p.stdout)["serial"]


def state_of(world, token_path):
    from tokens import parts
    text = token_path.read_text().strip()
    id = parts(json.loads(text)["token"] if text[0] == "{" else text)[0]
    return world.rest("GET", f"/tokens/{id}").json["state"]


def test_a_token_for_another_device_stays_as_it_is(world):
    d, _, p = enrol(world, "AG-x1")
    t = world.dir / "AG-x1b.json"
    t.write_text(json.dumps(world.token("AG-x1b")))
    for more in [], ["--replace"], ["--device", "AG-x1b"]:
        _, _, again = enrol(world, "AG-x1", *more, token=t, check=False)
        out = json.loads(again.stdout)
        assert again.returncode == 10, again
        assert out["token_unspent"] == "other-device"
        assert out["serial"] == json.loads(p.stdout)["serial"]
        assert state_of(world, t) == "minted"
    text = token_file(world, "AG-x1c")  # does not say what it is for
    _, _, again = enrol(world, "AG-x1", token=text, check=False)
    assert again.returncode == 10 and state_of(world, text) == "minted"
    assert json.loads(again.stdout)["token_unspent"] == "identity-good"
    # the server knows, and is told what is to be replaced
    _, _, again = enrol(world, "AG-x1", "--replace", token=text, check=False)
    out = json.loads(again.stdout)
    assert again.returncode == 10, again
    assert out["token_unspent"] == "other-device"
    assert out["serial"] == json.loads(p.stdout)["serial"]
    assert state_of(world, text) == "minted"
    assert run(AGENT, "--json", "status", "--dir", d).returncode == 0
    _, _, own = enrol(world, "AG-x1c", token=text)
    assert json.loads(own.stdout)["device"] == "AG-x1c"


def test_what_a_token_is_to_replace(world):
    """The header by itself, over HTTP Basic."""
    d, _, p = enrol(world, "AG-y1")
    serial = json.loads(p.stdout)["serial"]
    other = world.token("AG-y2", door="bearer")
    _, csr = world.key_and_csr("AG-y2")
    for value, status in (("xyz", 400), (serial + 12 * "1", 400), (serial, 403),
                          ("7" * 32, 200)):
        a = world.enrol_basic(other, csr,
                              headers={"Mintmark-Replaces": value})
        assert a.status == status, (value, a)
    again = world.token("AG-y1", door="bearer")
    _, csr = world.key_and_csr("AG-y1b")
    a = world.enrol_basic(again, csr, headers={"Mintmark-Replaces": serial})
    assert a.status == 200, a


def test_a_new_token_replaces_an_identity_that_was_revoked(world):
    d, _, p = enrol(world, "AG-rev")
    old = json.loads(p.stdout)["serial"]
    a = world.rest("POST", f"/certificates/{old}/revoke",
                   {"reason": "superseded"})
    assert a.status == 200, a
    t = token_file(world, "AG-rev")
    _, _, again = enrol(world, "AG-rev", token=t)
    out = json.loads(again.stdout)
    assert out["serial"] != old and out["confirmed"] is True
    assert out["already"] is False and not t.exists()
    assert {f.parent.name for f in d.glob("?/*.pem")} == {out["slot"]}
    assert run(AGENT, "renew", "--now", "--dir", d).returncode == 0


def test_replace_uses_a_new_token_once(world):
    d, _, p = enrol(world, "AG-rep")
    old = json.loads(p.stdout)["serial"]
    t = token_file(world, "AG-rep")
    keep = t.read_text()
    _, _, again = enrol(world, "AG-rep", token=t, check=False)
    assert again.returncode == 10 and t.exists()
    _, _, again = enrol(world, "AG-rep", "--replace", token=t)
    new = json.loads(again.stdout)["serial"]
    assert new != old and not t.exists()
    # a kill before the erasure; the renewed identity knows the token too
    for renew in False, True:
        if renew:
            new = json.loads(run(AGENT, "--json", "renew", "--now", "--dir",
                                 d).stdout)["serial"]
        t.write_text(keep)
        _, _, again = enrol(world, "AG-rep", "--replace", token=t)
        assert json.loads(again.stdout)["serial"] == new and not t.exists()


def test_status_and_renew(world):
    d, _, p = enrol(world, "AG-3")
    old = json.loads(p.stdout)["serial"]
    key = identity(d)[1].read_bytes()
    out = json.loads(run(AGENT, "--json", "renew", "--now", "--dir", d).stdout)
    assert out["serial"] != old and out["confirmed"] is True
    assert identity(d)[1].read_bytes() != key
    st = json.loads(run(AGENT, "--json", "status", "--dir", d).stdout)
    assert st["serial"] == out["serial"]
    assert world.rest("GET", f"/certificates/{old}").json["state"] == \
        "superseded"


def test_renewal_waits_for_its_time(world):
    d, _, p = enrol(world, "AG-due")
    out = json.loads(p.stdout)
    again = run(AGENT, "--json", "renew", "--dir", d, check=False)
    assert again.returncode == 9, again
    told = json.loads(again.stdout)
    assert told["renewed"] is False and told["serial"] == out["serial"]
    assert out["not_before"] < told["renew_at"] < out["not_after"]
    # the same whoever asks, and another share of life another time
    st = run(AGENT, "--json", "status", "--dir", d)
    assert json.loads(st.stdout)["renew_at"] == told["renew_at"]
    st = run(AGENT, "--json", "status", "--dir", d, "--renew-percent", "20")
    assert json.loads(st.stdout)["renew_at"] < told["renew_at"]
    text = run(AGENT, "renew", "--dir", d, check=False).stdout
    assert f"renew at   {told['renew_at'][:10]}" in text and "--now" in text
    assert not (d / "b/key.pem").exists()


def test_only_the_key_in_use_stays(world):
    d, _, _ = enrol(world, "AG-one")
    for slot in ["b", "a", "b"]:
        out = json.loads(run(AGENT, "--json", "renew", "--now", "--dir",
                             d).stdout)
        assert out["renewed"] is True and out["slot"] == slot
        assert {f.parent.name for f in d.glob("?/*.pem")} == {slot}
        assert not [f for f in d.rglob("*") if f.name.endswith(".new")]


@pytest.mark.parametrize("when, clock, status", [
    ("-50y", "auto", 9),     # the server says that it is not time
    ("+60y", "server", 9),
    ("+60y", "auto", 3),     # the server's certificate is over by our clock
])
def test_renewal_by_a_wrong_clock(world, when, clock, status):
    name = f"AG-W{when[1:3]}{clock}"
    d, _, _ = enrol(world, name)
    p = run(AGENT, "--json", "renew", "--dir", d, "--clock", clock,
            check=False, env={**os.environ, **faketime(when)})
    assert p.returncode == status, p.stdout + p.stderr
    assert run(AGENT, "status", "--dir", d).returncode == 0


def test_a_token_from_a_pipe_is_read_and_no_name_removed(world, tmp_path):
    t = world.token("AG-pipe")
    link = tmp_path / "stdin"  # what /dev/stdin is
    link.symlink_to("/proc/self/fd/0")
    _, _, p = enrol(world, "AG-pipe", token=link, input=t["token"] + "\r\n")
    assert json.loads(p.stdout)["confirmed"] is True
    assert link.is_symlink()


def test_a_token_by_a_link_is_erased_where_it_is(world, tmp_path):
    t = token_file(world, "AG-link")
    link = tmp_path / "token"
    link.symlink_to(t)
    enrol(world, "AG-link", token=link)
    assert not t.exists()


def test_an_erasure_that_was_interrupted_is_no_malformed_token(world):
    d, t, p = enrol(world, "AG-zero", "--keep-token")
    t.write_bytes(bytes(t.stat().st_size))
    _, _, again = enrol(world, "AG-zero", token=t)
    assert json.loads(again.stdout)["already"] is True
    assert not t.exists()


def test_the_old_identity_works_until_the_new_one_is_proved(world):
    d, _, p = enrol(world, "AG-4")
    cert, key = identity(d)
    csr = world.key_and_csr("AG-4-new", cn="AG-4")[1]
    import base64
    a = world.device_call(
        "POST", "/.well-known/est/simplereenroll",
        base64.b64encode(csr.read_bytes()),
        {"Content-Type": "application/pkcs10"}, cert=cert, key=key)
    assert a.status == 200, a
    a = world.device_call("GET", "/.well-known/mintmark/receipt", cert=cert,
                          key=key)
    assert a.status == 200, "the predecessor must go on working"


@pytest.mark.parametrize("when", ["-50y", "+60y"])
def test_a_wrong_clock_does_not_stop_the_first_enrolment(world, when):
    env = {**os.environ, **faketime(when)}
    name = "AG-C" + when[1:3]
    d, _, p = enrol(world, name, env=env)
    assert json.loads(p.stdout)["confirmed"] is True


def test_a_token_for_another_server_finds_a_wrong_anchor(world):
    t = token_file(world, "AG-5")
    text = t.read_text().strip()
    # the anchor's digits changed, the checksum made right again
    from tokens import base32, to_base32
    import hashlib
    digits = text[4:].replace("-", "")
    i, s = base32(digits[:20], 12), base32(digits[20:52], 20)
    anchor = bytes(10)
    check = hashlib.sha256(b"mintmark token check v1" + i + s + anchor
                           ).digest()
    four = to_base32(check[:3], 5)[:4]
    t.write_text("mm1-" + digits[:52] + to_base32(anchor, 16) + four + "\n")
    d, _, p = enrol(world, "AG-5", token=t, check=False)
    assert p.returncode != 0 and "anchor" in p.stderr + p.stdout
    assert not (d / "current").exists()


def test_a_server_under_another_name_is_told(world):
    """Its address is right and its certificate has it not: 127.1."""
    d = world.dir / "named"
    p = world.agent("enrol", "--token-file", token_file(world, "AG-66"),
                    "--dir", d, "--retry", "0", "--server",
                    f"127.1:{world.devices}", check=False)
    assert p.returncode != 0 and \
        "the server's certificate: hostname mismatch" in p.stderr + p.stdout


def test_a_server_that_only_has_a_certificate_gets_nothing(world, tmp_path):
    """A proxy with a right-looking certificate: refused, token kept."""
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
        "-keyout", tmp_path / "k", "-out", tmp_path / "c")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    srv = subprocess.Popen(
        ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert",
         str(tmp_path / "c"), "-key", str(tmp_path / "k"), "-www"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    try:
        for _ in range(100):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        t = token_file(world, "AG-6")
        p = run(AGENT, "--json", "enrol", "--token-file", t, "--server",
                f"127.0.0.1:{port}", "--dir", tmp_path / "d", "--retry", "0",
                check=False)
        assert p.returncode != 0 and t.exists()
    finally:
        srv.send_signal(signal.SIGTERM)
        srv.wait(10)


def test_it_says_why_it_waits(world, tmp_path):
    """One line for each try that another one follows."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    t = token_file(world, "AG-8")
    argv = [AGENT, "--json", "enrol", "--token-file", t, "--server",
            f"127.0.0.1:{port}", "--dir", tmp_path / "d", "--retry", "1"]
    p = run(*argv, check=False)
    assert p.returncode == 7, p
    said = p.stderr.splitlines()
    assert len(said) == 1 and re.fullmatch(
        r"mintmark-agent: try 1: \S.*; the next in [12] s", said[0]), p
    why = json.loads(p.stdout)["detail"]
    assert why in said[0], (why, said)
    p = run(*argv, "--quiet", check=False)
    assert p.returncode == 7 and p.stderr == "", p


def test_killed_at_any_moment_it_ends_with_one_certificate(world):
    """kill -9 at twenty moments of an enrolment; then one last run."""
    t = token_file(world, "AG-7")
    d = world.dir / "agent-AG-7"
    argv = [str(AGENT), "--json", "enrol", "--token-file", str(t), "--server",
            f"127.0.0.1:{world.devices}", "--dir", str(d), "--keep-token"]
    for i in range(20):
        p = subprocess.Popen(argv, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        killer = threading.Timer(0.003 * i, p.kill)
        killer.start()
        p.wait(30)
        killer.cancel()
    out = json.loads(run(*argv).stdout)
    certs = world.rest("GET", "/certificates?device=AG-7").json["items"]
    assert [c["serial"] for c in certs] == [out["serial"]]


def test_a_refusal_says_its_reason_and_its_sentence(world):
    t = token_file(world, "AG-no")
    id = world.rest("GET", "/tokens?device=AG-no").json["items"][0]["id"]
    assert world.rest("POST", f"/tokens/{id}/cancel").status == 200
    _, _, p = enrol(world, "AG-no", check=False, token=t)
    assert p.returncode == 3, p.stdout + p.stderr
    assert ": token-cancelled: this token was cancelled" in p.stdout + p.stderr


def test_a_token_of_another_device_is_not_installed(world):
    t = token_file(world, "AG-right")
    d, _, p = enrol(world, "AG-right", "--device", "AG-wrong", check=False,
                    token=t)
    assert p.returncode == 3 and '\\"AG-right\\"' in p.stdout, p.stdout
    assert t.exists() and not (d / "current").exists()
    _, _, p = enrol(world, "AG-right", "--device", "AG-right", token=t)
    assert json.loads(p.stdout)["device"] == "AG-right"


@pytest.mark.parametrize("argv, status", [
    (["enrol"], 2), (["nonsense"], 2),
    (["status", "--dir", "/nonexistent"], 4),
    (["enrol", "--token-file", "/nonexistent", "--server", "127.0.0.1:1",
      "--dir", "/tmp/x"], 4),
])
def test_wrong_usage(argv, status):
    assert run(AGENT, *argv, check=False).returncode == status
