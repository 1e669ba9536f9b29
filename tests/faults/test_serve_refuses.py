"""What is wrong with a release, its evidence or its surroundings keeps `sapphire serve` from starting anything.

Each fault ends the verb with 1 and an error that says what was expected, what came and what to do; afterwards the state
folder holds what it held before, to the byte, and no process was started.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import psutil
import pytest

from sapphire.agents import Calibrated, MovingAverageCross, freeze
from sapphire.cli import main
from sapphire.domain import Bars, Interval
from sapphire.domain.canonical import sha256_of
from sapphire.domain.releases import ReleasedSizing
from sapphire.domain.workspace import config_folder
from sapphire.registry import signing_key
from sapphire.registry.signing import PUBLIC_FILE
from sapphire.registry.trust import KEY_VARIABLE, POLICIES_VARIABLE

START_NS = 1_735_689_600_000_000_000  # 2025-01-01T00:00Z
Serve = Callable[..., str]


def random_bars(length: int = 400) -> Bars:
    dice, interval = np.random.default_rng(3), Interval("5m")
    close = 100.0 * np.exp(np.cumsum(0.002 * dice.standard_normal((length, 1)), axis=0))
    opened = np.vstack([np.full((1, 1), 100.0), close[:-1]])
    return Bars(
        symbols=("BTC/USDT",),
        interval=interval,
        open_time_ns=START_NS + np.arange(length, dtype=np.int64) * interval.ns,
        open=opened,
        high=np.maximum(opened, close),
        low=np.minimum(opened, close),
        close=close,
        volume=dice.gamma(2.0, 5.0, (length, 1)),
        listed=np.ones((length, 1), dtype=np.bool_),
    )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("SAPPHIRE_HOME", str(folder))
    return folder


@pytest.fixture
def release(home: Path, sign_permit: Callable[..., object]) -> str:
    """A release with a signed report that permits paper; its digest."""
    bars = random_bars()
    agent = Calibrated(MovingAverageCross(fast=3, slow=9, horizon=timedelta(minutes=15))).fit(bars, seed=7)
    sizing = ReleasedSizing(class_name="equal_weight", parameters={}, source_sha256="a" * 64)
    digest = freeze(
        agent, name="trend", train_bars=bars, sizing=sizing, limits={}, execution={}, lock_sha256="b" * 64,
        engine_version="0.1.0", universe=bars.symbols, folder=home / "releases",
    ).digest  # fmt: skip
    sign_permit(home, digest, skill=True)
    return digest


@pytest.fixture
def refused(home: Path, release: str, capsys: pytest.CaptureFixture[str]) -> Serve:
    """Runs `sapphire serve` to its refusal; the error, with nothing changed and nothing started."""

    def serve(*words: str) -> str:
        before, children = contents(home), psutil.Process().children()
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(["serve", release, *words])
        assert left.value.code == 1
        assert contents(home) == before
        assert psutil.Process().children() == children
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "Traceback" not in captured.err
        assert "\n  expected: " in captured.err
        assert "\n  got:      " in captured.err
        assert "\n  next:     " in captured.err
        return captured.err

    return serve


def contents(folder: Path) -> dict[str, str]:
    """Every file by its path and digest; lock files hold nothing."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {str(path.relative_to(folder)): sha256_of(path.read_bytes()) for path in paths}


def the_file(home: Path, release: str, pattern: str) -> Path:
    (path,) = (home / "evidence" / release).glob(pattern)
    return path


@pytest.mark.parametrize("name", ["source.py", "calibration.safetensors", "card.json", "golden_inputs.safetensors"])
def test_a_tampered_release(home: Path, release: str, refused: Serve, name: str) -> None:
    path = home / "releases" / release / "agents" / "moving-average-cross" / name
    data = path.read_bytes()
    path.write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])
    assert name in refused()


def test_a_report_with_one_number_changed(home: Path, release: str, refused: Serve) -> None:
    path = the_file(home, release, "report-paper-*.json")
    data = path.read_bytes()
    path.write_bytes(data.replace(b"0.96", b"0.97"))
    assert path.read_bytes() != data
    assert path.name in refused()


@pytest.mark.parametrize("pattern", ["report-paper-*.json", "report-paper-*.sig"])
def test_a_missing_evidence_file(home: Path, release: str, refused: Serve, pattern: str) -> None:
    path = the_file(home, release, pattern)
    path.unlink()
    assert path.name in refused()


def test_no_evidence_at_all(home: Path, release: str, refused: Serve) -> None:
    the_file(home, release, "records.jsonl").unlink()
    assert f"no evidence of release {release[:12]}" in refused()


def test_a_report_by_another_promoter(tmp_path: Path, refused: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    signing_key(tmp_path / "stranger")
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "stranger" / PUBLIC_FILE))
    assert "signature of a gate report does not verify" in refused()


def test_a_key_in_the_state_folder(home: Path, refused: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even the right one: whoever can change what is judged could change the judge."""
    path = home / PUBLIC_FILE
    path.write_text((config_folder() / PUBLIC_FILE).read_text())
    monkeypatch.setenv(KEY_VARIABLE, str(path))
    assert "the trusted key lies in the state folder that it judges" in refused()


def test_keys_of_an_earlier_version(home: Path, refused: Serve) -> None:
    (home / "keys").mkdir()
    (home / "keys" / PUBLIC_FILE).write_text((config_folder() / PUBLIC_FILE).read_text())
    message = refused()
    assert "this state folder keeps the key that judges it" in message
    assert str(home / "keys") in message


def test_a_policy_that_the_deployment_does_not_pin(refused: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(POLICIES_VARIABLE, f"paper={'0' * 64}")
    assert "the policy differs" in refused()


def test_a_used_port(refused: Serve) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        message = refused("--port", str(port))
    assert f"port {port} is taken" in message
    assert str(os.getpid()) in message
