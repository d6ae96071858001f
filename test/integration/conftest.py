import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import world as worlds  # noqa: E402
from world import World  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "alone: measures time; nothing may run beside it")


# What takes longest beside others, first: what a worker begins last is short.
LONG = ["nodes", "offline_kill", "openapi", "cli", "postgres", "existing_ca",
        "sync", "matrix", "station_kill", "adopt_kill", "webhooks", "batches",
        "kill", "field", "brokers"]


def pytest_collection_modifyitems(items):
    place = {f"test_{name}": i for i, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONG)))


@pytest.fixture(scope="module", autouse=True)
def file_begins(request):
    with worlds.of_file(request.module):
        yield


@pytest.fixture
def hostile_input(monkeypatch):
    """No command of this test runs as released."""
    monkeypatch.setattr(worlds, "hostile", True)


@pytest.fixture(scope="module")
def world():
    """One running CA for a file's tests: bearer allowed, product thermo."""
    w = World(profile="\tbearer = true\n\tserverkeygen = true")
    try:
        yield w.start().product()
    finally:
        w.close()
