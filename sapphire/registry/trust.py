"""Deployment: which key, which policies and which authority the doors here go by.

At home nothing has to be set: the key is the user's own, in the configuration folder, and the policies are those that
are installed with the workspace when a door opens. A deployment pins its own: in `sapphire.toml`,

    [trust]
    key = "/etc/sapphire/promoter.pub"
    authority = "promoter identity"
    [trust.policies]
    paper = "5f0c..."
    live = ["9a1b...", "77de..."]

or by environment variables over it. A key that lies in the state folder is refused: whoever can change what is judged
could change the judge.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_args

from sapphire.domain.canonical import is_sha256
from sapphire.domain.errors import ConfigError, EvidenceRefused
from sapphire.domain.evidence import LAPTOP_KEY, PROMOTER_IDENTITY, Authority, Target
from sapphire.domain.permits import Trust, check_signature
from sapphire.domain.revocations import REVOCATIONS_FILE, Revocations
from sapphire.domain.workspace import config_folder, settings
from sapphire.registry.policies import installed_policies, load_policy, must_pass
from sapphire.registry.signing import KEY_FILE, PUBLIC_FILE, read_public_key, refuse_old_keys

__all__ = ["AUTHORITY_VARIABLE", "KEY_VARIABLE", "POLICIES_VARIABLE", "Deployment", "revocation_files"]

KEY_VARIABLE: Final = "SAPPHIRE_TRUSTED_KEY"
"""Environment variable: path of the public key that the doors verify with."""
AUTHORITY_VARIABLE: Final = "SAPPHIRE_TRUSTED_AUTHORITY"
"""Environment variable: what a signature by it proves; "promoter identity", or that of a laptop's key file."""
POLICIES_VARIABLE: Final = "SAPPHIRE_PINNED_POLICIES"
"""Environment variable: the pinned policies, "paper=DIGEST live=DIGEST"; a target may stand there several times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What a deployment trusts, and where it is.

    Parameters
    ----------
    key : file of the public key.
    authority : what a signature by it proves.
    policies : target to the digests of its pinned policies.
    """

    key: Path
    authority: Authority
    policies: Mapping[Target, tuple[str, ...]] = field(hash=False)

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None, *, installed: Path | None = None) -> Deployment:
        """The deployment that this process is in.

        Parameters
        ----------
        environment : the process's own unless given.
        installed : folder of the policies that are pinned where none is named; the workspace's unless given.

        Raises
        ------
        ConfigError : a setting that is none, or no policy.
        """
        variables = os.environ if environment is None else environment
        section, folder = settings("trust")
        named = variables.get(KEY_VARIABLE) or section.get("key") or config_folder() / PUBLIC_FILE
        key = (folder / str(named)).expanduser()
        authority = _authority(variables.get(AUTHORITY_VARIABLE) or section.get("authority") or LAPTOP_KEY, key)
        pinned = _pinned(variables.get(POLICIES_VARIABLE, ""), section.get("policies", {}))
        for target in get_args(Target):
            pinned[target] = pinned.get(target) or (load_policy(installed or installed_policies(), target).digest,)
        return cls(key=key, authority=authority, policies=pinned)

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables that say the same, for a process that is started."""
        pins = " ".join(f"{target}={digest}" for target, pinned in self.policies.items() for digest in pinned)
        return {KEY_VARIABLE: str(self.key), AUTHORITY_VARIABLE: self.authority, POLICIES_VARIABLE: pins}

    def as_dict(self) -> dict[str, Any]:
        """The same for the engine's settings file, with the measures that each target requires."""
        return {
            "key": str(self.key),
            "authority": self.authority,
            "policies": {target: list(pinned) for target, pinned in self.policies.items()},
            "required": {target: sorted(must_pass(target)) for target in get_args(Target)},
        }

    def trust(self, home: Path) -> Trust:
        """What the doors of a state folder verify with.

        Raises
        ------
        EvidenceRefused : no key, one that is none, or one that lies in the state folder itself.
        """
        refuse_old_keys(home)
        if self.key.resolve().is_relative_to(home.resolve()):
            raise EvidenceRefused(
                "the trusted key lies in the state folder that it judges",
                expected=f"a key outside {home}",
                got=str(self.key),
                next=f"name another in sapphire.toml or {KEY_VARIABLE}; at home it is in {config_folder()}",
            )
        return Trust(
            public_key=read_public_key(self.key),
            authority=self.authority,
            policies={target: frozenset(pinned) for target, pinned in self.policies.items()},
            required={target: must_pass(target) for target in get_args(Target)},
        )

    def revocations(self, home: Path, trust: Trust) -> Revocations:
        """What was revoked, by the lists beside the key and in the state folder, each verified.

        Raises
        ------
        EvidenceRefused : a list that does not verify, or two that differ.
        """
        lists = []
        for path in revocation_files(self.key.parent, home):
            if path.exists():
                found, signed, signature = Revocations.read(path.read_bytes())
                check_signature(signed, signature, trust.public_key, what="the list of revocations")
                lists.append(found)
        return Revocations.longest(lists)


def revocation_files(keys: Path, home: Path) -> tuple[Path, Path]:
    """Where the list of revocations is: beside the key, and in the state folder."""
    return keys / REVOCATIONS_FILE, home / "evidence" / REVOCATIONS_FILE


def _authority(named: object, key: Path) -> Authority:
    """The authority of that name; a key whose private half lies beside it is a laptop's, whatever it is called."""
    for known in get_args(Authority):
        if named == known:
            if known == PROMOTER_IDENTITY and (key.parent / KEY_FILE).exists():
                expected = f"the promoter's public key alone, named by {KEY_VARIABLE} or [trust]"
                raise _wrong("the promoter's authority for a laptop's key", expected, f"a private key beside {key}")
            authority: Authority = known
            return authority
    raise _wrong("authority of the trusted key", " or ".join(get_args(Authority)), repr(named))


def _pinned(variable: str, section: Mapping[str, str | list[str]]) -> dict[Target, tuple[str, ...]]:
    """Pinned policies by target; the variable over the section."""
    found: dict[str, list[str]] = {}
    for target, pinned in section.items():
        found[target] = [pinned] if isinstance(pinned, str) else pinned
    named: dict[str, list[str]] = {}
    for word in variable.split():
        target, _, digest = word.partition("=")
        named.setdefault(target, []).append(digest)
    pins: dict[Target, tuple[str, ...]] = {}
    for target, digests in {**found, **named}.items():
        if target not in get_args(Target) or not isinstance(digests, list) or not all(map(is_sha256, digests)):
            raise _wrong("pinned policies", "paper or live, each with digests of 64 digits", f"{target}={digests}")
        for known in get_args(Target):
            if target == known:
                pins[known] = tuple(digests)
    return pins


def _wrong(what: str, expected: str, got: str) -> ConfigError:
    return ConfigError(what, expected=expected, got=got, next="see [trust] in sapphire.toml and SAPPHIRE_TRUSTED_...")
