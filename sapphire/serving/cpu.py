"""The CPU runner: any release, by its digest, with the packages of this environment. `sapphire serve` starts it."""

from __future__ import annotations

import bentoml

from sapphire.serving.service import ReleaseService, cpu_service

__all__ = ["Cpu"]


@bentoml.service(**cpu_service("release"))
class Cpu(ReleaseService):
    """Any release."""
