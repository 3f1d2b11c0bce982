"""Read a look-up: which passage states the answer, and which of its words are the answer.

A small model reads one passage well and several badly. So each candidate is read alone, best first:

1. Does the passage contain the answer? The chances of "Yes" and "No" are compared. The first
   passage is asked alone; unless its answer is sure, two more are asked at the same time, and the
   others where none of these has an answer that is likely right.
2. The shortest answer is copied out of it, and looked for in it: words that stand nowhere in the
   passage are no answer.
3. Is that stated as the answer to exactly this question? This tells right answers from wrong ones
   better than the first question, which has no answer to look at; both count.

A copy that is cut at its limit of tokens is told to the end of its sentence in the passage. A
passage that does not fit the model's window with all that is asked of it is read in part.

All three begin with the same words, passage included, so a passage is read once and found in the
engine's prefix cache after that.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from typing import TypeVar

from rag_assets.answers.budget import pack
from rag_assets.answers.policy import Budget, ReadingBudget
from rag_assets.answers.prompts import (
    ASK_HOLDS,
    ASK_SPAN,
    ASK_STATES,
    ASK_VERDICT,
    Message,
    as_data,
    read_messages,
)
from rag_assets.answers.repair import CUT, TEMPLATE_MARGIN, complete
from rag_assets.answers.spans import Span, completed, located
from rag_assets.models.protocols import ChatModel, ChatOptions, Completion
from rag_assets.retrieval.passages import Passage
from rag_assets.telemetry import carried

Lacks = Callable[[Passage], float]
Fits = Callable[[str], bool]
Wording = Callable[[str, Passage], str]
Corrects = Callable[[str, Span, Passage], str]
A = TypeVar("A")
B = TypeVar("B")
N_FIRST = 5  # likeliest first tokens asked for: some servers refuse more
MOST_ODDS = 10.0  # log-odds of a reply that came without log-probabilities
# What a passage is worth less for each rank, and for each name of the question that it lacks.
RANK_COST = 0.1
NAME_COST = 0.8
TYPE_COST = 1.0  # what an answer is worth less that is not of the type asked for
HOLDS_WEIGHT = 2.0  # of the third question beside the first
N_NEAR = 3  # passages that are asked before all others
ENOUGH = 0.0  # log-odds of an answer for which no others are asked


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage that was asked.

    Attributes:
        passage: the passage.
        worth: log-odds that it contains the answer, less what speaks against it.
        answer: what was copied out of it; "" if nothing, or nothing that stands in it.
        span: where that stands.
        score: log-odds that the answer is right; that of the passage where there is no answer.
        note: what was done about a copy that was cut; "" if it was not.
    """

    passage: Passage
    worth: float
    answer: str = ""
    span: Span | None = None
    score: float = -math.inf
    note: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read.

    Attributes:
        candidates: the passages that were asked, the best answer first.
        calls: of the model.
    """

    candidates: tuple[Candidate, ...]
    calls: tuple[Completion, ...]

    @property
    def best(self) -> Candidate | None:
        """The best answer; None if none was copied."""
        return next((one for one in self.candidates if one.span is not None), None)


def _nothing(_: Passage) -> float:
    return 0.0


def _any(_: str) -> bool:
    return True


def _as_it_stands(question: str, _: Passage) -> str:
    return question


def _same(answer: str, _: Span, __: Passage) -> str:
    return answer


@dataclass(frozen=True, slots=True)
class PassageReader:
    """Reads passages one by one; threads share it.

    Attributes:
        model: the one that reads.
        budget: how many passages, how long an answer.
        sure: log-odds from which the first passage ends the reading.
        timeout_s: of each call.
        today: told to the model where a question names a time; None: it is not told.
        wording: of a question as it is asked of a passage.
    """

    model: ChatModel
    budget: ReadingBudget
    sure: float
    timeout_s: float
    today: date | None = None
    wording: Wording = _as_it_stands

    def fitting(self, question: str, passages: Sequence[Passage]) -> list[Passage]:
        """The passages, each as far as it fits the window with all that is asked of it.

        Raises:
            BudgetError: the question alone does not fit.
        """
        answer = self.budget.answer
        # The last prompt holds the answer that was copied, and asks for one token more.
        budget = Budget(self.model.max_model_len, answer, answer + TEMPLATE_MARGIN, sections=1)

        def build(chosen: Sequence[Passage]) -> list[Message]:
            passage, ask = next(iter(chosen), None), ASK_HOLDS.format(answer="")
            return read_messages(question, passage, ask, today=self.today)

        packed = [pack(self.model, build, [passage], budget) for passage in passages]
        return [passage for one in packed for passage in one.passages]

    def read(
        self,
        question: str,
        passages: Sequence[Passage],
        *,
        lacks: Lacks = _nothing,
        fits: Fits = _any,
        corrects: Corrects = _same,
    ) -> Reading:
        """The answers to a look-up that the passages state, the likeliest first.

        Args:
            question: stands alone.
            passages: best first.
            lacks: how many names of the question a passage does not hold, by what they tell.
            fits: whether words can be such an answer: a number, a date, a name.
            corrects: an answer where it was copied from beside the right place.
        """
        calls: list[Completion] = []

        def copy(candidate: Candidate) -> Candidate:
            done, made = self._copied(question, candidate, fits, corrects)
            calls.extend(made)
            return done

        candidates: list[Candidate] = []
        tried: set[int] = set()
        for start, end, worth, enough in (
            (0, 1, self.sure, self.sure),
            (1, N_NEAR, -math.inf, ENOUGH),
            (N_NEAR, self.budget.candidates, -math.inf, math.inf),
        ):
            asked = self.asked(question, passages[:end], lacks=lacks, start=start)
            calls.extend(asked.calls)
            candidates = sorted([*candidates, *asked.candidates], key=lambda one: -one.worth)
            untried = [one for one in candidates if id(one.passage) not in tried]
            likely = [one for one in untried if one.worth >= worth]
            read = {id(done.passage): done for done in _at_once(copy, likely)}
            tried |= read.keys()
            candidates = [read.get(id(one.passage), one) for one in candidates]
            if any(one.score >= enough for one in candidates):
                break
        return Reading(tuple(sorted(candidates, key=_by_score)), tuple(calls))

    def asked(
        self, question: str, passages: Sequence[Passage], *, lacks: Lacks = _nothing, start: int = 0
    ) -> Reading:
        """The passages from ``start`` on, each asked whether it contains the answer, best first."""

        def ask(ranked: tuple[int, Passage]) -> tuple[Candidate, Completion]:
            rank, passage = ranked
            done = self._say(question, passage, ASK_STATES, 1)
            worth = odds(done) - RANK_COST * rank - NAME_COST * lacks(passage)
            return Candidate(passage, worth), done

        asked = _at_once(ask, list(enumerate(passages))[start : self.budget.candidates])
        candidates = sorted((one for one, _ in asked), key=lambda one: -one.worth)
        return Reading(tuple(candidates), tuple(done for _, done in asked))

    def verdict(self, question: str, passage: Passage) -> tuple[float, Completion]:
        """Log-odds of "Yes" as the passage's answer to a question for yes or no, and the call."""
        done = self._say(question, passage, ASK_VERDICT, 1)
        return odds(done), done

    def _copied(
        self, question: str, candidate: Candidate, fits: Fits, corrects: Corrects
    ) -> tuple[Candidate, list[Completion]]:
        """The candidate with the answer that it states, if any."""
        passage = candidate.passage
        calls = [self._say(question, passage, ASK_SPAN, self.budget.answer)]
        answer = proposed = copied(calls[0].text)
        span = located(answer, passage, question) if answer else None
        note = ""
        if answer and calls[0].finish_reason == CUT:
            answer, span = completed(proposed, passage, question) or ("", None)
            note = (
                f"the copied answer was cut after {calls[0].completion_tokens} tokens; told to the "
                "end of its sentence"
            )
            proposed = answer if self._holds_room(question, passage, answer) else proposed
        if span is None:
            return candidate, calls
        corrected = corrects(answer, span, passage)
        if corrected != answer:
            answer = proposed = corrected
        calls.append(self._say(question, passage, _holding(proposed), 1))
        score = (candidate.worth + HOLDS_WEIGHT * odds(calls[1])) / (1 + HOLDS_WEIGHT)
        score -= 0.0 if fits(answer) else TYPE_COST
        return replace(candidate, answer=answer, span=span, score=score, note=note), calls

    def _holds_room(self, question: str, passage: Passage, answer: str) -> bool:
        """Whether the question about a proposed answer fits the window."""
        messages = read_messages(question, passage, _holding(answer), today=self.today)
        return self.model.count_chat(messages) < self.model.max_model_len

    def _say(self, question: str, passage: Passage, ask: str, max_tokens: int) -> Completion:
        """One reply; an empty one is asked for once more, as a server may have lost it."""
        messages = read_messages(self.wording(question, passage), passage, ask, today=self.today)
        options: ChatOptions = {"max_tokens": max_tokens, "timeout_s": self.timeout_s}
        if max_tokens == 1:
            options["top_logprobs"] = N_FIRST
        done = complete(self.model, messages, **options)
        if not done.text.strip() and not done.first:
            done = complete(self.model, messages, **options)
        # One word was asked for, so it is whole, though engines call it cut at its limit.
        return replace(done, finish_reason="stop") if max_tokens == 1 else done


def _holding(answer: str) -> str:
    return ASK_HOLDS.format(answer=as_data(answer))


def _by_score(candidate: Candidate) -> tuple[float, float]:
    return -candidate.score, -candidate.worth


def _at_once(one: Callable[[A], B], given: Sequence[A]) -> list[B]:
    if not given:
        return []
    with ThreadPoolExecutor(len(given), thread_name_prefix="read") as pool:
        return list(pool.map(carried(one), given))


def odds(done: Completion) -> float:
    """Log-odds of "Yes" against "No" as the first word of a reply.

    A word that is not among the likeliest counts as the least of them. A server that gives no
    log-probabilities, or that of the reply alone, leaves the reply itself: a large number for
    either.
    """
    if len(done.first) < 2:
        said = done.text.strip().casefold()
        return MOST_ODDS if said.startswith("yes") else -MOST_ODDS if said.startswith("no") else 0.0
    least = min(done.first.values())
    return _chance(done.first, "yes", least) - _chance(done.first, "no", least)


def _chance(first: Mapping[str, float], word: str, least: float) -> float:
    return max((p for token, p in first.items() if token.strip().casefold() == word), default=least)


def copied(text: str) -> str:
    """The answer in a model's reply, without what models put around it."""
    line = " ".join(text.split())
    for opening in ("Answer:", "The answer is", "Shortest answer:"):
        if line.casefold().startswith(opening.casefold()):
            line = line[len(opening) :].strip(" :")
    line = line.strip("\"'`\u201c\u201d ")
    return "" if line.strip(".").casefold() in ("none", "not found", "n/a", "unknown") else line
