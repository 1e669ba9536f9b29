"""One strategy: swept over, replayed, its hold-out opened, and judged by the skill gates of the paper policy.

It goes the way of `study.submit` through the same functions: the sweep and the replay write the ledger, the ledger
counts, `measuring` makes the evidence and `evaluate_gates` the verdicts. Three things are shared to save time, and none
of them enters a skill gate. Beliefs are the vectorised twin's, in this process, instead of the workers'; integrity
checks, the manifest and the replay at doubled costs are those of the first strategy of its group, which goes the whole
way through `submit` and the registry (`whole`). That one is measured here as well, and the proof fails where the two
differ in the last digit.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any, get_args

import numpy as np

from sapphire.data import Snapshot
from sapphire.data.places.settings import ALONE_VARIABLE
from sapphire.domain.evidence import Authority
from sapphire.domain.releases import Manifest
from sapphire.domain.workspace import CONFIG_VARIABLE, HOME_VARIABLE
from sapphire.portfolio import FixedFraction
from sapphire.registry import EvidenceBundle
from sapphire.registry.gates import evaluate_gates
from sapphire.registry.policies import Policy, load_policy, policy_folder
from sapphire.research.evidence.measuring import holdout_evidence, open_holdout, walk_forward_evidence
from sapphire.research.ledger.book import HOLDOUT as OPENS
from sapphire.research.proof.markets import generated_market, planted_market, planted_sharpe
from sapphire.research.proof.settings import FOLD, HOLDOUT, Group, Kind, Settings
from sapphire.research.proof.traders import CoinTrader, SignalTrader
from sapphire.research.results.performance import sharpe_of
from sapphire.research.results.replays import Replayed
from sapphire.research.runs.costs import Costs, binance_spot
from sapphire.research.runs.replaying import Beside, replay_beside
from sapphire.research.runs.splits import walk_forward
from sapphire.research.runs.walking import BeliefPanel, walk_beliefs
from sapphire.research.studies import Study, study

__all__ = ["CONTROLS", "MEASURES", "Measured", "Template", "market_of", "measure", "own_home", "skill_policy", "whole"]

MEASURES = (
    "deflated_sharpe",
    "deflated_active_sharpe",
    "holdout_p_value_over_cash",
    "holdout_p_value_over_buy_and_hold",
)
"""The skill gates that luck passes; the others ask how much was tested."""
CONTROLS = MEASURES[:2]
"""Those that a broken count of trials would open."""

_ALL_IN = 0.9
_NOBODY = "0" * 64
"""A report of the proof is neither signed nor kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one strategy showed.

    Parameters
    ----------
    kind, costs, number : which strategy it is.
    per_year : its true Sharpe ratio per year before costs; 0 for noise.
    trials, openings : as the ledger counted them.
    length, holdout_length : number of returns of the walk-forward and of the hold-out.
    values : skill measure to what it was.
    passed : skill measure to whether that was enough.
    alone : of the `CONTROLS`, whether it would have been enough with one trial in the ledger.
    fills : fills of the walk-forward replay.
    lost : Sharpe ratio per bar that fees, spread and execution took: that of the same beliefs held from close to close
        for nothing, less the replay's.
    correlation : mean correlation of the returns of two variants.
    with_market : mean correlation of a variant's returns with the market's.
    market_kurtosis : of the market's returns over the bars that were tested; 3 for normal ones.
    """

    kind: Kind
    costs: str
    number: int
    per_year: float
    trials: int
    openings: int
    length: int
    holdout_length: int
    values: Mapping[str, float | None] = field(hash=False)
    passed: Mapping[str, bool] = field(hash=False)
    alone: Mapping[str, bool] = field(hash=False)
    fills: int
    lost: float
    correlation: float
    with_market: float
    market_kurtosis: float

    @property
    def together(self) -> bool:
        """Whether every skill gate passed."""
        return all(self.passed.values())

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """What the strategies of a group share, from the first of them, which was submitted whole.

    Parameters
    ----------
    manifest, bundle : of its release.
    values : skill measure to what the registry's own gates said of it.
    """

    manifest: Manifest
    bundle: EvidenceBundle
    values: Mapping[str, float | None]


@contextmanager
def own_home() -> Iterator[None]:
    """A state folder and keys that nobody else has, for as long as one strategy lasts."""
    names = (HOME_VARIABLE, CONFIG_VARIABLE, ALONE_VARIABLE)
    before = {name: os.environ.get(name) for name in names}
    with tempfile.TemporaryDirectory(prefix="sapphire-proof-") as folder:
        os.environ |= {name: f"{folder}/{name.lower()}" for name in (HOME_VARIABLE, CONFIG_VARIABLE)}
        os.environ[ALONE_VARIABLE] = "yes"
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})


def market_of(kind: Kind, number: int, settings: Settings) -> Snapshot:
    """The market that a strategy trades on, made in the state folder of the moment."""
    make = generated_market if kind == "coin" else planted_market
    return make(number, seed=settings.seed)


def skill_policy() -> Policy:
    """The skill gates of the repository's paper policy, and nothing else: one without costs would be refused."""
    paper = load_policy(policy_folder(None), "paper")
    return replace(paper, gates={"skill": paper.gates["skill"]}, marked=())


def measure(group: Group, number: int, data: Snapshot, settings: Settings, template: Template) -> Measured:
    """Judge a strategy in the state folder of the moment, which has to be empty of other strategies."""
    asked = _study(group, data)
    best = _best(asked, group, number, settings)
    quiet = _quiet
    beliefs = walk_beliefs(best, asked.evaluation, asked.folds, seed=asked.seed, on_progress=quiet)
    (walked,) = replay_beside(asked, best, beliefs, [], on_progress=quiet)
    opened = open_holdout(asked)
    seen_by = asked.ledger.trials(*opened.span).studies
    holdout_beliefs = walk_beliefs(best, opened.evaluation, opened.folds, seed=asked.seed, on_progress=quiet)
    release = template.manifest.digest
    held_out, market = replay_beside(
        opened, best, holdout_beliefs, [Beside(holds=True)], on_progress=quiet, method=OPENS, code=release
    )
    bundle = replace(
        template.bundle,
        walk_forward=walk_forward_evidence(asked, walked, opened),
        holdout=holdout_evidence(opened, held_out, market, seen_by),
        protocol=asked.protocol,
        replays={"walk_forward": walked.digest, "holdout": held_out.digest},
    )
    walk = bundle.walk_forward
    rows = _rows(template.manifest, bundle)
    alone = _rows(template.manifest, bundle, trials=1)
    correlation, with_market, market_kurtosis = _common(asked)
    return Measured(
        kind=group.kind,
        costs=group.costs,
        number=number,
        per_year=planted_sharpe(number) if group.kind == "planted" else 0.0,
        trials=walk.trials,
        openings=walk.openings,
        length=walk.length,
        holdout_length=len(held_out.returns),
        values={name: rows[name][0] for name in MEASURES},
        passed={name: passed for name, (_, passed) in rows.items()},
        alone={name: alone[name][1] for name in CONTROLS},
        fills=walk.fills,
        lost=_lost(asked, beliefs, walked),
        correlation=correlation,
        with_market=with_market,
        market_kurtosis=market_kurtosis,
    )


def whole(group: Group, data: Snapshot, settings: Settings) -> Template:
    """Take the first strategy of a group the whole way: sweep, submit, and the registry's signed gates."""
    from sapphire.agents.release import read_release

    asked = _study(group, data)
    release = asked.submit(_best(asked, group, 0, settings))
    report = release.gates(to="paper")
    manifest = read_release(release.registry.folder(release.digest)).manifest
    values = {row.measure: _number(row.value) for row in report.rows if row.measure in MEASURES}
    return Template(manifest, release.bundle, values)


def _study(group: Group, data: Snapshot) -> Study:
    return study(
        "proof",
        data=data,
        holdout=HOLDOUT,
        split=walk_forward(train=FOLD, test=FOLD),
        costs=binance_spot() if group.costs == "venue" else Costs("no costs", 0.0, 0.0, 0.0, (5.0, 50.0)),
        sizing=FixedFraction(fraction=_ALL_IN),
    )


def _best(asked: Study, group: Group, number: int, settings: Settings) -> CoinTrader:
    """The variant whose screen shows the highest Sharpe ratio, as who sweeps would choose it."""
    kind = CoinTrader if group.kind == "coin" else SignalTrader
    trader = kind(coin=number)
    swept = asked.sweep(trader, variant=range(settings.variants))
    ratios = [-math.inf if math.isnan(each.sharpe) else each.sharpe for each in swept.performances]
    (variant,) = swept.values[int(np.argmax(ratios))]
    return trader.replace(variant=variant)


def _rows(manifest: Manifest, bundle: EvidenceBundle, *, trials: int | None = None) -> dict[str, tuple[Any, bool]]:
    """Skill measure to value and verdict; with so many trials in place of those that were counted."""
    walk = bundle.walk_forward
    report = evaluate_gates(
        manifest,
        bundle,
        skill_policy(),
        signer=_NOBODY,
        authority=get_args(Authority)[0],
        counted=walk if trials is None else replace(walk, trials=trials),
    )
    return {row.measure: (_number(row.value), row.passed) for row in report.rows}


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _common(asked: Study) -> tuple[float, float, float]:
    """Mean correlation of the swept returns with each other, and with the market's; and the kurtosis of those."""
    from scipy.stats import kurtosis

    from sapphire.research.ledger.recording import market_returns

    swept = [row for row in asked.ledger.trials(*asked.span).rows if row.method == "sweep"]
    found = asked.ledger.returns.of({row.trial: row.returns_digest for row in swept})
    columns = [each.values for each in found.values() if np.ptp(each.values) > 0.0]
    market = market_returns(asked)
    matrix = np.corrcoef(np.vstack([market, *columns]))
    among = matrix[1:, 1:][np.triu_indices(len(columns), 1)]
    return float(among.mean()), float(matrix[0, 1:].mean()), float(kurtosis(market, fisher=False))


def _lost(asked: Study, beliefs: BeliefPanel, walked: Replayed) -> float:
    """What trading took from the ratio of these very beliefs, luck being the same on both sides."""
    close = asked.tested.close[:, 0]
    long_returns = np.where(beliefs.mean_bps[:-1, 0] > 0.0, np.diff(close) / close[:-1], 0.0)
    return sharpe_of(long_returns) - sharpe_of(walked.returns.to_numpy())


def _quiet(*_: object) -> None:
    """One bar for all strategies is enough."""
