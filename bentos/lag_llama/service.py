"""Lag-Llama: any release, by its digest, in an image with torch. A forward pass takes milliseconds on the CPU."""

from __future__ import annotations

import bentoml

from sapphire.serving.service import ReleaseService, cpu_service

__all__ = ["LagLlama"]


@bentoml.service(**cpu_service("lag_llama"))
class LagLlama(ReleaseService):
    """Serves the release that SAPPHIRE_RELEASE names; its agents may use numpy, pandas and torch."""
