"""The OpenAI-compatible border: an answer as a chat completion, whole or in chunks.

What clients read differs, so citations are said in each of the usual places: ``[n]`` in the text,
``annotations`` of the message, a list of addresses beside it, and an ``event`` for each source,
which Open WebUI shows. ``rag`` holds the whole record.
"""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rag_assets.answers.answer import Answer
from rag_assets.answers.citations import Citation
from rag_assets.answers.openai_shapes import annotations, choices, reason_of, usage
from rag_assets.answers.policy import MODES
from rag_assets.answers.telling import Said
from rag_assets.markup import visible
from rag_assets.serving.chat_request import PREFIX, SOURCES, ChatRequest
from rag_assets.serving.refusals import Refusal

DONE = "data: [DONE]\n\n"
KEEP_ALIVE = ": keep-alive\n\n"
# What makes Markdown of a name, and what makes a client load pictures that a document names.
_OF_MARKDOWN = re.compile(r"[\\`*<&\[\]]")
_PICTURE = re.compile(r"!(?=\[(?!\d+\](?![(\[:])))|<(?=[a-z])", re.IGNORECASE)


def models_listed() -> dict[str, Any]:
    """Body of ``GET /v1/models``."""
    return {"object": "list", "data": [model_listed(f"{PREFIX}{mode}") for mode in MODES]}


def model_listed(name: str) -> dict[str, Any]:
    """Body of ``GET /v1/models/{id}``."""
    return {"id": name, "object": "model", "created": 0, "owned_by": "rag_assets"}


def event_line(record: Mapping[str, Any], name: str = "") -> str:
    """A record as a server-sent event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(record, ensure_ascii=False)}\n\n"


@dataclass(slots=True)
class Completing:
    """One completion as it comes to be: the sentences that were said are its text.

    Attributes:
        request: that asked.
        base_url: of this service, with a slash at the end; citations are linked below it.
        id: of the answer.
        created: seconds since 1970.
        text: that was said.
        citations: that the text names.
    """

    request: ChatRequest
    base_url: str
    id: str
    created: int = field(default_factory=lambda: int(time.time()))
    text: str = ""
    citations: list[Citation] = field(default_factory=list)

    def opening(self) -> str:
        """The first chunk."""
        return self._chunk({"role": "assistant", "content": ""})

    def said(self, said: Said) -> str:
        """The chunks of a sentence, each new source in one of its own before it."""
        self.add(said)
        events = [
            self._chunk({"content": ""}, event=self._source_event(one)) for one in said.citations
        ]
        return "".join([*events, self._chunk({"content": _without_pictures(said.text)})])

    def add(self, said: Said) -> None:
        """Take a sentence to the text."""
        self.text += _without_pictures(said.text)
        self.citations += said.citations

    def closing(self, answer: Answer | None) -> str:
        """The last chunks, and the mark of the end; None: no question was answered."""
        sources = self._sources()
        chunks = [self._chunk({"content": sources})] if sources else []
        about = {"citations": self._urls(), "rag": self._record(answer)}
        annotated = self._annotations()
        delta = {"annotations": annotated} if annotated else {}
        chunks.append(self._chunk(delta, self._reason(answer), **about))
        if self.request.includes_usage:
            chunks.append(event_line({**self._head(), "choices": [], "usage": usage_of(answer)}))
        return "".join([*chunks, DONE])

    def body(self, answer: Answer | None) -> dict[str, Any]:
        """All of it at once; None: no question was answered."""
        text, reason = self.text + self._sources(), self._reason(answer)
        return {
            **self._head("chat.completion"),
            "choices": choices(text, self._annotations(), reason),
            "usage": usage_of(answer),
            "citations": self._urls(),
            "rag": self._record(answer),
        }

    def _head(self, kind: str = "chat.completion.chunk") -> dict[str, Any]:
        return {
            "id": self.id, "object": kind, "created": self.created, "model": self.request.model
        }  # fmt: skip

    def _chunk(self, delta: Mapping[str, Any], reason: str | None = None, **more: Any) -> str:  # noqa: ANN401 - JSON
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        usage = {"usage": None} if self.request.includes_usage else {}
        return event_line({**self._head(), "choices": [choice], **usage, **more})

    def _reason(self, answer: Answer | None) -> str:
        if answer is None:
            return "stop"
        if len(self.text) < len(answer.answer):
            return "length"
        return reason_of(answer.finish_reason)

    def _record(self, answer: Answer | None) -> dict[str, Any]:
        record = {} if answer is None else answer.to_record()
        return {**record, "ignored": self.request.ignored}

    def _url(self, citation: Citation) -> str:
        """The page, with the citation open in its document."""
        return f"{self.base_url}?c={self.id}.{citation.n}"

    def _urls(self) -> list[str]:
        return [self._url(one) for one in self.citations]

    def _sources(self) -> str:
        if not self.citations or not self.request.sources_in_text:
            return ""
        return SOURCES + "\n".join(map(self._source, self.citations))

    def _source(self, citation: Citation) -> str:
        name, uri = _plain(_name(citation)), _plain(citation.uri)
        return f"{citation.n}. [{name}]({self._url(citation)}), {uri}"

    def _annotations(self) -> list[dict[str, Any]]:
        cited = {str(one.n): (_name(one), self._url(one)) for one in self.citations}
        return annotations(self.text, cited)

    def _source_event(self, citation: Citation) -> dict[str, Any]:
        """What Open WebUI keeps with a message and shows; it numbers sources by their address."""
        url, name = self._url(citation), _name(citation)
        data = {
            "source": {"name": name, "url": url},
            "document": [citation.quote],
            "metadata": [{"source": url, "name": name, "external": True}],
        }
        return {"type": "source", "data": data}


def _name(citation: Citation) -> str:
    return citation.title or citation.uri


def _plain(text: str) -> str:
    """The text on one line, as Markdown that shows it."""
    return _OF_MARKDOWN.sub(r"\\\g<0>", visible(" ".join(text.split())))


def _without_pictures(text: str) -> str:
    """A sentence in which neither Markdown's pictures nor HTML's elements are such."""
    return _PICTURE.sub(r"\\\g<0>", text)


def usage_of(answer: Answer | None) -> dict[str, Any]:
    """The tokens of all models; None: no question was answered."""
    return usage(asdict(used) for used in answer.usage.values()) if answer else usage(())


def failed(refusal: Refusal) -> str:
    """The end of a stream that failed after it had begun."""
    return event_line({"error": refusal.error}) + DONE
