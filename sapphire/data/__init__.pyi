from .catalog import list_snapshots as list_snapshots, load_snapshot as load_snapshot, snapshot as snapshot
from .collector import Collected as Collected, collect as collect
from .documents import (
    DocumentStore as DocumentStore,
    generated_news as generated_news,
    import_documents as import_documents,
)
from .exporting import export_candles as export_candles
from .features import FORMULAS as FORMULAS, FeatureSet as FeatureSet
from .import_results import Checked as Checked, Imports as Imports
from .importing import check_candles as check_candles, import_candles as import_candles
from .quality import Finding as Finding, QualityReport as QualityReport, check as check, repair as repair
from .rows import Measure as Measure, Rows as Rows
from .rule_files import read_rules as read_rules
from .series import Series as Series
from .snapshots import Snapshot as Snapshot
from .store import Origin as Origin, Store as Store, StoredSeries as StoredSeries
from .trading_rules import RulesPeriod as RulesPeriod, TradingRules as TradingRules
