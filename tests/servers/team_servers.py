"""The MLflow of a team, and other servers as processes, for the tests of this folder."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

ADMIN = "a-password-of-the-admin"
_WITHIN_S = 120.0


@contextlib.contextmanager
def process(
    words: list[str], environment: Mapping[str, str], log: Path, health: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A server, from its first answer to its end."""
    with log.open("wb") as output:
        started = subprocess.Popen(words, env=dict(environment), stdout=output, stderr=output, cwd=log.parent)
    try:
        _until(lambda: _is_up(health), started, log)
        yield started
    finally:
        started.terminate()
        try:
            started.wait(30)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def team_words(port: int) -> list[str]:
    return [sys.executable, "-m", "sapphire.cli", "mlflow", "--port", str(port)]


def _is_up(health: str) -> bool:
    try:
        return httpx.get(health, trust_env=False, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def _until(there: object, started: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _WITHIN_S
    while not there():  # type: ignore[operator]
        assert started.poll() is None, log.read_text(errors="replace")[-3000:]
        assert time.monotonic() < until, log.read_text(errors="replace")[-3000:]
        time.sleep(0.1)
