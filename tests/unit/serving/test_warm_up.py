"""A server is ready when each of its models has answered once, and not later than it may."""

import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sapphire.domain import NotReady
from sapphire.serving.ports import free_port
from sapphire.serving.warm_up import is_healthy, warm_up


class Scripted(BaseHTTPRequestHandler):
    """Answers completions by the server's `script`: model to what it answers, in order; the last one stays."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        answers = self.server.script[body["model"]]
        self.answer(*(answers.pop(0) if len(answers) > 1 else answers[0]))

    def do_GET(self):
        self.answer(self.server.health, "")

    def answer(self, status, text):
        content = json.dumps({"choices": [{"text": text}]}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Scripted) as serving:
        serving.script, serving.asked, serving.health = {}, [], 200
        serving.url = f"http://127.0.0.1:{serving.server_address[1]}"
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


class Seconds:
    """Time that passes only where somebody waits."""

    def __init__(self):
        self.now, self.waits = 0.0, 0

    def clock(self):
        return self.now

    def wait(self, seconds):
        self.now, self.waits = self.now + seconds, self.waits + 1


def test_each_model_is_asked_for_one_constrained_token_until_it_answers(server, caplog):
    server.script = {"desk/base": [(503, ""), (200, ""), (200, "y")], "desk/adapter": [(200, "no")]}
    seconds = Seconds()
    with caplog.at_level(logging.INFO):
        warm_up(server.url, ["desk/base", "desk/adapter"], clock=seconds.clock, wait=seconds.wait)
    assert [each["model"] for each in server.asked] == 3 * ["desk/base"] + ["desk/adapter"]
    assert all(each["max_tokens"] == 1 and each["structured_outputs"]["choice"] for each in server.asked)
    assert seconds.waits == 2
    assert [record.message.split(" after")[0] for record in caplog.records if "warm" in record.message] == [
        "desk/base is warm",
        "desk/adapter is warm",
    ]


@pytest.mark.parametrize(("answer", "got"), [((404, ""), "404"), ((200, "maybe"), "the text 'maybe'")])
def test_an_adapter_that_does_not_answer_in_time_is_named_with_what_came(server, answer, got):
    server.script = {"desk/base": [(200, "yes")], "desk/adapter": [answer]}
    seconds = Seconds()
    with pytest.raises(NotReady, match="desk/adapter has not answered its warm-up") as refused:
        warm_up(server.url, ["desk/base", "desk/adapter"], within_s=3.0, clock=seconds.clock, wait=seconds.wait)
    assert got in refused.value.got
    assert 2.0 <= seconds.now < 3.0


def test_a_server_that_is_not_there_is_waited_for_no_longer_than_it_may():
    seconds = Seconds()
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(NotReady, match="desk/base has not answered"):
        warm_up(url, ["desk/base"], within_s=1.0, clock=seconds.clock, wait=seconds.wait)
    assert not is_healthy(url)


def test_health_is_the_engine_s_own_word(server):
    assert is_healthy(server.url)
    server.health = 503
    assert not is_healthy(server.url)
