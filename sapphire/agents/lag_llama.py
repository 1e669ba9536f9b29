"""Lag-Llama, small: a causal transformer over lagged returns that states how far prices may move.

In: closed bars.  Out: mean and deviation of the return over the horizon, one view per symbol.
Never: sizes, orders, I/O, the clock.

It learns volatility, not direction: on generated and recorded bars its likelihood beats that of a constant
distribution, while the sign of its mean is as often wrong as right. The deviation is late when markets grow louder:
over recorded weeks that it had not seen, squared errors came to between 1.0 and 1.8 times the variance it stated.

`conformal` is off: it makes the 80 % interval right and the variance, which sizing reads, too small. Over three markets
generated beyond 11,000 bars it held 80, 81 and 80 % instead of 84, 84 and 82 %, and squared errors came to 1.2 times
the variance instead of 1.0; over three recorded weeks, which grew louder, 75 to 80 % instead of 81 to 82 %.

At each position the model sees log returns at fixed lags, standardised by the mean and root mean square of the
`scaling` returns that end there, the logarithm of that root mean square and the time of day. RMSNorm, rotary causal
attention and SwiGLU blocks lead to the degrees of freedom, location and scale of a Student-t distribution of the
return over the whole horizon. The horizon is the target itself; nothing is scaled up from one step. Targets are in
units of the position's own root mean square times the square root of the horizon in bars. No position is scaled by
anything later than itself: scaling by the whole window, as the published recipe does, lets early positions see late
ones.

Weights are float32. Views are computed from them in float64, so batches, threads and machines agree far below 1e-9.

The published weights do not fit in: they are for other inputs and other outputs. `PublishedLagLlama` has them, on the
same network, and says what differs.

Source: Rasul et al. (2023), Lag-Llama: towards foundation models for probabilistic time series forecasting,
arXiv 2310.08278; written anew, with causal scaling and a direct horizon.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np

from sapphire.agents.adamw import AdamW
from sapphire.agents.agent import Agent, fitted
from sapphire.agents.arrays import Arrays
from sapphire.agents.lag_llama_network import initial_weights, outputs
from sapphire.agents.panels import frame_of, horizon_bars, outcomes_bps
from sapphire.agents.student_t import StudentT
from sapphire.agents.torch_settings import settled_torch
from sapphire.agents.view_panels import ViewPanel
from sapphire.domain.display import stamp
from sapphire.domain.errors import AgentError
from sapphire.domain.intervals import INTERVALS, Interval

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from sapphire.domain.bars import Bars
    from sapphire.domain.views import View
    from sapphire.domain.windows import Window

    Floats = NDArray[np.float64]

__all__ = ["LAGS", "LagLlama"]

LAGS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 17, 23, 35, 47, 71, 95, 143, 191, 239)
"""Bars back from the latest return, denser where it is near; in bars, so that one list serves every interval."""

_DAY_NS = 86_400_000_000_000
_FORECAST_BATCH = 512
_CHECK_EVERY = 25
_WARM_UP_STEPS = 50
_JUDGED_CONTEXTS = 2048
_LOCATION_UNIT = 0.1  # the mean of a return is small beside its deviation, so it starts slowly


@dataclass(frozen=True)
class LagLlama(Agent):
    """Learns the distribution of the next return: its volatility, not its direction.

    Parameters
    ----------
    horizon : how far the distribution looks; a whole number of bars.
    context : positions that attention sees.
    lags : bars back from the latest return that a position sees, each 0 or more.
    scaling : returns that make a position's scale.
    width, layers, heads : of the transformer; width a multiple of twice the heads.
    steps, batch, learning_rate, weight_decay : of AdamW, with clipped gradients.
    patience : steps without a better validation loss after which it stops; the best weights are kept.
    validation : share of the training window, its last part, that only decides when to stop.
    conformal : whether deviations are scaled so that their 80 % interval holds 80 % of the outcomes of that last part.
    """

    golden_tolerance: ClassVar[float] = 1e-9
    horizon: timedelta = timedelta(hours=1)
    context: int = 32
    lags: tuple[int, ...] = LAGS
    scaling: int = 240
    width: int = 16
    layers: int = 2
    heads: int = 2
    steps: int = 600
    batch: int = 64
    learning_rate: float = 5e-4
    weight_decay: float = 0.1
    patience: int = 150
    validation: float = 0.25
    conformal: bool = False
    weights: Arrays = fitted()  # noqa: RUF009  (makes a dataclass field)
    training: Arrays = fitted()  # noqa: RUF009

    def __post_init__(self) -> None:
        counts = ("context", "layers", "heads", "width", "steps", "batch", "patience")
        sound = min(getattr(self, name) for name in counts) >= 1 and self.width % (2 * self.heads) == 0
        if not (sound and self.scaling >= 2 and self.lags and min(self.lags) >= 0 and 0.0 < self.validation < 1.0):
            raise AgentError(
                "a model that cannot be built",
                expected="counts of 1 or more, scaling 2, width a multiple of 2 heads, lags >= 0, 0 < validation < 1",
                got=", ".join(f"{name}={value}" for name, value in self.parameters().items()),
            )

    @property
    def warmup(self) -> int:
        """Closes that the first position of the context needs, and the rest of the context."""
        return self.context + max(max(self.lags) + 1, self.scaling)

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
        NotFitted : before `fit`.
        AgentError : bars of another interval than it was fitted on.
        """
        self._require_interval(bars)
        inputs = _inputs(bars, self.lags, self.scaling, centre=float(self.training["log_scale_centre"][0]))
        rows, columns = np.nonzero(inputs.whole(self.context))
        out = np.full((3, *inputs.scale.shape), np.nan)
        if rows.size:
            out[:, rows, columns] = _forecast(self, inputs.features, rows, columns)
        unit = 1e4 * inputs.scale * math.sqrt(horizon_bars(self.horizon, bars.interval))
        return StudentT(out[0], out[1] * unit, out[2] * unit * self.training.get("std_factor", np.ones(1)))

    def fit(self, train: Bars, seed: int) -> Self:
        """Weights learned from `train`: its first part moves them, its last part says when to stop.

        The two are a horizon apart, and a target counts only where it was known by the end of its part, so no training
        target shares a bar with the part that judges. The same seed, bars and parameters give the same weights.

        Raises
        ------
        AgentError : too few bars for both parts, or a horizon that is not a whole number of bars.
        TooFewReturns : too few outcomes in the judging part for conformal deviations.
        """
        return self._learned(train, seed, None)

    def fine_tuned(self, train: Bars, seed: int, *, steps: int = 150, learning_rate: float = 2e-4) -> Self:
        """The weights that it has, moved on by `train`; what stands in its card says both.

        It is no `fit`: a study that refits an agent in each fold starts anew, from nothing.

        Parameters
        ----------
        train : bars of the interval that it was fitted on; their symbols may be others.
        steps, learning_rate : of this training, in place of the agent's own.

        Raises
        ------
        NotFitted : it has no weights yet.
        AgentError : as `fit`, or bars of another interval.
        """
        self._require_interval(train)
        return self._learned(train, seed, {"steps": steps, "learning_rate": learning_rate})

    def _learned(self, train: Bars, seed: int, tuning: dict[str, Any] | None) -> Self:
        """Learned from nothing, or, where `tuning` says how, from the weights that are there, by their own centre."""
        ahead = horizon_bars(self.horizon, train.interval)
        inputs = _inputs(train, self.lags, self.scaling, centre=0.0)
        first = len(train) - round(self.validation * max(0, len(train) - self.warmup + 1))
        learned = inputs.scale[: max(0, first - 2 * ahead)]
        centre = float(np.median(np.log(learned[np.isfinite(learned)]))) if np.isfinite(learned).any() else 0.0
        if tuning is not None:
            centre = float(self.training["log_scale_centre"][0])
        inputs = _inputs(train, self.lags, self.scaling, centre=centre)
        targets = outcomes_bps(train, self.horizon).to_numpy() / (1e4 * inputs.scale * math.sqrt(ahead))
        targets[max(0, first - 2 * ahead) + 1 : first] = np.nan
        ends = np.argwhere(inputs.whole(self.context) & np.isfinite(targets))
        samples = _Samples(inputs.features, targets, ends[ends[:, 0] < first], ends[ends[:, 0] >= first])
        if min(len(samples.learning), len(samples.judging)) < self.batch:
            raise AgentError(
                f"too few bars to fit {self.name}",
                expected=f"{self.batch} contexts to learn from and as many to judge by, after {self.warmup:,} bars",
                got=f"{len(samples.learning):,} and {len(samples.judging):,} of {len(train):,} bars",
                next="a longer training window, shorter bars, or a smaller context, scaling and batch",
            )
        start = {} if tuning is None else {"start": self.weights}
        weights, steps, loss = _learn(replace(self, **(tuning or {})), samples, seed, **start)
        record = {
            "bars": np.array([len(train), len(train.symbols)]),
            "interval_s": np.array([train.interval.seconds]),
            "log_scale_centre": np.array([centre]),
            "seed": np.array([seed]),
            "span_ns": np.array([train.open_time_ns[0], train.close_time_ns[-1]]),
            "steps": np.array([steps]),
            "validation_nll": np.array([loss]),
        }
        if tuning is not None:
            record |= {f"first_{name}": self.training[name] for name in ("bars", "seed", "span_ns")}
        agent = replace(self, weights=Arrays(weights), training=Arrays(record))
        if not self.conformal:
            return agent
        came = outcomes_bps(train, self.horizon).to_numpy()
        factor = agent.distribution(train).conformal_factor(came, first=first, horizon_bars=ahead)
        return replace(agent, training=Arrays({**record, "std_factor": np.array([factor])}))

    def card(self) -> dict[str, Any]:
        """What it is, what it was trained on and how well it did there."""
        card = {**super().card(), "learns": "volatility, not direction"}
        if not self.is_fitted:
            return {**card, "checkpoint": "sapphire-small, not trained"}
        return {
            **card,
            "checkpoint": self._checkpoint(),
            "weights": sum(array.size for array in self.weights.values()),
            "steps": int(self.training["steps"][0]),
            "validation_nll": round(float(self.training["validation_nll"][0]), 4),
            **{name: round(float(self.training[name][0]), 4) for name in ("std_factor",) if name in self.training},
        }

    def _checkpoint(self) -> str:
        """Where the weights are from."""

        def bars_of(first: str) -> str:
            (bars, symbols), span = self.training[f"{first}bars"], self.training[f"{first}span_ns"]
            begin, end = (stamp(int(ns)) for ns in span)
            seed = self.training[f"{first}seed"][0]
            return f"trained on {bars:,} bars of {self._trained_on()}, {symbols} symbols, {begin} to {end}, seed {seed}"

        if "first_bars" not in self.training:
            return f"sapphire-small, {bars_of('')}"
        return f"sapphire-small, {bars_of('first_')}; then {bars_of('').replace('trained', 'fine-tuned')}"

    def _require_interval(self, bars: Bars) -> None:
        self.require_fitted()
        if self._trained_on() != bars.interval:
            expected, got = f"bars of {self._trained_on()}, which it was fitted on", f"bars of {bars.interval}"
            raise AgentError("a model asked about other bars", expected=expected, got=got, next="fit it again on these")

    def _trained_on(self) -> Interval:
        return next(each for each in map(Interval, INTERVALS) if each.seconds == self.training["interval_s"][0])


class _Inputs(NamedTuple):
    """What every position sees, float64 [T, S, F], and its scale [T, S]; NaN where a bar it needs is missing."""

    features: Floats
    scale: Floats

    def whole(self, context: int) -> NDArray[np.bool_]:
        """Where a context of complete positions ends, bool [T, S]."""
        complete = np.asarray(np.isfinite(self.features).all(axis=-1))
        whole = np.zeros_like(complete)
        if len(complete) >= context:
            runs = np.lib.stride_tricks.sliding_window_view(complete, context, axis=0)
            whole[context - 1 :] = runs.all(axis=-1)
        return whole


class _Samples(NamedTuple):
    """Training material: positions, targets in units of their scale, and the (row, symbol) where contexts end."""

    features: Floats
    targets: Floats
    learning: NDArray[np.int64]
    judging: NDArray[np.int64]


def _inputs(bars: Bars, lags: tuple[int, ...], scaling: int, *, centre: float) -> _Inputs:
    """Positions of every bar. Row t uses closes up to t alone, its location and scale included."""
    returns = np.full(bars.close.shape, np.nan)
    returns[1:] = np.diff(np.log(bars.close), axis=0)
    loc, scale = np.full(returns.shape, np.nan), np.full(returns.shape, np.nan)
    if len(bars) >= scaling:
        trailing = np.lib.stride_tricks.sliding_window_view(np.stack([returns, returns**2]), scaling, axis=1)
        loc[scaling - 1 :], squares = trailing.mean(axis=-1)
        scale[scaling - 1 :] = np.sqrt(squares)
    scale[~(scale > 0.0)] = np.nan  # a price that stood still has no unit to measure by
    columns = []
    for lag in lags:
        lagged = np.full(returns.shape, np.nan)
        lagged[lag:] = returns[: max(0, len(bars) - lag)]
        columns.append(np.arcsinh((lagged - loc) / scale))
    level = np.clip(np.log(scale) - centre, -3.0, 3.0)
    day = 2.0 * math.pi * (bars.close_time_ns % _DAY_NS)[:, np.newaxis] / _DAY_NS + np.zeros(returns.shape)
    return _Inputs(np.stack([*columns, level, np.sin(day), np.cos(day)], axis=-1), scale)


def _learn(
    agent: LagLlama, samples: _Samples, seed: int, *, start: Mapping[str, NDArray[Any]] | None = None
) -> tuple[dict[str, NDArray[np.float32]], int, float]:
    """Best weights by the judging part, the step they are of, and their loss there; from `start`, or from nothing."""
    import torch

    with settled_torch():
        dice = torch.Generator().manual_seed(seed)
        features, targets = (torch.tensor(of, dtype=torch.float32) for of in (samples.features, samples.targets))
        learning = torch.tensor(samples.learning)
        judging = torch.tensor(samples.judging[:: -(-len(samples.judging) // _JUDGED_CONTEXTS)])
        weights = initial_weights(inputs=features.shape[-1], width=agent.width, layers=agent.layers, dice=dice)
        if start is not None:
            weights = {name: torch.tensor(array).requires_grad_() for name, array in start.items()}
        optimiser = AdamW(weights, weight_decay=agent.weight_decay)
        best: dict[str, Tensor] = {}
        best_step, best_loss = 0, math.inf
        for step in range(agent.steps + 1):
            if step % _CHECK_EVERY == 0 or step == agent.steps:
                loss = _judged(agent, weights, (features, targets), judging)
                if loss < best_loss:
                    best, best_step, best_loss = {name: w.detach().clone() for name, w in weights.items()}, step, loss
                if step == agent.steps or step - best_step >= agent.patience:
                    break
            drawn = learning[torch.randint(len(learning), (agent.batch,), generator=dice)]
            known, surprise = _surprise(agent, weights, (features, targets), drawn)
            ((known * surprise).sum() / known.sum()).backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
            optimiser.step(agent.learning_rate * min(1.0, (step + 1) / _WARM_UP_STEPS))
    if not best:
        raise AgentError("training diverged", expected="a finite loss", got=f"none in {agent.steps} steps")
    return {name: w.numpy() for name, w in best.items()}, best_step, best_loss


def _judged(agent: LagLlama, weights: dict[str, Tensor], data: tuple[Tensor, Tensor], ends: Tensor) -> float:
    """Mean loss of the last positions of contexts: what the agent would have said then."""
    import torch

    with torch.no_grad():
        parts = [_surprise(agent, weights, data, some)[1][:, -1] for some in torch.split(ends, _FORECAST_BATCH)]
        return float(torch.cat(parts).mean())


def _surprise(
    agent: LagLlama, weights: dict[str, Tensor], data: tuple[Tensor, Tensor], ends: Tensor
) -> tuple[Tensor, Tensor]:
    """Where targets are known, and the negative log density of them, both [B, context]."""
    import torch

    features, targets = data
    target = _contexts(targets, ends, agent.context)
    known = torch.isfinite(target)
    df, loc, scale = _student(weights, _contexts(features, ends, agent.context), agent.layers, agent.heads)
    z = (torch.where(known, target, 0.0) - loc) / scale
    norm = torch.lgamma((df + 1.0) / 2.0) - torch.lgamma(df / 2.0) - 0.5 * torch.log(math.pi * df) - torch.log(scale)
    return known, (df + 1.0) / 2.0 * torch.log1p(z * z / df) - norm


def _contexts(panel: Tensor, ends: Tensor, context: int) -> Tensor:
    """The rows of `panel` [T, S, ...] that lead up to each (row, symbol) of `ends`, [B, context, ...]."""
    import torch

    back = torch.arange(1 - context, 1)
    return panel[ends[:, :1] + back, ends[:, 1:]]


def _student(weights: Mapping[str, Tensor], x: Tensor, layers: int, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Degrees of freedom, location and scale at every position of `x` [B, C, F]; each [B, C]."""
    from torch.nn import functional

    df, loc, scale = outputs(weights, x, layers=layers, heads=heads)
    return 3.0 + functional.softplus(df), _LOCATION_UNIT * loc, functional.softplus(scale) + 1e-3


def _forecast(agent: LagLlama, features: Floats, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Floats:
    """Degrees, location and scale, float64 [3, N], at the last position of the contexts that end in (row, column)."""
    import torch

    with settled_torch(), torch.inference_mode():
        weights = {name: torch.tensor(array, dtype=torch.float64) for name, array in agent.weights.items()}
        panel, ends = torch.tensor(features), torch.tensor(np.stack([rows, columns], axis=1))
        parts = []
        for some in torch.split(ends, _FORECAST_BATCH):
            forecast = _student(weights, _contexts(panel, some, agent.context), agent.layers, agent.heads)
            parts.append(torch.stack([of[:, -1] for of in forecast]))
        return np.asarray(torch.cat(parts, dim=1).numpy())
