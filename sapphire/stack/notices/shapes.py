"""Shapes: a notice as each service takes it: its escapes, its longest message, how many it takes in what time.

Slack shows the first 4,000 characters or so and takes one message a second (docs.slack.dev: "Formatting message text",
"Rate limits"). Discord refuses beyond 2,000 characters and takes five in two seconds and thirty in a minute for each
webhook. Telegram refuses beyond 4,096 UTF-16 units and takes one message a second in a chat, twenty a minute in a group
(core.telegram.org/bots/faq). Generic JSON has no limits of its own; ten a second is ours.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sapphire.stack.notices.notice import Notice

__all__ = ["SERVICES", "Service", "body_of", "text_of"]

_TITLE, _LINE = 150, 400
"""Characters of a title, and of a line; what is longer is cut. Escaped, title and last lines fit in any message."""
_DISCORD = re.compile(r"[\\*_~`|<>\[\]#]|^[-+](?= )")
_SUPPRESS_EMBEDS = 4


@dataclass(frozen=True, slots=True)
class Service:
    """What a service takes.

    Parameters
    ----------
    longest : UTF-16 units of a message, escapes counted.
    rates : so many messages in so many seconds, each of them kept.
    escape : makes a line show as it stands.
    body : of a text and a chat, the request's JSON.
    """

    longest: int
    rates: Sequence[tuple[int, float]]
    escape: Callable[[str], str]
    body: Callable[[str, str], dict[str, Any]]


def _slack(text: str, chat: str) -> dict[str, Any]:
    # Without mrkdwn no * or _ of a reason is taken for a format.
    return {"text": text, "mrkdwn": False, "unfurl_links": False, "unfurl_media": False}


def _discord(text: str, chat: str) -> dict[str, Any]:
    return {"content": text, "allowed_mentions": {"parse": []}, "flags": _SUPPRESS_EMBEDS}


def _telegram(text: str, chat: str) -> dict[str, Any]:
    more = {"parse_mode": "HTML", "link_preview_options": {"is_disabled": True}}
    return {"chat_id": chat, "text": text, **more}


def _entities(line: str) -> str:
    """`&`, `<` and `>` as entities, as Slack and Telegram's HTML want them."""
    return html.escape(line, quote=False)


def _backslashes(line: str) -> str:
    return _DISCORD.sub(r"\\\g<0>", line)


SERVICES: Final[Mapping[str, Service]] = {
    "json": Service(1 << 20, ((10, 1.0),), str, lambda text, chat: {"text": text}),
    "slack": Service(3_900, ((1, 1.0),), _entities, _slack),
    "discord": Service(2_000, ((5, 2.0), (30, 60.0)), _backslashes, _discord),
    "telegram": Service(4_096, ((1, 1.0), (20, 60.0)), _entities, _telegram),
}
"""By shape. Rates are those of one webhook, or of one chat."""


def body_of(notice: Notice, shape: str, *, chat: str = "", untold: Mapping[str, int] | None = None) -> dict[str, Any]:
    """A notice as the JSON that a service takes.

    Parameters
    ----------
    chat : of Telegram.
    untold : how many notices of each kind did not arrive before this one.
    """
    text = text_of(notice, shape, untold=untold or {})
    body = SERVICES[shape].body(text, chat)
    if shape != "json":
        return body
    return {"format": "NOTICE@1", **notice.as_dict(), **body, "undelivered_before": dict(untold or {})}


def text_of(notice: Notice, shape: str, *, untold: Mapping[str, int]) -> str:
    """A notice as one text, escaped and no longer than the service takes; lines that have no room are counted."""
    service = SERVICES[shape]
    last = [notice.last_line]
    if untold:
        last.append("not delivered before this: " + ", ".join(f"{count:,} {kind}" for kind, count in untold.items()))
    top = service.escape(_plain(notice.title, _TITLE))
    end = [service.escape(_plain(line, _LINE)) for line in last]
    room = service.longest - _size("\n".join([top, *end]))
    return "\n".join([top, *_fitting([service.escape(_plain(line, _LINE)) for line in notice.lines], room), *end])


def _fitting(lines: Sequence[str], room: int) -> Iterator[str]:
    """As many lines as there is room for, and how many are left out."""
    sizes = [_size(line) + 1 for line in lines]
    if sum(sizes) <= room:
        yield from lines
        return
    room -= len(f"… and {len(lines):,} more lines") + 1
    shown = 0
    for line, size in zip(lines, sizes, strict=True):
        room -= size
        if room < 0:
            break
        shown += 1
        yield line
    yield f"… and {len(lines) - shown:,} more lines"


def _plain(text: str, longest: int) -> str:
    """One line that can be shown: nothing that steers a terminal or turns the writing round."""
    line = "".join(each if each.isprintable() else " " for each in text)
    return line if len(line) <= longest else line[: longest - 1] + "…"


def _size(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
