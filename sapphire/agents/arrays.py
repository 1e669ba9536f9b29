"""Arrays: what an agent learned, as named arrays that nobody can change.

They travel in a release as safetensors, so only numbers fit: no object, no pickle.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapphire.domain.errors import AgentError

__all__ = ["Arrays"]

_KINDS = "biuf"  # booleans, integers, floats


class Arrays(Mapping[str, NDArray[Any]]):
    """Named arrays, read-only, equal when every name, type, shape and byte is.

    Parameters
    ----------
    arrays : name to an array of booleans, integers or floats; copied.

    Raises
    ------
    AgentError : an array of objects or text.

    Examples
    --------
    >>> Arrays({"mean": np.zeros(2)}) == Arrays({"mean": np.zeros(2)})
    True
    >>> Arrays({"mean": np.zeros(2)})
    Arrays(1 array, 2 values)
    """

    __slots__ = ("_arrays", "_digest")

    def __init__(self, arrays: Mapping[str, NDArray[Any]] | None = None) -> None:
        self._arrays: dict[str, NDArray[Any]] = {}
        self._digest = ""
        for name in sorted(arrays or {}):
            array = np.array((arrays or {})[name], order="C")
            if array.dtype.kind not in _KINDS:
                raise AgentError(
                    f"array {name!r} cannot be kept",
                    expected="booleans, integers or floats",
                    got=str(array.dtype),
                    next="keep words and settings as parameters, numbers as arrays",
                )
            array.setflags(write=False)
            self._arrays[name] = array

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Arrays) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        values = sum(array.size for array in self._arrays.values())
        return f"Arrays({len(self)} array{'' if len(self) == 1 else 's'}, {values:,} values)"

    @property
    def digest(self) -> str:
        """sha256 over names, types, shapes and bytes, names sorted."""
        if not self._digest:
            sha = hashlib.sha256()
            for name, array in self._arrays.items():
                little = array.astype(array.dtype.newbyteorder("<"), copy=False)
                sha.update(f"{name}\0{little.dtype.str}\0{array.shape}\0".encode())
                sha.update(little.tobytes())
            self._digest = sha.hexdigest()
        return self._digest

    def under(self, prefix: str) -> dict[str, NDArray[Any]]:
        """The arrays whose names start with `prefix` and a dot, without it."""
        start = f"{prefix}."
        return {name.removeprefix(start): array for name, array in self._arrays.items() if name.startswith(start)}

    def named(self, prefix: str) -> dict[str, NDArray[Any]]:
        """All arrays, each name behind `prefix` and a dot."""
        return {f"{prefix}.{name}": array for name, array in self._arrays.items()}
