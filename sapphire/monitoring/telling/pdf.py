"""A page as a PDF, printed by Chromium."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from sapphire.domain.errors import ConfigError, StudyError

__all__ = ["BROWSERS", "chromium", "write_pdf"]

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""Programs that print, the first one that is there."""

_WITHIN_S = 120.0
_SHOWN = 500


def chromium(environment: Mapping[str, str] | None = None) -> str:
    """The browser's program: what `CHROMIUM` names, or the first on the PATH.

    Raises
    ------
    ConfigError : there is none.
    """
    environment = os.environ if environment is None else environment
    named = environment.get("CHROMIUM")
    path = environment.get("PATH", os.defpath)
    found = shutil.which(named or "", path=path) or next(
        (each for each in (shutil.which(name, path=path) for name in BROWSERS if not named) if each), None
    )
    if found is None:
        raise ConfigError(
            "no Chromium to print a PDF with",
            expected=f"the program that CHROMIUM names, or one of {', '.join(BROWSERS)} on the PATH",
            got=f"CHROMIUM={named}" if named else "none of them",
            next="install Chromium (apt-get install chromium), or leave --pdf out: the page needs none",
        )
    return found


def write_pdf(page: Path, pdf: Path, *, program: str) -> None:
    """Print a page, in one step.

    Parameters
    ----------
    program : the browser, as `chromium` finds it.

    Raises
    ------
    StudyError : the browser did not print it; nothing is left of it.
    """
    from sapphire.data.durable import replace_file

    replace_file(pdf, lambda temporary: _print(page, temporary, program))


def _print(page: Path, pdf: Path, program: str) -> None:
    pdf.unlink()
    with tempfile.TemporaryDirectory(prefix="sapphire-pdf-") as profile:
        words = [program, "--headless", "--disable-gpu", f"--user-data-dir={profile}", "--no-pdf-header-footer"]
        words += ["--no-sandbox"] if os.geteuid() == 0 else []  # as root it refuses to run with one
        try:
            done = subprocess.run(
                [*words, f"--print-to-pdf={pdf}", page.as_uri()], capture_output=True, check=False, timeout=_WITHIN_S
            )
            reason = done.stderr.decode(errors="replace")[-_SHOWN:].strip()
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = str(error)
    if not pdf.is_file() or not pdf.read_bytes().startswith(b"%PDF"):
        raise StudyError(
            f"{page.name} was not printed",
            expected="a PDF from Chromium",
            got=reason or "not a word",
            next=f"the page itself is whole: {page}",
        )
