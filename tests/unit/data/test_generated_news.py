"""Generated news: the same however they are asked for, for any coin, and documents like others."""

import json
from datetime import timedelta

import pytest

from sapphire.data import DocumentStore, generated_news, import_documents
from sapphire.domain.clocks import to_ns
from sapphire.domain.errors import ValueRefused

COINS = ["SOL/USDC", "PEPE/EUR"]


def items(*span, symbols=COINS, **how):
    return [json.loads(line) for line in generated_news(symbols, *span, **{"seed": 3} | how).splitlines()]


def test_a_part_of_a_stretch_has_the_headlines_of_the_whole():
    whole = items("2019-11-03T07:00Z", "2019-12-03")
    parts = items("2019-11-03T07:00Z", "2019-11-20T13:37Z") + items("2019-11-20T13:37Z", "2019-12-03")
    assert parts == whole
    assert items("2019-11-03T07:00Z", "2019-12-03", symbols=COINS[:1]) == [
        each for each in whole if each["symbols"] == COINS[:1]
    ]
    stretches = 30 * 4 * len(COINS)
    assert 0.6 * stretches < len(whole) < 0.9 * stretches
    assert items("2019-11-03T07:00Z", "2019-12-03", seed=4) != whole
    assert all(each["symbols"][0].partition("/")[0] in each["title"] for each in whole)


def test_they_are_imported_once_and_read_from_when_they_were_received(tmp_path, monkeypatch):
    monkeypatch.setenv("SAPPHIRE_HOME", str(tmp_path))
    data = generated_news(COINS, "2019-11-03", "2019-11-13", seed=3)
    first = import_documents(data, kind="news", source="generated", licence="CC0-1.0")
    again = import_documents(data, kind="news", source="generated", licence="CC0-1.0")
    assert (first.added + first.repeats, again.added) == (first.items, 0)
    documents = DocumentStore().read("news")
    assert len(documents) == first.added > 20
    assert all(each.received_ns - each.published_ns == 60 * 10**9 for each in documents)
    assert len(documents.until(to_ns("2019-11-06"))) < len(documents)


@pytest.mark.parametrize("every", [timedelta(minutes=90), timedelta(0), timedelta(hours=-6)])
def test_a_stretch_that_is_no_hours_is_refused(every):
    with pytest.raises(ValueRefused, match="how often there is news"):
        generated_news(COINS, "2019-11-03", "2019-11-04", seed=3, every=every)
