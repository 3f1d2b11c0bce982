"""The OpenAI-compatible border: a chat in, an answer with citations as a chat completion out."""

import json
import time
from collections.abc import Iterator
from typing import Any

from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict

from rag_assets.answers.answer import Answer
from rag_assets.answers.policy import MODES, Mode
from rag_assets.answers.questions import QuestionError

PREFIX = "rag-"  # models are rag-auto, rag-fact and rag-deep: the mode is the model
OPENAI_REASONS = frozenset({"stop", "length", "content_filter", "tool_calls"})


class ChatMessage(BaseModel):
    """A turn; its content is text, or parts, of which the text parts are read."""

    model_config = ConfigDict(extra="ignore")

    role: str
    content: str | list[dict[str, Any]] | None = None

    def text(self) -> str:
        """The text of the turn."""
        if isinstance(self.content, list):
            return "\n".join(
                str(p.get("text", "")) for p in self.content if p.get("type") == "text"
            )
        return self.content or ""


class ChatRequest(BaseModel):
    """Body of ``POST /v1/chat/completions``; sampling settings are accepted and not used."""

    model_config = ConfigDict(extra="ignore")

    model: str = "rag-auto"
    messages: list[ChatMessage]
    stream: bool = False

    def question(self) -> str:
        """The last turn of the user; earlier turns are not read.

        Raises:
            QuestionError: no turn is the user's.
        """
        turns = [message for message in self.messages if message.role == "user"]
        if not turns:
            raise QuestionError("messages hold no turn of the user; the last one is the question")
        return turns[-1].text()

    def mode(self) -> Mode:
        """The mode that the model's name asks for.

        Raises:
            QuestionError: there is no such model.
        """
        for mode in MODES:
            if self.model == f"{PREFIX}{mode}":
                return mode
        known = ", ".join(f"{PREFIX}{mode}" for mode in MODES)
        raise QuestionError(f"there is no model {self.model!r}; choose one of {known}")


def models_listed() -> dict[str, Any]:
    """Body of ``GET /v1/models``."""
    data = [
        {"id": f"{PREFIX}{mode}", "object": "model", "created": 0, "owned_by": "rag_assets"}
        for mode in MODES
    ]
    return {"object": "list", "data": data}


def chat_response(request: ChatRequest, answer: Answer) -> Response:
    """The answer as one completion, or as a stream of one chunk, a last one, and ``[DONE]``."""
    if request.stream:
        return StreamingResponse(_events(request, answer), media_type="text/event-stream")
    body = _head(request, answer, "chat.completion")
    body["choices"] = [
        {
            "index": 0,
            "message": {"role": "assistant", **_message(answer)},
            "finish_reason": finish_reason(answer),
        }
    ]
    return JSONResponse({**body, "usage": _usage(answer), "rag": answer.to_record()})


def finish_reason(answer: Answer) -> str:
    """The true reason; OpenAI has none for an abstention without a model call: "stop"."""
    return answer.finish_reason if answer.finish_reason in OPENAI_REASONS else "stop"


def _head(request: ChatRequest, answer: Answer, kind: str) -> dict[str, Any]:
    return {
        "id": answer.answer_id,
        "object": kind,
        "created": int(time.time()),
        "model": request.model,
    }


def _message(answer: Answer) -> dict[str, Any]:
    sources = "".join(f"\n[{c.n}] {c.title}: {c.uri}" for c in answer.citations)
    content = f"{answer.answer}\n\nSources:{sources}" if sources else answer.answer
    citations = [c.to_record() for c in answer.citations]
    return {"content": content, "citations": citations, "calibration": answer.calibration}


def _usage(answer: Answer) -> dict[str, Any]:
    prompt = sum(used.prompt_tokens for used in answer.usage.values())
    cached = sum(used.cached_prompt_tokens for used in answer.usage.values())
    written = sum(used.completion_tokens for used in answer.usage.values())
    return {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def _events(request: ChatRequest, answer: Answer) -> Iterator[str]:
    head = _head(request, answer, "chat.completion.chunk")
    said = {"index": 0, "delta": {"role": "assistant", **_message(answer)}, "finish_reason": None}
    last = {"index": 0, "delta": {}, "finish_reason": finish_reason(answer)}
    for choices in ([said], [last]):
        event = {**head, "choices": choices}
        if choices[0] is last:
            event["usage"] = _usage(answer)
        yield f"data: {json.dumps(event, ensure_ascii=False)}\n\n"
    yield "data: [DONE]\n\n"
