"""Parts of a replay: they add up to the whole, and a regime knows nothing of what comes after it."""

import numpy as np
import pytest

from sapphire.agents import MovingAverageCross
from sapphire.domain.clocks import to_ns
from sapphire.research.results.breakdowns import by_fold, by_regime, by_symbol
from sapphire.research.results.regimes import REGIMES, market_regimes

AGENT = MovingAverageCross(fast=2, slow=5)


@pytest.fixture(scope="module")
def replayed(studies_in, walked, tmp_path_factory):
    """A replay that traded both symbols."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SAPPHIRE_HOME", str(tmp_path_factory.mktemp("breakdowns")))
        return studies_in()(walked(length=500, seed=3)).replay(AGENT)


def compounded(rows):
    return np.prod([1.0 + row.total_return for row in rows]) - 1.0


@pytest.mark.parametrize("part", [by_fold, by_regime])
def test_parts_of_time_compound_to_the_whole(replayed, part):
    found = part(replayed)
    assert compounded(found.performances) == pytest.approx(replayed.performance.total_return, abs=1e-12)
    assert sum(row.bars for row in found.performances) == replayed.performance.bars
    assert sum(row.fills for row in found.performances) == replayed.performance.fills > 0
    fees = sum(row.costs for row in found.performances)
    assert fees == pytest.approx(replayed.performance.costs, rel=1e-9)


def test_symbols_add_up_to_the_account_at_every_close(replayed):
    found = by_symbol(replayed)
    assert found.parts == replayed.study.tested.symbols
    assert sum(row.fills for row in found.performances) == replayed.performance.fills
    assert all(row.fills for row in found.performances)
    earned = [np.log1p(row.total_return) for row in found.performances]
    assert sum(earned) == pytest.approx(np.log1p(replayed.performance.total_return), abs=1e-3)
    assert sum(row.costs for row in found.performances) == pytest.approx(replayed.performance.costs, rel=1e-9)


def test_every_fold_has_its_row_and_every_table_its_columns(replayed):
    found = by_fold(replayed)
    assert len(found.parts) == len(replayed.study.folds) > 1
    for each in (replayed.by_fold, replayed.by_symbol, replayed.by_regime):
        header, lines = each.table()
        assert all(len(line) == len(header) for line in lines)
        assert 0.0 <= min(each.exposures) <= max(each.exposures) <= 1.0
        assert [row[each.kind] for row in each.as_dict()["rows"]] == list(each.parts)


def test_a_regime_does_not_move_with_what_comes_after_it(make_study, walked, changed):
    bars = walked(length=500, seed=3)
    study = make_study(bars)
    found = market_regimes(study.evaluation, study.folds, study.tested)
    middle = len(study.tested) // 2
    border = int(np.searchsorted(bars.close_time_ns, study.tested.close_time_ns[middle]))
    other = make_study(changed(bars, slice(border + 1, None), 1.4))
    again = market_regimes(other.evaluation, other.folds, other.tested)
    assert (found.codes[: middle + 1] == again.codes[: middle + 1]).all()
    assert (found.codes != again.codes).any()
    assert set(np.unique(found.codes)) <= set(range(len(REGIMES)))


def test_bounds_of_a_regime_are_those_of_the_training_window(make_study, walked):
    """Where volatility doubles after training, most closes are of high volatility: no tercile of the test is used."""
    bars = walked(length=500, seed=5)
    study = make_study(bars)
    first = study.folds[0]
    calm = int(np.searchsorted(bars.close_time_ns, to_ns(first.test_start)))
    closes = bars.close.copy()
    closes[calm:] = closes[calm] * (closes[calm:] / closes[calm]) ** 4
    wild = make_study(
        type(bars)(**{name: closes if name == "close" else getattr(bars, name) for name in bars.__dataclass_fields__})
    )
    found = market_regimes(wild.evaluation, wild.folds[:1], wild.tested)
    of_first = found.codes[wild.tested.close_time_ns < to_ns(first.test_end)]
    assert np.isin(of_first, (4, 5)).mean() > 0.7


def test_a_replay_has_its_tear_sheet_with_the_benchmark_beside_it(replayed):
    sheet = replayed.tear_sheet()
    assert list(sheet.statistics) == [AGENT.name, "buy and hold"]
    total = replayed.performance.total_return
    assert sheet.statistics.loc["total_return", AGENT.name] == pytest.approx(total, rel=1e-12)
