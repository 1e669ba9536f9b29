"""Whether symbols can be traded together on a market: asked before anything is measured, signed or started.

What the exchange trades is spot, against one quote asset. On candles any pair has rules; the generated market has its
own listings.
"""

from __future__ import annotations

from collections.abc import Sequence

from sapphire.data.generated import listed_instrument
from sapphire.data.series import kind_of, pair_of
from sapphire.domain.errors import Refused, UnknownInstrument
from sapphire.domain.instruments import InstrumentKind

__all__ = ["require_tradable"]


def require_tradable(symbols: Sequence[str], *, generated: bool, who: str, next: str) -> None:
    """Refuse symbols that cannot be traded together on the market that is meant.

    Parameters
    ----------
    generated : on the generated market; else on recorded candles of these symbols.
    who : what trades them, for messages.
    next : what to do where the generated market does not list one.

    Raises
    ------
    Refused : a perpetual, several quote assets, or a symbol that the generated market does not list.
    """
    perpetuals = [symbol for symbol in symbols if kind_of(symbol) is not InstrumentKind.SPOT]
    if perpetuals:
        raise Refused(
            f"{who} cannot be traded",
            expected="spot pairs: the exchange has no margin and no funding",
            got=", ".join(perpetuals),
            next="study the spot candles of the same pairs",
        )
    quotes = dict.fromkeys(pair_of(symbol)[1] for symbol in symbols)
    if len(quotes) > 1:
        raise Refused(
            f"{who} cannot be traded by one account",
            expected="one quote asset for all symbols",
            got=", ".join(symbols),
            next=f"study those of each quote asset by themselves: {', '.join(quotes)}",
        )
    if not generated:
        return
    try:
        for symbol in symbols:
            listed_instrument(symbol)
    except UnknownInstrument as error:
        raise Refused(
            f"{who} trades {', '.join(symbols)}, and the generated market does not list {error.got}",
            expected=error.expected,
            got=error.got,
            next=next,
        ) from None
