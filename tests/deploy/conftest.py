"""Parts on hosts of their own."""

from restless import restless

__all__ = ["restless"]
