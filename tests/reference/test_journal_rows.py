"""Rows of the journal's export: what a Rust test wrote is what Python's reader takes, key by key.

The file is `journal_rows.jsonl`, held current by `service/tests/journal_reader.rs`.
"""

import json
from pathlib import Path

import pytest

from sapphire.domain.errors import DataError
from sapphire.monitoring import TradedDay

GOLDEN = Path(__file__).parent / "golden" / "journal_rows.jsonl"
FREE = {
    "signal": {"time_to_live_ns"},
    "report": {"state", "odd", "venue_order", "executed_lots", "venue_code", "conclusive"},
    "denied": {"release", "ticks", "time_in_force", "text"},
    "target": {"release", "held_lots", "remaining_lots", "outcome"},
    "trading": {"by", "command", "symbol"},
    "adjusted": set(),
    "order": set(),
    "fill": set(),
}
"""Keys that may be missing, by kind: the reader does not need them, or says itself what stands in their place."""


@pytest.fixture
def rows():
    return [json.loads(line) for line in GOLDEN.read_text().splitlines()]


def test_every_row_is_read(rows):
    day = TradedDay.of(rows)
    assert day.config["account"] == "paper"
    assert [len(each) for each in (day.epochs, day.signals, day.orders, day.fills, day.denials, day.states)] == [
        2,
        3,
        1,
        2,
        1,
        2,
    ]
    assert (day.orders[0].side, day.orders[0].lots, day.fills[0].fee_asset) == ("BUY", 1_002, "BTC")
    assert day.refused_for == {"UNKNOWN_INSTRUMENT": 1}
    assert day.trading[0].state == "HALTED"
    assert {asset: atoms for asset, atoms in day.holdings.items() if atoms} == day.final_holdings()
    assert day.releases == {"ab" * 32: "paper.trend@1"}


@pytest.mark.parametrize("kind", sorted(FREE))
def test_a_key_that_is_renamed_is_no_row_any_more(rows, kind):
    row = next(row for row in rows if row["kind"] == kind)
    for key in row.keys() - FREE[kind] - {"kind"}:
        renamed = {f"{name}_" if name == key else name: value for name, value in row.items()}
        with pytest.raises(DataError, match="cannot be read"):
            TradedDay.of([renamed if each is row else each for each in rows])


def test_what_the_engine_does_not_hold_is_known(rows):
    TradedDay.of(
        [*rows[:-1], {"kind": "not_holdable", "step": "1", "market_ns": "1", "asset": "X", "atoms": "-1"}, rows[-1]]
    )
