"""The ledger as Go's golang.org/x/mod/sumdb sees it: an implementation of
transparency logs that shares nothing with ours.  Needs Go and its module in
the local cache (script/setup test); nothing is fetched from here.
"""
import os
import pathlib
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("MINTMARK_BUILD",
                                    HERE.parents[2] / "build/test"))
FIXTURE = BUILD / "test/unit/ledger/ledger_fixture"


def run(*argv, **kw):
    return subprocess.run([str(a) for a in argv], text=True, check=True,
                          capture_output=True, timeout=300, **kw).stdout


@pytest.fixture(scope="module")
def checker(tmp_path_factory):
    if shutil.which("go") is None:
        pytest.skip("no Go on this machine")
    exe = tmp_path_factory.mktemp("go") / "ledgercheck"
    env = dict(os.environ, GOPROXY="off", GOFLAGS="-mod=mod -buildvcs=false")
    built = subprocess.run(["go", "build", "-o", str(exe), "."],
                           cwd=HERE / "check", env=env, text=True, capture_output=True)
    assert built.returncode == 0, built.stderr
    return exe


@pytest.mark.parametrize("size", [1, 2, 3, 255, 256, 257, 512, 1000, 70000])
def test_go_accepts_our_ledger(checker, tmp_path, size):
    run(FIXTURE, "write", tmp_path, size)
    seen = run(checker, tmp_path)
    assert seen.startswith(f"{size} entries, ")
    root = seen.split()[-1]
    assert run(FIXTURE, "verify", tmp_path) == f"go.example/log {size} {root}\n"


def test_go_refuses_a_changed_entry(checker, tmp_path):
    run(FIXTURE, "write", tmp_path, 300)
    bundle = tmp_path / "tile/entries/001.p/44"
    bundle.write_bytes(bundle.read_bytes().replace(b"number 299",
                                                   b"number 298"))
    with pytest.raises(subprocess.CalledProcessError):
        run(checker, tmp_path)
