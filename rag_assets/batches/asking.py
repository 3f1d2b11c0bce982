"""Ask many questions at the same time; one that fails does not stop the others."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from rag_assets.answers.questions import QuestionError
from rag_assets.batches.answers import write_answers
from rag_assets.batches.kept import keeping
from rag_assets.batches.outcomes import Outcome
from rag_assets.batches.questions import Questions, Row
from rag_assets.models.errors import ModelRequestError
from rag_assets.progress import Tell

Ask = Callable[[Row], Mapping[str, Any]]  # the record of its answer
TELL_S = 10.0  # between two lines of progress
_OF_QUESTION = (QuestionError, ModelRequestError)  # asking another question may go well


@dataclass(slots=True)
class Tally:
    """How far a batch is.

    Attributes:
        total: questions.
        done: answered, or failed.
        kept: of these, by an earlier attempt.
        abstained: of these, without an answer in the documents.
        failed: of these, not answered.
    """

    total: int
    done: int = 0
    kept: int = 0
    abstained: int = 0
    failed: int = 0
    _began: float = field(default_factory=time.monotonic)

    def add(self, outcome: Outcome) -> None:
        """Count an outcome."""
        self.done += 1
        self.kept += int(outcome.kept)
        self.failed += int(outcome.record is None)
        self.abstained += int(outcome.record is not None and outcome.record["abstained"])

    @property
    def seconds_left(self) -> float | None:
        """How long the others will take, as those of this attempt did; None: nobody knows yet."""
        made = self.done - self.kept
        if not made:
            return None
        return (time.monotonic() - self._began) / made * (self.total - self.done)

    def __str__(self) -> str:
        """As a line for a person."""
        left = self.seconds_left
        parts = [f"{self.done:,} of {self.total:,} questions"]
        parts += [f"{self.abstained:,} without an answer"] if self.abstained else []
        parts += [f"{self.failed:,} failed"] if self.failed else []
        parts += [f"about {_duration(left)} left"] if left else []
        return ", ".join(parts)


def ask_batch(
    questions: Questions, ask: Ask, *, out: Path | None, concurrency: int
) -> Iterator[Outcome]:
    """The outcome of each question, as they come; after the last one the file is there.

    Each answer is kept beside the file as it comes. After a kill, the same call asks only what is
    not kept, and gives first what is.

    Args:
        questions: what is asked.
        ask: asks one.
        out: the file of answers; None: there is none, and nothing is kept.
        concurrency: questions asked at the same time.

    Raises:
        BatchFileError: ``out`` is there already, another batch writes it, or it cannot be written.
        RagError: of ``ask``, where no other question would fare better; what was answered is kept.
    """
    if out is None:
        yield from ask_all(questions.rows, ask, concurrency=concurrency)
        return
    with keeping(out) as kept:
        left = [row for row in questions.rows if row not in kept]
        yield from filter(None, map(kept.outcome, questions.rows))
        for outcome in ask_all(left, ask, concurrency=concurrency):
            kept.add(outcome)
            yield outcome
        write_answers(questions, kept.outcome, out)
        kept.done()


def ask_all(rows: Iterable[Row], ask: Ask, *, concurrency: int) -> Iterator[Outcome]:
    """The outcome of each question, as they come.

    On an interrupt nothing new is asked, and what is being answered still comes; a second one ends
    that, too.

    Raises:
        RagError: of ``ask``, where no other question would fare better; likewise at the end.
    """

    def outcome(row: Row) -> Outcome:
        try:
            return Outcome(row, ask(row))
        except _OF_QUESTION as error:
            return Outcome(row, None, str(error))

    with ThreadPoolExecutor(concurrency) as pool:
        left = iter(rows)
        running = {pool.submit(outcome, row) for row in islice(left, concurrency)}
        stopped: BaseException | None = None
        while running:
            try:
                done, running = wait(running, return_when=FIRST_COMPLETED)
            except KeyboardInterrupt as interrupt:
                if isinstance(stopped, KeyboardInterrupt):
                    raise
                stopped = interrupt
                continue
            failed = [error for one in done if (error := one.exception()) is not None]
            stopped = stopped or next(iter(failed), None)
            if stopped is None:
                running |= {pool.submit(outcome, row) for row in islice(left, len(done))}
            yield from (one.result() for one in done if one.exception() is None)
    if stopped is not None:
        raise stopped


class Lines:
    """Tells of a batch in lines: the first, one in ten seconds, and the last."""

    def __init__(self, tell: Tell) -> None:
        self._tell, self._told = tell, float("-inf")

    def __call__(self, tally: Tally) -> None:
        """Tell, if it is time."""
        now = time.monotonic()
        if tally.done == tally.total or now - self._told >= TELL_S:
            self._told = now
            self._tell(str(tally))


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
