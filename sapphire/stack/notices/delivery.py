"""Delivery: one request to a receiver, and what came of it.

It takes no longer than `within_s` whatever the receiver does, follows no redirect, and repeats no address.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import cache
from typing import Any

import httpx

from sapphire.stack.notices.receivers import Receiver

__all__ = ["Came", "Outcome", "deliver"]

_OVERLOADED = frozenset({408, 425, 429, 500, 503})
_LOST_ON_THE_WAY = frozenset({502, 504})
"""What a gateway says that has no answer: the message may have arrived."""
_READ = 4_096
_SHOWN = 120
_LONGEST_PAUSE_S = 3_600.0
_WORD = re.compile(r"[A-Za-z0-9_-]{9,}")
"""What may be a token, in the path of an address."""

logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs each request with its address


class Came(StrEnum):
    """What came of a request."""

    DELIVERED = "delivered"
    AGAIN = "again"
    """It was not taken, and may be later."""
    REFUSED = "refused"
    """It was not taken, and will not be."""
    UNKNOWN = "unknown"
    """It was sent and no answer came: it may have arrived."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a request, in words that hold no address.

    Parameters
    ----------
    pause_s : how long the receiver wants to be left alone; None where it did not say.
    """

    came: Came
    what: str
    pause_s: float | None = None


def deliver(receiver: Receiver, body: Mapping[str, Any], *, within_s: float = 15.0) -> Outcome:
    """Send a body to a receiver, once."""
    return asyncio.run(_deliver(receiver, body, within_s))


async def _deliver(receiver: Receiver, body: Mapping[str, Any], within_s: float) -> Outcome:
    try:
        async with asyncio.timeout(within_s), _client(within_s) as client:
            request = client.build_request("POST", receiver.address, json=body)
            answer = await client.send(request, stream=True)
            content = b""
            async for chunk in answer.aiter_bytes():
                content += chunk
                if len(content) >= _READ:
                    break
            return _judged(answer, content[:_READ], receiver)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError) as error:
        return Outcome(Came.AGAIN, f"no connection: {_words(error, receiver)}")
    except TimeoutError:
        return Outcome(Came.UNKNOWN, f"no whole answer within {within_s:g} s")
    except httpx.TransportError as error:
        return Outcome(Came.UNKNOWN, f"no answer: {_words(error, receiver)}")
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        return Outcome(Came.REFUSED, f"no request: {_words(error, receiver)}")


def _client(within_s: float) -> httpx.AsyncClient:
    # Who does not even connect in half the time has not got the message.
    return httpx.AsyncClient(timeout=httpx.Timeout(within_s, connect=within_s / 2), verify=_context())


def _judged(answer: httpx.Response, content: bytes, receiver: Receiver) -> Outcome:
    """What an answer means."""
    status, words = answer.status_code, _hidden(content.decode(errors="replace"), receiver).strip()
    what = f"{status} {answer.reason_phrase}".strip() + (f": {words[:_SHOWN]}" if words else "")
    if answer.is_success:
        return Outcome(Came.DELIVERED, what)
    if status in _OVERLOADED:
        return Outcome(Came.AGAIN, what, _pause_s(answer.headers.get("retry-after"), content))
    return Outcome(Came.UNKNOWN if status in _LOST_ON_THE_WAY else Came.REFUSED, what)


def _pause_s(header: str | None, content: bytes) -> float | None:
    """How long to wait, as a header says it, or the body of Discord's or Telegram's answer."""
    found: list[float] = []
    for read in (float, _until_s):
        with contextlib.suppress(ValueError, OverflowError):
            found.append(read(header or ""))
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
        facts = json.loads(content)
        found.append(float({**facts, **facts.get("parameters", {})}["retry_after"]))
    sound = [pause for pause in found if 0 <= pause < float("inf")]
    return min(max(sound), _LONGEST_PAUSE_S) if sound else None


def _until_s(date: str) -> float:
    """Seconds until an HTTP date."""
    return parsedate_to_datetime(date).timestamp() - time.time()


def _words(error: Exception, receiver: Receiver) -> str:
    return _hidden(str(error), receiver)[:_SHOWN] or type(error).__name__


def _hidden(text: str, receiver: Receiver) -> str:
    """The text without the address, its path or its token, which a receiver or a library may repeat."""
    url = httpx.URL(receiver.address)
    path = url.raw_path.decode("ascii", "replace")
    secrets = {receiver.address, str(url), path, *_WORD.findall(path)} - {"", "/", "sendMessage"}
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "(not shown)")
    return text


@cache
def _context() -> ssl.SSLContext:
    return httpx.create_ssl_context()
