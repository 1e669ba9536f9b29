"""The evidence of a release: an append-only record beside it, `$SAPPHIRE_HOME/evidence/<digest>/`.

::

    records.jsonl           one line per record, each with the sha256 of the line before
    bundle-....json         what a submit measured
    model-calls-....jsonl   what its agents asked of models meanwhile, and were answered
    report-paper-....json   a gate report, and report-paper-....sig its signature in hexadecimal digits
    parity-....json         one replayed day of a paper account

A line that was changed, taken out or put in, and a file that was changed or taken away, are found whenever the record
is read. That its newest lines were cut off, a chain cannot tell: `anchors` does. A last line without an end was being
written when its writer died: nothing that it says was done, it is not read, and the next writer cuts it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sapphire.data.durable import locked, replace_file
from sapphire.domain.canonical import canonical_json, is_sha256, plain, sha256_of
from sapphire.domain.errors import EvidenceRefused, HeadMoved
from sapphire.domain.evidence import GateReport, Target
from sapphire.domain.permits import RecordedReport
from sapphire.registry.measurements import EvidenceBundle
from sapphire.registry.paper_days import ParityDay
from sapphire.registry.record_lines import FIRST, SHORT, Record, append_line, read_chain
from sapphire.registry.shared_evidence import RECORDS, bring_record, shared_record, whole_record

__all__ = ["EvidenceStore"]

_CALLS = ".jsonl"


@dataclass(frozen=True, slots=True)
class EvidenceStore:
    """The records of every release of a state folder.

    Parameters
    ----------
    root : `$SAPPHIRE_HOME/evidence`.
    """

    root: Path

    def folder(self, digest: str) -> Path:
        """Where the evidence of a release is."""
        return self.root / digest

    def digests(self) -> tuple[str, ...]:
        """Every release that there is evidence of."""
        if not self.root.is_dir():
            return ()
        return tuple(sorted(path.name for path in self.root.iterdir() if is_sha256(path.name)))

    def records(self, digest: str) -> tuple[Record, ...]:
        """Every record of a release in order, the chain and each file verified.

        Raises
        ------
        EvidenceRefused : a line or a file that does not verify, or no evidence at all; names it.
        """
        folder = self.folder(digest)
        path = folder / RECORDS
        if not path.is_file():
            raise EvidenceRefused(
                f"no evidence of release {digest[:SHORT]}",
                expected=f"a record in {path}",
                got="none",
                next="study.submit(agent) measures a release and registers it",
            )
        records = tuple(read_chain(path))
        for record in records:
            for name, sha256 in record.files.items():
                _check_file(folder / name, sha256)
        return records

    def heads(self, digest: str) -> tuple[str, ...]:
        """The digest of each line of a release's record; see `records`."""
        return tuple(record.head for record in self.records(digest))

    def append(
        self,
        digest: str,
        kind: str,
        *,
        at_ns: int,
        facts: Mapping[str, Any] | None = None,
        files: Mapping[str, bytes],
        after: str | None = None,
    ) -> Record:
        """Write files, then the record that names them; both or neither is seen. A torn last line is cut.

        Parameters
        ----------
        after : refuse to write unless this is the digest of the last line.

        Raises
        ------
        EvidenceRefused : what is there does not verify, or has gone on; nothing is written.
        PlaceError : the place does not take it, or does not answer. Likewise.
        """
        folder = self.folder(digest)
        path, shared = folder / RECORDS, shared_record(self.root, digest)
        named = {name: sha256_of(data) for name, data in files.items()}
        recorded = plain(facts or {})
        with locked(folder / ".lock"):
            while True:
                bring_record(shared)
                heads = [record.head for record in read_chain(path)] if path.exists() else []
                before = heads[-1] if heads else FIRST
                if after is not None and after != before:
                    raise EvidenceRefused(
                        f"the evidence of release {digest[:SHORT]} has gone on",
                        expected=f"a last line with digest {after[:SHORT]}",
                        got=before[:SHORT],
                        next="measure again what is there now",
                    )
                line = canonical_json(
                    {"at_ns": at_ns, "before": before, "facts": recorded, "files": named, "kind": kind}
                )
                try:
                    if shared is not None:
                        shared.append(heads, [line], files, whole=lambda: whole_record(path))
                except HeadMoved:
                    continue
                break
            for name, data in files.items():
                _put(folder / name, data)
            append_line(path, line)
        return Record(kind, at_ns, recorded, named, before, sha256_of(line))

    def bundle(self, digest: str) -> EvidenceBundle:
        """What the last submit measured.

        Raises
        ------
        EvidenceRefused : no bundle, or something that does not verify.
        """
        found = self.last(digest, "bundle")
        if found is None:
            raise EvidenceRefused(
                f"no measurements of release {digest[:SHORT]}",
                expected=f"a bundle in {self.folder(digest)}",
                got="none",
                next="study.submit(agent)",
            )
        return EvidenceBundle.parse(self._file(digest, found, ".json"))

    def bundle_under(self, digest: str, *, protocol: str, snapshot: str) -> EvidenceBundle | None:
        """What was measured last of a release under this protocol on this snapshot; None where nothing was.

        Raises
        ------
        EvidenceRefused : something that does not verify.
        """
        if not (self.folder(digest) / RECORDS).exists():
            return None
        found = self.last(digest, "bundle", {"protocol": protocol, "snapshot": snapshot})
        return None if found is None else EvidenceBundle.parse(self._file(digest, found, ".json"))

    def model_calls(self, digest: str) -> bytes:
        """The calls of models that the last submit was measured with; empty where its agents ask none.

        Raises
        ------
        EvidenceRefused : no bundle, or something that does not verify.
        """
        found = self.last(digest, "bundle")
        named = () if found is None else [name for name in found.files if name.endswith(_CALLS)]
        return self._file(digest, found, _CALLS) if found is not None and named else b""

    def add_bundle(self, bundle: EvidenceBundle, *, at_ns: int, model_calls: bytes = b"") -> bool:
        """Keep what a submit measured, unless the last one measured the same; whether it was kept.

        Parameters
        ----------
        model_calls : what the agents asked of models and were answered, one line per call.
        """
        digest = bundle.manifest_digest
        if (self.folder(digest) / RECORDS).exists():
            last = self.last(digest, "bundle")
            if last is not None and bundle.digest in last.files.values():
                return False
        name = f"bundle-{bundle.digest[:SHORT]}.json"
        walk = bundle.walk_forward
        facts = {
            "protocol": bundle.protocol_digest,
            "snapshot": bundle.integrity.snapshot_hash,
            "ledger_head": walk.ledger_head,
            "ledger_lines": walk.ledger_lines,
        }
        files = {name: bundle.canonical}
        if model_calls:
            files[f"model-calls-{sha256_of(model_calls)[:SHORT]}{_CALLS}"] = model_calls
        self.append(digest, "bundle", at_ns=at_ns, facts=facts, files=files)
        return True

    def parity(self, digest: str) -> tuple[ParityDay, ...]:
        """Every replayed day of a paper account.

        Raises
        ------
        EvidenceRefused : something that does not verify.
        """
        found = [record for record in self.records(digest) if record.kind == "parity"]
        return tuple(ParityDay.parse(self._file(digest, record, ".json")) for record in found)

    def add_parity(self, digest: str, day: ParityDay, *, at_ns: int) -> bool:
        """Keep one day of a paper account, unless the same is said of it already; whether it was kept.

        A day of which something else was said before is kept beside that: what is bad about either counts.

        Raises
        ------
        EvidenceRefused : there is no evidence of the release, or it does not verify.
        """
        if day in self.parity(digest):
            return False
        name = f"parity-{day.day}-{sha256_of(day.canonical)[:SHORT]}.json"
        self.append(digest, "parity", at_ns=at_ns, facts={"day": day.day}, files={name: day.canonical})
        return True

    def reports(self, digest: str) -> tuple[RecordedReport, ...]:
        """Every signed gate report of a release, oldest first; signatures are for the caller to verify.

        Raises
        ------
        EvidenceRefused : something in the record does not verify, or there is no evidence.
        """
        return tuple(self._report(digest, each) for each in self.records(digest) if each.kind == "report")

    def report(self, digest: str, target: Target, *, report_digest: str | None = None) -> RecordedReport | None:
        """The last signed gate report for a target, or the one of this digest; None where there is none.

        Raises
        ------
        EvidenceRefused : something in the record does not verify. The signature is for the caller to verify.
        """
        facts = {"target": target} | ({} if report_digest is None else {"report": report_digest})
        found = self.last(digest, "report", facts)
        return None if found is None else self._report(digest, found)

    def add_report(self, report: GateReport, signature: bytes, *, at_ns: int) -> RecordedReport:
        """Keep a signed gate report, at the place of the record that it is signed for.

        Raises
        ------
        EvidenceRefused : there is no evidence of the release, it does not verify, or it has gone on since.
        """
        self.records(report.manifest_digest)
        name = f"report-{report.target}-{report.digest[:SHORT]}"
        made = self.append(
            report.manifest_digest,
            "report",
            at_ns=at_ns,
            facts={"target": report.target, "permits": report.permits, "report": report.digest},
            files={f"{name}.json": report.canonical, f"{name}.sig": f"{signature.hex()}\n".encode()},
            after=report.record_head,
        )
        return RecordedReport(report.canonical, signature, made.before)

    def last(self, digest: str, kind: str, facts: Mapping[str, Any] | None = None) -> Record | None:
        """The last record of a kind with these facts among its own; None where there is none.

        Raises
        ------
        EvidenceRefused : something that does not verify.
        """
        wanted = (facts or {}).items()
        found = [each for each in self.records(digest) if each.kind == kind and wanted <= each.facts.items()]
        return found[-1] if found else None

    def _report(self, digest: str, record: Record) -> RecordedReport:
        try:
            signature = bytes.fromhex(self._file(digest, record, ".sig").decode("ascii"))
        except ValueError:
            signature = b""
        return RecordedReport(self._file(digest, record, ".json"), signature, record.before)

    def _file(self, digest: str, record: Record, ending: str) -> bytes:
        named = [(name, sha256) for name, sha256 in record.files.items() if name.endswith(ending)]
        if len(named) != 1:
            raise EvidenceRefused(
                f"a record of release {digest[:SHORT]} names other files",
                expected=f"one file that ends with {ending}",
                got=", ".join(record.files),
                next="restore the evidence from a backup",
            )
        ((name, sha256),) = named
        return _check_file(self.folder(digest) / name, sha256)


def _check_file(path: Path, sha256: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError:
        got = "no file that can be read"
    else:
        if sha256_of(data) == sha256:
            return data
        got = f"sha256 {sha256_of(data)[:SHORT]}"
    raise EvidenceRefused(
        f"{path.name} of the evidence of release {path.parent.name[:SHORT]} is not what was recorded",
        expected=f"sha256 {sha256[:SHORT]}",
        got=got,
        next=f"restore {path.parent} from a backup",
    )


def _put(path: Path, data: bytes) -> None:
    """A file in place in one step; the same content again changes nothing."""
    if not path.exists() or path.read_bytes() != data:
        replace_file(path, lambda temporary: _write(temporary, data))


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
