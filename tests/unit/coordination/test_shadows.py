"""Members that drift trade in shadow: by what was decided alone, and the same whoever reads it again."""

from datetime import timedelta

import numpy as np
import pytest

from sapphire.agents import Pooling
from sapphire.coordination.bento import MemberAnswer, ReleaseViews
from sapphire.coordination.decisions import Decision, Scope, member_facts
from sapphire.coordination.member_bentos import MemberBentos
from sapphire.coordination.shadows import Shadow, Shadows
from sapphire.domain.clocks import from_ns
from sapphire.domain.envelope import Envelope
from sapphire.domain.intervals import Interval
from sapphire.domain.messages import ViewMessage
from sapphire.domain.views import View
from sapphire.telemetry.streams import AccountStreams

HOUR, INTERVAL = timedelta(hours=1), Interval("1h")
WINDOW = 24
BEGIN_NS = 1_735_689_600_000_000_000
RELEASE = "f" * 64


def shadows(window=WINDOW, horizon=HOUR):
    return Shadows(RELEASE, window, interval=INTERVAL, horizon=horizon)


def walked(rule, bars, means, *, std=50.0, release=RELEASE):
    """Decisions of one bar after the other; what each member said is drawn by its function of the bar."""
    lines = []
    for bar in range(bars):
        close_ns = BEGIN_NS + bar * INTERVAL.ns
        in_shadow = rule.at(close_ns)
        members = []
        for name, mean in means.items():
            said = mean(bar)
            views = (
                () if said is None else (View("BTC/USDT", from_ns(close_ns), HOUR, mean_bps=float(said), std_bps=std),)
            )
            members.append(member_facts(MemberAnswer(name, name[0] * 64, views, shadow=in_shadow.get(name))))
        facts = {"release": release, "bar_close_ns": str(close_ns), "members": members}
        lines.append(facts)
        rule.after(facts)
    return lines


def shadowed(lines):
    """Name to the bar at which a member is first in shadow."""
    found = {}
    for bar, facts in enumerate(lines):
        for member in facts["members"]:
            if member["shadow"] is not None:
                found.setdefault(member["name"], bar)
    return found


def steady(seed):
    dice = np.random.default_rng(seed).normal(0.0, 10.0, 2_000)
    return lambda bar: dice[bar]


def drifting(seed, at):
    dice = np.random.default_rng(seed).normal(0.0, 10.0, 2_000)
    return lambda bar: dice[bar] + (60.0 if bar >= at else 0.0)


def test_one_that_drifts_is_demoted_at_the_end_of_a_window_and_the_others_are_heard_on():
    lines = walked(shadows(), 400, {"steady": steady(1), "drifting": drifting(2, 205)})
    (bar,) = shadowed(lines).values()
    assert shadowed(lines) == {"drifting": bar}
    assert 205 < bar <= 205 + 2 * WINDOW
    assert (BEGIN_NS // INTERVAL.ns + bar) % WINDOW == 0
    after = [facts["members"][1]["shadow"] for facts in lines[bar:]]
    assert all(each == after[0] for each in after), "it stays where it is, and says since when"
    assert after[0]["index"] > after[0]["threshold"]


def test_a_coordinator_that_was_started_again_knows_the_same_from_the_lines():
    means = {"steady": steady(1), "drifting": drifting(2, 205)}
    lines = walked(shadows(), 400, means)
    for cut in (220, 300, 399):
        again = shadows()
        for facts in lines[max(0, cut - again.lines) : cut]:
            again.after(facts)
        close_ns = BEGIN_NS + cut * INTERVAL.ns
        stated = {of["name"]: of["shadow"] for of in lines[cut]["members"] if of["shadow"] is not None}
        assert {name: of.as_dict() for name, of in again.at(close_ns).items()} == stated


def test_nobody_drifts_by_chance_or_where_nothing_is_asked_for():
    for seed in range(20):
        assert shadowed(walked(shadows(), 1_000, {"steady": steady(seed)})) == {}
    assert shadowed(walked(shadows(window=0), 400, {"drifting": drifting(2, 205)})) == {}


def test_one_that_always_says_the_same_or_nothing_has_no_distribution():
    assert shadowed(walked(shadows(), 300, {"same": lambda bar: 5.0, "silent": lambda bar: None})) == {}


def test_another_release_begins_with_all_of_its_members():
    rule = shadows()
    lines = walked(rule, 400, {"drifting": drifting(2, 205)})
    assert shadowed(lines)
    rule.after({**lines[-1], "release": "e" * 64})
    assert rule.at(BEGIN_NS + 400 * INTERVAL.ns) == {}


def test_views_that_look_far_need_more_to_drift():
    near, far = (
        shadowed(walked(shadows(horizon=horizon), 400, {"drifting": drifting(2, 205)})) for horizon in (HOUR, 24 * HOUR)
    )
    assert near
    assert not far


class Server:
    def __init__(self, mean_bps):
        self.mean_bps = mean_bps

    def ask(self, close_ns, universe, *, trace_id, causation_id):
        view = View("BTC/USDT", from_ns(close_ns), HOUR, mean_bps=self.mean_bps, std_bps=50.0, agent="m" * 64)
        envelope = Envelope(
            schema_id="VIEW@1", message_id=f"m:{close_ns}", producer="m", sequence=1, event_time_ns=close_ns,
            publish_time_ns=close_ns, trace_id=trace_id, causation_id=causation_id,
        )  # fmt: skip
        return ReleaseViews((ViewMessage.of(view, envelope),), ())


def test_what_is_in_shadow_is_asked_and_on_record_and_not_pooled():
    pooling = Pooling(("well", "odd"), (1.0, 1.0), drift_window=WINDOW)
    rule = shadows()
    lines = walked(rule, 400, {"well": steady(1), "odd": drifting(2, 205)})
    assert shadowed(lines).keys() == {"odd"}
    bentos = MemberBentos(
        {"well": Server(4.0), "odd": Server(90.0)}, {"well": "w" * 64, "odd": "o" * 64}, pooling, horizon=HOUR,
        release=RELEASE, shadows=rule,
    )  # fmt: skip
    answer = bentos.ask(BEGIN_NS + 400 * INTERVAL.ns, ("BTC/USDT",), trace_id="t", causation_id="c")
    assert float(answer.views[0].mean_bps) == pytest.approx(4.0)
    odd = member_facts(answer.members[1])
    assert odd["views"] == [{"symbol": "BTC/USDT", "mean_bps": 90.0, "std_bps": 50.0}]
    assert odd["shadow"] is not None
    line = Decision.on(scope(), BEGIN_NS).knowing(members=[odd], format="DECISION@4")
    assert Decision.read(line.line).facts["members"] == [odd]
    assert Shadow.of(odd["shadow"]).as_dict() == odd["shadow"]


def scope():
    return Scope(AccountStreams("embedded", "paper"), RELEASE, "pool", "bars:embedded:1h:ab")
