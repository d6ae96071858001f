import os

import pytest

from http_wire import Server


@pytest.fixture
def serve():
    if "MM_HTTP_FIXTURE" not in os.environ:
        pytest.skip("MM_HTTP_FIXTURE names no fixture server")
    started = []

    def start(**limits):
        started.append(Server(**limits))
        return started[-1]

    yield start
    for s in started:
        assert s.stop() == 0
