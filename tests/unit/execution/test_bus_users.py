"""Users of the bus, on a real server: each does its own work and nothing of the others', a stranger nothing at all."""

import json
import socket
import stat
import subprocess
import time

import psutil
import pytest
from valkey import Valkey
from valkey.exceptions import AuthenticationError, NoPermissionError

from sapphire.domain.errors import NotReady, Refused
from sapphire.execution.bus_server import bus_command
from sapphire.execution.bus_users import BENTO, CONDUCTOR, NOTICES, SERVICE, BusUsers
from sapphire.serving.ports import free_port
from sapphire.telemetry.bus import Bus
from sapphire.telemetry.streams import (
    ACCOUNT,
    BARS,
    COLLECTOR,
    COORDINATOR,
    DEAD_LETTERS,
    EXECUTIONS,
    HEARTBEATS,
    LOCKSTEP,
    SETTLED,
    SIGNALS,
    VIEWS,
    EntryId,
)

STREAMS = (LOCKSTEP, SETTLED, ACCOUNT, BARS, VIEWS, SIGNALS, EXECUTIONS, HEARTBEATS, DEAD_LETTERS)
WRITES = {
    CONDUCTOR: {LOCKSTEP, HEARTBEATS},
    COLLECTOR: {BARS, HEARTBEATS, DEAD_LETTERS},
    COORDINATOR: {VIEWS, SIGNALS, HEARTBEATS, DEAD_LETTERS},
    SERVICE: {SIGNALS, SETTLED, ACCOUNT, EXECUTIONS, HEARTBEATS, DEAD_LETTERS},
    BENTO: set(),
    NOTICES: set(),
}
RING = "bars:v1:embedded:BTC/USDT:5m"


@pytest.fixture(scope="module")
def bus(tmp_path_factory):
    """The users and the address of a bus that a stack would start."""
    folder, port = tmp_path_factory.mktemp("run") / "bus", free_port()
    users, url = BusUsers.keep(folder), f"valkey://127.0.0.1:{port}/0"
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(bus_command(port, folder), stdout=log, stderr=log)
    try:
        asking, until = Bus(users.url(CONDUCTOR, url), patience_s=0.5), time.monotonic() + 20.0
        while not asking.answers():
            assert time.monotonic() < until, (folder / "log").read_text()
            time.sleep(0.05)
        yield users, url
    finally:
        server.terminate()
        server.wait()


def test_it_is_reached_from_elsewhere_where_it_is_bound_so_and_lets_nobody_in_without_a_password(tmp_path):
    port = free_port(bind="::")
    users = BusUsers.keep(tmp_path)
    own = [
        address.address.partition("%")[0]
        for interface in psutil.net_if_addrs().values()
        for address in interface
        if address.family in (socket.AF_INET, socket.AF_INET6) and not address.address.startswith("fe80")
    ]
    assert "127.0.0.1" in own
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(bus_command(port, tmp_path, bind="::"), stdout=log, stderr=log)
    try:
        for address in own:
            url = f"valkey://[{address}]:{port}/0" if ":" in address else f"valkey://{address}:{port}/0"
            asking, until = Bus(users.url(CONDUCTOR, url), patience_s=0.5), time.monotonic() + 20.0
            while not asking.answers():
                assert time.monotonic() < until, (tmp_path / "log").read_text()
                time.sleep(0.05)
            with pytest.raises(AuthenticationError):
                Valkey.from_url(url).ping()
    finally:
        server.terminate()
        server.wait()


@pytest.mark.parametrize("user", WRITES)
def test_a_part_writes_its_own_streams_and_no_others(bus, user):
    users, url = bus
    client = Valkey.from_url(users.url(user, url))
    written = set()
    for stream in STREAMS:
        try:
            client.xadd(stream, {b"m": b"{}"})
        except NoPermissionError:
            continue
        written.add(stream)
    assert written == WRITES[user]


@pytest.mark.parametrize("user", WRITES)
def test_the_cache_of_bars_is_written_by_the_collector_alone(bus, user):
    users, url = bus
    client = Valkey.from_url(users.url(user, url))
    if user == COLLECTOR:
        assert client.set(RING, b"ring")
        assert client.setrange(RING, 0, b"RING") == 4
    else:
        with pytest.raises(NoPermissionError):
            client.set(RING, b"mine")


@pytest.mark.parametrize("user", [COLLECTOR, COORDINATOR, BENTO, CONDUCTOR])
def test_the_cache_is_read_by_those_who_decide_on_it(bus, user):
    users, url = bus
    Valkey.from_url(users.url(COLLECTOR, url)).set(RING, b"ring")
    assert Valkey.from_url(users.url(user, url)).mget([RING]) == [b"ring"]


@pytest.mark.parametrize("user", WRITES)
@pytest.mark.parametrize("command", ["FLUSHALL", "CONFIG GET *", "ACL LIST", "KEYS *", "SHUTDOWN"])
def test_nobody_commands_the_server(bus, user, command):
    users, url = bus
    with pytest.raises(NoPermissionError):
        Valkey.from_url(users.url(user, url)).execute_command(*command.split())


def test_the_engine_takes_out_of_signals_and_of_nothing_else(bus):
    users, url = bus
    client = Valkey.from_url(users.url(SERVICE, url))
    client.eval("redis.call('DEL', KEYS[1])", 1, SIGNALS)
    for stream in (BARS, VIEWS, LOCKSTEP):
        with pytest.raises(Exception, match=r"(?i)permission|ACL"):
            client.eval("redis.call('DEL', KEYS[1])", 1, stream)


def test_a_stranger_is_not_let_in(bus):
    users, url = bus
    with pytest.raises(AuthenticationError):
        Valkey.from_url(url).xadd(SIGNALS, {b"m": b"{}"})
    for address in (url, users.url(COLLECTOR, url).replace(users.passwords[COLLECTOR], "f" * 64)):
        with pytest.raises(Refused, match=r"the bus at .* refuses") as refused:
            Bus(address).last(BARS)  # for ever, if it were taken for a lost connection
        assert "f" * 64 not in str(refused.value)
    with pytest.raises(Refused, match=r"the bus at .* refuses bento"):
        Bus(users.url(BENTO, url)).last(SIGNALS)
    with pytest.raises(NotReady):
        Bus(f"valkey://127.0.0.1:{free_port()}/0", patience_s=0.1).read(BARS, EntryId.BEGIN)


def test_passwords_are_kept_and_are_their_owner_s_alone(tmp_path):
    first = BusUsers.keep(tmp_path)
    assert BusUsers.keep(tmp_path) == first, "parts that run know the ones of before"
    files = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    assert files == {"passwords.json": 0o600, "users.acl": 0o600}
    acl = (tmp_path / "users.acl").read_text()
    assert not any(password in acl + repr(first) for password in first.passwords.values())
    assert len(set(first.passwords.values())) == len(WRITES)
    assert json.loads((tmp_path / "passwords.json").read_text()) == first.passwords
