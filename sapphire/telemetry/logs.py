"""Log lines of a part, on stderr: UTC time, level, part, text."""

from __future__ import annotations

import logging
import sys
import time
from typing import TextIO

__all__ = ["log_to_stderr"]

ROOT = "sapphire"


def log_to_stderr(part: str, *, stream: TextIO | None = None) -> logging.Logger:
    """Let everything that Sapphire logs in this process go to stderr, as lines of `part`.

    Parameters
    ----------
    stream : where to; stderr unless given.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    formatter = logging.Formatter(f"%(asctime)s.%(msecs)03dZ %(levelname)s {part} %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logger = logging.getLogger(ROOT)
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    return logger
