"""An order's life, found by enough of its id."""

import json

import pytest

from sapphire.coordination.decisions import Decision
from sapphire.domain.errors import MissingData, Refused
from sapphire.monitoring import find_order, trace_order


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


def test_what_stands_beside_a_view_is_told_as_text(recorded, write_run, home, monkeypatch, capsys):
    """A model wrote it, and perhaps a stranger through the model: no markup in it acts."""
    thesis = "[bold red]it rose[/bold red] <script>alert(1)</script>"
    beside = {"thesis": thesis, "read": ["news-1", "n2"], "model_kind": "embedded-default", "elicitation": "one token"}
    for place, decision in enumerate(recorded.decisions):
        views = [view | beside for view in decision.facts["views"]]
        recorded.decisions[place] = Decision(decision.facts | {"views": views})
    run = write_run(recorded)
    by = {event.what: event.text for event in trace_order(run, run.day.orders[0].order).events}
    assert (by["model"], by["thesis"], by["read"]) == ("embedded-default, one token", thesis, "news-1, n2")
    monkeypatch.setenv("SAPPHIRE_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "200")
    command(["trace", run.day.orders[0].order, "--run", str(run.folder)])
    printed = capsys.readouterr()
    assert "[bold red]it rose[/bold red] <script>" in printed.out + printed.err


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
