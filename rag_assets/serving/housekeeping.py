"""What Open WebUI asks the chat's model beside the questions of people: titles, tags, follow-ups.

Its prompts begin with ``### Task:`` and state the JSON that they want. No document answers them, so
nothing is searched and no model is asked. Where it sends documents of its own with a question, its
prompt begins likewise; the question stands behind them.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence

_TASK = "### Task:"
_WANTED = re.compile(r'\{\s*\\?"(title|tags|follow_ups|queries|prompt|text)\\?"\s*:')
_HISTORY = "<chat_history>"
_USER = re.compile(r"^USER: *(.+)$", re.MULTILINE)
_ASKED = re.compile(r"<user_query>\s*(.*?)\s*</user_query>", re.DOTALL)
_END_OF_DOCUMENTS = "</context>"
_TITLE_WORDS = 8


def housekeeping(prompt: str) -> str | None:
    """The reply to such a prompt; None where it is a question of a person.

    Args:
        prompt: the last turn of the user.
    """
    if not prompt.lstrip().startswith(_TASK) or _END_OF_DOCUMENTS in prompt:
        return None
    instructions, _, history = prompt.partition(_HISTORY)
    wanted = _WANTED.search(instructions)
    if wanted is None:
        return None
    name = wanted.group(1)
    return json.dumps({name: _REPLIES[name](_USER.findall(history))}, ensure_ascii=False)


def question_beside_documents(prompt: str) -> str:
    """The question of a prompt that brings documents of its own, which are not read."""
    if not prompt.lstrip().startswith(_TASK) or _END_OF_DOCUMENTS not in prompt:
        return prompt
    asked = _ASKED.findall(prompt)
    return asked[-1] if asked else prompt.rpartition(_END_OF_DOCUMENTS)[2].strip()


def _title(asked: Sequence[str]) -> str:
    words = asked[0].split() if asked else ["Chat"]
    return " ".join(words[:_TITLE_WORDS]) + (" ..." if len(words) > _TITLE_WORDS else "")


_REPLIES: Mapping[str, Callable[[Sequence[str]], object]] = {
    "title": _title,
    "tags": lambda _: ["General"],  # what its prompt asks for where nothing else is sure
    "follow_ups": lambda _: [],
    "queries": lambda _: [],
    "prompt": lambda _: "",
    "text": lambda _: "",
}
