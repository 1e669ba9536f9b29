"""Generated news: headlines for a generated market, which know nothing of it.

They let an agent that reads be run where there are no news. A headline is drawn by seed, symbol and hour alone, so that
the same stretch has the same headlines however it is asked for, and nothing in them says where a price went or goes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sapphire.domain.clocks import to_ns
from sapphire.domain.errors import ValueRefused

if TYPE_CHECKING:
    from sapphire.domain.clocks import Instant

__all__ = ["GENERATED_LICENCE", "GENERATED_SOURCE", "generated_news"]

GENERATED_SOURCE = "generated"
GENERATED_LICENCE = "CC0-1.0"

_HOUR_NS = 3_600_000_000_000
_MINUTE_NS = 60_000_000_000
_GOOD = (
    "{coin} network activity rises to a new high",
    "Large fund adds {coin} to its portfolio",
    "Developers ship an upgrade of {coin} ahead of schedule",
    "Exchange cuts the fees of {coin} pairs",
)
_BAD = (
    "{coin} wallet provider reports a breach",
    "Regulator opens an inquiry into {coin} products",
    "Upgrade of {coin} delayed after a fault was found",
    "Fund closes its position in {coin}",
)
_PLAIN = (
    "{coin} conference opens with talks on custody",
    "Survey asks holders of {coin} about their tools",
    "Exchange schedules maintenance of {coin} withdrawals",
)


def generated_news(
    symbols: Sequence[str], start: Instant, end: Instant, *, seed: int, every: timedelta = timedelta(hours=6)
) -> bytes:
    """Headlines of a stretch of time, as the JSON lines that `import_documents` takes.

    Parameters
    ----------
    symbols : "BTC/USDT"; three of four stretches of `every` have a headline for each.
    start, end : of when they are published.
    seed : of the draws.
    every : a whole number of hours.

    Raises
    ------
    ValueRefused : a stretch that is no whole number of hours, or a time without a zone.

    Examples
    --------
    >>> lines = generated_news(["BTC/USDT"], "2025-03-07", "2025-03-08", seed=7).splitlines()
    >>> len(lines), json.loads(lines[0])["title"]
    (3, 'Exchange schedules maintenance of BTC withdrawals')
    """
    step_ns = every // timedelta(microseconds=1) * 1_000
    if step_ns < _HOUR_NS or step_ns % _HOUR_NS:
        raise ValueRefused("how often there is news", expected="a whole number of hours", got=str(every))
    begin_ns, stop_ns = to_ns(start), to_ns(end)
    lines = []
    for slot in range(begin_ns // step_ns, -(-stop_ns // step_ns)):
        for symbol in symbols:
            item = _item(symbol, slot, step_ns, seed)
            if item is not None and begin_ns <= int(item["published_ns"]) < stop_ns:
                lines.append(json.dumps(item, sort_keys=True))
    return "".join(f"{line}\n" for line in lines).encode()


def _item(symbol: str, slot: int, step_ns: int, seed: int) -> dict[str, Any] | None:
    drawn = hashlib.sha256(f"{seed}:{symbol}:{slot}:{step_ns}".encode()).digest()
    one, two, three, four = (int.from_bytes(drawn[at : at + 8], "big") for at in (0, 8, 16, 24))
    if one % 4 == 0:
        return None
    kind = (_GOOD, _GOOD, _BAD, _BAD, _PLAIN)[two % 5]
    title = kind[three % len(kind)].format(coin=symbol.partition("/")[0])
    published_ns = slot * step_ns + four % (step_ns // _MINUTE_NS) * _MINUTE_NS
    return {
        "id": f"generated-{seed}-{symbol.replace('/', '')}-{published_ns // _MINUTE_NS}",
        "title": title,
        "symbols": [symbol],
        "published_ns": published_ns,
        "received_ns": published_ns + _MINUTE_NS,
        "language": "en",
    }
