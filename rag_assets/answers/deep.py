"""Deep mode, a map-reduce over documents: the SLM marks sentences, the LLM writes from them.

The map reads more text than one prompt can hold. What the SLM copies is matched with the sentences
of the document, so the reduce reads text with true offsets and nothing that the SLM made up.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from rag_assets.answers.budget import Packed, pack
from rag_assets.answers.policy import DeepBudget
from rag_assets.answers.prompts import NOTHING, answer_messages, extract_messages
from rag_assets.answers.repair import Generated, complete, generate
from rag_assets.models.protocols import ChatModel, Completion
from rag_assets.retrieval.passages import Passage
from rag_assets.retrieval.terms import coverage, sentences, terms

COPIED = 0.7  # share of a document's sentence that a copied line must hold to stand for it


@dataclass(frozen=True, slots=True)
class Mapped:
    """What the SLM marked in one document: its passages reduced to those sentences."""

    passages: tuple[Passage, ...]
    completion: Completion


@dataclass(frozen=True, slots=True)
class Synthesis:
    """The reduce's chat and text, the map's calls, and what was noted on the way."""

    packed: Packed
    generated: Generated
    map_calls: tuple[Completion, ...]
    notes: tuple[str, ...]


def synthesise(
    question: str,
    passages: Sequence[Passage],
    slm: ChatModel,
    llm: ChatModel,
    budget: DeepBudget,
    *,
    timeout_s: float,
) -> Synthesis:
    """Answer from several documents.

    Args:
        question: as checked.
        passages: selected evidence, best first; at least one.
        slm: reads one document a call, in parallel threads (the engine batches them).
        llm: writes the answer.
        budget: of both steps.
        timeout_s: of each call.
    """
    documents = _by_document(passages)[: budget.documents]
    mapped: list[Mapped] = []
    if len(documents) > 1:  # one document needs no map: the reduce can hold its best sections
        read = partial(_map_one, question, slm=slm, budget=budget, timeout_s=timeout_s)
        with ThreadPoolExecutor(len(documents), thread_name_prefix="map") as pool:
            mapped = list(pool.map(read, documents))
    marked = [passage for one in mapped for passage in one.passages]
    notes: tuple[str, ...] = ()
    if mapped and not marked:
        notes = ("the SLM marked nothing in any document; the LLM read the best sections",)
    packed = pack(
        llm,
        partial(answer_messages, "llm", question),
        (marked or list(passages))[: budget.reduce.sections],
        evidence_tokens=budget.reduce.evidence,
        answer_tokens=budget.reduce.answer,
        reserve_tokens=budget.reduce.repair,
    )
    generated = generate(llm, packed, repair_tokens=budget.reduce.repair, timeout_s=timeout_s)
    return Synthesis(packed, generated, tuple(one.completion for one in mapped), notes)


def _by_document(passages: Sequence[Passage]) -> list[list[Passage]]:
    documents: dict[str, list[Passage]] = {}
    for passage in passages:
        documents.setdefault(passage.head.document_id, []).append(passage)
    return list(documents.values())


def _map_one(
    question: str,
    passages: Sequence[Passage],
    *,
    slm: ChatModel,
    budget: DeepBudget,
    timeout_s: float,
) -> Mapped:
    packed = pack(
        slm,
        partial(extract_messages, question),
        passages,
        evidence_tokens=budget.document,
        answer_tokens=budget.extract,
    )
    completion = complete(
        slm, packed.messages, max_tokens=packed.answer_tokens, timeout_s=timeout_s
    )
    return Mapped(marked_passages(completion.text, packed.passages), completion)


def marked_passages(copied: str, passages: Sequence[Passage]) -> tuple[Passage, ...]:
    """The passages reduced to the sentences that were copied; those without any left out.

    Args:
        copied: the SLM's text, one copied sentence or line each; "NONE" for nothing.
        passages: of the document it read.
    """
    lines = [terms(copied[start:end]) for start, end in sentences(copied)]
    if copied.strip(" .\"'").upper() == NOTHING:
        return ()
    kept = []
    for passage in passages:
        units = tuple(
            unit
            for unit in passage.units()
            if any(coverage(terms(unit.text), line) >= COPIED for line in lines)
        )
        if units:
            kept.append(passage.with_pieces(units))
    return tuple(kept)
