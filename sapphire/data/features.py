"""Features: numbers made of closed bars, the same in training and in serving.

Each is a pure function of frames, close time by symbol. Row t is made of the rows t - n + 1 to t alone, added up in the
same order whatever stands before or after them, so the value computed over years of bars and the value computed from
the window that a service sees are the same to the last bit. A row without enough bars before it, or with one that is
not listed, is NaN. Rows are bars: where the panel has a gap, n bars span more time.

A change of any formula raises its version; a release names the versions it was fitted with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sapphire.domain.bars import Bars, Field
from sapphire.domain.errors import ValueRefused
from sapphire.domain.windows import Feature, Window

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "FORMULAS",
    "FeatureSet",
    "Formula",
    "formula_of",
    "log_return",
    "momentum_z",
    "realised_volatility",
    "volume_z",
]


def log_return(close: pd.DataFrame, *, bars: int) -> pd.DataFrame:
    r"""Log return over `bars` bars.

    .. math:: r_t = \ln P_t - \ln P_{t-n}

    Parameters
    ----------
    close : closes, time by symbol.
    bars : n, one or more.

    Examples
    --------
    >>> import pandas as pd
    >>> log_return(pd.DataFrame({"BTC/USDT": [100.0, 110.0, 121.0]}), bars=2).round(4)["BTC/USDT"].tolist()
    [nan, nan, 0.1906]
    """
    _at_least(bars, 1)
    return _like(close, _change(_logs(close), bars))


def realised_volatility(close: pd.DataFrame, *, bars: int) -> pd.DataFrame:
    r"""Root of the mean squared one-bar log return over `bars` bars, per bar; not annualised, mean not removed.

    .. math:: \sigma_t = \sqrt{\tfrac{1}{n} \sum_{i=0}^{n-1} r_{t-i}^2}

    References
    ----------
    Andersen, Bollerslev, Diebold and Labys (2003), Modeling and Forecasting Realized Volatility, Econometrica 71.

    Examples
    --------
    >>> import pandas as pd
    >>> realised_volatility(pd.DataFrame({"A": [1.0, 1.1, 1.0]}), bars=2).round(4)["A"].tolist()
    [nan, nan, 0.0953]
    """
    _at_least(bars, 1)
    returns = _change(_logs(close), 1)
    return _like(close, np.sqrt(_trailing_sum(returns * returns, bars) / bars))


def momentum_z(close: pd.DataFrame, *, bars: int) -> pd.DataFrame:
    r"""Log return over `bars` bars in units of its own volatility.

    .. math:: z_t = \frac{\ln P_t - \ln P_{t-n}}{\sigma_t \sqrt{n}}

    with the realised volatility of the same n bars. It lies between :math:`-\sqrt{n}` and :math:`\sqrt{n}`. A market
    that did not move has no direction: NaN.

    Examples
    --------
    >>> import pandas as pd
    >>> momentum_z(pd.DataFrame({"A": [1.0, 1.1, 1.21]}), bars=2).round(4)["A"].tolist()
    [nan, nan, 1.4142]
    """
    _at_least(bars, 2)
    logs = _logs(close)
    returns = _change(logs, 1)
    scale = np.sqrt(_trailing_sum(returns * returns, bars))
    return _like(close, _divided(_change(logs, bars), scale))


def volume_z(volume: pd.DataFrame, *, bars: int) -> pd.DataFrame:
    r"""How unusual the last bar's volume is among the last `bars`, itself among them.

    .. math:: z_t = \frac{v_t - \bar v}{s_v}, \quad v = \ln(1 + V)

    with mean and standard deviation (n - 1) over n bars; NaN where the volume does not vary.

    Examples
    --------
    >>> import pandas as pd
    >>> volume_z(pd.DataFrame({"A": [0.0, 0.0, 1.0]}), bars=3).round(4)["A"].tolist()
    [nan, nan, 1.1547]
    """
    _at_least(bars, 2)
    logs = np.log1p(np.ascontiguousarray(volume.to_numpy(np.float64)))
    below = np.zeros_like(logs)  # distances from the last bar, exactly zero where the volume does not vary
    for lag in range(bars):
        below += logs - _lagged(logs, lag)
    above_mean = below / bars
    squares = np.zeros_like(logs)
    for lag in range(bars):
        squares += (_lagged(logs, lag) - logs + above_mean) ** 2
    return _like(volume, _divided(above_mean, np.sqrt(squares / (bars - 1))))


@dataclass(frozen=True, slots=True)
class Formula:
    """A feature function with its version.

    Parameters
    ----------
    name : how it is asked for; the number of bars follows, "log_return_24".
    version : raised by every change of the formula.
    field : which field of the bars it reads.
    compute : the function, frame to frame, with the argument `bars`.
    depth : bars that one row needs, given n.
    """

    name: str
    version: int
    field: Field
    compute: Callable[..., pd.DataFrame]
    depth: Callable[[int], int]


FORMULAS: Mapping[str, Formula] = {
    formula.name: formula
    for formula in (
        Formula("log_return", 1, "close", log_return, lambda bars: bars + 1),
        Formula("realised_volatility", 1, "close", realised_volatility, lambda bars: bars + 1),
        Formula("momentum_z", 1, "close", momentum_z, lambda bars: bars + 1),
        Formula("volume_z", 1, "volume", volume_z, lambda bars: bars),
    )
}
"""Every feature there is, by name."""


class FeatureSet(Mapping[str, Feature]):
    """Named features, as a `Window` takes them.

    Parameters
    ----------
    names : "log_return_24" and the like: a formula's name and its number of bars.

    Raises
    ------
    ValueRefused : a name that no formula has.

    Examples
    --------
    >>> FeatureSet(["log_return_24", "volume_z_168"]).version  # Window(bars, as_of, FeatureSet([...]))
    'log_return_24@1 volume_z_168@1'
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._formulas = {name: _parse(name) for name in names}

    def __getitem__(self, name: str) -> Feature:
        formula, bars = self._formulas[name]

        def compute(window: Window) -> pd.DataFrame:
            return formula.compute(window.panel(formula.field), bars=bars)

        return compute

    def __iter__(self) -> Iterator[str]:
        return iter(self._formulas)

    def __len__(self) -> int:
        return len(self._formulas)

    def __repr__(self) -> str:
        return f"FeatureSet({list(self._formulas)})"

    @property
    def version(self) -> str:
        """Each feature with the version of its formula, by name: what a release records."""
        return " ".join(f"{name}@{formula.version}" for name, (formula, _) in sorted(self._formulas.items()))

    @property
    def warmup(self) -> int:
        """Bars that a window must hold so that the last row of every feature can be had."""
        return max((formula.depth(bars) for formula, bars in self._formulas.values()), default=0)

    def panel(self, bars: Bars) -> dict[str, pd.DataFrame]:
        """Every feature over a whole panel, for training; row t is what a window that ends at t gives."""
        frames: dict[str, pd.DataFrame] = {}
        for name, (formula, length) in self._formulas.items():
            frames[name] = formula.compute(bars.frame(formula.field), bars=length)
        return frames


def formula_of(name: str) -> tuple[Formula, int] | None:
    """The formula and the number of bars that a feature is named by; None where no formula has that name.

    Examples
    --------
    >>> formula_of("volume_z_168")[0].name, formula_of("volume_z_168")[1], formula_of("funding_rate")
    ('volume_z', 168, None)
    """
    match = re.fullmatch(r"([a-z_]+)_([1-9][0-9]{0,4})", name, re.ASCII)
    return None if match is None or match[1] not in FORMULAS else (FORMULAS[match[1]], int(match[2]))


def _parse(name: str) -> tuple[Formula, int]:
    found = formula_of(name)
    if found is None:
        raise ValueRefused(
            "unknown feature",
            expected="a formula and its number of bars: " + ", ".join(f"{known}_24" for known in FORMULAS),
            got=repr(name),
        )
    return found


def _at_least(bars: int, least: int) -> None:
    if bars < least:
        raise ValueRefused("too few bars for the feature", expected=f"{least} or more", got=str(bars))


def _logs(close: pd.DataFrame) -> NDArray[np.float64]:
    logs: NDArray[np.float64] = np.log(np.ascontiguousarray(close.to_numpy(np.float64)))
    return logs


def _change(values: NDArray[np.float64], bars: int) -> NDArray[np.float64]:
    return values - _lagged(values, bars)


def _lagged(values: NDArray[np.float64], lag: int) -> NDArray[np.float64]:
    """Row t - lag in row t; NaN where there is none."""
    lagged = np.full_like(values, np.nan)
    lagged[lag:] = values[: max(0, len(values) - lag)]
    return lagged


def _trailing_sum(values: NDArray[np.float64], bars: int) -> NDArray[np.float64]:
    """Sum of the last `bars` rows, always latest first: a running sum would carry the rounding of all rows before."""
    total = np.zeros_like(values)
    for lag in range(bars):
        total += _lagged(values, lag)
    return total


def _divided(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quotient; NaN where the divisor is zero."""
    quotient = np.full_like(above, np.nan)
    np.divide(above, below, out=quotient, where=below > 0)
    return quotient


def _like(frame: pd.DataFrame, values: NDArray[np.float64]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(values, index=frame.index, columns=frame.columns)
