"""A ledger that was put back behind a search is found by its mark in the user's configuration folder."""

import shutil
from datetime import timedelta

import pytest

from sapphire.agents import MovingAverageCross
from sapphire.domain.errors import ConfigError, LedgerDamaged
from sapphire.registry import Registry
from sapphire.registry.anchors import LedgerMark
from sapphire.research.ledger.counting import check_anchors

AGENT = MovingAverageCross(fast=3, slow=12, horizon=timedelta(hours=2))


@pytest.fixture
def searched(make_study, home, tmp_path):
    """A study whose state folder was copied after its first screen, and that searched on."""
    study = make_study()
    study.screen(AGENT)
    shutil.copytree(home, tmp_path / "copy")
    study.sweep(AGENT, fast=[2, 4, 5, 6], slow=[12, 16])
    assert study.trials().count == 9
    return study


def put_back(home, copy):
    shutil.rmtree(home)
    shutil.copytree(copy, home)


def asks(study, home):
    yield lambda: study.trials()
    yield lambda: study.screen(AGENT)
    yield lambda: study.replay(AGENT)
    yield lambda: study.submit(AGENT)
    yield lambda: check_anchors(study.ledger, Registry(home))


def test_a_state_folder_that_is_put_back_behind_a_search_counts_nothing(searched, home, tmp_path):
    newest = searched.ledger.head
    put_back(home, tmp_path / "copy")
    before = searched.ledger.path.read_bytes()
    for ask in asks(searched, home):
        with pytest.raises(LedgerDamaged, match="not the one that was last written here") as refused:
            ask()
        assert refused.value.got == "3 lines: 16 missing"
        assert f"line {newest.lines} with digest {newest.digest[:12]}" in refused.value.expected
        assert "restore the newer ledger" in refused.value.next
        assert "a backup was restored on purpose, go on in a fresh state folder" in refused.value.next
        assert "a fresh state folder begins a fresh ledger" in refused.value.next
    assert searched.ledger.path.read_bytes() == before


def test_nor_does_it_once_it_has_grown_again_or_another_stood_in_between(searched, make_study, home, tmp_path):
    shutil.rmtree(home)
    study = make_study()
    assert study.screen(AGENT).trials == 1, "a folder that is not there begins anew"
    study.screen(AGENT.replace(fast=4))
    assert study.trials().count == 2
    put_back(home, tmp_path / "copy")
    with pytest.raises(LedgerDamaged, match="2 missing"):
        make_study().screen(AGENT.replace(fast=5))


def test_lines_that_are_taken_away_alone_are_missed(searched):
    searched.ledger.path.unlink()
    for ask in (searched.trials, lambda: searched.screen(AGENT)):
        with pytest.raises(LedgerDamaged, match="0 lines: 19 missing"):
            ask()


def test_the_mark_may_lag_by_one_append_and_never_leads(searched, monkeypatch):
    ledger = searched.ledger
    seen = []

    def killed(mark, lines, head):
        seen.append((len(ledger.path.read_bytes().splitlines()), lines))
        raise KeyboardInterrupt

    marked = ledger.mark.read()
    with monkeypatch.context() as patched:
        patched.setattr(LedgerMark, "note", killed)
        with pytest.raises(KeyboardInterrupt):
            searched.screen(AGENT.replace(fast=7))
    assert seen == [(20, 20)], "the line was there before the mark was to move"
    assert ledger.mark.read() == marked == (19, ledger.chain.read()[1][18])
    assert searched.trials().count == 10
    searched.screen(AGENT.replace(fast=7))
    assert ledger.mark.read() == (ledger.head.lines, ledger.head.digest) == (22, ledger.head.digest)


def test_a_first_entry_that_was_killed_leaves_a_ledger_that_begins(searched, make_study, home, monkeypatch):
    shutil.rmtree(home)
    study = make_study()
    with monkeypatch.context() as patched:
        patched.setattr("sapphire.research.ledger.chain.Chain.append", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            study.screen(AGENT)
    assert list(study.ledger.folder.iterdir()), "the prices were kept, and no line"
    assert study.screen(AGENT).trials == 1


@pytest.mark.parametrize("mark", ["[19]", f'[0,"{"a" * 64}"]', f'[-1,"{"a" * 64}"]', f'[true,"{"a" * 64}"]'])
def test_a_mark_that_does_not_read_is_named(searched, mark):
    searched.ledger.mark.path.write_text(mark)
    with pytest.raises(LedgerDamaged, match="the mark of the trial ledger does not read"):
        searched.trials()


def test_a_state_folder_at_another_place_has_no_mark(searched, home, tmp_path, monkeypatch):
    monkeypatch.setenv("SAPPHIRE_HOME", str(tmp_path / "copy"))
    assert searched.trials().count == 1, "out of reach, and said in EVIDENCE.md"


def test_a_configuration_folder_that_cannot_be_written_lets_nothing_run(make_study, tmp_path, monkeypatch):
    (tmp_path / "config").write_text("a file where a folder should be")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    study = make_study()
    for _ in range(2):
        with pytest.raises(ConfigError, match="cannot be marked in the configuration folder") as refused:
            study.screen(AGENT)
    assert "XDG_CONFIG_HOME" in refused.value.next
    assert not study.ledger.path.exists(), "and no try leaves a line"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "another"))
    assert study.screen(AGENT).trials == 1
