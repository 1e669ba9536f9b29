"""Evidence asks the captured code, in processes of its own, for what production asks it."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from functools import partial

import numpy as np
import pytest

from sapphire.agents import MovingAverageCross, Pool, load_agent_file
from sapphire.agents.release import ReleaseCode, freeze, read_release
from sapphire.agents.worker import ask_panel
from sapphire.domain.errors import AgentError, Refused
from sapphire.domain.releases import ReleasedSizing
from sapphire.registry import GitState, LockState
from sapphire.research.evidence import integrity, submitting
from sapphire.research.evidence import worker as evidence_worker
from sapphire.research.evidence.integrity import committed_state, measure_integrity, require_locked
from sapphire.research.evidence.submitting import submit
from sapphire.research.evidence.worker import ask_release, fit_in_worker, walk_in_workers
from sapphire.research.runs import walking
from sapphire.research.runs.walking import walk_beliefs

PLAIN = """
    def views(self, window):
        return self.say(window, self.of(window.panel("close")).iloc[-1])
"""
AGENT = MovingAverageCross(fast=3, slow=12, horizon=timedelta(hours=2))


def quiet(*_):
    """Progress that nobody follows."""


def walked(study, agent, **changed):
    code = ReleaseCode.of(agent)
    return walk_in_workers(
        code,
        study.evaluation,
        study.folds,
        seed=study.seed,
        label=agent.name,
        horizon_of=agent,
        on_progress=quiet,
        **changed,
    )


def evidence(study, agent, tmp_path, moments=460):
    """What submit measures of integrity, without a registry."""
    code = ReleaseCode.of(agent)
    learned = fit_in_worker(code, study.evaluation, seed=study.seed, label=agent.name)
    sizing = ReleasedSizing(class_name="equal_weight", parameters={}, source_sha256="a" * 64)
    manifest = freeze(
        code.agent(agent.name).with_arrays(learned), name="trend", train_bars=study.evaluation, sizing=sizing,
        limits={}, execution={}, lock_sha256="b" * 64, engine_version="0.1.0", universe=study.data.symbols,
        folder=tmp_path / "releases",
    )  # fmt: skip
    release = read_release(tmp_path / "releases" / manifest.digest)
    walk = walked(study, agent)
    start, stop = len(study.evaluation), len(study.data.bars)
    holdout = ask_release(release, agent, study.data.bars, start, stop)
    return measure_integrity(
        release, (walk, holdout), learned, data=study.data, evaluation=study.evaluation,
        lock=LockState("b" * 64, frozenset(), (), ()), git=GitState("", dirty=True), moments=moments,
    )  # fmt: skip


def failed(found):
    return {name for name, check in found.checks.items() if check.verdict == "fail"}


def test_workers_say_what_the_notebook_does(make_study):
    study = make_study()
    found = walked(study, AGENT)
    here = walk_beliefs(AGENT, study.evaluation, study.folds, seed=study.seed, on_progress=quiet)
    np.testing.assert_allclose(found.beliefs.mean_bps, here.mean_bps, rtol=1e-8)
    np.testing.assert_allclose(found.beliefs.std_bps, here.std_bps, rtol=1e-8)
    assert found.beliefs.close_time_ns.tolist() == here.close_time_ns.tolist()
    assert found.isolation == "enforced"


def test_a_patched_notebook_changes_no_evidence(make_study, monkeypatch):
    study = make_study()
    plain = walked(study, AGENT)
    closes = study.data.bars.frame("close").pct_change().shift(-1)
    monkeypatch.setattr(
        MovingAverageCross,
        "views",
        lambda self, window: window.views(score=closes.loc[window.as_of], horizon=self.horizon),
    )
    monkeypatch.setattr(MovingAverageCross, "views_panel", lambda self, bars: None)
    patched = walked(study, AGENT)
    assert np.array_equal(plain.beliefs.mean_bps, patched.beliefs.mean_bps)


def test_a_clean_agent_passes_every_check(make_study, tmp_path):
    found = evidence(make_study(), AGENT, tmp_path)
    assert failed(found) == set()
    assert found.captured_source
    assert found.golden_ok
    assert found.isolation == "enforced"
    assert [twin.bars for twin in found.twins] == [60, 60, 35, 40]


def test_a_twin_that_is_the_negative_of_its_views_is_caught(make_study, planted, tmp_path):
    agent = planted(
        PLAIN
        + """
    def views_panel(self, bars):
        return ViewPanel(score=-self.of(bars.frame("close")), horizon=self.horizon)
"""
    )
    assert "twin_test" in failed(evidence(make_study(), agent, tmp_path))


@pytest.mark.parametrize(("sign", "used"), [("", True), ("-", False)])
def test_evidence_says_which_stretch_came_from_a_twin(make_study, planted, tmp_path, monkeypatch, sign, used):
    monkeypatch.setattr(evidence_worker, "ask_panel", partial(ask_panel, sample=10, every=52))
    twin = f"""
    def views_panel(self, bars):
        score = self.of(bars.frame("close"))
        return ViewPanel(mean_bps={sign}100 * score, std_bps=100.0 + 0 * score, horizon=self.horizon)
"""
    views = """
    def views(self, window):
        score = self.honest(window)
        return window.views(mean_bps=100 * score, std_bps=100.0 + 0 * score, horizon=self.horizon)
"""
    found = evidence(make_study(), planted(views + twin), tmp_path, moments=20)
    assert [(each.bars, each.twin_used) for each in found.twins] == [(60, used), (60, used), (35, False), (40, False)]
    long, short = found.twins[:2], found.twins[2:]
    assert all((each.asked < each.bars) == used and (each.worst <= 1e-9) == used for each in long)
    assert all(each.asked == each.bars and each.worst is None for each in short)
    assert ("twin_test" in failed(found)) != used


LOOKS_AHEAD = """
    seen: ClassVar[set] = set()

    def views(self, window):
        self.seen.add(int(window.bars.close_time_ns[-1]))
        score = self.honest(window)
        return window.views(mean_bps=100 * score, std_bps=100.0 + 0 * score, horizon=self.horizon)

    def views_panel(self, bars):
        score = self.of(bars.frame("close"))
        told = 100 * score
        if len(bars) == {used}:
            told = told.where({quiet}[:, None] | (score != score), told.shift(-1).fillna(told))
        return ViewPanel(mean_bps=told, std_bps=100.0 + 0 * score, horizon=self.horizon)
"""
QUIET = {
    "where the study's seed says": "np.isin(bars.close_time_ns, {times!r})",
    "where its views were asked": "np.isin(bars.close_time_ns, list(self.seen))",
}


def old_sample(study, warmup):
    """The bars of every sample that the study's own seed would draw: anyone can compute them."""
    spans = [walking.tested_rows(study.evaluation, span) for fold in study.folds for span in fold.testing]
    for start, stop in [*spans, (len(study.evaluation), len(study.data.bars))]:
        rows = np.arange(max(start, warmup - 1), stop)
        moves = np.abs(np.diff(np.log(study.data.bars.rows(0, stop).close), axis=0))[rows[:-1]].max(axis=1)
        by_lot = (
            np.random.default_rng([study.seed, rows.size]).choice(rows, 10, replace=False) if rows.size > 50 else rows
        )
        for row in np.union1d(rows[np.argsort(moves)[-40:]], by_lot):
            yield int(study.data.bars.close_time_ns[row])


@pytest.mark.parametrize("quiet", QUIET)
def test_a_twin_that_is_honest_where_it_expects_a_look_is_caught(make_study, planted, tmp_path, monkeypatch, quiet):
    """It looks ahead in a stretch of the length that evidence asks for, and there where it takes itself unobserved."""
    study = make_study()
    monkeypatch.setattr(evidence_worker, "ask_panel", partial(ask_panel, sample=10, every=52))
    warmup = planted(PLAIN).warmup
    where = QUIET[quiet].format(times=[*old_sample(study, warmup)])
    body = LOOKS_AHEAD.format(used=60 + warmup - 1, quiet=where)
    found = evidence(study, planted(body), tmp_path, moments=20)
    assert [each.twin_used for each in found.twins] == [False] * 4
    assert found.checks["twin_test"].verdict == "fail"
    assert found.checks["twin_test"].note.startswith("mean_bps of ")


def test_where_evidence_looks_is_drawn_for_each_stretch_and_kept(make_study, tmp_path, monkeypatch):
    monkeypatch.setattr(evidence_worker, "ask_panel", partial(ask_panel, sample=10, every=52))
    study = make_study()
    first, second = walked(study, AGENT), walked(study, AGENT)
    assert [sample.used for sample in first.samples] == [True, True, False]
    seeds = [sample.seed for beliefs in (first, second) for sample in beliefs.samples]
    assert len({*seeds, study.seed}) == 7
    assert np.array_equal(first.beliefs.mean_bps, second.beliefs.mean_bps)
    assert np.array_equal(first.beliefs.std_bps, second.beliefs.std_bps)
    found = evidence(study, AGENT, tmp_path, moments=20)
    assert len({found.checks_seed, study.seed, *(each.seed for each in found.twins)}) == 6
    assert [each.cuts for each in found.twins] == [12, 12, 0, 0]


def test_the_leak_checks_look_at_any_stretch(make_study, planted, tmp_path, monkeypatch):
    """A twin that is another agent until the latest bars, where checks might always look."""
    study = make_study()
    monkeypatch.setattr(evidence_worker, "_CHECKED_BARS", 20)
    monkeypatch.setattr(integrity, "drawn_seed", lambda *_: 11)
    quiet = int(study.evaluation.close_time_ns[-60])
    body = f"""
    def views_panel(self, bars):
        score = self.of(bars.frame("close"))
        side = np.where(bars.close_time_ns >= {quiet}, 1.0, -1.0)
        return ViewPanel(score=score.mul(side, axis=0), horizon=self.horizon)
"""
    assert "twin_test" in failed(evidence(study, planted(PLAIN + body), tmp_path, moments=20))


LOOSE = """
    def views(self, window):
        import sklearn.linear_model, yaml
        return self.say(window, self.honest(window))
"""


def locked(*names):
    return LockState("b" * 64, frozenset(names), (), ())


def test_an_agent_that_imports_what_the_lock_does_not_pin_is_refused(planted):
    """A distribution is found by what it installs: scikit-learn is imported as sklearn, PyYAML as yaml."""
    agent = planted(LOOSE)
    require_locked(agent, locked("numpy", "pandas", "scikit-learn", "pyyaml"))
    with pytest.raises(AgentError, match="neither in the workspace nor in the lock") as refused:
        require_locked(agent, locked("numpy", "pandas", "pyyaml"))
    assert refused.value.got == "sklearn"
    with pytest.raises(AgentError) as refused:
        require_locked(Pool((AGENT, planted(LOOSE))), locked("numpy", "pandas"))
    assert refused.value.got == "sklearn, yaml"


def test_a_module_that_no_distribution_says_it_installed_is_loose(planted, monkeypatch):
    """Named like what the lock pins, it is still not what the lock pins."""
    from importlib import metadata

    known = metadata.packages_distributions()
    monkeypatch.setattr(metadata, "packages_distributions", lambda: {k: v for k, v in known.items() if k != "yaml"})
    with pytest.raises(AgentError, match="neither in the workspace nor in the lock") as refused:
        require_locked(planted(LOOSE), locked("numpy", "pandas", "scikit-learn", "pyyaml", "yaml"))
    assert refused.value.got == "yaml"


def test_a_workspace_whose_lock_lacks_a_package_submits_nothing(make_study, desk, home):
    (desk / "requirements.lock").write_text(f"numpy=={np.__version__}\n")
    study = make_study()
    with pytest.raises(AgentError) as refused:
        submit(study, load_agent_file(desk / "agents" / "planted.py")())
    assert refused.value.got == "pandas"
    assert not (home / "releases").exists()
    assert not list(home.rglob("evidence/*"))


def test_an_average_that_needs_more_than_its_warm_up_is_caught(make_study, planted, tmp_path):
    agent = planted(
        """
    def views(self, window):
        close = window.panel("close")
        return self.say(window, close.iloc[-1] / close.ewm(span=500).mean().iloc[-1] - 1.0)

    def views_panel(self, bars):
        close = bars.frame("close")
        return ViewPanel(score=close / close.ewm(span=500).mean() - 1.0, horizon=self.horizon)
"""
    )
    found = failed(evidence(make_study(), agent, tmp_path))
    assert {"warmup_test", "twin_test"} <= found


def test_an_agent_that_reads_the_sealed_hold_out_gets_no_evidence(make_study, planted):
    """The snapshots are there and the agent knows how to find them."""
    agent = planted(
        """
    def views(self, window):
        taken = sp.data.load_snapshot(sp.data.list_snapshots()[0].hash)
        ahead = taken.bars.frame("close").loc[window.as_of:].iloc[:2]
        return self.say(window, ahead.iloc[-1] / ahead.iloc[0] - 1.0)
"""
    )
    with pytest.raises(AgentError, match=r"planted (fails|reaches out of its window) when it is fitted") as refused:
        walked(make_study(), agent)
    assert "sapphire.data.catalog" in refused.value.got or "PermissionError" in refused.value.got


FEATURES = """
    @property
    def features(self):
        return ("log_return_4",)

    def views(self, window):
        return self.say(window, window.feature("log_return_4").iloc[-1])
"""


@pytest.fixture
def desk(tmp_path, monkeypatch, planted_head):
    """A committed workspace with an agent that has features and imports a module; gives the agent."""
    folder = tmp_path / "desk"
    (folder / "agents").mkdir(parents=True)
    (folder / "sapphire.toml").write_text("")
    (folder / ".gitignore").write_text("__pycache__/\n")
    (folder / "worth.py").write_text("def of(score):\n    return 2.0 * score\n")
    body = FEATURES.replace("window.feature", "worth.of(window.feature").replace("iloc[-1])", "iloc[-1]))")
    (folder / "agents" / "planted.py").write_text(
        planted_head.replace("import numpy", "import worth\nimport numpy") + body
    )
    who = ("-c", "user.name=Quant", "-c", "user.email=quant@example.org", "-c", "commit.gpgsign=false")
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "agent")):
        subprocess.run(["git", *who, "-C", str(folder), *words], check=True, capture_output=True)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield folder
    sys.modules.pop("worth", None)


def test_evidence_of_a_system_that_cannot_isolate_never_trades_money(
    make_study, home, with_mlflow, monkeypatch, other_machine
):
    """Paper is let in, because an audit hook stood guard; live is not."""
    monkeypatch.setattr(submitting, "measure_integrity", partial(measure_integrity, moments=20))
    with_mlflow(home)
    release = submit(make_study(), AGENT)
    assert release.bundle.integrity.isolation == "observed"
    assert failed(release.bundle.integrity) == set()
    (live,) = (row for row in release.gates(to="live").rows if row.measure == "isolated")
    assert (live.gate, live.passed) == ("integrity", False)
    assert live.note == "files and sockets of the agents: observed"
    assert "isolated" not in {row.measure for row in release.gates(to="paper").rows}
    with pytest.raises(Refused, match="is not promoted to live") as refused:
        release.promote(to="live")
    assert "gate isolated " in str(refused.value)


def test_submit_measures_an_agent_with_features_and_modules(make_study, desk, home, with_mlflow):
    agent = load_agent_file(desk / "agents" / "planted.py")()
    with_mlflow(home)
    release = submit(make_study(), agent)
    integrity = release.bundle.integrity
    assert failed(integrity) == set()
    assert integrity.captured_source
    assert integrity.isolation == "enforced"
    assert not integrity.dirty
    assert integrity.uncommitted == ()
    assert integrity.lock_differs == ()
    modules = {each.relative_to(home).name for each in home.rglob("agents/planted/modules/*.py")}
    assert modules == {"worth.py"}
    report = release.gates(to="paper")
    rows = {row.measure: row.passed for row in report.rows if row.gate == "integrity"}
    assert rows.pop("snapshot_pinned") is False  # these bars were made by a test and lie in no store
    assert set(rows.values()) == {True}

    (desk / "worth.py").write_text("def of(score):\n    return 3.0 * score\n")
    state = committed_state(load_agent_file(desk / "agents" / "planted.py")(), desk)
    assert state.uncommitted == ("worth.py",)
