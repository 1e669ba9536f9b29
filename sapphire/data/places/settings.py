"""Which place this process shares state with: `[places]` of sapphire.toml, and `SAPPHIRE_PLACES_*` over it.

::

    [places]
    database = "postgresql://desk@db.internal:5432/sapphire"     heads; the password is never here
    bucket = "s3://desk-state/sapphire"                          bytes; or gs://
    bucket_url = "https://minio.internal:9000"                   where it is not Amazon's or Google's own
    region = "eu-central-1"
    credentials = "/run/secrets/places.json"                     a file that only its owner can read (0600)

or `folder = "/mnt/desk"` alone. Passwords and keys come by the environment (`SAPPHIRE_PLACES_DATABASE_PASSWORD`,
`_BUCKET_KEY`, `_BUCKET_SECRET`, `_BUCKET_TOKEN`) or from that file, a JSON object with the same names in lower case.
`SAPPHIRE_PLACES_ALONE=yes` keeps a state folder to itself.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from sapphire.data.places.place import Place
from sapphire.domain.errors import ConfigError
from sapphire.domain.workspace import settings as section_of

__all__ = ["ALONE_VARIABLE", "PREFIX", "PlaceSettings", "shared_place"]

PREFIX: Final = "SAPPHIRE_PLACES_"
"""Of the environment variables."""
ALONE_VARIABLE: Final = "SAPPHIRE_PLACES_ALONE"
"""Environment variable: where it is set, the state folder is all there is, whatever else is told."""
_KINDS: Final = ("folder", "database", "bucket")
_SECRETS: Final = ("database_password", "bucket_key", "bucket_secret", "bucket_token")
_BUCKET = re.compile(r"(?P<kind>s3|gs)://(?P<bucket>[a-z0-9][a-z0-9._-]{1,61}[a-z0-9])(/(?P<prefix>[A-Za-z0-9/_.-]+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceSettings:
    """Where shared state lies.

    Parameters
    ----------
    folder : one that several machines see; nothing else then.
    database, bucket, bucket_url, region : of PostgreSQL and of the bucket.
    credentials : file with passwords and keys.
    database_password, bucket_key, bucket_secret, bucket_token : never shown.

    Raises
    ------
    ConfigError : settings that do not go together, or one that is none.
    """

    folder: Path | None = None
    database: str | None = field(default=None, repr=False)
    bucket: str | None = None
    bucket_url: str | None = None
    region: str | None = None
    credentials: Path | None = None
    database_password: str | None = field(default=None, repr=False)
    bucket_key: str | None = field(default=None, repr=False)
    bucket_secret: str | None = field(default=None, repr=False)
    bucket_token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.folder is not None and (self.database or self.bucket):
            raise _wrong("a folder, or a database with a bucket", "both", "take one of them out")
        if (self.database is None) != (self.bucket is None):
            there, lacks = ("database", "bucket") if self.bucket is None else ("bucket", "database")
            raise _wrong("a database for heads and a bucket for bytes", f"{there} alone", f"name a {lacks} as well")
        if self.bucket is not None and not _BUCKET.fullmatch(self.bucket):
            raise _wrong("bucket as s3://BUCKET/PREFIX or gs://BUCKET/PREFIX", repr(self.bucket), "change it")
        if self.bucket_url is not None:
            address = urlsplit(self.bucket_url)
            if address.scheme not in ("http", "https") or not address.netloc or "@" in address.netloc:
                raise _wrong("bucket_url as https://HOST:PORT", "something else, not shown", "change it")
        if (self.bucket_key is None) != (self.bucket_secret is None):
            raise _wrong("a bucket's key and its secret", "one of them", f"set {PREFIX}BUCKET_KEY and _BUCKET_SECRET")

    @property
    def is_set(self) -> bool:
        """Whether a place is named."""
        return self.folder is not None or self.database is not None

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables that say the same, for a process of ours that is started elsewhere; no secret."""
        named = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in _SECRETS}
        return {PREFIX + name.upper(): str(value) for name, value in named.items() if value is not None}

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None) -> PlaceSettings:
        """What this process was told.

        Raises
        ------
        ConfigError : a setting that is none, or settings that do not go together.
        Refused : the file of credentials can be read by others, or is not there.
        """
        variables = os.environ if environment is None else environment
        section, folder = section_of("places")
        named = {
            key.removeprefix(PREFIX).lower(): value
            for key, value in variables.items()
            if key.startswith(PREFIX) and key != ALONE_VARIABLE
        }
        known = [each.name for each in fields(cls)]
        for name in named:
            if name not in known:
                near = get_close_matches(name, known, n=1)
                raise ConfigError(
                    f"{PREFIX}{name.upper()} in the environment names no setting of [places]",
                    expected=", ".join(PREFIX + each.upper() for each in known),
                    got=PREFIX + name.upper(),
                    next=f"did you mean {PREFIX}{near[0].upper()}?" if near else "take it out",
                )
        values = dict(section)
        if any(named.get(kind) for kind in _KINDS):  # the environment names a place: that one, whole
            other = ("folder",) if not named.get("folder") else ("database", "bucket")
            values = {key: value for key, value in values.items() if key not in other}
        values |= named
        values = {key: value for key, value in values.items() if value}
        for name in ("folder", "credentials"):
            if name in values:
                values[name] = (folder / str(values[name])).expanduser()
        if "credentials" in values:
            values = _secrets_of(values["credentials"]) | values
        return cls(**values)

    def open(self) -> Place:
        """The place; nothing is asked of it yet.

        Raises
        ------
        ConfigError : not the address of a database, or no place is named.
        """
        if self.folder is not None:
            from sapphire.data.places.folder import FolderBlobs, FolderHeads

            return Place(FolderHeads(self.folder), FolderBlobs(self.folder))
        if self.database is None or self.bucket is None:
            raise _wrong("a folder, or a database with a bucket", "none", "name a place")
        from sapphire.data.places.buckets import GoogleBlobs, S3Blobs
        from sapphire.data.places.postgres import PostgresHeads

        heads = PostgresHeads(self._dsn())
        found = _BUCKET.fullmatch(self.bucket)
        assert found is not None
        bucket, prefix = found["bucket"], (found["prefix"] or "").strip("/")
        if found["kind"] == "gs":
            return Place(heads, GoogleBlobs(bucket, prefix, url=self.bucket_url))
        keys = {"key": self.bucket_key, "secret": self.bucket_secret, "token": self.bucket_token}
        return Place(heads, S3Blobs(bucket, prefix, url=self.bucket_url, region=self.region, **keys))

    def _dsn(self) -> str:
        from psycopg import ProgrammingError
        from psycopg.conninfo import make_conninfo

        from sapphire.data.places.postgres import described

        assert self.database is not None
        described(self.database)
        if self.database_password is None:
            return self.database
        try:
            return make_conninfo(self.database, password=self.database_password)
        except ProgrammingError:
            raise _wrong("a password that PostgreSQL takes", "something else, not shown", "set another") from None


def shared_place(environment: Mapping[str, str] | None = None) -> Place | None:
    """The place that this process shares state with; None where the state folder is all there is.

    Raises
    ------
    ConfigError : a setting that is none, or settings that do not go together.
    """
    variables = os.environ if environment is None else environment
    if variables.get(ALONE_VARIABLE):
        return None
    settings = PlaceSettings.read(variables)
    try:
        return _opened(settings) if settings.is_set else None
    except ModuleNotFoundError as error:  # a bento's image has what serving needs, and no more
        raise ConfigError(
            "no client for the place that [places] names is installed here",
            expected=f"the package {error.name}",
            got="none",
            next="unset SAPPHIRE_PLACES_* here; sapphire places watch RELEASE keeps the state folder current beside it",
        ) from None


@lru_cache(maxsize=8)
def _opened(settings: PlaceSettings) -> Place:
    return settings.open()


def _secrets_of(path: Path) -> dict[str, str]:
    """Passwords and keys in a file; no error repeats one."""
    from sapphire.telemetry.secret_files import read_secret

    text = read_secret(path, absent="no credentials for [places]")
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not set(found) <= set(_SECRETS) or not all(map(_is_text, found.values())):
        raise ConfigError(
            f"{path} holds no credentials for [places]",
            expected="a JSON object with some of " + ", ".join(_SECRETS) + ", each a text",
            got="something else, not shown",
            next="see the page on places",
        )
    return dict(found)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _wrong(expected: str, got: str, next: str) -> ConfigError:
    return ConfigError(
        "[places] cannot be meant", expected=expected, got=got, next=f"{next}: sapphire.toml or {PREFIX}*"
    )
