"""The answerer's HTTP interface; see ``create_app`` for its routes."""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from rag_assets.access.file import AccessFile
from rag_assets.access.rules import Caller
from rag_assets.answers.answer import Answer
from rag_assets.answers.answerer import Answerer
from rag_assets.answers.filters import NO_FILTERS, Filters
from rag_assets.answers.journal import record_answer
from rag_assets.answers.questions import QuestionError, QuestionTooLongError
from rag_assets.errors import RagError
from rag_assets.lake.store import LakeStore
from rag_assets.markup import without_places
from rag_assets.models.clients.salted import SaltedChat
from rag_assets.models.errors import EngineUnavailableError, ModelRequestError
from rag_assets.serving.admission import BusyError, Gate, GoneError
from rag_assets.serving.chat import ChatRequest, chat_response, models_listed
from rag_assets.serving.desk import OwnDesk
from rag_assets.serving.documents import add_documents
from rag_assets.serving.keys import OPERATOR, Keys, caller_of
from rag_assets.serving.listening import WholeBodies, disconnected, said
from rag_assets.serving.live_index import LiveIndex
from rag_assets.serving.mcp_server import add_mcp
from rag_assets.serving.metrics import Metrics
from rag_assets.serving.searching import Searches, add_search

log = logging.getLogger("rag_assets.serving")
RETRY_AFTER_S = 5
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]")


class Question(BaseModel):
    """Body of ``POST /v1/answers``."""

    question: str
    mode: str = Field(default="auto", description="auto, fact or deep")
    filters: dict[str, Any] = Field(default={}, description="which documents are read")


class NotReadyError(RagError):
    """No generation is in service; the message says why."""


@dataclass(frozen=True, slots=True)
class Service:
    """What the routes share.

    Attributes:
        store: where answers are journalled.
        live: the generation in service.
        gate: bounds the questions answered at once.
        metrics: counts.
        engines_problem: why the engines cannot answer, as a sentence; "" when they can.
        access: who may read what.
        own_key: that the commands of this home come with.
        hosts: names by which it is reached, beside the loopback's.
    """

    store: LakeStore
    live: LiveIndex
    gate: Gate
    metrics: Metrics
    engines_problem: Callable[[], str]
    access: AccessFile
    own_key: str
    hosts: Sequence[str] = ()
    started: float = 0.0

    def answer(
        self,
        question: str,
        mode: str,
        gone: threading.Event | None = None,
        caller: Caller = OPERATOR,
        filters: Filters = NO_FILTERS,
    ) -> Answer:
        """Answer on the generation in service when the turn comes, and journal it.

        Nothing is read but what the caller may read. ``gone`` is set by the gate when nobody waits
        for the answer any more.

        Raises:
            NotReadyError, BusyError, GoneError, QuestionError, EngineUnavailableError,
            ModelRequestError.
        """
        with self.gate.admitted(gone):
            answer = self.answerer(caller).answer(question, mode=mode, filters=filters)
        self.metrics.answered(answer)
        try:
            record_answer(self.store, answer, asker=caller.name)
        except Exception:  # the process border: a full disk must not cost the answer
            self.metrics.journal_failures.inc()
            log.exception("answer %s was given but not journalled", answer.answer_id)
        return answer

    def answerer(self, caller: Caller) -> Answerer:
        """On the generation in service, and on what the caller may read of it.

        Raises:
            NotReadyError: none is.
        """
        serving = self.live.current
        if serving is None:
            raise NotReadyError(f"no generation is in service: {self.live.error}")
        return _seen_by(caller, serving.answerer)


def _seen_by(caller: Caller, answerer: Answerer) -> Answerer:
    view = caller.view
    if view is None:
        return answerer
    slm, llm = (SaltedChat(model, view.salt) for model in (answerer.slm, answerer.llm))
    return replace(answerer.narrowed(view.where, view.sees), slm=slm, llm=llm)


def create_app(service: Service) -> FastAPI:
    """The application.

    Routes: POST /v1/answers, /v1/search, /v1/chat/completions, /mcp, GET
    /v1/models, /v1/sources, /v1/documents/ID, /healthz, /readyz,
    /metrics, /admin/status, POST /admin/reload. Errors are ``{"error": sentence}``. Where the home
    has an ``access.yaml``, all but the two probes need a key; see ``Keys``.
    """
    app = FastAPI(title="rag_assets answerer", docs_url=None, redoc_url=None)
    app.add_middleware(Keys, access=service.access, own_key=service.own_key)
    # A web page cannot reach the loopback port under a name of its own (DNS rebinding).
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK_HOSTS, *service.hosts])
    app.add_middleware(WholeBodies)
    _add_errors(app, service)
    _add_answers(app, service)
    searches = Searches(service.answerer)
    add_search(app, searches)
    add_documents(app, service.answerer)
    add_mcp(app, partial(OwnDesk.of, service.answer, searches))
    _add_health(app, service)
    _add_admin(app, service)
    return app


def _error(status: int, sentence: str) -> JSONResponse:
    if status == 503:
        log.warning("answered 503: %s", sentence)
    return said(status, sentence, RETRY_AFTER_S if status in (429, 503) else None)


STATUSES: dict[type[Exception], int] = {
    QuestionTooLongError: 413,
    QuestionError: 422,
    BusyError: 429,
    GoneError: 499,  # as nginx logs it; nobody reads it
    NotReadyError: 503,
    EngineUnavailableError: 503,
    ModelRequestError: 502,
}


def _add_errors(app: FastAPI, service: Service) -> None:
    async def known(request: Request, error: Exception) -> Response:
        status = next(code for kind, code in STATUSES.items() if isinstance(error, kind))
        service.metrics.errors.labels(str(status)).inc()
        return _error(status, str(error))

    async def invalid(request: Request, error: Exception) -> Response:
        first = error.errors()[0] if isinstance(error, RequestValidationError) else {}
        where = ".".join(str(part) for part in first.get("loc", ()) if part != "body") or "the body"
        service.metrics.errors.labels("422").inc()
        return _error(422, f"{where}: {first.get('msg', error)}")

    async def http(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        detail = str(getattr(error, "detail", error))
        return _error(status, f"{request.method} {request.url.path}: {detail}")

    async def unexpected(request: Request, error: Exception) -> Response:
        service.metrics.errors.labels("500").inc()
        log.error("%s failed", request.url.path, exc_info=error)
        kind = type(error).__name__
        return _error(500, f"the answerer failed on this request ({kind}); its log says where")

    for kind in STATUSES:
        app.add_exception_handler(kind, known)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unexpected)


def _add_answers(app: FastAPI, service: Service) -> None:
    async def answer(
        request: Request, question: str, mode: str, filters: Filters = NO_FILTERS
    ) -> Answer:
        """The answer; a caller that goes away gives up its place in the queue."""
        gone = threading.Event()

        async def watch() -> None:
            await disconnected(request.receive)
            service.gate.leave(gone)

        watching = asyncio.ensure_future(watch())
        try:
            caller = caller_of(request)
            return await run_in_threadpool(service.answer, question, mode, gone, caller, filters)
        finally:
            watching.cancel()

    @app.post("/v1/answers")
    async def answers(body: Question, request: Request) -> dict[str, Any]:
        filters = Filters.of(body.filters)
        return (await answer(request, body.question, body.mode, filters)).to_record()

    @app.post("/v1/chat/completions")
    async def completions(body: ChatRequest, request: Request) -> Response:
        mode = body.mode()
        return chat_response(body, await answer(request, body.question(), mode))

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return models_listed()


def _add_health(app: FastAPI, service: Service) -> None:
    # Not in the thread pool: these must answer while every thread waits for an engine.
    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    def readyz() -> Response:
        serving = service.live.current
        if serving is None:
            return _error(503, f"no generation is in service: {service.live.error}")
        if problem := serving.answerer.reader.problem() or service.engines_problem():
            return _error(503, problem)
        return JSONResponse({"status": "ready", "generation_id": serving.generation_id})

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")


def _add_admin(app: FastAPI, service: Service) -> None:
    one_at_a_time = asyncio.Lock()  # those that wait for another reload take no thread

    @app.post("/admin/reload")
    async def reload() -> Response:
        async with one_at_a_time:
            done = await run_in_threadpool(service.live.reload)
        service.metrics.reloaded(done)
        record = {
            "generation_id": done.generation_id,
            "previous_id": done.previous_id,
            "swapped": done.swapped,
            "ms": round(done.ms, 1),
        }
        if done.error:
            kept = f"{done.previous_id} stays in service" if done.previous_id else "none is served"
            log.warning("reload refused, %s: %s", kept, done.error)
            error = without_places(f"{done.error} ({kept})")
            return JSONResponse({**record, "error": error}, 409)
        if done.swapped:
            log.info("swapped %s for %s", done.previous_id, done.generation_id)
        return JSONResponse(record)

    @app.get("/admin/status")
    def status() -> dict[str, Any]:
        return _status(service)


def _status(service: Service) -> dict[str, Any]:
    serving = service.live.current
    generation = None
    if serving is not None:
        reader = serving.answerer.reader
        generation = {
            "id": serving.generation_id,
            "created_at": reader.generation.created_at,
            "sequence": serving.pointer.sequence,
            "loaded_at": serving.loaded_at,
            "chunks": len(reader),
        }
    return {
        "pid": os.getpid(),
        "uptime_s": round(time.monotonic() - service.started, 1),
        "generation": generation,
        "last_load_error": service.live.error,
        "engines_problem": service.engines_problem(),
        "running": service.gate.running,
        "waiting": service.gate.waiting,
    }
