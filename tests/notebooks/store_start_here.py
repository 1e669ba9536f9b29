"""Run 00_start_here and store it with its outputs: tables and still pictures, nothing that runs.

`make notebook` does it. The notebook that people open is live all the same: run again, it draws its own figures.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from still import picture

from sapphire.monitoring.telling.running import run_notebook

__all__ = ["MOST_BYTES", "NOTEBOOK", "output_bytes", "stilled", "store"]

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "00_start_here.ipynb"
MOST_BYTES = 150_000
"""Of all stored outputs together."""
_PLOTLY = "application/vnd.plotly.v1+json"
_KEPT = ("text/html", "text/plain", "image/png")


def stilled(notebook: dict[str, Any]) -> dict[str, Any]:
    """A run notebook with pictures in place of figures, and nothing in it of the run but what it shows."""
    for cell in notebook["cells"]:
        cell["metadata"] = {"tags": ["parameters"]} if "parameters" in cell["metadata"].get("tags", ()) else {}
        if cell["cell_type"] != "code":
            continue
        cell["execution_count"] = None
        kept = [each for each in cell["outputs"] if each["output_type"] != "stream" or each["name"] == "stdout"]
        for output in kept:
            if output["output_type"] == "stream":
                continue
            drawn = output["data"].pop(_PLOTLY, None)
            if drawn is not None:
                still = picture(drawn)
                output["data"] = {"image/png": base64.b64encode(still).decode(), "text/plain": ["a figure"]}
            output["data"] = {kind: value for kind, value in output["data"].items() if kind in _KEPT}
            if "text/html" in output["data"]:  # the same table once more
                output["data"].pop("text/plain", None)
            output["metadata"] = {}
            if output["output_type"] == "execute_result":
                output["execution_count"] = None
        cell["outputs"] = kept
    notebook["metadata"] = {name: notebook["metadata"][name] for name in ("kernelspec", "language_info")}
    return notebook


def output_bytes(notebook: dict[str, Any]) -> int:
    """Bytes of all outputs as they are stored."""
    return sum(len(json.dumps(cell["outputs"])) for cell in notebook["cells"] if cell["cell_type"] == "code")


def store(source: Path, target: Path, parameters: dict[str, Any], *, cwd: Path) -> int:
    """Run `source` in a state folder of its own, and write it to `target` with its outputs; their bytes.

    Parameters
    ----------
    parameters : injected into the run, and left out of what is stored.
    """
    with tempfile.TemporaryDirectory() as scratch:
        ran = Path(scratch) / source.name
        state = {"SAPPHIRE_HOME": os.environ.get("SAPPHIRE_HOME", str(Path(scratch) / "home"))}
        run_notebook(source, ran, parameters, cwd=cwd, environment=state)
        notebook = json.loads(ran.read_text("utf-8"))
    notebook["cells"] = [
        cell for cell in notebook["cells"] if "injected-parameters" not in cell["metadata"].get("tags", ())
    ]
    stored = stilled(notebook)
    target.write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return output_bytes(stored)


if __name__ == "__main__":
    os.environ.pop("SAPPHIRE_HOME", None)
    written = store(NOTEBOOK, NOTEBOOK, {}, cwd=NOTEBOOK.parents[1])
    sys.stdout.write(f"{NOTEBOOK.name} is stored with {written:,} bytes of outputs, of {MOST_BYTES:,} at most\n")
    sys.exit(written > MOST_BYTES)
