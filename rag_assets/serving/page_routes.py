"""The routes that the page asks beside ``/v1/answers``; see ``add_page_routes``."""

import asyncio
import logging
from typing import Any, Literal

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from rag_assets.answers.feedback import Verdict, record_feedback
from rag_assets.documents.page_images import drawn
from rag_assets.documents.readers.blocks import RejectedError
from rag_assets.lake.store import LakeError
from rag_assets.serving.keys import caller_of
from rag_assets.serving.page import GUARDS
from rag_assets.serving.passages_shown import Shown, answer_seen, passage_shown
from rag_assets.serving.service import NoCitationError, Service
from rag_assets.serving.sources_shown import sources_shown

log = logging.getLogger("rag_assets.serving")
N_DRAWING = 2  # pages at once; each takes a core and up to 2 GB


class Feedback(BaseModel):
    """Body of ``POST /v1/feedback``."""

    answer_id: str = Field(max_length=200)
    verdict: Literal["right", "wrong"]
    expected: str = Field(default="", max_length=500, description="the fact in a few words")
    unanswerable: bool = Field(default=False, description="no document holds the answer")


def add_page_routes(app: FastAPI, service: Service) -> None:
    """Sources, passages, pages of PDFs and feedback, each for what the caller may read."""
    store = service.store
    drawing = asyncio.Semaphore(N_DRAWING)

    def shown(answer_id: str, n: int, request: Request) -> Shown:
        return passage_shown(store, service.citation(answer_id, n, caller_of(request)))

    @app.get("/v1/sources")
    def sources(request: Request) -> dict[str, Any]:
        if service.live.current is None:
            return {"generation": None, "sources": [], "document_types": []}
        return sources_shown(store, service.answerer(caller_of(request)).reader)

    @app.get("/v1/passages/{answer_id}/{n}")
    def passage(answer_id: str, n: int, request: Request, response: Response) -> dict[str, Any]:
        response.headers.update(GUARDS)
        return shown(answer_id, n, request).to_record()

    @app.get("/v1/passages/{answer_id}/{n}/pages/{page}")
    async def page(answer_id: str, n: int, page: int, request: Request) -> Response:
        found = await run_in_threadpool(shown, answer_id, n, request)
        if page not in found.pages:
            raise NoCitationError(f"there is no page {page} of citation {n} of {answer_id!r:.80}")
        try:
            async with drawing:
                data = await run_in_threadpool(store.get_blob, found.raw_hash)
                picture = await run_in_threadpool(drawn, data, page, found.citation["quote"])
        except (RejectedError, LakeError, FileNotFoundError) as error:
            log.warning("page %d of %s is not shown: %s", page, found.citation["uri"], error)
            raise NoCitationError(f"page {page} cannot be drawn; the log says why") from error
        return Response(picture, media_type="image/png", headers=GUARDS)

    @app.post("/v1/feedback")
    def feedback(body: Feedback, request: Request) -> dict[str, str]:
        caller = caller_of(request)
        sees = (lambda _: True) if caller.view is None else caller.view.sees
        record = answer_seen(store, body.answer_id, sees)
        if record is None:
            raise NoCitationError(f"there is no answer {body.answer_id!r:.80}")
        verdict = Verdict(body.verdict == "right", body.expected, body.unanswerable)
        record_feedback(store, record, verdict, caller.name)
        return {"status": "kept"}
