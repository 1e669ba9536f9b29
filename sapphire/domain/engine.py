"""The door to the compiled engine: every room gets the extension module here."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from sapphire.domain.errors import EngineMissing

__all__ = ["load_engine"]

_MODULE = "sapphire_engine"


def load_engine() -> ModuleType:
    """The extension module `sapphire_engine`.

    Raises
    ------
    EngineMissing : it is not installed in this environment, or was built for another.
    """
    try:
        return import_module(_MODULE)
    except ImportError as error:
        raise EngineMissing(
            "the compiled engine is not installed",
            expected=f"an importable module {_MODULE}",
            got=str(error),
            next="make engine",
        ) from error
