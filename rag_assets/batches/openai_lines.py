"""Lines of OpenAI's batches: what an answer becomes where the question was such a line.

A line of the output has ``id``, ``custom_id``, ``response`` and ``error``, one of the two last is
null. The body is a chat completion. Its citations are addresses of documents, as a file knows no
answerer; ``rag`` holds the whole record.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from rag_assets.batches.outcomes import Outcome

OK = 200
FAILED, NOT_ASKED = "question_failed", "question_not_asked"  # codes of errors
_REASONS = ("stop", "length", "content_filter")  # what OpenAI knows of why an answer ended
_MARKER = re.compile(r"\[(\d+)\]")


def line_of(given: Mapping[str, Any], outcome: Outcome | None) -> dict[str, Any]:
    """The line of the output for a line of the input.

    Args:
        given: the line of the input; see ``questions.is_openai``.
        outcome: of its question; None: it has none.
    """
    head = {"id": f"batch_req_{uuid4().hex}", "custom_id": given["custom_id"]}
    if outcome is None or outcome.record is None:
        code = FAILED if outcome else NOT_ASKED
        message = outcome.error if outcome else "the question was not asked"
        return {**head, "response": None, "error": {"code": code, "message": message}}
    record = outcome.record
    response = {
        "status_code": OK,
        "request_id": record["answer_id"],
        "body": completion_of(record, given["body"].get("model", "rag-auto")),
    }
    return {**head, "response": response, "error": None}


def completion_of(record: Mapping[str, Any], model: str) -> dict[str, Any]:
    """A record of an answer as a chat completion.

    Args:
        record: as ``Answer.to_record`` gives it.
        model: that the request named.
    """
    citations = {str(one["n"]): one for one in record["citations"]}
    reason = record["finish_reason"] if record["finish_reason"] in _REASONS else "stop"
    message = {
        "role": "assistant",
        "content": record["answer"],
        "refusal": None,
        "annotations": [
            _annotation(found, citations[found[1]])
            for found in _MARKER.finditer(record["answer"])
            if found[1] in citations
        ],
    }
    return {
        "id": record["answer_id"],
        "object": "chat.completion",
        "created": int(datetime.fromisoformat(record["created_at"]).timestamp()),
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": reason, "logprobs": None}],
        "usage": _usage(record["usage"].values()),
        "citations": [one["uri"] for one in record["citations"]],
        "rag": record,
    }


def _annotation(found: re.Match[str], cited: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "url_citation",
        "url_citation": {
            "start_index": found.start(),
            "end_index": found.end(),
            "title": cited["title"] or cited["uri"],
            "url": cited["uri"],
        },
    }


def _usage(of_models: Iterable[Mapping[str, int]]) -> dict[str, Any]:
    """The tokens of all models."""
    used = list(of_models)
    prompt, cached, written = (
        sum(one[name] for one in used)
        for name in ("prompt_tokens", "cached_prompt_tokens", "completion_tokens")
    )
    return {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
