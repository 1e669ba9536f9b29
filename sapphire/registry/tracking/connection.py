"""The MLflow that this state folder uses.

Out of the box it is SQLite and a folder under `$SAPPHIRE_HOME/mlflow`; `MLFLOW_TRACKING_URI` names a server. MLflow is
imported only where it is used: that takes seconds. The database of a team's server is for that server alone: whoever
went to it directly would go around its permissions.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from sapphire.data.durable import locked
from sapphire.domain.errors import ConfigError
from sapphire.registry.tracking.access import AccessChecked, read_password, shown_uri, without_password
from sapphire.registry.tracking.places import (
    SCHEME,
    artifact_location,
    artifacts_beside,
    database_of,
    is_database,
    resolve_beside_database,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from sapphire.domain.clocks import Clock

__all__ = ["QUIET", "URI_VARIABLE", "Tracking"]

URI_VARIABLE = "MLFLOW_TRACKING_URI"
"""Environment variable of MLflow's own that names the server."""
_BEHIND_SERVERS = ("postgres", "mysql", "mssql")
_NS_PER_MS = 1_000_000
# MLflow reports usage to its maker, draws bars, and prints addresses on stdout, unless it is told not to
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_TALKATIVE = ("alembic", "mlflow.store.db.utils", "mlflow.store.model_registry.abstract_store")


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
        """The MLflow of a state folder, unless `MLFLOW_TRACKING_URI` names another.

        Raises
        ------
        ConfigError : it names a database that a server has behind it.
        """
        folder = home / "mlflow"
        named = environment.get(URI_VARIABLE, "")
        if named.startswith(_BEHIND_SERVERS):
            raise ConfigError(
                f"{URI_VARIABLE} names a database",
                expected="the address of the server before it, http://... or https://...",
                got="the address of a database, not shown",
                next=f"unset {URI_VARIABLE}, or name the server; MLFLOW_BACKEND_STORE_URI is what `sapphire mlflow` "
                "serves a database by",
            )
        uri = named or f"sqlite:///{folder / 'mlflow.db'}"
        return cls(uri, artifacts_beside(uri) if is_database(uri) else None, folder / ".lock")

    @property
    def home(self) -> Path:
        """The state folder."""
        return self.lock.parent.parent

    @property
    def is_made(self) -> bool:
        """Whether its records are there, as far as that can be seen without asking a server."""
        return not is_database(self.uri) or database_of(self.uri).is_file()

    def client(self) -> MlflowClient:
        """A client; the database is made on first use.

        Raises
        ------
        ConfigError : MLflow does not answer there.
        AccessDenied : it does not take the credentials. So does whatever the client is asked that is not permitted.
        Refused : the file that `MLFLOW_TRACKING_PASSWORD_FILE` names is not there, or others can read it.
        """
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
        from sqlalchemy.exc import SQLAlchemyError

        if self.uri.startswith("http"):
            read_password()
        resolve_beside_database()
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)
        with locked(self.lock):
            try:
                if is_database(self.uri) and not self.is_made:  # else its experiment "Default" keeps the folder of now
                    SqlAlchemyStore(self.uri, f"{SCHEME}:/")  # type: ignore[no-untyped-call]
                made = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
                client = cast("MlflowClient", AccessChecked(made, self.uri))
                client.search_registered_models(max_results=1)
                client.search_experiments(max_results=1)
            except (MlflowException, SQLAlchemyError) as error:
                raise ConfigError(
                    "MLflow does not answer",
                    expected=f"a tracking server or database at {shown_uri(self.uri)}",
                    got=without_password(str(error), self.uri).splitlines()[0],
                    next=f"start it, or unset {URI_VARIABLE} to use the state folder's own",
                ) from (None if "@" in self.uri else error)  # whose own text may repeat a password
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

    def experiment(self, client: MlflowClient, name: str, description: str = "") -> str:
        """Id of an experiment, made where it is not there; its artifacts lie under its name, whatever the machine."""
        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        location = artifact_location(name) if is_database(self.uri) else None
        tags = {"mlflow.experimentKind": "custom_model_development", "mlflow.note.content": description}
        return str(client.create_experiment(name, artifact_location=location, tags=tags))
