"""Data Collector: collect, import, snapshot, check, and the features made of bars.

In:    candles from venues (ccxt), from candle files, and from the generated market (the compiled engine).
Out:   snapshots: bars that stay what they are, with where they are from and the hash of what they say; features.
Never: fills a gap, changes a price by more than rounding noise, mixes real and generated bars, or shows a bar that has
       not closed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sapphire.data.catalog import list_snapshots, load_snapshot, snapshot
    from sapphire.data.collector import Collected, collect
    from sapphire.data.exporting import export_candles
    from sapphire.data.features import FORMULAS, FeatureSet
    from sapphire.data.import_results import Checked, Imports
    from sapphire.data.importing import check_candles, import_candles
    from sapphire.data.quality import Finding, QualityReport, check, repair
    from sapphire.data.rows import Measure, Rows
    from sapphire.data.rule_files import read_rules
    from sapphire.data.series import Series
    from sapphire.data.snapshots import Snapshot
    from sapphire.data.store import Origin, Store, StoredSeries
    from sapphire.data.trading_rules import RulesPeriod, TradingRules

_HOMES = {
    "catalog": ("list_snapshots", "load_snapshot", "snapshot"),
    "collector": ("Collected", "collect"),
    "features": ("FORMULAS", "FeatureSet"),
    "exporting": ("export_candles",),
    "import_results": ("Checked", "Imports"),
    "importing": ("check_candles", "import_candles"),
    "quality": ("Finding", "QualityReport", "check", "repair"),
    "rows": ("Measure", "Rows"),
    "rule_files": ("read_rules",),
    "series": ("Series",),
    "snapshots": ("Snapshot",),
    "store": ("Origin", "Store", "StoredSeries"),
    "trading_rules": ("RulesPeriod", "TradingRules"),
}
_LAZY = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "FORMULAS",
    "Checked",
    "Collected",
    "FeatureSet",
    "Finding",
    "Imports",
    "Measure",
    "Origin",
    "QualityReport",
    "Rows",
    "RulesPeriod",
    "Series",
    "Snapshot",
    "Store",
    "StoredSeries",
    "TradingRules",
    "check",
    "check_candles",
    "collect",
    "export_candles",
    "import_candles",
    "list_snapshots",
    "load_snapshot",
    "read_rules",
    "repair",
    "snapshot",
]


def __getattr__(name: str) -> object:
    """Load what needs numpy when it is first asked for (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
