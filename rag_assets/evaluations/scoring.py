"""Score answers to golden questions by the facts that they must contain."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rag_assets.evaluations.cases import Case


@dataclass(frozen=True, slots=True)
class Score:
    """How one answer did.

    Attributes:
        case_id: which question.
        kind: lookup, multi or unanswerable.
        right: answerable: all facts are there; unanswerable: it abstained.
        abstained: it gave no answer.
        cited_gold: share of the needed documents among those it cites; None if none is needed.
        model: that wrote the answer.
        seconds: from question to answer.
        failed: why there is no answer at all; "" if there is one.
    """

    case_id: str
    kind: str
    question: str
    answer: str
    right: bool
    abstained: bool
    cited_gold: float | None
    model: str
    finish_reason: str
    seconds: float
    failed: str = ""

    def to_record(self) -> dict[str, Any]:
        """For a results file."""
        return asdict(self)


def folded(text: str) -> str:
    """Without case, punctuation and typography: "1,240 Tons." becomes "1240 tons"."""
    text = unicodedata.normalize("NFKC", text).casefold()
    text = re.sub(r"(?<=\d)[,\u202f\xa0 ](?=\d{3}\b)", "", text)
    return " ".join(re.sub(r"[^\w.:%+-]+|(?<!\d)[.:]|[.:](?!\d)", " ", text).split())


def holds(answer: str, form: str) -> bool:
    """Whether an accepted spelling stands in the answer as whole words ("42" is not in "1428")."""
    return f" {folded(form)} " in f" {folded(answer)} "


def score(case: Case, record: dict[str, Any]) -> Score:
    """Score an answer's record (the form of ``rag ask --json``)."""
    abstained, answer = bool(record["abstained"]), str(record["answer"])
    facts = all(any(holds(answer, form) for form in forms) for forms in case.facts)
    right = abstained if case.kind == "unanswerable" else facts and not abstained
    cited = {uri for c in record["citations"] for uri in (c["uri"], *c.get("aliases", ()))}
    gold = sum(uri in cited for uri in case.uris) / len(case.uris) if case.uris else None
    return Score(
        case_id=case.id,
        kind=case.kind,
        question=case.question,
        answer=answer,
        right=right,
        abstained=abstained,
        cited_gold=gold,
        model=str(record["route"]["model"]),
        finish_reason=str(record["finish_reason"]),
        seconds=float(record["timings_ms"]["total"]) / 1000,
    )


def failure(case: Case, error: str) -> Score:
    """The score of a question that got no answer: wrong, and counted."""
    return Score(
        case.id, case.kind, case.question, "", False, False, None, "none", "error", 0.0, error
    )


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the result: one kind of question."""

    kind: str
    n: int
    right: int
    abstained: int
    failed: int
    mean_cited_gold: float | None
    p50_s: float
    p95_s: float


def summary(scores: Sequence[Score]) -> list[Line]:
    """One line per kind in the order of first appearance, then one for all."""
    kinds = list(dict.fromkeys(s.kind for s in scores))
    groups = [(kind, [s for s in scores if s.kind == kind]) for kind in kinds]
    return [_line(kind, group) for kind, group in [*groups, ("all", list(scores))] if group]


def _line(kind: str, scores: Sequence[Score]) -> Line:
    cited = [s.cited_gold for s in scores if s.cited_gold is not None]
    seconds = sorted(s.seconds for s in scores)
    return Line(
        kind=kind,
        n=len(scores),
        right=sum(s.right for s in scores),
        abstained=sum(s.abstained for s in scores),
        failed=sum(bool(s.failed) for s in scores),
        mean_cited_gold=sum(cited) / len(cited) if cited else None,
        p50_s=seconds[len(seconds) // 2],
        p95_s=seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))],
    )
