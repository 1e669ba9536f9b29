"""Submitting: freeze an agent, open the hold-out once, measure the frozen release and register it.

The agent is fitted once on all that lies before the hold-out. What is measured there is the release as it loads from
its own bytes, never the object in the notebook. Opening the hold-out is an evaluation like any other: the ledger has
it, and another release that opens it again counts again. The same release gets the result that is stored.
"""

from __future__ import annotations

import hashlib
import inspect
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.agents import Agent, plain_parameters, truncation_test, view_panel
from sapphire.agents.release import LoadedRelease, freeze, load_release
from sapphire.data import load_snapshot
from sapphire.domain.engine import load_engine
from sapphire.domain.errors import ConfigError, DataError
from sapphire.domain.money import to_atoms
from sapphire.domain.releases import ReleasedSizing
from sapphire.domain.workspace import home, workspace
from sapphire.portfolio import Sizing
from sapphire.registry import (
    CostEvidence,
    EvidenceBundle,
    IntegrityEvidence,
    RegisteredRelease,
    Registry,
    git_state,
)
from sapphire.research import recording
from sapphire.research.counting import check_anchors, registry_of
from sapphire.research.ledger import HOLDOUT
from sapphire.research.measuring import holdout_evidence, open_holdout, outcome_of, walk_forward_evidence
from sapphire.research.progress import progress
from sapphire.research.replaying import Beside, replay_beside
from sapphire.research.showing import Shown
from sapphire.research.walking import BeliefPanel, calibrated, walk_beliefs

if TYPE_CHECKING:
    from sapphire.data import Snapshot
    from sapphire.domain.evidence import GateReport, Target
    from sapphire.registry import Promotion
    from sapphire.research.studies import Study

__all__ = ["Release", "submit"]

_COSTS_TIMES = 2.0
_CHECKED_BARS = 512
_STEPS = 6


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Release(Shown):
    """A submitted release: what it measured, and the way to its gates."""

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
        mark = f"; MARKED: its hold-out was seen before by {', '.join(seen)}" if seen else ""
        return f"release {self.name} {self.digest[:12]}: {self.bundle.data}; hold-out opened, evidence kept{mark}"

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """What was measured."""
        walked, held, costly = self.bundle.walk_forward, self.bundle.holdout, self.bundle.costs
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
            ("hold-out", f"{100 * held.agent.total_return:+.2f} %", "by the release as it loads from its own bytes"),
        ]
        lines += [
            (f"hold-out, {name.replace('_', ' ')}", f"{100 * outcome.total_return:+.2f} %", "baseline, same engine")
            for name, outcome in held.baselines.items()
        ]
        lines.append((f"costs x{costly.times:g}", f"{100 * costly.outcome.total_return:+.2f} %", "walk-forward again"))
        return ("measured", "return", "how"), lines

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"method": "submit", **self.registered.as_dict(), "evidence": self.bundle.as_dict()}

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


def submit(study: Study, agent: Agent, *, registry: Registry | None = None) -> Release:
    """See `Study.submit`."""
    recording.admit(study)
    kept = registry or registry_of(home())
    check_anchors(study.ledger, kept)
    with progress(f"submit {agent.name}") as told, tempfile.TemporaryDirectory() as scratch:
        told(0, _STEPS, "fit once on all before the hold-out")
        fitted = calibrated(agent, study.evaluation, study.seed)
        told(1, _STEPS, "freeze")
        lock = _lock_digest()
        manifest = freeze(
            fitted,
            name=study.name,
            train_bars=study.evaluation,
            sizing=_released(study.sizing),
            limits=study.limits.own(to_atoms(str(study.starting_cash))),
            execution=study.execution.as_dict(),
            lock_sha256=lock,
            engine_version=load_engine().engine_version(),
            universe=study.data.symbols,
            folder=Path(scratch),
        )
        folder = Path(scratch) / manifest.digest
        bundle = kept.store.bundle_under(
            manifest.digest, protocol=study.protocol.digest, snapshot=study.data.hash
        ) or _measure(study, agent, load_release(folder), lock, told)
        told(_STEPS - 1, _STEPS, "register")
        registered = kept.register(folder, bundle, params={"agent": agent.name, **plain_parameters(agent)})
        told(_STEPS, _STEPS, f"release {registered.label}")
    return Release(registered, bundle, kept)


def _measure(study: Study, agent: Agent, release: LoadedRelease, lock: str, told: Any) -> EvidenceBundle:
    """Every number that a gate may ask for, by the engine."""
    told(2, _STEPS, "walk forward, at the costs and at twice the venue's")
    beliefs = walk_beliefs(agent, study.evaluation, study.folds, seed=study.seed, told=_quiet)
    walked, costly = replay_beside(study, agent, beliefs, [Beside(times=_COSTS_TIMES)], told=_quiet)
    told(3, _STEPS, "open the hold-out")
    opened = open_holdout(study)
    seen_by = study.ledger.trials(*opened.span).studies
    panel = _panel(release, opened)
    held, market = replay_beside(
        opened, agent, panel, [Beside(holds=True)], told=_quiet, method=HOLDOUT, code=release.digest
    )
    told(4, _STEPS, "check for leaks")
    checked = study.evaluation.rows(
        max(0, len(study.evaluation) - _CHECKED_BARS - release.warmup), len(study.evaluation)
    )
    git = git_state(workspace())
    return EvidenceBundle(
        manifest_digest=release.digest,
        source=study.data.provenance.source,
        data=study.label,
        engine_version=load_engine().engine_version(),
        walk_forward=walk_forward_evidence(study, walked, opened),
        holdout=holdout_evidence(opened, held, market, seen_by),
        costs=CostEvidence(times=_COSTS_TIMES, outcome=outcome_of(costly)),
        integrity=IntegrityEvidence(
            captured_source=True,
            snapshot_hash=study.data.hash,
            snapshot_verified=_reads_again(study.data),
            lock_sha256=lock,
            truncation_test="pass" if truncation_test(release.agent, checked, seed=study.seed).ok else "fail",
            golden_ok=release.check_golden() > 0,
            git_commit=git.commit,
            dirty=git.dirty,
        ),
        protocol=study.protocol,
        replays={"walk_forward": walked.digest, "holdout": held.digest, "doubled_costs": costly.digest},
    )


def _panel(release: LoadedRelease, opened: Study) -> BeliefPanel:
    """What the loaded release believes at every bar of the hold-out."""
    bars, tested = opened.data.bars, opened.tested
    panel = view_panel(release.agent, bars)
    start = int(np.searchsorted(bars.close_time_ns, tested.close_time_ns[0]))
    rows = slice(start, start + len(tested))
    assert panel.mean_bps is not None  # a calibrated agent states forecasts
    assert panel.std_bps is not None
    return BeliefPanel(
        symbols=bars.symbols,
        horizon=panel.horizon,
        close_time_ns=tested.close_time_ns,
        mean_bps=panel.mean_bps.to_numpy()[rows],
        std_bps=panel.std_bps.to_numpy()[rows],
    )


def _released(sizing: Sizing) -> ReleasedSizing:
    path = inspect.getsourcefile(type(sizing))
    if path is None:
        raise ConfigError("a sizing without a source file", expected="a sizing of sapphire.portfolio", got=sizing.name)
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return ReleasedSizing(class_name=sizing.name, parameters=sizing.parameters, source_sha256=digest)


def _reads_again(data: Snapshot) -> bool:
    """Whether the snapshot on disk still is what its hash says."""
    try:
        return load_snapshot(data.hash).hash == data.hash
    except DataError:
        return False


def _lock_digest() -> str:
    """sha256 of the workspace's `requirements.lock`; of the installed distributions where it has none."""
    lock = workspace() / "requirements.lock"
    if lock.is_file():
        return hashlib.sha256(lock.read_bytes()).hexdigest()
    installed = sorted({f"{found.name.lower()}=={found.version}" for found in metadata.distributions()})
    return hashlib.sha256("\n".join(installed).encode()).hexdigest()


def _quiet(*_: object) -> None:
    """Progress of the steps within a step is not told."""
