"""The token budget: window = scaffold + question + evidence + thinking + answer, counted exactly.

Every count is of the finished chat in the served model's own tokens, so nothing is estimated and
nothing overflows. What the budget cannot hold is left out here, by rank, not cut off by an engine.
A model behind an endpoint that counts no tokens (``counts_exactly``) gives an upper bound instead:
then less evidence is read than would fit, and the answer says so.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rag_assets.answers.policy import Budget
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
        prompt_tokens: size of ``messages``; an upper bound unless ``exact``.
        budget: what may be generated.
        exact: whether the model's own tokens were counted.
    """

    messages: list[Message]
    passages: tuple[Passage, ...]
    prompt_tokens: int
    budget: Budget
    exact: bool = True

    def to_record(self) -> dict[str, Any]:
        """How the budget was used, for the record of an answer."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "counted": "exactly" if self.exact else "as an upper bound",
            **asdict(self.budget),
        }


def text_counter(model: ChatModel) -> Callable[[str], int]:
    """Tokens of a text for this model, the chat template not counted."""
    empty = model.count_chat([{"role": "user", "content": ""}])
    return lambda text: max(0, model.count_chat([{"role": "user", "content": text}]) - empty)


def pack(model: ChatModel, build: Build, passages: Sequence[Passage], budget: Budget) -> Packed:
    """Put as much evidence into the chat as the budget holds, best first.

    A passage that does not fit is cut to the chunks that were found, then at a sentence or line;
    what comes after the first cut passage is left out.

    Args:
        model: counts, and has the context window.
        build: makes the chat from passages.
        passages: best first.
        budget: of evidence, and what is kept free for thinking, the answer and its repair.

    Raises:
        BudgetError: scaffold, question and answer alone overflow the window.
    """
    bare = model.count_chat(build([]))
    needed = budget.thinking + budget.answer + budget.repair
    room = model.max_model_len - needed
    if bare > room:
        raise BudgetError(
            f"scaffold and question have {bare:,} tokens, the answer needs {needed:,}, and "
            f"{model.model_id} holds {model.max_model_len:,}; shorten the question"
        )
    limit = min(room, bare + budget.evidence)

    def fits(chosen: Sequence[Passage]) -> bool:
        return model.count_chat(build(chosen)) <= limit

    chosen: list[Passage] = []
    for passage in passages[: budget.sections]:
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
    exact = bool(getattr(model, "counts_exactly", True))
    return Packed(messages, tuple(chosen), model.count_chat(messages), budget, exact)


def _trimmed(
    chosen: Sequence[Passage], passage: Passage, fits: Callable[[Sequence[Passage]], bool]
) -> Passage | None:
    """The longest head of the passage's core that fits behind ``chosen``; None if no line does."""
    core = passage.cut_to_core()
    if fits([*chosen, core]):
        return core
    numbers = range(1, len(core.units()) + 1)
    # Tokens may merge across a cut, so "fits" is not strictly monotone: what is returned was tried.
    n_units = bisect_left(
        numbers, True, key=lambda n: not fits([*chosen, core.with_units(range(n))])
    )
    return core.with_units(range(n_units)) if n_units else None
