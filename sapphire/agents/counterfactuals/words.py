"""Words of news: opposites that turn a headline round, names of coins, and years.

All of it works on whole words and keeps their case. The lists are short and say what they are: a headline that has none
of these words cannot be turned, and is counted so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

__all__ = ["COIN_NAMES", "OPPOSITES", "flipped_text", "moved_years", "renamed_text"]

OPPOSITES: Final[tuple[tuple[str, str], ...]] = (
    ("surge", "plunge"),
    ("surges", "plunges"),
    ("surged", "plunged"),
    ("surging", "plunging"),
    ("rise", "fall"),
    ("rises", "falls"),
    ("rose", "fell"),
    ("rising", "falling"),
    ("gain", "loss"),
    ("gains", "losses"),
    ("rally", "slump"),
    ("rallies", "slumps"),
    ("rallied", "slumped"),
    ("soar", "tumble"),
    ("soars", "tumbles"),
    ("soared", "tumbled"),
    ("soaring", "tumbling"),
    ("jump", "drop"),
    ("jumps", "drops"),
    ("jumped", "dropped"),
    ("boom", "crash"),
    ("booms", "crashes"),
    ("boomed", "crashed"),
    ("climb", "slide"),
    ("climbs", "slides"),
    ("climbed", "slid"),
    ("recovers", "collapses"),
    ("recovered", "collapsed"),
    ("recovery", "collapse"),
    ("increase", "decrease"),
    ("increases", "decreases"),
    ("increased", "decreased"),
    ("up", "down"),
    ("higher", "lower"),
    ("high", "low"),
    ("highs", "lows"),
    ("strong", "weak"),
    ("stronger", "weaker"),
    ("strength", "weakness"),
    ("approve", "reject"),
    ("approves", "rejects"),
    ("approved", "rejected"),
    ("approval", "rejection"),
    ("upgrade", "downgrade"),
    ("upgrades", "downgrades"),
    ("upgraded", "downgraded"),
    ("listing", "delisting"),
    ("listed", "delisted"),
    ("inflow", "outflow"),
    ("inflows", "outflows"),
    ("buy", "sell"),
    ("buys", "sells"),
    ("buying", "selling"),
    ("bought", "sold"),
    ("beat", "miss"),
    ("beats", "misses"),
    ("wins", "loses"),
    ("adopts", "bans"),
    ("adopted", "banned"),
    ("bull", "bear"),
    ("bulls", "bears"),
    ("bullish", "bearish"),
    ("optimism", "pessimism"),
    ("optimistic", "pessimistic"),
    ("positive", "negative"),
    ("good", "bad"),
    ("better", "worse"),
    ("best", "worst"),
    ("profit", "deficit"),
    ("profits", "deficits"),
)
"""Pairs of words, each of which stands in one pair alone, so that turning twice gives what it was."""

COIN_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "ADA": ("Cardano",),
    "AVAX": ("Avalanche",),
    "BNB": ("Binance Coin",),
    "BTC": ("Bitcoin",),
    "DOGE": ("Dogecoin",),
    "DOT": ("Polkadot",),
    "ETH": ("Ethereum", "Ether"),
    "LINK": ("Chainlink",),
    "LTC": ("Litecoin",),
    "SOL": ("Solana",),
    "TRX": ("Tron",),
    "XRP": ("Ripple",),
}
"""What news call coins beside their tickers; of another coin the ticker alone is known."""

_OPPOSITE: Final = {one: other for pair in OPPOSITES for one, other in (pair, pair[::-1])}
_WHOLE = r"(?<![A-Za-z0-9])(?:{})(?![A-Za-z0-9])"
_TURNED = re.compile(_WHOLE.format("|".join(sorted(_OPPOSITE, key=len, reverse=True))), re.IGNORECASE)
_YEAR = re.compile(r"(?<![\w.,$€£])20[0-4][0-9](?![\w%]|[.,]\d)")


def flipped_text(text: str) -> str:
    """A text with each word of `OPPOSITES` replaced by the other of its pair.

    Examples
    --------
    >>> flipped_text("Coin SURGES to a new high; analysts expect losses")
    'Coin PLUNGES to a new low; analysts expect gains'
    >>> flipped_text("Foundation publishes its report")
    'Foundation publishes its report'
    """
    return _TURNED.sub(lambda found: _cased(_OPPOSITE[found[0].lower()], found[0]), text)


def renamed_text(text: str, names: Mapping[str, str]) -> str:
    """A text with other coins in it: tickers alone, in pairs and joined with a quote, and the names of coins.

    Parameters
    ----------
    names : ticker to ticker, {"BTC": "COIN1"}. A coin without a name of its own is called by its ticker.

    Examples
    --------
    >>> renamed_text("Bitcoin and $ETH rise; BTC/USDT and BTCUSDT as well", {"BTC": "COIN1", "ETH": "COIN2"})
    'COIN1 and $COIN2 rise; COIN1/USDT and COIN1USDT as well'
    >>> renamed_text("Bitcoin leads ether", {"BTC": "ETH", "ETH": "BTC"})
    'Ethereum leads Bitcoin'
    """
    if not names:
        return text
    known = {name.lower(): COIN_NAMES.get(new, (new,))[0] for old, new in names.items() for name in _names(old)}
    tickers = "|".join(map(re.escape, _longest_first(names)))
    words = "|".join(map(re.escape, _longest_first(known))) or "(?!)"
    pattern = re.compile(
        rf"(?<![A-Za-z0-9])(?:(?P<ticker>{tickers})(?=USDT|USDC|USD|(?![A-Za-z0-9]))|(?P<name>(?i:{words}))(?![A-Za-z0-9]))"
    )
    return pattern.sub(lambda found: names[found["ticker"]] if found["ticker"] else known[found["name"].lower()], text)


def moved_years(text: str, years: int) -> str:
    """A text whose years, 2000 to 2049 as words of their own, are later by so many.

    Examples
    --------
    >>> moved_years("Since March 2024, 2025 coins at $2024 and 2,024.50", -3)
    'Since March 2021, 2022 coins at $2024 and 2,024.50'
    """
    return _YEAR.sub(lambda found: str(int(found[0]) + years), text)


def _names(ticker: str) -> tuple[str, ...]:
    return COIN_NAMES.get(ticker, ())


def _longest_first(words: Iterable[str]) -> list[str]:
    return sorted(words, key=lambda word: (-len(word), word))


def _cased(word: str, like: str) -> str:
    if like.isupper() and len(like) > 1:
        return word.upper()
    return word.capitalize() if like[:1].isupper() else word
