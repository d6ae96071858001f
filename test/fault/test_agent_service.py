"""The agent as a service: full and read-only disks, SIGKILL at each write."""
import json
import os
import pathlib

import pytest

from agent_service import Service, hook, lines
from test_disk import Small
from world import AGENT, World, run, until


@pytest.fixture(scope="module")
def world():
    with World(profile="\tbearer = true") as w:
        yield w.start().product()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a mount")
def test_a_full_and_a_read_only_disk(world):
    """Of the folder alone: each time it says so, and goes on by itself."""
    folder = world.dir / "run-RUN-9" / "identity"
    folder.mkdir(parents=True, mode=0o700)
    with Small(folder, 1000) as disk:
        disk.fill()
        with Service(world, "RUN-9", status_file=world.dir / "st-9") as s:
            got = s.reaches(lambda x: x.get("failures", 0) >= 2)
            assert "No space left" in got["failure"]["detail"], got
            assert s.token.exists()
            disk.room()
            serial = s.good()["identity"]["serial"]
            assert not s.token.exists() and s.stop() == 0
        disk.remount("ro")
        told = world.dir / "told-9"
        with Service(world, "RUN-9", token=False, on_renewed=hook(told),
                     status_file=world.dir / "st-9") as s:
            got = s.reaches(lambda x: x.get("state") == "failing")
            assert "Read-only" in got["failure"]["detail"], got
            disk.remount("rw")
            assert s.good()["identity"]["serial"] == serial
            until(lambda: lines(told))
            # what could not be locked on that disk is so by now
            p = run(AGENT, "run", "--config", s.conf, check=False)
            assert p.returncode == 5 and "in use" in p.stderr, p
            assert s.stop() == 0


faulty = pytest.mark.skipif(
    b"MINTMARK_DIE_AT" not in pathlib.Path(AGENT).read_bytes()
    if pathlib.Path(AGENT).exists() else True,
    reason="needs a build with -Dfaults=true")


# The visit's writes; each of their system calls: test/unit/agent.
KILLS = [("status", n) for n in range(1, 7)] + \
    [("told", 1), ("told", 2)] + [("nv", n) for n in range(1, 31, 3)]
# It comes after the words that this waits for, too.
MAY_LIVE = {("status", 6)}


@faulty
def test_killed_at_each_write(world):
    """SIGKILL before and after whatever is written, in the service and in its
    visit; what starts again has one identity, and its hook was told."""
    told, alive = world.dir / "told-11", []
    for place, n in KILLS:
        name = f"RUN-{place}-{n}"
        with Service(world, name, on_renewed=hook(told), env={
                "MINTMARK_DIE_AT": f"{place}:{n}"}) as s:
            until(lambda: s.p.poll() is not None or
                  "killed by signal 9" in s.said() or
                  (s.service().get("hooks") or {}).get("renewed", {}).get(
                      "state") == "done", told=s.said,
                  passing=(json.JSONDecodeError,))
            if s.p.poll() != -9 and "killed by signal 9" not in s.said():
                alive.append((place, n))
        with Service(world, name, token=False, token_file=s.token,
                     on_renewed=hook(told)) as s:
            got = s.good()
            s.reaches(lambda x: x["hooks"]["renewed"]["state"] == "done")
        certs = world.rest(
            "GET", f"/certificates?device={name}").json["items"]
        assert [c["serial"] for c in certs] == [
            got["identity"]["serial"]], (place, n)
    assert set(alive) <= MAY_LIVE, alive
