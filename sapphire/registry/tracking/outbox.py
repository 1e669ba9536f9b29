"""Outbox: pages that wait for MLflow, one small file per page and its children.

A page that is told again replaces the one that waits. Nothing here fails a study: where MLflow does not answer, or its
records are not made yet, pages stay until somebody delivers them, and that is said once.
"""

from __future__ import annotations

import json
import logging
import math
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sapphire.data.durable import locked, write_text
from sapphire.domain.canonical import sha256_of
from sapphire.domain.errors import ConfigError, PlaceFull, Refused
from sapphire.registry.tracking.connection import Tracking
from sapphire.registry.tracking.pages import Page

__all__ = ["Outbox"]

_SHORT = 32
_WITHIN_S = 1.0
_BESIDE_S = 5.0
_FOR_GOOD = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "BAD_REQUEST")
"""What MLflow would say of a page again."""
_log = logging.getLogger("sapphire.tracking")
_logged: set[str] = set()
"""What was said once in this process."""


@dataclass(frozen=True, slots=True)
class Outbox:
    """The pages of a state folder that wait.

    Parameters
    ----------
    home : `$SAPPHIRE_HOME`.
    environment : where `MLFLOW_TRACKING_URI` is looked up.
    """

    home: Path
    environment: Mapping[str, str]

    @classmethod
    def of(cls, home: Path) -> Outbox:
        """That of a state folder and this process."""
        return cls(home, os.environ)

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return self.home / "mlflow" / "outbox"

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(1 for _ in self.folder.glob("*.json"))

    def note(self, page: Page) -> None:
        """Keep a page until it is delivered: milliseconds, and nothing is loaded or asked."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            name = sha256_of(f"{page.key} {[child.key for child in page.children]}".encode())[:_SHORT]
            write_text(self.folder / f"{name}.json", json.dumps(page.as_dict(), allow_nan=False))
        except (OSError, PlaceFull) as error:
            _say(f"MLflow's pages do not show this: {error}; the result itself stands")

    def tell(self, page: Page) -> None:
        """Keep a page, and deliver what waits for a few seconds if a server is named and answers.

        The records of the state folder itself can be looked at only where they are served, and who serves delivers.
        """
        self.note(page)
        if "mlflow" in sys.modules and self._is_there():
            self.deliver(within_s=_BESIDE_S)

    def deliver(self, *, within_s: float = math.inf) -> int:
        """Write what waits into MLflow, oldest first; how many pages were delivered. Never raises for MLflow.

        A page that cannot be read, or is of a run that is not there, is put aside as `.refused`.

        Parameters
        ----------
        within_s : no page is begun later than this; what is left waits.
        """
        if not self.waiting:
            return 0
        begun = time.monotonic()
        try:
            tracking = Tracking.of(self.home, self.environment)
            client = tracking.client()
        except (ConfigError, Refused) as error:
            self._say_kept(error)
            return 0
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        from sapphire.registry.tracking.writing import Writer

        done = 0
        with locked(self.home / "mlflow" / "outbox.lock"):
            writer = Writer(tracking, client)
            for file, page in self._pages():
                if time.monotonic() - begun > within_s:
                    break
                try:
                    writer.write(page)
                except MlflowException as error:
                    if error.error_code in _FOR_GOOD:
                        _say(
                            f"MLflow does not take the page {page.name!r}: {error}; it is put aside beside {file.name}"
                        )
                        file.rename(file.with_suffix(".refused"))
                        continue
                    self._say_kept(error)
                    return done
                except (Refused, PlaceFull, SQLAlchemyError, OSError) as error:
                    self._say_kept(error)
                    return done
                file.unlink(missing_ok=True)
                done += 1
        return done

    def _pages(self) -> Iterator[tuple[Path, Page]]:
        """File and page, oldest first."""
        found = []
        for file in self.folder.glob("*.json"):
            try:
                found.append((file, Page.from_dict(json.loads(file.read_text(encoding="utf-8")))))
            except FileNotFoundError:
                continue
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                _say(f"{file.name} in MLflow's outbox is no page ({error}); it is put aside")
                file.rename(file.with_suffix(".refused"))
        yield from sorted(found, key=lambda each: each[1].at_ms)

    def _is_there(self) -> bool:
        """Whether a server is named, and answers at once."""
        try:
            tracking = Tracking.of(self.home, self.environment)
        except ConfigError as error:
            self._say_kept(error)
            return False
        if not tracking.uri.startswith("http"):
            return False
        parts = urlsplit(tracking.uri)
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
            socket.create_connection((parts.hostname or "", port), _WITHIN_S).close()
        except (OSError, ValueError) as error:
            self._say_kept(f"{parts.hostname}: {error}")
            return False
        return True

    def _say_kept(self, why: object) -> None:
        first = str(why).splitlines()[0]
        _say(f"MLflow's pages wait in the state folder and are shown once it answers ({first}); the study goes on")


def _say(text: str) -> None:
    """Say something, once per process."""
    if text not in _logged:
        _logged.add(text)
        _log.warning(text)
