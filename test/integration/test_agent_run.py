"""mintmark-agent run: the agent as a service, against the real server."""
import datetime
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess

import pytest

from agent_service import Service, hook, lines
from test_agent import identity, token_file
from world import AGENT, World, run, sanitized, until

UNIT = pathlib.Path(__file__).parents[2] / "etc/systemd/mintmark-agent.service"


@pytest.fixture(scope="module")
def world():
    with World(profile="\tbearer = true") as w:
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
    # once is enough, whoever starts again
    with Service(world, "RUN-1", token=False, on_renewed=hook(told)) as s:
        s.good()
        assert len(lines(told)) == 1 and s.stop(signal.SIGINT) == 0


def test_it_is_small(world):
    """What waits is under 4 MiB; most of it are pages that it shares."""
    if sanitized():
        pytest.skip("a sanitizer's memory is in it")
    with Service(world, "RUN-small") as s:
        s.good()
        text = pathlib.Path(f"/proc/{s.p.pid}/status").read_text()
        kib = {k: int(v.split()[0]) for k, v in (
            x.split(":") for x in text.splitlines()) if k.startswith("Vm")}
        print("resident", kib["VmRSS"], "at most", kib["VmHWM"], "KiB")
        assert kib["VmRSS"] < 4096, kib


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
                    mute.getsockname()[1], timeout="60s", visit="2s") as s:
        got = s.reaches(lambda x: x.get("failures", 0) >= 1)
        assert got["failure"]["detail"] == "the visit took too long"
        assert s.stop() == 0


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
