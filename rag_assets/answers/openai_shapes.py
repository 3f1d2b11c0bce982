"""What an answer becomes in OpenAI's chat completions, over HTTP and in files of batches alike."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

REASONS = frozenset({"stop", "length", "content_filter", "tool_calls"})
_MARKER = re.compile(r"\[(\d+)\]")


def reason_of(finish_reason: str) -> str:
    """The true reason; OpenAI has none where no model was asked: "stop"."""
    return finish_reason if finish_reason in REASONS else "stop"


def annotations(text: str, cited: Mapping[str, tuple[str, str]]) -> list[dict[str, Any]]:
    """One for each marker in the text.

    Args:
        text: with markers [n].
        cited: number, as in a marker -> title and address.
    """
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "start_index": found.start(),
                "end_index": found.end(),
                "title": cited[found[1]][0],
                "url": cited[found[1]][1],
            },
        }
        for found in _MARKER.finditer(text)
        if found[1] in cited
    ]


def choices(text: str, annotated: list[dict[str, Any]], reason: str) -> list[dict[str, Any]]:
    """The one choice of a completion that is whole."""
    message = {"role": "assistant", "content": text, "refusal": None, "annotations": annotated}
    return [{"index": 0, "message": message, "finish_reason": reason, "logprobs": None}]


def usage(of_models: Iterable[Mapping[str, int]]) -> dict[str, Any]:
    """The tokens of all models; each is one of ``usage`` in the record of an answer."""
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
