"""Integrity: what the platform measured of the code, the data and the environment that evidence was made with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapphire.agents.leaks import MOMENTS
from sapphire.agents.worker import ReleaseWorker
from sapphire.domain.errors import AgentError, EvidenceRefused
from sapphire.registry import AskedEvidence, CheckEvidence, GitState, IntegrityEvidence, LockState, git_state
from sapphire.research.evidence.declared import kept_snapshot
from sapphire.research.evidence.worker import check_release, drawn_seed, learned_as

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapphire.agents import Agent
    from sapphire.agents.leak_report import Kind, LeakCheck, LeakReport
    from sapphire.agents.release import ReadRelease
    from sapphire.agents.worker import TwinSample
    from sapphire.data import Snapshot
    from sapphire.domain.bars import Bars
    from sapphire.research.evidence.worker import AskedBeliefs

__all__ = ["committed_state", "measure_integrity", "require_locked"]

_MEASURES: Mapping[Kind, str] = {
    "truncation": "truncation_test",
    "future": "future_test",
    "twin": "twin_test",
    "warm_up": "warmup_test",
    "fit": "fit_test",
    "features": "feature_parity",
    "asked_again": "asked_again",
    "symbol_order": "symbol_order",
    "duplicate_rows": "duplicate_rows",
    "shuffled_rows": "shuffled_rows",
}


def measure_integrity(
    release: ReadRelease,
    asked: Sequence[AskedBeliefs],
    learned: Mapping[str, NDArray[Any]],
    *,
    data: Snapshot,
    evaluation: Bars,
    lock: LockState,
    git: GitState,
    moments: int = MOMENTS,
) -> IntegrityEvidence:
    """Everything that an integrity gate asks.

    Parameters
    ----------
    asked : the walk-forward and the hold-out.
    learned : by the worker that was fitted on all before the hold-out.
    evaluation : the bars before the hold-out, for the leak checks.
    lock, git : the environment and the code, measured before anything ran.
    moments : bars that each leak check looks at.
    """
    wanted = tuple(code.digests for code in release.code.members)
    released = tuple(_released(entry.files, entry.folder) for entry in release.manifest.agents)
    ran = [beliefs.digests for beliefs in asked]
    models = tuple(sorted({name for code in release.code.members for name in code.models}))
    seed = drawn_seed()
    report = check_release(release, evaluation, seed=seed, moments=moments)
    checks = _checks(report)
    checks["twin_test"] = _twin_of_stretches(checks["twin_test"], asked)
    return IntegrityEvidence(
        captured_source=wanted == released and all(each == released for each in ran) and learned_as(release, learned),
        snapshot_hash=data.hash,
        snapshot_verified=kept_snapshot(data) is not None,
        lock_sha256=lock.sha256,
        lock_differs=lock.differs,
        lock_beside=lock.beside,
        checks={**checks, "another_process": _another_process(asked)},
        checks_seed=seed,
        twins=tuple(_twin(sample) for beliefs in asked for sample in beliefs.samples),
        isolation="enforced" if all(each.isolation == "enforced" for each in asked) and not models else "observed",
        models=models,
        golden_ok=_golden(release),
        git_commit=git.commit,
        dirty=git.dirty,
        uncommitted=git.uncommitted,
    )


def committed_state(agent: Agent, folder: Path) -> GitState:
    """Commit and cleanness of a workspace, and whether every file of the agent's code is in the commit.

    The platform's own files are not the workspace's: the release names them by the engine's version and the lock.
    """
    from sapphire.agents import own_sources

    platform = Path(__file__).parents[2]
    sources = [source for source in own_sources(agent) if not _inside(source.path, platform)]
    return git_state(folder, [(source.name, source.path, source.text.encode()) for source in sources])


def require_locked(agent: Agent, lock: LockState) -> None:
    """Refuse an agent that imports an installed distribution which the lock does not pin.

    Raises
    ------
    AgentError : names what it imports; a module that no distribution owns is never pinned.
    """
    from importlib.metadata import packages_distributions

    from sapphire.agents.sources import code_of

    names = {name for each in (agent, *_parts(agent)) for name in code_of(type(each)).imported.installed}
    if not names:
        return
    owners = packages_distributions()
    loose = sorted(name for name in names if not {_plain(each) for each in owners.get(name, [])} & lock.pinned)
    if loose:
        raise AgentError(
            f"{agent.name} imports what is neither in the workspace nor in the lock",
            expected="modules of the workspace, and packages that requirements.lock pins",
            got=", ".join(loose),
            next="add the package to pyproject.toml and lock again, or put the module into the workspace",
        )


def _parts(agent: Agent) -> Iterable[Agent]:
    for part in agent.parts():
        yield part
        yield from _parts(part)


def _plain(name: str) -> str:
    return name.replace("_", "-").replace(".", "-").lower()


def _inside(path: Path | None, folder: Path) -> bool:
    return path is not None and path.resolve().is_relative_to(folder)


def _released(files: Mapping[str, str], folder: str) -> dict[str, str]:
    """The digests of the code among a manifest's files, by their path in the agent's folder."""
    own = {path.removeprefix(f"{folder}/"): digest for path, digest in files.items()}
    return {
        path: digest for path, digest in own.items() if path == "source.py" or path.startswith(("modules/", "prompts/"))
    }


def _checks(report: LeakReport) -> dict[str, CheckEvidence]:
    """One verdict per measure: the worst of the rows that are about it, over all agents."""
    found: dict[str, list[LeakCheck]] = {name: [] for name in _MEASURES.values()}
    for row in report.rows:
        found[_MEASURES[row.kind]].append(row)
    return {name: _worst(rows) for name, rows in found.items()}


def _worst(rows: Sequence[LeakCheck]) -> CheckEvidence:
    if not rows:
        return CheckEvidence(verdict="fail", bars=0, worst=None, note="not looked at, because another check broke")
    rank = {"absent": 0, "pass": 1, "fail": 2}
    worst = max(rows, key=lambda row: (rank[row.verdict], row.worst))
    bars = max(row.bars for row in rows)
    return CheckEvidence(verdict=worst.verdict, bars=bars, worst=_finite(worst.worst), note=worst.note)


def _another_process(asked: Sequence[AskedBeliefs]) -> CheckEvidence:
    """Whether another process, with other hashes and later, said the same: to the last bit, but for float32."""
    samples = [sample for beliefs in asked for sample in beliefs.samples]
    worst = max(samples, key=lambda sample: sample.again_worst - sample.again_allowed)
    passed = all(sample.again_worst <= sample.again_allowed for sample in samples)
    return CheckEvidence(
        verdict="pass" if passed else "fail",
        bars=sum(sample.compared for sample in samples),
        worst=_finite(worst.again_worst),
        note="" if passed else worst.again_note,
    )


def _twin_of_stretches(checked: CheckEvidence, asked: Sequence[AskedBeliefs]) -> CheckEvidence:
    """What the leak checks found of the twin, unless it passed there and failed in a stretch that was tested."""
    samples = [sample for beliefs in asked for sample in beliefs.samples]
    worst, note = max((sample.worst or 0.0, sample.note) for sample in samples)
    if checked.verdict == "fail" or not note:
        return checked
    bars = sum(sample.compared for sample in samples if sample.worst is not None)
    return CheckEvidence(verdict="fail", bars=bars, worst=_finite(worst), note=note)


def _twin(sample: TwinSample) -> AskedEvidence:
    return AskedEvidence(
        bars=sample.bars,
        asked=sample.asked,
        seed=sample.seed,
        cuts=sample.cuts,
        worst=_finite(sample.worst),
        twin_used=sample.used,
    )


def _finite(worst: float | None) -> float | None:
    return worst if worst is not None and math.isfinite(worst) else None


def _golden(release: ReadRelease) -> bool:
    try:
        with ReleaseWorker(release) as worker:
            return worker.check_golden() > 0
    except (AgentError, EvidenceRefused):
        return False
