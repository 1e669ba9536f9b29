"""Recorded calls: the same bytes again, an error where there is none, nothing lost when it is interrupted."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sapphire.agents import Model, Reply, ask_model, ask_models
from sapphire.agents.recorder import Mode, RecordedCall, Recorder, recording
from sapphire.domain.clocks import FixedClock
from sapphire.domain.errors import AgentError, EvidenceRefused

MODEL = Model("desk/echo", "v1", "0" * 64)
OTHER = Model("desk/other", "v1", "1" * 64)


class Echo:
    """Replies with how often it was asked; fails at one request."""

    model = MODEL

    def __init__(self, fails_at=None):
        self.asked, self.batches, self._fails_at = 0, [], fails_at

    def replies(self, requests):
        self.batches.append(len(requests))
        made = []
        for request in requests:
            if request["n"] == self._fails_at:
                raise OSError("no more memory")
            self.asked += 1
            answer = {"n": request["n"], "time": self.asked, "text": "ünd \u2039|\n"}
            made.append(Reply(answer, raw=f"raw {request['n']}", about={"completion_tokens": 3, "cost_usd": 0.25}))
        return made


def questions(count, first=0):
    return [("w" * 64, {"n": n, "prompt": "x" * 200}) for n in range(first, first + count)]


def folder_bytes(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_was_asked_is_answered_again_without_the_model(tmp_path):
    echo = Echo()
    with Recorder(tmp_path, echo, clock=FixedClock(7_000)) as recorder:
        first = recorder.ask(str(MODEL), questions(5))
        assert recorder.ask(str(MODEL), questions(5)) == first
    assert echo.asked == 5
    with Recorder(tmp_path, mode="replay") as replay:
        assert replay.ask(str(MODEL), questions(5)) == first
        call = next(iter(replay))
    assert (call.raw, call.at_ns, call.about["completion_tokens"], call.about["cost_usd"]) == ("raw 0", 7_000, 3, 0.25)
    assert call.about["seconds"] >= 0.0
    assert RecordedCall.of(call.line) == call


def test_a_replay_asks_nothing_and_says_what_is_missing(tmp_path):
    echo = Echo()
    with Recorder(tmp_path, echo) as recorder:
        recorder.ask(str(MODEL), questions(2))
        assert recorder.known(str(MODEL), questions(4)) == 2
    with (
        Recorder(tmp_path, echo, mode=Mode.REPLAY) as replay,
        pytest.raises(AgentError, match="nobody answers for the model desk/echo@v1") as caught,
    ):
        replay.ask(str(MODEL), questions(4))
    assert caught.value.got.startswith("2 of the calls")
    assert echo.asked == 2


@pytest.mark.parametrize("changed", ["model", "window", "request"])
def test_a_call_is_known_by_all_that_went_in(tmp_path, changed):
    with Recorder(tmp_path, Echo()) as recorder:
        recorder.ask(str(MODEL), questions(1))
    window, request = questions(1)[0]
    model = OTHER if changed == "model" else MODEL
    if changed == "window":
        window = "v" + window[1:]
    if changed == "request":
        request = {**request, "seed": 1}
    with Recorder(tmp_path, mode="replay") as replay, pytest.raises(AgentError):
        replay.ask(str(model), [(window, request)])


def test_live_asks_every_time_and_keeps_it_all_the_same(tmp_path):
    echo = Echo()
    with Recorder(tmp_path, echo, mode="live") as recorder:
        answers = [recorder.ask(str(MODEL), questions(1))[0]["time"] for _ in range(3)]
        assert recorder.known(str(MODEL), questions(1)) == 0
    assert answers == [1, 2, 3]
    (lines,) = (content.splitlines() for content in folder_bytes(tmp_path).values())
    assert [RecordedCall.of(line).answer["time"] for line in lines] == [1, 2, 3]


def test_a_question_that_comes_twice_at_once_is_asked_once(tmp_path):
    echo = Echo()
    with Recorder(tmp_path, echo) as recorder:
        answers = recorder.ask(str(MODEL), questions(1) * 3)
    assert echo.asked == 1
    assert answers[0] == answers[1] == answers[2]


def test_what_was_answered_before_the_model_failed_stays(tmp_path):
    done = []
    with (
        Recorder(tmp_path, Echo(fails_at=70), progress=lambda made, of: done.append((made, of))) as recorder,
        pytest.raises(AgentError, match="fails"),
    ):
        recorder.ask(str(MODEL), questions(100))
    assert done == [(32, 100), (64, 100)]
    again = Echo()
    with Recorder(tmp_path, again) as recorder:
        assert len(recorder) == 64
        recorder.ask(str(MODEL), questions(100))
    assert again.asked == 36


def test_a_line_that_was_cut_off_is_no_call_and_a_changed_one_is_refused(tmp_path):
    with Recorder(tmp_path, Echo()) as recorder:
        recorder.ask(str(MODEL), questions(3))
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    with Recorder(tmp_path, mode="replay") as replay:
        assert len(replay) == 2
    path.write_bytes(whole.replace(b'"prompt":"xx', b'"prompt":"yx', 1))
    with Recorder(tmp_path, mode="replay") as replay, pytest.raises(EvidenceRefused, match="cannot be read"):
        replay.ask(str(MODEL), questions(1))
    path.write_bytes(b'{"no": "call"}\n' + whole)
    with pytest.raises(EvidenceRefused, match="no recorded call"):
        Recorder(tmp_path, mode="replay")


def test_two_writers_read_each_other(tmp_path):
    one, other = Recorder(tmp_path, Echo()), Recorder(tmp_path, mode="replay")
    answer = one.ask(str(MODEL), questions(1))
    assert other.ask(str(MODEL), questions(1)) == answer
    assert len(list(tmp_path.iterdir())) == 1


def test_a_killed_writer_leaves_what_it_answered(tmp_path):
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_recorder import Echo, MODEL, Recorder, questions
from pathlib import Path
recorder = Recorder(Path({str(tmp_path)!r}), Echo())
recorder.ask(str(MODEL), questions(40))
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with Recorder(tmp_path, mode="replay") as replay:
        assert len(replay.ask(str(MODEL), questions(40))) == 40


def test_an_adapter_is_found_with_its_base_and_only_when_it_has_to_be(tmp_path):
    found = []

    def find(model, base):
        found.append((model, base))
        return Echo() if model == str(MODEL) else None

    with Recorder(tmp_path, find=find) as recorder:
        assert found == []
        recorder.ask(str(MODEL), [("", {"n": 0, "base": str(OTHER)})])
        recorder.ask(str(MODEL), questions(1))
        with pytest.raises(AgentError, match="nobody answers"):
            recorder.ask(str(OTHER), questions(1))
    assert found == [(str(MODEL), str(OTHER)), (str(OTHER), None)]


def test_agents_are_answered_by_what_was_handed_in(tmp_path):
    with recording(tmp_path, Echo()) as recorder:
        assert ask_model(MODEL, None, {"n": 3})["n"] == 3
        assert [answer["n"] for answer in ask_models(MODEL, [(None, {"n": n}) for n in (3, 4)])] == [3, 4]
    assert len(recorder) == 2


def test_a_thousand_calls_are_replayed_byte_for_byte_at_more_than_five_thousand_a_second(tmp_path):
    """Measured against the reading of the same lines as JSON in the same run, so that a slow machine does not count."""
    with Recorder(tmp_path, Echo()) as recorder:
        first = json.dumps(recorder.ask(str(MODEL), questions(1000)))
    with Recorder(tmp_path, mode="replay") as replay:
        (data,) = folder_bytes(tmp_path).values()
        best_replay = best_json = float("inf")
        for _ in range(5):
            began = time.process_time()
            again = replay.ask(str(MODEL), questions(1000))
            best_replay = min(best_replay, time.process_time() - began)
            began = time.process_time()
            for line in data.splitlines():
                json.loads(line)
            best_json = min(best_json, time.process_time() - began)
    assert json.dumps(again) == first
    assert best_replay < 20 * best_json
    print(f"{1000 / best_replay:,.0f} replayed calls a second")
