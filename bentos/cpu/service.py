"""The runner without a neural network: any release, by its digest, in a small image."""

from __future__ import annotations

import bentoml

from sapphire.serving.service import ReleaseService, cpu_service

__all__ = ["Cpu"]


@bentoml.service(**cpu_service("cpu"))
class Cpu(ReleaseService):
    """Serves the release that SAPPHIRE_RELEASE names; its agents may use numpy and pandas."""
