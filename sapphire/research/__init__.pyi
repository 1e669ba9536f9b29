from .ledger.book import Evaluation as Evaluation, Ledger as Ledger, Trials as Trials
from .results.paired import Paired as Paired, compare as compare
from .runs import costs as costs
from .runs.costs import Costs as Costs
from .runs.paths import walk_paths as walk_paths
from .runs.splits import (
    CombinatorialPurged as CombinatorialPurged,
    PurgedKFold as PurgedKFold,
    WalkForward as WalkForward,
    combinatorial_purged as combinatorial_purged,
    purged_k_fold as purged_k_fold,
    walk_forward as walk_forward,
)
from .studies import Study as Study, study as study
