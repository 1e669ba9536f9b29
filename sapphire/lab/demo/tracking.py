"""MLflow's server while the demo runs: what the notebooks note and register goes through it, as on a shared server.

Its records are those of the state folder, so that everything is still there when the server is gone. Where the
environment names a server, that one is used and none is started.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread

from sapphire.domain.clocks import WallClock
from sapphire.lab.demo.steps import Steps
from sapphire.registry.tracking import URI_VARIABLE, Tracking
from sapphire.serving.ports import LOCAL
from sapphire.stack.addresses import Ports
from sapphire.stack.processes.run_lock import RunLock
from sapphire.stack.processes.supervisor import Supervisor
from sapphire.stack.servers import mlflow_part

__all__ = ["TrackingServer", "tracking_server"]


class TrackingServer:
    """A server that is coming up.

    Parameters
    ----------
    supervisor : of its one part; None where the environment names a server.
    steps : is told when it is there.
    """

    def __init__(self, supervisor: Supervisor | None, steps: Steps) -> None:
        self._supervisor, self._steps = supervisor, steps
        self._failure: BaseException | None = None
        self._starting = Thread(target=self._start, name="mlflow", daemon=True)
        self._starting.start()

    def wait(self) -> None:
        """Wait until it answers.

        Raises
        ------
        NotReady : it did not come up.
        """
        self._starting.join()
        if self._failure is not None:
            raise self._failure

    def settle(self) -> None:
        """Wait until it answers or has failed to come up: only then can it be ended."""
        self._starting.join()

    def _start(self) -> None:
        try:
            if self._supervisor is None:
                self._steps.run(f"mlflow: at {os.environ[URI_VARIABLE]}", lambda: None)
            else:
                self._steps.run("mlflow: its server on the state folder's records", self._supervisor.start)
        except BaseException as failure:  # noqa: BLE001  (`wait` raises it on the thread that needs the server)
            self._failure = failure


@contextmanager
def tracking_server(home: Path, folder: Path, steps: Steps) -> Iterator[TrackingServer]:
    """Start a server and let every process that is started within know of it.

    Parameters
    ----------
    folder : the demo's; the server's log goes there.

    Raises
    ------
    Refused : another demo runs in that folder.
    """
    tracking = Tracking.of(home, os.environ)
    with ExitStack() as leaving:
        supervisor = None
        if not tracking.uri.startswith("http"):
            port = Ports.choose(folder / "mlflow").mlflow
            part = mlflow_part(tracking, port=port, log=folder / "logs" / "mlflow.log")
            supervisor = Supervisor([part], lock=RunLock(folder / "mlflow"), clock=WallClock())
            leaving.callback(supervisor.stop)
            before = os.environ.get(URI_VARIABLE)
            leaving.callback(lambda: _name(before))
            _name(f"http://{LOCAL}:{port}")
        server = TrackingServer(supervisor, steps)
        try:
            yield server
        finally:
            server.settle()


def _name(uri: str | None) -> None:
    if uri is None:
        os.environ.pop(URI_VARIABLE, None)
    else:
        os.environ[URI_VARIABLE] = uri
