"""A release says what the agent said when it was frozen, and the same decision is the same release."""

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from sapphire.agents import Arrays, Calibrated, MovingAverageCross, Pool, RandomWalk, code_digest
from sapphire.agents.agent_files import load_agent_source
from sapphire.agents.release import load_release, read_release
from sapphire.agents.release.files import read_release_files, write_release_files
from sapphire.agents.release.loading import run_release
from sapphire.agents.worker import ReleaseWorker
from sapphire.data.features import FeatureSet
from sapphire.domain import AgentError, EvidenceRefused, MissingData, NotFitted, UnknownInstrument, ValueRefused, Window
from sapphire.domain.clocks import from_ns
from sapphire.domain.releases import Manifest


def window_of(bars, row=None):
    row = len(bars) - 1 if row is None else row
    return Window(bars.rows(0, row + 1), from_ns(int(bars.close_time_ns[row])))


def same_numbers(first, second):
    strip = [replace(view, agent="") for view in first], [replace(view, agent="") for view in second]
    return strip[0] == strip[1]


def test_a_confined_process_says_the_same_where_the_first_member_has_the_shortest_memory(bars, llama, frozen):
    """It is sealed once it has spoken: by then the longest member has imported what it needs."""
    short = MovingAverageCross(fast=2, slow=4, horizon=timedelta(minutes=15))
    pooled = Pool((short, llama.agent)).fit(bars, seed=7)
    assert short.warmup < llama.agent.warmup
    with ReleaseWorker(read_release(frozen(pooled))) as worker:
        assert worker.check_golden() > 0


@pytest.mark.parametrize("kind", ["cross", "llama", "pool"])
def test_a_loaded_release_says_the_same_to_the_last_bit(request, bars, loaded, kind):
    agent = request.getfixturevalue(kind)
    release = loaded(agent)
    assert release.check_golden() > 0
    for row in (60, 200, 399):
        window = window_of(bars, row)
        views = release.views(window)
        assert views
        assert same_numbers(views, agent.views(window))
        assert {view.agent for view in views} == {release.digest}
        assert release.beliefs(window) == agent.beliefs(window)


@pytest.mark.parametrize("kind", ["cross", "llama", "pool"])
def test_what_was_learned_comes_back_byte_by_byte(request, loaded, kind):
    agent = request.getfixturevalue(kind)
    assert Arrays(loaded(agent).agent.arrays()) == Arrays(agent.arrays())


@pytest.mark.parametrize("kind", ["cross", "llama", "pool"])
def test_freezing_twice_is_one_release(request, bars, frozen, tmp_path, kind):
    agent = request.getfixturevalue(kind)
    first, again = frozen(agent), frozen(agent, folder=tmp_path / "elsewhere")
    assert first.name == again.name
    assert frozen(agent) == first
    assert frozen(load_release(first).agent) == first
    assert {path.name for path in first.parent.iterdir()} == {first.name}


def test_a_bare_agent_and_the_same_one_wrapped_are_one_release(bars, frozen):
    still = RandomWalk(lookback=10, horizon=timedelta(minutes=15))
    assert frozen(still) == frozen(Calibrated(still)) == frozen(Calibrated(Calibrated(still)))


def test_another_parameter_seed_or_limit_is_another_release(bars, cross, frozen):
    other = Calibrated(MovingAverageCross(fast=4, slow=9, horizon=timedelta(minutes=15))).fit(bars, seed=7)
    releases = {frozen(cross), frozen(other), frozen(cross, limits={}), frozen(cross, name="trend-2")}
    assert len(releases) == 4


def test_the_loaded_agent_has_its_own_class_and_the_studied_code_digest(loaded, pool):
    release = loaded(pool)
    assert isinstance(release.agent, Pool)
    for mine, theirs in zip(release.members, pool.members, strict=True):
        assert type(mine.agent) is not type(theirs.agent)
        assert repr(mine.agent) == repr(theirs.agent)
    assert code_digest(release.agent) == code_digest(pool)


def test_members_of_one_class_have_numbered_names_and_keep_their_order(loaded, pool):
    release = loaded(pool)
    names = [entry.name for entry in release.manifest.agents]
    assert names == ["moving-average-cross", "lag-llama", "moving-average-cross-2", "random-walk"]
    digests = {name: member.digest for name, member in release.manifest.members.items()}
    assert list(digests) == names
    assert len(set(digests.values())) == 4
    assert release.manifest.pooling == {"method": "logarithmic", "weights": [2.0, 1.0, 1.0, 0.5], "members": digests}
    assert [entry.calibration_sha256 is not None for entry in release.manifest.agents] == [True, False, True, False]


def test_a_member_is_a_release_of_its_own_that_says_what_it_says_in_the_pool(loaded, frozen, pool, bars):
    folder = frozen(replace(pool, quorum=2, member_bound=1.5))
    read = read_release(folder)
    assert (read.manifest.pooling["quorum"], read.manifest.pooling["member_bound"]) == (2, 1.5)
    whole = run_release(read)
    assert (whole.agent.quorum, whole.agent.member_bound) == (2, 1.5)
    for place, (name, manifest) in enumerate(read.manifest.members.items()):
        member = run_release(read.member(name))
        assert (member.digest, member.manifest.name) == (manifest.digest, name)
        assert Manifest.parse(manifest.canonical) == manifest
        assert member.check_golden() > 0
        window = window_of(bars.tail(whole.warmup))
        in_pool = whole.members[place].views(window_of(bars.tail(member.warmup)))
        assert same_numbers(member.views(window), in_pool)
        assert {view.agent for view in member.views(window)} == {manifest.digest}
    with pytest.raises(EvidenceRefused, match="has no member 'trend'"):
        read.member("trend")
    with pytest.raises(EvidenceRefused, match="this release has one agent"):
        read_release(frozen(pool.members[0])).member("moving-average-cross")


def test_a_pool_that_names_members_that_its_agents_are_not_is_refused(frozen, pool):
    manifest, files = read_release_files(frozen(pool), None)
    other = dict.fromkeys(manifest.members, "0" * 64)
    changed = replace(manifest, pooling={**manifest.pooling, "members": other})
    folder = frozen(pool).parent / changed.digest
    write_release_files(folder, changed, files)
    with pytest.raises(EvidenceRefused, match="names members that its agents are not"):
        read_release(folder)


def test_parameters_come_back_with_their_types(loaded, llama):
    agent = loaded(llama).members[0].agent
    assert agent.horizon == timedelta(minutes=15)
    assert agent.lags == (0, 1, 3)
    assert type(agent.learning_rate) is float
    assert type(agent.steps) is int


def test_the_manifest_holds_no_time_and_no_path(frozen, cross, tmp_path):
    text = (frozen(cross) / "manifest.json").read_text()
    assert str(tmp_path) not in text
    assert str(datetime.now().year) not in text  # noqa: DTZ005


def test_the_age_counts_from_the_end_of_the_training_bars(bars, loaded, cross):
    release = loaded(cross, max_age=timedelta(days=3))
    assert release.trained_until == from_ns(int(bars.close_time_ns[-1]))
    assert release.expires == release.trained_until + timedelta(days=3)


def test_the_card_names_the_file_and_the_training_bars(frozen, cross):
    card = json.loads((frozen(cross) / "agents/moving-average-cross/card.json").read_text())
    assert card["file"] == "moving_average.py"
    assert card["trained"]["bars"] == 400
    assert card["calibration"]["pairs"] > 0


def test_only_the_universe_it_was_frozen_for_is_admitted(make_bars, loaded, cross):
    release = loaded(cross)
    three = make_bars(100, symbols=3)
    with pytest.raises(UnknownInstrument, match="other symbols"):
        release.views(window_of(three))
    with pytest.raises(ValueRefused, match="other bars"):
        release.views(window_of(make_bars(100, interval="1h")))
    with pytest.raises(MissingData, match="too few bars"):
        release.views(window_of(make_bars(8)))
    turned = three.symbols_only(("ETH/USDT", "BTC/USDT"))
    straight = three.symbols_only(("BTC/USDT", "ETH/USDT"))
    assert release.views(window_of(turned)) == release.views(window_of(straight))


def test_an_agent_that_nobody_calibrated_is_not_frozen(bars, frozen):
    with pytest.raises(NotFitted, match="worth"):
        frozen(MovingAverageCross(fast=3, slow=9))


def test_an_agent_that_has_not_learned_is_not_frozen(llama, frozen):
    with pytest.raises(NotFitted):
        frozen(replace(llama.agent, weights=Arrays(), training=Arrays()))


def test_too_few_bars_for_golden_inputs_are_refused(bars, frozen, cross):
    with pytest.raises(MissingData, match="golden"):
        frozen(cross, train_bars=bars.rows(0, 8))


def test_a_pool_inside_a_pool_is_refused_with_what_to_do(pool, bars, frozen):
    still = RandomWalk(lookback=10, horizon=timedelta(minutes=15))
    with pytest.raises(AgentError, match="agents inside agents") as refused:
        frozen(Pool((pool, still)))
    assert "pool the agents themselves" in refused.value.next


def test_a_parameter_that_would_not_come_back_is_refused_by_name(bars, frozen, tmp_path):
    text = """
from dataclasses import dataclass
from datetime import timedelta
from sapphire.agents import Agent

@dataclass(frozen=True)
class Waits(Agent):
    patience: timedelta | None = None
    warmup: int = 1
    horizon: timedelta = timedelta(minutes=15)

    def views(self, window):
        one = window.panel("close").iloc[-1] * 0.0 + 1.0
        return window.views(mean_bps=one, std_bps=one, horizon=self.horizon)
"""
    cls = load_agent_source(text, tmp_path / "waits.py")
    assert frozen(cls()).is_dir()
    with pytest.raises(AgentError, match="patience of waits would not come back"):
        frozen(cls(patience=timedelta(hours=1)))


def test_a_release_that_says_something_else_when_loaded_never_appears(frozen, tmp_path):
    text = """
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from sapphire.agents import Agent

asked = count(1)

@dataclass(frozen=True)
class Moody(Agent):
    warmup: int = 1
    horizon: timedelta = timedelta(minutes=15)

    def views(self, window):
        one = window.panel("close").iloc[-1] * 0.0 + next(asked)
        return window.views(mean_bps=one, std_bps=one, horizon=self.horizon)
"""
    with pytest.raises(Exception, match="says something else") as refused:
        frozen(load_agent_source(text, tmp_path / "moody.py")())
    assert "EvidenceRefused" in str(refused.value)
    assert list((tmp_path / "releases").iterdir()) == []


def test_features_come_with_their_versions(bars, frozen, tmp_path):
    text = """
from dataclasses import dataclass
from datetime import timedelta
from sapphire.agents import Agent

@dataclass(frozen=True)
class Rises(Agent):
    warmup: int = 13
    horizon: timedelta = timedelta(minutes=15)

    def views(self, window):
        mean = window.feature("log_return_12").iloc[-1]
        return window.views(mean_bps=mean, std_bps=mean * 0.0 + 10.0, horizon=self.horizon)
"""
    features = FeatureSet(["log_return_12"])
    agent = load_agent_source(text, tmp_path / "rises.py")()
    release = load_release(frozen(agent, features=features))
    assert release.manifest.agents[0].feature_version == "bars@1 log_return_12@1"
    window = window_of(bars)
    assert same_numbers(release.views(window), agent.views(Window(window.bars, window.as_of, features)))


def test_quantiles_are_golden_too(bars, frozen, tmp_path):
    text = """
from dataclasses import dataclass
from datetime import timedelta
from sapphire.agents import Agent

@dataclass(frozen=True)
class Spread(Agent):
    warmup: int = 2
    horizon: timedelta = timedelta(minutes=15)

    def views(self, window):
        last = window.panel("close").iloc[-1]
        return window.views(quantiles={0.1: -last / 7.0, 0.5: last * 0.0, 0.9: last / 3.0}, horizon=self.horizon)
"""
    release = load_release(frozen(load_agent_source(text, tmp_path / "spread.py")()))
    golden = release.golden["spread"]
    assert golden.agent[0][0].quantiles_bps
    assert golden.release[0][0].std_bps
    assert release.check_golden() == 2 * 5 * len(bars.symbols)


def test_log_odds_are_released_with_their_calibration(bars, frozen, tmp_path):
    """In the same file as a score's, told from it by its names, and asked the same in a process of its own."""
    text = """
from dataclasses import dataclass
from datetime import timedelta
from sapphire.agents import Agent

@dataclass(frozen=True)
class Odds(Agent):
    score_is = "log_odds"
    warmup: int = 4
    horizon: timedelta = timedelta(minutes=15)

    def views(self, window):
        close = window.panel("close").tail(4)
        return window.views(score=800.0 * (1.0 - close.iloc[-1] / close.mean()), horizon=self.horizon)
"""
    agent = Calibrated(load_agent_source(text, tmp_path / "odds.py")()).fit(bars, seed=7)
    folder = frozen(agent)
    release = load_release(folder)
    assert release.check_golden() > 0
    assert (folder / "agents" / "odds" / "calibration.safetensors").is_file()
    assert release.members[0].calibration == agent.calibration
    assert release.cards["odds"]["calibration"] == agent.calibration.card()
    window = window_of(bars)
    assert same_numbers(release.views(window), agent.views(window))
    with ReleaseWorker(read_release(folder)) as worker:
        assert worker.check_golden() > 0


def test_a_hole_in_the_bars_survives_freezing(bars, make_hole, frozen):
    holed = make_hole(bars, "ETH/USDT", slice(395, 400))
    release = load_release(frozen(RandomWalk(lookback=10, horizon=timedelta(minutes=15)), train_bars=holed))
    golden = release.golden["random-walk"]
    assert not golden.bars.listed[-1, 1]
    assert np.isnan(golden.bars.close[-1, 1])
    assert release.check_golden() > 0


def test_a_class_of_two_files_is_refused(bars, frozen):
    @dataclass(frozen=True)
    class Steeper(MovingAverageCross):
        fast: int = 2

    with pytest.raises(AgentError, match="written in 2 files"):
        frozen(Calibrated(Steeper()).fit(bars, seed=7))
