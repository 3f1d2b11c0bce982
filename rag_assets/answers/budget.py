"""The token budget: context window = scaffold + question + evidence + answer, counted exactly.

Every count is of the finished chat in the served model's own tokens, so nothing is estimated and
nothing overflows. What the budget cannot hold is left out here, by rank, not cut off by an engine.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag_assets.answers.prompts import Message
from rag_assets.errors import RagError
from rag_assets.models.protocols import ChatModel
from rag_assets.retrieval.passages import Passage

Build = Callable[[Sequence[Passage]], list[Message]]
MIN_UNITS_TOKENS = 24  # evidence room below which a further passage is not worth its name line


class BudgetError(RagError):
    """Scaffold, question and answer alone do not fit the model's context window."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A chat that fits.

    Attributes:
        messages: what is sent.
        passages: the evidence in it, as trimmed, in order of its numbers.
        prompt_tokens: exact size of ``messages``.
        evidence_tokens: what the passages added to the prompt.
        answer_tokens: what may be generated.
    """

    messages: list[Message]
    passages: tuple[Passage, ...]
    prompt_tokens: int
    evidence_tokens: int
    answer_tokens: int


def text_counter(model: ChatModel) -> Callable[[str], int]:
    """Tokens of a text for this model, the chat template not counted."""
    empty = model.count_chat([{"role": "user", "content": ""}])
    return lambda text: max(0, model.count_chat([{"role": "user", "content": text}]) - empty)


def pack(
    model: ChatModel,
    build: Build,
    passages: Sequence[Passage],
    *,
    evidence_tokens: int,
    answer_tokens: int,
    reserve_tokens: int = 0,
) -> Packed:
    """Put as much evidence into the chat as the budget holds, best first.

    A passage that does not fit is cut to the chunks that were found, then at a sentence or line;
    what comes after the first cut passage is left out.

    Args:
        model: counts, and has the context window.
        build: makes the chat from passages.
        passages: best first.
        evidence_tokens: what the evidence may add to the prompt.
        answer_tokens: room kept for the answer.
        reserve_tokens: room kept for a repair beyond the answer.

    Raises:
        BudgetError: scaffold, question and answer alone overflow the window.
    """
    bare = model.count_chat(build([]))
    room = model.max_model_len - answer_tokens - reserve_tokens
    if bare > room:
        raise BudgetError(
            f"scaffold and question have {bare:,} tokens, the answer needs "
            f"{answer_tokens + reserve_tokens:,}, and {model.model_id} holds "
            f"{model.max_model_len:,}; shorten the question"
        )
    limit = min(room, bare + evidence_tokens)

    def fits(chosen: Sequence[Passage]) -> bool:
        return model.count_chat(build(chosen)) <= limit

    chosen: list[Passage] = []
    for passage in passages:
        if fits([*chosen, passage]):
            chosen.append(passage)
            continue
        used = model.count_chat(build(chosen))
        if limit - used >= MIN_UNITS_TOKENS:
            trimmed = _trimmed(chosen, passage, fits)
            if trimmed is not None:
                chosen.append(trimmed)
        break
    messages = build(chosen)
    prompt_tokens = model.count_chat(messages)
    return Packed(
        messages,
        tuple(chosen),
        prompt_tokens,
        max(0, prompt_tokens - bare),
        answer_tokens,
    )


def _trimmed(
    chosen: Sequence[Passage], passage: Passage, fits: Callable[[Sequence[Passage]], bool]
) -> Passage | None:
    """The longest head of the passage's core that fits behind ``chosen``; None if no line does."""
    core = passage.cut_to_core()
    if fits([*chosen, core]):
        return core
    low, high = 0, len(core.units())  # low units fit; more than high do not
    while low < high:
        middle = (low + high + 1) // 2
        if fits([*chosen, core.cut_to_units(middle)]):
            low = middle
        else:
            high = middle - 1
    # Tokens may merge across a cut, so "fits" is not strictly monotone: what is returned was tried.
    return core.cut_to_units(low) if low else None
