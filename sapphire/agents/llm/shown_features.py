"""Shown features: what a window's features are called in a prompt, and in which unit they stand there.

In:    names of features, and a window.  Out: each one's latest value by symbol, and its words.
Never: shows what the window does not have, what is not finite, or what is older than the window's latest bar.

Snapshots have bars and documents, so the features that studies and releases know (`FORMULAS`) are made of bars. Funding
and the book have words here, and are shown where whoever makes the window gives it such a feature:
`Window(bars, as_of, {"funding_rate": settled})`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sapphire.domain.clocks import to_ns
from sapphire.domain.errors import AgentError

if TYPE_CHECKING:
    from sapphire.domain.windows import Window

__all__ = ["bars_needed", "feature_text", "latest_values", "require_names"]

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Words:
    """How one feature is shown.

    Parameters
    ----------
    label : what it is; `{bars}` is the number of bars of a formula.
    unit : what follows the number.
    digits : how the number is written.
    scale : by which the value is multiplied to be in that unit.
    """

    label: str
    unit: str
    digits: str
    scale: float = 1.0


_FORMULA_WORDS: Final = {
    "log_return": _Words("Return over {bars} bars", "bps", "+.0f", 1e4),
    "realised_volatility": _Words("Volatility of the last {bars} bars", "bps a bar", ".0f", 1e4),
    "momentum_z": _Words("Return over {bars} bars", "deviations", "+.1f"),
    "volume_z": _Words("Volume against its mean of {bars} bars", "deviations", "+.1f"),
}
_VENUE_WORDS: Final = {
    "funding_rate": _Words("Funding", "bps a settlement", "+.2f", 1e4),  # a fraction per settlement, as in the store
    "spread_bps": _Words("Spread of bid and ask", "bps", ".1f"),
    "depth_quote": _Words("Depth of the book", "of the quote coin", ",.0f"),
    "imbalance": _Words("Imbalance of the book", "from -1 (asks alone) to 1 (bids alone)", "+.2f"),
}


def require_names(names: object, agent: str) -> None:
    """Refuse what are no names of features.

    Raises
    ------
    AgentError : no tuple, a name that is none, or one that comes twice.
    """
    given = names if isinstance(names, tuple) else (None,)
    named = all(isinstance(each, str) and _NAME.fullmatch(each) for each in given)
    if named and len(set(given)) == len(given):
        return
    raise AgentError(
        f"features that {agent} shows",
        expected="a tuple of names in small letters, digits and _, each once",
        got=f"{names!r:.80}",
        next='shown_features=("momentum_z_24", "volume_z_168")',
    )


def bars_needed(names: tuple[str, ...]) -> int:
    """Bars that a window must hold so that the latest value of each can be had; one for what no formula makes.

    Examples
    --------
    >>> bars_needed(("log_return_24", "volume_z_24", "funding_rate")), bars_needed(())
    (25, 0)
    """
    from sapphire.data.features import formula_of

    found = [formula_of(name) for name in names]
    return max((1 if each is None else each[0].depth(each[1]) for each in found), default=0)


def latest_values(window: Window, name: str) -> dict[str, float]:
    """A feature at the window's latest bar, symbol to value; without symbols whose value is not finite.

    Empty where the window does not have the feature, or has no row of it at the close of its latest bar.

    Raises
    ------
    LeakFound : the feature has a row after `as_of`.
    """
    if name not in window.features or not len(window.bars):
        return {}
    frame = window.feature(name)
    if not len(frame.index) or to_ns(frame.index[-1]) != int(window.bars.close_time_ns[-1]):
        return {}
    latest: dict[Any, Any] = frame.iloc[-1].to_dict()
    return {str(symbol): float(value) for symbol, value in latest.items() if math.isfinite(value)}


def feature_text(name: str, value: float) -> str:
    """A value in words; under its own name where nobody gave it others.

    Examples
    --------
    >>> feature_text("funding_rate", 0.0001), feature_text("momentum_z_24", -1.26), feature_text("my_own", 3.14159)
    ('Funding +1.00 bps a settlement.', 'Return over 24 bars -1.3 deviations.', 'my own 3.142.')
    """
    from sapphire.data.features import formula_of

    formula = formula_of(name)
    if formula is not None and formula[0].name in _FORMULA_WORDS:
        words, bars = _FORMULA_WORDS[formula[0].name], formula[1]
    elif name in _VENUE_WORDS:
        words, bars = _VENUE_WORDS[name], 0
    else:
        return f"{name.replace('_', ' ')} {value:.4g}."
    return f"{words.label.format(bars=bars)} {value * words.scale:{words.digits}} {words.unit}."
