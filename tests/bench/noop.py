# mypy: disable-error-code="import-untyped, misc, untyped-decorator"
"""A service that does nothing: what an answer of any bento costs at least."""

import bentoml
from starlette.responses import Response

from sapphire.serving.service import Body, cpu_service


@bentoml.service(**cpu_service("noop"))
class Noop:
    """Answers every request with the same bytes."""

    @bentoml.api(route="/views", input_spec=Body, output_spec=Body)
    async def views(self, body: Body, /) -> Response:
        """Nothing."""
        return Response(b"{}", media_type="application/json")
