"""Servers of other makers as parts: a release's bento, and MLflow's pages."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from sapphire.registry.tracking import Tracking, models_page
from sapphire.serving.ports import LOCAL
from sapphire.serving.process import ServerProcess
from sapphire.serving.settings import Settings
from sapphire.stack.processes.answering import serves
from sapphire.stack.processes.parts import Part, Probe
from sapphire.stack.processes.readiness import HttpChecks

__all__ = ["bento_part", "mlflow_part"]

_WITHIN_S = 300.0
"""How long a server that imports a great deal may take on a busy machine."""
_PAGES = Probe(every_s=10.0, within_s=10.0)
"""MLflow's server does more than trading needs, and slowly; nothing waits for it."""


def bento_part(
    settings: Settings,
    *,
    port: int,
    log: Path,
    name: str = "bento",
    bind: str = LOCAL,
    host: str | None = None,
    probe: Probe | None = None,
) -> Part:
    """A server of a release as a part.

    Parameters
    ----------
    settings : what is served; its `bars_url` is the address of the bus.
    port, bind : where it listens, at each of its starts.
    name : of the part.
    host : by what others reach it, as it stands in a URL; what is bound unless given.
    probe : how it is asked whether it is live and ready.

    Raises
    ------
    PortInUse : another process holds the port.
    """
    server = ServerProcess(settings, port=port, bind=bind, host=host)
    server.folder.mkdir(parents=True, exist_ok=True)
    probe = probe or Probe()
    checks = HttpChecks(server.url, within_s=probe.within_s)
    return Part(
        name=name,
        command=server.command,
        log=log,
        environment=server.environment,
        folder=server.folder,
        ready=lambda _: serves(server.url, log),
        ready_still=checks.ready,
        live=checks.live,
        probe=probe,
        ready_within_s=_WITHIN_S,
        patience_s=30.0,
        address=server.url,
        metrics=f"{server.url}/metrics",
        release=settings.release,
        end_signal=signal.SIGTERM,
    )


def mlflow_part(tracking: Tracking, *, port: int, log: Path, bind: str = LOCAL, host: str | None = None) -> Part:
    """MLflow's server on the records of a state folder, as a part; it delivers the pages that wait there.

    Its address opens on the registered models.

    Parameters
    ----------
    tracking : whose database and artifacts it serves.
    port, bind : where it listens, at each of its starts.
    host : by what others reach it, as it stands in a URL; what is bound unless given.
    """
    url = f"http://{host or bind}:{port}"
    words = ["--home", str(tracking.home), "--records", tracking.uri, "--port", str(port), "--bind", bind]
    named = {}
    if host not in (None, LOCAL):  # it answers to no other name than localhost's unless it is told
        names = [f"{name}:{port}" for name in (host, LOCAL, "localhost", "[::1]")]
        named = {"MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(names), "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": url}
    tracking.lock.parent.mkdir(parents=True, exist_ok=True)
    checks = HttpChecks(url, within_s=_PAGES.within_s, live_path="/health", ready_path="/health")
    return Part(
        name="mlflow",
        command=(sys.executable, "-m", "sapphire.registry.tracking.serving", *words),
        log=log,
        environment={
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "GIT_PYTHON_REFRESH": "quiet",
            **named,
        },
        ready=lambda _: checks.ready(),
        live=checks.live,
        probe=_PAGES,
        ready_within_s=_WITHIN_S,
        patience_s=2.0,
        address=models_page(url),
        end_signal=signal.SIGTERM,
    )
