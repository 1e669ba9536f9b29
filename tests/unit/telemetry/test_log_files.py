"""Log files are bounded, lose no line that a writer finished, and read back whoever wrote them."""

import json
import threading
import time

from sapphire.telemetry.log_files import LogLine, before, follow, latest, plain, rotate

OURS = b'{"time": "2026-11-30T11:05:36.123Z", "level": "INFO", "part": "x", "message": "ends"}\n'


def test_a_log_that_is_too_long_becomes_the_one_before_it(tmp_path):
    log = tmp_path / "bus.log"
    assert not rotate(log, max_bytes=10)
    with log.open("ab", buffering=0) as writer:  # as a part has its stderr
        writer.write(b"0123456789")
        assert not rotate(log, max_bytes=10)
        writer.write(b"A\n")
        assert rotate(log, max_bytes=10)
        writer.write(b"B\n")
        assert (log.read_bytes(), before(log).read_bytes()) == (b"B\n", b"0123456789A\n")
        writer.write(b"C" * 20)
        assert rotate(log, max_bytes=10)
    assert (log.read_bytes(), before(log).read_bytes()) == (b"", b"B\n" + b"C" * 20)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bus.log", "bus.log.1"]


def test_the_latest_lines_reach_over_a_rotation(tmp_path):
    log = tmp_path / "bus.log"
    before(log).write_bytes(b"one\ntwo\n")
    log.write_bytes(OURS + b"half a li")
    lines, position = latest(log, 2)
    assert [line.plain for line in lines] == ["two", "2026-11-30T11:05:36.123Z INFO ends"]
    assert position == len(OURS)


def test_lines_are_followed_over_rotations_until_it_is_over(tmp_path):
    log, over = tmp_path / "x.log", threading.Event()
    log.write_bytes(b"old\n")
    found = []
    reader = threading.Thread(
        target=lambda: found.extend(line.text for line in follow(log, 4, is_over=over.is_set)), daemon=True
    )
    reader.start()

    def seen(text):
        until = time.monotonic() + 5
        while text not in found and time.monotonic() < until:
            time.sleep(0.02)
        return text in found

    with log.open("ab", buffering=0) as writer:
        writer.write(b"a long line in ha")
        writer.write(b"lves\n")
        assert seen("a long line in halves")
        rotate(log, max_bytes=1)
        writer.write(b"new\n")
        assert seen("new")
    over.set()
    reader.join(5)
    assert found == ["a long line in halves", "new"]


def test_a_line_of_another_program_is_shown_and_told_as_it_is():
    theirs = LogLine.read(b"1:M 30 Nov 2026 * Ready to accept connections\n")
    assert theirs.plain == "1:M 30 Nov 2026 * Ready to accept connections"
    assert theirs.as_dict("bus") == {"time": None, "level": None, "part": "bus", "message": theirs.text}
    assert LogLine.read(OURS).as_dict("x") == json.loads(OURS)
    assert LogLine.read(b'{"torn": ').facts is None
    assert plain(OURS + b"plain\n") == "2026-11-30T11:05:36.123Z INFO ends\nplain"


def test_lines_between_the_last_look_and_a_rotation_are_followed_too(tmp_path, monkeypatch):
    """The log is longer again than it was read before anybody looks, so that its length alone tells nothing."""
    log, looks = tmp_path / "a.log", []
    log.write_text("one\n")

    def looked(_):
        looks.append(1)
        if len(looks) == 1:
            with log.open("a") as file:
                file.write("two\nthree\n")
            assert rotate(log, max_bytes=1)
            log.write_text("four, and longer than all that stood there before\n")

    monkeypatch.setattr("sapphire.telemetry.log_files.time.sleep", looked)
    found = [line.text for line in follow(log, 0, is_over=lambda: len(looks) > 2)]
    assert found == ["one", "two", "three", "four, and longer than all that stood there before"]
