"""What waits is on disk: sent at most twice, dropped by importance, and what did not arrive is said."""

import json

import pytest

from sapphire.stack.notices.delivery import Came, Outcome
from sapphire.stack.notices.notice import Notice
from sapphire.stack.notices.outbox import ROOM, TRIES, Outbox, standing

ALL = frozenset({"halt", "denials", "undecided", "restarts", "fills", "report"})
S = 10**9
TAKEN, BUSY, NEVER, LOST = (
    Outcome(came, "a test") for came in (Came.DELIVERED, Came.AGAIN, Came.REFUSED, Came.UNKNOWN)
)


def notice(name, kind="fills"):
    return Notice(id=name, kind=kind, title=name, about="a test", wall_ns=1)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "notices_state.json"


@pytest.fixture
def opened(path):
    """An outbox on that file, anew each time: as after a kill."""

    def open_it(*shapes, kinds=ALL):
        return Outbox(path, dict.fromkeys(shapes or ("json",), kinds))

    return open_it


def test_each_receiver_gets_what_it_is_told_of_in_order_and_it_is_gone_then(opened):
    box = Outbox(opened()._path, {"json": ALL, "slack": frozenset({"halt"})})
    box.put([notice("a"), notice("b", "halt"), notice("c")], {"at": 1})
    sent = []
    while box.due_in_s("json", 100 * S) is not None:
        sent.append(box.take("json", 100 * S)[0].id)
        box.settle("json", TAKEN, 100 * S)
    assert sent == ["a", "b", "c"]
    assert box.take("slack", 0)[0].id == "b"
    last = {"at_ns": str(100 * S), "came": "delivered", "what": "a test"}
    assert box.standing()["json"] == {"waiting": 0, "delivered": 3, "undelivered": {}, "last": last}


def test_what_was_read_and_what_waits_is_there_again_after_a_kill(opened, path):
    opened().put([notice("a"), notice("b")], {"executions": "7-1"})
    again = opened()
    assert again.cursor == {"executions": "7-1"}
    assert again.take("json", 0)[0] == notice("a")
    assert standing(path)["json"]["waiting"] == 2


def test_a_sender_that_is_killed_again_and_again_sends_a_message_twice_and_counts_it(opened):
    opened().put([notice("a", "halt"), notice("b")], {})
    sent = []
    for turn in range(10):
        box = opened()
        if box.due_in_s("json", turn * S * 1_000) is None:
            break
        sent.append(box.take("json", turn * S * 1_000)[0].id)  # and it is killed here
    assert sent == ["a", "a", "b", "b"]
    assert opened().standing()["json"]["undelivered"] == {"halt": 1, "fills": 1}


@pytest.mark.parametrize(
    ("outcome", "times"), [(BUSY, TRIES), (NEVER, 1), (LOST, 2)], ids=["busy", "refused", "unknown"]
)
def test_tries_are_bounded_and_what_is_given_up_is_said_once_by_the_next_that_arrives(opened, outcome, times):
    box, now, tries = opened(), 0, 0
    box.put([notice("a", "halt")], {})
    while (wait_s := box.due_in_s("json", now)) is not None:
        now += int(wait_s * S) + 1
        box.take("json", now)
        box.settle("json", outcome, now)
        tries += 1
    assert tries == times
    assert box.standing()["json"]["undelivered"] == {"halt": 1}
    box.put([notice("b"), notice("c")], {})
    now += 1_000 * S
    assert box.take("json", now)[1] == {"halt": 1}
    box.settle("json", BUSY, now)
    now += 1_000 * S
    assert box.take("json", now)[1] == {"halt": 1}, "it was not told yet"
    box.settle("json", TAKEN, now)
    assert box.take("json", now)[1] == {}
    assert box.standing()["json"]["undelivered"] == {"halt": 1}, "the count stays"


def test_a_busy_receiver_is_left_alone_for_as_long_as_it_says_and_longer_each_time_where_it_does_not(opened):
    box, now = opened(), 0
    box.put([notice("a"), notice("b")], {})
    waits = []
    for pause_s in (7.0, None, None, None):
        box.take("json", now)
        box.settle("json", Outcome(Came.AGAIN, "", pause_s), now)
        waits.append(box.due_in_s("json", now))
        now += int(waits[-1] * S)
    assert waits == [7.0, 4.0, 8.0, 16.0]
    assert opened().due_in_s("json", now - S) == 1.0, "a kill does not forget it"


@pytest.mark.parametrize(
    ("shape", "at_once", "in_a_minute"), [("slack", 1, 60), ("discord", 5, 30), ("telegram", 1, 20)]
)
def test_the_rates_of_each_service_are_kept_over_kills(opened, shape, at_once, in_a_minute):
    opened(shape).put([notice(str(number)) for number in range(50)], {})
    now, sent = 10**18, []
    while len(sent) < 40:
        box = opened(shape)
        now += int(box.due_in_s(shape, now) * S)
        assert box.due_in_s(shape, now) == 0
        box.take(shape, now)
        box.settle(shape, TAKEN, now)
        sent.append(now)
    for begin in sent:
        assert sum(begin <= at < begin + 60 * S for at in sent) <= in_a_minute
        assert sum(begin <= at < begin + S for at in sent) <= at_once
    assert (sent[-1] - sent[0]) / S < 40 / in_a_minute * 60


def test_a_clock_that_is_set_back_holds_nothing_up_for_ever(opened):
    box = opened("slack")
    box.put([notice("a"), notice("b")], {})
    box.take("slack", 10**18)
    box.settle("slack", TAKEN, 10**18)
    assert box.due_in_s("slack", 10**18 - 3_600 * S) == 0


def test_where_there_is_no_room_the_least_important_go_and_are_counted(opened):
    box = opened()
    box.put([notice("first halt", "halt"), notice("under way")], {})
    box.take("json", 0)
    box.put([notice(f"fill {number}") for number in range(2 * ROOM)], {})
    box.put([notice(f"restart {number}", "restarts") for number in range(ROOM)], {})
    box.put([notice(f"halt {number}", "halt") for number in range(5)], {})
    stands = box.standing()["json"]
    assert stands["waiting"] == ROOM
    assert sum(stands["undelivered"].values()) == 2 + 2 * ROOM + ROOM + 5 - ROOM
    assert "halt" not in stands["undelivered"]
    assert stands["undelivered"]["fills"] == 2 * ROOM + 1
    kept = [each["notice"]["kind"] for each in json.loads(box._path.read_text())["receivers"]["json"]["waiting"]]
    assert kept.count("halt") == 6
    assert kept[0] == "halt", "what is under way stays"


def test_a_receiver_that_is_not_told_any_more_is_let_go_and_counted(opened):
    opened("slack", "json").put([notice("a"), notice("b")], {})
    again = opened("json")
    assert again.gone == {"slack": 2}
    again.put([], {})
    assert opened("json", "slack").standing()["slack"]["waiting"] == 0


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": "NOTICES@0"}'])
def test_a_damaged_file_is_told(opened, path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"NOTICES@1|Expecting"):
        opened()
