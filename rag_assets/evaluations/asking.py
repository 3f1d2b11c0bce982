"""Ask one task of one variant and score what comes back; a question refused is a result, too."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rag_assets.answers.answer import Answer
from rag_assets.answers.answerer import Answerer
from rag_assets.answers.claims import parse_claims
from rag_assets.answers.questions import QuestionError
from rag_assets.evaluations.replay import CompletionCache, Meter
from rag_assets.evaluations.results import CaseResult
from rag_assets.evaluations.tasks import Task
from rag_assets.models.errors import ModelRequestError
from rag_assets.models.protocols import ChatModel, Message
from rag_assets.retrieval.passages import Passage

# It asks for a guess: allowed to decline, both small models decline nine of ten questions.
CLOSED_BOOK = """\
You answer questions from what you know. Answer in one short sentence. If you are not sure, give \
your best guess."""
CLOSED_BOOK_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Place:
    """Where a result belongs."""

    suite: str
    dataset: str
    variant: str


@dataclass(frozen=True, slots=True)
class Said:
    """What a variant said, before it is scored.

    Attributes:
        text: the answer.
        abstained: whether it says that the documents do not answer.
        model: that wrote it.
        confidence: in its words; None if unknown.
        cited: per cited document, its uri and those of its aliases; None if citations are not read.
        evidence: the same of the documents that were found; None if there were none to search.
        evidence_text: what the model read.
    """

    text: str
    abstained: bool
    model: str
    confidence: float | None = None
    cited: Sequence[frozenset[str]] | None = None
    evidence: Sequence[frozenset[str]] | None = None
    evidence_text: str = ""


@dataclass(frozen=True, slots=True)
class Instruments:
    """What measures: the meter that the models of a variant report to, and the kept completions."""

    meter: Meter
    cache: CompletionCache


def ask(
    answerer: Answerer,
    task: Task,
    place: Place,
    instruments: Instruments,
    *,
    question: str | None = None,
    where: str | None = None,
    mode: str = "auto",
) -> CaseResult:
    """Ask the answerer.

    Args:
        answerer: its models report to the instruments' meter.
        task: what is asked, and what is right.
        place: of the result.
        instruments: meter and completions.
        question: asked instead of the task's own wording.
        where: SQL filter over the index, e.g. the one document that is given.
        mode: of answering.

    Raises:
        EngineUnavailableError: a model is gone; so would be the answers that follow.
    """
    asked = task.question if question is None else question
    instruments.meter.take()
    started = time.perf_counter()
    try:
        answer = answerer.answer(asked, mode=mode, where=where)
    except (QuestionError, ModelRequestError) as error:
        return failed(task, place, asked, str(error), instruments)
    return scored(task, place, asked, _said(answer), time.perf_counter() - started, instruments)


def ask_closed_book(
    model: ChatModel, task: Task, place: Place, instruments: Instruments
) -> CaseResult:
    """Ask a model without any document: what it knows by heart.

    Raises:
        EngineUnavailableError: the model is gone.
    """
    messages = [
        {"role": "system", "content": CLOSED_BOOK},
        {"role": "user", "content": f"Question: {task.question}\nAnswer:"},
    ]
    return ask_model(
        model, messages, task, place, instruments, max_tokens=CLOSED_BOOK_TOKENS, passages=None
    )


def ask_model(
    model: ChatModel,
    messages: Sequence[Message],
    task: Task,
    place: Place,
    instruments: Instruments,
    *,
    max_tokens: int,
    passages: Sequence[Passage] | None,
) -> CaseResult:
    """What a model says to a given chat, unchecked.

    Args:
        model: reports to the instruments' meter.
        messages: the chat.
        task: what is asked, and what is right.
        place: of the result.
        instruments: meter and completions.
        max_tokens: of the answer.
        passages: evidence in the chat; None for closed book.

    Raises:
        EngineUnavailableError: the model is gone.
    """
    closed_book = passages is None
    instruments.meter.take()
    started = time.perf_counter()
    try:
        done = model.complete(messages, max_tokens=max_tokens)
    except ModelRequestError as error:
        return failed(task, place, task.question, str(error), instruments, closed_book=closed_book)
    text = done.text.strip()
    said = Said(
        text,
        declines(text),
        model.name,
        evidence=None if passages is None else _documents(passages),
        evidence_text=_read(passages or ()),
    )
    seconds = time.perf_counter() - started
    return scored(task, place, task.question, said, seconds, instruments)


def _documents(passages: Sequence[Passage]) -> tuple[frozenset[str], ...]:
    """Per document, its uri and those of its aliases."""
    heads = (passage.head for passage in passages)
    return tuple({h.uri: frozenset([h.uri, *h.aliases]) for h in heads}.values())


def _read(passages: Sequence[Passage]) -> str:
    """What a model reads of them."""
    return "\n".join(f"{passage.title}\n{passage.text}" for passage in passages)


def declines(text: str) -> bool:
    """Whether a model's own words say that the documents lack the answer, and nothing else."""
    claims = parse_claims(text)
    return not any(not claim.is_refusal for claim in claims)


def _said(answer: Answer) -> Said:
    return Said(
        text=answer.answer,
        abstained=answer.abstained,
        model=answer.route.model if answer.usage else "none",
        confidence=None if answer.abstained else answer.confidence,
        cited=tuple({c.uri: frozenset([c.uri, *c.aliases]) for c in answer.citations}.values()),
        evidence=_documents(answer.evidence),
        evidence_text=_read(answer.evidence),
    )


def scored(
    task: Task, place: Place, asked: str, said: Said, measured_s: float, instruments: Instruments
) -> CaseResult:
    """The result of something said."""
    taken = instruments.meter.take()
    only = next(iter(taken.use)) if len(taken.use) == 1 else said.model
    return CaseResult(
        suite=place.suite,
        dataset=place.dataset,
        variant=place.variant,
        case_id=task.id,
        question=asked,
        answer=said.text,
        expected=task.expected,
        slices=task.slices,
        scores=scores(task, said),
        answerable=task.answerable,
        abstained=said.abstained,
        confidence=said.confidence,
        model=only,
        use=taken.use,
        seconds=taken.seconds(instruments.cache, measured_s),
        replayed=bool(taken.keys) and not taken.made,
    )


def scores(task: Task, said: Said) -> dict[str, float]:
    """All scores of what was said.

    ``correct``: an unanswerable question was abstained from; an answerable one answered with the
    expected facts. ``citation recall``: share of the needed documents among the cited ones, 0 when
    nothing was answered; ``citation precision``: share of the cited documents that are needed, of
    answers that cite (document level; Gao et al., "Enabling Large Language Models to Generate Text
    with Citations", EMNLP 2023, judge the same two by entailment of each sentence).
    ``evidence recall`` and ``answer in evidence``: whether the model was given what it needed; 0
    where a search found nothing, so that finding nothing never makes a variant look better.
    """
    abstained = float(said.abstained)
    if not task.answerable:  # a set's unanswerable questions have no answers to score a text by
        return {"correct": abstained, "abstained": abstained}
    found = {**task.text_scores("" if said.abstained else said.text), "abstained": abstained}
    needed = set(task.uris)
    if needed and said.evidence is not None:
        found["evidence recall"] = _share(needed, _originals(task, said.evidence))
    if said.evidence is not None and task.in_evidence is not None:
        found["answer in evidence"] = float(task.in_evidence(said.evidence_text))
    if needed and said.cited is not None:
        cited = [] if said.abstained else _originals(task, said.cited)
        found["citation recall"] = _share(needed, cited)
        if cited:
            right = sum(bool(names & needed) for names in cited)
            found["citation precision"] = right / len(cited)
    return found


def _originals(task: Task, documents: Sequence[frozenset[str]]) -> list[frozenset[str]]:
    """A copy that the pipeline did not collapse says the same, so it is as good."""
    return [frozenset(task.copies.get(name, name) for name in names) for names in documents]


def _share(needed: set[str], documents: Sequence[frozenset[str]]) -> float:
    names: frozenset[str] = frozenset().union(*documents)
    return sum(uri in names for uri in needed) / len(needed)


def failed(
    task: Task,
    place: Place,
    asked: str,
    error: str,
    instruments: Instruments,
    *,
    closed_book: bool = False,
) -> CaseResult:
    """The result of a question that got no answer: wrong in everything, and counted."""
    documents = None if closed_book else ()
    nothing = Said("", False, "none", cited=documents, evidence=documents)
    measured = {name: 0.0 for name in scores(task, nothing)} | {"correct": 0.0}
    result = scored(task, place, asked, nothing, 0.0, instruments)
    return replace(result, scores=measured, model="none", seconds=0.0, error=error)
