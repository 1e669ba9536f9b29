"""The verbs: an example in each help, errors that help, and one running stack that they all look at."""

import getpass
import json
import os
import re
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import httpx
import psutil
import pytest
import typer
from prometheus_client import parser as classic
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_server import prometheus
from typer.testing import CliRunner

from sapphire.domain.errors import MissingData, Refused
from sapphire.domain.workspace import PART_VARIABLE
from sapphire.execution.journal import journal_rows
from sapphire.monitoring import read_run, trace_order
from sapphire.stack.background import service_of, take_down
from sapphire.stack.commands import decisions, journal, logs, status, trading, up_and_down
from sapphire.telemetry.http_client import HttpClient

VERBS = {
    "up": up_and_down.up,
    "down": up_and_down.down,
    "status": status.status,
    "logs": logs.logs,
    "decisions": decisions.decisions,
    **{name: getattr(trading, name) for name in ("positions", "orders", "fills", "halt", "resume", "flatten", "close")},
}


@pytest.fixture(scope="module")
def app():
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    for name, verb in VERBS.items():
        app.command(name)(verb)
    app.add_typer(journal.journal, name="journal")
    return app


@pytest.fixture
def sapphire(app, monkeypatch):
    """Runs a verb, on lines that fold nothing; what it wrote and how it ended."""
    monkeypatch.setenv("COLUMNS", "250")

    def run(*words, code=0):
        done = CliRunner().invoke(app, list(words), catch_exceptions=code != "raises")
        if code == "raises":
            return None
        assert done.exit_code == code, (done.output, done.exception)
        return done

    return run


@pytest.mark.parametrize("words", [*((verb,) for verb in VERBS), *(("journal", each) for each in
                                   ("show", "verify", "replay"))], ids=" ".join)  # fmt: skip
def test_help_has_an_example_and_json(sapphire, words):
    text = sapphire(*words, "--help").stdout
    assert f"Example: sapphire {' '.join(words)}" in text
    assert "--json" in text


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.setenv("SAPPHIRE_HOME", str(tmp_path))
    return tmp_path


WITHOUT_A_STACK = [
    *(("positions",), ("orders",), ("fills",), ("halt",)),
    *(("resume", "why"), ("flatten", "why"), ("close", "BTC/USDT", "why")),
]


@pytest.mark.parametrize("words", WITHOUT_A_STACK, ids=" ".join)
def test_without_a_stack_they_say_how_to_start_one(sapphire, empty, words):
    with pytest.raises(Refused, match="no stack runs in") as refused:
        sapphire(*words, code="raises")
    assert refused.value.next == "sapphire up starts one"


def test_without_a_run_there_is_no_status_and_no_journal(sapphire, empty):
    with pytest.raises(Refused, match="no stack ran in"):
        sapphire("status", code="raises")
    for what in ("show", "verify", "replay"):
        with pytest.raises(MissingData, match="no account of a service"):
            sapphire("journal", what, code="raises")
    ended = json.loads(sapphire("down", "--json").stdout)
    assert ended == {"run": str(empty / "stack"), "was_running": False, "accounts": []}


@pytest.mark.parametrize(
    "words",
    [("--fund", "USDT"), ("--port", "bus=x"), ("--port", "bus=70000"), ("--port", "bus=-1")],
    ids=["fund", "port", "large port", "port below zero"],
)
def test_words_that_mean_nothing_are_wrong_usage(sapphire, empty, words):
    assert sapphire("up", *words, code=2)


def of_stack(run):
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(PART_VARIABLE, "").startswith(f"{run}:"):
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


@pytest.fixture(scope="module")
def webhook(webhook_with):
    """A receiver of everything that happens."""
    server = webhook_with()
    yield server
    server.close()


@pytest.fixture(scope="module")
def running(app, champion, webhook, tmp_path_factory):
    """A paced stack in the background, fast enough that bars close every second; its facts.

    It tells one receiver of everything, and another that nobody listens at.
    """
    home, digest = champion
    before, here = os.environ.get("SAPPHIRE_HOME"), Path.cwd()
    os.environ |= {"SAPPHIRE_HOME": str(home), "HOOK": webhook.address}
    workspace = tmp_path_factory.mktemp("workspace")
    (workspace / "dead").write_text("http://127.0.0.1:9/api/webhooks/T0SECRETSECRET0")
    (workspace / "dead").chmod(0o600)
    settings = "[notify.json]\naddress_env = 'HOOK'\n[notify.discord]\naddress_file = 'dead'\n"
    (workspace / "sapphire.toml").write_text(settings)
    os.chdir(workspace)
    try:
        words = ["up", digest, "--speed", "300", "--start", "2025-03-07", "--no-mlflow", "--json"]
        done = CliRunner().invoke(app, [*words, "--fund", "USDT=50000", "--fund", "BTC=1"], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        yield json.loads(done.stdout)
        take_down(home / "stack")
    finally:
        os.chdir(here)
        os.environ.pop("HOOK")
        os.environ.pop("SAPPHIRE_HOME") if before is None else os.environ.update(SAPPHIRE_HOME=before)


def test_up_returns_when_all_is_ready_and_status_says_how_each_part_does(sapphire, running, champion):
    assert running["state"] == "ready"
    assert list(running["parts"]) == ["bento", "bus", "collector", "coordinator", "exchange", "notices", "service"]
    assert {part["state"] for part in running["parts"].values()} == {"ready"}
    status = json.loads(sapphire("status", "--json").stdout)
    assert status["running"]
    assert status["release"]["digest"] == status["parts"]["bento"]["release"] == champion[1]
    assert status["parts"]["exchange"]["address"].startswith("http://127.0.0.1:")
    text = sapphire("status").stdout
    assert "MARKED: skill not shown" in text
    assert "ready for" in text


def test_every_python_part_answers_probes_and_prometheus(sapphire, running):
    def keeper_line():
        lines = map(json.loads, sapphire("logs", "keeper", "--json").stdout.splitlines())
        return [line["message"] for line in lines if line["message"].startswith("probes and metrics at ")]

    urls = {name: running["parts"][name]["address"] for name in ("collector", "coordinator", "notices")}
    urls |= {"keeper": until(keeper_line)[-1].split()[-1]}
    assert len(set(urls.values())) == 4
    for name, url in urls.items():
        assert httpx.get(f"{url}/livez", trust_env=False).json()["live"] is True
        assert httpx.get(f"{url}/readyz", trust_env=False).json()["started"] is True
        text = httpx.get(f"{url}/metrics", trust_env=False).text
        families = classic.text_string_to_metric_families(text)
        found = {sample.name: sample for family in families for sample in family.samples}
        if name == "keeper":
            assert found.keys() >= {"sapphire_part_restarts_total", "sapphire_part_ready"}
        assert found["sapphire_build_info"].labels["part"] == name
    until(lambda: "sapphire_bars_decided_total" in httpx.get(f"{urls['coordinator']}/metrics", trust_env=False).text)


def test_prometheus_scrapes_every_part_that_tells_metrics(running, tmp_path):
    every = {"bento", "collector", "coordinator", "exchange", "keeper", "notices", "service"}
    run = Path(running["run"])
    with prometheus(tmp_path, run / "prometheus.json") as scraping:
        until(lambda: {part for part, (health, _) in scraping.targets().items() if health == "up"} == every)
        assert {error for _, error in scraping.targets().values()} == {""}
        up = scraping.series("up")
        assert {(labels["part"], labels["venue"], labels["account"], value) for labels, value in up} == {
            (part, "embedded", "paper", 1.0) for part in every
        }
        until(lambda: [labels["agent"] for labels, _ in scraping.series("sapphire_views_total")])
        for name in ("sapphire_bars_decided_total", "sapphire_part_ready", "bentoml_service_request_total",
                     "sapphire_build_info", "process_resident_memory_bytes"):  # fmt: skip
            until(lambda name=name: scraping.series(name))


def test_logs_are_printed_for_people_and_raw(sapphire, running):
    raw = [json.loads(line) for line in sapphire("logs", "coordinator", "--json").stdout.splitlines()]
    assert {"time", "level", "part", "message", "account", "release"} <= set(raw[0])
    assert (raw[0]["part"], raw[0]["account"]) == ("coordinator", "paper")
    first = sapphire("logs", "coordinator").stdout.splitlines()[0]
    assert first.startswith(raw[0]["time"])
    assert raw[0]["message"].splitlines()[0] in first
    assert len(sapphire("logs", "exchange", "--limit", "1", "--json").stdout.splitlines()) == 1
    with pytest.raises(Refused, match="there is no log of desk") as refused:
        sapphire("logs", "desk", code="raises")
    assert "coordinator" in refused.value.expected


def test_the_same_folder_twice_is_refused_by_name(sapphire, running, champion):
    with pytest.raises(Refused, match=f"a stack already runs in {running['run']}"):
        sapphire("up", champion[1], code="raises")


def until(seen, within_s=60):
    """Ask until the answer is one."""
    deadline = time.monotonic() + within_s
    while not (found := seen()) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert found
    return found


def test_the_account_is_shown_as_the_engine_has_it(sapphire, running):
    positions = json.loads(sapphire("positions", "--json").stdout)
    assert (positions["account"], positions["quote"]) == ("paper", "USDT")
    assert [row["symbol"] for row in positions["positions"]] == ["BTC/USDT", "ETH/USDT"]
    assert int(positions["positions"][0]["atoms"]) > 0
    first = positions["positions"][0]
    # The steps of the engine's own run, from its journal.
    config = next(row for row in journal_rows(Path(running["run"]) / "account") if row["kind"] == "run")["config"]
    steps = {
        each["symbol"]: (Decimal(each["tick_atoms"]) / 10**8, Decimal(each["lot_atoms"]) / 10**8)
        for each in config["instruments"]
    }
    assert Decimal(first["quantity"]) == int(first["lots"]) * steps["BTC/USDT"][1]
    assert int(positions["equity_quote_atoms"]) == int(positions["cash_quote_atoms"]) + sum(
        int(row["value_atoms"]) for row in positions["positions"]
    )
    assert positions["trading"]["state"] == "ACTIVE"
    assert "BTC/USDT" in sapphire("positions").stdout
    for what in ("orders", "fills"):
        rows = json.loads(sapphire(what, "--json").stdout)[what]
        for row in rows:
            tick, lot = steps[row["symbol"]]
            assert Decimal(row["price"]) == int(row["ticks"]) * tick
            assert Decimal(row["quantity"]) == int(row["lots"]) * lot
        assert what[:-1] in sapphire(what).stdout


def test_status_says_what_is_traded_and_how(sapphire, running):
    account = until(
        lambda: (lambda known: known if known and known["last_bar_close_ns"] else None)(
            json.loads(sapphire("status", "--json").stdout)["account"]
        )
    )
    assert account["trading"] == {"state": "ACTIVE", "set": None, "closed": []}
    assert int(account["market_ns"]) >= int(account["last_bar_close_ns"]) > 0
    assert {row["symbol"] for row in account["last_decision"]} <= {"BTC/USDT", "ETH/USDT", None}
    assert account["last_decision"][0]["why"]
    assert (account["untraded"] is None) is (account["fills_today"]["fills"] > 0)
    assert account["fills_today"]["fills"] == len(json.loads(sapphire("fills", "--json").stdout)["fills"])
    assert set(account["latency"]) == {"hop", "orders", "median_ns", "p99_ns"}
    text = sapphire("status").stdout
    assert re.search("trading +ACTIVE", text)
    for words in ("last bar 2025-03-07T", "last decision 2025-03-07T", "unrealised", "fees "):
        assert words in text
    assert json.loads(sapphire("decisions", "--limit", "2", "--json").stdout)["decisions"]


@pytest.mark.parametrize("columns", ["100", "80"])
def test_every_table_fits(sapphire, running, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    for words in (("status",), ("positions",), ("orders",), ("fills",), ("decisions",), ("journal", "show")):
        text = sapphire(*words).stdout
        assert text
        assert max(map(len, text.splitlines())) <= int(columns), text


def test_watch_shows_a_frame_a_second_and_leaves_the_stack_alone(running, champion):
    words = [sys.executable, "-m", "sapphire.cli", "status", "--watch"]
    began = time.monotonic()
    watching = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(6)
    watching.send_signal(signal.SIGINT)
    out, errors = watching.communicate(timeout=20)
    assert watching.returncode == 0, errors
    frames = out.count("stack ready: ")
    assert 2 <= frames <= time.monotonic() - began + 1
    assert "Traceback" not in errors
    assert of_stack(running["run"])


def test_probes_answer_and_figures_are_read_by_a_client_of_prometheus(running):
    addresses = running["addresses"]
    metrics = {}
    for part in ("service", "exchange_control"):
        client = HttpClient(addresses[f"{part}_url"], part, within_s=10.0)
        assert client.get("/livez").facts() == {"live": True}
        assert client.get("/readyz").facts() == {"ready": True}
        text = client.get("/metrics").body.decode()
        metrics[part] = {family.name: family for family in text_string_to_metric_families(text)}
        client.close()
    service, exchange = metrics["service"], metrics["exchange_control"]
    assert service["sapphire_ready"].samples[0].value == 1
    assert service["sapphire_orders"].type == exchange["sapphire_exchange_orders"].type == "counter"
    # The exchange was asked later.
    assert 0 < service["sapphire_orders"].samples[0].value <= exchange["sapphire_exchange_orders"].samples[0].value
    hops = service["sapphire_hop_seconds"]
    counted = {sample.labels["hop"]: sample.value for sample in hops.samples if sample.name.endswith("_count")}
    assert (hops.type, counted["signal_to_wire"]) == ("histogram", service["sapphire_orders"].samples[0].value)
    assert {sample.labels["code"] for sample in service["sapphire_denials"].samples} >= {"COLLAR"}
    assert exchange["sapphire_exchange_market_time_ns"].samples[0].value > 1.7e18


def test_a_halt_holds_over_a_kill_until_somebody_resumes(sapphire, running):
    assert json.loads(sapphire("halt", "a test", "--json").stdout)["state"] == "HALTED"
    pid = json.loads(sapphire("status", "--json").stdout)["parts"]["service"]["pid"]
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        part = json.loads(sapphire("status", "--json").stdout)["parts"]["service"]
        if part["restarts"] == 1 and part["state"] == "ready":
            break
        time.sleep(0.1)
    assert part["why"] == "was killed by signal 9"
    assert part["address"] == running["parts"]["service"]["address"]
    account = until(lambda: json.loads(sapphire("status", "--json").stdout)["account"])
    command = account["trading"]["set"]
    assert (command["word"], command["by"], command["why"]) == ("halt", getpass.getuser(), "a test")
    for verb in ("status", "positions"):
        assert "HALTED, halt since 2025-03-07T" in sapphire(verb).stdout
        assert f"by {getpass.getuser()}: a test" in sapphire(verb).stdout
    assert json.loads(sapphire("resume", "the test is over", "--json").stdout)["state"] == "ACTIVE"


def test_who_only_looks_cannot_act_and_who_says_nothing_is_named(sapphire, running):
    run = Path(running["run"])
    looking, acting = service_of(run), service_of(run, acts=True)
    for act in (looking.halt, looking.reduce, looking.resume, looking.flatten):
        with pytest.raises(Refused) as refused:
            act("only looking")
        assert "403" in refused.value.got
        assert "give service_token" in refused.value.got
    assert looking.state()["trading"] == acting.state()["trading"] == "ACTIVE"
    acting.reduce("carefully")
    assert looking.state()["trading_set"]["by"] == f"{getpass.getuser()} (service_token)"
    acting.resume("seen", by="ada")
    assert "by ada: seen" in sapphire("status").stdout
    shown = sapphire("journal", "show", "--kind", "command", "--limit", "2").stdout
    assert f"operator {getpass.getuser()} (service_token): carefully" in shown
    assert "operator ada: seen" in shown


def test_a_close_and_a_flatten_end_flat_and_the_next_bars_buy_nothing(sapphire, running):
    answer = json.loads(sapphire("close", "BTC/USDT", "one of two", "--json").stdout)
    assert (answer["state"], [row["symbol"] for row in answer["closed"]]) == ("ACTIVE", ["BTC/USDT"])
    answer = json.loads(sapphire("flatten", "all of it", "--json").stdout)
    assert answer["state"] == "REDUCING"

    def flat():
        trading = json.loads(sapphire("status", "--json").stdout)["account"]["trading"]
        return trading if [row["standing"] for row in trading["closed"]] == ["flat", "flat"] else None

    trading = until(flat)
    assert trading["set"]["why"] == "all of it"
    assert trading["closed"][0]["set"]["why"] == "one of two"
    bar = json.loads(sapphire("status", "--json").stdout)["account"]["last_bar_close_ns"]
    until(lambda: int(json.loads(sapphire("status", "--json").stdout)["account"]["last_bar_close_ns"]) > int(bar))
    positions = json.loads(sapphire("positions", "--json").stdout)["positions"]
    assert all(int(row["atoms"]) < 10**5 for row in positions), positions
    assert all(row["in_flight_lots"] == "0" for row in positions)
    text = sapphire("status").stdout
    assert "REDUCING, flatten since 2025-03-07T" in text
    assert "BTC/USDT closed" in text
    assert "sapphire resume REASON trades again" in text
    words = sapphire("journal", "show", "--kind", "command", "--limit", "2").stdout
    assert "close BTC/USDT: sell all of it" in words
    assert "flatten: sell everything" in words
    replayed = json.loads(sapphire("journal", "replay", "--json").stdout)
    assert replayed["identical"], replayed
    run = Path(running["run"])
    rows = list(journal_rows(run / "account"))
    filled = {row["order"] for row in rows if row["kind"] == "fill"}
    ours = [row["order"] for row in rows if row["kind"] == "order" and not row["release"]]
    for sold in ours[:3]:  # none where the release held nothing by then
        life = [event.what for event in trace_order(read_run(run, run.parent), sold).events]
        assert life[:4] == ["release", "command", "risk", "order"]
        assert ("fill" in life) == (sold in filled)
    with pytest.raises(Refused, match="the service refused 'close'") as refused:
        sapphire("close", "DOGE/USDT", "a typo", code="raises")
    assert "BTC/USDT, ETH/USDT" in refused.value.got
    assert json.loads(sapphire("resume", "again", "--json").stdout)["closed"] == []


def test_a_receiver_was_told_of_all_that_and_one_that_is_dead_held_up_nothing(sapphire, running, webhook):
    """What the tests above did: a halt, a killed service, a resume, a close and a flatten, with their fills."""
    wanted = {
        "halt": ["Trading is HALTED", "Trading goes on: ACTIVE; BTC/USDT is closed"],
        "restarts": ["service was killed by signal 9 and is started again"],
        "fills": ["fill"],
    }
    for kind, words in wanted.items():
        for word in words:
            until(
                lambda kind=kind, word=word: [
                    each for each in webhook.got if each["kind"] == kind and word in each["title"]
                ]
            )
    (halted,) = (each for each in webhook.got if each["title"] == "Trading is HALTED")
    assert halted["lines"][0] == f"{getpass.getuser()}: a test"
    assert "on paper, skill not shown; account paper, generated market, seed 7, 2025-03-07T" in halted["text"]
    ids = [each["id"] for each in webhook.got]
    assert len(set(ids)) == len(ids)
    stands = json.loads(sapphire("status", "--json").stdout)["notices"]
    assert stands["json"]["undelivered"] == {}
    assert stands["discord"]["delivered"] == 0
    assert stands["discord"]["waiting"] > 0
    assert "notices to discord: 0 delivered; " in sapphire("status").stdout
    files = [path for path in Path(running["run"]).rglob("*") if path.is_file()]
    assert not [path for path in files if b"T0SECRETSECRET0" in path.read_bytes()]


def test_the_journal_can_be_read_while_it_is_written(sapphire, running):
    entries = json.loads(sapphire("journal", "show", "--limit", "5", "--json").stdout)["entries"]
    assert len(entries) == 5
    assert json.loads(sapphire("journal", "verify", "--json").stdout)["ok"]
    replayed = json.loads(sapphire("journal", "replay", "--json").stdout)
    assert replayed["identical"]
    assert replayed["steps"] > 0


def test_a_killed_keeper_leaves_nothing_and_the_next_down_says_so(sapphire, running):
    """The last test of this stack: the keeper is killed, and everything it kept goes with it."""
    sapphire("flatten", "the end is near")
    until(lambda: {row["standing"] for row in json.loads(sapphire("status", "--json").stdout)["account"]["trading"]
                   ["closed"]} == {"flat"})  # fmt: skip
    assert of_stack(running["run"])
    before = json.loads(sapphire("status", "--json").stdout)["account"]
    os.kill(running["pid"], signal.SIGKILL)
    deadline = time.monotonic() + 30
    while of_stack(running["run"]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert of_stack(running["run"]) == []
    assert not json.loads(sapphire("status", "--json").stdout)["running"]
    text = sapphire("status").stdout
    assert "its keeper was killed" in text
    assert "the account as its journal has it, since the stack was not ended in order:" in text
    assert "REDUCING, flatten since 2025-03-07T" in text
    assert f"by {getpass.getuser()}: the end is near" in text
    account = json.loads(sapphire("status", "--json").stdout)["account"]
    assert (before["told_by"], account["told_by"]) == ("service", "journal")
    assert account["trading"] == before["trading"]
    assert account.keys() == before.keys()
    assert account["positions"].keys() == before["positions"].keys()
    same = ("symbol", "atoms", "lots", "quantity")
    assert [[row[key] for key in same] for row in account["positions"]["positions"]] == [
        [row[key] for key in same] for row in before["positions"]["positions"]
    ]
    for key in ("account", "quote", "cash_quote_atoms"):
        assert account["positions"][key] == before["positions"][key]
    assert account["fills_today"] == before["fills_today"]
    assert account["latency"]["hop"] == before["latency"]["hop"]
    assert not json.loads(sapphire("down", "--json").stdout)["was_running"]
