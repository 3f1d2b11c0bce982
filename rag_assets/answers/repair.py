"""Generate an answer, and continue it once if it was cut (``finish_reason`` is "length").

A cut answer breaks off in the middle of a sentence. It is continued from there with the budget's
repair tokens; the prompt is in the engine's prefix cache by then. If it is still cut, the answer
ends at its last whole sentence, and its finish reason stays "length".

A model that may think aloud and never comes to an answer is asked again without thinking.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Unpack

from rag_assets.answers.budget import Packed
from rag_assets.models.clients.thoughts import without_thoughts
from rag_assets.models.errors import ModelRequestError
from rag_assets.models.protocols import ChatModel, ChatOptions, Completion, Message
from rag_assets.retrieval.terms import sentences

CUT = "length"
MAX_LOGPROB = 0.01  # rounding may lift the logarithm of a probability above 0, not further
NOTHING_WRITTEN = "the model was cut before it wrote anything"
TEMPLATE_MARGIN = 16  # tokens by which a continued chat may exceed prompt + text (merges, template)


@dataclass(frozen=True, slots=True)
class Generated:
    """A finished text.

    Attributes:
        text: all of it, continuation included.
        finish_reason: of the last call; the true one.
        completions: the calls, in order.
        repairs: what was done about a cut, one sentence each.
        mean_logprob: of the call that began the answer; a continuation depends on it.
    """

    text: str
    finish_reason: str
    completions: tuple[Completion, ...]
    repairs: tuple[str, ...] = ()
    mean_logprob: float | None = None

    @property
    def confidence(self) -> float | None:
        """The geometric mean of the probabilities of the answer's tokens."""
        return None if self.mean_logprob is None else math.exp(self.mean_logprob)


def generate(
    model: ChatModel,
    packed: Packed,
    *,
    timeout_s: float,
    heard: Callable[[str], None] | None = None,
) -> Generated:
    """Complete the packed chat, continuing once if it was cut.

    Args:
        model: the engine.
        packed: a chat that fits the window, answer included; without tokens for a repair in its
            budget no continuation is tried.
        timeout_s: of each call.
        heard: called with the text so far, if the model streams and does not think aloud; the
            finished text begins with the whole sentences of it.
    """
    calls, notes = _begun(model, packed, timeout_s, heard)
    first = calls[-1]

    def made(text: str, reason: str, *more: str) -> Generated:
        return Generated(text.strip(), reason, tuple(calls), (*notes, *more), first.mean_logprob)

    if first.finish_reason != CUT:
        return made(first.text, first.finish_reason)
    if not first.text.strip():
        return made("", CUT, *(() if notes else [NOTHING_WRITTEN]))
    # The window as it really is: the prompt as counted by the engine, and what it generated.
    used = max(packed.prompt_tokens, first.prompt_tokens) + first.completion_tokens
    room = min(packed.budget.repair, model.max_model_len - used - TEMPLATE_MARGIN)
    if room <= 0:
        note = "the answer was cut at its token limit; the context window has no room to continue"
        return _ended(made(first.text, CUT, note))
    second = complete(
        model, packed.messages, max_tokens=room, timeout_s=timeout_s, prefix=first.text
    )
    calls.append(second)
    note = (
        f"the answer was cut after {first.completion_tokens} tokens; continued with "
        f"{second.completion_tokens} more"
    )
    done = made(first.text + second.text, second.finish_reason, note)
    return _ended(done) if second.finish_reason == CUT else done


def _begun(
    model: ChatModel, packed: Packed, timeout_s: float, heard: Callable[[str], None] | None
) -> tuple[list[Completion], tuple[str, ...]]:
    """The calls until an answer begins, and what is to be said of them.

    A text that was cut without a mark of thinking may be a thought that has no end yet: it is no
    answer, unless the model was not to think.
    """
    answer, thinking = packed.budget.answer, packed.budget.thinking
    options: ChatOptions = {
        "max_tokens": thinking + answer,
        "timeout_s": timeout_s,
        "thinking": thinking > 0,
    }
    if heard is not None and not thinking and getattr(model, "streams", False):
        options["heard"] = heard
    first = complete(model, packed.messages, **options)
    is_thought = first.finish_reason == CUT and not (first.thought and first.text.strip())
    if not thinking or not is_thought:
        return [first], ()
    note = f"the model thought for all of its {thinking + answer} tokens; asked without thinking"
    second = complete(model, packed.messages, max_tokens=answer, timeout_s=timeout_s)
    if second.finish_reason == CUT and not second.thought and not first.thought:
        second = replace(second, text="", mean_logprob=None)
        note += ", and cut again: what it wrote cannot be told from thinking"
    return [first, second], (note,)


def complete(
    model: ChatModel, messages: Sequence[Message], **options: Unpack[ChatOptions]
) -> Completion:
    """One call of any model; of what it returns, no more is trusted than a Completion promises.

    Log-probabilities that cannot be any count as unknown: the answer stands without them.

    Raises:
        ModelRequestError: no Completion came, or one without a text or numbers of tokens.
    """
    who = f"the model {model.model_id} (role {model.name})"
    try:
        done = model.complete(messages, **options)
    except (LookupError, AttributeError, TypeError, ValueError) as error:
        raise ModelRequestError(
            f"{who} failed to answer: {error!r}; is its client right?"
        ) from error
    if not isinstance(done, Completion):
        raise ModelRequestError(f"{who} must return a Completion, got {type(done).__name__}")
    for name in ("text", "finish_reason"):
        if not isinstance(value := getattr(done, name), str):
            raise ModelRequestError(f"{who} must return text as {name}, got {value!r:.200}")
    for name in ("prompt_tokens", "cached_prompt_tokens", "completion_tokens"):
        if not isinstance(value := getattr(done, name), int):
            raise ModelRequestError(f"{who} must count its {name}, got {value!r:.200}")
    mean = done.mean_logprob if _is_logprob(done.mean_logprob) else None
    told = done.first.items() if isinstance(done.first, Mapping) else ()
    is_right = all(isinstance(token, str) and _is_logprob(p) for token, p in told)
    text = without_thoughts(done.text)
    return replace(
        done,
        text=text.encode("utf-8", "replace").decode(),  # half a pair cannot be written down
        mean_logprob=None if mean is None else min(mean, 0.0),
        thought=done.thought or text != done.text,
        first=dict(told) if is_right else {},
    )


def _is_logprob(value: object) -> bool:
    return isinstance(value, int | float) and -math.inf < value < MAX_LOGPROB


def _ended(generated: Generated) -> Generated:
    """Without the broken sentence at the end, if there is a whole one before it; says so."""
    text, spans = generated.text, sentences(generated.text)
    if text[-1:] in ".!?":
        note = "still cut: there may be more to say"
    elif len(spans) < 2:
        note = "still cut: its only sentence is not whole"
    else:
        note, text = "still cut: ended at the last whole sentence", text[: spans[-2][1]]
    return replace(generated, text=text, repairs=(*generated.repairs, note))
