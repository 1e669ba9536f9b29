"""Model files: what makes a release a model that MLflow can load, beside the release's own files.

    MLmodel                      flavour `python_function`, signature, the release's digest
    release_model.py             the model, from code: it asks `sapphire.serving` for views
    input_example.json           a made-up window of the right shape
    requirements.txt, *.yaml     pinned packages; Sapphire itself is in none, because the name is a stranger's there
    artifacts/release/           the release, to the byte

MLflow decides how the files look. No place of this machine is kept in them.
"""

from __future__ import annotations

import logging
import math
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapphire.domain.errors import EvidenceRefused
from sapphire.domain.intervals import Interval
from sapphire.registry.release_files import keep_release

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature

    from sapphire.domain.releases import Manifest

__all__ = ["release_within", "write_model"]

_RELEASE = "release"
_CODE = Path(__file__).parent / "templates" / "release_model.py"
_MLMODEL = "MLmodel"
_OTHERS = frozenset({"release_model.py", "input_example.json", "serving_input_example.json", "requirements.txt"})
_FILES = _OTHERS | {_MLMODEL, "conda.yaml", "python_env.yaml", "artifacts"}
"""What stands in the folder of a model."""
_PACKAGES = ("mlflow", "cryptography", "numpy", "pandas", "pyarrow", "pydantic", "safetensors", "valkey")
"""What a server of the model needs besides Sapphire."""
_TORCH = re.compile(rb"^\s*(import|from)\s+torch\b", re.MULTILINE)
_EXAMPLE_START = "2025-01-01"
_INPUT = {"open_time": "datetime", "symbol": "string"} | dict.fromkeys(
    ("open", "high", "low", "close", "volume"), "double"
)
_OUTPUT = {"as_of": "datetime", "symbol": "string", "agent": "string", "horizon_s": "double"}
_STATED = {"score": "double", "mean_bps": "double", "std_bps": "double", "quantiles_bps": "string"}
"""One of them is stated: a score, a mean with its deviation, or quantiles."""


def write_model(folder: Path, release: Path, *, stage: str, run_id: str, model_id: str) -> None:
    """Write a release and what MLflow needs to load it into a new folder.

    Parameters
    ----------
    folder : is made.
    release : a release, as it was frozen; verified.
    stage : what its gate report must permit where it is loaded, "paper" or "live".
    run_id, model_id : what MLflow calls the run and the model.

    Raises
    ------
    EvidenceRefused : the release does not verify.
    """
    import mlflow.pyfunc
    from mlflow.models import Model

    with tempfile.TemporaryDirectory() as temporary, _quiet():
        kept = Path(temporary) / _RELEASE
        manifest = keep_release(release, kept)
        mlflow.pyfunc.save_model(
            path=folder,
            python_model=str(_CODE),
            artifacts={_RELEASE: str(kept)},
            model_config={"release": manifest.digest, "stage": stage},
            mlflow_model=Model(run_id=run_id, model_id=model_id, metadata={"release": manifest.digest}),
            signature=_signature(),
            input_example=_example(manifest),
            pip_requirements=_pins(kept),
        )
    _forget_places(folder / _MLMODEL)


def release_within(folder: Path, digest: str) -> Path:
    """The folder of the release in what MLflow holds: below a model's files, or all of it in versions without them.

    Raises
    ------
    EvidenceRefused : there is something beside a model's files that is none of them.
    """
    if not (folder / _MLMODEL).is_file():
        return folder
    inside = folder / "artifacts"
    strange = {entry.name for entry in folder.iterdir()} - _FILES
    strange |= {f"artifacts/{entry.name}" for entry in inside.glob("*") if entry.name != _RELEASE}
    if strange:
        raise EvidenceRefused(
            f"the model of release {digest[:12]} has files that are not its own",
            expected=", ".join(sorted(_FILES)),
            got=", ".join(sorted(strange)),
            next="find out who put them there; submit the study again",
        )
    return inside / _RELEASE


def _signature() -> ModelSignature:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    def schema(always: Mapping[str, str], sometimes: Mapping[str, str]) -> Schema:
        made = [ColSpec(DataType[kind], name, required=True) for name, kind in always.items()]
        return Schema([*made, *(ColSpec(DataType[kind], name, required=False) for name, kind in sometimes.items())])

    return ModelSignature(schema(_INPUT, {}), schema(_OUTPUT, _STATED))


def _example(manifest: Manifest) -> pd.DataFrame:
    """A window that the release takes: its universe, its warm-up of bars, prices that are made up."""
    import pandas as pd

    bars = max(agent.warmup for agent in manifest.agents)
    times = pd.date_range(_EXAMPLE_START, periods=bars, freq=Interval(manifest.interval).timedelta)
    rows = [
        (time, symbol, last, max(last, price) * 1.001, min(last, price) * 0.999, price, 10.0)
        for row, time in enumerate(times)
        for place, symbol in enumerate(manifest.universe)
        for last, price in [(_price(row - 1, place), _price(row, place))]
    ]
    return pd.DataFrame(rows, columns=[*_INPUT])


def _price(row: int, place: int) -> float:
    return round((100.0 + 10.0 * place) * (1.0 + 0.01 * math.sin(row / (5.0 + place))), 4)


def _pins(release: Path) -> list[str]:
    """Every package with the version that is installed here."""
    torch = any(_TORCH.search(path.read_bytes()) for path in release.rglob("*.py"))
    return [f"{name}=={version(name).partition('+')[0]}" for name in (*_PACKAGES, *(["torch"] if torch else []))]


def _forget_places(path: Path) -> None:
    """Take the folders of this machine out of what MLflow notes."""
    import yaml  # type: ignore[import-untyped]

    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    flavour = content["flavors"]["python_function"]
    flavour["model_code_path"] = Path(flavour["model_code_path"]).name
    for artifact in flavour["artifacts"].values():
        artifact["uri"] = artifact["path"]
    path.write_text(yaml.safe_dump(content, sort_keys=True, default_flow_style=False), encoding="utf-8")


@contextmanager
def _quiet() -> Iterator[None]:
    """MLflow says what it is about to do, which nobody asked."""
    logger = logging.getLogger("mlflow.pyfunc")
    before, logger.level = logger.level, logging.WARNING
    try:
        yield
    finally:
        logger.level = before
