"""Registry: what a release goes through between a study and an account: evidence, gates, signature, promotion.

In:    frozen releases (agents), what a submit measured (research), replayed paper days, the policies in mlflow/gates.
Out:   signed gate reports, registered versions and their aliases, folders with verified bytes.
Never: promotes without a signed report that permits it, keeps the key that judges a state folder inside of it,
       measures anything itself, runs code of a release, refers to another version's bytes, loses a record.

MLflow is imported only where it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sapphire.registry.calibrations import BeliefCheck, CalibrationEvidence, ScoreSlope
    from sapphire.registry.doors import Door, Permit
    from sapphire.registry.environment import GitState, LockState, git_state, lock_state
    from sapphire.registry.evidence_store import EvidenceStore
    from sapphire.registry.gates import Issue, evaluate_gates
    from sapphire.registry.integrity import AskedEvidence, CheckEvidence, IntegrityEvidence
    from sapphire.registry.listing import RegisteredRelease, ReleaseTable
    from sapphire.registry.measurements import (
        ActiveEvidence,
        CostEvidence,
        Difference,
        EvidenceBundle,
        HoldoutEvidence,
        Outcome,
        WalkForwardEvidence,
    )
    from sapphire.registry.paper_days import ParityDay
    from sapphire.registry.policies import Policy, load_policy, policy_folder
    from sapphire.registry.promotion import Promotion
    from sapphire.registry.record_lines import Record
    from sapphire.registry.registry import Registry
    from sapphire.registry.signing import SigningKey, sign, signing_key
    from sapphire.registry.trust import Deployment
    from sapphire.registry.versions import Version

__all__ = [
    "ActiveEvidence",
    "AskedEvidence",
    "BeliefCheck",
    "CalibrationEvidence",
    "CheckEvidence",
    "CostEvidence",
    "Deployment",
    "Difference",
    "Door",
    "EvidenceBundle",
    "EvidenceStore",
    "GitState",
    "HoldoutEvidence",
    "IntegrityEvidence",
    "Issue",
    "LockState",
    "Outcome",
    "ParityDay",
    "Permit",
    "Policy",
    "Promotion",
    "Record",
    "RegisteredRelease",
    "Registry",
    "ReleaseTable",
    "ScoreSlope",
    "SigningKey",
    "Version",
    "WalkForwardEvidence",
    "evaluate_gates",
    "git_state",
    "load_policy",
    "lock_state",
    "policy_folder",
    "sign",
    "signing_key",
]

_HOMES = {
    "EvidenceStore": "evidence_store",
    "Record": "record_lines",
    **dict.fromkeys(("BeliefCheck", "CalibrationEvidence", "ScoreSlope"), "calibrations"),
    **dict.fromkeys(("Issue", "evaluate_gates"), "gates"),
    **dict.fromkeys(("Door", "Permit"), "doors"),
    "Deployment": "trust",
    **dict.fromkeys(("RegisteredRelease", "ReleaseTable"), "listing"),
    **dict.fromkeys(
        (
            "ActiveEvidence",
            "CostEvidence",
            "Difference",
            "EvidenceBundle",
            "HoldoutEvidence",
            "Outcome",
            "WalkForwardEvidence",
        ),
        "measurements",
    ),
    "ParityDay": "paper_days",
    **dict.fromkeys(("Policy", "load_policy", "policy_folder"), "policies"),
    **dict.fromkeys(("AskedEvidence", "CheckEvidence", "IntegrityEvidence"), "integrity"),
    "Promotion": "promotion",
    "Registry": "registry",
    **dict.fromkeys(("SigningKey", "sign", "signing_key"), "signing"),
    **dict.fromkeys(("GitState", "LockState", "git_state", "lock_state"), "environment"),
    "Version": "versions",
}


def __getattr__(name: str) -> object:
    """Load what is asked for, when it is asked for (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
