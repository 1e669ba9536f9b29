"""The verbs `sapphire exchange`, an exchange in the foreground, and `sapphire round-trip`, which tries one."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from sapphire.domain.errors import ConfigError

__all__ = ["exchange", "round_trip"]


def exchange(
    port: Annotated[int, typer.Option(help="Port of the API; 0 chooses a free one.")] = 0,
    control_port: Annotated[int, typer.Option(help="Port of the control plane; 0 chooses a free one.")] = 0,
    symbols: Annotated[str, typer.Option(help="Comma-separated.")] = "BTC/USDT,ETH/USDT",
    speed: Annotated[float | None, typer.Option(help="Market seconds per second of wall time (1 by default).")] = None,
    lockstep: Annotated[bool, typer.Option("--lockstep", help="Time stands until the control plane moves it.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the generated market.")] = 7,
    candles: Annotated[Path | None, typer.Option(help="Folder of recorded candles that drive the market.")] = None,
    rules: Annotated[
        Path | None,
        typer.Option(help="Trading rules of the candles: Binance's exchangeInfo, ccxt's markets, rules.json."),
    ] = None,
    start: Annotated[str | None, typer.Option(help="Market time at the start, such as 2025-05-04.")] = None,
    journal: Annotated[Path | None, typer.Option(help="Folder of its journal; none keeps nothing.")] = None,
    bind: Annotated[str, typer.Option(help="Address of this machine to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    host: Annotated[str | None, typer.Option(help="Name by which others reach it. [what is bound]")] = None,
) -> None:
    """Run the embedded exchange until it is interrupted.

    Its first line on stdout is one JSON object: url, ws_url, control_url, control_token, control_read_token,
    api_key and api_secret of a funded development account.

    Example: sapphire exchange --port 8080 --symbols BTC/USDT --speed 60 --seed 7
    """
    from sapphire.execution.binaries import engine_binary
    from sapphire.execution.candle_folder import exchange_candles

    if lockstep and speed is not None:
        raise ConfigError(
            "two clocks at once", expected="--speed or --lockstep", got="both", next="sapphire exchange --help"
        )
    if rules is not None and candles is None:
        raise ConfigError("rules of a generated market", expected="--rules with --candles", got="--rules alone")
    binary = engine_binary("exchange")
    words = [str(binary), "--port", str(port), "--control-port", str(control_port), "--symbols", symbols]
    words += ["--seed", str(seed), "--bind", bind]
    words += ["--host", host] if host is not None else []
    words += ["--lockstep"] if lockstep else ["--speed", str(speed if speed is not None else 1.0)]
    words += ["--start", start] if start is not None else []
    words += ["--journal", str(journal)] if journal is not None else []
    if candles is not None:
        words += ["--candles", str(exchange_candles(candles, symbols.split(","), rules=rules))]
    os.execv(binary, words)


def round_trip(
    url: Annotated[str, typer.Argument(help="Of the exchange's REST API: http://exchange:8080.")],
    keys: Annotated[
        Path, typer.Option(help='A file that only its owner can read, of an account: {"api_key", "api_secret"}.')
    ],
    symbol: Annotated[str, typer.Option(help="What is traded.")] = "BTC/USDT",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout and nothing else.")] = False,
) -> None:
    """Send a paper order there and back: one rests and is cancelled, one buys, one sells what arrived.

    Ends with 1 where the exchange refuses, or where fills and fees do not explain the balances. The account must be one
    that nobody else trades meanwhile.

    Example: sapphire round-trip http://exchange:8080 --keys venue-keys.json --symbol BTC/USDT
    """
    from sapphire.execution.round_trip import round_trip as trip
    from sapphire.telemetry.secret_files import read_secret

    try:
        written = json.loads(read_secret(keys, absent="no keys of an account", next="sapphire secrets make draws them"))
        api_key, api_secret = str(written["api_key"]), str(written["api_secret"])
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{keys} holds no keys of an account",
            expected='{"api_key": "...", "api_secret": "..."}',
            got=f"{type(error).__name__}",
        ) from None
    made = trip(url, symbol, api_key=api_key, api_secret=api_secret)
    if as_json:
        sys.stdout.write(json.dumps(made.as_dict(), sort_keys=True) + "\n")
    sys.stderr.write(
        f"  {made.symbol}: an order rested and was cancelled, another was bought and sold in {made.fills} fills; "
        f"the balances add up, and it cost {made.cost} in the quote asset\n"
    )
