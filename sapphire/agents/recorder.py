"""Recorder: every call of a model, kept on the disk with all that went in and all that came out.

::

    FOLDER/CREATED-WRITER.jsonl    one line of JSON for each call, written before its answer is handed over

A line has the model, the window's digest and the request (what the call is known by), the answer that the agent got,
what the model or its server wrote as it came, and tokens, seconds, cost and versions. In mode `record` a call that is
there is answered from there, and any other is made and kept; in `replay` one that is not there is an error, so that a
study, a test and an incident run without the model; in `live` the model is asked every time, and it is kept all the
same. Each writer has a file of its own, and a line that was cut off by a crash is no call.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sapphire.agents.models import call_digest, handing_in, nobody_answers, replies_of
from sapphire.data.durable import append
from sapphire.domain.canonical import canonical_json
from sapphire.domain.clocks import Clock, WallClock
from sapphire.domain.errors import EvidenceRefused, ValueRefused

if TYPE_CHECKING:
    from types import TracebackType

    from sapphire.agents.models import Backend, Question, Reply

__all__ = ["Mode", "RecordedCall", "Recorder", "recording"]

_CHUNK = 32
"""Questions between two lines on the disk: what was answered stays answered when the rest is interrupted."""
_PACE = 64
"""Latest calls that the pace of a model is measured on."""
_KEYS = {"about", "answer", "at_ns", "key", "model", "raw", "request", "window"}


Find = Callable[[str, "str | None"], "Backend | None"]


class Mode(StrEnum):
    """What a recorder does about a call."""

    LIVE = "live"
    RECORD = "record"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """One call.

    Parameters
    ----------
    model : its name with the digest of its weights.
    window : digest of the window that it was about; empty where the request says all.
    request, answer : plain values.
    raw : what the model or its server wrote.
    at_ns : when it was answered, UTC nanoseconds.
    about : seconds, tokens, cost_usd, versions and whatever else its backend said.
    """

    model: str
    window: str
    request: Mapping[str, Any] = field(hash=False)
    answer: Any = field(hash=False)
    raw: str = ""
    at_ns: int = 0
    about: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def digest(self) -> str:
        """What it is found by."""
        return call_digest(self.model, self.window, self.request)

    @property
    def line(self) -> bytes:
        """Its line of a file."""
        whole = {
            "about": self.about,
            "answer": self.answer,
            "at_ns": str(self.at_ns),
            "key": self.digest,
            "model": self.model,
            "raw": self.raw,
            "request": self.request,
            "window": self.window,
        }
        return canonical_json(whole) + b"\n"

    @classmethod
    def of(cls, line: bytes) -> Self:
        """The call of a line.

        Raises
        ------
        EvidenceRefused : none, or one that was changed after it was written.
        """
        try:
            value = json.loads(line)
            if set(value) != _KEYS:
                raise ValueRefused("keys of a recorded call", expected=", ".join(sorted(_KEYS)), got=", ".join(value))
            call = cls(**{key: value[key] for key in _KEYS - {"key", "at_ns"}}, at_ns=int(value["at_ns"]))
            if call.digest != value["key"]:
                raise ValueRefused("key of a recorded call", expected=call.digest, got=str(value["key"]))
        except (ValueError, TypeError, ValueRefused) as error:
            raise EvidenceRefused(
                "a recorded call that cannot be read",
                expected="one as it was written, known by the digest of all that went in",
                got=str(error)[:300],
                next="take the recording again from where it was made",
            ) from None
        return call


class Recorder:
    """Answers agents' questions from recorded calls, and from models where its mode lets it.

    Parameters
    ----------
    folder : of the recordings; made when the first call is kept.
    backends : one for each model that may be asked.
    find : gives a backend for the name of a model that none of them is, and the name of its base where it is an
        adapter; None where it knows none either. It is asked when the first call has to be made.
    mode : see `Mode`.
    clock : of the times in the recordings.
    progress : is given how many of how many new calls are made, after each chunk.

    Raises
    ------
    EvidenceRefused : a recording that cannot be read.
    """

    def __init__(
        self,
        folder: Path,
        *backends: Backend,
        find: Find | None = None,
        mode: Mode | str = Mode.RECORD,
        clock: Clock | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.folder, self.mode = folder, Mode(mode)
        self._backends = {str(backend.model): backend for backend in backends}
        self._find = find
        self._clock = clock or WallClock()
        self._progress = progress
        self.on_call: Callable[[RecordedCall], None] | None = None
        """Is given every call that a model answered, after it is kept."""
        self._calls: dict[str, bytes] = {}
        self._read: dict[Path, int] = defaultdict(int)
        self._own: tuple[int, Path] | None = None
        self._look()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[RecordedCall]:
        """Every call that is kept by now, whoever kept it."""
        self._look()
        return map(RecordedCall.of, self._calls.values())

    def ask(self, model: str, questions: Sequence[Question]) -> list[Any]:
        """The answers to questions, in their order; see `Asking`.

        Raises
        ------
        AgentError : a call that is not recorded in mode `replay`, no backend for its model, or a model that fails.
        EvidenceRefused : a recording that cannot be read.
        PlaceFull : no room for what was answered.
        """
        keys = [call_digest(model, *question) for question in questions]
        new = self._unknown(keys, questions)
        made: dict[str, Any] = {}
        if new:
            made = self._asked(model, new)
        return [made[key] if key in made else RecordedCall.of(self._calls[key]).answer for key in keys]

    def known(self, model: str, questions: Sequence[Question]) -> int:
        """How many of these questions would be answered without a model."""
        if self.mode is Mode.LIVE:
            return 0
        keys = [call_digest(model, *question) for question in questions]
        return len(keys) - len(self._unknown(keys, questions))

    def pace(self, model: str) -> tuple[float, float] | None:
        """Seconds and USD of a call of a model, the mean of the latest that are recorded; None where there are none."""
        found: list[tuple[float, float]] = []
        for line in reversed(self._calls.values()):
            if model.encode() in line:
                about = RecordedCall.of(line).about
                found.append((float(about.get("seconds", 0.0)), float(about.get("cost_usd", 0.0))))
            if len(found) == _PACE:
                break
        seconds, usd = zip(*found, strict=True) if found else ((), ())
        return (sum(seconds) / len(found), sum(usd) / len(found)) if found else None

    def close(self) -> None:
        """Close its file; what it recorded stays."""
        if self._own is not None:
            os.close(self._own[0])
            self._own = None

    def _unknown(self, keys: Sequence[str], questions: Sequence[Question]) -> dict[str, Question]:
        """What has to be asked, each question once."""
        if self.mode is Mode.LIVE:
            return dict(zip(keys, questions, strict=True))
        if any(key not in self._calls for key in keys):
            self._look()
        return {key: question for key, question in zip(keys, questions, strict=True) if key not in self._calls}

    def _asked(self, model: str, new: Mapping[str, Question]) -> dict[str, Any]:
        backend = None if self.mode is Mode.REPLAY else self._backend(model, next(iter(new.values()))[1])
        if backend is None:
            which = next(iter(new))[:12]
            why = "this is a replay" if self.mode is Mode.REPLAY else "no backend has the model"
            raise nobody_answers(
                model, f"{len(new):,} of the calls, {which} first, are not in {self.folder.name}, and {why}"
            )
        made: dict[str, Any] = {}
        items = list(new.items())
        for first in range(0, len(items), _CHUNK):
            chunk = items[first : first + _CHUNK]
            began = time.perf_counter()
            replies = replies_of(backend, [request for _, (_, request) in chunk])
            seconds = (time.perf_counter() - began) / len(chunk)
            for (key, (window, request)), reply in zip(chunk, replies, strict=True):
                call = self._call(model, window, request, reply, seconds)
                self._keep(key, call)
                made[key] = json.loads(canonical_json(reply.answer))
                if self.on_call is not None:
                    self.on_call(call)
            if self._progress is not None:
                self._progress(len(made), len(items))
        return made

    def _backend(self, model: str, request: Mapping[str, Any]) -> Backend | None:
        if model not in self._backends and self._find is not None:
            found = self._find(model, request.get("base"))
            if found is not None:
                self._backends[model] = found
        return self._backends.get(model)

    def _call(self, model: str, window: str, request: Mapping[str, Any], reply: Reply, seconds: float) -> RecordedCall:
        about = {"seconds": round(seconds, 6), **reply.about}
        return RecordedCall(model, window, request, reply.answer, reply.raw, self._clock.now_ns(), about)

    def _keep(self, key: str, call: RecordedCall) -> None:
        if self._own is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / f"{self._clock.now_ns():020d}-{uuid.uuid4().hex[:8]}.jsonl"
            self._own = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644), path
        descriptor, path = self._own
        line = call.line
        append(descriptor, line, path, synced=False)
        self._read[path] += len(line)
        self._calls.setdefault(key, line)

    def _look(self) -> None:
        """Take in what was written since the last look, by others too."""
        for path in sorted(self.folder.glob("*.jsonl")) if self.folder.is_dir() else ():
            size = path.stat().st_size
            if size <= self._read[path]:
                continue
            with path.open("rb") as file:
                file.seek(self._read[path])
                data = file.read(size - self._read[path])
            whole = data.rfind(b"\n") + 1
            for line in data[:whole].splitlines():
                self._calls.setdefault(_key_of(line, path), line)
            self._read[path] += whole


@contextmanager
def recording(
    folder: Path, *backends: Backend, mode: Mode | str = Mode.RECORD, clock: Clock | None = None
) -> Iterator[Recorder]:
    """Answer everything that agents ask inside from the recordings of a folder; see `Recorder`."""
    with Recorder(folder, *backends, mode=mode, clock=clock) as recorder, handing_in(recorder):
        yield recorder


def _key_of(line: bytes, path: Path) -> str:
    try:
        key = json.loads(line)["key"]
    except (ValueError, KeyError, TypeError):
        key = None
    if not isinstance(key, str):
        raise EvidenceRefused(
            f"a line of {path.name} is no recorded call",
            expected="one line of JSON for each call",
            got=repr(line[:80]),
            next="take the recording again from where it was made",
        )
    return key
