# mypy: disable-error-code="import-untyped, misc, untyped-decorator"
"""The BentoML service of a release: moves bytes between HTTP and the runner, and nothing else.

A bento is a class of its own that derives from `ReleaseService`, so that it has its own name, metrics and image:

    @bentoml.service(**cpu_service("desk"))
    class Desk(ReleaseService): ...

Endpoints are coroutines that wait for threads of the runner, so that probes and metrics answer during a forward pass.
Requests are not batched: `max_latency_ms` of BentoML's batching is a deadline that answers 503, not a wait, and one
request holds all symbols of a moment already. More requests than may wait are answered 429.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from typing import TYPE_CHECKING, Any

import bentoml
from _bentoml_sdk.io_models import IODescriptor
from starlette.responses import Response

from sapphire.domain.clocks import WallClock
from sapphire.domain.errors import SapphireError
from sapphire.domain.view_requests import MAX_REQUEST_BYTES
from sapphire.registry.watching import Watch
from sapphire.serving.admission import admit
from sapphire.serving.cached_windows import BarCache
from sapphire.serving.metrics import with_labels
from sapphire.serving.model_metrics import CountedModels
from sapphire.serving.runner import Runner, Standing
from sapphire.serving.settings import Settings

if TYPE_CHECKING:
    from starlette.requests import Request

    from sapphire.serving.answers import Answer

__all__ = ["Body", "ReleaseService", "cpu_service"]

os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")  # BentoML reports its use over the network unless told not to

_JSON = "application/json"
_log = logging.getLogger("sapphire.serving")


class Body(IODescriptor):
    """The bytes of a request as they came: what is wrong with them is said by our own reader, in our own words."""

    __root_input__ = True
    media_type = _JSON

    data: bytes = b""

    @classmethod
    async def from_http_request(cls, request: Request, serde: Any) -> Body:
        """Read the body, but not much more than a request may have."""
        data = b""
        async for chunk in request.stream():
            data += chunk
            if len(data) > MAX_REQUEST_BYTES:
                break
        return cls(data=data)


def cpu_service(name: str) -> dict[str, Any]:
    """Settings of a service that runs on the CPU; it listens on this machine alone unless BENTOML_HOST says otherwise.

    Parameters
    ----------
    name : of the bento.
    """
    return {
        "name": name,
        "workers": 1,
        "resources": {"cpu": "1"},
        "traffic": {"timeout": 30, "max_concurrency": 64},
        "http": {"host": "127.0.0.1"},
    }


class ReleaseService:
    """Serves the release that the environment names; refuses to start without a gate report that verifies.

    One that goes on where the permit was closed meanwhile starts, stands up, and answers 403 to requests for views.
    """

    def __init__(self) -> None:
        settings = Settings.read(os.environ)
        self._cache = BarCache(settings.bars_url)
        self._runner = Runner(admit(settings), self._cache, WallClock(), models=_models())
        self._watch = Watch(settings.home, settings.release).start()
        threading.Thread(target=self._stand_up, name="load-release", daemon=True).start()

    @bentoml.on_deployment
    @staticmethod
    def refuse_without_evidence() -> None:
        """Once, before any worker starts: the release, its evidence and the key, or no server."""
        try:
            admit(Settings.read(os.environ))
        except SapphireError as error:
            raise bentoml.exceptions.BentoMLException(str(error)) from None

    @bentoml.api(route="/views", input_spec=Body, output_spec=Body)
    async def views(self, body: Body, /) -> Response:
        """VIEW messages for a window (WINDOW@1) or for a moment of the shared cache of bars (CACHED_WINDOW@1)."""
        return _response(await self._runner.views(body.data))

    @bentoml.api(route="/card", input_spec=Body, output_spec=Body)
    async def card(self, body: Body, /) -> Response:
        """What is served, on what evidence, and where it stands."""
        return _response(await asyncio.to_thread(self._runner.card))

    async def __is_ready__(self) -> bool:
        return self._runner.standing is Standing.READY

    def __metrics__(self, exposition: str) -> str:
        """What is asked for at /metrics: BentoML's own, by release and agents."""
        return with_labels(exposition, self._runner.labels)

    @bentoml.on_shutdown
    async def let_go(self) -> None:
        """Close what is open."""
        await asyncio.to_thread(self._watch.stop)
        await asyncio.to_thread(self._runner.close)
        await asyncio.to_thread(self._cache.close)

    def _stand_up(self) -> None:
        self._runner.stand_up()
        if self._runner.refusal is not None:
            _log.error("%s", self._runner.refusal)


def _models() -> CountedModels:
    """What answers for models, counted."""
    from sapphire.agents.llm.workspace_models import workspace_recorder

    return CountedModels(workspace_recorder())


def _response(answer: Answer) -> Response:
    return Response(answer.body, status_code=answer.status, media_type=_JSON)
