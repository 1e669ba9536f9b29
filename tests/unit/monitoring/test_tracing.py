"""An order's life, found by enough of its id."""

import json

import pytest

from sapphire.coordination.decisions import Decision
from sapphire.domain.errors import MissingData, Refused
from sapphire.monitoring import find_order, trace_order
from sapphire.monitoring.reading.decisions import DecidedBar
from sapphire.monitoring.reading.tracing import _decision


@pytest.fixture
def run(recorded, write_run):
    return write_run(recorded)


def test_an_order_is_found_by_its_id_its_number_or_an_end_that_means_one(run):
    order = run.day.orders[9].order
    assert order.endswith("-a")
    assert find_order(run, order) == find_order(run, "a") == find_order(run, order[5:]) == order
    assert find_order(run, order.upper()) == order


def test_a_number_means_the_order_with_that_number_and_not_every_order_that_ends_so(run):
    orders = [order.order for order in run.day.orders]
    assert sum(order.endswith("1") for order in orders) > 1
    assert find_order(run, "1") == orders[0]


def test_what_means_several_orders_is_refused_and_they_are_named(run):
    with pytest.raises(Refused, match=r"means \d+ orders") as refused:
        find_order(run, "sap-0001")
    assert run.day.orders[0].order in refused.value.got


def test_what_means_no_order_is_missing(run):
    with pytest.raises(MissingData, match="no order 'zzz'"):
        find_order(run, "zzz")


def test_the_life_of_an_order_is_told_in_its_order(run, evidence):
    found = trace_order(run, run.day.orders[0].order)
    whats = [event.what for event in found.events]
    first = list(dict.fromkeys(whats))
    assert first == ["release", "bar", "asked", "view", "belief", "account", "target", "signal", "risk", "order", "hop",
                     "fill", "exchange"]  # fmt: skip
    by = {event.what: event for event in found.events}
    order = evidence.orders[0]
    fills = [fill for fill in evidence.fills if fill.order == order.order]
    assert "skill not shown" in by["release"].text
    assert by["asked"].wall_ns == 1_700_000_000_000_000_000
    assert by["order"].market_ns == order.sent_ns
    assert f"{order.lots:,} lots" in by["order"].text
    filled = [event for event in found.events if event.what == "fill"]
    for event, fill in zip(filled, fills, strict=True):
        assert f"fee {fill.fee_atoms / 1e8:.8f} {fill.fee_asset}" in event.text
        assert event.market_ns == fill.market_ns
    hops = [event for event in found.events if event.what == "hop"]
    assert [round(hop.after_us, 3) for hop in hops] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    assert found.market == "generated market v2, seed 7 (uncalibrated)"


def test_what_stands_beside_a_view_is_told_as_text(recorded, note_views, write_run, home, monkeypatch, capsys):
    """A model wrote it, and perhaps a stranger through the model: no markup in it acts."""
    thesis = "[bold red]it rose[/bold red] <script>alert(1)</script>"
    note_views(thesis=thesis, read=["news-1", "n2"], model_kind="embedded-default", elicitation="one token")
    run = write_run(recorded)
    by = {event.what: event.text for event in trace_order(run, run.day.orders[0].order).events}
    assert (by["model"], by["thesis"], by["read"]) == ("embedded-default, one token", thesis, "news-1, n2")
    monkeypatch.setenv("SAPPHIRE_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "200")
    command(["trace", run.day.orders[0].order, "--run", str(run.folder)])
    assert "[bold red]it rose[/bold red] <script>" in capsys.readouterr().out
    command(["trace", run.day.orders[0].order, "--run", str(run.folder), "--json"])
    told = {event["what"]: event["text"] for event in json.loads(capsys.readouterr().out)["events"]}
    assert {key: told[key] for key in ("model", "thesis", "read")} == {
        key: by[key] for key in ("model", "thesis", "read")
    }


def test_where_no_view_came_the_one_that_is_still_believed_is_told(recorded, note_views, write_run):
    note_views(thesis="it rose", read=[], model_kind="embedded-default", elicitation="")
    first = write_run(recorded).day.orders[0]
    place = next(i for i, each in enumerate(recorded.decisions) if each.bar_close_ns == first.bar_close_ns)
    silent, before = recorded.decisions[place].facts, recorded.decisions[place - 1].facts
    belief = next(each for each in before["beliefs"] if each["symbol"] == first.symbol)

    def told(as_of_ns, **more):
        remembered = [belief | {"as_of_ns": as_of_ns, "lots": None} | more]
        views = [view for view in silent["views"] if view["symbol"] != first.symbol]
        made = DecidedBar.of(Decision(silent | {"views": views, "remembered": remembered}).facts)
        decided = {made.bar_close_ns: made, int(before["bar_close_ns"]): DecidedBar.of(before)}
        return {event.what: event for event in _decision(made, first.symbol, decided)}

    found = told(before["bar_close_ns"])
    assert (found["thesis"].text, found["model"].text) == ("it rose", "embedded-default")
    assert found["view"].market_ns == found["thesis"].market_ns == int(before["bar_close_ns"])
    assert "view" not in told(before["bar_close_ns"], horizon_ns=str(3_600 * 10**9)), "a belief that has ended"
    assert "view" not in told(str(int(before["bar_close_ns"]) - 1_000)), "a bar whose line is not there"


def test_an_operator_s_order_serves_no_release_and_its_life_begins_with_the_command(recorded, write_run):
    place = next(place for place, row in enumerate(recorded.rows) if row["kind"] == "order")
    recorded.rows[place] = {**recorded.rows[place], "release": None}
    run = write_run(recorded)
    found = trace_order(run, recorded.rows[place]["order"])
    first = list(dict.fromkeys(event.what for event in found.events))
    assert first == ["release", "command", "risk", "order", "hop", "fill", "exchange"], "nobody's views led to it"
    (command,) = (event for event in found.events if event.what == "command")
    assert command.text == "an operator closes the position (sapphire journal show --kind command)"
    (order,) = (event for event in found.events if event.what == "order")
    assert order.market_ns == int(recorded.rows[place]["market_ns"])


def test_a_denied_order_ends_at_the_gate(recorded, write_run):
    place = next(place for place, row in enumerate(recorded.rows) if row["kind"] == "order")
    refusal = {"kind": "denied", "code": "COLLAR", "level": "order", "value": "1200", "limit": "1000"}
    recorded.rows[place] = {**recorded.rows[place], **refusal}
    found = trace_order(write_run(recorded), recorded.rows[place]["order"])
    assert found.events[-1].what == "risk"
    assert found.events[-1].text == "denied: COLLAR, 1,200 against 1,000 at the level of the order"


def test_the_verb_tells_it_as_json_and_as_a_table(run, home, monkeypatch, capsys):
    monkeypatch.setenv("SAPPHIRE_HOME", str(home))
    order = run.day.orders[0].order
    command(["trace", order, "--run", str(run.folder), "--json"])
    content = json.loads(capsys.readouterr().out)
    assert set(content) == {"order", "title", "market", "run", "release", "events"}
    assert content["order"] == order
    assert {"what", "text", "market_ns", "wall_ns", "after_us"} == set(content["events"][0])
    command(["trace", order, "--run", str(run.folder)])
    shown = capsys.readouterr().out
    assert "risk" in shown
    assert "generated market" in shown


def command(words):
    """Run a verb of monitoring."""
    from sapphire.monitoring.commands import trace

    run_verb(trace, words)


def run_verb(verb, words):
    """As the command line does, without its other verbs."""
    import typer

    app = typer.Typer()
    app.command(verb.__name__)(verb)
    app.callback()(lambda: None)
    app(args=words, standalone_mode=False)
