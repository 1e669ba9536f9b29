"""What a study leaves for MLflow's pages: numbers by their units, folds and combinations below, and no failure."""

import json
from datetime import timedelta

import numpy as np
import pytest

from sapphire.agents import BuyAndHold, MovingAverageCross
from sapphire.registry.tracking import Outbox, Page, Tracking

AGENT = MovingAverageCross(fast=3, slow=12, horizon=timedelta(hours=2))
UNITS = ("_pct", "_annual", "_bps", "_per_year", "_count", "_probability", "_standard_error", "_growth")


def left_in(home):
    """The pages that wait, by the kind of what is below the study."""
    files = (home / "mlflow" / "outbox").glob("*.json")
    pages = [Page.from_dict(json.loads(file.read_text())) for file in files]
    return {page.children[0].kind: (page, page.children[0]) for page in pages}


def test_a_screen_a_replay_and_its_folds_share_the_names_of_their_numbers(make_study, bars_of, home):
    start = np.array([42_000.0, 2_500.0])
    closes = start * np.exp(np.cumsum(np.random.default_rng(1).normal(0.0015, 0.004, (300, 2)), axis=0))
    study = make_study(bars=bars_of(np.vstack([start, closes[:-1]]), closes))
    screen, replay = study.screen(BuyAndHold()), study.replay(BuyAndHold())
    assert replay.performance.fills > 0
    pages = left_in(home)
    (above, screened), (_, replayed) = pages["screen"], pages["replay"]
    assert above.key == pages["replay"][0].key
    assert above.name == "trend: {agents} on BTC/USDT, ETH/USDT, 1h, 2024-01-05 to 2024-01-11"
    assert "**N = 1 trials** in the ledger" in above.description
    assert above.params["taker_bps"] == "10"
    assert above.tags["snapshot.hash"] == study.data.hash
    assert set(screened.metrics) < set(replayed.metrics)
    assert screened.metrics["return_pct"] == pytest.approx(100 * screen.performance.total_return)
    assert replayed.metrics["fees_bps"] == pytest.approx(1e4 * replay.performance.costs)
    assert replayed.metrics["max_drawdown_pct"] == pytest.approx(100 * replay.performance.drawdown)
    assert replayed.metrics["trials_count"] == replay.trials
    assert [fold.name.split()[:2] for fold in replayed.children] == [["fold", "1"], ["fold", "2"], ["fold", "3"]]
    kept = 1.0
    for fold in replayed.children:
        kept *= 1 + fold.metrics["return_pct"] / 100
    assert 100 * (kept - 1) == pytest.approx(replayed.metrics["return_pct"])
    names = {*replayed.metrics, *replayed.series, *(name for fold in replayed.children for name in fold.metrics)}
    assert [name for name in names if not name.endswith(UNITS)] == []
    days = [at_ms // 86_400_000 for at_ms, _ in replayed.series["equity_growth"]]
    assert days == list(range(days[0], days[-1] + 1)), "a value at the last close of each day"
    assert replayed.series["equity_growth"][-1][1] == pytest.approx(1 + replay.performance.total_return)


def test_a_sweep_shows_its_best_twenty_and_says_so_and_keeps_all_in_a_table(make_study, home):
    sweep = make_study().sweep(AGENT, fast=range(2, 7), slow=range(8, 14))
    (_, swept) = left_in(home)["sweep"]
    assert len(sweep.values) == 30
    assert len(swept.children) == 20
    assert "The best 20 have a run below" in swept.description
    assert len(swept.tables["combinations"].rows) == 30
    assert swept.metrics["combinations_count"] == 30
    shown = [child.metrics["sharpe_annual"] for child in swept.children]
    assert shown == sorted(shown, reverse=True)
    assert set(swept.children[0].params) == {"fast", "slow"}


def test_a_look_that_is_repeated_waits_once(make_study, home):
    study = make_study()
    study.screen(AGENT)
    study.screen(AGENT)
    study.screen(BuyAndHold())
    assert Outbox(home, {}).waiting == 2


def test_a_study_goes_on_where_its_pages_cannot_be_kept(make_study, home, caplog):
    (home / "mlflow").parent.mkdir(parents=True, exist_ok=True)
    (home / "mlflow").write_text("no folder")
    assert make_study().screen(AGENT).performance.bars > 0
    assert "the result itself stands" in caplog.text


def test_a_submit_stands_below_its_study_with_folds_hold_out_and_equity(make_study, home, with_mlflow):
    with_mlflow(home)
    study = make_study()
    study.screen(BuyAndHold())
    release = study.submit(BuyAndHold())
    Outbox(home, {}).deliver()
    client = Tracking.of(home, {}).client()
    run = client.get_run(release.registered.run_id)
    above = client.get_run(run.data.tags["mlflow.parentRunId"])
    assert above.info.run_name.startswith("trend: buy-and-hold on BTC/USDT, ETH/USDT, 1h, ")
    assert run.info.run_name == "submit trend@1"
    note = above.data.tags["mlflow.note.content"]
    assert note.startswith("**Result**: walk-forward ")
    assert "`sapphire gates trend@1 --to paper`" in note
    assert "screen buy-and-hold" in note
    below = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
    assert sorted(each.info.run_name.split()[0] for each in below) == ["fold", "fold", "fold", "hold-out"]
    assert "equity.png" in [each.path for each in client.list_artifacts(run.info.run_id)]
    walked = run.data.metrics["walk_forward/return_pct"]
    assert above.data.metrics["return_pct"] == pytest.approx(walked)
    assert walked == pytest.approx(100 * release.bundle.walk_forward.total_return)
