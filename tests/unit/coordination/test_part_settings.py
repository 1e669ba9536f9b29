"""A part reads its settings to the letter, asks for evidence at its door, and says what is wrong."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sapphire.agents.release.files import read_release_files
from sapphire.domain.errors import ConfigError
from sapphire.domain.intervals import Interval
from sapphire.portfolio import volatility_window
from sapphire.stack.configs import CollectorConfig, CoordinatorConfig, instrument_row
from sapphire.stack.part import history_of, main

COLLECTOR = {
    "bus_url": "valkey://127.0.0.1:1/0",
    "venue": "embedded",
    "clock": {"lockstep": True},
    "exchange": "embedded",
    "url": "http://127.0.0.1:1",
    "market": "GENERATED",
    "symbols": ["BTC/USDT"],
    "interval": "5m",
    "history_bars": 10,
}
COORDINATOR = {
    "bus_url": "valkey://127.0.0.1:1/0",
    "venue": "embedded",
    "clock": {"speed": 60.0},
    "account": "paper",
    "signal_key": "/run/signal-key",
    "bento_url": "http://127.0.0.1:1",
    "home": "/state",
    "release": "a" * 64,
    "stage": "paper",
    "decisions": "/run/decisions.jsonl",
    "instruments": [{"symbol": "BTC/USDT", "tick": "0.01", "lot": "0.00001", "min_notional": "5"}],
}
KINDS = [(CollectorConfig, COLLECTOR), (CoordinatorConfig, COORDINATOR)]


def written(folder, value):
    path = folder / "part.json"
    path.write_text(json.dumps(value))
    return path


@pytest.mark.parametrize(("kind", "value"), KINDS)
def test_settings_come_back_from_their_file(kind, value, tmp_path):
    config = kind.read(written(tmp_path, value), "part", {})
    assert kind.read(written(tmp_path, config.as_dict()), "part", {}) == config
    settings = json.loads(json.dumps(config.as_dict()))
    ours = {"cache": "", "bus_password": None, "host": "127.0.0.1", "port": 0, "hung_after_s": 60.0}
    ours |= {"member_urls": {}} if kind is CoordinatorConfig else {}
    assert settings == {**value, **ours}
    assert config.speed == {"lockstep": None}.get(next(iter(value["clock"])), 60.0)


@pytest.mark.parametrize(("kind", "value"), KINDS)
def test_a_key_too_many_or_too_few_is_named(kind, value, tmp_path):
    for key in value:
        with pytest.raises(ConfigError) as missing:
            kind.read(written(tmp_path, {name: item for name, item in value.items() if name != key}), "part", {})
        assert f"missing ['{key}']" in missing.value.got
    with pytest.raises(ConfigError) as unknown:
        kind.read(written(tmp_path, {**value, "colour": "red"}), "part", {})
    assert "unknown ['colour']" in unknown.value.got


@pytest.mark.parametrize(
    ("kind", "key", "bad"),
    [
        (CollectorConfig, "bus_url", 7),
        (CollectorConfig, "clock", {"lockstep": False}),
        (CollectorConfig, "clock", {"speed": 0}),
        (CollectorConfig, "clock", {"speed": "1"}),
        (CollectorConfig, "clock", {"speed": 1.0, "lockstep": True}),
        (CollectorConfig, "clock", []),
        (CollectorConfig, "url", None),
        (CollectorConfig, "market", "PRETEND"),
        (CollectorConfig, "symbols", []),
        (CollectorConfig, "history_bars", 0),
        (CollectorConfig, "history_bars", True),
        (CoordinatorConfig, "release", "short"),
        (CoordinatorConfig, "stage", "research"),
        (CoordinatorConfig, "decisions", ""),
        (CoordinatorConfig, "instruments", [{"symbol": "BTC/USDT"}]),
        (CoordinatorConfig, "instruments", [{**COORDINATOR["instruments"][0], "tick": 0.01}]),
    ],
)
def test_a_bad_value_is_named(kind, key, bad, tmp_path):
    with pytest.raises(ConfigError, match=f"setting {key} of a {kind.__name__}"):
        kind.read(written(tmp_path, {**dict(KINDS)[kind], key: bad}), "part", {})


@pytest.mark.parametrize("text", ["", "nothing", "[]"])
def test_a_file_that_holds_no_settings_is_refused(text, tmp_path, capsys):
    path = tmp_path / "part.json"
    path.write_text(text)
    assert main(["collector", "--config", str(path)]) == 1
    assert main(["collector", "--config", str(tmp_path / "nowhere.json")]) == 1
    assert "ConfigError: settings in" in capsys.readouterr().err


def test_wrong_usage_is_two():
    with pytest.raises(SystemExit) as ended:
        main(["trader", "--config", "x"])
    assert ended.value.code == 2


def test_a_release_says_how_much_history_it_needs(state_folder, universe):
    home, digest = state_folder
    manifest, _ = read_release_files(home / "releases" / digest, digest)
    assert history_of(manifest) == volatility_window(Interval("5m")) == 16_133
    assert instrument_row(universe["BTC/USDT"]) == {
        "symbol": "BTC/USDT",
        "tick": "0.01",
        "lot": "0.00001",
        "min_notional": "5",
    }


@pytest.mark.parametrize("wrong", ["no report", "changed file", "live", "other instruments"])
def test_a_coordinator_does_not_start_without_evidence(wrong, state_folder, universe, bus_url, tmp_path, server):
    server.client().flushall()
    home, digest = tmp_path / "home", state_folder[1]
    shutil.copytree(state_folder[0], home)
    if wrong == "no report":
        for report in (home / "evidence").rglob("*report*"):
            report.unlink()
    if wrong == "changed file":
        path = next((home / "releases" / digest).rglob("source.py"))
        path.chmod(0o644)
        path.write_text(path.read_text() + "\n")
    rows = list(map(instrument_row, universe))
    value = {
        **COORDINATOR,
        "bus_url": bus_url,
        "home": str(home),
        "release": digest,
        "stage": "live" if wrong == "live" else "paper",
        "decisions": str(tmp_path / "decisions.jsonl"),
        "instruments": rows[:1] if wrong == "other instruments" else rows,
    }
    words = [sys.executable, "-m", "sapphire.stack.part", "coordinator"]
    done = subprocess.run(
        [*words, "--config", str(written(tmp_path, value))], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    kind = "ConfigError: instruments" if wrong == "other instruments" else "EvidenceRefused"
    assert kind in done.stderr
    assert "Traceback" not in done.stderr
    assert not Path(value["decisions"]).exists()


def test_parts_load_neither_pandas_nor_what_else_is_heavy(fresh_interpreter):
    code = (
        "import sapphire.stack.part, sapphire.data.closed_bars, sapphire.data.venue\n"
        "import sapphire.coordination.coordinator, sapphire.coordination.history\n"
        "import sapphire.serving.admission, sapphire.portfolio\n"
    )
    heavy = {"pandas", "torch", "mlflow", "ccxt", "scipy", "bentoml", "httpx", "pyarrow", "polars"}
    assert not heavy & fresh_interpreter.modules_after(code)
