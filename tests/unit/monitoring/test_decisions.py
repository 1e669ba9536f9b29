"""The coordinator's lines are read back as what it knew and decided."""

from datetime import timedelta

import pytest

from sapphire.domain.errors import DataError
from sapphire.monitoring import read_decisions


@pytest.fixture
def lines(recorded):
    return [decision.line for decision in recorded.decisions]


def test_a_line_is_read_back_to_the_last_bit(recorded, evidence, lines, tmp_path):
    (tmp_path / "decisions.jsonl").write_bytes(b"".join(lines))
    made = read_decisions(tmp_path / "decisions.jsonl")
    assert list(made) == [bar.bar_close_ns for bar in evidence.bars]
    bar = evidence.bars[20]
    decision = made[bar.bar_close_ns]
    assert decision.views == bar.views
    assert [(each.symbol, each.lots) for each in decision.targets] == [(each.symbol, each.lots) for each in bar.targets]
    assert decision.beliefs[0].horizon == timedelta(hours=4)
    assert (decision.cash_quote_atoms, decision.code) == (bar.cash_quote_atoms, None)
    assert decision.answered_ns - decision.asked_ns == 5_000_000


def test_a_line_that_is_still_being_written_is_passed_over(lines, tmp_path):
    (tmp_path / "decisions.jsonl").write_bytes(b"".join(lines[:3]) + lines[3][:100])
    assert len(read_decisions(tmp_path / "decisions.jsonl")) == 3


def test_two_lines_about_one_bar_are_refused(lines, tmp_path):
    (tmp_path / "decisions.jsonl").write_bytes(lines[0] + lines[1] + lines[0])
    with pytest.raises(DataError, match="two decisions about one bar"):
        read_decisions(tmp_path / "decisions.jsonl")


def test_a_line_that_is_no_decision_is_named(lines, tmp_path):
    (tmp_path / "decisions.jsonl").write_bytes(lines[0] + b'{"bar_close_ns":"1"}\n')
    with pytest.raises(DataError, match="line 2 cannot be read"):
        read_decisions(tmp_path / "decisions.jsonl")


def test_a_run_without_decisions_has_none(tmp_path):
    assert read_decisions(tmp_path / "decisions.jsonl") == {}
