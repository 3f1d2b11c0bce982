"""Generate an answer, and continue it once if it was cut (``finish_reason`` is "length").

A cut answer breaks off in the middle of a sentence. It is continued from there with the budget's
repair tokens; the prompt is in the engine's prefix cache by then. If it is still cut, the answer
ends at its last whole sentence, and its finish reason stays "length".
"""

from dataclasses import dataclass, replace

from rag_assets.answers.budget import Packed
from rag_assets.models.protocols import ChatModel, Completion
from rag_assets.retrieval.terms import sentences

CUT = "length"
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


def generate(
    model: ChatModel, packed: Packed, *, repair_tokens: int, timeout_s: float
) -> Generated:
    """Complete the packed chat, continuing once if it was cut.

    Args:
        model: the engine.
        packed: a chat that fits the window, answer included.
        repair_tokens: tokens of the continuation; 0 means none is tried.
        timeout_s: of each call.
    """
    first = model.complete(packed.messages, max_tokens=packed.answer_tokens, timeout_s=timeout_s)
    if first.finish_reason != CUT:
        return Generated(first.text.strip(), first.finish_reason, (first,))
    # The window as it really is: the prompt as counted by the engine, and what it generated.
    used = max(packed.prompt_tokens, first.prompt_tokens) + first.completion_tokens
    room = min(repair_tokens, model.max_model_len - used - TEMPLATE_MARGIN)
    if room <= 0:
        note = "the answer was cut at its token limit; the context window has no room to continue"
        return _ended(Generated(first.text.strip(), CUT, (first,), (note,)))
    second = model.complete(
        packed.messages, max_tokens=room, timeout_s=timeout_s, prefix=first.text
    )
    note = (
        f"the answer was cut after {first.completion_tokens} tokens; continued with "
        f"{second.completion_tokens} more"
    )
    text = (first.text + second.text).strip()
    done = Generated(text, second.finish_reason, (first, second), (note,))
    return _ended(done) if second.finish_reason == CUT else done


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
