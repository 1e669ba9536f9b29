"""vLLM: a large model by repository, revision and digest, behind its own OpenAI-compatible API, on a GPU.

vLLM's build for processors serves small models the same way (SAPPHIRE_MODEL_DEVICE=cpu).

BentoML starts vLLM's server, waits until it is healthy, stands in front of it and ends it. Weights and adapters come
from a shared folder, into which `sapphire weights pull` fetched them, and are verified before the server starts. It is
ready once the model and each adapter have answered a first request; it lives while vLLM's engine does. Its metrics hold
vLLM's too: both keep theirs in the folder PROMETHEUS_MULTIPROC_DIR, which BentoML hands to its children.
"""

# mypy: disable-error-code="import-untyped, misc, untyped-decorator"
from __future__ import annotations

import asyncio
import logging
import os

import bentoml

from sapphire.domain.errors import NotReady, SapphireError
from sapphire.serving.vllm_server import VllmServer
from sapphire.serving.warm_up import is_healthy, warm_up

__all__ = ["Vllm"]

# Nothing is sent to the libraries' makers, and nothing fetched.
for _name, _value in (("BENTOML_DO_NOT_TRACK", "True"), ("VLLM_NO_USAGE_STATS", "1"), ("HF_HUB_OFFLINE", "1")):
    os.environ.setdefault(_name, _value)

_log = logging.getLogger(__name__)


@bentoml.service(
    name="vllm",
    workers=1,
    resources={"gpu": 1},
    traffic={"timeout": 300},
    http={"host": "127.0.0.1", "proxy_port": int(os.environ.get("SAPPHIRE_MODEL_PORT") or 8000)},
    endpoints={"livez": "/health", "readyz": "/readyz"},
)
class Vllm:
    """Serves the model that SAPPHIRE_MODEL, SAPPHIRE_MODEL_REVISION and SAPPHIRE_MODEL_SHA256 name, and adapters."""

    def __init__(self) -> None:
        self._server = VllmServer.read(os.environ)
        self._warming: asyncio.Task[bool] | None = None

    @bentoml.on_deployment
    @staticmethod
    def refuse_without_weights() -> None:
        """Once, before the server starts: settings, a GPU with room, and weights that verify, or no server."""
        try:
            VllmServer.read(os.environ).command()
        except SapphireError as error:
            raise bentoml.exceptions.BentoMLException(str(error)) from None

    def __command__(self) -> list[str]:
        return self._server.words()

    async def __is_alive__(self) -> bool:
        return await asyncio.to_thread(is_healthy, self._server.url)

    async def __is_ready__(self) -> bool:
        """The first question begins the warm-up, as does the next one after one that failed."""
        if self._warming is None or (self._warming.done() and not self._warming.result()):
            self._warming = asyncio.create_task(self._warm_up())
        return self._warming.done() and self._warming.result() and await self.__is_alive__()

    async def _warm_up(self) -> bool:
        try:
            await asyncio.to_thread(warm_up, self._server.url, self._server.names)
        except NotReady as error:
            _log.error("%s", error)
            return False
        return True
