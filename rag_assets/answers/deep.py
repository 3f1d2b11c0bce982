"""Deep mode, a map-reduce over documents: the SLM marks sentences, the LLM writes from them.

The map reads more text than one prompt can hold. What the SLM copies is matched with the sentences
of the document, so the reduce reads text with true offsets and nothing that the SLM made up.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from rag_assets.answers.budget import pack
from rag_assets.answers.policy import Budget, DeepBudget
from rag_assets.answers.prompts import NOTHING, extract_messages
from rag_assets.answers.repair import CUT, Generated, generate
from rag_assets.models.protocols import ChatModel, Completion
from rag_assets.retrieval.passages import Passage
from rag_assets.retrieval.terms import coverage, sentences, terms
from rag_assets.telemetry import carried, span

COPIED = 0.7  # share of a document's sentence that a copied line must hold to stand for it


def read_documents(
    question: str,
    passages: Sequence[Passage],
    slm: ChatModel,
    budget: DeepBudget,
    *,
    timeout_s: float,
) -> tuple[list[Passage], list[Completion], list[str]]:
    """The map: what the SLM marks in each of several documents, and its calls.

    Args:
        question: as checked.
        passages: selected evidence, best first; of one document they need no map.
        slm: reads one document a call, in parallel threads (the engine batches them).
        budget: of documents, and of each of them.
        timeout_s: of each call.

    Returns:
        The passages reduced to the sentences marked, none where nothing was; the calls; and which
        documents were not read to their end, a sentence each.
    """
    by_document: dict[str, list[Passage]] = {}
    for passage in passages:
        by_document.setdefault(passage.head.document_id, []).append(passage)
    documents = list(by_document.values())[: budget.documents]
    if len(documents) < 2:
        return [], [], []

    @span("read")
    def read(own: Sequence[Passage]) -> tuple[tuple[Passage, ...], Generated]:
        of_document = Budget(budget.document, budget.extract, budget.extract, sections=len(own))
        packed = pack(slm, partial(extract_messages, question), own, of_document)
        done = generate(slm, packed, timeout_s=timeout_s)
        return marked_passages(done.text, packed.passages), done

    with ThreadPoolExecutor(len(documents), thread_name_prefix="map") as pool:
        mapped = list(pool.map(carried(read), documents))
    cut = [
        f"what was copied of {own[0].head.title!r} was cut: there may be more in it"
        for own, (_, done) in zip(documents, mapped, strict=True)
        if done.finish_reason == CUT
    ]
    calls = [call for _, done in mapped for call in done.completions]
    return [passage for kept, _ in mapped for passage in kept], calls, cut


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
