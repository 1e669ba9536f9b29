"""MLflow's own server on the records of a state folder, opening on models, and a thread that delivers waiting pages.

    python -m sapphire.registry.tracking.serving --home HOME --records URI --port PORT

Loading MLflow takes seconds, so a study leaves its pages in the outbox; while they are served they are delivered within
seconds. MLflow has no setting for what it opens on but the one that each browser remembers. So the page at the root
says what a browser that remembers nothing yet should take: the pages for models, the list of them first. What was
chosen in the browser stays. It is one process: nothing outlives it.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sapphire.registry.tracking.connection import URI_VARIABLE, Tracking
from sapphire.registry.tracking.outbox import Outbox
from sapphire.registry.tracking.places import SCHEME

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["application", "open_on_models", "opening", "serve", "tell_mlflow"]

_LOOK_EVERY_S = 1.0
_PATIENCE_S = 1
_CHOICES = {
    "mlflow.workflowType_v1": '"machine_learning"',
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
    "_mlflow_model_registry_promo_modal_dismissed_v1": "true",
}
"""What MLflow's pages remember in a browser (3.17): their kind, and that their assistant and their news were shown."""


def serve(home: Path, records: str, *, port: int, bind: str = "127.0.0.1") -> None:
    """Serve the records of a state folder until asked to end.

    Parameters
    ----------
    port, bind : where it listens.

    Raises
    ------
    ConfigError : there is something at the place of the records that is no database of MLflow's.
    """
    import uvicorn

    environment = {URI_VARIABLE: records}
    tracking, outbox = Tracking.of(home, environment), Outbox(home, environment)
    tracking.client()
    served = application(tracking)
    ended = threading.Event()

    def deliver() -> None:
        while not ended.wait(_LOOK_EVERY_S):
            outbox.deliver()

    threading.Thread(target=deliver, name="outbox", daemon=True).start()
    try:
        uvicorn.run(served, host=bind, port=port, timeout_graceful_shutdown=_PATIENCE_S)
    finally:
        ended.set()


def application(tracking: Tracking) -> FastAPI:
    """MLflow's own application on these records, with a page at the root that opens on models.

    Artifacts are served by relative place, so a folder that was moved is served like before. MLflow's application reads
    its settings from the environment of the process.
    """
    tell_mlflow(tracking.uri, None if tracking.artifacts is None else str(tracking.artifacts))
    from mlflow.server.fastapi_app import app as served

    open_on_models()
    application: FastAPI = served
    return application


def tell_mlflow(records: str, artifacts: str | None) -> None:
    """Put into the environment where MLflow's server has its records and artifacts; before it is imported."""
    from mlflow.server import constants

    os.environ |= {
        constants.BACKEND_STORE_URI_ENV_VAR: records,
        constants.REGISTRY_STORE_URI_ENV_VAR: records,
        constants.ARTIFACT_ROOT_ENV_VAR: f"{SCHEME}:/",
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
    }
    if artifacts is not None:
        os.environ[constants.ARTIFACTS_DESTINATION_ENV_VAR] = artifacts


def open_on_models() -> None:
    """Let the page at the root of MLflow's server open on models, for whoever it lets see the page."""
    from flask import Response
    from mlflow.server import app as flask

    page = opening((Path(str(flask.static_folder)) / "index.html").read_text(encoding="utf-8"), _CHOICES)
    flask.view_functions["serve"] = lambda: Response(page, mimetype="text/html")


def opening(page: str, choices: Mapping[str, str]) -> str:
    """MLflow's page with choices for a browser that has made none, and with models for an address that names none."""
    script = (
        f"for (const [key, value] of Object.entries({json.dumps(dict(choices))}))"
        " if (localStorage.getItem(key) === null) localStorage.setItem(key, value);"
        ' if (!location.hash) location.replace("#/models");'
    )
    return page.replace("<head>", f"<head><script>{script}</script>", 1)


def _main() -> None:
    words = argparse.ArgumentParser(description="MLflow's pages of a state folder")
    words.add_argument("--home", type=Path, required=True)
    words.add_argument("--records", required=True)
    words.add_argument("--port", type=int, required=True)
    words.add_argument("--bind", default="127.0.0.1")
    asked = words.parse_args()
    serve(asked.home, asked.records, port=asked.port, bind=asked.bind)


if __name__ == "__main__":
    _main()
