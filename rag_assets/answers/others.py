"""What other places say to the same question: a newer version wins, a place beside it is told.

Both are rare, so little is asked for them: a model reads only newer versions of the document that
was read, and passages of other documents that share the words of the question with its answer.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rag_assets.answers.polarity import OPPOSITES, agree, polarity_of
from rag_assets.answers.reading import Candidate
from rag_assets.questions.plan import AnswerType
from rag_assets.questions.spans import read
from rag_assets.questions.values import IncommensurableError, compared
from rag_assets.retrieval.passages import Passage, Piece
from rag_assets.retrieval.terms import terms
from rag_assets.retrieval.versions import age_of, is_newer

Reads = Callable[[Passage], Candidate | None]
N_NEWER = 2  # newer documents that are read
N_BESIDE = 2  # others that are
BESIDE = 1.0  # log-odds that a place beside the best may be less sure
FIGURES: frozenset[AnswerType] = frozenset(
    ["number", "money", "date", "time", "duration", "measure", "version"]
)


@dataclass(frozen=True, slots=True)
class Other:
    """What another place says.

    Attributes:
        answer: short.
        units: the sentences or rows that state it.
        is_older: whether they are of an older version.
    """

    answer: str
    units: tuple[Piece, ...]
    is_older: bool


def newest(
    best: Candidate, passages: Sequence[Passage], reads: Reads, least: float
) -> tuple[Candidate, tuple[Other, ...]]:
    """The answer of the newest version of its document that states one, and the older answer.

    Args:
        best: what was read.
        passages: that were found, best first.
        reads: the answer of one of them, if it has one.
        least: log-odds of an answer that counts.
    """
    newer = {
        passage.head.document_id: passage
        for passage in reversed(passages)
        if is_newer(passage.head, best.passage.head)
    }
    latest_first = sorted(newer.values(), key=lambda p: age_of(p.head), reverse=True)
    for passage in latest_first[:N_NEWER]:
        found = reads(passage)
        if found and found.span and found.worth > 0 and found.score >= least:
            is_same = found.answer.casefold() == best.answer.casefold()
            return found, () if is_same else (_other(best, is_older=True),)
    return best, ()


def beside(
    best: Candidate,
    passages: Sequence[Passage],
    reads: Reads,
    least: float,
    question: str,
    wants: AnswerType,
) -> tuple[Candidate, tuple[Other, ...]]:
    """The newest of the places that answer otherwise, nearly as sure as the best, and the others.

    Only where answers can be compared: figures, and yes or no. Such a place has all words of the
    question that the best one has.
    """
    if wants != "yes_no" and wants not in FIGURES:
        return best, ()
    told = [best]
    for passage in list(_alike(best, passages, question))[:N_BESIDE]:
        found = reads(passage)
        if found is None or found.span is None:
            continue
        is_sure = found.score >= max(least, best.score - BESIDE) and found.worth > 0
        if is_sure and _differ(best, found, wants):
            told.append(found)
    told.sort(key=lambda one: age_of(one.passage.head), reverse=True)
    return told[0], tuple(_other(one, is_older=False) for one in told[1:])


def _alike(best: Candidate, passages: Sequence[Passage], question: str) -> Iterator[Passage]:
    """Passages of other documents that speak of the question as the best does.

    They have, titles included, all words of the question that its passage has, and a sentence with
    all that its answer stands with; words with an opposite do not count.
    """
    wanted = terms(question) - OPPOSITES
    of_all = wanted & _words(best.passage)
    shared = wanted & terms(_said(best))
    head = best.passage.head
    for passage in passages:
        is_version = is_newer(passage.head, head) or is_newer(head, passage.head)
        if passage.head.document_id == head.document_id or is_version or len(shared) < 2:
            continue
        is_of_it = of_all <= _words(passage)
        if is_of_it and any(shared <= terms(unit.text) for unit in passage.units()):
            yield passage


def _words(passage: Passage) -> frozenset[str]:
    return terms(f"{passage.title}\n{passage.text}")


def _said(one: Candidate) -> str:
    return " ".join(unit.text for unit in one.span.units) if one.span else ""


def _differ(best: Candidate, other: Candidate, wants: AnswerType) -> bool:
    if wants == "yes_no":
        one, two = polarity_of(_said(best)), polarity_of(_said(other))
        is_denied = one.is_negative != two.is_negative and not agree(one, two, frozenset())
        return is_denied and best.answer != other.answer
    values = read(best.answer, wants), read(other.answer, wants)
    if values[0] is None or values[1] is None:
        return False
    try:
        return compared(values[0], values[1]) != 0
    except IncommensurableError:
        return False


def _other(one: Candidate, *, is_older: bool) -> Other:
    return Other(one.answer, one.span.units if one.span else (), is_older)
