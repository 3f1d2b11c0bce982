"""Which model answers: one rule, applied after retrieval, that gives its reason in a sentence.

The SLM answers look-ups. The LLM answers questions that need several documents or an explanation.
The question alone cannot tell them apart: "Which ship is the fastest?" is a look-up where one page
gives the answer, and a comparison where six pages give one speed each. So the rule reads the
evidence as well.

Questions of two parts, and questions that name a thing by another fact ("the captain of the ship
that ..."), go to the LLM: the SLM answered eight such questions, and none was right (2026-11-22).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rag_assets.answers.policy import Mode, Role
from rag_assets.retrieval.passages import Passage
from rag_assets.retrieval.terms import coverage, terms

_SYNTHESIS = re.compile(
    r"\b(?:compar\w*|contrast\w*|differ\w*|versus|vs|both|between|each|every|all|total|altogether|"
    r"together|overall|combined|across|summari[sz]e|summary|list|trade-?offs?|relationship|"
    r"similar\w*|in common|either|respectively|most|least|fastest|slowest|largest|smallest|"
    r"longest|shortest|oldest|newest|highest|lowest|cheapest|how many of|"
    r"vergleich\w*|unterschied\w*|alle|beide|zwischen|insgesamt)\b",
    re.IGNORECASE,
)
_COMPARATIVE = re.compile(
    r"\b(?:which|who|what|how much|how many|is|are|does|did|was|were)\b.*"
    r"\b(?:more|less|fewer|longer|shorter|larger|smaller|faster|slower|older|newer|higher|lower|"
    r"cheaper|bigger|earlier|later|better|worse)\b",
    re.IGNORECASE | re.DOTALL,
)
_EXPLANATION = re.compile(
    r"^\W*(?:why|explain|describe|how (?:does|do|did|is|are|was|were|has|have|can|could|should|"
    r"would)|in what way|what (?:led|caused|are the reasons)|warum|wieso|erkläre)\b",
    re.IGNORECASE,
)
_TWO_PARTS = re.compile(
    r"\band\s+(?:(?:in|on|at|by|for|to|of)\s+)?(?:what|who|whom|whose|which|where|when|how|why)\b",
    re.IGNORECASE,
)
_BRIDGE = re.compile(
    r"\b(?:the|a|an)\s+(?:[\w-]+\s+){0,2}[\w-]+\s+(?:that|who|whose|where|which)\s+\w+"
    r"|\b(?:by|from|in|at|with|on|of)\s+the\s+same\b",
    re.IGNORECASE,
)
COVERED = 0.5  # share of the question's words that make a document one that speaks of it
CLEAR_GAP = 0.15  # the first passage leads the first of another document by this share of its score


Way = Literal["read", "written", "deep"]


@dataclass(frozen=True, slots=True)
class Route:
    """How a question is answered, by which model, and why.

    Attributes:
        model: the model whose answer was given.
        way: ``read``: the answer is copied from one passage; ``written``: a model writes it from
            several; ``deep``: a map-reduce over documents.
        reason: one sentence.
        escalated: whether the SLM was asked first and the LLM after it.
        features: what the rule read.
    """

    model: Role
    deep: bool
    reason: str
    escalated: bool = False
    features: Mapping[str, Any] = field(default_factory=dict)


def features_of(question: str, passages: Sequence[Passage]) -> dict[str, Any]:
    """What the rule reads from a question and its ranked evidence."""
    wanted = terms(question)
    covered: dict[str, float] = {}
    best_score: dict[str, float] = {}
    for passage in passages:
        document = passage.head.document_id
        share = coverage(wanted, terms(f"{passage.title}\n{passage.text}"))
        covered[document] = max(covered.get(document, 0.0), share)
        best_score[document] = max(best_score.get(document, 0.0), passage.score)
    scores = sorted(best_score.values(), reverse=True)
    gap = 1.0 - scores[1] / scores[0] if len(scores) > 1 and scores[0] else 1.0
    return {
        "synthesis_words": sorted({m.group().casefold() for m in _SYNTHESIS.finditer(question)}),
        "comparative": bool(_COMPARATIVE.search(question)),
        "two_parts": bool(_TWO_PARTS.search(question)),
        "bridge": bool(_BRIDGE.search(question)),
        "explanation": bool(_EXPLANATION.search(question)),
        "documents": len(covered),
        "covering_documents": sum(share >= COVERED for share in covered.values()),
        "sections": len(passages),
        "score_gap": round(gap, 4),
        "similarity": round(
            max((p.similarity for p in passages if p.similarity is not None), default=0.0), 4
        ),
    }


def route(question: str, passages: Sequence[Passage], mode: Mode) -> Route:
    """Choose the model for a question whose evidence is known.

    Args:
        question: as checked.
        passages: selected evidence, best first.
        mode: "fact" forces the SLM, "deep" the map-reduce, "auto" applies the rule.
    """
    features = features_of(question, passages)
    if mode == "fact":
        return Route("slm", False, "Mode fact asks for a look-up by the SLM.", False, features)
    if mode == "deep":
        return Route("llm", True, "Mode deep asks for a synthesis over documents.", False, features)
    model, reason = _rule(features)
    return Route(model, False, reason, False, features)


def _rule(features: Mapping[str, Any]) -> tuple[Role, str]:
    n_documents, covering = features["documents"], features["covering_documents"]
    words = ", ".join(features["synthesis_words"])
    several = n_documents > 1 and (covering != 1 or features["score_gap"] < CLEAR_GAP)
    if features["explanation"]:
        return "llm", "The question asks for an explanation."
    if words and several:
        return (
            "llm",
            f"The question combines facts ({words}) and {n_documents} documents bear on it.",
        )
    if features["comparative"] and several:
        return "llm", f"The question compares, and {n_documents} documents bear on it."
    if features["two_parts"]:
        return "llm", "The question asks for two things."
    if words or features["comparative"]:
        return "slm", "The question combines facts, but one document clearly speaks of them."
    if features["bridge"]:
        return "llm", "The question names a thing by another fact, which is to be found first."
    return "slm", f"A look-up: {features['sections']} sections found, no sign of a comparison."
