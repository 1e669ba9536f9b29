"""How an account shows itself: what passes and why, what is held, orders and fills; prices and coins for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Any

from sapphire.domain.clocks import from_ns
from sapphire.domain.display import stamp
from sapphire.stack.rules import plain
from sapphire.stack.showing import lines_of, print_table, table_of

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["account_parts", "money", "price", "show_fills", "show_orders", "show_positions", "trading_lines"]

_ATOMS = Decimal(10) ** 8
_HUNDREDTH = Decimal("0.01")
_DIGITS = 8
_NS_PER_US = 1_000
_NS_PER_S = 1_000_000_000


def trading_lines(trading: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What passes, since when, by whom and why; then what commands have closed. Times are of the market.

    Parameters
    ----------
    trading : `account.trading_of`.
    """
    command = trading["set"]
    yield "trading", trading["state"] + ("" if command is None else _word(command))
    for row in trading["closed"]:
        left = f"{row['quantity'] or row['lots']} left"
        how = {
            "flat": "closed" + ("" if row["lots"] == "0" else f", {left}: less than the venue's smallest order"),
            "selling": f"selling, {left}",
            "refused": f"selling, {left}, last order refused: {row['refused']}, tried again within a minute",
            "halted": f"halted, {left}: sapphire flatten or close goes on",
        }[row["standing"]]
        word = "" if row["set"] is None else _word(row["set"])
        yield "", f"{row['symbol']} {how}; no signal is taken{word}"
    if trading["state"] != "ACTIVE" or trading["closed"]:
        yield "", "sapphire resume REASON trades again"


def account_parts(account: Mapping[str, Any]) -> Iterator[RenderableType]:
    """The account's state, line by line, and its positions as a table.

    Parameters
    ----------
    account : `account.account_now`.
    """
    holdings, today = account["positions"], account["fills_today"]
    quote = holdings["quote"]
    lines = list(trading_lines(account["trading"]))
    if account.get("untraded"):
        lines.append(("NEVER TRADED", account["untraded"]))
    lines.append(("market", f"{_moment(account['market_ns'])}; {_bars(account)}"))
    lines.append(("equity", _worth(holdings)))
    fees = ", ".join(f"{plain(atoms)} {asset}" for asset, atoms in today["fees"].items()) or "none"
    lines.append(
        (
            "today",
            f"{_count(today['fills'], 'fill')}: bought {money(today['buy_quote_atoms'])}, "
            f"sold {money(today['sell_quote_atoms'])} {quote}; fees {fees}",
        )
    )
    lines.append(("latency", _latency(account["latency"])))
    yield lines_of(lines)
    yield _positions(holdings)
    for title, header, rows in _other_tables(holdings):
        yield table_of(title, header, rows)


def show_positions(holdings: Mapping[str, Any]) -> None:
    """What passes, cash, equity and holdings.

    Parameters
    ----------
    holdings : `account.positions_now`.
    """
    from sapphire.stack.showing import show

    tables = [table_of(title, header, rows) for title, header, rows in _other_tables(holdings)]
    lines = [*trading_lines(holdings["trading"]), ("equity", _worth(holdings))]
    show([lines_of(lines), _positions(holdings), *tables])


def show_orders(rows: Sequence[Mapping[str, Any]]) -> None:
    """Orders, oldest first, with why one was refused."""
    lines: list[tuple[str, ...]] = [
        (
            row["order"],
            _short(row["made_ns"]),
            row["symbol"],
            row["side"],
            row.get("quantity") or row["lots"],
            row.get("price") or row["ticks"],
            row.get("filled_quantity") or row["filled_lots"],
            row["state"],
            row.get("denial") or row["denied"] or "",
        )
        for row in rows
    ]
    header: tuple[str, ...] = ("order", "made, UTC", "symbol", "side", "quantity", "limit", "filled", "state", "why")
    if not any(line[-1] for line in lines):
        header, lines = header[:-1], [line[:-1] for line in lines]
    print_table(f"{_count(len(lines), 'order')}, market time", header, lines)


def show_fills(rows: Sequence[Mapping[str, Any]]) -> None:
    """Fills, oldest first."""
    lines = [
        (
            row["order"],
            _short(row["market_ns"]),
            row["symbol"],
            row["side"],
            row.get("quantity") or row["lots"],
            row.get("price") or row["ticks"],
            money(row["quote_atoms"]),
            f"{plain(row['fee_atoms'])} {row['fee_asset']}",
        )
        for row in rows
    ]
    header = ("order", "at, UTC", "symbol", "side", "quantity", "price", "value", "fee")
    print_table(f"{_count(len(lines), 'fill')}, market time", header, lines)


def money(atoms: str | int | None) -> str:
    """An amount of the quote asset as it is read at a glance: hundredths from one unit on, else all that there is.

    Examples
    --------
    >>> money("123456789012"), money(-5_000_000), money(None), money(0)
    ('1,234.57', '-0.05', 'not known', '0')
    """
    if atoms is None:
        return "not known"
    value = int(atoms)
    if abs(value) < _ATOMS:
        return plain(value)
    # Said here, because libraries change how decimals of the whole process are rounded.
    return f"{(Decimal(value) / _ATOMS).quantize(_HUNDREDTH, ROUND_HALF_EVEN):,}"


def price(atoms: str | int | None) -> str:
    """A price with eight digits that count.

    Examples
    --------
    >>> price("6425010123456"), price(2_345), price(None)
    ('64,250.101', '0.00002345', '')
    """
    if atoms is None:
        return ""
    value = Decimal(int(atoms)) / _ATOMS
    places = max(0, min(_DIGITS, _DIGITS - 1 - value.adjusted())) if value else 0
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _positions(holdings: Mapping[str, Any]) -> RenderableType:
    rows = [
        (
            row["symbol"],
            row["quantity"] or plain(row["atoms"]),
            row["lots"],
            "" if row["in_flight_lots"] == "0" else row["in_flight_quantity"] or row["in_flight_lots"],
            price(row["price_atoms"]),
            price(row["average_price_atoms"]),
            money(row["value_atoms"]),
            money(row["unrealised_atoms"]),
            money(row["realised_atoms"]),
        )
        for row in holdings["positions"]
    ]
    header = ("symbol", "held", "lots", "on its way", "price", "paid", "value", "unrealised", "realised")
    return table_of(f"account {holdings['account']}, in {holdings['quote']}", header, rows)


def _other_tables(holdings: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...], list[tuple[str, ...]]]]:
    """What is in no equity, and what went in fees."""
    if holdings.get("others"):
        yield (
            "also held, in no equity",
            ("asset", "held"),
            [(at["asset"], plain(at["atoms"])) for at in holdings["others"]],
        )
    if holdings.get("fees"):
        fees: list[tuple[str, ...]] = [
            (fee["asset"], plain(fee["atoms"]), money(fee["quote_atoms"]) if fee["quote_atoms"] else "no price known")
            for fee in holdings["fees"]
        ]
        yield "fees paid", ("asset", "paid", f"value, {holdings['quote']}"), fees


def _worth(holdings: Mapping[str, Any]) -> str:
    quote, equity = holdings["quote"], holdings["equity_quote_atoms"]
    known = f"{money(equity)} {quote}" if equity is not None else "not known: a price is missing, or it is too large"
    gains = (
        f"realised {money(holdings['realised_quote_atoms'])}, unrealised {money(holdings['unrealised_quote_atoms'])}"
    )
    return f"{known}; cash {money(holdings['cash_quote_atoms'])}; {gains}"


def _word(command: Mapping[str, Any]) -> str:
    why = f": {command['why']}" if command["why"] else ""
    return f", {command['word']} since {_moment(command['market_ns'])} by {command['by']}{why}"


def _bars(account: Mapping[str, Any]) -> str:
    close_ns, decided = account["last_bar_close_ns"], account["last_decision"]
    bar = "no bar was traded yet" if close_ns is None else f"last bar {stamp(int(close_ns))}"
    if not decided:
        return f"{bar}; nothing was decided yet"
    return f"{bar}; last decision {stamp(int(decided[0]['bar_close_ns']))}"


def _latency(latency: Mapping[str, Any]) -> str:
    if latency["median_ns"] is None:
        return "no order was sent since the service started"
    high = "" if latency["p99_ns"] is None else f", 99th percentile {int(latency['p99_ns']) / _NS_PER_US:,.0f} us"
    median = f"median {int(latency['median_ns']) / _NS_PER_US:,.0f} us"
    return f"{latency['hop'].replace('_', ' ')}, n = {latency['orders']:,}: {median}{high}"


def _moment(ns: str) -> str:
    """Market time, to the second."""
    return stamp(int(ns) // _NS_PER_S * _NS_PER_S)


def _short(ns: str) -> str:
    return f"{from_ns(int(ns)):%m-%d %H:%M:%S}"


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
