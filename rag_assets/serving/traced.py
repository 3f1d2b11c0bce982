"""Requests that name a span of their caller's; see ``telemetry``."""

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from rag_assets.settings import names_collector
from rag_assets.telemetry import Traces

log = logging.getLogger("rag_assets.serving")


class Traced:
    """ASGI middleware: what is done for a request is traced below the span that it names.

    Args:
        app: answers the requests.
        traces: where spans go.
    """

    def __init__(self, app: ASGIApp, traces: Traces) -> None:
        self._app, self._traces = app, traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        if len(headers.getlist("traceparent")) == 1:
            with self._traces.continued(headers):
                await self._app(scope, receive, send)
            return
        await self._app(scope, receive, send)


@contextmanager
def sending() -> Iterator[Traces | None]:
    """Where spans go while the block lasts; None without a collector, or one that is misnamed."""
    traces = None
    if names_collector():
        try:
            traces = Traces()
        except Exception:  # the process border: no variable of a collector costs an answer
            log.exception("no traces are sent")
    if traces is None:
        yield None
        return
    with closing(traces):
        yield traces
