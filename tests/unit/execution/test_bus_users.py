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

from sapphire.domain.errors import NotReady, Refused, ValueRefused
from sapphire.execution.bus_server import bus_command
from sapphire.execution.bus_users import BENTO, CONDUCTOR, NOTICES, SERVICE, BusUsers, user_of
from sapphire.serving.ports import free_port
from sapphire.telemetry.bus import Bus
from sapphire.telemetry.streams import COLLECTOR, COORDINATOR, AccountStreams, EntryId

RELEASE = "ab" * 32
ACCOUNTS = ("paper", "second")
SHARED = AccountStreams("embedded", "paper").shared
BARS = SHARED.bars("5m", ["BTC/USDT"])


def streams_of(account):
    """Every stream that is an account's, by kind."""
    own = AccountStreams("embedded", account)
    return {
        "lockstep": own.lockstep, "settled": own.settled, "states": own.states, "executions": own.executions,
        "signals": own.signals(RELEASE), "views": own.views(RELEASE, "trend"), "dead_letters": own.dead_letters,
    }  # fmt: skip


def written_by(part, account):
    """What a part of an account may write."""
    kinds = {
        COORDINATOR: ("views", "signals", "dead_letters"),
        SERVICE: ("signals", "settled", "states", "executions", "dead_letters"),
    }.get(part, ())
    return {streams_of(account)[kind] for kind in kinds} | ({SHARED.heartbeats} if kinds else set())


STREAMS = {name for account in ACCOUNTS for name in streams_of(account).values()}
STREAMS |= {SHARED.lockstep, SHARED.heartbeats, SHARED.dead_letters, BARS}
WRITES = {
    CONDUCTOR: {SHARED.lockstep, SHARED.heartbeats, *(streams_of(account)["lockstep"] for account in ACCOUNTS)},
    COLLECTOR: {BARS, SHARED.heartbeats, SHARED.dead_letters},
    **{
        user_of(part, account): written_by(part, account)
        for part in (COORDINATOR, SERVICE, BENTO, NOTICES)
        for account in ACCOUNTS
    },
}
READS = {
    COORDINATOR: ("states", "views", "signals"),
    SERVICE: ("lockstep", "signals", "settled", "states", "executions"),
    BENTO: (),
    NOTICES: ("executions",),
}
SIGNALS = streams_of("paper")["signals"]
RING = "bars:v1:embedded:BTC/USDT:5m"


def connection_of(client):
    """The number that the server gave a client's connection."""
    answer = client.execute_command("HELLO")
    return answer[answer.index(b"id") + 1]


@pytest.fixture(scope="module")
def bus(tmp_path_factory):
    """The users and the address of a bus that a stack would start."""
    folder, port = tmp_path_factory.mktemp("run") / "bus", free_port()
    users, url = BusUsers.keep(folder, "embedded", "paper"), f"valkey://127.0.0.1:{port}/0"
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(bus_command(port, folder), stdout=log, stderr=log)
    try:
        asking, until = Bus(users.url(CONDUCTOR, url), patience_s=0.5), time.monotonic() + 20.0
        while not asking.answers():
            assert time.monotonic() < until, (folder / "log").read_text()
            time.sleep(0.05)
        # The second account comes while the server runs, and nobody's connection is lost over it.
        first = Valkey.from_url(users.url(user_of(COORDINATOR, "paper"), url))
        known = connection_of(first)
        users = BusUsers.keep(folder, "embedded", "second")
        asking.read_users()
        assert connection_of(first) == known
        yield users, url
    finally:
        server.terminate()
        server.wait()


def test_it_is_reached_from_elsewhere_where_it_is_bound_so_and_lets_nobody_in_without_a_password(tmp_path):
    port = free_port(bind="::")
    users = BusUsers.keep(tmp_path, "embedded", "paper")
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


@pytest.mark.parametrize("account", ACCOUNTS)
@pytest.mark.parametrize("part", READS)
def test_a_part_reads_its_account_s_streams_and_nothing_of_the_other_s(bus, part, account):
    users, url = bus
    client, read = Valkey.from_url(users.url(user_of(part, account), url)), set()
    for stream in STREAMS - {BARS}:
        try:
            client.xrange(stream, count=1)
        except NoPermissionError:
            continue
        read.add(stream)
    assert read == {streams_of(account)[kind] for kind in READS[part]}


@pytest.mark.parametrize(
    "user", [COLLECTOR, CONDUCTOR, *(user_of(part, account) for part in (COORDINATOR, BENTO) for account in ACCOUNTS)]
)
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
    client = Valkey.from_url(users.url(user_of(SERVICE, "paper"), url))
    client.eval("redis.call('DEL', KEYS[1])", 1, SIGNALS)
    for stream in (BARS, streams_of("second")["signals"], SHARED.lockstep):
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
    with pytest.raises(Refused, match=r"the bus at .* refuses bento:paper"):
        Bus(users.url(user_of(BENTO, "paper"), url)).last(SIGNALS)
    with pytest.raises(NotReady):
        Bus(f"valkey://127.0.0.1:{free_port()}/0", patience_s=0.1).read(BARS, EntryId.BEGIN)


def test_passwords_are_kept_and_are_their_owner_s_alone(tmp_path):
    first = BusUsers.keep(tmp_path, "embedded", "paper")
    assert BusUsers.keep(tmp_path, "embedded", "paper") == first, "parts that run know the ones of before"
    both = BusUsers.keep(tmp_path, "embedded", "second")
    assert first.passwords.items() < both.passwords.items()
    files = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir() if each.name != "users.lock"}
    assert files == {"passwords.json": 0o600, "users.acl": 0o600}
    acl = (tmp_path / "users.acl").read_text()
    assert not any(password in acl + repr(both) for password in both.passwords.values())
    assert len(set(both.passwords.values())) == len(WRITES)
    assert json.loads((tmp_path / "passwords.json").read_text()) == both.passwords


def test_users_of_a_version_with_one_account_are_left_behind(tmp_path):
    (tmp_path / "passwords.json").touch(mode=0o600)
    (tmp_path / "passwords.json").write_text(json.dumps({"conductor": "a" * 64, "coordinator": "b" * 64}))
    users = BusUsers.keep(tmp_path, "embedded", "paper")
    assert users.passwords["conductor"] == "a" * 64
    assert "coordinator" not in users.passwords
    with pytest.raises(ValueRefused, match="name of an account"):
        BusUsers.keep(tmp_path, "embedded", "a ~* b")
