import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from world import World  # noqa: E402


@pytest.fixture(scope="module")
def world():
    """One running CA for a file's tests: bearer allowed, product thermo."""
    w = World(profile="\tbearer = true\n\tserverkeygen = true")
    try:
        yield w.start().product()
    finally:
        w.close()
