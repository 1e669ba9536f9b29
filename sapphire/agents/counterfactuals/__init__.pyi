from .asking import (
    TOLERANCE as TOLERANCE,
    WINDOWS as WINDOWS,
    counterfactuals_of as counterfactuals_of,
    drawn_windows as drawn_windows,
)
from .measured import (
    COUNTERFACTUALS as COUNTERFACTUALS,
    AgentCounterfactuals as AgentCounterfactuals,
    Counterfactual as Counterfactual,
    Kind as Kind,
    binary_divergence as binary_divergence,
)
