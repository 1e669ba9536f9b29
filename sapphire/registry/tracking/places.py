"""Artifacts by relative place: a state folder that is moved, or opened over a server, still has them.

What is stored is `mlflow-artifacts:/FOLDER`, never a path of a machine. A server answers for that itself; MLflow alone
would refuse it on a database, so in this process it leads to `artifacts` beside the database.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

__all__ = [
    "SCHEME",
    "artifact_location",
    "artifacts_beside",
    "database_of",
    "is_database",
    "resolve_beside_database",
    "without_home",
]

SCHEME = "mlflow-artifacts"
_ARTIFACTS = "artifacts"
_DATABASE = "sqlite:///"


def artifact_location(experiment: str) -> str:
    """Where an experiment's artifacts lie."""
    return f"{SCHEME}:/{re.sub('[^A-Za-z0-9._-]', '-', experiment)}"


def is_database(records: str) -> bool:
    """Whether records are a database file, which has a folder beside it."""
    return records.startswith(_DATABASE)


def database_of(records: str) -> Path:
    """The file of a database."""
    return Path(unquote(records.removeprefix(_DATABASE).partition("?")[0])).absolute()


def artifacts_beside(records: str) -> Path:
    """The folder of the artifacts beside a database."""
    return database_of(records).parent / _ARTIFACTS


def without_home(text: str) -> str:
    """A text without the place of the user's folders: what is noted may be read on another machine.

    Examples
    --------
    >>> without_home(f"weights of {Path.home()}/desk/agent.bin")
    'weights of ~/desk/agent.bin'
    """
    place = str(Path.home())
    return text.replace(f"{place}/", "~/") if place != "/" else text


def resolve_beside_database() -> None:
    """Let MLflow in this process find such artifacts where its records are a database; asked again, nothing changes."""
    from mlflow.store.artifact.artifact_repository_registry import get_registered_artifact_repositories

    known: dict[str, Any] = get_registered_artifact_repositories()
    known[SCHEME] = _repository


def _repository(artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None) -> Any:
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
    from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository
    from mlflow.tracking import get_tracking_uri

    records = tracking_uri or get_tracking_uri()
    if not is_database(records):
        return MlflowArtifactsRepository(artifact_uri, tracking_uri=tracking_uri, registry_uri=registry_uri)
    folder = artifacts_beside(records) / urlsplit(artifact_uri).path.lstrip("/")
    return LocalArtifactRepository(folder.as_uri(), tracking_uri=tracking_uri, registry_uri=registry_uri)
