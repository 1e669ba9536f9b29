import IPython.core.interactiveshell

from . import (
    agents as agents,
    coordination as coordination,
    data as data,
    domain as domain,
    execution as execution,
    lab as lab,
    monitoring as monitoring,
    portfolio as portfolio,
    registry as registry,
    research as research,
    serving as serving,
    stack as stack,
    statistics as statistics,
    telemetry as telemetry,
)
from .agents import Agent as Agent
from .domain import View as View, ViewNote as ViewNote, Window as Window
from .research import (
    combinatorial_purged as combinatorial_purged,
    compare as compare,
    costs as costs,
    purged_k_fold as purged_k_fold,
    study as study,
    walk_forward as walk_forward,
)

__version__: str

def load_ipython_extension(ipython: IPython.core.interactiveshell.InteractiveShell) -> None: ...
