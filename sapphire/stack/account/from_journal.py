"""The account of a run that nobody ended in order, as its journal has it: what was held, and what stopped its trading.

What the journal does not say in its rows, and the engine alone would know (average prices, gains, orders under way), is
not known here either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sapphire.domain.errors import MissingData
from sapphire.execution.journal import journal_rows
from sapphire.stack.folders import RunFolder

__all__ = ["JournalAccount", "journal_account"]

_P99 = 99.0


class JournalAccount:
    """The rows of a journal's export, folded up to the last.

    Parameters
    ----------
    rows : as `sapphire.execution.journal.journal_rows` gives them; of several runs the last counts.

    Raises
    ------
    MissingData : no run.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self.market_ns = 0
        self._begin({})
        for row in rows:
            if row["kind"] == "run":
                self._begin(row["config"])
            else:
                self._take(row)
        if not self.config:
            raise MissingData("the journal holds no run", expected="a service that began", got="none")

    def _begin(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.atoms: dict[str, int] = {}
        self.fees: dict[str, int] = {}
        self.fills: list[Mapping[str, Any]] = []
        self.denied: list[Mapping[str, Any]] = []
        self.last_bar_close_ns: int | None = None
        self.state = "ACTIVE"
        self.set: dict[str, str] | None = None
        self._closed: dict[str, dict[str, str]] = {}
        self._lots = {each["symbol"]: int(each["lot_atoms"]) for each in config.get("instruments", ())}

    def _take(self, row: Mapping[str, Any]) -> None:
        self.market_ns = max(self.market_ns, int(row.get("market_ns", 0)))
        match row["kind"]:
            case "adjusted":
                self._add(row["asset"], int(row["atoms"]))
            case "fill":
                self._fill(row)
            case "denied":
                self.denied.append({"denied": row["code"]})
            case "end_of_bar":
                self.last_bar_close_ns = int(row["bar_close_ns"])
            case "trading":
                self._trading(row)

    def _add(self, asset: str, atoms: int) -> None:
        self.atoms[asset] = self.atoms.get(asset, 0) + atoms

    def _fill(self, row: Mapping[str, Any]) -> None:
        self.fills.append(row)
        sign = 1 if row["side"] == "BUY" else -1
        self._add(row["symbol"].split("/")[0], sign * int(row["lots"]) * self._lots[row["symbol"]])
        self._add(self.config["quote"], -sign * int(row["quote_atoms"]))
        self._add(row["fee_asset"], -int(row["fee_atoms"]))
        self.fees[row["fee_asset"]] = self.fees.get(row["fee_asset"], 0) + int(row["fee_atoms"])

    def _trading(self, row: Mapping[str, Any]) -> None:
        """A word that is said again while it holds changes nothing: what counts is since when."""
        word, note = row["command"] or "loss", _note(row)
        if word == "close":
            self._closed.setdefault(row["symbol"], note)
            return
        if word == "resume":
            self._closed.clear()
        if self.set is None or (self.state, self.set["word"]) != (row["state"], word):
            self.set = note
        self.state = row["state"]

    def trading(self) -> dict[str, Any]:
        """What passed, who set it, and what was closed, with the keys of the service's own answer."""
        by_flatten = self.set if self.set is not None and self.set["word"] == "flatten" else None
        rows = []
        for symbol in self._lots:
            note = self._closed.get(symbol) or by_flatten
            if note is not None:
                lots = self.lots(symbol)
                standing = "flat" if not lots else "halted" if self.state == "HALTED" else "selling"
                row = {"symbol": symbol, "set": note, "lots": str(lots), "in_flight_lots": "0"}
                rows.append(row | {"standing": standing, "refused": None})
        return {"trading": self.state, "trading_set": self.set, "closed": rows}

    def lots(self, symbol: str) -> int:
        """Whole lots held of a symbol."""
        return max(0, self.atoms.get(symbol.split("/")[0], 0)) // self._lots[symbol]

    def positions(self, prices: Mapping[str, int]) -> dict[str, Any]:
        """What was held, with the keys of the service's own answer.

        Parameters
        ----------
        prices : quote atoms by symbol, those that are known.
        """
        quote, rows, others = self.config["quote"], [], dict(self.atoms)
        cash, equity = others.pop(quote, 0), self.atoms.get(quote, 0)
        for symbol, lot_atoms in self._lots.items():
            atoms = others.pop(symbol.split("/")[0], 0)
            price = prices.get(symbol)
            value = None if price is None else atoms * price // 10**8
            equity += value or 0
            unknown = dict.fromkeys(("average_price_atoms", "unrealised_atoms", "realised_atoms"))
            row = {"symbol": symbol, "atoms": str(atoms), "lots": str(max(0, atoms) // lot_atoms)}
            row |= {"in_flight_lots": "0", "price_atoms": price and str(price), "value_atoms": _text(value)}
            rows.append({**row, **unknown})
        is_worth = all(row["value_atoms"] is not None or row["atoms"] == "0" for row in rows)
        return {
            "account": self.config["account"],
            "quote": quote,
            "cash_quote_atoms": str(cash),
            "equity_quote_atoms": str(equity) if is_worth else None,
            "realised_quote_atoms": None,
            "unrealised_quote_atoms": None,
            "positions": rows,
            "others": [{"asset": asset, "atoms": str(atoms)} for asset, atoms in others.items() if atoms],
            "fees": [{"asset": at, "atoms": str(paid), "quote_atoms": None} for at, paid in self.fees.items() if paid],
        }


def journal_account(run: RunFolder) -> tuple[JournalAccount, dict[str, Any]]:
    """The account by the journal, and the latency of all orders of the run, as the service tells its own.

    Raises
    ------
    MissingData : no service ran.
    EngineError : the journal cannot be read to its end.
    """
    from sapphire.monitoring.reading.latency_traces import SIGNAL_TO_WIRE, read_latency_traces, summarise_latency

    account = JournalAccount(journal_rows(run.account))
    hops = {hop.hop: hop for hop in summarise_latency(read_latency_traces(run.account / "hops"))}[SIGNAL_TO_WIRE]
    latency = {
        "hop": SIGNAL_TO_WIRE.replace(" ", "_"),
        "orders": hops.n,
        "median_ns": _ns(hops.median_us),
        "p99_ns": _ns(hops.percentiles.get(_P99)),
    }
    return account, latency


def _note(row: Mapping[str, Any]) -> dict[str, str]:
    """Who said a word, and why: an operator's text has both, one of the service's own has no name in it."""
    by, colon, why = (row["by"] or "").partition(": ")
    if not colon:
        by, why = "service", row["by"] or "the loss latch fell"
    return {"word": row["command"] or "loss", "market_ns": str(row["market_ns"]), "by": by, "why": why}


def _ns(micros: float | None) -> str | None:
    return None if micros is None else str(round(micros * 1_000))


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)
