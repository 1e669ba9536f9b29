"""What a server is told by its environment. This module is the one place in serving that reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from sapphire.domain.canonical import is_sha256
from sapphire.domain.errors import ConfigError
from sapphire.domain.evidence import Target
from sapphire.domain.workspace import home
from sapphire.telemetry.bus import with_password

__all__ = [
    "BARS_PASSWORD_VARIABLE",
    "BARS_VARIABLE",
    "MEMBER_VARIABLE",
    "RELEASE_VARIABLE",
    "RUNNING_VARIABLE",
    "STAGE_VARIABLE",
    "Settings",
]

RELEASE_VARIABLE = "SAPPHIRE_RELEASE"
"""Digest of the release to serve."""
STAGE_VARIABLE = "SAPPHIRE_STAGE"
"""What its gate report must permit: "paper" (the default) or "live"."""
BARS_VARIABLE = "SAPPHIRE_BARS_URL"
"""Address of the shared cache of bars, "valkey://127.0.0.1:6379/0"; without it callers send their windows."""
BARS_PASSWORD_VARIABLE = "SAPPHIRE_BARS_PASSWORD_FILE"
"""File with the password of the cache's user, where the address holds none."""

MEMBER_VARIABLE = "SAPPHIRE_MEMBER"
"""Name of the agent of a pool that is served by itself; without it the release is served whole."""
RUNNING_VARIABLE = "SAPPHIRE_RUNNING"
"""Whether the release was admitted before and goes on: "1" where it was."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Which release is served, out of which state folder, for what.

    Parameters
    ----------
    home : the state folder, with `releases/` and `evidence/`.
    release : digest.
    stage : what the gate report must permit.
    bars_url : the shared cache; empty for none.
    running : whether who starts the server has admitted the release before, and goes on. It starts on a permit that was
        closed since then as well, and refuses every request for views while it is.
    member : of a pool, the agent that is served by itself; empty for the whole release.
    """

    home: Path
    release: str
    stage: Target = "paper"
    bars_url: str = ""
    running: bool = False
    member: str = ""

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables that say the same, but for the state folder."""
        return {
            RELEASE_VARIABLE: self.release,
            STAGE_VARIABLE: self.stage,
            BARS_VARIABLE: self.bars_url,
            RUNNING_VARIABLE: "1" if self.running else "",
            MEMBER_VARIABLE: self.member,
        }

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """The settings that `environment` holds.

        Raises
        ------
        ConfigError : no release, a digest that is none, an unknown stage or word for running, no state folder, or a
            file with a password for an address that names no user.
        Refused : others can read the file with the password, or there is none.
        """
        release, stage = environment.get(RELEASE_VARIABLE, ""), environment.get(STAGE_VARIABLE) or "paper"
        if not is_sha256(release):
            raise ConfigError(
                f"{RELEASE_VARIABLE} names no release",
                expected="the release's digest, 64 hexadecimal digits",
                got=repr(release) if release else "nothing",
                next="sapphire serve RELEASE sets it; sapphire releases lists the digests",
            )
        running = environment.get(RUNNING_VARIABLE, "")
        if running not in ("", "1"):
            raise ConfigError(f"{RUNNING_VARIABLE} is neither said nor not", expected="1 or nothing", got=repr(running))
        for known in get_args(Target):
            if stage == known:
                password = environment.get(BARS_PASSWORD_VARIABLE, "")
                bars_url = with_password(environment.get(BARS_VARIABLE, ""), Path(password) if password else None)
                member = environment.get(MEMBER_VARIABLE, "")
                return cls(home(), release, known, bars_url, running == "1", member)
        raise ConfigError(f"{STAGE_VARIABLE} is no stage", expected="paper or live", got=repr(stage))
