"""A team's MLflow server: MLflow's own application with its users, on PostgreSQL, behind the guard.

It is one process. `/health` answers anybody, for probes; `/metrics` and all else ask for a user.
"""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

from sapphire.registry.mlflow_folder import mlflow_file
from sapphire.registry.team.guard import guard
from sapphire.registry.team.settings import ADMIN_VARIABLE, KEY_VARIABLE, TeamServer
from sapphire.registry.tracking.connection import QUIET
from sapphire.registry.tracking.serving import open_on_models, tell_mlflow

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["application", "serve"]

_PATIENCE_S = 5
_INI = "server/basic_auth.ini"
_PRIVATE = ("10.*", "192.168.*", *(f"172.{second}.*" for second in range(16, 32)))
_ALWAYS = (*(f"{name}{port}" for name in ("localhost", "127.0.0.1", "[[]::1]") for port in ("", ":*")), *_PRIVATE)
"""What MLflow's server answers to unless it is told names: then it is to those alone (patterns of fnmatch)."""


def serve(server: TeamServer, *, port: int, bind: str = "127.0.0.1") -> None:
    """Serve a team's MLflow until asked to end.

    Parameters
    ----------
    port, bind : where it listens.

    Raises
    ------
    ConfigError : the database does not answer.
    """
    import uvicorn

    server.require_database()
    with tempfile.TemporaryDirectory(prefix="mlflow-metrics-") as metrics:
        uvicorn.run(application(server, metrics=metrics), host=bind, port=port, timeout_graceful_shutdown=_PATIENCE_S)


def application(server: TeamServer, *, metrics: str) -> FastAPI:
    """MLflow's application for a team. Once per process: it reads its settings from the environment.

    Parameters
    ----------
    metrics : folder in which it counts requests.
    """
    os.environ |= {
        **QUIET,
        ADMIN_VARIABLE: server.admin_password,
        KEY_VARIABLE: server.secret_key,
        "MLFLOW_AUTH_CONFIG_PATH": str(mlflow_file(_INI)),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join((*_ALWAYS, *server.allowed_hosts)),
        "PROMETHEUS_MULTIPROC_DIR": metrics,
        "prometheus_multiproc_dir": metrics,
        "_MLFLOW_SGI_NAME": "uvicorn",
    }
    tell_mlflow(server.database, server.artifacts)
    from mlflow.server import app as flask
    from mlflow.server import auth

    auth.auth_config = auth.auth_config._replace(database_uri=server.database)
    served: FastAPI = auth.create_app(flask)
    guard(flask)
    open_on_models()
    return served
