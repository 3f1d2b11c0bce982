"""``POST /v1/search``, and the same without the answerer: passages for a question, no answer."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from rag_assets.access.file import AccessError, AccessFile
from rag_assets.access.rules import Caller
from rag_assets.answers.answerer import Answerer, require_embedder_of
from rag_assets.answers.filters import Filters
from rag_assets.answers.finding import Findings, find
from rag_assets.index.search import IndexReader
from rag_assets.lake.generations import live_generation
from rag_assets.lake.leases import leasing
from rag_assets.lake.store import LakeError, LakeStore
from rag_assets.models.clients.roles import Models
from rag_assets.models.errors import EngineUnavailableError
from rag_assets.serving.admission import Gate
from rag_assets.serving.keys import caller_of
from rag_assets.settings import Settings
from rag_assets.sources.catalog import documents_but, withdrawn
from rag_assets.telemetry import set_facts, span

# Searches take the embedder alone, so they do not queue with answers; waiting ones leave threads
# to those and to probes.
N_RUNNING, N_WAITING, WAIT_S = 4, 8, 30.0


class Searched(BaseModel):
    """Body of ``POST /v1/search``."""

    question: str
    limit: int = 10
    filters: dict[str, Any] = Field(default={}, description="which documents are searched")


class Searches:
    """Searches, a few at a time.

    Args:
        answerer: on the generation in service, and on what a caller may read.
    """

    def __init__(self, answerer: Callable[[Caller], Answerer]) -> None:
        self.answerer = answerer
        self._gate = Gate(N_RUNNING, N_WAITING, WAIT_S)

    def find(self, caller: Caller, question: str, limit: int, filters: Filters) -> Findings:
        """Passages for a question among what the caller may read.

        Raises:
            NotReadyError, BusyError, QuestionError, EngineUnavailableError.
        """
        with (
            span("search", {"gen_ai.operation.name": "retrieval"}),
            self._gate.admitted(who=caller.name),
        ):
            found = self.answerer(caller).find(question, limit=limit, filters=filters)
            set_facts({"rag.hits": len(found.hits)})
        return found


def add_search(app: FastAPI, searches: Searches) -> None:
    """The route."""

    @app.post("/v1/search")
    async def search(body: Searched, request: Request) -> dict[str, Any]:
        caller, filters = caller_of(request), Filters.of(body.filters)
        found = await run_in_threadpool(searches.find, caller, body.question, body.limit, filters)
        return found.to_record()


def find_without_answerer(
    settings: Settings, question: str, limit: int, filters: Filters
) -> Findings:
    """Search the lake itself, as the key of ``RAG_KEY`` may, else as its owner.

    Raises:
        LakeError: no generation is live.
        AccessError: the key is not known.
        EngineUnavailableError: the embedder's engine does not run.
    """
    store = LakeStore(settings.lake_uri)
    generation = live_generation(store)
    if generation is None:
        raise LakeError(f"no generation is live in {store.uri} yet; run `rag refresh`")
    try:
        models = Models(settings=settings, started=True)
        embedder = models.embedder_for(generation.models.get("embedder", {}))
    except EngineUnavailableError as error:
        raise EngineUnavailableError(
            "the answerer does not run; without it a search needs the embedder's engine alone, and "
            f"no language model: {error}"
        ) from error
    require_embedder_of(generation, embedder)
    with leasing(store, generation.id):
        reader = IndexReader(store, generation)
        if names := withdrawn(settings.sources_file, store):
            reader = reader.narrowed(*documents_but(names))
        reader = _seen_by(settings, reader)
        return find(reader, embedder, question, limit=limit, filters=filters)


def _seen_by(settings: Settings, reader: IndexReader) -> IndexReader:
    rules = AccessFile(settings.home).rules()
    if rules is None or not settings.key:
        return reader
    headers = {"authorization": f"Bearer {settings.key}"}
    caller = rules.caller(headers, datetime.now(UTC).date())
    if caller is None:
        raise AccessError("the key of RAG_KEY is unknown or has expired (`rag keys list`)")
    view = caller.view
    return reader if view is None else reader.narrowed(view.where, view.sees)
