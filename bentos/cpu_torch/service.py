"""The runner with torch: any release, by its digest. Lag-Llama's forward pass takes milliseconds on the CPU."""

from __future__ import annotations

import bentoml

from sapphire.serving.service import ReleaseService, cpu_service

__all__ = ["CpuTorch"]


@bentoml.service(**cpu_service("cpu_torch"))
class CpuTorch(ReleaseService):
    """Serves the release that SAPPHIRE_RELEASE names; its agents may use numpy, pandas and torch."""
