"""Who may signal: the key that an account's coordinator and its engine share.

An entry of signals counts only where its tag is the HMAC-SHA256 (RFC 2104) of the stream's name, which names venue,
account and release, the entry's own id and the message. So nobody else of the machine can trade, nor one account as
another, nor with a signal that was copied to another place. The engine's twin is `service/src/signal_key.rs`; both are
held to one set of vectors.
"""

from __future__ import annotations

import hmac
import re
import secrets
from pathlib import Path

from sapphire.domain.errors import Refused, ValueRefused
from sapphire.telemetry.secret_files import read_secret, write_secret
from sapphire.telemetry.streams import EntryId

__all__ = ["TAG_FIELD", "SignalKey"]

TAG_FIELD = b"hmac"
"""The field of an entry that its tag is in."""

_FORM = b"SIGNAL@2"
_KEY_BYTES = 32
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)


class SignalKey:
    """The key of one account's signals.

    Parameters
    ----------
    key : 32 bytes.
    stream : the name of the stream that it signs for, `AccountStreams.signals`.

    Raises
    ------
    ValueRefused : another length.

    Examples
    --------
    >>> SignalKey(bytes(32), "signals:embedded:paper:abababababababab").tag(EntryId(1709294700000, 1), b"{}")[:12]
    'f3e792a5a3de'
    """

    def __init__(self, key: bytes, stream: str) -> None:
        if len(key) != _KEY_BYTES:
            raise ValueRefused("signal key", expected=f"{_KEY_BYTES} bytes", got=f"{len(key)} of them")
        self._mac = hmac.new(key, b"\0".join((_FORM, stream.encode(), b"")), "sha256")

    def __repr__(self) -> str:
        return "SignalKey(hidden)"

    @classmethod
    def read(cls, path: Path, stream: str) -> SignalKey:
        """The key that a file holds, as 64 hexadecimal digits, for a stream.

        Raises
        ------
        Refused : no such file, one that others can read, or one that holds something else.
        """
        text = read_secret(path, absent="this account has no signal key").strip()
        if not _HEX.fullmatch(text):
            raise Refused(
                f"{path} holds no signal key", expected="64 hexadecimal digits", got="something else",
                next="remove it, and sapphire up writes another",
            )  # fmt: skip
        return cls(bytes.fromhex(text), stream)

    @staticmethod
    def keep(path: Path) -> None:
        """Make a key where there is none yet."""
        if not path.exists():
            write_secret(path, secrets.token_hex(_KEY_BYTES) + "\n")

    def tag(self, entry: EntryId, message: bytes) -> str:
        """The tag of a message at its place, in 64 hexadecimal digits."""
        mac = self._mac.copy()
        mac.update(entry.ms.to_bytes(8, "big") + entry.seq.to_bytes(8, "big") + message)
        return mac.hexdigest()
