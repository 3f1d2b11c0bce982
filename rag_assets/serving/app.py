"""The answerer's HTTP interface; see ``create_app`` for its routes."""

import asyncio
import logging
import os
import time
from functools import partial
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.middleware.trustedhost import TrustedHostMiddleware

from rag_assets.markup import without_places
from rag_assets.serving.asking import add_answers
from rag_assets.serving.browsers import Browsers
from rag_assets.serving.desk import OwnDesk
from rag_assets.serving.documents import add_documents
from rag_assets.serving.failures import add_errors, unready
from rag_assets.serving.keys import Keys
from rag_assets.serving.listening import LOOPBACK_HOSTS, Unstored, WholeBodies
from rag_assets.serving.mcp_server import add_mcp
from rag_assets.serving.page_routes import add_page_routes
from rag_assets.serving.refusals import Refusal
from rag_assets.serving.searching import Searches, add_search
from rag_assets.serving.service import Service
from rag_assets.serving.texts import Texts
from rag_assets.serving.traced import Traced
from rag_assets.telemetry import Traces

log = logging.getLogger("rag_assets.serving")


def create_app(service: Service, traces: Traces | None = None) -> FastAPI:
    """The application.

    Args:
        service: what is served.
        traces: where spans of requests go that ask for them.

    Routes: those of ``Browsers`` and of the functions ``add_...``, POST /admin/reload, GET
    /healthz, /readyz, /metrics, /admin/status. Errors are ``Refusal``s. Where the home has an
    ``access.yaml``, all but the page itself and the two probes need a key; see ``Keys``.
    """
    app = FastAPI(title="rag_assets answerer", docs_url=None, redoc_url=None)
    if traces is not None:
        app.add_middleware(Traced, traces=traces)
    app.add_middleware(Keys, access=service.access, own_key=service.own_key)
    app.add_middleware(Browsers, access=service.access)
    # A web page cannot reach the loopback port under a name of its own (DNS rebinding).
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK_HOSTS, *service.hosts])
    app.add_middleware(Texts)
    app.add_middleware(WholeBodies)
    app.add_middleware(Unstored)
    add_errors(app, service)
    add_answers(app, service)
    searches = Searches(service.answerer)
    add_search(app, searches)
    add_documents(app, service.answerer)
    desk_of = partial(OwnDesk.of, service.answer, searches, service.store)
    add_mcp(app, desk_of, service.gate.leave)
    add_page_routes(app, service)
    _add_health(app, service)
    _add_admin(app, service)
    return app


def _add_health(app: FastAPI, service: Service) -> None:
    # Not in the thread pool: these must answer while every thread waits for an engine.
    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    def readyz() -> Response:
        serving = service.live.current
        if serving is None:
            said = f"no generation is in service: {service.live.error}"
            return unready(said, "not_ready").response()
        if problem := serving.answerer.reader.problem() or service.engines_problem():
            return unready(problem, "engine_unavailable").response()
        ready = {"status": "ready", "generation_id": serving.generation_id}
        return JSONResponse({**ready, "concurrency": service.gate.n_running})

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
            return Refusal(409, error, "reload_refused").response(**record)
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
