"""vLLM's own server on weights that verify: the words that run it, and what must be there first.

A server takes a share of one GPU's memory, so that two of them fit on one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sapphire.domain.errors import ConfigError, NotReady
from sapphire.serving.weights import Weights, verified, weights_of

__all__ = ["VllmServer"]

_PORT = 8000
"""On this machine alone: BentoML stands in front."""
_SHARE, _LENGTH = 0.45, 8_192


@dataclass(frozen=True, slots=True)
class VllmServer:
    """One server of a large model.

    Parameters
    ----------
    weights : what it serves, with their digest.
    root : the shared folder in which they lie.
    share : of the GPU's memory, above 0 to 1.
    length : tokens of prompt and answer together.

    Raises
    ------
    ConfigError : a number that cannot be meant.
    """

    weights: Weights
    root: Path
    share: float = _SHARE
    length: int = _LENGTH

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0:
            raise ConfigError("no share of a GPU's memory", expected="above 0 to 1", got=f"{self.share}")
        if self.length < 1:
            raise ConfigError("no length of a model's context", expected="1 token or more", got=f"{self.length}")

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> VllmServer:
        """The server that an environment names: SAPPHIRE_MODEL, _MODEL_REVISION, _MODEL_SHA256, SAPPHIRE_WEIGHTS (the
        folder), and SAPPHIRE_GPU_SHARE and SAPPHIRE_MODEL_LENGTH where they differ from 0.45 and 8192.

        Raises
        ------
        ConfigError : something is missing, or is no number.
        """
        root = variables.get("SAPPHIRE_WEIGHTS", "")
        if not Path(root).is_absolute():
            raise ConfigError("SAPPHIRE_WEIGHTS names no folder", expected="an absolute path", got=repr(root))
        try:
            share = float(variables.get("SAPPHIRE_GPU_SHARE") or _SHARE)
            length = int(variables.get("SAPPHIRE_MODEL_LENGTH") or _LENGTH)
        except ValueError as error:
            raise ConfigError(
                "SAPPHIRE_GPU_SHARE or SAPPHIRE_MODEL_LENGTH is no number",
                expected="a share (0.45) and a number of tokens (8192)",
                got=str(error),
            ) from None
        return cls(weights_of(variables), Path(root), share, length)

    def command(self) -> list[str]:
        """The words that run it, after what it needs was seen: a GPU, and weights that verify.

        Raises
        ------
        NotReady : this machine has no GPU.
        ConfigError, MissingData, EvidenceRefused : as `verified`.
        """
        _require_gpu()
        return self.words(verified(self.weights, self.root))

    def words(self, folder: Path) -> list[str]:
        """The words that run it on the weights in `folder`. No code of a model's repository runs."""
        return [
            "vllm",
            "serve",
            str(folder),
            "--served-model-name",
            self.weights.repository,
            "--host",
            "127.0.0.1",
            "--port",
            str(_PORT),
            "--load-format",
            "safetensors",
            "--gpu-memory-utilization",
            f"{self.share:g}",
            "--max-model-len",
            str(self.length),
            "--enable-prefix-caching",
        ]


def _require_gpu() -> None:
    import pynvml  # type: ignore[import-untyped]

    try:
        pynvml.nvmlInit()
        found = pynvml.nvmlDeviceGetCount()
        pynvml.nvmlShutdown()
    except pynvml.NVMLError as error:
        found, why = 0, str(error)
    else:
        why = "none"
    if not found:
        raise NotReady(
            "this machine has no GPU",
            expected="one that NVIDIA's driver shows (nvidia-smi lists it)",
            got=why,
            next="run it on a node with a GPU; the runners cpu and cpu-torch need none",
        )
