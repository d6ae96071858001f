"""What of the tests runs sanitized: world.py's repetitions."""
import subprocess
import types

import pytest

import world as worlds
from world import AGENT, BUILD, MINT, ROOT, STATION, ended

PLAIN = BUILD / "released"


@pytest.fixture(autouse=True)
def two_builds(monkeypatch):
    monkeypatch.setattr(worlds, "PLAIN", PLAIN)
    monkeypatch.setattr(worlds, "hostile", False)
    monkeypatch.setattr(worlds, "released", False)
    monkeypatch.setattr(worlds, "ran", set())


def sanitized(program, *words):
    return worlds.again([program, *words])[0] == str(program)


def test_what_comes_again_runs_as_released():
    assert sanitized(STATION, "provision", "--serial", "SN-1")
    assert not sanitized(STATION, "provision", "--serial", "SN-2")
    assert sanitized(STATION, "provision", "--json", "--serial", "SN-2")
    assert worlds.again([STATION, "provision", "--serial", "SN-3"])[0] == \
        str(PLAIN / STATION.relative_to(BUILD))
    assert sanitized(MINT, "init") and sanitized(MINT, "init")


@pytest.mark.parametrize("program, status, env, forgotten", [
    (STATION, 0, None, False), (STATION, -9, None, True),
    (STATION, 20, None, True), (AGENT, 1, None, True),
    (STATION, 0, {"MINTMARK_DIE_AT": "row:1"}, True),
    (MINT, 3, None, False), (MINT, -6, None, True)])
def test_what_recovers_runs_sanitized(program, status, env, forgotten):
    for words in (("run",), ("import", "--order", "o.json")):
        assert sanitized(program, *words) and not sanitized(program, *words)
    ended(program, status, env)
    for words in (("run",), ("import", "--order", "o.json")):
        assert sanitized(program, *words) == forgotten
        assert not sanitized(program, *words)


def test_what_reads_made_up_things_runs_sanitized(hostile_input):
    assert sanitized(STATION, "run") and sanitized(STATION, "run")


def test_a_file_is_sanitized_in_one_part_of_three(monkeypatch):
    """And there alone; what breaks things in each of them."""
    def of(name, **kw):
        module = types.SimpleNamespace(__name__=name, **kw)
        with worlds.of_file(module, recovers=name == "test_kill"):
            return worlds.released

    names = [p.stem for p in (ROOT / "test/integration").glob("test_*.py")]
    parts = []
    for i in range(3):
        monkeypatch.setattr(worlds, "PART", (i, 3))
        parts.append({n for n in names if not of(n)})
        assert not of("test_x", HOSTILE=True) and not of("test_kill")
        assert not of("test_x", FAULTS=True)
        assert len(parts[i]) > len(names) / 5
    assert sorted(n for part in parts for n in part) == sorted(names)
    monkeypatch.setattr(worlds, "PART", None)
    assert not any(of(n) for n in names)


def test_a_released_file_runs_what_is_released(monkeypatch):
    monkeypatch.setattr(worlds, "released", True)
    assert not sanitized(STATION, "run")
    assert sanitized(MINT, "init")


def test_a_command_that_fails_is_noticed(monkeypatch):
    """By whatever starts it."""
    told = []
    monkeypatch.setattr(worlds, "ended", lambda *a: told.append(a[:2]))
    monkeypatch.setattr(subprocess, "run", lambda *a, **kw:
                        subprocess.CompletedProcess(a, 7, "", ""))
    worlds.run(STATION, "import", check=False)
    assert told == [(STATION, 7)]
