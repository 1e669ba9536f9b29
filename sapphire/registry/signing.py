"""Signing: the promoter's key, and what a signature by it proves.

At home the key is a file in the user's configuration folder that only its owner can read, made at the first signing;
all state folders share it, and none holds it. A signature by it proves that a report was not changed since; it proves
no authority, because whoever owns the file can sign, and every report says so.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sapphire.data.durable import locked, write_text
from sapphire.domain.errors import EvidenceRefused, Refused
from sapphire.domain.evidence import LAPTOP_KEY, Authority, GateReport, key_id
from sapphire.domain.workspace import config_folder
from sapphire.telemetry.secret_files import PRIVATE, what_is_open

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["KEY_FILE", "PUBLIC_FILE", "SigningKey", "read_public_key", "refuse_old_keys", "sign", "signing_key"]

KEY_FILE = "promoter.ed25519"
"""The private key in the user's configuration folder: PKCS#8 in PEM, mode 600."""
PUBLIC_FILE = "promoter.ed25519.pub"
"""The public key beside it, 64 hexadecimal digits: what the doors verify with."""

_PUBLIC_BYTES = 32


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and its public half.

    Parameters
    ----------
    public : 32 bytes.
    authority : what its signature proves.
    """

    public: bytes
    authority: Authority
    _private: Ed25519PrivateKey = field(repr=False)

    @property
    def id(self) -> str:
        """What the key is called in a report."""
        return key_id(self.public)

    def sign(self, data: bytes) -> bytes:
        """Ed25519 over `data`, 64 bytes."""
        return self._private.sign(data)


def sign(report: GateReport, key: SigningKey) -> bytes:
    """Ed25519 over the report's canonical bytes, 64 bytes.

    Raises
    ------
    EvidenceRefused : the report names another key, or another authority than the key has.
    """
    if (report.signer, report.authority) != (key.id, key.authority):
        raise EvidenceRefused(
            f"the gate report of {report.name} names another signer",
            expected=f"key {key.id[:12]}, {key.authority}",
            got=f"key {report.signer[:12]}, {report.authority}",
            next="evaluate the gates with the key that signs",
        )
    return key.sign(report.canonical)


def signing_key(keys: Path | None = None) -> SigningKey:
    """The user's promoter key, made on first use.

    Parameters
    ----------
    keys : its folder; the user's configuration folder unless given.

    Raises
    ------
    Refused : others can read the file, or it holds no Ed25519 key.
    """
    folder = keys or config_folder()
    with locked(folder / ".lock"):
        folder.chmod(0o700)
        path = folder / KEY_FILE
        if not path.exists():
            _make(path)
        key = _read(path)
        public = folder / PUBLIC_FILE
        if not public.exists():
            write_text(public, f"{key.public.hex()}\n")
    return key


def refuse_old_keys(home: Path) -> None:
    """Refuse a state folder that holds keys: an earlier version kept them there, where what they judge lies.

    Raises
    ------
    EvidenceRefused : there are some.
    """
    old = home / "keys"
    if (old / KEY_FILE).exists() or (old / PUBLIC_FILE).exists():
        raise EvidenceRefused(
            "this state folder keeps the key that judges it",
            expected=f"the promoter's key in {config_folder()}, made at the first signing",
            got=f"keys of an earlier version in {old}",
            next=f"remove {old}, then make each gate report again: sapphire gates RELEASE --to paper",
        )


def read_public_key(path: Path) -> bytes:
    """The public key in a file, 32 bytes.

    Raises
    ------
    EvidenceRefused : there is none, or it is none.
    """
    try:
        public = bytes.fromhex(path.read_text("ascii"))
    except FileNotFoundError:
        raise EvidenceRefused(
            "no promoter key to verify with",
            expected=f"a public key in {path}",
            got="none",
            next="sapphire gates RELEASE --to paper makes the key when it first signs",
        ) from None
    except ValueError:
        public = b""
    if len(public) != _PUBLIC_BYTES:
        raise EvidenceRefused(
            f"{path} is no public key", expected="64 hexadecimal digits", got=f"{path.stat().st_size} bytes of others"
        )
    return public


def _make(path: Path) -> None:
    """A new key under its name in one step, never readable by others in between."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    data = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.rename(path)


def _read(path: Path) -> SigningKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    is_open = what_is_open(path.stat())
    if is_open is not None:
        raise Refused(
            "others can read the promoter's key",
            expected=PRIVATE,
            got=f"{is_open}: {path}",
            next=f"whoever read it can sign; remove {path} and {PUBLIC_FILE}, and make the gate reports again",
        )
    try:
        private = load_pem_private_key(path.read_bytes(), password=None)
    except ValueError:
        private = None
    if not isinstance(private, Ed25519PrivateKey):
        raise Refused(
            f"{path} holds no key",
            expected="an Ed25519 private key in PEM",
            got="something else",
            next=f"restore it from a backup, or remove it and {PUBLIC_FILE} and make the gate reports again",
        )
    return SigningKey(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw), LAPTOP_KEY, private)
