"""Ask one task of one variant and score what comes back; a question refused is a result, too."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rag_assets.answers.answer import Answer
from rag_assets.answers.answerer import Answerer
from rag_assets.answers.citations import Citation
from rag_assets.answers.claims import parse_claims
from rag_assets.answers.follow_ups import Turn
from rag_assets.answers.questions import QuestionError
from rag_assets.answers.repair import complete
from rag_assets.evaluations.replay import Meter
from rag_assets.evaluations.results import CaseResult, ModelUse
from rag_assets.evaluations.tasks import Task
from rag_assets.index.search import IndexedChunk
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


def ask(
    answerer: Answerer,
    task: Task,
    place: Place,
    meter: Meter,
    *,
    question: str | None = None,
    where: str | None = None,
    mode: str = "auto",
    turns: Sequence[Turn] = (),
) -> CaseResult:
    """Ask the answerer.

    Args:
        answerer: its models report to the meter.
        task: what is asked, and what is right.
        place: of the result.
        meter: counts the calls.
        question: asked instead of the task's own wording.
        where: SQL filter over the index, e.g. the one document that is given.
        mode: of answering.
        turns: of a conversation before.

    Raises:
        EngineUnavailableError: a model is gone; so would be the answers that follow.
    """
    asked = task.question if question is None else question

    def say() -> Said:
        return _said(answerer.answer(asked, mode=mode, where=where, turns=turns))

    return result_of(say, task, place, meter, asked)


def ask_closed_book(model: ChatModel, task: Task, place: Place, meter: Meter) -> CaseResult:
    """Ask a model without any document: what it knows by heart.

    Raises:
        EngineUnavailableError: the model is gone.
    """
    messages = [
        {"role": "system", "content": CLOSED_BOOK},
        {"role": "user", "content": f"Question: {task.question}\nAnswer:"},
    ]
    return ask_model(
        model, messages, task, place, meter, max_tokens=CLOSED_BOOK_TOKENS, passages=None
    )


def ask_model(
    model: ChatModel,
    messages: Sequence[Message],
    task: Task,
    place: Place,
    meter: Meter,
    *,
    max_tokens: int,
    passages: Sequence[Passage] | None,
) -> CaseResult:
    """What a model, which reports to the meter, says to a given chat, unchecked.

    Args:
        model: the model.
        messages: the chat.
        task: what is asked, and what is right.
        place: of the result.
        meter: counts the calls.
        max_tokens: of the answer.
        passages: evidence in the chat; None for closed book.

    Raises:
        EngineUnavailableError: the model is gone.
    """

    def say() -> Said:
        text = complete(model, messages, max_tokens=max_tokens).text.strip()
        evidence = None if passages is None else _documents(passages)
        return Said(
            text, declines(text), model.name, evidence=evidence, evidence_text=_read(passages or ())
        )

    closed_book = passages is None
    return result_of(say, task, place, meter, task.question, closed_book=closed_book)


def result_of(
    say: Callable[[], Said],
    task: Task,
    place: Place,
    meter: Meter,
    asked: str,
    *,
    closed_book: bool = False,
) -> CaseResult:
    """The result of what is said; of a question that gets no answer: wrong in all, and counted."""
    meter.take()
    started, error = time.perf_counter(), ""
    try:
        said = say()
    except (QuestionError, ModelRequestError) as raised:
        documents = None if closed_book else ()
        said, error = Said("", False, "none", cited=documents, evidence=documents), str(raised)
    measured_s = time.perf_counter() - started
    calls = meter.take()
    use: dict[str, ModelUse] = {}
    for call in calls:
        use[call.role] = use.get(call.role, ModelUse()).plus(call.use)
    found = scores(task, said)
    return CaseResult(
        suite=place.suite,
        dataset=place.dataset,
        variant=place.variant,
        case_id=task.id,
        question=asked,
        answer=said.text,
        expected=task.expected,
        slices=task.slices,
        scores=dict.fromkeys([*found, "correct"], 0.0) if error else found,
        answerable=task.answerable,
        abstained=said.abstained,
        confidence=said.confidence,
        model=next(iter(use)) if len(use) == 1 and not error else said.model,
        use=use,
        seconds=0.0 if error else meter.seconds(calls, measured_s),
        replayed=bool(calls) and all(call.replayed for call in calls),
        error=error,
    )


def _documents(passages: Sequence[Passage]) -> tuple[frozenset[str], ...]:
    return _named(passage.head for passage in passages)


def _named(found: Iterable[IndexedChunk | Citation]) -> tuple[frozenset[str], ...]:
    """Per document, its uri and those of its aliases."""
    return tuple({one.uri: frozenset([one.uri, *one.aliases]) for one in found}.values())


def _read(passages: Sequence[Passage]) -> str:
    """What a model reads of them."""
    return "\n".join(f"{passage.title}\n{passage.text}" for passage in passages)


def declines(text: str) -> bool:
    """Whether a model's own words say that the documents lack the answer, and nothing else."""
    return all(claim.is_refusal for claim in parse_claims(text))


def _said(answer: Answer) -> Said:
    return Said(
        text=answer.answer,
        abstained=answer.abstained,
        model=answer.route.model if answer.usage else "none",
        confidence=None if answer.abstained else answer.confidence,
        cited=_named(answer.citations),
        evidence=_documents(answer.evidence),
        evidence_text=_read(answer.evidence),
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
