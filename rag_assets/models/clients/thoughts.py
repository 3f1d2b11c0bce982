"""What a model thinks aloud before its answer, and how it is kept out of the answer.

A server with a reasoning parser sends thoughts apart; others leave them in the text, between marks.
Thoughts without an end were cut off by the limit of tokens. Some chat templates write the opening
mark into the prompt: then the text has the closing one alone.
"""

import re
from typing import Final

# How a request says it, in the words of the chat templates of Qwen and GLM, and of DeepSeek and
# Granite; a template ignores what it does not know.
SWITCHES: Final = ("enable_thinking", "thinking")

_NAMES = r"(?:think|thinking|thoughts?|reasoning|seed:think)"
_OPEN = re.compile(rf"<{_NAMES}>|\[THINK\]", re.IGNORECASE)
_CLOSE = re.compile(rf"</{_NAMES}>|\[/THINK\]", re.IGNORECASE)
_CUT = re.compile(
    r"(?:</?(?:th|re|se)[a-z:]*|\[/?TH[A-Z]*)\Z", re.IGNORECASE
)  # a mark in the making


def switched(on: bool) -> dict[str, bool]:
    """``chat_template_kwargs`` of a request that has a model think, or not."""
    return dict.fromkeys(SWITCHES, on)


def answer_start(text: str) -> int:
    """Where the answer begins: behind the last thought; at the end, if that has no end."""
    closed = [found.end() for found in _CLOSE.finditer(text)]
    start = closed[-1] if closed else 0
    opened = _OPEN.search(text, start)
    return len(text) if opened and not text[start : opened.start()].strip() else start


def without_thoughts(text: str) -> str:
    """The text from the end of its last thought to the next that was begun.

    What stands before a closing mark counts as thought, also where the opening one is missing, or
    where the limit of tokens cut the mark itself.
    """
    answer = text[answer_start(text) :]
    begun = _OPEN.search(answer) or _CUT.search(answer)
    if begun is None:
        return answer
    return "" if begun[0][1:2] == "/" else answer[: begun.start()]
