"""Running notebooks by papermill: parameters checked, progress told, results read back."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sapphire.domain.errors import ConfigError, StudyError
from sapphire.registry.tracking import NOTEBOOK_VARIABLE
from sapphire.research.results.showing import RESULT_MIME

__all__ = ["import_nbformat", "results_of", "run_notebook"]


def run_notebook(
    source: Path,
    target: Path,
    parameters: Mapping[str, Any],
    *,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
    cell_within_s: int | None = 600,
) -> None:
    """Run `source` with `parameters` and keep what was run at `target`; `source` is not changed.

    Parameters
    ----------
    environment : variables that the kernel has beside those of this process.
    cell_within_s : how long a cell may take; None is as long as it takes.

    Raises
    ------
    ConfigError : a parameter that the notebook does not have.
    StudyError : a cell failed; the notebook at `target` shows where.
    """
    import_nbformat()
    import papermill
    from papermill.exceptions import PapermillExecutionError

    known = papermill.inspect_notebook(str(source))
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise ConfigError(
            f"{source.name} has no parameter {', '.join(unknown)}",
            expected="some of " + ", ".join(known),
            got=", ".join(parameters),
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    # The kernel inherits it: a run in the registry names its notebook.
    with _variables({**(environment or {}), NOTEBOOK_VARIABLE: source.name}):
        try:
            papermill.execute_notebook(
                str(source),
                str(target),
                parameters=dict(parameters),
                kernel_name="python3",
                cwd=str(cwd),
                progress_bar=False,
                execution_timeout=cell_within_s,
                extra_arguments=["--IPKernelApp.log_level=50"],
            )
        except PapermillExecutionError as failed:
            raise StudyError(
                f"{source.name} failed in cell {failed.exec_count}",
                got=f"{failed.ename}: {failed.evalue}",
                next=f"open {target}",
            ) from failed


def import_nbformat() -> None:
    """Import nbformat, before papermill does, in a tenth of the time.

    jsonschema, by which it checks notebooks, would import `rfc3987_syntax` where that is there, which builds a grammar
    of IRIs for a second of each process. jsonschema can do without it, and no schema of a notebook asks for an IRI.
    """
    optional = "rfc3987_syntax"
    if "jsonschema" in sys.modules or optional in sys.modules:
        return
    sys.modules[optional] = None  # type: ignore[assignment]  # as Python says that there is none
    try:
        import nbformat  # noqa: F401
    finally:
        sys.modules.pop(optional, None)


def results_of(notebook: Path) -> Iterator[dict[str, Any]]:
    """The results that a run notebook shows, as plain values, in order."""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", ()):
            found = output.get("data", {}).get(RESULT_MIME)
            if found is not None:
                yield found


@contextmanager
def _variables(given: Mapping[str, str]) -> Iterator[None]:
    """These environment variables, and afterwards what was there before."""
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
