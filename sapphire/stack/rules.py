"""Ticks and lots of a run's symbols as prices and coins, by the rules that the run was started with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sapphire.domain.errors import ConfigError
from sapphire.stack.folders import RunFolder

__all__ = ["Rules", "plain"]

_ATOMS_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Rules:
    """Steps of price and quantity by symbol.

    Parameters
    ----------
    steps : symbol to its tick (quote) and its lot (base).
    """

    steps: Mapping[str, tuple[Decimal, Decimal]]

    @classmethod
    def of(cls, run: RunFolder) -> Rules:
        """The rules of the run in a folder; none where no stack came up there yet.

        Raises
        ------
        ConfigError : the settings that hold them are damaged.
        """
        path = run.settings("coordinator")
        try:
            return cls.of_rows(json.loads(path.read_bytes())["instruments"])
        except FileNotFoundError:
            return cls({})
        except (ValueError, KeyError, TypeError, ArithmeticError) as error:
            raise ConfigError(
                f"damaged settings in {path}",
                expected="the symbols of the run with their ticks and lots",
                got=f"{type(error).__name__}: {error}",
            ) from None

    @classmethod
    def of_rows(cls, rows: Iterable[Mapping[str, str]]) -> Rules:
        """The rules of instruments, as the coordinator's settings name them."""
        return cls({row["symbol"]: (Decimal(row["tick"]), Decimal(row["lot"])) for row in rows})

    def price(self, symbol: str, ticks: str | int) -> str | None:
        """Quote per base, in plain digits; None for a symbol that the run does not trade.

        Examples
        --------
        >>> rules = Rules({"BTC/USDT": (Decimal("0.01"), Decimal("0.00001"))})
        >>> rules.price("BTC/USDT", "6425010"), rules.quantity("BTC/USDT", 50_000), rules.price("ETH/USDT", 1)
        ('64250.10', '0.5', None)
        """
        step = self.steps.get(symbol)
        return None if step is None else f"{int(ticks) * step[0]:f}"

    def quantity(self, symbol: str, lots: str | int) -> str | None:
        """Base, in plain digits without zeros at the end; None for a symbol that the run does not trade."""
        step = self.steps.get(symbol)
        return None if step is None else _trimmed(f"{int(lots) * step[1]:f}")

    def named(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row of the service with prices and coins beside its ticks and lots.

        Every `ticks` gets a `price`, every `lots` a `quantity`, and what stands before the unit stays: `filled_lots`
        gets a `filled_quantity`.
        """
        named = dict(row)
        for key, value in row.items():
            if value is None or not isinstance(value, str | int):
                continue
            if key == "ticks":
                named["price"] = self.price(row["symbol"], value)
            elif key == "lots" or key.endswith("_lots"):
                named[f"{key.removesuffix('lots')}quantity"] = self.quantity(row["symbol"], value)
        return named


def plain(atoms: str | int) -> str:
    """Atoms of 1e-8 as a plain decimal, thousands apart.

    Examples
    --------
    >>> plain("123456789012"), plain(-5_000_000), plain(0)
    ('1,234.56789012', '-0.05', '0')
    """
    value = int(atoms)
    whole, part = divmod(abs(value), 10**_ATOMS_DIGITS)
    text = _trimmed(f"{whole:,}.{part:0{_ATOMS_DIGITS}d}")
    return f"-{text}" if value < 0 else text


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
