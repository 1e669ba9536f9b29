"""Tracking: the MLflow that this state folder uses, and where every run came from.

Out of the box it is SQLite and a folder under `$SAPPHIRE_HOME/mlflow`; `MLFLOW_TRACKING_URI` names another. MLflow
itself notes neither commit nor notebook of a run that was started in a notebook, so every run here gets both as tags.
MLflow is imported only where it is used: that takes seconds.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sapphire.data.durable import locked
from sapphire.domain.errors import ConfigError

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from sapphire.domain.clocks import Clock
    from sapphire.registry.environment import GitState

__all__ = ["Tracking", "lineage_tags", "notebook_name"]

URI_VARIABLE = "MLFLOW_TRACKING_URI"
"""Environment variable of MLflow's own that names the server."""
NOTEBOOK_VARIABLE = "SAPPHIRE_NOTEBOOK"
"""Environment variable that names the notebook where Jupyter does not: reports run by papermill."""

_JUPYTER_VARIABLE = "JPY_SESSION_NAME"
_NS_PER_MS = 1_000_000
# MLflow reports usage to its maker, draws bars, and prints addresses on stdout, unless it is told not to
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_TALKATIVE = ("alembic", "mlflow.store.db.utils", "mlflow.store.model_registry.abstract_store")


def notebook_name(environment: Mapping[str, str]) -> str:
    """File name of the notebook that runs, of the script where there is none; empty in an interactive interpreter."""
    named = environment.get(NOTEBOOK_VARIABLE) or environment.get(_JUPYTER_VARIABLE) or ""
    return Path(named or (sys.argv[0] if sys.argv else "")).name


def lineage_tags(*, git: GitState, notebook: str, snapshot_hash: str, data: str, engine_version: str) -> dict[str, str]:
    """Where a run came from, as tags.

    Parameters
    ----------
    notebook : file name of the notebook or script.
    snapshot_hash : content hash of the data.
    data : label of their provenance.
    """
    is_notebook = notebook.endswith(".ipynb")
    return {
        "mlflow.source.name": notebook or "interactive",
        "mlflow.source.type": "NOTEBOOK" if is_notebook else "LOCAL",
        "mlflow.source.git.commit": git.commit or "none",
        "git.commit": git.commit or "none",
        "git.dirty": str(git.dirty).lower(),
        "notebook": notebook if is_notebook else "none",
        "snapshot.hash": snapshot_hash,
        "data": data,
        "engine.version": engine_version,
    }


@dataclass(frozen=True, slots=True)
class Tracking:
    """An MLflow.

    Parameters
    ----------
    uri : where its records are.
    artifacts : folder of the artifacts; None where a server keeps them.
    lock : file that is held while the database is made.
    """

    uri: str
    artifacts: Path | None
    lock: Path

    @classmethod
    def of(cls, home: Path, environment: Mapping[str, str]) -> Tracking:
        """The MLflow of a state folder, unless `MLFLOW_TRACKING_URI` names another."""
        folder = home / "mlflow"
        named = environment.get(URI_VARIABLE, "")
        if named:
            return cls(named, None, folder / ".lock")
        return cls(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts", folder / ".lock")

    def client(self) -> MlflowClient:
        """A client; the database is made on first use.

        Raises
        ------
        ConfigError : MLflow does not answer there.
        """
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)
        with locked(self.lock):
            try:
                client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
                client.search_registered_models(max_results=1)
                client.search_experiments(max_results=1)
            except (MlflowException, SQLAlchemyError) as error:
                raise ConfigError(
                    "MLflow does not answer",
                    expected=f"a tracking server or database at {self.uri}",
                    got=str(error).splitlines()[0],
                    next=f"start it, or unset {URI_VARIABLE} to use the state folder's own",
                ) from error
        return client

    @contextmanager
    def run(
        self, client: MlflowClient, experiment: str, name: str, *, tags: Mapping[str, str], clock: Clock
    ) -> Iterator[str]:
        """Id of a new run of an experiment: FINISHED when left, FAILED when left by an error."""
        started = client.create_run(
            self.experiment(client, experiment), clock.now_ns() // _NS_PER_MS, dict(tags), run_name=name
        )
        run_id = str(started.info.run_id)
        try:
            yield run_id
        except BaseException:
            client.set_terminated(run_id, "FAILED", clock.now_ns() // _NS_PER_MS)
            raise
        client.set_terminated(run_id, "FINISHED", clock.now_ns() // _NS_PER_MS)

    def experiment(self, client: MlflowClient, name: str) -> str:
        """Id of an experiment, made where it is not there; its artifacts lie under its name."""
        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        location = (self.artifacts / name).as_uri() if self.artifacts is not None else None
        return str(client.create_experiment(name, artifact_location=location))
