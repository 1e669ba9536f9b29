"""A server process: `bentoml serve` of one release's bento on this machine, from its start to its end.

It listens on 127.0.0.1 unless told otherwise. What it says goes to a log. On Linux it ends when the thread that started
it does, however that ends, so a server is started from a thread that outlives it, as a program's main thread does.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from sapphire.data.places import PlaceSettings
from sapphire.domain.errors import NotReady, Refused
from sapphire.domain.workspace import HOME_VARIABLE
from sapphire.registry import Deployment
from sapphire.serving.bentos import bento_for
from sapphire.serving.ports import LOCAL, free_port
from sapphire.serving.settings import Settings
from sapphire.telemetry.http_client import HttpClient
from sapphire.telemetry.launching import launch

__all__ = ["ServerProcess", "standing_of"]

_READY_WITHIN_S = 300.0
_ASK_EVERY_S = 0.2
_PROBE_WITHIN_S = 5.0
_LOG_TAIL = 4_000

StartProgress = Callable[[float, str], None]
"""Progress: seconds since the start, and what is going on."""


def standing_of(bento: HttpClient, *, log: Path) -> str | None:
    """How far a bento is: None when it answers, its own word until then, empty while it does not listen.

    Parameters
    ----------
    log : where it says more, for the message.

    Raises
    ------
    Refused : the release does not stand up here; says why.
    """
    try:
        if bento.get("/readyz").is_ok:
            return None
        card = bento.post("/card", repeats=True).facts()
    except NotReady:
        return ""
    if card.get("refusal") is not None:
        raise Refused(
            f"release {card.get('name')} does not stand up here",
            expected="golden outputs that match",
            got=str(card["refusal"]),
            next=f"the server's log is {log}",
        )
    return str(card.get("standing", ""))


class ServerProcess:
    """One release behind HTTP, run as a context manager.

    Parameters
    ----------
    settings : what is served.
    port : 0 chooses a free one.
    bind : address of this machine that it listens on.
    host : by what others reach it, as it stands in a URL; what is bound unless given.
    service : what BentoML is to run, "module:Class" or a built bento; the bento that fits the release unless given.
    working_dir : where `service` is imported from besides the installed packages.

    Raises
    ------
    PortInUse : another process holds the port.
    ConfigError, EvidenceRefused : as `bento_for`.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        port: int = 0,
        bind: str = LOCAL,
        host: str | None = None,
        service: str | None = None,
        working_dir: Path | None = None,
    ) -> None:
        self.settings = settings
        self.port = free_port(port, bind=bind)
        self._bind, self._host = bind, host or bind
        self.folder = settings.home / "serving" / f"{settings.release[:12]}-{self.port}"
        if service is None:
            bento = bento_for(settings)
            service, working_dir = bento.service, bento.root
        self._service = service
        self._working_dir = working_dir or self.folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{self._host}:{self.port}"

    @property
    def log(self) -> Path:
        """What it says."""
        return self.folder / "server.log"

    @property
    def command(self) -> tuple[str, ...]:
        """The words that run it, for whoever keeps the process himself."""
        words = (sys.executable, "-m", "bentoml", "serve", self._service)
        return (*words, "--host", self._bind, "--port", str(self.port), "--working-dir", str(self._working_dir))

    @property
    def environment(self) -> dict[str, str]:
        """What it is told besides."""
        return {
            HOME_VARIABLE: str(self.settings.home),
            **self.settings.variables,
            **Deployment.read().variables,
            **PlaceSettings.read().variables,
            "BENTOML_HOME": str(self.settings.home / "bentoml"),
            "BENTOML_DO_NOT_TRACK": "True",
            "PROMETHEUS_MULTIPROC_DIR": str(self.folder / "metrics"),
        }

    @property
    def pid(self) -> int:
        """Process id.

        Raises
        ------
        NotReady : it was not started.
        """
        if self._process is None:
            raise NotReady("the server is not running", next="use it in a `with` statement, or call start()")
        return self._process.pid

    def start(self) -> Self:
        """Start the process, without waiting for it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._process = launch(
            self.command, log=self.log, environment=self.environment, folder=self.folder, is_anew=True
        )
        return self

    def wait_until_ready(self, progress: StartProgress = lambda *_: None, *, within_s: float = _READY_WITHIN_S) -> None:
        """Wait until golden outputs match and it answers.

        Raises
        ------
        Refused : the release does not stand up here; says why.
        NotReady : it ended, or did not come up in time; shows the end of its log.
        """
        began = time.monotonic()
        client = HttpClient(self.url, "the bento", within_s=_PROBE_WITHIN_S)
        try:
            while (elapsed := time.monotonic() - began) < within_s:
                if self._process is not None and self._process.poll() is not None:
                    raise self._not_ready(f"the server ended with exit code {self._process.returncode}")
                standing = standing_of(client, log=self.log)
                if standing is None:
                    return
                progress(elapsed, f"{standing}: golden outputs are made again" if standing else "starting")
                time.sleep(_ASK_EVERY_S)
        finally:
            client.close()
        raise self._not_ready(f"the server was not ready within {within_s:g} s")

    def wait(self) -> int:
        """Wait for its end; its exit code."""
        return self._process.wait() if self._process is not None else 0

    def stop(self, *, patience_s: float = 30.0) -> None:
        """End the process: ask it to finish what it is at, and after a while make it."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def log_tail(self) -> str:
        """The last of what it said."""
        return self.log.read_bytes()[-_LOG_TAIL:].decode(errors="replace") if self.log.exists() else ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _not_ready(self, what: str) -> NotReady:
        return NotReady(what, expected=f"200 from {self.url}/readyz", got=self.log_tail(), next=f"see {self.log}")
