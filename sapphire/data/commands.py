"""The `sapphire data` verbs. Each calls the room and shows what came back.

With `--json` one object stands on stdout and nothing else; prose and progress go to stderr. What lies in higher rooms
is handed in as the command's context object: a mapping that has, under "ccxt_config", a function from the embedded
exchange's url to the settings with which ccxt reaches it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sapphire.data.documents.commands import app as documents_app
from sapphire.domain.errors import ConfigError, MissingData

if TYPE_CHECKING:
    from sapphire.data.import_results import Checked

__all__ = ["app"]

app = typer.Typer(
    name="data",
    help="Bars: collect from a venue, import from files, snapshot, list, show, check.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

app.add_typer(documents_app)

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")]
Symbols = Annotated[list[str], typer.Argument(help="BTC/USDT for spot, BTC/USDT:USDT for the perpetual.")]
IntervalOption = Annotated[str, typer.Option("--interval", help="Length of a bar: 1m, 5m, 1h, 1d, ...")]
Start = Annotated[str, typer.Option("--start", help="First open time, included; ISO 8601, UTC.")]
End = Annotated[str, typer.Option("--end", help="End of open times, not included.")]
Venue = Annotated[str, typer.Option("--venue", help="Where the bars were recorded, as ccxt names it.")]
FileVenue = Annotated[
    str | None,
    typer.Option("--venue", help="Where they were recorded, as ccxt names it; else the name's, else binance."),
]
FileSymbol = Annotated[
    str | None, typer.Option("--symbol", help="What the file holds, whatever its name is: BTC/USDT, BTC/USDT:USDT.")
]
FileInterval = Annotated[
    str | None,
    typer.Option(
        "--interval",
        help="Length of a bar: decides over the name of a file, and in a folder holds for files without one.",
    ),
]
FileMarket = Annotated[
    str | None,
    typer.Option("--market", help="spot or perpetual, whatever folders and headers say; where nothing tells it."),
]
FileColumns = Annotated[
    str | None,
    typer.Option("--columns", help="Which column is what: open_time=ts,open=o,... (1, 2, ... without a header)."),
]

RulesFile = Annotated[
    Path | None,
    typer.Option("--rules", help="Trading rules: Binance's exchangeInfo, ccxt's markets, rules.json. [the candles']"),
]


@app.command("collect")
def collect_command(
    context: typer.Context,
    symbols: Symbols,
    interval: IntervalOption,
    start: Start,
    end: End,
    exchange: Annotated[str, typer.Option("--exchange", help="embedded, or an id of ccxt's.")] = "embedded",
    url: Annotated[str, typer.Option("--url", help="Address of the embedded exchange.")] = "",
    seed: Annotated[
        int | None, typer.Option("--seed", help="Seed of the generated market that the embedded exchange shows.")
    ] = None,
    recorded: Annotated[
        bool, typer.Option("--recorded", help="The embedded exchange shows recorded candles instead.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Collect closed candles from a venue; goes on where the last run stopped.

    Example: sapphire data collect BTC/USDT --interval 1h --start 2024-01-01 --end 2024-02-01 --exchange binance
    """
    from sapphire.data.collector import collect
    from sapphire.data.series import EMBEDDED
    from sapphire.data.store import Origin

    config, origin = None, None
    if exchange == EMBEDDED:
        if not url or recorded == (seed is not None):
            raise ConfigError(
                "the embedded exchange needs an address and the name of its market",
                expected="--url, and --seed SEED or --recorded",
                got=" ".join(sys.argv[1:]) or "neither",
                next="sapphire exchange prints its url in its first line",
            )
        config = _ccxt_config(context, url)
        origin = Origin() if seed is None else Origin.of_seed(seed)
    done = collect(symbols, interval, start, end, exchange=exchange, config=config, origin=origin)
    request = f"{' '.join(symbols)} --interval {interval} --start {start} --end {end} --venue {exchange}"
    look = f"look at it: sapphire data show {symbols[0]} --venue {exchange}"
    _show(done, f"{look}\ntake a snapshot: sapphire data snapshot {request}", as_json=as_json)


@app.command("import")
def import_command(
    path: Annotated[Path, typer.Argument(help="A candle file, or a folder of them and of folders of them.")],
    symbol: FileSymbol = None,
    interval: FileInterval = None,
    market: FileMarket = None,
    columns: FileColumns = None,
    venue: FileVenue = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Order rows, drop exact repeats and rows without a price first.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Import recorded candle files: CSV, zip (Binance Vision), JSON and trades (freqtrade), Feather, Parquet.

    A file goes in whole or not at all. A folder imports what it can, of the folders in it too, and lists what it left
    and why; it ends with 1 where a file that is known to hold candles was left, and with 0 where only strangers were.
    What a name does not say the folders may: data/futures/um/monthly/klines/BTCUSDT/1h.

    Fields of --columns: open_time (text, or s, ms, us, ns told by their range; open_time_s, open_time_ms, open_time_us,
    open_time_ns say it), open, high, low, close, volume, or quote_volume in its place.

    Example: sapphire data import candles/BTCUSDT-1h-2024-01.zip

    Example: sapphire data import data/spot

    Example: sapphire data import btc.csv --symbol BTC/USDT --interval 1h --columns open_time=ts,volume=amount
    """
    from sapphire.data.importing import import_candles

    done = import_candles(
        path, venue=venue, symbol=symbol, interval=interval, market=market, columns=columns, repair=repair
    )
    _show(done, "\n".join([*done.steps, "look at it: sapphire data list"]), as_json=as_json)
    if not done.ok:
        raise typer.Exit(1)


@app.command("snapshot")
def snapshot_command(
    symbols: Symbols,
    interval: IntervalOption,
    start: Start,
    end: End,
    source: Annotated[str, typer.Option("--source", help="recorded or embedded (the generated market).")] = "recorded",
    venue: Annotated[str | None, typer.Option("--venue", help="Whose recordings; binance unless stated.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the generated market.")] = 7,
    rules: RulesFile = None,
    listed_within: Annotated[
        list[str] | None,
        typer.Option("--listed-within", help="A symbol that was listed or delisted inside the range; may be repeated."),
    ] = None,
    documents: Annotated[
        list[str] | None,
        typer.Option("--documents", help="news, announcement or note: those received in the range; may be repeated."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Take a snapshot: bars of a universe under the hash of their content.

    Where recorded bars of the interval do not cover the range and shorter ones do, they are made of these; a bar of
    which a part is missing is not made.

    Example: sapphire data snapshot BTC/USDT --interval 1h --start 2023-01-01 --end 2025-01-01 --source embedded
    """
    from sapphire.data.catalog import snapshot

    taken = snapshot(
        symbols,
        interval=interval,
        start=start,
        end=end,
        source=source,
        venue=venue,
        seed=seed,
        rules=rules,
        listed_within=listed_within or (),
        documents=documents or (),
    )
    _show(taken, f"kept in {taken.folder}; sapphire data show {taken.hash[:12]}", as_json=as_json)


@app.command("list")
def list_command(as_json: Json = False) -> None:
    """List snapshots and recorded series.

    Example: sapphire data list --json
    """
    from sapphire.data.catalog import list_snapshots
    from sapphire.data.store import Store

    snapshots = list_snapshots()
    series = [entry.as_dict() for entry in Store().stored()]
    if as_json:
        _print_json({"snapshots": snapshots, "series": series})
        return
    from sapphire.domain.display import bundle, counted

    lines = [
        [one["hash"][:12], " ".join(one["symbols"]), one["interval"], one["start"], one["end"], one["label"]]
        for one in snapshots
    ]
    _print(bundle(counted(len(lines), "snapshot"), ["hash", "symbols", "interval", "from", "to", "source"], lines))
    lines = [
        [
            f"{one['venue']} {one['symbol']}",
            one["kind"],
            f"{one['measure']} {one['interval']}",
            f"{one['rows']:,}",
            one["covered"][0]["from"] if one["covered"] else "",
            one["covered"][-1]["to"] if one["covered"] else "",
        ]
        for one in series
    ]
    _print(bundle(counted(len(lines), "recorded series"), ["series", "kind", "measure", "rows", "from", "to"], lines))
    typer.echo("look at one: sapphire data show HASH or SYMBOL", err=True)


@app.command("show")
def show_command(
    name: Annotated[str, typer.Argument(help="A snapshot's hash (its start is enough), or a recorded symbol.")],
    venue: Venue = "binance",
    as_json: Json = False,
) -> None:
    """Show a snapshot, verified, or what is recorded of a symbol.

    Example: sapphire data show 3fa9c01b
    """
    from sapphire.data.catalog import load_snapshot
    from sapphire.data.import_results import Checked

    if "/" not in name:
        taken = load_snapshot(name)
        _show(taken, f"verified; kept in {taken.folder}", as_json=as_json)
        return
    _show_checked(Checked([report for _, report in _recorded_reports(name, venue)]), as_json=as_json)


@app.command("check")
def check_command(
    target: Annotated[str, typer.Argument(help="A candle file or folder, a snapshot's hash, or a recorded symbol.")],
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Write a file anew: in order, no exact repeats or rows without a price."),
    ] = False,
    symbol: FileSymbol = None,
    interval: FileInterval = None,
    market: FileMarket = None,
    columns: FileColumns = None,
    venue: FileVenue = None,
    as_json: Json = False,
) -> None:
    """Check for gaps, order, repeats, impossible prices and rows from the future. Ends with 1 if there is a fault.

    Candle files are read as sapphire data import reads them.

    Example: sapphire data check BTC_USDT-1h.parquet --repair
    """
    from sapphire.data.import_results import Checked
    from sapphire.data.importing import check_candles
    from sapphire.data.series import DEFAULT_VENUE

    if Path(target).exists():
        checked = check_candles(
            target, venue=venue, symbol=symbol, interval=interval, market=market, columns=columns, repair=repair
        )
    elif repair:
        raise ConfigError("only files are repaired", expected="a candle file or a folder of them", got=target)
    elif "/" in target:
        checked = Checked([report for _, report in _recorded_reports(target, venue or DEFAULT_VENUE)])
    else:
        checked = Checked(_snapshot_reports(target))
    _show_checked(checked, as_json=as_json)
    if not checked.ok:
        raise typer.Exit(1)


def _recorded_reports(symbol: str, venue: str) -> list[tuple[Any, Any]]:
    """Each recorded series of a symbol, read, verified and checked."""
    from sapphire.data.quality import check
    from sapphire.data.store import Store

    store = Store()
    found = [entry for entry in store.stored() if entry.series.symbol == symbol and entry.series.venue == venue]
    if not found:
        raise MissingData(
            f"nothing recorded of {symbol} on {venue}",
            expected="a symbol and venue of sapphire data list",
            got=f"{symbol} on {venue}",
            next=f"sapphire data collect {symbol} --interval 1h --start ... --end ... --exchange {venue}",
        )
    return [(entry, check(store.read(entry.series), entry.series.length, name=str(entry.series))) for entry in found]


def _snapshot_reports(digest: str) -> list[Any]:
    """One report per symbol of a verified snapshot."""
    import numpy as np

    from sapphire.data.catalog import load_snapshot
    from sapphire.data.quality import check
    from sapphire.data.rows import Measure, Rows
    from sapphire.domain.bars import FIELDS

    taken = load_snapshot(digest)
    reports = []
    for column, symbol in enumerate(taken.symbols):
        listed = taken.bars.listed[:, column]
        values = np.column_stack([getattr(taken.bars, name)[listed, column] for name in FIELDS])
        rows = Rows(Measure.BARS, taken.bars.open_time_ns[listed], values)
        reports.append(check(rows, taken.interval, name=f"{symbol} of snapshot {taken.hash[:12]}"))
    return reports


def _ccxt_config(context: typer.Context, url: str) -> Mapping[str, Any]:
    """Settings with which ccxt reaches the embedded exchange, from whoever composed the command."""
    given = context.obj.get("ccxt_config") if isinstance(context.obj, Mapping) else None
    if given is None:
        raise ConfigError(
            "no way to the embedded exchange from here",
            expected="the sapphire command, which brings its settings along",
            got="the data verbs alone",
        )
    settings: Mapping[str, Any] = given(url)
    return settings


def _show_checked(checked: Checked, *, as_json: bool) -> None:
    if as_json:
        _print_json(checked.as_dict())
        return
    typer.echo(str(checked))


def _show(result: Any, look: str, *, as_json: bool) -> None:
    if as_json:
        _print_json(result.as_dict())
        return
    _print(result._repr_mimebundle_())
    typer.echo(look, err=True)


def _print(shown: dict[str, str]) -> None:
    typer.echo(shown["text/plain"])


def _print_json(value: dict[str, Any]) -> None:
    typer.echo(json.dumps(value, sort_keys=True))
