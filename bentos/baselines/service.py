"""Baselines and other agents without a neural network: any release, by its digest, in a small image."""

from __future__ import annotations

import bentoml

from sapphire.serving.service import ReleaseService, cpu_service

__all__ = ["Baselines"]


@bentoml.service(**cpu_service("baselines"))
class Baselines(ReleaseService):
    """Serves the release that SAPPHIRE_RELEASE names; its agents may use numpy and pandas."""
