"""vLLM: a large model by repository, revision and digest, behind its own OpenAI-compatible API. It needs a GPU.

BentoML starts vLLM's server, waits until it is healthy, stands in front of it and ends it. The weights come from a
shared folder, into which `sapphire weights pull` fetched them, and are verified before the server starts.
"""

# mypy: disable-error-code="import-untyped, misc, untyped-decorator"
from __future__ import annotations

import os

import bentoml

from sapphire.domain.errors import SapphireError
from sapphire.serving.vllm_server import VllmServer

__all__ = ["Vllm"]

os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")


@bentoml.service(
    name="vllm",
    workers=1,
    resources={"gpu": 1},
    traffic={"timeout": 300},
    http={"host": "127.0.0.1"},
    endpoints={"livez": "/health", "readyz": "/health"},
)
class Vllm:
    """Serves the model that SAPPHIRE_MODEL, SAPPHIRE_MODEL_REVISION and SAPPHIRE_MODEL_SHA256 name."""

    @bentoml.on_deployment
    @staticmethod
    def refuse_without_weights() -> None:
        """Once, before the server starts: settings, a GPU and weights that verify, or no server."""
        try:
            VllmServer.read(os.environ).command()
        except SapphireError as error:
            raise bentoml.exceptions.BentoMLException(str(error)) from None

    def __command__(self) -> list[str]:
        server = VllmServer.read(os.environ)
        return server.words(server.weights.folder(server.root))
