"""What vectorbt made of a position, from one look to the next: it takes longer to import than to keep an account.

The name of a file holds the position itself and the whole market that it trades on (`kept`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import zipfile
from typing import TYPE_CHECKING

import numpy as np

from sapphire.research.runs.accounts import Account
from sapphire.research.runs.kept import kept_files

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapphire.research.runs.accounts import ScreenMarket

__all__ = ["kept_account"]

_FORM = 1


def kept_account(market: ScreenMarket, position: NDArray[np.bool_]) -> Account:
    """The account of a position [T, S], as it was kept before where it was."""
    files = kept_files("screens", ".npz")
    digest = hashlib.sha256(np.packbits(position).tobytes())
    numbers = {}
    for name in (each.name for each in dataclasses.fields(market)):
        value = getattr(market, name)
        if isinstance(value, np.ndarray):
            digest.update(value.tobytes())
        else:
            numbers[name] = str(value) if name == "interval" else float(value)
    path = files.path({"form": _FORM, "arrays": digest.hexdigest(), "shape": position.shape, **numbers})
    data = files.read(path)
    if data is not None:
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                traded, fees, fills = arrays["sums"]
                return Account(arrays["equity"], float(traded), float(fees), int(fills))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):  # cut off, or written by another
            pass
    account = market.account(position)
    made = io.BytesIO()
    np.savez(made, equity=account.equity, sums=np.array([account.traded, account.fees, account.fills]))
    files.write(path, made.getvalue())
    return account
