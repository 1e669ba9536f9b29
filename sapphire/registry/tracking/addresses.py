"""The address that people are given: MLflow opens on its pages for GenAI unless it is told where to open."""

from __future__ import annotations

from urllib.parse import urlsplit

__all__ = ["models_page"]


def models_page(url: str) -> str:
    """Where a server shows its registered models.

    Only scheme, host, port and path are kept: an address that is printed shows no password.

    Examples
    --------
    >>> models_page("http://127.0.0.1:5000")
    'http://127.0.0.1:5000/#/models'
    >>> models_page("https://me:secret@mlflow.example.org/team/")
    'https://mlflow.example.org/team/#/models'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}/#/models"
