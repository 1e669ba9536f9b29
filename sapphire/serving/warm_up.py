"""The warm-up of a server of language models: each model and adapter has answered once before anybody trades on it.

The first answer of each compiles a grammar and loads an adapter into its slot. A server is ready when all of them have
come, and is not where they do not come in time. That it lives is another question, which no warm-up decides.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from sapphire.domain.errors import NotReady
from sapphire.telemetry.http_client import HttpClient

__all__ = ["WITHIN_S", "is_healthy", "warm_up"]

WITHIN_S: Final = 120.0
"""How long a warm-up may take, all models together."""

_PAUSE_S = 0.5
_HEALTH_S = 2.0
"""Less than what a cluster's probe waits for."""
_CHOICES = ("yes", "no")
_log = logging.getLogger(__name__)


def warm_up(
    url: str,
    names: Sequence[str],
    *,
    within_s: float = WITHIN_S,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Ask each model for one constrained token, again until it answers.

    Parameters
    ----------
    url : of the server, "http://HOST:PORT".
    names : what it serves.
    within_s : for all of them.
    clock, wait : seconds that only go up, and how they are passed.

    Raises
    ------
    NotReady : one has not answered in time; says what came instead.
    """
    until = clock() + within_s
    for name in names:
        begun = clock()
        while (got := _ask(url, name, max(0.1, until - clock()))) is not None:
            if clock() + _PAUSE_S >= until:
                raise NotReady(
                    f"{name} has not answered its warm-up",
                    expected=f"an answer within {within_s:g} s, all models together",
                    got=got,
                    next="see the server's log; the next question for readiness begins another warm-up",
                )
            wait(_PAUSE_S)
        _log.info("%s is warm after %.1f s", name, clock() - begun)


def is_healthy(url: str) -> bool:
    """Whether the server's engine lives, by its own word, within 2 s."""
    client = HttpClient(url, "vLLM", within_s=_HEALTH_S)
    try:
        return client.get("/health").is_ok
    except NotReady:
        return False
    finally:
        client.close()


def _ask(url: str, name: str, within_s: float) -> str | None:
    """Nothing where it answers; otherwise what came."""
    body = {
        "model": name,
        "prompt": "Is this a test? Answer yes or no.",
        "max_tokens": 1,
        "temperature": 0.0,
        "seed": 0,
        "structured_outputs": {"choice": list(_CHOICES)},
    }
    client = HttpClient(url, "vLLM", within_s=within_s)
    try:
        answer = client.post("/v1/completions", body, repeats=True)
    except NotReady as error:
        return error.got
    finally:
        client.close()
    if not answer.is_ok:
        return f"{answer.status}: {answer.body[:300].decode('utf-8', 'replace')}"
    choices = answer.facts().get("choices") or [{}]
    text = str(choices[0].get("text") or "")
    return None if text and any(each.startswith(text) for each in _CHOICES) else f"the text {text!r}"
