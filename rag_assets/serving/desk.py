"""The answerer as one caller of its MCP server sees it."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from mcp.server.mcpserver import Context

from rag_assets.access.rules import Caller
from rag_assets.answers.answer import Answer
from rag_assets.answers.filters import Filters
from rag_assets.lake.store import LakeStore
from rag_assets.serving.documents import document_of
from rag_assets.serving.searching import Searches
from rag_assets.serving.sources_shown import sources_shown

Answering = Callable[..., Answer]  # Service.answer


class OwnDesk:
    """A ``Desk`` of this process.

    Args:
        answer: to a question and a mode, for a caller, with filters.
        searches: search.
        store: the lake.
        caller: who asks.
        gone: set when the caller has gone away.
    """

    def __init__(
        self,
        answer: Answering,
        searches: Searches,
        store: LakeStore,
        caller: Caller,
        gone: threading.Event,
    ) -> None:
        self._answer, self._searches, self._store = answer, searches, store
        self._caller, self._gone = caller, gone

    @classmethod
    def of(
        cls, answer: Answering, searches: Searches, store: LakeStore, context: Context[Any, Any]
    ) -> "OwnDesk":
        """For the caller of a request, whom ``Keys`` noted."""
        request = context.request_context.request
        if request is None:
            raise RuntimeError("expected a call over HTTP, got one over another transport")
        return cls(answer, searches, store, request.state.caller, request.state.gone)

    def search(
        self, question: str, limit: int = 10, filters: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Passages."""
        return self._searches.find(self._caller, question, limit, Filters.of(filters)).to_record()

    def ask(
        self, question: str, mode: str = "auto", filters: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """An answer, journalled."""
        answer = self._answer(
            question, mode, gone=self._gone, caller=self._caller, filters=Filters.of(filters)
        )
        return answer.to_record()

    def document(self, wanted: str) -> dict[str, Any]:
        """A document."""
        return document_of(self._searches.answerer(self._caller).reader, wanted)

    def sources(self) -> dict[str, Any]:
        """The sources."""
        return sources_shown(self._store, self._searches.answerer(self._caller).reader)
