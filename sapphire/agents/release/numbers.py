"""Numbers: what the views of a release are computed in, and how far its golden outputs may be apart elsewhere.

What bounds a release is what is found in its files, never what it says of itself: the types of its arrays, whether its
code imports torch, and the half types that this code names. A release states its tolerance, and may state a closer one.

Measured between the AVX-512, AVX2 and SSE kernels of one processor (tests/bench/number_types.py), the worst relative
difference of transformers of 2 and 6 layers, and of matrix products in NumPy: 6e-7 and 2e-6 in float32, 1.1e-3 in
float16, 8e-3 in bfloat16. In float64 torch is 9e-16 apart between AVX-512 and AVX2, and 3e-7 on SSE alone, which is
refused. Elementwise float64 in NumPy repeats itself to the last bit, and that is asked of it.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sapphire.agents.release.packages import packages_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from sapphire.agents.release.code import AgentCode

__all__ = ["WIDEST", "Numbers"]

WIDEST: Mapping[str, Mapping[str, float]] = {
    "numpy": {"float64": 0.0, "float32": 1e-5, "float16": 1e-2},
    "torch": {"float64": 1e-9, "float32": 1e-5, "float16": 1e-2, "bfloat16": 5e-2},
}
"""The largest relative difference by runtime and type: some five times what was measured, in a round number."""

_HALVES = {"float16": "float16", "half": "float16", "bfloat16": "bfloat16"}
"""Names by which code for torch asks for a half type: torch.half, model.bfloat16()."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """What views are computed in.

    Parameters
    ----------
    runtime : "numpy" or "torch".
    type : the coarsest floating type, "float32".

    Examples
    --------
    >>> Numbers("torch", "float32").widest
    1e-05
    """

    runtime: str
    type: str

    def __str__(self) -> str:
        return f"{self.type} by {self.runtime}"

    @property
    def widest(self) -> float:
        """The largest relative difference that golden outputs in it may have."""
        return WIDEST[self.runtime][self.type]

    @property
    def is_known(self) -> bool:
        """Whether there is a rule for it."""
        return self.type in WIDEST.get(self.runtime, {})

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]], code: AgentCode) -> Numbers:
        """What an agent computes in: the coarsest type of what it learned and, in torch, of what its code names.

        Parameters
        ----------
        arrays : what it learned.
        code : its captured files.
        """
        runtime = "torch" if "torch" in packages_of(code) else "numpy"
        types = {"float64", *(array.dtype.name for array in arrays.values())}
        if runtime == "torch":
            types |= set(_half_types(code))
        widest = WIDEST[runtime]
        return cls(runtime, max(types & widest.keys(), key=widest.__getitem__))


def _half_types(code: AgentCode) -> Iterator[str]:
    """The half types that the captured files name as an attribute."""
    for text in (code.text, *code.modules.values()):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute) and node.attr in _HALVES:
                yield _HALVES[node.attr]
