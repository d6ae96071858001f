"""mintmark-agent run: the agent as a service, against the real server."""
import datetime
import hashlib
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile

import pytest

from agent_service import Service, hook, lines
from test_agent import identity, token_file
from world import (AGENT, ROOT, World, faketime, free_ports, run, sanitized,
                   until)

RSS_KIB = 3072  # what is promised is 4096
OWN_KIB = 1024
UNIT = pathlib.Path(__file__).parents[2] / "etc/systemd/mintmark-agent.service"


LATE = """
profile "graced" {
	issuer = "issuing"
	lifetime = "30m"
	grace = "30d"
}
profile "brief" {
	issuer = "issuing"
	lifetime = "30m"
}
"""


@pytest.fixture(scope="module")
def world():
    with World(profile="\tbearer = true", extra=LATE) as w:
        yield w.start().product()


def test_first_identity_hook_and_words(world):
    told = world.dir / "told-1"
    with Service(world, "RUN-1", on_renewed=hook(told)) as s:
        s.hear("READY=1").hear("STATUS=working").hear("STATUS=waiting")
        until(lambda: lines(told))
        s.reaches(lambda x: x["hooks"]["renewed"]["state"] == "done")
        st = s.status()
        assert st["device"] == "RUN-1" and st["confirmed"] is True
        service = st["service"]
        assert service["state"] == "waiting" and service["failures"] == 0
        assert service["identity"]["serial"] == st["serial"]
        assert service["pid"] == s.p.pid
        # the server's word: its window is not our own reckoning
        window = world.device_call(
            "GET", "/.well-known/mintmark/renewal", cert=identity(s.dir)[0],
            key=identity(s.dir)[1]).json["suggestedWindow"]
        assert window["start"] <= service["identity"]["renew_at"] <= \
            window["end"]
        assert service["next_at"] > service["at"]
        assert not s.token.exists()
        [line] = lines(told)
        assert line["event"] == "renewed" and line["serial"] == st["serial"]
        assert line["key"] == f"{s.dir}/current/key.pem"
        env = pathlib.Path(f"{told}.env").read_text()
        assert "NOTIFY_SOCKET" not in env and "PATH=" in env
        assert "mm1-" not in env + told.read_text() + s.said()
        assert s.stop() == 0
        s.hear("STOPPING=1")
        assert s.service()["state"] == "stopped"
        for wrong in '{"state":}', '{} {}', '{"a":1', "\xff", "[]":
            (s.dir / "status.json").write_text(wrong)
            assert s.status()["service"] is None, wrong
    # once is enough, whoever starts again
    with Service(world, "RUN-1", token=False, on_renewed=hook(told)) as s:
        s.good()
        assert len(lines(told)) == 1 and s.stop(signal.SIGINT) == 0


def wakes_in(pid):
    """Seconds until a timer of that process wakes it."""
    texts = (p.read_text() for p in
             pathlib.Path(f"/proc/{pid}/fdinfo").iterdir())
    return min(int(m[1]) for m in (
        re.search(r"it_value: \((\d+), ", t) for t in texts) if m)


def test_it_is_small(world):
    """What waits is under 4 MiB, shared pages of libraries among them, and of
    its own it has less than one.  And it sleeps until its next visit, a day or
    so later."""
    if sanitized():
        pytest.skip("a sanitizer's memory is in it")
    with Service(world, "RUN-small") as s:
        s.good()
        text = pathlib.Path(f"/proc/{s.p.pid}/smaps_rollup").read_text()
        kib = {k: int(v.split()[0]) for k, v in (
            x.split(":") for x in text.splitlines()[1:])}
        own = kib["Private_Clean"] + kib["Private_Dirty"]
        print("resident", kib["Rss"], "of", RSS_KIB, "KiB, its own", own)
        assert kib["Rss"] < RSS_KIB and own < OWN_KIB, kib
        assert wakes_in(s.p.pid) > 3600


def test_another_identity_is_told(world):
    """Renewed by hand beside the service, which looks at SIGHUP."""
    told = world.dir / "told-2"
    with Service(world, "RUN-2", on_renewed=hook(told)) as s:
        first = s.good()["identity"]["serial"]
        until(lambda: len(lines(told)) == 1)
        run(AGENT, "renew", "--now", "--dir", s.dir)
        s.p.send_signal(signal.SIGHUP)
        until(lambda: len(lines(told)) == 2)
        serials = [x["serial"] for x in lines(told)]
        assert serials[0] == first != serials[1]
        assert s.good()["identity"]["serial"] == serials[1]


def test_a_hook_that_fails_is_told_again(world):
    told, flag = world.dir / "told-3", world.dir / "flag-3"
    with Service(world, "RUN-3", on_renewed=hook(
            told, f"test -e {flag}")) as s:
        got = s.reaches(lambda x: x.get("hooks", {}).get("renewed", {}).get(
            "failures", 0) >= 2)
        assert got["hooks"]["renewed"]["state"] in ("failing", "running")
        assert got["hooks"]["renewed"]["failure"] == "ended with status 1"
        assert got["identity"]["confirmed"], "the identity does not wait"
        flag.touch()
        s.reaches(lambda x: x["hooks"]["renewed"]["state"] == "done")
        assert len(lines(told)) >= 3
        assert 'event=renewed result=failed' in s.said()
        said = run(AGENT, "status", "--config", s.conf).stdout
        assert "\nservice    w" in said and ", next visit 20" in said, said


def test_nobody_there_for_a_while(world):
    """No server, no network: it waits, says so, and then goes on."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = closed.getsockname()[1]
    with Service(world, "RUN-4", server=f"127.0.0.1:{nobody}") as s:
        got = s.reaches(lambda x: x.get("failures", 0) >= 2)
        assert got["state"] in ("failing", "working")
        assert got["failure"]["error"] == "try-later"
        s.hear("STATUS=failing")
        assert s.stop() == 0 and s.token.exists()
    with Service(world, "RUN-4", token=False, token_file=s.token) as s:
        assert s.good()["failures"] == 0


def test_neither_identity_nor_token(world):
    """It waits for a token that somebody brings."""
    late = world.dir / "late.token"
    with Service(world, "RUN-5", token=False, token_file=late) as s:
        got = s.reaches(lambda x: x.get("state") == "no-identity")
        assert got["identity"] is None
        os.rename(token_file(world, "RUN-5"), late)
        assert s.good()["identity"]["device"] == "RUN-5"
        # one that is nonsense does not keep it from anything
        late.write_text("mm1-nonsense\n")
        s.p.send_signal(signal.SIGHUP)
        until(lambda: "event=token" in s.said() or " token " in s.said())
        assert s.good()["failures"] == 0


def test_two_services_and_a_folder_of_others(world):
    with Service(world, "RUN-6") as s:
        s.good()
        p = run(AGENT, "run", "--config", s.conf, check=False)
        assert p.returncode == 5 and "in use" in p.stderr, p
        p = run(AGENT, "--json", "run", "--config", "/nonexistent",
                check=False)
        assert p.returncode in (1, 4) and json.loads(p.stdout)["exit"] == \
            p.returncode
        s.stop()
        os.chmod(s.dir, 0o777)
        p = run(AGENT, "run", "--config", s.conf, check=False)
        assert p.returncode == 3 and "written by others" in p.stderr, p
        s.conf.write_text('on_renewed = { "reload" }\n')
        p = run(AGENT, "run", "--config", s.conf, check=False)
        assert p.returncode == 2 and "absolute path" in p.stderr, p


def test_the_watchdog_is_fed(world):
    with Service(world, "RUN-7", env={"WATCHDOG_USEC": "200000"}) as s:
        s.good()
        s.drain()
        s.told.clear()
        s.hear("WATCHDOG=1")
        # what is meant for another process is not for this one
    with Service(world, "RUN-7", token=False, env={
            "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}) as s:
        s.good()
        s.stop()
        s.hear("STOPPING=1")
        assert not any("WATCHDOG" in t for t in s.told)


def test_a_visit_that_hangs_is_killed(world):
    """A server that takes the connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as mute, \
            Service(world, "RUN-8", server="127.0.0.1:%d" %
                    mute.getsockname()[1], timeout="60s", visit="2s",
                    retry="10m", retry_most="10m") as s:
        mute.settimeout(60)
        with mute.accept()[0]:
            # asked for while it is there: the next one is at once
            s.p.send_signal(signal.SIGHUP)
            got = s.reaches(lambda x: x.get("failures", 0) >= 1)
            assert got["failure"]["detail"] == "the visit took too long"
            mute.accept()[0].close()
        assert s.stop() == 0


def test_a_hook_knows_whom_it_is_told_of(world):
    """A visit that was killed told nothing: what is in use is known still."""
    with Service(world, "RUN-10") as s:
        serial = s.good()["identity"]["serial"]
        assert s.stop() == 0
    told = world.dir / "told-10"
    with socket.create_server(("127.0.0.1", 0)) as mute, \
            Service(world, "RUN-10", env={"NOTIFY_SOCKET": ""}, token=False,
                    spread="1s", visit="1s", timeout="60s",
                    server="127.0.0.1:%d" % mute.getsockname()[1],
                    on_renewed=hook(told, "exit 1")) as s:
        got = s.reaches(lambda x: x.get("failures", 0) >= 1 and x)
        n = len(lines(told))
        assert got["identity"]["serial"] == serial, got
        until(lambda: len(lines(told)) > n + 1, told=s.said)
        assert {(x["device"], x["serial"]) for x in lines(told)} == {
            ("RUN-10", serial)}
        assert s.stop() == 0


BROKER = "/usr/sbin/mosquitto"


def served(port):
    """The serial number of who answers there; None: nobody yet."""
    context = ssl._create_unverified_context()
    try:
        with socket.create_connection(("127.0.0.1", port), 10) as raw, \
                context.wrap_socket(raw) as s:
            der = s.getpeercert(binary_form=True)
    except OSError:
        return None
    return int(run("openssl", "x509", "-noout", "-serial",
                   input=ssl.DER_cert_to_PEM_cert(der)
                   ).stdout.strip().partition("=")[2], 16)


@pytest.mark.skipif(os.geteuid() != 0 or not pathlib.Path(BROKER).exists(),
                    reason="needs root, and Debian's mosquitto")
def test_mosquitto_serves_the_new_one_as_its_own_user(world):
    """By the hook of examples/mosquitto-identity, without a capability."""
    base = pathlib.Path(tempfile.mkdtemp(prefix="mintmark-mosquitto-"))
    base.chmod(0o755)
    to, pid, [port] = base / "device", base / "pid", free_ports(1)
    to.mkdir()
    shutil.chown(to, group="mosquitto")
    to.chmod(0o2750)
    (base / "conf").write_text(
        f"user mosquitto\nlistener {port} 127.0.0.1\n"
        f"allow_anonymous true\ncertfile {to}/cert.pem\n"
        f"keyfile {to}/key.pem\n")
    hook_ = [str(ROOT / "examples/mosquitto-identity/renewed.sh"),
             str(world.dir / "run-RUN-mosquitto/identity"), str(to),
             "/bin/sh", "-c", f"! test -e {pid} || kill -HUP $(cat {pid})"]
    with Service(world, "RUN-mosquitto", on_renewed=hook_) as s:
        s.good()
        s.reaches(lambda x: x["hooks"]["renewed"]["state"] == "done")
        broker = subprocess.Popen([BROKER, "-c", base / "conf"],
                                  stderr=subprocess.DEVNULL)
        try:
            pid.write_text(str(broker.pid))
            old = int(s.status()["serial"], 16)
            until(lambda: served(port) == old)
            assert f"\nUid:\t{pwd.getpwnam('mosquitto').pw_uid}\t" in \
                pathlib.Path(f"/proc/{broker.pid}/status").read_text()
            run(AGENT, "renew", "--now", "--dir", s.dir)
            s.p.send_signal(signal.SIGHUP)
            until(lambda: served(port) not in (None, old), told=s.said)
            assert served(port) == int(s.status()["serial"], 16)
            assert {f.name for f in to.iterdir()} == {"cert.pem", "key.pem"}
            assert (to / "key.pem").stat().st_mode & 0o777 == 0o640
        finally:
            broker.terminate()
            broker.wait(60)
        assert s.stop() == 0
    shutil.rmtree(base)


def test_all_that_an_issuer_issued_is_renewed(world):
    """After an incident: by the server's word, long before its time.  The
    device is one whose place is at the beginning."""
    told = world.dir / "told-pull"
    name = next(n for n in (f"RUN-p{i}" for i in range(9999))
                if hashlib.sha256(n.encode()).digest()[0] < 4)
    with Service(world, name, on_renewed=hook(told)) as s:
        old = s.good()["identity"]
        at = datetime.datetime.now(datetime.timezone.utc) + \
            datetime.timedelta(seconds=1)
        world.stop()
        text = re.sub('renew_before = ""',
                      f'renew_before = "{at:%Y-%m-%dT%H:%M:%SZ}"',
                      world.conf.read_text())
        world.conf.write_text(re.sub('renew_within = .*',
                                     'renew_within = "60s"', text))
        world.start()
        cert, key = identity(s.dir)
        a = world.device_call("GET", "/.well-known/mintmark/renewal",
                              cert=cert, key=key)
        assert a.json["why"] == "pulled", a
        assert a.json["suggestedWindow"]["start"] < old["renew_at"]
        s.p.send_signal(signal.SIGHUP)
        until(lambda: len(lines(told)) == 2, told=s.said)
        new = s.reaches(lambda x: x["identity"]["serial"] != old["serial"])
        cert, key = identity(s.dir)
        a = world.device_call("GET", "/.well-known/mintmark/renewal",
                              cert=cert, key=key)
        assert a.json["why"] == "place", a
        assert a.json["serial"] == new["identity"]["serial"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None,
                    reason="needs systemd-analyze")
def test_the_unit_is_well_formed(tmp_path):
    """systemd reads all of it; what it starts is what there is."""
    text = UNIT.read_text()
    assert "mintmark-agent run --config" in text
    unit = tmp_path / "mintmark-agent.service"
    unit.write_text(text.replace("/usr/bin/mintmark-agent", str(AGENT)))
    p = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)],
                       capture_output=True, text=True, timeout=60)
    wrong = [x for x in (p.stdout + p.stderr).splitlines()
             if "mintmark-agent.service" in x]
    assert not wrong, wrong
    p = subprocess.run(["systemd-analyze", "security", "--offline=true",
                        "--threshold=30", str(unit)],
                       capture_output=True, text=True, timeout=60)
    assert p.returncode == 0, p.stdout[-400:] + p.stderr


def test_one_that_comes_after_its_end(world):
    """Two lay in a drawer until their certificates had ended: the one whose
    profile has a grace renews, the other says why it does not.  The clock of
    the machine is the old one: the server's counts.  Comes last, for time
    does not go back."""
    serials = {}
    for profile in "graced", "brief":
        world.product(profile)
        with Service(world, f"RUN-{profile}", token=False,
                     token_file=token_file(world, f"RUN-{profile}",
                                           product=profile)) as s:
            serials[profile] = s.good()["identity"]["serial"]
            assert s.stop() == 0
    world.stop()
    world.start(env=faketime("+2h"))
    with Service(world, "RUN-brief", token=False) as s:
        cert, key = identity(s.dir)
        a = world.device_call("GET", "/.well-known/mintmark/renewal",
                              cert=cert, key=key)
        assert a.status == 403 and a.json["reason"] == "certificate-expired"
        got = s.reaches(lambda x: x.get("failures", 0) >= 1)
        assert "expired" in got["failure"]["detail"], got
        assert got["identity"]["serial"] == serials["brief"]
        assert s.stop() == 0
    cert, key = identity(world.dir / "run-RUN-graced/identity")
    a = world.device_call("GET", "/.well-known/mintmark/renewal",
                          cert=cert, key=key)
    assert a.status == 200 and a.json["why"] == "last", a
    with Service(world, "RUN-graced", token=False) as s:
        got = s.reaches(lambda x: (x.get("identity") or {}).get(
            "serial", serials["graced"]) != serials["graced"])
        assert got["identity"]["confirmed"] is True, got
        assert s.stop() == 0
