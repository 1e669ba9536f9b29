"""The published Lag-Llama: a network that was trained on many series, asked about returns as it is.

In: closed bars, weights that `convert_lag_llama` made.  Out: mean and deviation of the return over the horizon, one
view per symbol.  Never: learns; sizes, orders, I/O, the clock.

Zero-shot: its makers trained it on 27 sets of series (traffic, power, weather, some exchange rates) and not on bars.
Whether it says anything of a coin is what a study finds out.

At each position it sees values at fixed lags, less their median and by their interquartile range, both over everything
that it is shown, the logarithms of the two, and six numbers of the time. Its three outputs are degrees of freedom above
two, location and scale of a Student-t distribution of the next value, in the same units. RMSNorm, rotary causal
attention and SwiGLU are those of `lag_llama_network`.

A value here is the log return over the horizon, one after the other up to the bar that it is asked at, so that the next
value is the return in question and nothing has to be sampled step by step; its makers feed the series itself. What
`history` does not reach is nought and counts as not seen, as theirs is at the beginning of a series.

`LagLlama` is the small one that learns from bars: it scales each position by what lies before it alone, squeezes lags
by arcsinh, knows the time of day and no date, starts from three degrees of freedom, and has norms with an epsilon of
1e-6. The published weights mean nothing in it, and its weights nothing here.

Source: Rasul et al. (2023), Lag-Llama: towards foundation models for probabilistic time series forecasting,
arXiv 2310.08278, and its public code; written anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sapphire.agents.agent import Agent, fitted
from sapphire.agents.arrays import Arrays
from sapphire.agents.lag_llama_network import outputs
from sapphire.agents.panels import frame_of, horizon_bars
from sapphire.agents.student_t import StudentT
from sapphire.agents.torch_settings import settled_torch
from sapphire.agents.view_panels import ViewPanel
from sapphire.domain.errors import AgentError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from sapphire.domain.bars import Bars
    from sapphire.domain.views import View
    from sapphire.domain.windows import Window

    Floats = NDArray[np.float64]

__all__ = ["NORM_EPSILON", "PublishedLagLlama", "predictive", "scaled_inputs"]

NORM_EPSILON = 1e-5
_LEAST_SCALE = 1e-10
_BATCH = 256


@dataclass(frozen=True)
class PublishedLagLlama(Agent):
    """The published Lag-Llama, zero-shot: the distribution of the next return by a network trained on other series.

    Made by `load_lag_llama`; without weights it can be asked nothing.

    Parameters
    ----------
    horizon : how far the distribution looks; a whole number of bars.
    history : returns that it is shown, `context` or more; 0 for all that its lags reach.
    context : positions that attention sees, as many as it was trained with at most.
    lags : values back from the latest one that a position sees, each 0 or more.
    heads : of the transformer.
    bar : length of the bars that it is asked on.
    checkpoint : sha256 of its weights, so that trials and cards name them.
    """

    name: ClassVar[str] = "published-lag-llama"
    golden_tolerance: ClassVar[float] = 1e-9
    horizon: timedelta = timedelta(hours=1)
    history: int = 0
    context: int = 32
    lags: tuple[int, ...] = (0,)
    heads: int = 9
    bar: timedelta = timedelta(hours=1)
    checkpoint: str = ""
    weights: Arrays = fitted()  # noqa: RUF009  (makes a dataclass field)

    def __post_init__(self) -> None:
        sound = min(self.context, self.heads) >= 1 and self.lags and min(self.lags) >= 0
        lengths = self.bar > timedelta(0) and self.horizon >= self.bar and self.horizon % self.bar == timedelta(0)
        if not (sound and lengths and (self.history == 0 or self.history >= self.context)):
            raise AgentError(
                "a model that cannot be asked",
                expected="context and heads of 1 or more, lags >= 0, history 0 or >= context, a horizon of whole bars",
                got=", ".join(f"{name}={value}" for name, value in self.parameters().items()),
            )

    @property
    def is_fitted(self) -> bool:
        """Whether it has weights."""
        return bool(self.weights)

    @property
    def shown(self) -> int:
        """Returns that it is shown."""
        return self.history or self.context + max(self.lags)

    @property
    def warmup(self) -> int:
        """Closes that the returns need."""
        return self.shown * (self.horizon // self.bar) + 1

    def views(self, window: Window) -> list[View]:
        """Mean and deviation of the return over the horizon."""
        import pandas as pd

        if len(window.bars) < self.warmup:
            return []
        latest = self.distribution(window.bars.rows(len(window.bars) - self.warmup, len(window.bars)))
        mean, std = (pd.Series(of[-1], index=list(window.symbols)) for of in (latest.loc_bps, latest.std_bps))
        return window.views(mean_bps=mean, std_bps=std, horizon=self.horizon)

    def views_panel(self, bars: Bars) -> ViewPanel:
        """The same for every bar, in batches."""
        forecast = self.distribution(bars)
        mean, std = (frame_of(of, bars) for of in (forecast.loc_bps, forecast.std_bps))
        return ViewPanel(mean_bps=mean, std_bps=std, horizon=self.horizon)

    def distribution(self, bars: Bars) -> StudentT:
        """The whole forecast at every bar.

        Raises
        ------
        NotFitted : it has no weights.
        AgentError : bars of another length than `bar`.
        """
        self.require_fitted()
        if bars.interval.timedelta != self.bar:
            raise AgentError("a model asked about other bars", expected=f"bars of {self.bar}", got=str(bars.interval))
        import torch

        ahead = horizon_bars(self.horizon, bars.interval)
        returns = np.full(bars.close.shape, np.nan)
        returns[ahead:] = np.log(bars.close[ahead:] / bars.close[: max(0, len(bars) - ahead)])
        back = ahead * np.arange(1 - self.shown, 1)
        whole = np.ones(returns.shape, bool)
        for offset in back:
            whole[-offset:] &= np.isfinite(returns[: max(0, len(bars) + offset)])
            whole[:-offset] = False
        rows, columns = np.nonzero(whole)
        out = np.full((3, *returns.shape), np.nan)
        with settled_torch(), torch.inference_mode():
            weights = {name: torch.tensor(array, dtype=torch.float64) for name, array in self.weights.items()}
            for first in range(0, len(rows), _BATCH):
                row, column = rows[first : first + _BATCH], columns[first : first + _BATCH]
                seen = returns[row[:, np.newaxis] + back, column[:, np.newaxis]]
                began = bars.close_time_ns[row[:, np.newaxis] + back[-self.context :]] - ahead * bars.interval.ns
                inputs, loc, scale = scaled_inputs(seen, began, lags=self.lags, context=self.context)
                out[:, row, column] = predictive(weights, torch.tensor(inputs), loc, scale, heads=self.heads)
        return StudentT(out[0], 1e4 * out[1], 1e4 * out[2])

    def card(self) -> dict[str, Any]:
        """What it is and what it was trained on."""
        return {
            **super().card(),
            "learns": "nothing here: zero-shot",
            "checkpoint": f"converted from its makers' file, sha256 {self.checkpoint}" if self.is_fitted else "none",
            "weights": sum(array.size for array in self.weights.values()),
        }


def scaled_inputs(
    values: Floats, began_ns: NDArray[np.int64], *, lags: tuple[int, ...], context: int
) -> tuple[Floats, Floats, Floats]:
    """What every position of the context sees, and location and scale of the values.

    Parameters
    ----------
    values : [N, shown], the latest last; what the lags reach beyond them is nought and counts as not seen.
    began_ns : [N, context], when each of the last values began, UTC nanoseconds.

    Returns
    -------
    [N, context, lags + 8]; [N]; [N].
    """
    loc = np.sort(values, axis=1)[:, (values.shape[1] - 1) // 2]  # of two in the middle the lower, as torch's median
    spread = np.quantile(values, (0.25, 0.75), axis=1)
    scale = np.maximum(spread[1] - spread[0], _LEAST_SCALE)
    missing = max(0, context + max(lags) - values.shape[1])
    padded = np.pad(values, ((0, 0), (missing, 0)))
    scaled = (padded - loc[:, np.newaxis]) / scale[:, np.newaxis]
    end = scaled.shape[1]
    lagged = np.stack([scaled[:, end - context - lag : end - lag] for lag in lags], axis=-1)
    level = np.stack([np.log1p(np.abs(loc)), np.log(scale)], axis=-1)[:, np.newaxis]
    level = np.broadcast_to(level, (*lagged.shape[:2], 2))
    return np.concatenate([lagged, level, _time_of(began_ns)], axis=-1), loc, scale


def predictive(weights: dict[str, Tensor], inputs: Tensor, loc: Floats, scale: Floats, *, heads: int) -> Floats:
    """Degrees of freedom, location and scale of the value after the last position, [3, N], in the values' own units."""
    import torch
    from torch.nn import functional

    layers = sum(name.endswith(".attention.norm") for name in weights)
    df, at, width = (of[:, -1] for of in outputs(weights, inputs, layers=layers, heads=heads, epsilon=NORM_EPSILON))
    degrees = 2.0 + functional.softplus(df)
    spread = functional.softplus(width).clamp_min(torch.finfo(torch.float32).eps)
    return np.stack([degrees.numpy(), loc + scale * at.numpy(), scale * spread.numpy()])


def _time_of(began_ns: NDArray[np.int64]) -> Floats:
    """Second, minute, hour, weekday, day of month, day of year, each from -0.5 to 0.5; [..., 6]."""
    import pandas as pd

    at = pd.DatetimeIndex(began_ns.ravel())
    parts = (
        at.second / 59.0,
        at.minute / 59.0,
        at.hour / 23.0,
        at.day_of_week / 6.0,
        (at.day - 1) / 30.0,
        (at.day_of_year - 1) / 365.0,
    )
    return np.stack([np.asarray(part, dtype=np.float64) - 0.5 for part in parts], axis=-1).reshape(*began_ns.shape, 6)
