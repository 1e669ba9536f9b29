import json
import math
import multiprocessing
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_disks import fill, small_disk, until_full

from sapphire.domain.errors import LedgerDamaged, PlaceFull
from sapphire.research.ledger.book import Evaluation, Ledger
from sapphire.research.ledger.sketches import Sketch
from sapphire.research.ledger.spans import Span
from sapphire.research.ledger.trial_returns import ReturnSeries

SEVEN = 'generated {"seed":"7"}'
SPAN = Span(market=SEVEN, assets={"BTC/USDT": "a" * 64}, bar_ns=10, start_ns=100, end_ns=200)
ONE = Evaluation(
    agent="moving-average-cross",
    code="c0de",
    parameters={"fast": 12, "slow": 48},
    sizing={"annual": 0.2},
    protocol="p" * 64,
    seed=7,
    span=SPAN,
    method="screen",
    returns_digest="d1",
    sharpe=0.05,
    study="trend",
)


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger")


def of(**changes):
    return replace(ONE, span=replace(SPAN, **changes))


def count(ledger, **changes):
    return ledger.trials(replace(SPAN, **changes)).count


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
        {"protocol": "q" * 64},
        {"seed": 8},
        {"returns_digest": "d2"},
        {"span": replace(SPAN, start_ns=101)},
        {"span": replace(SPAN, end_ns=201)},
        {"span": replace(SPAN, bar_ns=5)},
        {"span": replace(SPAN, assets={"BTC/USDT": "b" * 64})},
    ],
)
def test_anything_that_decides_makes_another_trial(ledger, change):
    ledger.record([ONE, replace(ONE, **change)], at_ns=1)
    assert count(ledger) == 2


def test_a_market_is_one_whatever_venue_quote_kind_and_interval_showed_it(ledger):
    others = [of(assets={"BTC/EUR": "b" * 64}), of(assets={"BTC/USDT:USDT": "c" * 64}, bar_ns=60)]
    ledger.record([ONE, *others], at_ns=1)
    assert count(ledger) == 3


def test_the_best_of_eight_symbols_is_the_best_of_eight(ledger):
    eight = {f"{base}/USDT": f"{number}" * 64 for number, base in enumerate(("BTC", *"ABCDEFG"))}
    ledger.record([ONE, replace(ONE, code="other", span=replace(SPAN, assets=eight))], at_ns=1)
    trials = ledger.trials(SPAN)
    assert trials.count == 1 + 8
    assert len(trials.ratios("sharpe")) == len(trials.outcomes("sharpe")) == 2, "V is of what was measured"
    assert count(ledger, assets=eight) == 2
    assert count(ledger, assets=eight | {"H/USDT": "8" * 64}) == 2


def test_nor_does_a_symbol_more_or_another_name_make_it_less(ledger):
    both = [Sketch(name * 64, frozenset()) for name in "ab"]
    ledger.sketches().keep(both)
    bitcoin, ether = (sketch.digest for sketch in both)
    ledger.record([of(assets={"BTC/USDT": bitcoin, "ETH/USDT": ether})], at_ns=1)
    assert count(ledger, assets={"BTC/USDT": bitcoin, "ETH/EUR": ether}) == 1, "the same symbols"
    assert count(ledger, assets={"BTC/USDT": bitcoin}) == 2
    assert count(ledger, assets={"BTC/USDT": bitcoin, "DUMMY/USDT": ether}) == 2, "a symbol beside it"
    assert count(ledger, assets={"XBT/USDT": bitcoin}) == 2, "another name"


def test_another_market_or_asset_does_not_count_here(ledger):
    btc, other, eth = sketches = [Sketch(name * 64, frozenset()) for name in "abc"]
    ledger.sketches().keep(sketches)
    eight = {"market": 'generated {"seed":"8"}', "assets": {"BTC/USDT": other.digest}}
    seven, ethereum = {"assets": {"BTC/USDT": btc.digest}}, {"assets": {"ETH/USDT": eth.digest}}
    ledger.record([of(**seven), of(**eight), of(**ethereum)], at_ns=1)
    assert count(ledger, **seven) == count(ledger, **eight) == count(ledger, **ethereum) == 1


def test_prices_whose_sketch_is_gone_are_not_passed_over(ledger):
    ledger.record([of(assets={"ETH/USDT": "c" * 64})], at_ns=1)
    with pytest.raises(LedgerDamaged, match="a sketch of prices"):
        count(ledger)


def test_counterfactuals_are_kept_and_not_counted(ledger):
    ledger.record([ONE, replace(ONE, sizing={}, method="counterfactual", counted=False)], at_ns=1)
    assert count(ledger) == 1
    assert len(ledger.evaluations()) == 2


@given(start=st.integers(0, 300), length=st.integers(1, 100))
def test_a_trial_counts_where_its_data_overlap(tmp_path_factory, start, length):
    ledger = Ledger(tmp_path_factory.mktemp("ledger"))
    ledger.record([ONE], at_ns=1)
    shared = set(range(100, 200)) & set(range(start, start + length))
    assert count(ledger, start_ns=start, end_ns=start + length) == (1 if shared else 0)


def test_a_trial_without_a_sharpe_ratio_is_still_one_and_varies_nothing(ledger):
    ledger.record([replace(ONE, sharpe=math.nan)], at_ns=1)
    trials = ledger.trials(SPAN)
    assert trials.count == 1
    assert math.isnan(trials.ratios("sharpe")[0])
    ledger.record([ONE, replace(ONE, code="other", sharpe=0.07, returns_digest="d2")], at_ns=1)
    assert ledger.trials(SPAN).ratios("sharpe") == (0.05, 0.07)


def test_a_flood_of_copies_is_one_ratio_and_many_trials(ledger):
    other = replace(ONE, code="other", sharpe=-0.2, returns_digest="d2")
    copies = [replace(ONE, code=f"copy {number}", sharpe=0.05 + number * 1e-12) for number in range(50)]
    ledger.record([other, *copies], at_ns=1)
    trials = ledger.trials(SPAN)
    assert trials.count == 51
    assert len(set(trials.outcomes("sharpe"))) == 2


def test_ratios_come_at_the_bars_that_are_asked_about(ledger):
    ledger.record([replace(ONE, span=replace(SPAN, bar_ns=40), sharpe=0.2, active=0.1)], at_ns=1)
    trials = ledger.trials(SPAN)
    assert trials.ratios("sharpe") == (pytest.approx(0.1),)
    assert trials.ratios("active") == (pytest.approx(0.05),)


@pytest.mark.parametrize("line", [0, 1, 2])
def test_a_changed_or_missing_line_is_named(ledger, line):
    ledger.record([of(start_ns=start) for start in (1, 2, 3)], at_ns=1)
    anchored = ledger.head
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    for broken in (
        [*lines[:line], lines[line].replace(b'"sharpe":0.05', b'"sharpe":0.95'), *lines[line + 1 :]],
        [*lines[:line], *lines[line + 1 :]],
    ):
        ledger.path.write_bytes(b"".join(broken))
        if line == 2:  # nothing follows the last line, so only who kept the head can tell
            assert ledger.head != anchored
            with pytest.raises(LedgerDamaged, match="not the one that release trend@1 was counted on"):
                ledger.chain.holds(anchored, kept_by="release trend@1")
            continue
        with pytest.raises(LedgerDamaged, match=rf"line {line + 2 if len(broken) == 3 else line + 1}"):
            ledger.evaluations()


def test_a_ledger_that_grew_still_holds_what_was_anchored(ledger):
    ledger.chain.holds(ledger.head, kept_by="nobody")
    heads = [ledger.record([of(start_ns=start)], at_ns=1) for start in range(3)]
    for head in heads:
        ledger.chain.holds(head, kept_by="release trend@1")
    assert [head.lines for head in heads] == [1, 2, 3]


def test_another_ledger_in_its_place_is_found(ledger, tmp_path):
    anchored = ledger.record([ONE, ONE], at_ns=1)
    fresh = Ledger(tmp_path / "fresh")
    fresh.record([replace(ONE, study=f"{number}") for number in range(5)], at_ns=1)
    with pytest.raises(LedgerDamaged, match="cut off or replaced"):
        fresh.chain.holds(anchored, kept_by="release trend@1")
    ledger.path.unlink()
    with pytest.raises(LedgerDamaged, match="0 lines"):
        ledger.chain.holds(anchored, kept_by="release trend@1")


def test_a_line_of_another_version_is_named(ledger):
    ledger.folder.mkdir()
    ledger.path.write_text(json.dumps({"before": "0" * 64, "agent": "old"}) + "\n")
    with pytest.raises(LedgerDamaged, match="line 1") as refused:
        ledger.evaluations()
    assert "of another version" in refused.value.got
    assert "use the version that wrote it" in refused.value.next


def test_an_evaluation_of_a_ledger_without_what_was_begun_is_of_another_version(ledger):
    line = {name: value for name, value in ONE.as_dict().items() if name != "begun"}
    ledger.chain.append(lambda *_: [line], written=lambda head: None)
    with pytest.raises(LedgerDamaged, match="line 1") as refused:
        ledger.evaluations()
    assert (refused.value.expected, refused.value.got) == ("the field 'begun'", "none, of another version")
    assert "backup" not in refused.value.next


def test_a_line_cut_short_refuses_the_next_entry(ledger):
    ledger.record([ONE, ONE], at_ns=1)
    whole = ledger.path.read_bytes()
    ledger.path.write_bytes(whole[:-20])
    with pytest.raises(LedgerDamaged, match="line 2"):
        ledger.record([ONE], at_ns=2)
    assert ledger.path.read_bytes() == whole[:-20]


def test_on_a_full_disk_the_ledger_is_as_long_as_it_was(tmp_path):
    values = np.random.default_rng(1).standard_normal(20_000)
    series = ReturnSeries(np.arange(20_000, dtype=np.int64), values)
    with small_disk(tmp_path / "disk", 512) as disk:
        ledger, kept = Ledger(disk / "ledger"), 0

        def record():
            nonlocal kept
            ledger.record([of(start_ns=kept), of(start_ns=kept + 1)], at_ns=kept)
            kept += 2

        record()
        with fill(disk):
            until_full(record)  # in the middle of a line
            assert len(ledger.evaluations()) == kept > 2
            with pytest.raises(PlaceFull):
                ledger.record([replace(ONE, returns_digest=series.digest, series=series)], at_ns=kept)
        record()
        assert len(ledger.evaluations()) == kept
        assert ledger.path.read_bytes().count(b"\n") == kept


def _record_many(folder, author):
    for entry in range(20):
        Ledger(folder).record([of(start_ns=entry)], at_ns=entry, who=author)


def test_writers_side_by_side_keep_one_chain(tmp_path):
    writers = [multiprocessing.Process(target=_record_many, args=(tmp_path, f"quant-{n}")) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(Ledger(tmp_path).evaluations()) == 60
