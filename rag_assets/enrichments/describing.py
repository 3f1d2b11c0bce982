"""What a document is about, in words: topics, a summary and a question, by the small model.

It writes some 100 tokens a document, which costs seconds; only sources that say ``enrich: full``
want it. The model reads the beginning: prompt length decides what it costs beside that.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

from rag_assets.markup import without_control_tokens
from rag_assets.models.protocols import ChatModel

VERSION: Final = "2"  # of this code; what is in the cache under another is described again
MAX_ANSWER_TOKENS: Final = 110
SYSTEM: Final = (
    "You describe documents for a search index. Reply with one JSON object. "
    "topics: what it is about, two or three short terms. "
    "summary: one sentence of at most twelve words. question: one question that it answers."
)
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "topics": {
            "type": "array",
            "items": {"type": "string", "maxLength": 30},
            "minItems": 1,
            "maxItems": 3,
        },
        "summary": {"type": "string", "maxLength": 130},
        "question": {"type": "string", "maxLength": 100},
    },
    "required": ["topics", "summary", "question"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Description:
    """What the model wrote; ``outcome`` is ``ok``, or why the rest is empty."""

    topics: list[str]
    summary: str
    questions: list[str]
    outcome: str = "ok"


NOTHING: Final = Description([], "", [])


def describe(model: ChatModel, excerpt: str) -> Description:
    """Describe a document by its excerpt.

    Raises:
        EngineUnavailableError: the model does not answer.
    """
    read = without_control_tokens(excerpt)
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": read}]
    reply = model.complete(messages, max_tokens=MAX_ANSWER_TOKENS, json_schema=SCHEMA)
    if reply.finish_reason != "stop":
        # Some texts make it wordy; the schema bounds what it writes, so once more is enough.
        reply = model.complete(messages, max_tokens=2 * MAX_ANSWER_TOKENS, json_schema=SCHEMA)
    try:
        return _tidied(json.loads(reply.text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Description(
            [], "", [],
            f"the model's reply is not of the schema ({reply.finish_reason}): {error}"[:300],
        )  # fmt: skip


def _tidied(said: dict[str, Any]) -> Description:
    """Topics folded and without repeats, spaces single, no empty question."""
    topics = dict.fromkeys(" ".join(topic.split()).lower() for topic in said["topics"])
    question = " ".join(said["question"].split())
    return Description(
        topics=[topic for topic in topics if topic],
        summary=" ".join(said["summary"].split()),
        questions=[question] if question else [],
    )
