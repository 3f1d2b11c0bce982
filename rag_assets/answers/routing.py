"""How a question is answered: one rule, from its words alone, that gives its reason in a sentence.

A look-up is read: the answer is copied out of one passage. A question that rules can take apart
becomes look-ups, whose answers code puts together; one that only looks as if it could is given to
the planner. What asks for an explanation, steps, a list or a summary is written from several
passages.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from rag_assets.answers.policy import Mode, Role
from rag_assets.questions.asked import Kind, asked
from rag_assets.questions.listing import Listing, listing_of
from rag_assets.questions.plan import Plan
from rag_assets.questions.planner import looks_composite
from rag_assets.questions.rules import plan_of
from rag_assets.retrieval.passages import Passage
from rag_assets.retrieval.terms import coverage, terms

Way = Literal["read", "apart", "written", "deep", "collection", "listed"]

_EXPLANATION = re.compile(
    r"^\W*(?:why|explain|describe|how (?:does|do|did|is|are|was|were|has|have|can|could|should|"
    r"would)|in what way|what (?:led|caused|are the reasons)|warum|wieso|erkläre)\b",
    re.IGNORECASE,
)
_WRITTEN: Mapping[Kind, str] = {
    "how_to": "The question asks for steps.",
    "definition": "The question asks what something is.",
    "summary": "The question asks for a summary.",
    "list": "The question asks for a list.",
    "negation": "The question asks for what is not so.",
}
COVERED = 0.5  # share of the question's words that make a document one that speaks of it


@dataclass(frozen=True, slots=True)
class Route:
    """How a question is answered, by which model, and why.

    Attributes:
        model: the model whose answer was given.
        way: "read": copied out of one passage; "apart": put together from look-ups; "written" from
            several passages; "deep": a map-reduce over documents; "collection": from what the index
            says of its documents; "listed": out of a table or a list, by code.
        reason: one sentence.
        escalated: whether another way was tried first.
        features: what the rule read.
        plan: of "apart"; None: the planner writes it.
        listing: what is asked of all things of a kind; tried before the way, which follows where no
            list tells.
        alone: whether no other way is tried where this one comes to nothing.
    """

    model: Role
    way: Way
    reason: str
    escalated: bool = False
    features: Mapping[str, Any] = field(default_factory=dict)
    plan: Plan | None = None
    listing: Listing | None = None
    alone: bool = False


def features_of(question: str, passages: Sequence[Passage]) -> dict[str, Any]:
    """What is told of a question and its ranked evidence."""
    wanted = terms(question)
    covered: dict[str, float] = {}
    for passage in passages:
        share = coverage(wanted, terms(f"{passage.title}\n{passage.text}"))
        document = passage.head.document_id
        covered[document] = max(covered.get(document, 0.0), share)
    read = asked(question)
    near = [passage.similarity for passage in passages if passage.similarity is not None]
    return {
        "kind": read.kind,
        "wants": read.wants,
        "documents": len(covered),
        "covering_documents": sum(share >= COVERED for share in covered.values()),
        "sections": len(passages),
        "similarity": round(max(near, default=0.0), 4),
    }


def route(question: str, passages: Sequence[Passage], mode: Mode) -> Route:
    """Choose the way to answer a question.

    Args:
        question: as checked.
        passages: selected evidence, best first.
        mode: "fact" forces a look-up, "deep" the map-reduce, "auto" applies the rule.
    """
    features = features_of(question, passages)
    if mode == "fact":
        return Route("llm", "read", "Mode fact asks for a look-up.", features=features)
    if mode == "deep":
        reason = "Mode deep asks for a synthesis over documents."
        return Route("llm", "deep", reason, features=features)
    if features["kind"] == "corpus":
        reason = "The question is about the documents as a whole."
        return Route("llm", "collection", reason, features=features)
    return replace(_by_words(question, passages, features), listing=listing_of(question))


def _by_words(question: str, passages: Sequence[Passage], features: Mapping[str, Any]) -> Route:
    kind: Kind = features["kind"]
    if kind in _WRITTEN:
        return Route("llm", "written", _WRITTEN[kind], features=features)
    if plan := plan_of(question):
        reason = f"The question is taken apart into {len(plan.lookups)} look-ups."
        return Route("llm", "apart", reason, features=features, plan=plan)
    if _EXPLANATION.match(question):
        return Route("llm", "written", "The question asks for an explanation.", features=features)
    if looks_composite(question):
        reason = "The question combines facts; the large model takes it apart."
        return Route("llm", "apart", reason, features=features)
    reason = f"A look-up: {len(passages)} sections found, no sign of a comparison."
    return Route("llm", "read", reason, features=features)
