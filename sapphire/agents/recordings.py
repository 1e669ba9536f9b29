"""Recordings that travel: calls of models as one compressed file, from where they were made to where no model is.

In:    a folder of recorded calls.  Out: one file, and that file's calls in another folder.
Never: overwrites a call that is there.
"""

from __future__ import annotations

import lzma
from pathlib import Path

from sapphire.agents.recorder import RecordedCall, Recorder
from sapphire.data.durable import replace_file
from sapphire.domain.canonical import sha256_of
from sapphire.domain.errors import EvidenceRefused, MissingData

__all__ = ["export_recording", "import_recording"]

_MOST_BYTES = 1_000_000_000
"""Of calls in a file: what says more is no recording of ours."""


def export_recording(recorder: Recorder, path: Path) -> int:
    """Write every call of a recorder into one file, sorted by key; gives how many they are.

    Parameters
    ----------
    path : of the file, "calls.jsonl.xz"; one that is there is replaced.

    Raises
    ------
    MissingData : there is no call.
    PlaceFull : no room for it.
    """
    lines = [call.line for call in sorted(recorder, key=lambda call: call.digest)]
    if not lines:
        raise MissingData(
            "no call of a model to export",
            expected="calls that were recorded",
            got=f"none in {recorder.folder.name}",
            next="ask an agent with a language model first: study.model_cost(agent), study.screen(agent)",
        )
    data = lzma.compress(b"".join(lines), preset=6)
    replace_file(path, lambda target: _fill(target, data))
    return len(lines)


def import_recording(path: Path, folder: Path) -> int:
    """Put the calls of a file into a folder of recordings, where a recorder finds them; gives how many they are.

    The same file twice is once.

    Raises
    ------
    MissingData : no such file.
    EvidenceRefused : it is no recording, or a call in it was changed.
    PlaceFull : no room for it.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise MissingData(
            "no such recording", expected="a file that sapphire models export wrote", got=path.name
        ) from None
    calls = _calls(data, path)
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / f"{0:020d}-{sha256_of(data)[:8]}.jsonl", lambda target: _fill(target, calls))
    return calls.count(b"\n")


def _fill(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _calls(data: bytes, path: Path) -> bytes:
    """The lines of a recording, each of which is a call as it was written."""
    try:
        reader = lzma.LZMADecompressor()
        calls = reader.decompress(data, _MOST_BYTES)
        if not reader.eof or not calls.endswith(b"\n"):
            raise EOFError("it ends early")
        for line in calls.splitlines():
            RecordedCall.of(line)
    except (lzma.LZMAError, EOFError, EvidenceRefused) as error:
        raise EvidenceRefused(
            f"{path.name} is no recording of calls",
            expected="a file that sapphire models export wrote, whole",
            got=error.what if isinstance(error, EvidenceRefused) else str(error),
            next="take it again from where it was made",
        ) from None
    return calls
