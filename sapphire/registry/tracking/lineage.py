"""Where a run came from. MLflow itself notes neither commit nor notebook of a run that was started in a notebook."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sapphire.registry.environment import GitState

__all__ = ["NOTEBOOK_VARIABLE", "lineage_tags", "notebook_name"]

NOTEBOOK_VARIABLE = "SAPPHIRE_NOTEBOOK"
"""Environment variable that names the notebook where Jupyter does not: reports run by papermill."""

_JUPYTER_VARIABLE = "JPY_SESSION_NAME"


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
