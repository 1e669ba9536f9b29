"""Agents: one file each; closed bars in, views out.

In:    windows and panels of closed bars (domain), training windows, agent files of a workspace.
Out:   views and panels of views; fitted copies of agents, with what they learned as arrays; leak reports.
Never: sizes, places orders, does I/O inside an agent, reads the clock, keeps anything between two calls.

An agent is a frozen dataclass that derives from `Agent`; `moving_average.py` shows a small one. Every name is loaded
when it is first used, so that neither pandas nor torch is loaded before an agent needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sapphire.agents.agent import Agent, agent_name, code_digest, fitted, own_sources
    from sapphire.agents.agent_files import load_agent_file, load_agent_source
    from sapphire.agents.arrays import Arrays
    from sapphire.agents.baselines import BuyAndHold, Cash, RandomWalk
    from sapphire.agents.calibrated import Calibrated
    from sapphire.agents.catalogue import Entry, agent_class, list_agents, resolve
    from sapphire.agents.forecasts import beliefs_from, forecast_of, forecast_panel, normal_from_quantiles
    from sapphire.agents.lag_llama import LagLlama, StudentT
    from sapphire.agents.leak_report import LeakCheck, LeakReport
    from sapphire.agents.leaks import (
        check_agent,
        feature_parity,
        fit_test,
        order_test,
        truncation_test,
        twin_test,
        warmup_test,
    )
    from sapphire.agents.models import Backend, InProcess, Model, ask_model, backed_by
    from sapphire.agents.moving_average import MovingAverageCross
    from sapphire.agents.panels import (
        features_of,
        horizon_bars,
        kind_stated,
        outcomes_bps,
        view_panel,
        views_at,
        window_at,
        window_panel,
    )
    from sapphire.agents.parameters import duration_text, plain_parameters, read_parameters
    from sapphire.agents.pool import Pool, pooled
    from sapphire.agents.release import LoadedRelease, freeze, load_release
    from sapphire.agents.sources import Source
    from sapphire.agents.view_panels import Kind, ViewPanel

_HOMES = {
    "agent": ("Agent", "agent_name", "code_digest", "fitted", "own_sources"),
    "agent_files": ("load_agent_file", "load_agent_source"),
    "arrays": ("Arrays",),
    "baselines": ("BuyAndHold", "Cash", "RandomWalk"),
    "calibrated": ("Calibrated",),
    "catalogue": ("Entry", "agent_class", "list_agents", "resolve"),
    "forecasts": ("beliefs_from", "forecast_of", "forecast_panel", "normal_from_quantiles"),
    "lag_llama": ("LagLlama", "StudentT"),
    "leak_report": ("LeakCheck", "LeakReport"),
    "leaks": (
        "check_agent",
        "feature_parity",
        "fit_test",
        "order_test",
        "truncation_test",
        "twin_test",
        "warmup_test",
    ),
    "models": ("Backend", "InProcess", "Model", "ask_model", "backed_by"),
    "moving_average": ("MovingAverageCross",),
    "panels": (
        "features_of",
        "horizon_bars",
        "kind_stated",
        "outcomes_bps",
        "view_panel",
        "views_at",
        "window_at",
        "window_panel",
    ),
    "parameters": ("duration_text", "plain_parameters", "read_parameters"),
    "pool": ("Pool", "pooled"),
    "release": ("LoadedRelease", "freeze", "load_release"),
    "sources": ("Source",),
    "view_panels": ("Kind", "ViewPanel"),
}
_LAZY = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Agent",
    "Arrays",
    "Backend",
    "BuyAndHold",
    "Calibrated",
    "Cash",
    "Entry",
    "InProcess",
    "Kind",
    "LagLlama",
    "LeakCheck",
    "LeakReport",
    "LoadedRelease",
    "Model",
    "MovingAverageCross",
    "Pool",
    "RandomWalk",
    "Source",
    "StudentT",
    "ViewPanel",
    "agent_class",
    "agent_name",
    "ask_model",
    "backed_by",
    "beliefs_from",
    "check_agent",
    "code_digest",
    "duration_text",
    "feature_parity",
    "features_of",
    "fit_test",
    "fitted",
    "forecast_of",
    "forecast_panel",
    "freeze",
    "horizon_bars",
    "kind_stated",
    "list_agents",
    "load_agent_file",
    "load_agent_source",
    "load_release",
    "normal_from_quantiles",
    "order_test",
    "outcomes_bps",
    "own_sources",
    "plain_parameters",
    "pooled",
    "read_parameters",
    "resolve",
    "truncation_test",
    "twin_test",
    "view_panel",
    "views_at",
    "warmup_test",
    "window_at",
    "window_panel",
]


def __getattr__(name: str) -> object:
    """Load a name when it is first asked for (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
