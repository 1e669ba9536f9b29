"""The trial ledger: every evaluation of any agent on any data, counted by the platform and never by the author.

One JSON line per evaluation in one chain (`chain`), and one before it that says what was begun (`begun`), with the
seals of hold-outs and their openings between them. A trial is a distinct (code, parameters, sizing, protocol, seed,
data, window, outcome): running the same again adds lines and no trial; a run that was interrupted is a trial of its
own. The platform's own counterfactual runs are recorded and not counted. The returns of what counts are kept beside it
(`trial_returns`), and so are sketches of the prices (`sketches`) and protocols by their digests.

Out of reach: what somebody computes with the engine, with vectorbt or from an agent's views outside a study, and a
ledger in another state folder. What was registered keeps the ledger's head, and the user's configuration folder keeps
the newest one (`sapphire.registry.anchors`), so a ledger that was cut, exchanged or put back is found.
"""

from __future__ import annotations

import getpass
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sapphire.data.durable import write_text
from sapphire.data.places import SharedChain, shared_place
from sapphire.domain.errors import LedgerDamaged
from sapphire.domain.protocols import Protocol
from sapphire.domain.workspace import config_folder
from sapphire.registry.anchors import LedgerMark
from sapphire.research.ledger.begun import BEGUN, Begun, Run, interrupted
from sapphire.research.ledger.chain import Chain, Head, canonical
from sapphire.research.ledger.seals import OPENING, SEAL, Opening, Seal, Views, seals_in, to_open
from sapphire.research.ledger.sketches import Sketch, Sketches
from sapphire.research.ledger.spans import Span
from sapphire.research.ledger.trial_returns import ReturnSeries, TrialReturns

__all__ = ["EVALUATION", "HOLDOUT", "Evaluation", "Ledger", "Trials"]

EVALUATION, HOLDOUT = "evaluation", "holdout"
"""The kind of line that an evaluation is, and the method of one that opens a hold-out for a release."""
_TEXT = ("agent", "code", "protocol", "method", "returns_digest", "study")
_PLAIN = ("parameters", "sizing", "seed", "counted", "begun")
_RATIOS = ("sharpe", "active")
_SAME_SHARPE = 6


@dataclass(frozen=True, slots=True)
class Evaluation(Run):
    """One look at how an agent did.

    Parameters
    ----------
    returns_digest : sha256 of what came out.
    sharpe : per-bar Sharpe ratio of the returns, NaN where there are none.
    active : the same of the returns less the market's, NaN likewise.
    counted : the platform's own counterfactual runs are not.
    begun : digest of the line that was written before the run; empty where none was.
    series : the returns themselves, where there are any; they are no part of the line, and none when it is read again.
    """

    returns_digest: str
    sharpe: float
    active: float = math.nan
    counted: bool = True
    begun: str = ""
    series: ReturnSeries | None = field(default=None, compare=False, repr=False)

    @property
    def trial(self) -> str:
        """Identity of the trial: sha256 over all that decides, the data and what came out."""
        decides = [self.code, self.parameters, self.sizing, self.protocol, self.seed]
        return hashlib.sha256(canonical([decides, self.span.as_dict(), self.returns_digest])).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """The keys of its line."""
        made = {name: getattr(self, name) for name in (*_TEXT, *_PLAIN)} | self.span.as_dict()
        ratios = {name: getattr(self, name) for name in _RATIOS}
        return {"kind": EVALUATION} | made | {name: None if math.isnan(of) else of for name, of in ratios.items()}

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Evaluation:
        """The evaluation of a line.

        Raises
        ------
        KeyError : a key that is missing.
        """
        content: dict[str, Any] = {name: entry[name] for name in (*_TEXT, *_PLAIN)}
        content |= {name: math.nan if entry[name] is None else float(entry[name]) for name in _RATIOS}
        return cls(**content, span=Span.from_dict(entry))


@dataclass(frozen=True, slots=True)
class Trials:
    """What the ledger says of a span.

    Parameters
    ----------
    span : the data that was asked about.
    evaluations : runs that share data with it, the interrupted ones included.
    head : how far the ledger reached, to be cited with the count.
    rows : the latest line of each trial.
    """

    span: Span
    evaluations: int
    head: Head
    rows: tuple[Evaluation, ...] = field(repr=False)

    @property
    def count(self) -> int:
        """N: distinct trials, whatever their study was called, each as often as `looks` says."""
        return sum(map(self.looks, self.rows))

    @property
    def studies(self) -> tuple[str, ...]:
        """Which studies they are of, in the order of their first line."""
        return tuple(dict.fromkeys(row.study for row in self.rows))

    def looks(self, row: Evaluation) -> int:
        """As how many trials one counts: as many as it has symbols where the span lacks one of its base assets.

        Whoever saw one result per symbol could choose the best of them and ask about that one, alone, beside another
        asset or by another name.
        """
        return 1 if row.span.bases <= self.span.bases else len(row.span.assets)

    def ratios(self, name: str) -> tuple[float, ...]:
        """Ratio of each trial per bar of the span, NaN where it has none: "sharpe", or "active" beside the market."""
        return tuple(getattr(row, name) * math.sqrt(self.span.bar_ns / row.span.bar_ns) for row in self.rows)

    def outcomes(self, name: str) -> tuple[tuple[int, int, int, float], ...]:
        """What tells the trials' ratios apart, one per trial: their windows, and the ratio as far as copies agree."""
        return tuple(
            (row.span.start_ns, row.span.end_ns, row.span.bar_ns, round(ratio, _SAME_SHARPE))
            for row, ratio in zip(self.rows, self.ratios(name), strict=True)
        )


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger in a folder; made on the first entry."""

    folder: Path

    @property
    def path(self) -> Path:
        """The file."""
        return self.chain.path

    @property
    def chain(self) -> Chain:
        """The lines."""
        place = shared_place()
        shared = None if place is None else SharedChain(place, "ledger/trials", "ledger", self.folder)
        return Chain(self.folder / "trials.jsonl", shared)

    @property
    def returns(self) -> TrialReturns:
        """The returns of the trials."""
        return TrialReturns(self.folder / "returns")

    def sketches(self, at_hand: Iterable[Sketch] = ()) -> Sketches:
        """The sketches of the prices, and those at hand."""
        return Sketches(self.folder / "sketches", tuple(at_hand))

    @property
    def head(self) -> Head:
        """How far it reaches.

        Raises
        ------
        LedgerDamaged : a line does not verify; names it.
        """
        return Head.of(self.chain.read()[1])

    @property
    def mark(self) -> LedgerMark:
        """How far it had come, as the user's configuration folder remembers."""
        return LedgerMark(config_folder(), self.folder)

    def check(self) -> None:
        """Refuse a ledger that does not go on from where it was.

        Raises
        ------
        LedgerDamaged : lines are missing or others, or one does not verify.
        """
        self._read()

    def begin(self, runs: Sequence[Begun], *, at_ns: int, views: Views) -> tuple[Begun, ...]:
        """Say what is about to be run, before it is: each with its line.

        Raises
        ------
        LedgerDamaged, HoldoutSealed, ConfigError : as `record`. Nothing is appended, and nothing may be run.
        """
        digests = self._append(runs, at_ns=at_ns, who=None, views=views)
        return tuple(replace(run, line=line) for run, line in zip(runs, digests[-len(runs) :], strict=True))

    def record(
        self, evaluations: Iterable[Evaluation], *, at_ns: int, who: str | None = None, views: Views | None = None
    ) -> Head:
        """Append evaluations, all or none, with the seal of their study and what it opens.

        Raises
        ------
        LedgerDamaged : what stands there does not verify, or is not what was last written. Nothing is appended.
        HoldoutSealed : the study meets a seal that it does not open. Nothing is appended.
        ConfigError : the configuration folder, which keeps how far the ledger came, cannot be written. Likewise.
        """
        return Head.of(self._append(tuple(evaluations), at_ns=at_ns, who=who, views=views or Views()))

    def evaluations(self) -> tuple[Evaluation, ...]:
        """Every evaluation in order, verified.

        Raises
        ------
        LedgerDamaged : a line does not verify; names it.
        """
        return self._evaluations(self.chain.read()[0])

    def seals(self) -> tuple[Seal, ...]:
        """Every sealed hold-out, in order.

        Raises
        ------
        LedgerDamaged : a line does not verify; names it.
        """
        return seals_in(*self.chain.read())

    def openings(self) -> tuple[Opening, ...]:
        """Every opening of one, in order.

        Raises
        ------
        LedgerDamaged : a line does not verify; names it.
        """
        return tuple(Opening.from_dict(entry) for entry in self.chain.read()[0] if entry.get("kind") == OPENING)

    def trials(self, span: Span, sketches: Iterable[Sketch] = ()) -> Trials:
        """Trials that share data with a span.

        Parameters
        ----------
        sketches : those that the span names, where they may not be kept here yet.

        Raises
        ------
        LedgerDamaged : a line or a sketch does not verify, or lines are missing; names it.
        """
        entries, digests = self._read()
        known_sketches, known = self.sketches(sketches), dict[bytes, bool]()
        sharing, evaluations = [], self._evaluations(entries)
        for entry in (*evaluations, *interrupted(self._begun(entries, digests), evaluations)):
            key = canonical(entry.span.as_dict())
            if entry.counted and key not in known:
                known[key] = span.shares_data_with(entry.span, known_sketches)
            if entry.counted and known[key]:
                sharing.append(entry)
        latest = {entry.trial: entry for entry in sharing}
        return Trials(span=span, evaluations=len(sharing), head=Head.of(digests), rows=tuple(latest.values()))

    def protocol(self, digest: str) -> Protocol:
        """The protocol of a line, read back by its digest.

        Raises
        ------
        LedgerDamaged : it is not there, or is another.
        """
        path = self._protocol_file(digest)
        protocol = Protocol.parse(path.read_bytes()) if path.exists() else None
        if protocol is None or protocol.digest != digest:
            raise LedgerDamaged(
                "a protocol that the trial ledger names is not beside it",
                expected=f"protocol {digest[:12]} in {path}",
                got="none" if protocol is None else protocol.digest[:12],
                next=f"restore {path.parent} from a backup",
            )
        return protocol

    def series(self, trials: Trials) -> dict[str, ReturnSeries]:
        """The kept returns of trials by their identities; those without returns, such as information, are left out."""
        return self.returns.of({row.trial: row.returns_digest for row in trials.rows if not math.isnan(row.sharpe)})

    def _append(
        self, entries: Sequence[Evaluation | Begun], *, at_ns: int, who: str | None, views: Views
    ) -> tuple[str, ...]:
        """Append lines, all or none; the digest of every line that stands there then."""
        self.mark.ready()
        author, afresh = who if who is not None else getpass.getuser(), self._is_afresh

        def lines_after(before: Sequence[Mapping[str, Any]], digests: Sequence[str]) -> list[dict[str, Any]]:
            if digests or not afresh:
                self.mark.check(self.mark.read(), digests)
            lines = [*self._sealing(views, entries, before, digests), *(each.as_dict() for each in entries)]
            return [{"at_ns": at_ns, "who": author, **line} for line in lines]

        files = self._keep(entries, views)
        return self.chain.append(lines_after, written=lambda head: self.mark.note(head.lines, head.digest), files=files)

    def _sealing(
        self,
        views: Views,
        entries: Sequence[Evaluation | Begun],
        before: Sequence[Mapping[str, Any]],
        digests: Sequence[str],
    ) -> list[dict[str, Any]]:
        """The lines of what a study opens and seals, where they do not stand there yet."""
        seals, lines = seals_in(before, digests), list[dict[str, Any]]()
        if views.used is not None:
            known = {Opening.from_dict(each) for each in before if each.get("kind") == OPENING}
            opened = to_open(seals, views.used, views.opens, self.sketches(), study=views.study)
            made = [Opening(views.study, each.digest, code) for each in opened for code in _opened_for(entries)]
            lines += [each.as_dict() for each in made if each not in known]
        if views.seal is not None and not any(each.span == views.seal for each in seals):
            lines.append({"kind": SEAL, "study": views.study, **views.seal.as_dict()})
        return lines

    @property
    def _is_afresh(self) -> bool:
        """Whether nothing was ever kept here: returns come behind the line that says what was begun."""
        return not self.returns.folder.exists()

    def _read(self) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
        """Every entry and the digest of each line, verified, and going on from where the ledger was."""
        marked = self.mark.read()
        entries, digests = self.chain.read()
        if digests or not self._is_afresh:
            self.mark.check(marked, digests)
        return entries, digests

    def _keep(self, entries: Sequence[Evaluation | Begun], views: Views) -> dict[str, Path]:
        """What the lines will name, before the lines; by its path in the folder."""
        paths = [*self.sketches().keep(views.sketches)]
        protocol = views.protocol
        if protocol is not None:
            path = self._protocol_file(protocol.digest)
            if not path.exists():
                write_text(path, protocol.canonical.decode())
            paths.append(path)
        ends = [each for each in entries if isinstance(each, Evaluation)]
        kept = self.returns.keep({each.trial: each.series for each in ends if each.counted and each.series is not None})
        paths += [] if kept is None else [kept]
        return {path.relative_to(self.folder).as_posix(): path for path in paths}

    def _protocol_file(self, digest: str) -> Path:
        return self.folder / "protocols" / f"{digest}.json"

    def _evaluations(self, entries: Sequence[Mapping[str, Any]]) -> tuple[Evaluation, ...]:
        made = []
        for number, entry in enumerate(entries, start=1):
            kind = entry.get("kind")
            if kind not in (BEGUN, EVALUATION, SEAL, OPENING):
                raise self._another_version(number, f"{BEGUN}, evaluation, seal or opening", str(kind))
            try:
                made += [Evaluation.from_dict(entry)] if kind == EVALUATION else []
            except KeyError as missing:
                raise self._another_version(number, f"the field {missing}", "none") from None
        return tuple(made)

    def _begun(self, entries: Sequence[Mapping[str, Any]], digests: Sequence[str]) -> list[Begun]:
        made = []
        for number, (entry, digest) in enumerate(zip(entries, digests, strict=True), start=1):
            try:
                made += [Begun.from_dict(entry, digest)] if entry.get("kind") == BEGUN else []
            except KeyError as missing:
                raise self._another_version(number, f"the field {missing}", "none") from None
        return made

    def _another_version(self, number: int, expected: str, got: str) -> LedgerDamaged:
        """The error that names a line which verifies and does not read."""
        return LedgerDamaged(
            f"the trial ledger does not read at line {number:,} of {self.path.name}",
            expected=expected,
            got=f"{got}, of another version",
            next="use the version that wrote it, or go on in a fresh state folder, named by SAPPHIRE_HOME",
        )


def _opened_for(entries: Sequence[Evaluation | Begun]) -> list[str]:
    """The releases that a hold-out is opened for; an empty text where a study goes on behind it."""
    return sorted({each.code for each in entries if each.method == HOLDOUT}) or [""]
