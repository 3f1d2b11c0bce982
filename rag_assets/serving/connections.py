"""Connections that send nothing, or a byte now and then, are closed in time.

uvicorn closes a connection that is idle after a response; it waits for a first request, and for the
rest of its headers, as long as the caller likes.
"""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_S = 10.0  # for the headers of a request to be whole
MOST_WAITING = 256  # connections without a whole request; a process may have 1,024 files open


class PromptHeaders(H11Protocol):
    """uvicorn's reader of HTTP, with a deadline for the headers of each request.

    h11 reads at most 64 kB of headers; uvicorn's quicker parser reads as many as there are.
    """

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request; of too many that wait, the oldest is closed."""
        super().connection_made(transport)
        self._await_headers()
        waiting = [
            one for one in self.connections if isinstance(one, PromptHeaders) and one.waits_since
        ]
        if len(waiting) > MOST_WAITING:
            min(waiting, key=lambda one: one.waits_since).transport.close()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    @property
    def waits_since(self) -> float:
        """When it began to wait for headers, by the loop's clock; 0 while a request is at work."""
        is_waiting = self.conn.their_state is h11.IDLE and not self.transport.is_closing()
        return self._deadline.when() - HEADERS_S if self._deadline and is_waiting else 0.0

    def _await_headers(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(HEADERS_S, self._close_if_late)

    def _close_if_late(self) -> None:
        if self.waits_since:
            self.transport.close()
