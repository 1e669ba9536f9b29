import math
import multiprocessing
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.domain.errors import LedgerDamaged
from sapphire.research.ledger import Evaluation, Ledger

LINEAGE = {"source": "embedded", "symbols": ["BTC/USDT"], "interval": "1h", "seed": "7"}
ONE = Evaluation(
    agent="moving-average-cross",
    code="c0de",
    parameters={"fast": 12, "slow": 48},
    sizing={"annual": 0.2},
    lineage=LINEAGE,
    start_ns=100,
    end_ns=200,
    method="screen",
    returns_digest="d1",
    sharpe=0.05,
    study="trend",
)


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger")


def count(ledger, start_ns=100, end_ns=200, lineage=LINEAGE):
    return ledger.trials(lineage, start_ns=start_ns, end_ns=end_ns).count


def test_the_same_again_is_a_line_and_not_a_trial(ledger):
    for method in ("screen", "replay", "replay"):
        ledger.record([replace(ONE, method=method, study=method)], at_ns=1)
    assert len(ledger.evaluations()) == 3
    assert count(ledger) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"code": "other"},
        {"parameters": {"fast": 13, "slow": 48}},
        {"sizing": {"annual": 0.3}},
        {"start_ns": 101},
        {"end_ns": 201},
    ],
)
def test_anything_that_decides_makes_another_trial(ledger, change):
    ledger.record([ONE, replace(ONE, **change)], at_ns=1)
    assert count(ledger) == 2


def test_another_market_does_not_count_here(ledger):
    ledger.record([ONE, replace(ONE, lineage={**LINEAGE, "seed": "8"})], at_ns=1)
    assert count(ledger) == 1
    assert count(ledger, lineage={**LINEAGE, "seed": "8"}) == 1


def test_counterfactuals_are_kept_and_not_counted(ledger):
    ledger.record([ONE, replace(ONE, sizing={}, method="counterfactual", counted=False)], at_ns=1)
    assert count(ledger) == 1
    assert len(ledger.evaluations()) == 2


@given(start=st.integers(0, 300), length=st.integers(1, 100))
def test_a_trial_counts_where_its_data_overlap(tmp_path_factory, start, length):
    ledger = Ledger(tmp_path_factory.mktemp("ledger"))
    ledger.record([ONE], at_ns=1)
    shared = set(range(100, 200)) & set(range(start, start + length))
    assert count(ledger, start, start + length) == (1 if shared else 0)


def test_a_trial_without_a_sharpe_ratio_is_still_one(ledger):
    ledger.record([replace(ONE, sharpe=math.nan)], at_ns=1)
    trials = ledger.trials(LINEAGE, start_ns=0, end_ns=1000)
    assert trials.count == 1
    assert trials.sharpes == ()


@pytest.mark.parametrize("line", [0, 1, 2])
def test_a_changed_or_missing_line_is_named(ledger, line):
    ledger.record([replace(ONE, start_ns=start) for start in (1, 2, 3)], at_ns=1)
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    for broken in (
        [*lines[:line], lines[line].replace(b'"sharpe":0.05', b'"sharpe":0.95'), *lines[line + 1 :]],
        [*lines[:line], *lines[line + 1 :]],
    ):
        ledger.path.write_bytes(b"".join(broken))
        if line == 2:  # nothing follows the last line, so its head is what changes
            assert ledger.trials(LINEAGE, start_ns=0, end_ns=1000).head != ""
            continue
        with pytest.raises(LedgerDamaged, match=rf"line {line + 2 if len(broken) == 3 else line + 1}"):
            ledger.evaluations()


def test_a_line_cut_short_refuses_the_next_entry(ledger):
    ledger.record([ONE, ONE], at_ns=1)
    whole = ledger.path.read_bytes()
    ledger.path.write_bytes(whole[:-20])
    with pytest.raises(LedgerDamaged, match="line 2"):
        ledger.record([ONE], at_ns=2)
    assert ledger.path.read_bytes() == whole[:-20]


def _record_many(folder, author):
    for entry in range(20):
        Ledger(folder).record([replace(ONE, start_ns=entry)], at_ns=entry, who=author)


def test_writers_side_by_side_keep_one_chain(tmp_path):
    writers = [multiprocessing.Process(target=_record_many, args=(tmp_path, f"quant-{n}")) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(Ledger(tmp_path).evaluations()) == 60
