"""A station's files are there after a power cut: the name of one that is new
is on the disk before anything rests on what is in it."""
import os
import shutil
import subprocess

import pytest

from offline import Offline, stopped_centre

pytestmark = pytest.mark.skipif(shutil.which("strace") is None,
                                reason="needs strace")


@pytest.fixture(scope="module")
def centre():
    with stopped_centre() as c:
        yield c


def calls(path, *argv):
    """Of the station program, not of its signer."""
    p = subprocess.run(
        ["strace", "-y", "-e", "trace=openat,fsync,fdatasync", "-o", path,
         *map(str, argv)], capture_output=True, text=True, timeout=120,
        # who looks for leaks wants to trace, too, and one alone can
        env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
    assert p.returncode == 0, p.stdout + p.stderr
    return path.read_text().splitlines()


def test_new_names_are_on_the_disk_first(centre, tmp_path):
    s = Offline(centre, tmp_path / "station", "power-1")
    state = s.dir / "state"
    try:
        s.takes()
        s.plug()
        seen = calls(tmp_path / "trace", *s.argv(
            "provision", "--serial", "SN-01", "--fixture", "f1"))
        for name in ("journal", "ledger", "proofs"):
            made = next(i for i, x in enumerate(seen) if "O_CREAT" in x and
                        f'"{state}/{name}"' in x)
            named = next(i for i, x in enumerate(seen[made:]) if
                         x.startswith("fsync(") and f"<{state}>" in x)
            written = next(i for i, x in enumerate(seen[made:]) if
                           "sync(" in x and f"<{state}/{name}>" in x)
            assert named < written, (name, seen[made:made + 9])
    finally:
        s.close()
