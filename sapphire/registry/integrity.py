"""Integrity evidence: what the platform checked of code, data and environment.

None of it comes from the author: the checks run in processes of the platform's own, on the release's captured code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from sapphire.domain.canonical import is_sha256
from sapphire.domain.errors import ValueRefused

__all__ = ["CHECKS", "AskedEvidence", "CheckEvidence", "IntegrityEvidence", "Isolation", "Verdict"]

Verdict = Literal["pass", "fail", "absent"]
Isolation = Literal["enforced", "observed"]
CHECKS = (
    "truncation_test",
    "future_test",
    "twin_test",
    "warmup_test",
    "fit_test",
    "feature_parity",
    "asked_again",
    "another_process",
    "symbol_order",
    "duplicate_rows",
    "shuffled_rows",
)
"""The checks of the agents; each is a gate's measure of the same name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckEvidence:
    """What one check of the agents found.

    Parameters
    ----------
    verdict : "absent" where there is nothing to compare: no twin, nothing to fit, no features.
    bars : at how many bars it looked.
    worst : largest difference found, relative; None where one side spoke and the other did not.
    note : where it was, or why there was none.
    """

    verdict: Verdict
    bars: int
    worst: float | None
    note: str = ""

    def __post_init__(self) -> None:
        if self.verdict not in get_args(Verdict):
            raise ValueRefused("verdict of a check", expected=", ".join(get_args(Verdict)), got=repr(self.verdict))


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedEvidence:
    """How a tested stretch was asked.

    Parameters
    ----------
    bars : of the stretch.
    asked : at how many of them views were made one window at a time.
    seed : of the bars that were compared, drawn when they were asked; `ask_panel` with it looks at the same bars again.
    worst : largest relative difference of the twin, to the views at these and to itself where it was cut off; None
        where every bar was asked, or one side was silent.
    cuts : at how many bars the twin was asked again without what came after them.
    twin_used : whether the twin stands for the bars that were not asked.
    """

    bars: int
    asked: int
    seed: int
    worst: float | None
    cuts: int
    twin_used: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrityEvidence:
    """What the platform checked of code, data and environment.

    Parameters
    ----------
    captured_source : what ran in the workers has the digests that the manifest has: source, modules, what was learned.
    snapshot_hash : content hash of the data.
    snapshot_verified : the data were read again and match it.
    lock_sha256 : of `requirements.lock` where the evidence was made.
    lock_differs : installed distributions that are not as the lock says.
    lock_beside : installed distributions that the lock does not have.
    checks : every check of `CHECKS`, by name.
    checks_seed : of the bars that the leak checks looked at, drawn when they were.
    twins : how each tested stretch was asked, in order: every fold, then the hold-out.
    isolation : whether the system kept the agents from files and sockets ("enforced"), or an audit hook did, or they
        asked models that ran outside.
    models : those that they ask, by name.
    golden_ok : the frozen release, in a process of its own, answered its golden inputs as before.
    git_commit : of the workspace; empty where there is none.
    dirty : the workspace had changes beside the commit, or no commit, or ran code that is not in it.
    uncommitted : files that ran and are not in the commit byte for byte.
    """

    captured_source: bool
    snapshot_hash: str
    snapshot_verified: bool
    lock_sha256: str
    checks: Mapping[str, CheckEvidence] = field(hash=False)
    isolation: Isolation
    golden_ok: bool
    git_commit: str
    dirty: bool
    checks_seed: int = 0
    twins: tuple[AskedEvidence, ...] = ()
    lock_differs: tuple[str, ...] = ()
    lock_beside: tuple[str, ...] = ()
    uncommitted: tuple[str, ...] = ()
    models: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for key in ("twins", "lock_differs", "lock_beside", "uncommitted", "models"):
            object.__setattr__(self, key, tuple(getattr(self, key)))
        object.__setattr__(self, "checks", dict(self.checks))
        for key in ("snapshot_hash", "lock_sha256"):
            if not is_sha256(getattr(self, key)):
                raise ValueRefused(f"{key} of the evidence", expected="64 hexadecimal digits", got=getattr(self, key))
        if self.isolation not in get_args(Isolation):
            raise ValueRefused("isolation of the evidence", expected="enforced or observed", got=repr(self.isolation))
        if set(self.checks) != set(CHECKS):
            raise ValueRefused(
                "checks of the evidence", expected=", ".join(CHECKS), got=", ".join(sorted(self.checks)) or "none"
            )

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> IntegrityEvidence:
        """What `dataclasses.asdict` made of it; raises what a wrong value raises."""
        entries = dict(plain)
        entries["checks"] = {name: CheckEvidence(**each) for name, each in entries["checks"].items()}
        entries["twins"] = tuple(AskedEvidence(**each) for each in entries["twins"])
        return cls(**entries)
