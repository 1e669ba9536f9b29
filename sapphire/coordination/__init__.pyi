from .bento import Bento as Bento
from .coordinator import Coordinator as Coordinator, Duty as Duty
from .decision_log import (
    DecisionLog as DecisionLog,
    last_decision as last_decision,
    latest_decisions as latest_decisions,
    may_hold as may_hold,
)
from .decisions import Decision as Decision, Obstacle as Obstacle, Scope as Scope
from .sizing import Account as Account, Asked as Asked, Size as Size, equity_atoms as equity_atoms
