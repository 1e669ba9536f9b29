"""Quantiles: from three returns that a model states to a forecast.

A model is asked for the 10 %, 50 % and 90 % quantile of the return over the horizon, in whole basis points, as JSON
that a grammar holds to its form. What is cut off, crosses or has no spread is a bad output: the agent abstains.

A forecast passes through calibration as it is, and nothing is taken off for what the model says of nothing. Ranges that
language models state are mostly too narrow (Xiong et al. 2024, Can LLMs express their uncertainty?, arXiv 2306.13063):
a study's replay says what they are worth, and no one else does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sapphire.agents.forecasts import normal_from_quantiles
from sapphire.agents.llm.choosing import Choice
from sapphire.agents.llm.requests import Generate, Generated
from sapphire.agents.models import Model, ask_models
from sapphire.domain.errors import BadModelOutput

if TYPE_CHECKING:
    from sapphire.domain.views import View, ViewNote
    from sapphire.domain.windows import Window

__all__ = ["QUANTILE_SCHEMA", "Quantiles", "normal_views", "quantiles_of"]

_LEVELS: Final = {"q10": 0.1, "q50": 0.5, "q90": 0.9}
_BOUND_BPS: Final = 9_999
"""Either way. No price falls by 10,000, and four digits end what a model may count up to."""
_MAX_TOKENS: Final = 64
_SECONDS: Final = 20.0
QUANTILE_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {name: {"type": "integer", "minimum": -_BOUND_BPS, "maximum": _BOUND_BPS} for name in _LEVELS},
    "required": list(_LEVELS),
    "additionalProperties": False,
}
"""What the text follows. That quantiles do not cross no schema says; `Quantiles.of` does."""


@dataclass(frozen=True, slots=True)
class Quantiles:
    """What a model states of one symbol.

    Parameters
    ----------
    low_bps, median_bps, high_bps : 10 %, 50 % and 90 % quantile of the return over the horizon.
    """

    low_bps: int
    median_bps: int
    high_bps: int

    @classmethod
    def of(cls, value: Any) -> Quantiles:
        """The quantiles that a model's JSON holds.

        Raises
        ------
        BadModelOutput : other names, no whole numbers, beyond 9,999 bps, crossing, or all the same.
        """
        named = isinstance(value, Mapping) and set(value) == set(_LEVELS)
        stated = [value[name] for name in _LEVELS] if named else []
        if named and all(type(each) is int and abs(each) <= _BOUND_BPS for each in stated):
            low, median, high = stated
            if low <= median <= high and low < high:
                return cls(low, median, high)
        raise BadModelOutput(
            "quantiles that a model states cannot be used",
            expected=f"q10 <= q50 <= q90, q10 < q90, whole numbers from -{_BOUND_BPS:,} to {_BOUND_BPS:,}",
            got=f"{value!r:.200}",
            next="the agent abstains; sapphire models calls shows what was asked and what came",
        )

    @property
    def mean_and_std_bps(self) -> tuple[float, float]:
        r"""Mean and deviation of the normal distribution whose quantiles lie nearest, by `normal_from_quantiles`.

        .. math::
            \mu = \frac{q_{10} + q_{50} + q_{90}}{3}, \qquad
            \sigma = \frac{q_{90} - q_{10}}{2 z_{0.9}} = \frac{q_{90} - q_{10}}{2.5631}

        which is the line of least squares through three points at :math:`-z_{0.9}, 0, z_{0.9}`.

        References
        ----------
        Blom (1958), Statistical estimates and transformed beta-variables. Abramowitz and Stegun (1964), Handbook of
        mathematical functions, table 26.5: :math:`z_{0.9} = 1.28155`.

        >>> [round(each, 2) for each in Quantiles(-1282, 0, 1281).mean_and_std_bps]
        [-0.33, 999.96]
        """
        mean, std = normal_from_quantiles(
            list(_LEVELS.values()), np.array([self.low_bps, self.median_bps, self.high_bps])
        )
        return float(mean), float(std)


def quantiles_of(model: Model, asked: Sequence[tuple[Window, Sequence[Choice]]]) -> list[dict[str, Quantiles]]:
    """What a model states of each symbol.

    Parameters
    ----------
    model : that is asked.
    asked : windows with their questions, of which the messages and the begun answer are taken; all are asked at once.

    Returns
    -------
    By window, symbol to quantiles. A symbol is left out where the model's output cannot be used: the agent abstains.
    """
    requests = [(None, _request(choice)) for _, choices in asked for choice in choices]
    answers = iter(ask_models(model, requests))
    found: list[dict[str, Quantiles]] = []
    for _, choices in asked:
        of_window: dict[str, Quantiles] = {}
        for choice in choices:
            try:
                of_window[choice.symbol] = Quantiles.of(Generated.of(next(answers)).value())
            except BadModelOutput:
                continue
        found.append(of_window)
    return found


def normal_views(
    window: Window, stated: Mapping[str, Quantiles], *, horizon: timedelta, notes: Mapping[str, ViewNote]
) -> list[View]:
    """Views that state mean and deviation, of the symbols that quantiles were stated of."""
    normal = {symbol: each.mean_and_std_bps for symbol, each in stated.items()}
    means, stds = ({symbol: pair[place] for symbol, pair in normal.items()} for place in (0, 1))
    return window.views(mean_bps=means, std_bps=stds, horizon=horizon, notes=notes)


def _request(choice: Choice) -> dict[str, Any]:
    asked = choice.question
    return Generate(
        messages=asked.messages,
        answer_so_far=asked.answer_so_far,
        max_tokens=_MAX_TOKENS,
        seconds=_SECONDS,
        grammar=QUANTILE_SCHEMA,
    ).as_dict()
