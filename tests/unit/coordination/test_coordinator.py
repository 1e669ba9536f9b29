"""The coordinator by itself: every bar gets its marker and its line, whatever bento, service or a kill do."""

import json
import os
import signal
import time
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import httpx
import numpy as np
import pytest

from sapphire.coordination import Bento, Coordinator, Decision, DecisionLog, Duty, Scope, last_decision, may_hold
from sapphire.coordination.history import History
from sapphire.domain import Bars
from sapphire.domain.bar_cache import ring_key
from sapphire.domain.clocks import WallClock, from_ns
from sapphire.domain.errors import DataError, MessageError, MissingData, PermitClosed
from sapphire.domain.messages import HftSignalMessage, SettledMessage, ViewMessage
from sapphire.domain.stopped_views import WhenViewsStop
from sapphire.domain.views import View
from sapphire.domain.wire import decimal_of_float
from sapphire.portfolio import FixedFraction, PortfolioState, size_at_close
from sapphire.portfolio.targets import Target
from sapphire.telemetry.part_runtime import PartRuntime
from sapphire.telemetry.signal_keys import TAG_FIELD, SignalKey
from sapphire.telemetry.streams import AccountStreams, EntryId, account_entry, bar_entry, end_of_bar

RELEASE = "f" * 64
OWN = AccountStreams("embedded", "paper")
BARS = OWN.shared.bars("5m", ("BTC/USDT", "ETH/USDT"))
SCOPE = Scope(OWN, RELEASE, "trend", BARS)
ACCOUNT, DEAD_LETTERS, SIGNALS, VIEWS = OWN.states, OWN.dead_letters, SCOPE.signals, SCOPE.views
KEY = SignalKey(bytes(32), SIGNALS)
LENGTH = 60
RULE = WhenViewsStop(hold_bars=1, reduce_bars=1)
VIEW_KEYS = ("agent", "as_of_ns", "entry", "horizon_ns", "mean_bps", "quantiles", "score", "std_bps", "symbol")


@pytest.fixture
def bars(run):
    """Sixty bars on the exchange's ticks, the last ones of which the run closes."""
    dice = np.random.default_rng(5)
    close = np.round(np.array([40_000.0, 2_500.0]) * np.exp(np.cumsum(dice.normal(0, 0.002, (LENGTH, 2)), axis=0)), 2)
    return Bars(
        symbols=run.symbols,
        interval=run.interval,
        open_time_ns=run.start_ns + np.arange(-40, LENGTH - 40, dtype=np.int64) * run.interval.ns,
        open=close,
        high=close + 1.0,
        low=close - 1.0,
        close=close,
        volume=np.ones_like(close),
        listed=np.ones(close.shape, np.bool_),
    ).validate()


@pytest.fixture
def shown(market, bus, bars):
    return market(bus, bars)


@pytest.fixture
def close(shown, run, bus):
    """Publishes bar 1, 2, ... and the account there; gives the close."""

    def make(bar, *, account=True):
        close_ns = shown.close(39 + bar)
        assert close_ns == run.close_of(bar)
        if account:
            bus.publish(ACCOUNT, *run.account(bar))
        return close_ns

    return make


def believing(run, answer_body, *, mean=(12.5, -3.25)):
    """A bento that believes something of each symbol."""

    def reply(request):
        close_ns = int(request["as_of_ns"])
        views = [
            View(symbol, from_ns(close_ns), timedelta(minutes=15), mean_bps=mean[place], std_bps=40.0)
            for place, symbol in enumerate(run.symbols)
        ]
        return 200, answer_body(RELEASE, views, close_ns)

    return reply


def by_the_mean(beliefs, account):
    """A sizing as simple as can be: lots in proportion to equity where the mean is above zero."""
    return [
        Target(belief.symbol, int(account.equity_quote / 1e3) if belief.mean_bps > 0 else 0, 0.1, "by the mean")
        for belief in sorted(beliefs, key=lambda belief: belief.symbol, reverse=True)
    ]


def by_the_rule(asked, sizing, universe, interval):
    """What a release sized by `sizing` makes of a bar, as the part of the stack has it."""
    account = asked.account
    state = PortfolioState.from_bars(
        account.bars, equity_quote=account.equity_quote, lots=account.lots, instruments=universe
    )
    return size_at_close(
        asked.beliefs,
        asked.remembered,
        state,
        sizing=sizing,
        rule=RULE,
        interval=interval,
        answered=asked.answered,
    )


@pytest.fixture
def decide(run, bus, universe, tmp_path, pulse_until):
    """Runs a coordinator of its own until the bar that closes then is done; its lines."""
    path = tmp_path / "decisions.jsonl"

    def make(url, until_ns, *, lockstep=True, size=by_the_mean, over=None, runtime=None, rows=50, permit=None, **duty):
        def done():
            return bus.entry(SIGNALS, end_of_bar(until_ns)) is not None

        def sized(asked):
            """The release's sizing by the rule where `size` is one, and what a test says otherwise."""
            if not callable(size):
                return by_the_rule(asked, size, universe, run.interval)
            return SimpleNamespace(targets=size(asked.beliefs, asked.account), remembered=asked.remembered)

        coordinator = Coordinator(
            Duty(SCOPE, universe, run.interval, lockstep=lockstep, key=KEY, rule=RULE, **duty),
            bento=Bento(url, RELEASE, "embedded", permit),
            size=sized,
            history=History(bus, "embedded", universe.symbols, run.interval, rows),
            log=DecisionLog(path),
            bus=bus,
            clock=WallClock(),
            pulse=pulse_until(bus, "coordinator", over or done),
            runtime=runtime,
        )
        with pytest.raises(run.done):
            coordinator.run()
        return [json.loads(line) for line in path.read_text().splitlines()]

    make.path = path
    return make


def messages(bus, stream):
    return [(entry.id, entry.message) for entry in bus.read(stream, EntryId.BEGIN)]


def test_a_bar_becomes_views_signals_and_a_marker(close, run, bus, answer_body, speaking, decide):
    close_ns = close(1)
    server = speaking(believing(run, answer_body))
    (line,) = decide(server.url, close_ns)
    (request,) = server.asked
    assert request == {
        "schema": "CACHED_WINDOW@1",
        "venue": "embedded",
        "as_of_ns": str(close_ns),
        "trace_id": OWN.trace(close_ns),
        "causation_id": f"collector-{BARS}-{end_of_bar(close_ns)}",
    }
    views, signals = messages(bus, VIEWS), messages(bus, SIGNALS)
    assert [entry for entry, _ in views] == [bar_entry(close_ns, 0), bar_entry(close_ns, 1)]
    assert [(each.symbol, each.agent, float(each.mean_bps)) for _, each in views] == [
        ("BTC/USDT", "trend", 12.5),
        ("ETH/USDT", "trend", -3.25),
    ]
    (first, btc), (second, eth), (last, marker) = signals
    assert (first, second, last) == (bar_entry(close_ns, 0), bar_entry(close_ns, 1), end_of_bar(close_ns))
    assert isinstance(btc, HftSignalMessage)
    assert isinstance(marker, SettledMessage)
    assert (btc.release, btc.symbol, btc.bar_close_ns, btc.time_to_live_ns) == (
        RELEASE,
        "BTC/USDT",
        close_ns,
        300 * 10**9,
    )
    assert (eth.symbol, eth.target_lots) == ("ETH/USDT", 0)
    assert btc.target_lots == int(int(line["equity_quote_atoms"]) / 1e8 / 1e3)
    assert btc.reference_ticks == int(line["closes_ticks"]["BTC/USDT"])
    assert [(each.stream, each.position) for each in marker.consumed] == [(BARS, str(end_of_bar(close_ns)))]
    assert [(each.stream, each.count) for each in marker.sent] == [(SIGNALS, 2)]
    for entry, message in (*views, *signals):
        stream = VIEWS if isinstance(message, ViewMessage) else SIGNALS
        assert message.envelope.message_id == f"coordinator-{stream}-{entry}"
        assert message.envelope.trace_id == OWN.trace(close_ns)
        assert message.envelope.causation_id == f"collector-{BARS}-{end_of_bar(close_ns)}"
        assert message.envelope.event_time_ns == close_ns
    assert line["reason"] is None
    assert (line["account"]["entry"], line["bars_entry"]) == (str(account_entry(close_ns)), str(end_of_bar(close_ns)))
    assert int(line["asked_ns"]) <= int(line["answered_ns"])
    assert line["format"] == "DECISION@2"
    assert {tuple(view) for view in line["views"]} == {VIEW_KEYS}, "a view without a note is written as before"
    assert {message.envelope.schema_id for _, message in views} == {"VIEW@1"}


def test_what_stands_beside_a_view_is_kept_and_published(close, run, bus, answer_body, speaking, decide):
    close_ns = close(1)
    beside = {"thesis": "it rose", "read": ["n1"], "model_kind": "embedded-default", "elicitation": "one token"}

    def noted(status, answer):
        body = json.loads(answer)
        for view in body["views"][:1]:
            view |= beside
            view["envelope"]["schema_id"] = "VIEW@2"
        return status, json.dumps(body).encode()

    believe = believing(run, answer_body)
    server = speaking(lambda request: noted(*believe(request)))
    (line,) = decide(server.url, close_ns)
    (_, first), (_, second) = messages(bus, VIEWS)
    assert line["format"] == "DECISION@3"
    assert {key: line["views"][0][key] for key in beside} == beside
    assert not set(beside) & set(line["views"][1])
    assert (first.envelope.schema_id, first.thesis, first.read) == ("VIEW@2", "it rose", ("n1",))
    assert second.envelope.schema_id == "VIEW@1"


def equity_by_hand(state, bars, row):
    """Atoms times price, cut to the atom, position by position."""
    total = state.cash_quote_atoms
    for column, position in enumerate(state.positions):
        total += position.atoms * round(bars.close[row, column] * 100) * 10**6 // 10**8
    return total


def test_every_signal_is_signed_and_nothing_else_is(close, run, bus, answer_body, speaking, decide, server):
    close(1)
    decide(speaking(believing(run, answer_body)).url, run.close_of(1))
    rows = server.client().xrange(SIGNALS)
    assert len(rows) == 3
    for place, fields in rows:
        assert fields == {b"m": fields[b"m"], TAG_FIELD: KEY.tag(EntryId.parse(place.decode()), fields[b"m"]).encode()}
    assert all(set(fields) == {b"m"} for _, fields in server.client().xrange(VIEWS))


def test_equity_is_exact_and_history_ends_with_the_bar(close, run, bus, bars, answer_body, speaking, decide):
    handed = []

    def size(beliefs, account):
        handed.append(account)
        return []

    for bar in (1, 2, 3):
        close(bar)
    lines = decide(speaking(believing(run, answer_body)).url, run.close_of(3), size=size)
    for bar, line, account in zip((1, 2, 3), lines, handed, strict=True):
        state = run.account(bar)[1]
        assert int(line["equity_quote_atoms"]) == equity_by_hand(state, bars, 39 + bar)
        assert account.equity_quote == int(line["equity_quote_atoms"]) / 10**8
        assert account.lots == {position.symbol: position.lots for position in state.positions}
        wanted = bars.rows(max(0, 40 + bar - 50), 40 + bar)
        for name in ("open_time_ns", "open", "high", "low", "close", "volume", "listed"):
            assert np.array_equal(getattr(account.bars, name), getattr(wanted, name)), name
        assert line["history_rows"] == len(wanted)
        assert line["signals"] == []


@pytest.mark.parametrize(
    ("torn", "written"), [("absent", 0), ("torn", 0), *(("whole", written) for written in range(6))]
)
def test_a_kill_between_any_two_writes_leaves_the_same(
    close, run, bus, answer_body, speaking, decide, server, torn, written
):
    """The line comes first, then two views, two signals and the marker; a kill leaves the first few of them."""
    close(1)
    url = speaking(believing(run, answer_body)).url
    decide(url, run.close_of(1))
    close(2)
    decide(url, run.close_of(2))
    whole = {stream: run.without_times(bus, stream) for stream in (VIEWS, SIGNALS)}
    lines = run.decisions(decide.path)
    published_before = [(VIEWS, entry) for entry in bus.read(VIEWS, EntryId.BEGIN)]
    published_before += [(SIGNALS, entry) for entry in bus.read(SIGNALS, EntryId.BEGIN)]
    of_the_second = [each for each in published_before if each[1].id.ms == run.close_of(2) // 10**6]
    assert len(of_the_second) == 5
    server.client().delete(VIEWS, SIGNALS)
    for stream, entry in [each for each in published_before if each not in of_the_second] + of_the_second[:written]:
        server.client().xadd(stream, {b"m": entry.data}, id=str(entry.id))
    text = decide.path.read_bytes()
    first = text.index(b"\n") + 1
    decide.path.write_bytes({"whole": text, "torn": text[: first + 100], "absent": text[:first]}[torn])
    decide(url, run.close_of(2))
    assert {stream: run.without_times(bus, stream) for stream in (VIEWS, SIGNALS)} == whole
    assert run.decisions(decide.path) == lines


def test_what_a_line_says_is_said_and_not_decided_again(close, run, bus, answer_body, speaking, decide, server):
    close(1)
    decide(speaking(believing(run, answer_body)).url, run.close_of(1))
    before = run.without_times(bus, SIGNALS)
    server.client().delete(VIEWS, SIGNALS)
    other = speaking(believing(run, answer_body, mean=(-1.0, 1.0)))
    decide(other.url, run.close_of(1))
    assert other.asked == []
    assert run.without_times(bus, SIGNALS) == before


def test_signals_of_someone_else_are_an_error(close, run, bus, answer_body, speaking, decide, server):
    close(1)
    url = speaking(believing(run, answer_body)).url
    decide(url, run.close_of(1))
    close(2)
    foreign = bus.read(SIGNALS, EntryId.BEGIN)[0].data
    server.client().xadd(SIGNALS, {b"m": foreign}, id=str(bar_entry(run.close_of(2), 0)))
    with pytest.raises(MessageError, match="cannot be written"):
        decide(url, run.close_of(2))


def test_a_bento_that_is_not_ready_is_asked_again(close, run, bus, answer_body, speaking, decide):
    close(1)
    speaks = believing(run, answer_body)

    def reply(request):
        if len(server.asked) < 4:
            refusal = {
                "what": "release trend is not served",
                "got": 'standing loading: "its golden outputs are being made"',
            }
            return 503, json.dumps(refusal).encode()
        return speaks(request)

    server = speaking(reply)
    (line,) = decide(server.url, run.close_of(1), over=lambda: bus.last(SIGNALS) is not None)
    assert (line["asked_times"], line["reason"]) == (4, None)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_that_fails_for_a_moment_costs_no_bar(close, run, bus, answer_body, speaking, decide, status):
    close(1)
    speaks = believing(run, answer_body)
    server = speaking(lambda request: (status, b"<html>busy</html>") if len(server.asked) < 3 else speaks(request))
    (line,) = decide(server.url, run.close_of(1))
    assert (len(server.asked), line["reason"], len(line["views"])) == (3, None, 2)


NO = {
    "no evidence": (403, b'{"what":"release trend is too old for this window","expected":"a newer one","got":"2025"}'),
    "bad request": (400, b'{"what":"too few bars","got":"3"}'),
    "the agent failed": (500, b'{"what":"trend failed at this window","got":"ZeroDivisionError"}'),
    "failed each time": (500, b"not even JSON"),
    "golden outputs differ": (503, b'{"what":"release trend is not served","got":"standing refused: \\"golden\\""}'),
    "no views": (200, b"{}"),
    "no JSON": (200, b"[1"),
}


@pytest.mark.parametrize("no", NO)
def test_views_that_are_refused_leave_nothing_to_signal_where_nothing_was_believed(
    close, run, bus, speaking, decide, no
):
    close(1)
    (line,) = decide(speaking(lambda request: NO[no]).url, run.close_of(1))
    assert line["reason"]["code"] == "views_refused"
    assert line["reason"]["text"]
    assert (line["signals"], line["views"], bus.last(VIEWS)) == ([], [], None)
    ((entry, marker),) = messages(bus, SIGNALS)
    assert (entry, marker.sent[0].count) == (end_of_bar(run.close_of(1)), 0)


def stages(line):
    return {each["symbol"]: each["stage"] for each in line["stopped"]}


def targets(line):
    return {each["symbol"]: int(each["target_lots"]) for each in line["signals"]}


@pytest.mark.parametrize("no", NO)
def test_a_bento_that_refuses_leaves_the_positions_to_the_rule(close, run, bus, answer_body, speaking, decide, no):
    """Views of fifteen minutes on bars of five: they live three bars, one more is held, one is reduced, then flat."""
    for bar in range(1, 7):
        close(bar)
    speaks = believing(run, answer_body, mean=(12.5, 30.0))
    server = speaking(lambda request: speaks(request) if len(server.asked) == 1 else NO[no])
    lines = decide(server.url, run.close_of(6), size=FixedFraction(fraction=0.4))
    assert [line["reason"] and line["reason"]["code"] for line in lines] == [None, *["views_refused"] * 5]
    assert [stages(line) for line in lines] == [
        {},
        {},
        {},
        *(dict.fromkeys(run.symbols, stage) for stage in ("holding", "reducing", "flat")),
    ]
    positions = [{each["symbol"]: int(each["lots"]) for each in line["account"]["positions"]} for line in lines]
    assert set(targets(lines[1])) == set(targets(lines[2])) == set(run.symbols)
    assert min(targets(lines[2]).values()) > 0
    assert targets(lines[3]) == positions[3]
    assert targets(lines[4]) == {symbol: min(positions[3][symbol] // 2, positions[4][symbol]) for symbol in run.symbols}
    assert targets(lines[5]) == dict.fromkeys(run.symbols, 0)
    assert [sum(int(each["lots"] or 0) for each in line["remembered"]) for line in lines[:3]] == [0, 0, 0]


def test_a_coordinator_that_was_started_again_remembers_what_was_believed(
    close, run, answer_body, speaking, decide, server
):
    speaks = believing(run, answer_body, mean=(12.5, 30.0))
    bento = speaking(lambda request: speaks(request) if len(bento.asked) == 1 else NO["no evidence"])
    for bar in range(1, 7):
        close(bar)
        lines = decide(bento.url, run.close_of(bar), size=FixedFraction(fraction=0.4))
    once = run.decisions(decide.path)
    decide.path.unlink()
    bento.asked.clear()
    server.client().delete(VIEWS, SIGNALS)
    decide(bento.url, run.close_of(6), size=FixedFraction(fraction=0.4))
    assert run.decisions(decide.path) == once
    assert len(lines) == 6


def test_bars_without_a_decision_count_and_the_next_one_is_where_the_rule_has_it(
    close, run, bus, answer_body, speaking, decide
):
    """Late, and without an account: nothing is signalled, the rule counts on."""
    speaks = believing(run, answer_body, mean=(12.5, 30.0))
    bento = speaking(lambda request: speaks(request) if len(bento.asked) == 1 else NO["no evidence"])
    for bar in range(1, 5):
        close(bar)
    sizing = FixedFraction(fraction=0.4)
    fourth = decide(bento.url, run.close_of(4), size=sizing)[3]
    assert stages(fourth) == dict.fromkeys(run.symbols, "holding")
    close(5, account=False)
    bus.publish(ACCOUNT, *run.account(6))
    (fifth,) = decide(bento.url, run.close_of(5), size=sizing)[4:]
    assert (fifth["reason"]["code"], fifth["signals"]) == ("no_account_state", [])
    assert stages(fifth) == dict.fromkeys(run.symbols, "reducing")
    assert fifth["remembered"] == fourth["remembered"]
    close(6, account=False)
    close(7)
    sixth, seventh = decide(bento.url, run.close_of(7), size=sizing, lockstep=False)[5:]
    assert (sixth["reason"]["code"], sixth["signals"]) == ("late", [])
    assert stages(sixth) == stages(seventh) == dict.fromkeys(run.symbols, "flat")
    assert targets(seventh) == dict.fromkeys(run.symbols, 0)


def test_a_bento_that_is_gone_on_a_running_venue_has_said_nothing_in_time(
    close, run, bus, answer_body, speaking, decide
):
    """Today's case: every bar became late, so nothing was ever signalled again."""
    close(1)
    decide(
        speaking(believing(run, answer_body, mean=(12.5, 30.0))).url, run.close_of(1), size=FixedFraction(fraction=0.4)
    )
    for bar in (2, 3, 4, 5, 6):
        close(bar)
        lines = decide(
            "http://127.0.0.1:1",
            run.close_of(bar),
            size=FixedFraction(fraction=0.4),
            lockstep=False,
            patience_s=0.05,
        )
    assert [line["reason"]["code"] for line in lines[1:]] == ["views_absent"] * 5
    assert min(targets(lines[1]).values()) > 0
    assert targets(lines[5]) == dict.fromkeys(run.symbols, 0)


def test_readyz_says_how_the_views_stand(close, run, bus, answer_body, speaking, decide):
    runtime = PartRuntime("coordinator")
    url = runtime.serve()
    speaks = believing(run, answer_body, mean=(12.5, 30.0))
    server = speaking(lambda request: speaks(request) if len(server.asked) == 1 else NO["no evidence"])
    seen = []
    for bar in range(1, 5):
        close(bar)
        decide(server.url, run.close_of(bar), size=FixedFraction(fraction=0.4), runtime=runtime)
        answer = httpx.get(f"{url}/readyz", trust_env=False)
        seen.append((answer.status_code, answer.json()["views"]))
    runtime.close()
    counted = {"part": "coordinator"}
    value = runtime.metrics.registry.get_sample_value
    assert (value("sapphire_bars_seen_total", counted), value("sapphire_bars_decided_total", counted)) == (4.0, 1.0)
    assert value("sapphire_bars_undecided_total", {**counted, "cause": "views_refused"}) == 3.0
    assert value("sapphire_bento_ask_seconds_count", counted) == 4.0
    assert value("sapphire_market_lag_seconds", counted) == 0.0
    assert [status for status, _ in seen] == [200, 503, 503, 503]
    assert (seen[0][1]["speaks"], seen[0][1]["stopped"]) == (True, [])
    assert seen[1][1]["reason"]["code"] == "views_refused"
    stopped = {each["symbol"]: (each["stage"], int(each["since_ns"])) for each in seen[3][1]["stopped"]}
    assert stopped == {symbol: ("holding", run.close_of(4)) for symbol in run.symbols}
    assert last_decision(decide.path).standing == seen[3][1]


@pytest.mark.parametrize("decided", [False, True])
def test_readyz_says_from_the_start_that_the_permit_is_closed(close, run, answer_body, speaking, decide, decided):
    """Before the first bar as well, and whatever the last one said; the bento is not asked."""
    server, runtime = speaking(believing(run, answer_body, mean=(12.5, 30.0))), PartRuntime("coordinator")
    url = runtime.serve()
    if decided:
        close(1)
        decide(server.url, run.close_of(1), size=FixedFraction(fraction=0.4))
        server.asked.clear()
    refusal = PermitClosed("trend was revoked", expected="a release that was not", got="wrong prices")
    closed = SimpleNamespace(refusal=refusal)
    decide(server.url, 0, over=lambda: True, runtime=runtime, permit=closed)
    answer = httpx.get(f"{url}/readyz", trust_env=False)
    facts = answer.json()
    assert (answer.status_code, facts["ready"]) == (503, False)
    assert facts["refusal"].startswith("trend was revoked")
    assert (facts["views"] is not None) is decided
    close(2)
    line = decide(server.url, run.close_of(2), runtime=runtime, permit=closed)[-1]
    runtime.close()
    assert line["reason"]["code"] == "views_refused"
    assert not server.asked


@pytest.fixture
def told_to_end():
    """A runtime whose process is told to end where a test says so."""
    runtime = PartRuntime("coordinator")
    before = signal.signal(signal.SIGTERM, runtime.end)
    yield runtime
    signal.signal(signal.SIGTERM, before)


def tell_to_end():
    os.kill(os.getpid(), signal.SIGTERM)


def test_told_to_end_while_the_release_is_asked_the_bar_is_as_if_not_begun(
    close, run, bus, answer_body, speaking, decide, told_to_end
):
    speaks = believing(run, answer_body, mean=(12.5, 30.0))

    def ending(request):
        tell_to_end()
        time.sleep(0.2)
        return speaks(request)

    close(1)
    with pytest.raises(SystemExit):
        decide(speaking(ending).url, run.close_of(1), runtime=told_to_end)
    assert (bus.last(SIGNALS), last_decision(decide.path)) == (None, None)
    (line,) = decide(speaking(speaks).url, run.close_of(1))
    assert line["reason"] is None


def test_told_to_end_while_the_decision_is_written_the_bar_is_said(
    close, run, bus, answer_body, speaking, decide, told_to_end, monkeypatch
):
    written = DecisionLog.append

    def ending(log, decision):
        tell_to_end()
        written(log, decision)

    monkeypatch.setattr(DecisionLog, "append", ending)
    close(1)
    with pytest.raises(SystemExit):
        decide(speaking(believing(run, answer_body, mean=(12.5, 30.0))).url, run.close_of(1), runtime=told_to_end)
    assert last_decision(decide.path).bar_close_ns == run.close_of(1)
    assert bus.entry(SIGNALS, end_of_bar(run.close_of(1))) is not None


def test_what_a_release_may_still_hold_is_read_from_the_decisions(tmp_path):
    """Flat is what is known to be flat: no lot at the newest state that was decided on, and nothing aimed at since."""
    path, other = tmp_path / "decisions.jsonl", "e" * 64
    assert not may_hold(path, RELEASE)
    log = DecisionLog(path)

    def line(bar, *, release=RELEASE, lots=None, aimed=0):
        position = {"symbol": "BTC/USDT", "atoms": "7", "lots": str(lots)}
        state = {"account": "paper", "entry": "1-1", "state": "ACTIVE", "quote": "USDT", "cash_quote_atoms": "0"}
        account = None if lots is None else {**state, "positions": [position]}
        signal = {"symbol": "BTC/USDT", "target_lots": str(aimed), "reference_ticks": "1", "time_to_live_ns": "1"}
        signals = [{**signal, "entry": "1-1"}]
        log.append(
            Decision.on(replace(SCOPE, release=release), bar * 1_000_000).knowing(account=account, signals=signals)
        )

    for bar, (more, holds) in enumerate([
        ({"aimed": 0}, True),
        ({"lots": 0, "aimed": 3}, True),
        ({"lots": 3, "aimed": 0}, True),
        ({"aimed": 0}, True),
        ({"lots": 0, "aimed": 0}, False),
        ({"aimed": 0}, False),
        ({"aimed": 1}, True),
        ({"lots": 0, "aimed": 0}, False),
    ], start=1):  # fmt: skip
        line(bar, **more)
        assert may_hold(path, RELEASE) is holds, (bar, more)
        assert not may_hold(path, other)
    line(20, release=other)
    assert not may_hold(path, RELEASE), "another release trades the account now"
    assert may_hold(path, other), "nothing is known of the account since it took it over"
    log.close()


@pytest.mark.parametrize("wrong", ["release", "close", "symbol", "twice"])
def test_views_that_answer_something_else_are_refused(close, run, answer_body, speaking, decide, wrong):
    close_ns = close(1)
    as_of_ns = close_ns - run.interval.ns if wrong == "close" else close_ns
    symbols = {"symbol": ["DOGE/USDT"], "twice": ["BTC/USDT", "BTC/USDT"]}.get(wrong, ["BTC/USDT"])
    views = [View(each, from_ns(as_of_ns), timedelta(hours=1), mean_bps=1.0, std_bps=1.0) for each in symbols]
    body = answer_body("e" * 64 if wrong == "release" else RELEASE, views, as_of_ns)
    (line,) = decide(speaking(lambda request: (200, body)).url, close_ns)
    assert line["reason"]["code"] == "views_refused"
    assert "did not answer the question" in line["reason"]["text"]


def test_a_late_bar_is_passed_over_on_a_running_venue_alone(close, run, bus, answer_body, speaking, decide):
    for bar in (1, 2):
        close(bar)
    url = speaking(believing(run, answer_body)).url
    first, second = decide(url, run.close_of(2))
    assert (first["reason"], second["reason"]) == (None, None)
    close(3)
    close(4)
    third, fourth = decide(url, run.close_of(4), lockstep=False)[2:]
    assert (third["reason"]["code"], third["signals"], third["account"]) == ("late", [], None)
    assert fourth["reason"] is None
    markers = [entry for entry, message in messages(bus, SIGNALS) if isinstance(message, SettledMessage)]
    assert markers == [end_of_bar(run.close_of(bar)) for bar in (1, 2, 3, 4)]


def test_a_dead_bento_makes_a_bar_late_once_the_next_one_has_closed(close, run, bus, decide, pulse_until):
    close(1)

    def over():
        if bus.last(SIGNALS) is None:
            if bus.last(BARS).id == end_of_bar(run.close_of(1)):
                close(2)
            return False
        return True

    line = decide("http://127.0.0.1:1", run.close_of(1), lockstep=False, over=over)[0]
    assert line["reason"]["code"] == "late"


def test_a_coordinator_that_is_new_on_a_running_venue_begins_with_the_newest_bar(
    close, run, answer_body, speaking, decide
):
    for bar in (1, 2, 3):
        close(bar)
    lines = decide(speaking(believing(run, answer_body)).url, run.close_of(3), lockstep=False)
    assert [int(line["bar_close_ns"]) for line in lines] == [run.close_of(3)]


def test_an_account_that_will_not_be_told_means_no_signals(close, run, bus, answer_body, speaking, decide):
    close(1, account=False)
    bus.publish(ACCOUNT, *run.account(2))
    (line,) = decide(speaking(believing(run, answer_body)).url, run.close_of(1))
    assert (line["reason"]["code"], line["signals"]) == ("no_account_state", [])
    assert len(line["views"]) == 2


def test_an_account_that_comes_late_is_waited_for(close, run, bus, answer_body, speaking, decide):
    close(1, account=False)

    def over():
        if bus.last(ACCOUNT) is None:
            bus.publish(ACCOUNT, *run.account(1))
            return False
        return bus.last(SIGNALS) is not None

    (line,) = decide(speaking(believing(run, answer_body)).url, run.close_of(1), over=over)
    assert line["reason"] is None


def test_something_else_where_the_account_should_be_is_a_dead_letter(
    close, run, bus, answer_body, speaking, decide, server
):
    close(1, account=False)
    server.client().xadd(ACCOUNT, {b"m": b"{}"}, id=str(account_entry(run.close_of(1))))
    (line,) = decide(speaking(believing(run, answer_body)).url, run.close_of(1))
    assert line["reason"]["code"] == "no_account_state"
    assert len(server.client().xrange(DEAD_LETTERS)) == 1


@pytest.mark.parametrize(
    ("positions", "text"),
    [
        ({"BTC/USDT": (0, 0), "ETH/USDT": (0, 0), "DOGE/USDT": (5, 0)}, "holds DOGE/USDT, which nobody sizes"),
        ({"BTC/USDT": (0, 0)}, "does not say what it holds of ETH/USDT"),
    ],
)
def test_an_account_that_cannot_be_sized_means_no_signals(
    close, run, bus, answer_body, speaking, decide, positions, text
):
    close_ns = close(1, account=False)
    bus.publish(ACCOUNT, *run.state(close_ns, cash=10**12, positions=positions))
    (line,) = decide(speaking(believing(run, answer_body)).url, close_ns)
    assert (line["reason"]["code"], line["signals"], line["targets"]) == ("cannot_size", [], [])
    assert text in line["reason"]["text"]


def test_bars_that_cannot_be_sized_leave_the_positions_to_the_rule(close, run, bus, answer_body, speaking, decide):
    """Beliefs of three bars, and from the second bar on the account holds what nobody sizes; BTC is led to its end."""
    bento = speaking(believing(run, answer_body, mean=(12.5, 30.0)))
    close(1)
    decide(bento.url, run.close_of(1), size=FixedFraction(fraction=0.4))
    for bar in range(2, 8):
        close_ns = close(bar, account=False)
        positions = {"BTC/USDT": (90_000, 90), "ETH/USDT": (0, 0), "DOGE/USDT": (5, 0)}
        bus.publish(ACCOUNT, *run.state(close_ns, cash=10**12, positions=positions))
        lines = decide(bento.url, close_ns, size=FixedFraction(fraction=0.4))[1:]
    assert {line["reason"]["code"] for line in lines} == {"cannot_size"}
    wanted = [next(int(each["target_lots"]) for each in line["signals"] if each["symbol"] == "BTC/USDT")
              for line in lines]  # fmt: skip
    assert wanted == [90, 90, 90, 45, 0, 0]
    assert [[each["stage"] for each in line["stopped"]][:1] for line in lines] == [
        [], [], ["holding"], ["reducing"], ["flat"], ["flat"],
    ]  # fmt: skip
    assert lines[2]["stopped"][0]["since_ns"] == str(run.close_of(4))


def test_a_bar_message_that_is_none_is_a_dead_letter_and_the_cache_says_what_it_was(
    shown, run, bus, bars, answer_body, speaking, decide, server
):
    handed = []

    def size(beliefs, account):
        handed.append(account.bars)
        return []

    for bar in (1, 2):
        close_ns = run.close_of(bar)
        if bar == 2:
            server.client().xadd(BARS, {b"m": b"{}"}, id=f"{close_ns // 10**6}-0")
        shown.close(39 + bar)
        bus.publish(ACCOUNT, *run.account(bar))
    decide(speaking(believing(run, answer_body)).url, run.close_of(2), size=size)
    assert len(server.client().xrange(DEAD_LETTERS)) == 1
    assert np.array_equal(handed[1].close, bars.close[:42])


def test_history_in_memory_is_what_the_cache_holds(run, bus, bars, market, universe):
    """Bars with gaps, of one symbol and of both: bar by bar, or read at once."""
    arrays = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close", "volume", "listed")}
    for name, array in arrays.items():
        array[45, 1] = array[50] = False if name == "listed" else np.nan
    holed = Bars(symbols=bars.symbols, interval=bars.interval, open_time_ns=bars.open_time_ns, **arrays).validate()
    shown = market(bus, holed)
    kept = History(bus, "embedded", universe.symbols, run.interval, 30)
    for row in range(40, LENGTH):
        close_ns = shown.close(row)
        entries = [entry for entry in bus.read(BARS, EntryId(close_ns // 10**6, 0)) if entry.id != end_of_bar(close_ns)]
        longer = kept.at(close_ns, [entry.message for entry in entries])
        anew = History(bus, "embedded", universe.symbols, run.interval, 30).at(close_ns, [])
        assert len(longer) == 30
        for name in ("open_time_ns", *arrays):
            assert np.array_equal(getattr(longer, name), getattr(anew, name), equal_nan=name != "listed"), (row, name)


def test_a_symbol_without_a_bar_for_longer_than_the_history_keeps_its_last_close(
    run, bus, bars, market, universe, answer_body, speaking, decide
):
    """Today's case: what is held of it had no price any more, so nothing was sized, for ever."""
    arrays = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close", "volume", "listed")}
    for name, array in arrays.items():
        array[41:, 1] = False if name == "listed" else np.nan
    shown = market(bus, Bars(symbols=bars.symbols, interval=bars.interval, open_time_ns=bars.open_time_ns, **arrays))
    handed = []

    def size(beliefs, account):
        handed.append(account)
        return []

    url = speaking(believing(run, answer_body)).url
    for bar in range(1, 7):
        shown.close(39 + bar)
        bus.publish(ACCOUNT, *run.account(bar))
        lines = decide(url, run.close_of(bar), size=size, rows=4)
    assert [line["reason"] for line in lines] == [None] * 6
    assert not handed[-1].bars.listed[:, 1].any()
    assert handed[-1].prices["ETH/USDT"] == bars.close[40, 1]
    ticks = universe["ETH/USDT"].to_ticks(decimal_of_float(bars.close[40, 1]))
    assert {line["closes_ticks"]["ETH/USDT"] for line in lines} == {str(ticks)}


def test_history_that_is_not_there_is_missing(run, bus, universe):
    history = History(bus, "embedded", universe.symbols, run.interval, 30)
    with pytest.raises(MissingData):
        history.at(run.close_of(1), [])
    for symbol in universe.symbols:
        bus.put(ring_key("embedded", symbol, run.interval), b"short")
    with pytest.raises(DataError):
        history.at(run.close_of(1), [])


def test_the_log_finds_what_it_holds_and_cuts_what_is_torn(run, tmp_path):
    path = tmp_path / "deep" / "decisions.jsonl"
    log = DecisionLog(path)
    assert (log.last, log.find(run.close_of(1))) == (None, None)
    made = [Decision.on(SCOPE, run.close_of(bar)) for bar in (1, 2, 3)]
    for decision in made:
        log.append(decision)
    log.close()
    path.write_bytes(path.read_bytes() + b'{"torn":')
    again = DecisionLog(path)
    assert path.read_bytes() == b"".join(decision.line for decision in made)
    assert again.last == made[2]
    assert [again.find(run.close_of(bar)) for bar in (1, 2, 3, 4)] == [*made, None]


@pytest.mark.parametrize("line", [b"{}\n", b"[]\n", b"nothing\n", b'{ "a": 1 }\n'])
def test_another_file_is_no_log(tmp_path, line):
    path = tmp_path / "decisions.jsonl"
    path.write_bytes(line)
    with pytest.raises(DataError, match="is no decision"):
        DecisionLog(path)
