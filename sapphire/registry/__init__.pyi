from .admission import Admission as Admission, Permit as Permit
from .calibrations import (
    BeliefCheck as BeliefCheck,
    CalibrationEvidence as CalibrationEvidence,
    ProbabilityFit as ProbabilityFit,
    ScoreSlope as ScoreSlope,
)
from .environment import GitState as GitState, LockState as LockState, git_state as git_state, lock_state as lock_state
from .evidence_store import EvidenceStore as EvidenceStore
from .gates import Issue as Issue, evaluate_gates as evaluate_gates
from .integrity import (
    AskedEvidence as AskedEvidence,
    CheckEvidence as CheckEvidence,
    IntegrityEvidence as IntegrityEvidence,
)
from .listing import RegisteredRelease as RegisteredRelease, ReleaseTable as ReleaseTable
from .measurements import (
    ActiveEvidence as ActiveEvidence,
    CostEvidence as CostEvidence,
    Difference as Difference,
    EvidenceBundle as EvidenceBundle,
    HoldoutEvidence as HoldoutEvidence,
    Outcome as Outcome,
    WalkForwardEvidence as WalkForwardEvidence,
)
from .paper_days import ParityDay as ParityDay
from .policies import Policy as Policy, load_policy as load_policy, policy_folder as policy_folder
from .promotion import Promotion as Promotion
from .record_lines import Record as Record
from .registry import Registry as Registry
from .signing import SigningKey as SigningKey, sign as sign, signing_key as signing_key
from .trust import Deployment as Deployment
from .versions import Version as Version
