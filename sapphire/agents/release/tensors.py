"""Arrays as the bytes of a safetensors file: numbers only, no pickle, the same arrays the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.domain.errors import AgentError, EvidenceRefused

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["read_tensors", "write_tensors"]

_WIDTHS = {"int": (8, 16, 32, 64), "uint": (8, 16, 32, 64), "float": (16, 32, 64)}
_STORED = ("bool", *(f"{kind}{width}" for kind, widths in _WIDTHS.items() for width in widths))


def write_tensors(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The arrays as safetensors.

    Raises
    ------
    AgentError : an array of a type that the format does not have.

    Examples
    --------
    >>> arrays = {"b": np.arange(3), "a": np.array([True, False])}
    >>> write_tensors(arrays) == write_tensors(dict(reversed(arrays.items())))
    True
    """
    from safetensors.numpy import save

    plain: dict[str, NDArray[Any]] = {}
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name]).reshape(arrays[name].shape)
        if array.dtype.name not in _STORED:
            raise AgentError(
                f"array {name!r} cannot travel in a release",
                expected="one of " + ", ".join(_STORED),
                got=str(array.dtype),
                next="fit with another type, or convert it in arrays() and with_arrays()",
            )
        plain[name] = array.astype(array.dtype.newbyteorder("="), copy=False)
    return bytes(save(plain))


def read_tensors(data: bytes, *, what: str) -> dict[str, NDArray[Any]]:
    """The arrays that `data` holds.

    Parameters
    ----------
    what : the file, for the message.

    Raises
    ------
    EvidenceRefused : not safetensors.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return dict(load(data))
    except SafetensorError as error:
        raise EvidenceRefused(
            f"{what} is not safetensors", expected="named arrays of numbers", got=str(error), next="freeze it again"
        ) from None
