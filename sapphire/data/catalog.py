"""Catalog: snapshots on disk, made once and verified whenever they are read.

Layout, under `$SAPPHIRE_HOME/data/snapshots/`::

    <hash>/manifest.json      what was asked for, the rules, each file's content hash, and when it was taken
           BTC_USDT.parquet   one file per symbol
           documents.parquet  what was received in the range, where that was asked for

A snapshot is put in place in one step. The same request for the same data finds the one that stands.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from sapphire.data.documents.files import write_documents
from sapphire.data.documents.taking import DOCUMENTS_FILE, documents_kept, documents_received
from sapphire.data.durable import replace_folder
from sapphire.data.generated import generated_instrument, generated_rows, refuse_other_version
from sapphire.data.parquet import read_rows, write_rows
from sapphire.data.recorded_bars import listed_in_range, made_from, recorded_bars
from sapphire.data.rows import Rows
from sapphire.data.rule_files import read_rules
from sapphire.data.rules import fits, rules_of, venue_rules
from sapphire.data.series import DEFAULT_VENUE, EMBEDDED, pair_of, symbol_to_name
from sapphire.data.shared_snapshots import bring_snapshot, send_snapshot, shared_hashes, shared_manifest
from sapphire.data.snapshots import Snapshot, canonical, content_hash, instruments_of, panel, provenance_of, summary
from sapphire.data.store import Origin, StoredSeries
from sapphire.data.trading_rules import TradingRules
from sapphire.domain.clocks import Clock, Instant, WallClock, to_ns
from sapphire.domain.display import stamp
from sapphire.domain.documents import DocumentKind, Documents, document_kinds
from sapphire.domain.errors import DataError, MissingData, ValueRefused
from sapphire.domain.instruments import Instrument
from sapphire.domain.intervals import Interval
from sapphire.domain.workspace import home

__all__ = ["list_snapshots", "load_snapshot", "snapshot", "snapshots_folder", "snapshots_with_documents"]

_FORMAT = "sapphire-snapshot-1"
_MANIFEST = "manifest.json"
DEFAULT_SEED = 7


def snapshot(
    symbols: Sequence[str],
    *,
    interval: str | Interval,
    start: Instant,
    end: Instant,
    source: str = "recorded",
    venue: str | None = None,
    seed: int = DEFAULT_SEED,
    rules: str | Path | None = None,
    listed_within: Sequence[str] = (),
    documents: Sequence[str] = (),
    clock: Clock | None = None,
) -> Snapshot:
    """Bars of a universe, hashed and kept. The same request for the same data gives the same hash.

    Parameters
    ----------
    symbols : "BTC/USDT" for spot, "BTC/USDT:USDT" for the perpetual; their order is the order of the columns.
    interval : length of a bar.
    start, end : bars that open in `[start, end)`.
    source : "recorded", what was collected or imported; "embedded", the generated market, which has a history for any
        range after a symbol's listing. Where recorded bars of the interval do not cover the range and shorter ones do,
        they are made of these, whole ones only, and the label says it.
    venue : whose recordings; binance unless stated. The generated market has one venue of its own.
    seed : of the generated market.
    rules : file of trading rules (Binance's exchangeInfo, ccxt's markets, rules.json) for recorded bars; without one
        they are what the venue told a collector, else read off the candles. A symbol that it does not have likewise.
    listed_within : symbols that were listed or delisted inside the range: no bar is missed before the first and after
        the last that are recorded.
    documents : kinds of documents, ("news",): those that were imported and were received from the start to the end,
        versions included.
    clock : gives the as-of time; the machine's unless given.

    Raises
    ------
    MissingData : recordings that do not cover the range, or no documents of a kind in it; says how to get them.
    DataError : recordings of a real and of a generated market in one request, or a damaged file.
    ValueRefused : no symbols, a symbol twice, an end that is not after the start or lies in the future; rules or
        listings of the generated market, which has its own.
    ConfigError : a file of rules that cannot be read.
    EngineMissing : the generated market needs the compiled engine.
    """
    wanted = _universe(symbols)
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise ValueRefused("seed of the generated market", expected="a whole number", got=repr(seed))
    length = interval if isinstance(interval, Interval) else Interval(interval)
    kinds = document_kinds(documents)
    start_ns, end_ns = (-(-to_ns(moment) // length.ns) * length.ns for moment in (start, end))
    if end_ns <= start_ns:
        raise ValueRefused("an empty range", expected="an end after the start", got=f"{start} to {end}")
    if source == "embedded":
        if venue not in (None, EMBEDDED):
            raise ValueRefused("the generated market has one venue", expected=EMBEDDED, got=repr(venue))
        _require_past(end, end_ns, clock)
        if rules is not None or listed_within:
            got = f"rules {rules}" if rules is not None else f"listed_within {', '.join(listed_within)}"
            raise ValueRefused("the generated market has rules and listings of its own", expected="neither", got=got)
        rows = {symbol: generated_rows(symbol, length, start_ns, end_ns, seed=seed) for symbol in wanted}
        origin = Origin.of_seed(seed)
        instruments = _generated(rows, origin, end_ns)
        return _keep(rows, instruments, length, (start_ns, end_ns), origin, EMBEDDED, clock, kinds=kinds)
    if source != "recorded":
        raise ValueRefused("unknown source of data", expected="recorded or embedded", got=repr(source))
    at, given = venue or DEFAULT_VENUE, {} if rules is None else read_rules(Path(rules))
    try:
        rows, known, made = recorded_bars(
            wanted, length, (start_ns, end_ns), at, listed_in_range(wanted, listed_within)
        )
    except MissingData:
        _require_past(end, end_ns, clock)  # what has not come yet cannot be got by collecting it
        raise
    origin = _one_origin(known)
    if origin.generated:
        refuse_other_version(
            origin.detail,
            what=f"what was collected of {at}",
            next="collect it again into a home of its own, or take the market itself with source='embedded'",
        )
    if origin.generated:
        instruments = _generated(rows, origin, end_ns)
    else:
        instruments = {
            symbol: _recorded_rules(
                rules_of(symbol, part, given.get(symbol) or venue_rules(symbol, known[symbol].rules)), part
            )
            for symbol, part in rows.items()
        }
    parts = made_from(made, len(rows))
    return _keep(rows, instruments, length, (start_ns, end_ns), origin, at, clock, made=parts, kinds=kinds)


def load_snapshot(digest: str) -> Snapshot:
    """The snapshot of a content hash, or of the start of one, verified.

    Raises
    ------
    MissingData : no such snapshot, or several that start so.
    DataError : a file of it is missing or damaged; names the file.
    PlaceError : the shared place does not answer.
    """
    known = sorted({folder.name for folder in _folders()} | set(shared_hashes()))
    folders = [snapshots_folder() / name for name in known if digest and name.startswith(digest)]
    if len(folders) != 1:
        raise MissingData(
            f"no snapshot {digest}" if not folders else f"{len(folders)} snapshots start with {digest}",
            expected=f"the hash of one snapshot in {snapshots_folder()}",
            got=", ".join(folder.name[:16] for folder in folders) or "none",
            next="sapphire data list",
        )
    bring_snapshot(snapshots_folder(), folders[0].name)
    return _load(folders[0])


def list_snapshots() -> list[dict[str, Any]]:
    """Every snapshot's manifest in short, newest first; those in the shared place too. The bars are not read.

    Raises
    ------
    DataError : a manifest that is damaged.
    PlaceError : the shared place does not answer.
    """
    here = {folder.name: _manifest(folder) for folder in _folders()}
    there = {digest: shared_manifest(digest) for digest in shared_hashes() if digest not in here}
    found = [summary(manifest, digest) for digest, manifest in {**here, **there}.items()]
    return sorted(found, key=lambda entry: (entry["as_of"], entry["hash"]), reverse=True)


def snapshots_with_documents() -> Iterator[tuple[Path, Documents]]:
    """The file of documents of every snapshot here that has one, and what it holds, verified.

    Raises
    ------
    DataError : one is missing or damaged.
    """
    for folder in _folders():
        documents = documents_kept(folder, _manifest(folder), next=f"delete {folder} and take the snapshot again")
        if documents is not None:
            yield folder / DOCUMENTS_FILE, documents


def snapshots_folder() -> Path:
    """Where snapshots are kept."""
    return home() / "data" / "snapshots"


def _folders() -> list[Path]:
    root = snapshots_folder()
    return sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] != ".") if root.is_dir() else []


def _require_past(end: Instant, end_ns: int, clock: Clock | None) -> None:
    """Refuse an end that has not come: no bar is over before it closes, on the generated market as anywhere."""
    now_ns = (clock or WallClock()).now_ns()
    if end_ns > now_ns:
        raise ValueRefused(
            "an end in the future",
            expected=f"an end by now, {stamp(now_ns // 10**9 * 10**9)}: only bars that have closed are known",
            got=stamp(end_ns) if isinstance(end, int) else str(end),
            next=f"end={stamp(now_ns // 86_400_000_000_000 * 86_400_000_000_000)!r}, the last midnight",
        )


def _universe(symbols: Sequence[str]) -> tuple[str, ...]:
    wanted = (symbols,) if isinstance(symbols, str) else tuple(symbols) if isinstance(symbols, Iterable) else ()
    if not all(isinstance(symbol, str) for symbol in wanted):
        raise ValueRefused("symbols of a snapshot", expected="texts such as BTC/USDT", got=f"{symbols!r:.60}")
    for symbol in wanted:
        pair_of(symbol)
    if not wanted or len(set(wanted)) != len(wanted):
        raise ValueRefused(
            "symbols of a snapshot", expected="one or more, each once", got=", ".join(wanted) or f"{symbols!r:.40}"
        )
    return wanted


def _one_origin(known: Mapping[str, StoredSeries]) -> Origin:
    """The market that all series are from.

    Raises
    ------
    DataError : they are from different ones.
    """
    origins = {str(entry.origin): entry.origin for entry in known.values()}
    if len(origins) > 1:
        raise DataError(
            "recordings of different markets in one snapshot",
            expected="all from a real market, or all from one generated market",
            got=", ".join(f"{symbol} from {entry.origin}" for symbol, entry in known.items()),
            next="take one snapshot of each",
        )
    return next(iter(origins.values()))


def _generated(rows: Mapping[str, Rows], origin: Origin, end_ns: int) -> dict[str, dict[str, Any]]:
    """The entries of the instruments of a generated market in a manifest.

    They are those in force at the end of the range, whoever collected it and whenever: an exchange that began later, or
    earlier, goes by others, and the range is the same.
    """
    seed = int(origin.detail["seed"])
    instruments = {symbol: generated_instrument(symbol, seed=seed, at_ns=end_ns - 1) for symbol in rows}
    for symbol, instrument in instruments.items():
        if not fits(rows[symbol], instrument):
            raise DataError(
                f"{symbol} is not of the market that it is said to be",
                expected=f"bars of {origin}: whole ticks of {instrument.tick} and lots of {instrument.lot}",
                got="prices or volumes between them",
                next="collect it again into a home of its own, with the seed that the exchange was started with",
            )
    return {symbol: _entry(instrument, "venue at the end") for symbol, instrument in instruments.items()}


def _recorded_rules(rules: TradingRules, rows: Rows) -> dict[str, Any]:
    """The entry of a recorded instrument in a manifest: the steps that hold for its bars, and which held when."""
    first_ns, end_ns = int(rows.open_time_ns[0]), int(rows.open_time_ns[-1]) + 1
    entry = _entry(rules.instrument(first_ns, end_ns), rules.source(first_ns, end_ns))
    periods = rules.between(first_ns, end_ns)
    return entry | ({"periods": TradingRules(rules.symbol, periods).as_dicts()} if len(periods) > 1 else {})


def _keep(
    rows: Mapping[str, Rows],
    instruments: Mapping[str, Mapping[str, Any]],
    interval: Interval,
    span: tuple[int, int],
    origin: Origin,
    venue: str,
    clock: Clock | None,
    made: str = "",
    kinds: tuple[DocumentKind, ...] = (),
) -> Snapshot:
    """Put the snapshot of `rows` in place, or find the one that stands."""
    manifest: dict[str, Any] = {
        "format": _FORMAT,
        "symbols": list(rows),
        "interval": interval.text,
        "start_ns": str(span[0]),
        "end_ns": str(span[1]),
        "source": "embedded" if origin.generated else "recorded",
        "venue": venue,
        "detail": dict(origin.detail) | ({"made_from": made} if made else {}),
        "instruments": [dict(entry) for entry in instruments.values()],
        "files": [
            {
                "symbol": symbol,
                "file": f"{symbol_to_name(symbol)}.parquet",
                "rows": len(part),
                "sha256": part.content_sha256(),
            }
            for symbol, part in rows.items()
        ],
        "as_of_ns": str((clock or WallClock()).now_ns()),
    }
    documents = None
    if kinds:
        documents, manifest["documents"] = documents_received(kinds, span, now_ns=int(manifest["as_of_ns"]))
    folder = snapshots_folder() / content_hash(manifest)
    if folder.is_dir():
        _send(folder, documents)
        return _load(folder)
    bars = panel(rows, interval).with_documents(documents)

    def fill(temporary: Path) -> None:
        for entry in manifest["files"]:
            write_rows(temporary / entry["file"], rows[entry["symbol"]])
        if documents is not None:
            write_documents(temporary / DOCUMENTS_FILE, documents)
        (temporary / _MANIFEST).write_text(canonical(manifest) + "\n", encoding="utf-8")

    is_new = replace_folder(folder, fill)
    _send(folder, documents)
    if not is_new:
        return _load(folder)
    return Snapshot(bars, provenance_of(manifest, folder.name), instruments_of(manifest), manifest, folder)


def _send(folder: Path, documents: Documents | None) -> None:
    """Send a snapshot to the shared place, unless it has texts that may not be kept for ever: there they would be."""
    if documents is None or all(each.retention_days is None for each in documents):
        send_snapshot(folder)


def _entry(instrument: Instrument, source: str) -> dict[str, Any]:
    numbers = {name: f"{getattr(instrument, name).normalize():f}" for name in ("tick", "lot", "min_notional")}
    return {"symbol": instrument.symbol, "kind": str(instrument.kind), "rules": source, **numbers}


def _load(folder: Path) -> Snapshot:
    """Read and verify everything."""
    manifest = _manifest(folder)
    if manifest["source"] == "embedded":
        refuse_other_version(
            manifest["detail"],
            what=f"snapshot {folder.name[:12]}",
            next="take the snapshot again: the same request gives other bars now, under another hash",
        )
    again = f"delete {folder} and take the snapshot again"
    rows = {}
    for entry in manifest["files"]:
        rows[entry["symbol"]] = read_rows(folder / entry["file"], next=again, sha256=entry["sha256"])
    bars = panel(rows, Interval(manifest["interval"])).with_documents(documents_kept(folder, manifest, next=again))
    return Snapshot(bars, provenance_of(manifest, folder.name), instruments_of(manifest), manifest, folder)


def _manifest(folder: Path) -> dict[str, Any]:
    """The manifest, if it is the one that the folder is named after.

    Raises
    ------
    DataError : it is missing, unreadable or changed.
    """
    path = folder / _MANIFEST
    again = f"delete {folder} and take the snapshot again"
    try:
        manifest = cast(dict[str, Any], json.loads(path.read_text(encoding="utf-8")))
        found = content_hash(manifest)
        int(manifest["as_of_ns"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{_MANIFEST} of snapshot {folder.name[:12]} cannot be read",
            expected=f"a snapshot's manifest at {path}",
            got=str(error),
            next=again,
        ) from error
    if found != folder.name:
        raise DataError(
            f"{_MANIFEST} of snapshot {folder.name[:12]} is damaged",
            expected=f"content {folder.name[:16]} in {path}",
            got=found[:16],
            next=again,
        )
    return manifest
