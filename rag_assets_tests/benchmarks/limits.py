"""Ask with windows and limits that are much too small: nothing may overflow or be cut unsaid.

Command: ``python -m rag_assets_tests.benchmarks limits``. The questions are those of the
calibration set and the sources' golden ones. Each is asked with one pair of a window and a limit of
the answer's tokens, by turns; every fifth in deep mode, and every fifth behind a long text.
Completions are kept, so what was stopped goes on where it was.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import cycle
from typing import NamedTuple, Unpack

from rag_assets.answers.answer import Answer
from rag_assets.answers.answerer import Answerer
from rag_assets.answers.policy import AnswerPolicy, Budget, DeepBudget, ReadingBudget
from rag_assets.answers.questions import QuestionTooLongError
from rag_assets.answers.repair import CUT
from rag_assets.answers.spans import folded
from rag_assets.evaluations.calibrating import SOURCE, ingested
from rag_assets.evaluations.calibration_set import calibration_questions, calibration_texts
from rag_assets.evaluations.facts import without_markers
from rag_assets.evaluations.golden import golden_tasks
from rag_assets.evaluations.lab import Lab
from rag_assets.lake.generations import live
from rag_assets.models.protocols import ChatModel, ChatOptions, Completion, Embedder, Message
from rag_assets_tests.benchmarks.findings import Goal, Part, Table

WINDOWS = (512, 1024)
ANSWERS = (4, 8, 16)
EVERY = 5
LONG = 1500  # characters of the text before a question


@dataclass
class Narrow:
    """A chat model that says its window is small, and watches what is asked and cut.

    Attributes:
        model: the real one.
        max_model_len: its window, as it says.
        overflows: tokens of prompt and answer of each call that did not fit the window.
        cut: texts that were cut and not continued.
    """

    model: ChatModel
    max_model_len: int
    overflows: list[int] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.name = self.model.name
        self.model_id = self.model.model_id
        self.revision = self.model.revision
        self.count_chat = self.model.count_chat
        self.counts_exactly = getattr(self.model, "counts_exactly", True)

    def complete(self, messages: Sequence[Message], **options: Unpack[ChatOptions]) -> Completion:
        """See :class:`ChatModel`."""
        done = self.model.complete(messages, **options)
        if done.prompt_tokens + options["max_tokens"] > self.max_model_len:
            self.overflows.append(done.prompt_tokens + options["max_tokens"])
        if (prefix := options.get("prefix", "")) in self.cut:
            self.cut.remove(prefix)
        if done.finish_reason == CUT and options["max_tokens"] > 1 and done.text.strip():
            self.cut.append(done.text)
        return done


class Limits(NamedTuple):
    """Tokens of a window, and of an answer."""

    window: int
    answer: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a question.

    Attributes:
        limits: that it was asked with.
        answer: None if the question was refused as too long.
        n_overflows: calls that did not fit the window.
        n_cut: calls that were cut and not continued.
        is_unmarked: whether something was cut and the answer does not say so.
    """

    limits: Limits
    answer: Answer | None
    n_overflows: int
    n_cut: int
    is_unmarked: bool


def limited(policy: AnswerPolicy, answer: int) -> AnswerPolicy:
    """The policy with answers of so many tokens, and as many to repair one."""
    reduce = Budget(policy.deep.reduce.evidence, answer, answer, policy.deep.reduce.sections)
    return replace(
        policy,
        llm=Budget(policy.llm.evidence, answer, answer, policy.llm.sections),
        reading=ReadingBudget(policy.reading.candidates, answer),
        deep=DeepBudget(policy.deep.documents, policy.deep.document, answer, reduce),
    )


def outcome(answerer: Answerer, question: str, limits: Limits, *, mode: str = "auto") -> Outcome:
    """Ask a question with limits."""
    slm, llm = Narrow(answerer.slm, limits.window), Narrow(answerer.llm, limits.window)
    narrow = replace(answerer, slm=slm, llm=llm, policy=limited(answerer.policy, limits.answer))
    try:
        answer = narrow.answer(question, mode=mode)
    except QuestionTooLongError:
        answer = None
    cut = [*slm.cut, *llm.cut]
    n_overflows = len(slm.overflows) + len(llm.overflows)
    unmarked = answer is not None and is_unmarked(answer, cut)
    return Outcome(limits, answer, n_overflows, len(cut), unmarked)


def is_unmarked(answer: Answer, cut: Sequence[str]) -> bool:
    """Whether an answer shows what was cut, or ends there, and does not say so.

    Args:
        answer: as it was told.
        cut: texts of models that were cut and not continued.
    """
    if any("cut" in note for note in answer.repairs):
        return False
    if answer.finish_reason == CUT and answer.route.way != "read":
        return True
    told = "" if answer.abstained else folded(without_markers(answer.answer))
    return any(f" {folded(text)} " in f" {told} " for text in cut if folded(text))


def measure(lab: Lab, embedder: Embedder) -> Part:
    """Ask the questions; ``limit`` is the lab's request.

    Args:
        lab: its models answer.
        embedder: of documents.
    """
    reader = ingested(lab.settings.evaluations / SOURCE, embedder)
    asked = [(one.question, lab.answerer(reader)) for one in calibration_questions()]
    with ExitStack() as held:
        if live(lab.store) is not None:
            own = lab.answerer(held.enter_context(lab.reader()))
            asked += [(task.question, own) for task in golden_tasks(lab)]
        found = list(_outcomes(lab, asked))
    return part_of(found)


def _outcomes(lab: Lab, asked: Sequence[tuple[str, Answerer]]) -> Iterator[Outcome]:
    pairs = cycle([Limits(window, answer) for window in WINDOWS for answer in ANSWERS])
    stories = cycle([text[:LONG] for text in calibration_texts().values()])
    size = lab.request.size(None)
    turns = list(enumerate(zip(asked, pairs, stories, strict=False)))[:size]
    for n, ((question, answerer), limits, story) in lab.each(turns, "questions"):
        mode = "deep" if n % EVERY == 0 else "auto"
        text = f"{story}\n\n{question}" if n % EVERY == 1 else question
        yield outcome(answerer, text, limits, mode=mode)


def part_of(found: Sequence[Outcome]) -> Part:
    """What came of the questions, by their limits."""
    rows = []
    for limits in sorted({one.limits for one in found}):
        own = [one for one in found if one.limits == limits]
        told = [one for one in own if one.answer is not None and not one.answer.abstained]
        rows.append([
            str(limits.window), str(limits.answer), str(len(own)), str(len(told)),
            str(sum(one.answer is None for one in own)), str(sum(one.n_cut for one in own)),
            str(sum(one.n_overflows for one in own)), str(sum(one.is_unmarked for one in own)),
        ])  # fmt: skip
    columns = ("window", "answer", "questions", "answered", "too long", "cut calls", "overflows",
               "unmarked")  # fmt: skip
    n_overflows = sum(one.n_overflows for one in found)
    n_unmarked = sum(one.is_unmarked for one in found)
    return Part(
        "limits",
        "answers with small windows and limits, in tokens",
        [Table("By window and limit of an answer", columns, rows)],
        [
            Goal("no call overflows the window", f"{n_overflows}", n_overflows == 0),
            Goal("nothing is cut unsaid", f"{n_unmarked}", n_unmarked == 0),
        ],
        [
            "Every fifth question is asked in deep mode, every fifth behind a text of "
            f"{LONG:,} characters."
        ],
    )
