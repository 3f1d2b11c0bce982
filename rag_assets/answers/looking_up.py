"""A look-up from end to end: search, read the passages one by one, tell what was found.

Steps of a question that was taken apart are look-ups, too, each with a search of its own.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from rag_assets.answers.others import Other, beside, newest
from rag_assets.answers.reading import ENOUGH, N_NEAR, Candidate, PassageReader, Reading
from rag_assets.answers.spans import Span, with_subject
from rag_assets.models.protocols import Completion
from rag_assets.questions.limits import told_by
from rag_assets.questions.periods import in_asked_column, is_of_another_time, of_time
from rag_assets.questions.plan import AnswerType
from rag_assets.questions.spans import is_of
from rag_assets.retrieval.passages import Passage, Piece
from rag_assets.retrieval.terms import content_words, coverage, terms
from rag_assets.retrieval.times import ANY_TIME, Period
from rag_assets.retrieval.versions import names_version

VERDICTS = ("Yes", "No")
# Log-odds as the model sees them, against how often answers are right: 132 questions of the
# calibration set, 2026-11-30.
STEEPNESS, EVEN = 2.0, 0.25
BY_CODE = 1.25  # log-odds of yes or no by a limit that code compared with
SPEAKS_OF_IT = 0.4  # share of the question's words in a passage whose limit is taken


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What a look-up found.

    Attributes:
        answer: short, in the words of the document; "" if none was found.
        units: the sentences or rows that state it.
        score: log-odds that it is right.
        passages: that were searched, best first.
        calls: of the model that read.
        notes: what was done about an answer whose copy was cut.
        others: what other places say.
    """

    answer: str
    units: tuple[Piece, ...]
    score: float
    passages: tuple[Passage, ...]
    calls: tuple[Completion, ...]
    notes: tuple[str, ...] = ()
    others: tuple[Other, ...] = ()

    @property
    def confidence(self) -> float:
        """Chance that the answer is right, in [0, 1]; see docs/figures.md#reading."""
        odds = STEEPNESS * (self.score - EVEN)
        return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, odds))))


def odds_of(confidence: float) -> float:
    """The score that gives this confidence."""
    odds = math.log(confidence / (1.0 - confidence))
    return odds / STEEPNESS + EVEN


def looked_up(
    question: str,
    passages: Sequence[Passage],
    reader: PassageReader,
    *,
    wants: AnswerType = "text",
    names: Mapping[str, float] = MappingProxyType({}),
    options: Sequence[str] = (),
    period: Period = ANY_TIME,
    least: float = -math.inf,
) -> LookedUp:
    """Read passages for a look-up.

    Args:
        question: stands alone.
        passages: best first.
        reader: reads them.
        wants: the type of the answer.
        names: of the question, each with how much it tells, in [0, 1]; a passage that lacks one is
            worth less.
        options: of a choice; else the question's own words are no answer to it.
        period: that it asks about; what is of another time is not read.
        least: log-odds of an answer that is given; only beside such a one others are looked for.

    Raises:
        BudgetError: the question does not fit the reader's window.
    """
    timed = [of_time(one, period, question) for one in reader.fitting(question, passages)]
    passages = [passage for passage, _ in timed]
    asks = {id(passage): asked for passage, asked in timed if asked != question}
    reader = replace(reader, wording=lambda text, passage: asks.get(id(passage), text))
    words = {content_words(name) or terms(name): tells for name, tells in names.items()}

    def lacks(passage: Passage) -> float:
        held = terms(f"{passage.title}\n{passage.head.uri}\n{passage.text}")
        is_late = period.is_named and is_of_another_time(passage, period.spans)
        return sum(tells for name, tells in words.items() if not name <= held) + is_late

    asked_words = frozenset() if options else terms(question)

    def fits(answer: str) -> bool:
        """Whether it is of the type, and no echo of the question."""
        return is_of(answer, wants) and not terms(answer) <= asked_words

    def corrects(answer: str, span: Span, passage: Passage) -> str:
        return in_asked_column(answer, span.units[0], passage, period.spans)

    def verdict(of: Sequence[Passage]) -> Reading:
        """By a limit that a sentence states, else by the model."""
        near = next((passage for passage in of if not lacks(passage)), None)
        told = near and _by_limit(question, near)
        if told:
            return Reading((told,), ())
        asked = reader.asked(question, of[:N_NEAR], lacks=lacks)
        if not any(one.worth >= ENOUGH for one in asked.candidates):
            more = reader.asked(question, of, lacks=lacks, start=N_NEAR)
            both = sorted([*asked.candidates, *more.candidates], key=lambda one: -one.worth)
            asked = Reading(tuple(both), (*asked.calls, *more.calls))
        return _verdict(question, reader, asked)

    calls: list[Completion] = []

    def reads(passage: Passage) -> Candidate | None:
        """The answer of one passage."""
        if wants == "yes_no":
            found = verdict([passage])
        else:
            found = reader.read(question, [passage], lacks=lacks, fits=fits, corrects=corrects)
        calls.extend(found.calls)
        best = found.best
        return best if best and (wants == "yes_no" or fits(best.answer)) else None

    if wants == "yes_no":
        reading = verdict(passages)
    else:
        reading = reader.read(question, passages, lacks=lacks, fits=fits, corrects=corrects)
    calls.extend(reading.calls)
    best = reading.best
    others: tuple[Other, ...] = ()
    if best is not None and best.score >= least:
        if not period.is_named and not names_version(question, best.passage.head):
            best, others = newest(best, passages, reads, least)
        if not others:
            best, others = beside(best, passages, reads, least, question, wants)
    if best is None or best.span is None:
        score = max((one.worth for one in reading.candidates), default=-math.inf)
        return LookedUp("", (), min(score, 0.0), tuple(passages), tuple(calls))
    notes = tuple(filter(None, [best.note]))
    units = with_subject(best.span.units, best.passage, question)
    return LookedUp(best.answer, units, best.score, tuple(passages), tuple(calls), notes, others)


def _by_limit(question: str, passage: Passage) -> Candidate | None:
    """Yes or no by a limit of a passage that speaks of what is asked; None where code cannot."""
    units = passage.units()
    if coverage(terms(question), terms(f"{passage.title}\n{passage.text}")) < SPEAKS_OF_IT:
        return None
    told = told_by(question, [unit.text for unit in units], passage.title)
    if told is None:
        return None
    answer, place = VERDICTS[not told[0]], Span((units[told[1]],), whole=False)
    return Candidate(passage, BY_CODE, answer, place, BY_CODE)


def _verdict(question: str, reader: PassageReader, reading: Reading) -> Reading:
    """Yes or no, by the likeliest passage, with the sentence of it that speaks of the question."""
    if not reading.candidates:
        return reading
    best, *rest = reading.candidates
    odds, call = reader.verdict(question, best.passage)
    wanted = terms(question)
    units = best.passage.units()
    nearest = max(units, key=lambda unit: coverage(wanted, terms(unit.text)))
    told = replace(
        best,
        answer=VERDICTS[odds < 0],
        span=Span((nearest,), whole=False),
        score=min(best.worth, abs(odds)),
    )
    return Reading((told, *rest), (*reading.calls, call))
