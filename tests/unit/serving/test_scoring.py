"""A release asked by a table of bars says what it says to a window, and refuses what a bento refuses."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from sapphire.domain import Window
from sapphire.domain.bars import FIELDS
from sapphire.domain.clocks import from_ns
from sapphire.domain.errors import BadBars, ConfigError, DataError, EvidenceRefused, PermitClosed, Refused
from sapphire.serving.scoring import ScoredRelease


def table(bars, first=0, last=500):
    rows = [
        (pd.Timestamp(int(bars.open_time_ns[row])), symbol, *(getattr(bars, name)[row, place] for name in FIELDS))
        for row in range(first, last)
        for place, symbol in enumerate(bars.symbols)
        if bars.listed[row, place]
    ]
    return pd.DataFrame(rows, columns=["open_time", "symbol", *FIELDS])


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def digest(state, bars, cross, freeze_into, report_on):
    made = freeze_into(state, cross, bars)
    report_on(state, made)
    return made


@pytest.fixture(scope="module")
def scored(state, digest):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAPPHIRE_HOME", str(state))
        made = ScoredRelease(state / "releases" / digest, digest, stage="paper")
        yield made
        made.close()


def test_a_table_in_any_order_and_zone_is_the_window(scored, bars, cross):
    wanted = cross.views(Window(bars.rows(0, 500), from_ns(int(bars.close_time_ns[499]))))
    plain = table(bars)
    abroad = plain.assign(open_time=plain["open_time"].dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"))
    text = plain.assign(open_time=plain["open_time"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    for given in (plain, plain.sample(frac=1.0, random_state=1), abroad, text):
        scores = scored.views(given)
        assert list(scores["symbol"]) == [view.symbol for view in wanted]
        assert [value.hex() for value in scores["mean_bps"]] == [view.mean_bps.hex() for view in wanted]
        assert [value.hex() for value in scores["std_bps"]] == [view.std_bps.hex() for view in wanted]
        assert list(scores["as_of"]) == [pd.Timestamp(view.as_of).tz_localize(None) for view in wanted]
        assert list(scores["horizon_s"]) == [view.horizon.total_seconds() for view in wanted]
        assert scores["score"].isna().all()


def test_a_symbol_that_had_no_bar_has_no_row(scored, bars):
    rows = table(bars)
    gone = rows[(rows["symbol"] != "ETH/USDT") | (rows["open_time"] > rows["open_time"].iloc[200])]
    assert set(scored.views(gone)["symbol"]) <= set(bars.symbols)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.drop(columns="high"), "no high"),
        (lambda rows: rows.head(0), "no rows"),
        (lambda rows: pd.concat([rows, rows.tail(1)]), "a bar comes twice"),
        (lambda rows: rows.assign(open_time="yesterday evening"), "open_time"),
        (lambda rows: rows.assign(open_time=rows["open_time"] + timedelta(seconds=7)), "open"),
        (lambda rows: rows.assign(close=np.inf), "close"),
        (lambda rows: rows.assign(low=rows["high"] * 2), "low"),
        (lambda rows: rows[rows["symbol"] == "BTC/USDT"], "other symbols"),
        (lambda rows: rows.assign(symbol="DOGE/USDT").drop_duplicates(["open_time", "symbol"]), "other symbols"),
        (lambda rows: rows.tail(4), "too few bars"),
    ],
)
def test_what_is_no_table_of_its_bars_is_refused_in_words(scored, bars, change, message):
    with pytest.raises((BadBars, DataError)) as refused:
        scored.views(change(table(bars)))
    assert message in str(refused.value)


def test_a_permit_that_is_closed_meanwhile_ends_the_answers(state, scored, digest, bars, sign_permit, monkeypatch):
    assert len(scored.views(table(bars)))
    sign_permit(state, digest, passed=False)
    with pytest.raises(Refused):
        scored.views(table(bars))
    monkeypatch.setenv("SAPPHIRE_HOME", str(state))
    with pytest.raises(PermitClosed):
        ScoredRelease(state / "releases" / digest, digest, stage="paper")
    sign_permit(state, digest)
    assert len(scored.views(table(bars)))


@pytest.mark.parametrize("why", ["live", "other bytes", "golden outputs", "no state"])
def test_what_a_bento_refuses_is_not_loaded(state, digest, bars, cross, freeze_into, skewed, report_on, why, tmp_path):
    folder, stage, named, kind = state / "releases" / digest, "paper", digest, EvidenceRefused
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAPPHIRE_HOME", str(state))
        if why == "live":
            stage = "live"
        elif why == "other bytes":
            named = "f" * 64
        elif why == "golden outputs":
            named = skewed(state, digest)
            report_on(state, named)
            folder, kind = state / "releases" / named, Exception
        else:
            patch.delenv("SAPPHIRE_HOME")
            patch.chdir(tmp_path)
            kind = ConfigError
        with pytest.raises(kind) as refused:
            ScoredRelease(folder, named, stage=stage)
    assert (why != "golden outputs") or "says something else here" in str(refused.value)
