"""The embedded exchange as a local process: start, settings for clients, stop.

The process listens on 127.0.0.1 unless told otherwise. Its first line of output is one JSON object with its addresses
and the keys of a funded development account; the rest of what it says goes to a log, whose end is shown when it does
not come up.

More accounts come by `control.add_account`. Each trades on books of its own, with the synthetic liquidity and its own
orders in them; the public depth, trades and prices show the development account's.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

from sapphire.domain.errors import ExchangeError, NotReady
from sapphire.execution.binaries import engine_binary
from sapphire.execution.candle_folder import exchange_candles
from sapphire.execution.ccxt_settings import ccxt_config
from sapphire.execution.control import Control

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Exchange", "ExchangeAddress", "ccxt_config", "exchange_arguments"]

_LOG_TAIL = 4_000


@dataclass(frozen=True, slots=True)
class ExchangeAddress:
    """Where a running exchange is reached, and the keys of its development account.

    Parameters
    ----------
    url, ws_url : of the Binance-compatible API, `http://127.0.0.1:port` and `ws://127.0.0.1:port`.
    control_url, control_token : of the control plane; the token goes in `Authorization: Bearer`.
    api_key, api_secret : of a funded account. The secret is not shown by `repr`.
    control_read_token : of the control plane, for who only looks.
    """

    url: str
    ws_url: str
    control_url: str
    control_token: str
    api_key: str
    api_secret: str
    control_read_token: str

    def __repr__(self) -> str:
        return f"ExchangeAddress(url={self.url!r}, ws_url={self.ws_url!r}, control_url={self.control_url!r})"

    @classmethod
    def read(cls, line: bytes) -> Self:
        """What the exchange's first line of output tells.

        Raises
        ------
        NotReady : another line; it is not shown, because it may hold a secret.
        """
        try:
            facts = json.loads(line)
            return cls(**{field.name: facts[field.name] for field in fields(cls)})
        except (ValueError, KeyError, TypeError):
            raise NotReady(
                "the exchange's first line is not what this version of Sapphire reads",
                expected="one JSON object with " + ", ".join(field.name for field in fields(cls)),
                next="make engine",
            ) from None

    def ccxt_config(self) -> dict[str, Any]:
        """Constructor settings for ccxt with the development account's keys."""
        return ccxt_config(self.url, self.ws_url, self.api_key, self.api_secret)


def exchange_arguments(
    *,
    symbols: Sequence[str],
    seed: int = 0,
    lockstep: bool = False,
    speed: float | None = None,
    start: datetime | str | None = None,
    candles: Path | None = None,
    journal: Path | None = None,
    latency_ms: tuple[int, int] | None = None,
    funds: Mapping[str, str] | None = None,
    accounts: Mapping[str, Mapping[str, str]] | None = None,
    keys: Path | None = None,
    bind: str | None = None,
    host: str | None = None,
    port: int = 0,
    control_port: int = 0,
) -> list[str]:
    """Words behind `exchange` on its command line; what they mean stands at `Exchange`.

    Parameters
    ----------
    accounts : accounts besides the development account that are opened at the first start, and their funds.
    keys : file with tokens and keys that were made beforehand; then the first line tells addresses alone.
    """
    words = ["--port", str(port), "--control-port", str(control_port)]
    words += ["--bind", bind] if bind is not None else []
    words += ["--host", host] if host is not None else []
    words += ["--symbols", ",".join(symbols), "--seed", str(seed)]
    if lockstep:
        words += ["--lockstep"]
    if speed is not None:
        words += ["--speed", repr(speed).removesuffix(".0")]
    if start is not None:
        words += ["--start", _utc_text(start)]
    if candles is not None:
        words += ["--candles", str(candles)]
    if journal is not None:
        words += ["--journal", str(journal)]
    if latency_ms is not None:
        words += ["--latency-ms", str(latency_ms[0]), str(latency_ms[1])]
    for asset, amount in (funds or {}).items():
        words += ["--fund", f"{asset}={amount}"]
    for name, held in (accounts or {}).items():
        words += ["--account", f"{name}:" + ",".join(f"{asset}={amount}" for asset, amount in held.items())]
    if keys is not None:
        words += ["--keys", str(keys)]
    return words


class Exchange:
    """The embedded exchange, run as a context manager.

    Parameters
    ----------
    symbols : what is listed, "BTC/USDT" or "BTCUSDT".
    seed : of the generated market, the synthetic liquidity's orders and the delays.
    lockstep : time moves only by `control.advance`; otherwise it runs at `speed` times the wall's pace.
    speed : 1.0 when nothing is said. Not with `lockstep`.
    start : where market time begins; timezone-aware, or ISO 8601 text.
    candles : folder of recorded candles to run on instead of a generated market; in whatever form they are.
    rules : file of their trading rules; else a `rules.json` beside them, else they are read off the candles.
    journal : folder in which the exchange keeps its journal and keys; without one nothing survives the process.
    latency_ms : shortest and longest travel time of a request, in lock-step.
    funds : what the development account begins with, by asset; amounts as decimal text.
    bind : address of this machine that it listens on, 127.0.0.1 unless given; "0.0.0.0" or "::" for all.
    host : name or address by which others reach it; what is bound unless given.
    port, control_port : 0 chooses a free one.
    log : file for what the exchange says; a temporary one by default.
    ready_within : seconds it may take to come up.

    Raises
    ------
    EngineMissing : the binary is not built.
    NotReady : it did not come up; shows the end of its log.
    DataError : what is in the folder is not candles of these symbols.

    Examples
    --------
    >>> import ccxt
    >>> with Exchange(symbols=["BTC/USDT"], seed=7, lockstep=True) as exchange:
    ...     list(ccxt.binance(exchange.address.ccxt_config()).load_markets())
    ['BTC/USDT']
    """

    def __init__(
        self,
        *,
        symbols: Sequence[str] = ("BTC/USDT", "ETH/USDT"),
        seed: int = 0,
        lockstep: bool = False,
        speed: float | None = None,
        start: datetime | str | None = None,
        candles: Path | None = None,
        rules: Path | None = None,
        journal: Path | None = None,
        latency_ms: tuple[int, int] | None = None,
        funds: Mapping[str, str] | None = None,
        bind: str | None = None,
        host: str | None = None,
        port: int = 0,
        control_port: int = 0,
        log: Path | None = None,
        ready_within: float = 20.0,
    ) -> None:
        self._arguments = exchange_arguments(
            symbols=symbols,
            seed=seed,
            lockstep=lockstep,
            speed=speed,
            start=start,
            candles=None if candles is None else exchange_candles(candles, symbols, rules=rules),
            journal=journal,
            latency_ms=latency_ms,
            funds=funds,
            bind=bind,
            host=host,
            port=port,
            control_port=control_port,
        )
        self._log = log
        self._ready_within = ready_within
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._address: ExchangeAddress | None = None
        self._control: Control | None = None

    def start(self) -> Self:
        """Start the process and wait until it answers."""
        if self._process is not None:
            raise ExchangeError("the exchange is already started", next="stop it first")
        binary = engine_binary("exchange")
        deadline = time.monotonic() + self._ready_within
        self._errors = TemporaryFile() if self._log is None else self._log.open("w+b")  # noqa: SIM115 (closed in stop)
        self._process = subprocess.Popen(
            [str(binary), *self._arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        try:
            self._address = ExchangeAddress.read(self._first_line(deadline))
            self._control = Control(self._address.control_url, self._address.control_token)
            self._control.state()
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self, *, patience: float = 10.0) -> None:
        """End the process: ask it to, and after `patience` seconds make it."""
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._forget()

    def kill(self) -> None:
        """End the process at once, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._forget()

    @property
    def address(self) -> ExchangeAddress:
        """Where it is reached."""
        if self._address is None:
            raise ExchangeError("the exchange is not running", next="use it in a `with` statement, or call start()")
        return self._address

    @property
    def control(self) -> Control:
        """Its control plane."""
        if self._control is None:
            raise ExchangeError("the exchange is not running", next="use it in a `with` statement, or call start()")
        return self._control

    @property
    def pid(self) -> int:
        """Process id."""
        if self._process is None:
            raise ExchangeError("the exchange is not running", next="use it in a `with` statement, or call start()")
        return self._process.pid

    def log_tail(self) -> str:
        """The last of what the exchange said."""
        if self._errors is None:
            return ""
        end = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, end - _LOG_TAIL))
        return self._errors.read().decode(errors="replace")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _first_line(self, deadline: float) -> bytes:
        """First line of output; the rest of it is read and dropped, so that the pipe never fills."""
        process = self._process
        if process is None or process.stdout is None:
            raise ExchangeError("the exchange is not running")
        lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=_drain, args=(process.stdout, lines), daemon=True, name="exchange-output").start()
        try:
            line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise NotReady(
                f"the exchange said nothing within {self._ready_within:g} s",
                expected="one line of JSON with its addresses",
                got=self.log_tail() or "no output at all",
                next="run the same command by hand: exchange " + " ".join(self._arguments),
            ) from None
        if not line:
            code = process.wait()
            raise NotReady(
                f"the exchange ended with exit code {code} before it was ready",
                got=self.log_tail() or "no output at all",
                next="run the same command by hand: exchange " + " ".join(self._arguments),
            )
        return line

    def _forget(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._errors is not None:
            self._errors.close()
        self._process = self._errors = self._address = self._control = None


def _drain(output: IO[bytes], lines: queue.SimpleQueue[bytes]) -> None:
    with output:
        lines.put(output.readline())
        for _ in output:
            pass


def _utc_text(moment: datetime | str) -> str:
    from sapphire.domain.clocks import to_ns

    seconds, ns = divmod(to_ns(moment), 1_000_000_000)
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{ns:09d}Z" if ns else f"{whole}Z"
