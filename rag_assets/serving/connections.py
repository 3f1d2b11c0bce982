"""Connections that send nothing, or a byte now and then, are closed in time.

uvicorn closes a connection that is idle after a response; it waits for a first request, and for the
rest of its headers, as long as the caller likes.
"""

import asyncio
import itertools

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_S = 10.0  # for the headers of a request to be whole
_turns = itertools.count()  # a loop's clock gives the same time to many that come at once
MOST_WAITING = 256  # connections without a whole request; a process may have 1,024 files open


class PromptHeaders(H11Protocol):
    """uvicorn's reader of HTTP, with a deadline for the headers of each request.

    h11 reads at most 64 kB of headers; uvicorn's quicker parser reads as many as there are.
    """

    _deadline: asyncio.TimerHandle | None = None
    _turn = 0  # in which it began to wait

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request; of too many that wait, the oldest is closed."""
        super().connection_made(transport)
        self._await_headers()
        waiting = [
            one for one in self.connections if isinstance(one, PromptHeaders) and one.is_waiting
        ]
        if len(waiting) > MOST_WAITING:
            min(waiting, key=lambda one: one._turn).transport.close()

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
    def is_waiting(self) -> bool:
        """Whether the headers of its next request are not whole."""
        return self.conn.their_state is h11.IDLE and not self.transport.is_closing()

    def _await_headers(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._turn = next(_turns)
        self._deadline = self.loop.call_later(HEADERS_S, self._close_if_late)

    def _close_if_late(self) -> None:
        if self.is_waiting:
            self.transport.close()
