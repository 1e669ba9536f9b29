"""Submitting: freeze an agent, open the hold-out once, measure the frozen release and register it.

The agent is fitted once on all that lies before the hold-out. What is measured, walk-forward and hold-out, is its
captured code in processes of its own (`worker`), never the object in the notebook. Opening the hold-out is an
evaluation like any other: the ledger has it, and another release that opens it again counts again. The same release
gets the result that is stored.
"""

from __future__ import annotations

import hashlib
import inspect
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.agents import Agent, plain_parameters
from sapphire.agents.model_calls import recorded_calls
from sapphire.agents.release import ReadRelease, ReleaseCode, freeze, read_release
from sapphire.data.tradable import require_tradable
from sapphire.domain.engine import load_engine
from sapphire.domain.errors import ConfigError
from sapphire.domain.evidence import MARKED
from sapphire.domain.money import to_atoms
from sapphire.domain.releases import ReleasedSizing
from sapphire.domain.workspace import home, workspace
from sapphire.portfolio import Sizing
from sapphire.registry import (
    CostEvidence,
    EvidenceBundle,
    GitState,
    LockState,
    RegisteredRelease,
    Registry,
    lock_state,
)
from sapphire.research.evidence.declared import as_declared
from sapphire.research.evidence.integrity import committed_state, measure_integrity, require_locked
from sapphire.research.evidence.measuring import holdout_evidence, open_holdout, outcome_of, walk_forward_evidence
from sapphire.research.evidence.worker import (
    ask_counterfactuals,
    ask_release,
    fit_in_worker,
    walk_in_workers,
)
from sapphire.research.ledger import recording
from sapphire.research.ledger.book import HOLDOUT
from sapphire.research.ledger.counting import check_anchors, registry_of
from sapphire.research.pages import note_release
from sapphire.research.results.calibrations import calibration_of
from sapphire.research.results.fitted_scores import probabilities_in, slopes_in
from sapphire.research.results.probabilities import parts_text
from sapphire.research.results.progress import progress
from sapphire.research.results.showing import Shown
from sapphire.research.runs.replaying import Beside, replay_beside

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapphire.agents.counterfactuals import AgentCounterfactuals
    from sapphire.domain.evidence import GateReport, Target
    from sapphire.registry import Promotion
    from sapphire.research.results.replays import Replayed
    from sapphire.research.studies import Study

__all__ = ["Release", "submit"]

_COSTS_TIMES = 2.0
_STEPS = 6


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Release(Shown):
    """A submitted release: what it measured, and the way to its gates. Two with one digest and evidence are equal."""

    _not_compared = frozenset({"registry"})

    registered: RegisteredRelease
    bundle: EvidenceBundle
    registry: Registry

    @property
    def name(self) -> str:
        """Name and version, "trend@1"."""
        return self.registered.label

    @property
    def digest(self) -> str:
        """Identity: sha256 of the manifest."""
        return self.registered.digest

    @property
    def caption(self) -> str:
        """One line."""
        seen = self.bundle.holdout.seen_by
        marks = [*self.bundle.marks, *([f"its hold-out was seen before by {', '.join(seen)}"] if seen else [])]
        mark = f"; {MARKED}{', '.join(marks)}" if marks else ""
        return f"release {self.name} {self.digest[:12]}: {self.bundle.data}; hold-out opened, evidence kept{mark}"

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """What was measured."""
        walked, holdout, costly = self.bundle.walk_forward, self.bundle.holdout, self.bundle.costs
        active = walked.active
        beside = "nothing beside the market"
        if active is not None:
            beside = f"beta {active.beta:.2f}, alpha t {active.alpha_t:+.2f}"
        lines = [
            (
                "walk-forward",
                f"{100 * walked.total_return:+.2f} %",
                f"N = {walked.trials} trials, {walked.length:,} bars, {beside}",
            ),
            ("hold-out", f"{100 * holdout.agent.total_return:+.2f} %", "by the release as it loads from its own bytes"),
        ]
        idle = (("walk-forward", walked.untraded), ("hold-out", holdout.untraded))
        lines += [(f"{where}, NEVER TRADED", "", why) for where, why in idle if why]
        lines += [
            (f"hold-out, {name.replace('_', ' ')}", f"{100 * outcome.total_return:+.2f} %", "baseline, same engine")
            for name, outcome in holdout.baselines.items()
        ]
        lines += [
            (
                "slope of the score, as released"
                + (f", {each.agent}" if len(self.bundle.calibration.agents) > 1 else ""),
                f"{each.slope_bps:+.2f} bps/sd",
                f"t {each.t_value:+.2f}, traded as {each.traded_bps:+.2f}; {self._signs(each.agent)}",
            )
            for each in self.bundle.calibration.frozen
        ]
        lines += [
            (
                f"log-odds of {each.agent}, as released",
                f"{100 * each.kept:.0f} % kept",
                f"{each.method}, t {each.t_value:+.2f}, {each.pairs:,} pairs; Brier "
                + parts_text(each.brier, each.reliability, each.resolution, each.uncertainty),
            )
            for each in self.bundle.calibration.probabilities
            if not each.fold
        ]
        lines += [line for found in self.bundle.counterfactuals for line in _kept_and_moved(found)]
        lines.append((f"costs x{costly.times:g}", f"{100 * costly.outcome.total_return:+.2f} %", "walk-forward again"))
        return ("measured", "return", "how"), lines

    def _signs(self, agent: str) -> str:
        """How many folds had a slope below zero, and how many one that may be anything."""
        folds = [each for each in self.bundle.calibration.slopes if each.agent == agent]
        negative, weak = sum(each.slope_bps < 0.0 for each in folds), sum(abs(each.t_value) < 2.0 for each in folds)
        return f"negative in {negative} of {len(folds)} folds, |t| below 2 in {weak}"

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"method": "submit", **self.registered.as_dict(), "evidence": self.bundle.as_dict()}

    def __reduce__(self) -> tuple[Any, ...]:
        """With the registry of the same state folder, wherever it is read again."""
        return _again, (self.registered, self.bundle, self.registry.home)

    def gates(self, *, to: Target) -> GateReport:
        """Measure the release against the policy for `to`; the signed report is kept and shows itself as a table."""
        return self.registry.gates(self.digest, to=to)

    def promote(self, *, to: Target) -> Promotion:
        """Copy the release's bytes and move the alias.

        Raises
        ------
        EvidenceRefused, Refused : there is no signed report that verifies and permits it.
        """
        return self.registry.promote(self.digest, to=to)


def submit(study: Study, agent: Agent) -> Release:
    """See `Study.submit`."""
    study = as_declared(study)
    require_tradable(
        study.data.symbols,
        generated=study.data.provenance.source == "embedded",
        who=f"study {study.name}",
        next="take a snapshot of symbols that it lists",
    )
    recording.admit(study)
    kept = registry_of(home())
    check_anchors(study.ledger, kept)
    with (
        progress(f"submit {agent.name}") as on_progress,
        tempfile.TemporaryDirectory() as scratch,
        recorded_calls() as calls,
    ):
        on_progress(0, _STEPS, "fit once on all before the hold-out")
        lock, git = lock_state(workspace()), committed_state(agent, workspace())
        require_locked(agent, lock)
        code = ReleaseCode.of(agent)
        learned = fit_in_worker(code, study.evaluation, seed=study.seed, label=agent.name)
        fitted = code.agent(agent.name).with_arrays(learned)
        on_progress(1, _STEPS, "freeze")
        manifest = freeze(
            fitted,
            name=study.name,
            train_bars=study.evaluation,
            sizing=_released(study.sizing),
            limits=study.limits.own(to_atoms(str(study.starting_cash))),
            execution=study.execution.as_dict(),
            lock_sha256=lock.sha256,
            engine_version=load_engine().engine_version(),
            when_views_stop=study.when_views_stop,
            universe=study.data.symbols,
            folder=Path(scratch),
        )
        folder = Path(scratch) / manifest.digest
        bundle = kept.store.bundle_under(manifest.digest, protocol=study.protocol.digest, snapshot=study.data.hash)
        measured = None
        if bundle is None:
            frozen = _Frozen(read_release(folder), fitted, learned, lock, git)
            bundle, measured = _measure(study, agent, frozen, on_progress)
        on_progress(_STEPS - 1, _STEPS, "register")
        params = {"agent": agent.name, **plain_parameters(agent)}
        registered = kept.register(folder, bundle, params=params, model_calls=calls.canonical)
        note_release(study, agent, registered, bundle, measured)
        on_progress(_STEPS, _STEPS, f"release {registered.label}")
    return Release(registered, bundle, kept)


def _again(registered: RegisteredRelease, bundle: EvidenceBundle, home: Path) -> Release:
    return Release(registered, bundle, registry_of(home))


@dataclass(frozen=True, slots=True, eq=False)
class _Frozen:
    """What is measured.

    Parameters
    ----------
    release : as it reads from its own bytes.
    agent : the captured code with what it learned; nothing but its horizon is asked of it here.
    learned : by the worker.
    lock, git : what the environment and the code were before anything ran.
    """

    release: ReadRelease
    agent: Agent
    learned: Mapping[str, NDArray[Any]]
    lock: LockState
    git: GitState


def _measure(
    study: Study, agent: Agent, frozen: _Frozen, on_progress: Any
) -> tuple[EvidenceBundle, tuple[Replayed, Replayed]]:
    """Every number that a gate may ask for, by the engine; and the replays of walk-forward and hold-out."""
    release = frozen.release
    on_progress(2, _STEPS, "walk forward, at the costs and at twice the venue's")
    walk = walk_in_workers(
        release.code,
        study.evaluation,
        study.folds,
        seed=study.seed,
        label=agent.name,
        horizon_of=frozen.agent,
        on_progress=_quiet,
    )
    walked, costly = replay_beside(study, agent, walk.beliefs, [Beside(times=_COSTS_TIMES)], on_progress=_quiet)
    on_progress(3, _STEPS, "open the hold-out")
    opened = open_holdout(study)
    seen_by = study.ledger.trials(*opened.span).studies
    bars, tested = opened.data.bars, opened.tested
    start = int(np.searchsorted(bars.close_time_ns, tested.close_time_ns[0]))
    holdout_walk = ask_release(release, frozen.agent, bars, start, start + len(tested))
    holdout, market = replay_beside(
        opened,
        agent,
        holdout_walk.beliefs,
        [Beside(holds=True)],
        on_progress=_quiet,
        method=HOLDOUT,
        code=release.digest,
    )
    on_progress(4, _STEPS, "check for leaks")
    integrity = measure_integrity(
        release,
        (walk, holdout_walk),
        frozen.learned,
        data=study.data,
        evaluation=study.evaluation,
        lock=frozen.lock,
        git=frozen.git,
    )
    bundle = EvidenceBundle(
        manifest_digest=release.digest,
        source=study.data.provenance.source,
        data=study.label,
        engine_version=load_engine().engine_version(),
        walk_forward=walk_forward_evidence(study, walked, opened),
        holdout=holdout_evidence(opened, holdout, market, seen_by),
        costs=CostEvidence(times=_COSTS_TIMES, outcome=outcome_of(costly)),
        integrity=integrity,
        protocol=study.protocol,
        calibration=calibration_of(
            study,
            walk.beliefs,
            slopes_in(release.code, frozen.learned, 0),
            probabilities_in(release.code, frozen.learned, 0),
        ),
        counterfactuals=ask_counterfactuals(release, study.evaluation, first=study.first_tested_row),
        replays={"walk_forward": walked.digest, "holdout": holdout.digest, "doubled_costs": costly.digest},
    )
    return bundle, (walked, holdout)


def _kept_and_moved(found: AgentCounterfactuals) -> list[tuple[str, str, str]]:
    """Of an agent that asks a model: what names and dates changed of its views, and what its input did."""
    lines = []
    for row in found.rows:
        share = row.dependency if row.kind == "exchanged_inputs" else row.consistency
        if share is not None:
            how = "moved" if row.kind == "exchanged_inputs" else "kept their sign"
            silent = f", {row.silent:,} fell silent" if row.silent else ""
            what = f"{found.agent}, {row.kind.replace('_', ' ')}"
            lines.append((what, f"{100 * share:.0f} %", f"of {row.views:,} views {how}{silent}"))
    return lines


def _released(sizing: Sizing) -> ReleasedSizing:
    path = inspect.getsourcefile(type(sizing))
    if path is None:
        raise ConfigError("a sizing without a source file", expected="a sizing of sapphire.portfolio", got=sizing.name)
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return ReleasedSizing(class_name=sizing.name, parameters=sizing.parameters, source_sha256=digest)


def _quiet(*_: object) -> None:
    """Progress of the steps within a step is not shown."""
