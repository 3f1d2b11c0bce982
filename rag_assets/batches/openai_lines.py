"""Lines of OpenAI's batches: what an answer becomes where the question was such a line.

A line of the output has ``id``, ``custom_id``, ``response`` and ``error``, one of the two last is
null. The body is a chat completion. Its citations are addresses of documents, as a file knows no
answerer; ``rag`` holds the whole record.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from rag_assets.answers.openai_shapes import annotations, choices, reason_of, usage
from rag_assets.batches.outcomes import Outcome

OK = 200
FAILED, NOT_ASKED = "question_failed", "question_not_asked"  # codes of errors


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
    text = record["answer"]
    cited = {str(one["n"]): (one["title"] or one["uri"], one["uri"]) for one in record["citations"]}
    return {
        "id": record["answer_id"],
        "object": "chat.completion",
        "created": int(datetime.fromisoformat(record["created_at"]).timestamp()),
        "model": model,
        "choices": choices(text, annotations(text, cited), reason_of(record["finish_reason"])),
        "usage": usage(record["usage"].values()),
        "citations": [one["uri"] for one in record["citations"]],
        "rag": record,
    }
