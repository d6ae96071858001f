import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]
import world as worlds  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def file_begins(request):
    with worlds.of_file(request.module, recovers=True):
        yield


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    so = tmp_path_factory.mktemp("shim") / "nth.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-w", "-o", str(so),
                    str(HERE / "nth.c"), "-ldl"], check=True)
    return so
