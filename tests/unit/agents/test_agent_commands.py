"""The agent verbs: one object on stdout with --json, and exit codes that scripts can rely on."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from sapphire.agents.commands import app
from sapphire.domain.errors import AgentError, ConfigError, MissingData

RUN = CliRunner()

LEAKY = '''"""Its twin knows the next bar."""

from dataclasses import dataclass
from datetime import timedelta

from sapphire.agents import Agent, ViewPanel


@dataclass(frozen=True)
class Prophet(Agent):
    horizon: timedelta = timedelta(hours=1)
    warmup: int = 2

    def views(self, window):
        close = window.panel("close")
        return window.views(score=close.iloc[-1] / close.iloc[-2] - 1.0, horizon=self.horizon)

    def views_panel(self, bars):
        close = bars.frame("close")
        return ViewPanel(score=close.shift(-1) / close - 1.0, horizon=self.horizon)
'''


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    (tmp_path / "sapphire.toml").write_text("")
    (tmp_path / "agents").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SAPPHIRE_HOME", raising=False)
    return tmp_path


@pytest.fixture
def snapshot(workspace, bars):
    """The hash of a snapshot of 400 recorded bars."""
    from sapphire.data.catalog import snapshot
    from sapphire.data.importing import import_candles

    table = pd.DataFrame({name: getattr(bars, name)[:, 0] for name in ("open", "high", "low", "close", "volume")})
    table = np.round(table, 6)
    table["high"] = table[["open", "high", "low", "close"]].max(axis=1)
    table["low"] = table[["open", "high", "low", "close"]].min(axis=1)
    table.insert(0, "timestamp", bars.open_times.tz_localize(None))
    table.to_feather(workspace / "BTCUSDT_5m_made.feather")
    import_candles(workspace / "BTCUSDT_5m_made.feather")
    end = bars.open_times[-1] + pd.Timedelta(minutes=5)
    return snapshot(["BTC/USDT"], interval="5m", start=bars.open_times[0], end=end).hash


def test_list_shows_what_there_is(workspace):
    (workspace / "agents" / "prophet.py").write_text(LEAKY)
    done = RUN.invoke(app, ["list", "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    agents = {row["name"]: row for row in json.loads(done.stdout)["agents"]}
    assert agents["prophet"]["origin"] == "workspace"
    assert agents["moving-average-cross"]["parameters"] == {"fast": 12, "slow": 48, "horizon": "12h"}
    assert agents["lag-llama"]["learns"] is True
    table = RUN.invoke(app, ["list"], catch_exceptions=False)
    assert all(word in table.stdout for word in ("fast=12", "slow=48", "horizon=12h"))
    assert max(map(len, table.stdout.splitlines())) <= 100
    assert "sapphire agent check NAME" in table.stderr


def test_list_ends_with_one_when_a_file_is_broken(workspace):
    (workspace / "agents" / "crooked.py").write_text("def views(:\n")
    done = RUN.invoke(app, ["list", "--json"])
    assert done.exit_code == 1
    assert json.loads(done.stdout)["broken"] == ["crooked.py is not Python"]
    assert "AgentError: crooked.py is not Python" in done.stderr


def test_list_works_outside_a_workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert RUN.invoke(app, ["list"], catch_exceptions=False).exit_code == 0


def test_check_takes_generated_bars_where_no_snapshot_is_named(workspace):
    done = RUN.invoke(app, ["check", "moving-average-cross", "--moments", "20", "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["label"].startswith("generated market")


def test_check_passes_an_honest_agent(snapshot):
    words = ["check", "moving-average-cross", "--snapshot", snapshot[:10], "--set", "fast=3", "--set", "slow=9"]
    done = RUN.invoke(app, [*words, "--feature", "log_return_12", "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["ok"] is True
    assert report["snapshot"] == snapshot
    assert report["label"] == "recorded candles (binance spot)"
    assert any(row["check"].startswith("feature log_return_12") for row in report["checks"])
    table = RUN.invoke(app, words, catch_exceptions=False)
    assert table.stdout.startswith("moving-average-cross: no leak found\n")
    assert "recorded candles (binance spot)" in table.stdout


def test_check_ends_with_one_for_a_leak(workspace, snapshot):
    (workspace / "agents" / "prophet.py").write_text(LEAKY)
    done = RUN.invoke(app, ["check", "prophet", "--snapshot", snapshot, "--json"])
    assert done.exit_code == 1
    report = json.loads(done.stdout)
    assert {row["check"] for row in report["checks"] if row["verdict"] == "fail"} == {
        "twin, future replaced",
        "twin, future shuffled",
        "twin, future removed",
        "twin against views",
    }


def test_what_cannot_be_is_refused(snapshot):
    for words, error in (
        (["check", "nobody", "--snapshot", snapshot], AgentError),
        (["check", "cash", "--snapshot", "0000"], MissingData),
        (["check", "cash", "--snapshot", snapshot, "--set", "fast"], AgentError),
        (["check", "cash", "--snapshot", snapshot, "--set", "fast=3"], AgentError),
        (["list", "--agents", "nowhere"], ConfigError),
    ):
        assert isinstance(RUN.invoke(app, words).exception, error)
    assert RUN.invoke(app, ["check"]).exit_code == 2
