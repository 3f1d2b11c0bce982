"""The routes on which questions are asked; see ``add_answers``."""

import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, Field

from rag_assets.answers.answer import Answer
from rag_assets.answers.filters import Filters
from rag_assets.answers.telling import Begun, Event, Said, Status, Tell
from rag_assets.serving.chat import (
    KEEP_ALIVE,
    Completing,
    event_line,
    failed,
    model_listed,
    models_listed,
)
from rag_assets.serving.chat_request import ChatMessage, ChatRequest, mode_of, turns_of
from rag_assets.serving.failures import refusal_of
from rag_assets.serving.housekeeping import housekeeping
from rag_assets.serving.keys import caller_of
from rag_assets.serving.service import Service
from rag_assets.serving.streaming import telling

Events = AsyncIterator[Event | Answer | None]


class Question(BaseModel):
    """Body of ``POST /v1/answers``."""

    question: str
    mode: str = Field(default="auto", description="auto, fact or deep")
    filters: dict[str, Any] = Field(default={}, description="which documents are read")
    messages: list[ChatMessage] = Field(default=[], description="the conversation before it")
    stream: bool = Field(default=False, description="tell what happens, and each sentence")
    batch: bool = Field(default=False, description="what is asked by hand goes ahead")


def add_answers(app: FastAPI, service: Service) -> None:
    """Answers, chat completions, citations and models, below /v1."""

    def asking(
        request: Request,
        question: str,
        mode: str,
        **options: Any,  # noqa: ANN401 - of Service.answer
    ) -> Events:
        def work(gone: threading.Event, tell: Tell) -> Answer:
            caller = caller_of(request)
            return service.answer(question, mode, gone=gone, tell=tell, caller=caller, **options)

        return telling(work, request, service.gate)

    @app.post("/v1/answers")
    async def answers(body: Question, request: Request) -> Response:
        filters = Filters.of(body.filters)
        turns = turns_of([*body.messages, ChatMessage(role="user", content=body.question)])
        events = asking(
            request, body.question, body.mode, filters=filters, turns=turns, batch=body.batch
        )
        await _begun(events)
        if body.stream:
            return _streamed(_answer_events(service, events))
        return JSONResponse((await _answered(events)).to_record())

    @app.post("/v1/chat/completions")
    async def completions(body: ChatRequest, request: Request) -> Response:
        body.check()
        mode, question = body.mode(), body.question()
        base_url = str(request.base_url)
        if (reply := housekeeping(question)) is not None:
            completing = Completing(body, base_url, f"task_{uuid4().hex}")
            said = Said(reply)
            if body.stream:
                parts = [completing.opening(), completing.said(said), completing.closing(None)]
                return _streamed(_each(parts))
            completing.add(said)
            return JSONResponse(completing.body(None))
        events = asking(
            request,
            question,
            mode,
            filters=Filters.of(body.filters),
            turns=body.turns(),
            user=body.user or "",
            most_tokens=body.most_tokens,
        )
        begun = await _begun(events)
        completing = Completing(body, base_url, begun.answer_id)
        if body.stream:
            return _streamed(_chat_events(service, completing, events))
        answer = await _answered(events, completing)
        return JSONResponse(completing.body(answer))

    @app.get("/v1/citations/{answer_id}")
    def citation(answer_id: str, n: int, request: Request) -> dict[str, Any]:
        return service.citation(answer_id, n, caller_of(request))

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return models_listed()

    @app.get("/v1/models/{name}")
    async def model(name: str) -> dict[str, Any]:
        mode_of(name)
        return model_listed(name)


async def _begun(events: Events) -> Begun:
    """The event with which an answer begins; what fails before it has a true status."""
    async for event in events:
        if isinstance(event, Begun):
            return event
    raise RuntimeError("expected an answer to begin, it ended")


async def _answered(events: Events, completing: Completing | None = None) -> Answer:
    async for event in events:
        if isinstance(event, Said) and completing is not None:
            completing.add(event)
        if isinstance(event, Answer):
            return event
    raise RuntimeError("expected an answer, it never came")


async def _answer_events(service: Service, events: Events) -> AsyncIterator[str]:
    try:
        async for event in events:
            if event is None:
                yield KEEP_ALIVE
            elif isinstance(event, Status):
                yield event_line({"status": event.text}, "status")
            elif isinstance(event, Said):
                yield event_line(event.to_record(), "sentence")
            elif isinstance(event, Answer):
                yield event_line(event.to_record(), "answer")
    except Exception as error:  # noqa: BLE001 - the process border: the status is sent already
        yield event_line({"error": refusal_of(service, error).error}, "error")


async def _chat_events(
    service: Service, completing: Completing, events: Events
) -> AsyncIterator[str]:
    yield completing.opening()
    try:
        async for event in events:
            if event is None:
                yield KEEP_ALIVE
            elif isinstance(event, Said):
                yield completing.said(event)
            elif isinstance(event, Answer):
                yield completing.closing(event)
    except Exception as error:  # noqa: BLE001 - the process border: the status is sent already
        yield failed(refusal_of(service, error))


async def _each(parts: Sequence[str]) -> AsyncIterator[str]:
    for part in parts:
        yield part


def _streamed(parts: AsyncIterator[str]) -> Response:
    # proxies that gather answers would make a stream whole again
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(parts, media_type="text/event-stream", headers=headers)
