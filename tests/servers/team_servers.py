"""A PostgreSQL and the MLflow of a team on it, real ones, for the tests of this folder."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

ADMIN = "a-password-of-the-admin"
DATABASE_PASSWORD = "a-password-of-the-database"
_WITHIN_S = 120.0
_SHARED_MEMORY = Path("/dev/shm")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """The address of an empty database; PostgreSQL refuses to run as root."""
    owner = None
    if os.geteuid() == 0:
        names = {entry.pw_name for entry in pwd.getpwall()}
        owner = "postgres" if "postgres" in names else "nobody"
    folder = Path(tempfile.mkdtemp(prefix="postgres-", dir=_SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None))
    (folder / "password").write_text(DATABASE_PASSWORD)
    if owner:
        for path in (folder, folder / "password"):
            shutil.chown(path, owner)
    cluster, port = folder / "cluster", free_port()
    words = ["initdb", "-D", str(cluster), "-U", "mlflow", f"--pwfile={folder / 'password'}", "--no-sync"]
    subprocess.run([*words, "--auth=scram-sha-256"], check=True, capture_output=True, user=owner, cwd=folder)
    words = ["postgres", "-D", str(cluster), "-p", str(port), "-k", str(folder), "-c", "fsync=off"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, user=owner, cwd=folder)
    try:
        url = f"postgresql://mlflow:{DATABASE_PASSWORD}@127.0.0.1:{port}/postgres"
        _until(lambda: _connects(url), process, folder / "log")
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        shutil.rmtree(folder)


def _connects(url: str) -> bool:
    import psycopg

    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


@contextlib.contextmanager
def process(
    words: list[str], environment: Mapping[str, str], log: Path, health: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A server, from its first answer to its end."""
    with log.open("wb") as said:
        started = subprocess.Popen(words, env=dict(environment), stdout=said, stderr=said, cwd=log.parent)
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
