"""Ask the small model about a document: constrained JSON out, labels checked.

The model reads the title, the headings and the beginning: a document says early what it is, and
prompt length decides what classification costs.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from rag_assets.models.clients.openai_http import ChatModel

DOCUMENT_TYPES: Final = (
    "guide",
    "reference",
    "specification",
    "timetable or price list",
    "policy or procedure",
    "report",
    "minutes",
    "log",
    "notice",
    "press release",
    "article",
    "other",
)
MAX_PROMPT_CHARS: Final = 1400  # about 350 tokens
MAX_ANSWER_TOKENS: Final = 140
SYSTEM: Final = (
    "You describe documents for a search index. Reply with one JSON object. "
    "document_type: the best fitting label. topics: what it is about, two or three short terms. "
    "entities: names of people, places, ships, products or organisations in it. "
    "summary: one sentence of at most twelve words. question: one question that it answers."
)
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "document_type": {"type": "string", "enum": list(DOCUMENT_TYPES)},
        "topics": {
            "type": "array",
            "items": {"type": "string", "maxLength": 30},
            "minItems": 1,
            "maxItems": 3,
        },
        "entities": {
            "type": "array",
            "items": {"type": "string", "maxLength": 40},
            "maxItems": 4,
        },
        "summary": {"type": "string", "maxLength": 130},
        "question": {"type": "string", "maxLength": 100},
    },
    "required": ["document_type", "topics", "entities", "summary", "question"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Labels:
    """What the model said; ``outcome`` is ``ok``, or why the labels are empty."""

    document_type: str
    topics: list[str]
    entities: list[str]
    summary: str
    questions: list[str]
    outcome: str = "ok"


def describe(title: str, headings: Sequence[str], text: str) -> str:
    """The excerpt that the model reads, at most ``MAX_PROMPT_CHARS`` characters."""
    outline = "; ".join(dict.fromkeys(headings))[:400]
    front = f"Title: {title}\nHeadings: {outline}\nText: "
    return front + text[: max(MAX_PROMPT_CHARS - len(front), 200)]


def classify(model: ChatModel, excerpt: str) -> Labels:
    """Labels of a document, by what ``describe`` made of it.

    The model's entities count only if they stand in the excerpt: a small model invents names.

    Raises:
        EngineUnavailableError: the model does not answer.
    """
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": excerpt}]
    reply = model.complete(messages, max_tokens=MAX_ANSWER_TOKENS, json_schema=SCHEMA)
    if reply.finish_reason != "stop":
        # Labels run long in a text full of names; the schema bounds them, so once more is enough.
        reply = model.complete(messages, max_tokens=2 * MAX_ANSWER_TOKENS, json_schema=SCHEMA)
    try:
        said = json.loads(reply.text)
        return checked(said, excerpt)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Labels(
            "other", [], [], "", [],
            f"the model's reply is not of the schema ({reply.finish_reason}): {error}"[:300],
        )  # fmt: skip


def checked(said: dict[str, Any], excerpt: str) -> Labels:
    """The labels that hold: known type, folded topics without repeats, entities that occur.

    Raises:
        ValueError: the document type is not one of ``DOCUMENT_TYPES``.
    """
    if said["document_type"] not in DOCUMENT_TYPES:
        raise ValueError(f"document_type {said['document_type']!r} is not one of the labels")
    folded = excerpt.casefold()
    topics = dict.fromkeys(" ".join(topic.split()).lower() for topic in said["topics"])
    entities = dict.fromkeys(" ".join(name.split()) for name in said["entities"])
    return Labels(
        document_type=said["document_type"],
        topics=[topic for topic in topics if topic],
        entities=[name for name in entities if name and name.casefold() in folded],
        summary=" ".join(said["summary"].split()),
        questions=[" ".join(said["question"].split())] if said["question"].strip() else [],
    )
