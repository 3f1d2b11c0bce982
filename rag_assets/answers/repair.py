"""Generate an answer, and continue it once if it was cut (``finish_reason`` is "length").

A cut answer breaks off in the middle of a sentence. It is continued from there with the budget's
repair tokens; the prompt is in the engine's prefix cache by then. If it is still cut, the answer
ends at its last whole sentence, and its finish reason stays "length".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rag_assets.answers.budget import Packed
from rag_assets.models.errors import ModelRequestError
from rag_assets.models.protocols import CHAT_TIMEOUT_S, ChatModel, Completion, Message
from rag_assets.retrieval.terms import sentences

CUT = "length"
MAX_LOGPROB = 0.01  # rounding may lift the logarithm of a probability above 0, not further
TEMPLATE_MARGIN = 16  # tokens by which a continued chat may exceed prompt + text (merges, template)


@dataclass(frozen=True, slots=True)
class Generated:
    """A finished text.

    Attributes:
        text: all of it, continuation included.
        finish_reason: of the last call; the true one.
        completions: the calls, in order.
        repairs: what was done about a cut, one sentence each.
    """

    text: str
    finish_reason: str
    completions: tuple[Completion, ...]
    repairs: tuple[str, ...] = ()

    @property
    def mean_logprob(self) -> float | None:
        """The mean of the first call; the continuation depends on it."""
        return self.completions[0].mean_logprob

    @property
    def confidence(self) -> float | None:
        """The geometric mean of the probabilities of the first call's tokens."""
        return None if self.mean_logprob is None else math.exp(self.mean_logprob)


def generate(model: ChatModel, packed: Packed, *, timeout_s: float) -> Generated:
    """Complete the packed chat, continuing once if it was cut.

    Args:
        model: the engine.
        packed: a chat that fits the window, answer included; without tokens for a repair in its
            budget no continuation is tried.
        timeout_s: of each call.
    """
    first = complete(model, packed.messages, max_tokens=packed.budget.answer, timeout_s=timeout_s)
    if first.finish_reason != CUT:
        return Generated(first.text.strip(), first.finish_reason, (first,))
    # The window as it really is: the prompt as counted by the engine, and what it generated.
    used = max(packed.prompt_tokens, first.prompt_tokens) + first.completion_tokens
    room = min(packed.budget.repair, model.max_model_len - used - TEMPLATE_MARGIN)
    if room <= 0:
        note = "the answer was cut at its token limit; the context window has no room to continue"
        return _ended(Generated(first.text.strip(), CUT, (first,), (note,)))
    second = complete(
        model, packed.messages, max_tokens=room, timeout_s=timeout_s, prefix=first.text
    )
    note = (
        f"the answer was cut after {first.completion_tokens} tokens; continued with "
        f"{second.completion_tokens} more"
    )
    text = (first.text + second.text).strip()
    done = Generated(text, second.finish_reason, (first, second), (note,))
    return _ended(done) if second.finish_reason == CUT else done


def complete(
    model: ChatModel,
    messages: Sequence[Message],
    *,
    max_tokens: int,
    timeout_s: float = CHAT_TIMEOUT_S,
    prefix: str = "",
) -> Completion:
    """One call of any model; of what it returns, no more is trusted than a Completion promises.

    A mean log-probability that cannot be one counts as unknown: the answer stands without it.

    Raises:
        ModelRequestError: no Completion came, or one without a text or numbers of tokens.
    """
    who = f"the model {model.model_id} (role {model.name})"
    try:
        done = model.complete(messages, max_tokens=max_tokens, timeout_s=timeout_s, prefix=prefix)
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
    mean = done.mean_logprob
    if not isinstance(mean, int | float) or not (-math.inf < mean < MAX_LOGPROB):
        mean = None
    text = done.text.encode("utf-8", "replace").decode()  # half a pair cannot be written down
    return replace(done, text=text, mean_logprob=None if mean is None else min(mean, 0.0))


def _ended(generated: Generated) -> Generated:
    """Without the broken sentence at the end, if there is a whole one before it."""
    spans = sentences(generated.text)
    if len(spans) < 2 or generated.text[-1] in ".!?":
        return generated
    note = "still cut: ended at the last whole sentence"
    return replace(
        generated,
        text=generated.text[: spans[-2][1]],
        repairs=(*generated.repairs, note),
    )
