"""All suites by name: what `rag evaluate` and Dagster know."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rag_assets.evaluations import mixed, suites
from rag_assets.evaluations.ablation import ablation
from rag_assets.evaluations.lab import Lab
from rag_assets.evaluations.ladders import LADDERS, ladders
from rag_assets.evaluations.results import CaseResult


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite: what it measures, in a sentence, and how it is run."""

    description: str
    run: Callable[[Lab], list[CaseResult]]
    parts: Sequence[str]  # what ``--slice dataset=NAME`` can pick


SUITES: Mapping[str, Suite] = {
    "golden": Suite(
        "The sources' own golden questions, on their own index.", suites.golden, ["golden"]
    ),
    "retrieval": Suite(
        "BM25, vectors and both on SciFact, Cranfield, CISI and DBpedia; no chat model.",
        suites.retrieval,
        suites.RETRIEVAL,
    ),
    "answers": Suite(
        "SQuAD 2, HotpotQA, 2Wiki, MuSiQue, COVID-QA and PubMedQA, and both models closed book.",
        suites.answers,
        suites.ANSWERS,
    ),
    "languages": Suite(
        "XQuAD: the same questions in twelve languages.", suites.languages, ["xquad"]
    ),
    "conflicts": Suite("RGB: documents that contradict the truth.", suites.conflicts, ["rgb"]),
    "ablation": Suite(
        "Conventional RAG, then one discipline after the other, on the same questions.",
        ablation,
        ["golden", mixed.NAME],
    ),
    "ladders": Suite(
        "Model size, quantisation, phrasing, noise and position of the evidence, rung by rung.",
        ladders,
        list(LADDERS),
    ),
}
FIRST_LOOK = ("golden", "retrieval", "answers", "languages", "conflicts")  # without --suite
