"""The n-th allocation and the n-th write fail: no crash, no half state.

Runs the plain build (an interposed malloc and a sanitizer do not mix).
"""
import json
import os
import pathlib
import re
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PLAIN = pathlib.Path(os.environ.get("MINTMARK_PLAIN", ROOT / "build/test"))
EXITS = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 70}
STEP = int(os.environ.get("NTH_STEP", "0"))  # 0: spread over some dozens


@pytest.fixture(scope="module")
def world():
    import world as w
    saved = (w.BUILD, w.MINT, w.DAEMON, w.SIGNER, w.AGENT)
    w.MINT = PLAIN / "src/cli/mintmark"
    w.DAEMON = PLAIN / "src/server/mintmarkd"
    w.SIGNER = PLAIN / "src/signer/mintmark-signer"
    w.AGENT = PLAIN / "src/agent/mintmark-agent"
    it = w.World(profile="\tbearer = true")
    try:
        yield it.start().product()
    finally:
        it.close()
        (w.BUILD, w.MINT, w.DAEMON, w.SIGNER, w.AGENT) = saved


def once(shim, tmp_path, kind, n, argv):
    """Exit status and whether the fault happened."""
    said = tmp_path / "said"
    said.unlink(missing_ok=True)
    p = subprocess.run([str(a) for a in argv], capture_output=True, text=True,
                       timeout=60, env={**os.environ, "LD_PRELOAD": str(shim),
                                        kind: str(n), "FAIL_SAY": str(said)})
    assert p.returncode in EXITS, (kind, n, p.returncode, p.stderr[-800:])
    if p.returncode != 0:
        assert (p.stdout + p.stderr).strip(), f"{kind}={n}: failed without a word"
    return p.returncode, said.exists()


def rounds(shim, tmp_path, kind, make_argv, limit=4000, spread=60):
    """All n until a run in which nothing failed; returns how many there are."""
    low, high = 1, limit
    while low < high:  # the number of calls a clean run makes
        mid = (low + high) // 2
        if once(shim, tmp_path, kind, mid, make_argv())[1]:
            low = mid + 1
        else:
            high = mid
    total = low - 1
    step = STEP or max(1, total // spread)
    for n in range(1, total + 1, step):
        once(shim, tmp_path, kind, n, make_argv())
    return total


@pytest.mark.parametrize("kind", ["FAIL_ALLOC", "FAIL_WRITE"])
def test_the_agent(world, shim, tmp_path, kind):
    """Whatever failed, the next run ends with exactly one certificate."""
    name = f"N-{kind[5:]}"
    t = world.token(name)
    file = tmp_path / "token"
    argv = [PLAIN / "src/agent/mintmark-agent", "--json", "enrol",
            "--token-file", file, "--server", f"127.0.0.1:{world.devices}",
            "--dir", tmp_path / "d", "--retry", "0", "--keep-token"]

    def fresh():
        file.write_text(t["token"])
        return argv
    # the first enrolment itself under faults, then every later run
    for n in range(1, 40, 3):
        once(shim, tmp_path, kind, n, fresh())
    p = subprocess.run([str(a) for a in fresh()], capture_output=True,
                       text=True, timeout=60)
    assert p.returncode == 0, p.stderr
    certs = world.rest("GET", f"/certificates?device={name}").json["items"]
    assert [c["serial"] for c in certs] == [json.loads(p.stdout)["serial"]]


@pytest.mark.parametrize("what", ["verify-receipt", "man", "token"])
def test_the_command_line(world, shim, tmp_path, what):
    receipt, key = tmp_path / "r", tmp_path / "k"
    t = world.token(f"NC-{what}", door="bearer")
    assert world.enrol_basic(
        t, world.key_and_csr(f"NC-{what}")[1]).status == 200
    world.cli("device", "receipt", f"NC-{what}", "--out", receipt)
    key.write_text(world.cli("ledger", "key").stdout)
    mint = PLAIN / "src/cli/mintmark"
    argv = {"verify-receipt": [mint, "ledger", "verify-receipt", receipt,
                               "--key", key],
            "man": [mint, "man"],
            "token": [mint, "--context", world.context, "token", "create",
                      "--device", f"NC-{what}"]}[what]
    assert rounds(shim, tmp_path, "FAIL_ALLOC", lambda: argv) > 0


def test_verify_stops_at_what_it_cannot_read(shim, tmp_path):
    """A disk that fails is no falsified ledger, and is read no further."""
    kept = ROOT / "test/vectors/ledger/0.1.0/one"
    argv = [str(a) for a in (
        PLAIN / "src/cli/mintmark", "ledger", "verify", kept / "export",
        "--key", json.loads((kept / "contents.json").read_text())["key"])]
    said, failed = tmp_path / "said", set()
    for n in range(1, 100):
        said.unlink(missing_ok=True)
        p = subprocess.run(argv, capture_output=True, text=True, timeout=60,
                           env={**os.environ, "LD_PRELOAD": str(shim),
                                "FAIL_READ": str(n), "FAIL_SAY": str(said)})
        if not said.exists():
            break
        assert p.returncode == 1 and p.stdout == "", (n, p)
        assert "Input/output error" in p.stderr, (n, p)
        assert "by accident" not in p.stderr, p
        path = re.search(r"export/(\S+):", p.stderr)[1]
        # only what the bundles before it are compared with
        before = re.fullmatch(r"tile/entries/(\d+)(\.p/\d+)?", path)
        most = 2 * int(before[1]) if before else 0
        assert len(said.read_text()) <= most, (path, "read on")
        failed.add(path)
    assert p.returncode == 0 and "verified:" in p.stdout, p
    assert {"checkpoint", "tile/entries/000", "tile/entries/001",
            "tile/0/000", "tile/0/001"} < failed


def test_the_signers_init(world, shim, tmp_path):
    """Every write of a set-up: it fails with words, or it is whole."""
    count = iter(range(10**6))

    def argv():
        d = tmp_path / f"s{next(count)}"
        return [PLAIN / "src/cli/mintmark", "init", "--test", "--yes",
                "--name", "N", "--dir", d / "e", "--state", d / "s",
                "--passphrase-file", world.passphrase]
    assert rounds(shim, tmp_path, "FAIL_WRITE", argv, limit=200,
                  spread=25) > 3
