"""Log lines of a part, on stderr: one JSON object each, with stable keys.

::

    {"time": "2026-11-30T11:05:36.123Z", "level": "INFO", "part": "coordinator", "message": "...",
     "trace_id": "bar:embedded:paper:1709294700000", "account": "paper", ...}

`trace_id` is there while something with a trace is worked on (`traced`), what the part is (its account, its release)
where it said so, and `error` where a traceback belongs to the line. Nothing else goes to stderr: an exception that
nobody caught is a line too. Who keeps the part rotates its file.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO

__all__ = ["log_to_stderr", "traced"]

ROOT = "sapphire"
_TRACE: ContextVar[str | None] = ContextVar("trace_id", default=None)


@contextmanager
def traced(trace_id: str) -> Iterator[None]:
    """Log lines of this thread belong to a trace meanwhile.

    Parameters
    ----------
    trace_id : "bar:embedded:paper:1709294700000", as messages have it.
    """
    token = _TRACE.set(trace_id)
    try:
        yield
    finally:
        _TRACE.reset(token)


def log_to_stderr(
    part: str, *, identity: Mapping[str, str] | None = None, stream: TextIO | None = None
) -> logging.Logger:
    """Let everything that this process logs go to stderr, as lines of `part`: all of Sapphire, warnings of the rest.

    Parameters
    ----------
    identity : what else each line says of the part, such as {"account": "paper"}.
    stream : where to; stderr unless given.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_AsJson(part, identity or {}))
    root, logger = logging.getLogger(), logging.getLogger(ROOT)
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logger.handlers.clear()
    logger.setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = lambda caught: _uncaught(caught.exc_type, caught.exc_value, caught.exc_traceback)
    return logger


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if error is None or issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error or kind(), trace)
        return
    logging.getLogger(ROOT).critical("%s: %s", kind.__name__, error, exc_info=(kind, error, trace))


class _AsJson(logging.Formatter):
    def __init__(self, part: str, identity: Mapping[str, str]) -> None:
        super().__init__()
        self._part, self._identity = part, dict(identity)

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        entry = {"time": time, "level": record.levelname, "part": self._part, "message": record.getMessage()}
        trace_id = _TRACE.get()
        if trace_id is not None:
            entry["trace_id"] = trace_id
        entry |= self._identity
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)
