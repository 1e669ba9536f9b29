"""Registry: what a release goes through between a study and an account: evidence, gates, signature, promotion.

In:    frozen releases (agents), what a submit measured (research), replayed paper days, the policies in mlflow/gates.
Out:   signed gate reports, registered versions and their aliases, folders with verified bytes.
Never: promotes without a signed report that permits it, measures anything itself, runs code of a release, refers to
       another version's bytes, loses a record.

MLflow is imported only where it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sapphire.registry.environment import GitState, LockState, git_state, lock_state
    from sapphire.registry.evidence_store import EvidenceStore, Record, SignedReport
    from sapphire.registry.gates import evaluate_gates
    from sapphire.registry.integrity import AskedEvidence, CheckEvidence, IntegrityEvidence
    from sapphire.registry.listing import RegisteredRelease, ReleaseTable
    from sapphire.registry.measurements import (
        CostEvidence,
        EvidenceBundle,
        HoldoutEvidence,
        Outcome,
        ParityDay,
        WalkForwardEvidence,
    )
    from sapphire.registry.policies import Policy, load_policy, policy_folder
    from sapphire.registry.promotion import Promotion
    from sapphire.registry.registry import Registry
    from sapphire.registry.signing import SigningKey, sign, signing_key, trusted_key
    from sapphire.registry.versions import Version

__all__ = [
    "AskedEvidence",
    "CheckEvidence",
    "CostEvidence",
    "EvidenceBundle",
    "EvidenceStore",
    "GitState",
    "HoldoutEvidence",
    "IntegrityEvidence",
    "LockState",
    "Outcome",
    "ParityDay",
    "Policy",
    "Promotion",
    "Record",
    "RegisteredRelease",
    "Registry",
    "ReleaseTable",
    "SignedReport",
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
    "trusted_key",
]

_HOMES = {
    **dict.fromkeys(("EvidenceStore", "Record", "SignedReport"), "evidence_store"),
    "evaluate_gates": "gates",
    **dict.fromkeys(("RegisteredRelease", "ReleaseTable"), "listing"),
    **dict.fromkeys(
        (
            "CostEvidence",
            "EvidenceBundle",
            "HoldoutEvidence",
            "Outcome",
            "ParityDay",
            "WalkForwardEvidence",
        ),
        "measurements",
    ),
    **dict.fromkeys(("Policy", "load_policy", "policy_folder"), "policies"),
    **dict.fromkeys(("AskedEvidence", "CheckEvidence", "IntegrityEvidence"), "integrity"),
    "Promotion": "promotion",
    "Registry": "registry",
    **dict.fromkeys(("SigningKey", "sign", "signing_key", "trusted_key"), "signing"),
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
