"""Learn a profile's thresholds on the calibration set, and write them with their curves.

Command: ``python -m rag_assets_tests.benchmarks calibration``. The texts of the set are ingested
into a lake of their own, without enrichment.

Similarities: each question is searched twice, among all texts and among those of the other domains,
which say nothing of it. Odds: the large model reads (mode fact) every look-up and every
unanswerable question, and gives whatever it finds; counted is what a threshold would keep of right
answers and of others. Completions are kept, so what was stopped goes on where it was.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from rag_assets.answers.answerer import Answerer
from rag_assets.answers.calibration import LEARNED, CalibrationFile, LearnedRole, Part, identity
from rag_assets.answers.looking_up import odds_of
from rag_assets.answers.policy import AnswerPolicy
from rag_assets.evaluations.calibration_set import (
    CalibrationQuestion,
    calibration_questions,
    calibration_texts,
)
from rag_assets.evaluations.facts import holds, without_markers
from rag_assets.evaluations.recording import machine
from rag_assets.evaluations.replay import CompletionCache, CoreClock, Meter, ReplayedChat
from rag_assets.evaluations.sampling import sample
from rag_assets.index.search import IndexReader
from rag_assets.lake.generations import live_generation
from rag_assets.models.clients.roles import Models
from rag_assets.models.protocols import Embedder
from rag_assets.pipeline.refreshing import Pipeline
from rag_assets.retrieval.searching import retrieve
from rag_assets.sources.declaration import Source
from rag_assets_tests.benchmarks.findings import BenchmarkError

MADE_BY = "python -m rag_assets_tests.benchmarks calibration"
SEED = 20261129
AT_ONCE = 4  # questions; the engine batches them
STEP = 0.05
MAY_LOSE = 0.01  # share of questions that min_similarity may take for unrelated
SOURCE = "calibration"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Similarity:
    """The nearest chunk to a question, among all texts and among those of other domains."""

    near: float
    unrelated: float


@dataclass(frozen=True, slots=True)
class Read:
    """A question that was read: the odds of what was found, and whether that is right.

    Attributes:
        odds: log-odds; -inf where nothing was found.
        right: whether the answer is one of the accepted ones.
        answerable: whether there is one.
    """

    odds: float
    right: bool
    answerable: bool


def ingested(folder: Path, embedder: Embedder) -> IndexReader:
    """The texts of the set, indexed in ``folder``."""
    for name, text in calibration_texts().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    source = Source(SOURCE, "folder", str(folder / "texts"), enrich="none")
    pipeline = Pipeline([source], folder / "lake", embedder=embedder)
    pipeline.refresh()
    generation = live_generation(pipeline.store)
    if generation is None:
        raise BenchmarkError(f"the calibration texts gave no index in {pipeline.store.uri}")
    return IndexReader(pipeline.store, generation)


def similarities(
    reader: IndexReader, embedder: Embedder, questions: Sequence[CalibrationQuestion]
) -> list[Similarity]:
    """How near the best chunk is to each question."""
    of_domain: dict[str, set[str]] = {}
    for one in questions:
        names = {name.rpartition("/")[2] for name in one.documents}
        of_domain.setdefault(one.domain, set()).update(names)

    def searched(one: CalibrationQuestion) -> Similarity:
        own = ", ".join(f"'{SOURCE}:{name}'" for name in sorted(of_domain[one.domain]))
        limit = AnswerPolicy().n_hits
        near = retrieve(reader, embedder, one.question, limit=limit)
        far = retrieve(reader, embedder, one.question, limit=limit, where=f"uri NOT IN ({own})")
        return Similarity(near.similarity, far.similarity)

    return [searched(one) for one in questions]


def answers(answerer: Answerer, questions: Sequence[CalibrationQuestion], say: Say) -> list[Read]:
    """What the large model reads of questions of one passage or none; no odds are too low."""

    def asked(one: CalibrationQuestion) -> Read:
        got = answerer.answer(one.question, mode="fact")
        text = without_markers(got.answer)
        right = not got.abstained and any(holds(text, form) for form in one.answers)
        known = got.confidence is not None and not got.abstained
        odds = odds_of(got.confidence or 0.0) if known else -math.inf
        return Read(odds, right, one.answerable)

    found: list[Read] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for one in pool.map(asked, questions):
            found.append(one)
            if len(found) % 20 == 0:
                say(f"{len(found)} of {len(questions)} questions")
    return found


def similarity_part(found: Sequence[Similarity], model: dict[str, str], *, keep: bool) -> Part:
    """What the embedder's thresholds do.

    ``min_similarity`` is the highest step below which at most 1 % of the questions are.
    """
    curve = [
        {
            "threshold": step,
            "questions_below": _share(one.near < step for one in found),
            "unrelated_below": _share(one.unrelated < step for one in found),
        }
        for step in _steps(0.0, 1.0)
    ]
    lowest = max(p["threshold"] for p in curve if p["questions_below"] <= MAY_LOSE)
    return _part("embedder", {"min_similarity": lowest}, model, len(found), curve, keep=keep)


def odds_part(found: Sequence[Read], model: dict[str, str], *, keep: bool) -> Part:
    """What the large model's threshold does.

    ``least_odds`` is the middle of the steps at which most questions come out right: a right answer
    is given, or none where there is none.

    Raises:
        BenchmarkError: there are no right answers, or no unanswerable questions.
    """
    n_right, n_none = sum(one.right for one in found), sum(not one.answerable for one in found)
    if not n_right or not n_none:
        raise BenchmarkError(
            f"expected right answers and unanswerable questions, got {n_right} and {n_none}; "
            "ask more"
        )
    curve = [
        {
            "threshold": step,
            "right_kept": _share(one.odds >= step for one in found if one.right),
            "none_abstained": _share(one.odds < step for one in found if not one.answerable),
            "abstained_rightly": _share_or_none(not o.answerable for o in found if o.odds < step),
            "correct": _share(
                one.odds >= step if one.right else one.odds < step and not one.answerable
                for one in found
            ),
        }
        for step in _steps(-2.0, 2.0)
    ]
    most = max(point["correct"] for point in curve)
    best = [point["threshold"] for point in curve if point["correct"] == most]
    chosen = {"least_odds": best[len(best) // 2]}
    counts = f"; {n_right} right answers, {n_none} unanswerable questions"
    return _part("llm", chosen, model, len(found), curve, keep=keep, more=counts)


def measured(
    folder: Path,
    models: Models,
    role: Literal["embedder", "llm", "both"],
    say: Say,
    *,
    n_asked: int | None,
    keep: bool,
) -> CalibrationFile:
    """The calibration file of the models that run.

    Args:
        folder: for texts, lake and completions.
        models: that answer.
        role: whose thresholds.
        say: told lines of progress.
        n_asked: questions that the large model is asked; None for all.
        keep: the thresholds of the default policy instead of the best; their curve is measured.
    """
    reader = ingested(folder, models.embedder)
    parts: dict[LearnedRole, Part] = {}
    if role != "llm":
        say("searching")
        found = similarities(reader, models.question_embedder, calibration_questions())
        model = identity("embedder", models.question_embedder, models.profile)
        parts["embedder"] = similarity_part(found, model, keep=keep)
    if role != "embedder":
        asked = [one for one in calibration_questions() if one.kind != "multi"]
        if n_asked is not None:
            asked = sample(asked, n_asked, seed=SEED, stratify_by=lambda one: one.kind)
        model = identity("llm", models.llm, models.profile)
        meter = Meter(CompletionCache(folder / "completions.sqlite"))
        slm, llm = (
            ReplayedChat(chat, f"{chat.model_id} {model}", meter, CoreClock(None))
            for chat in (models.slm, models.llm)
        )
        policy = AnswerPolicy(timeout_s=600, least_odds=-math.inf)
        answerer = Answerer(reader, slm, llm, models.question_embedder, policy)
        parts["llm"] = odds_part(answers(answerer, asked, say), model, keep=keep)
    return CalibrationFile(embedder=parts.get("embedder"), llm=parts.get("llm"))


def _part(
    role: LearnedRole,
    best: dict[str, float],
    model: dict[str, str],
    n: int,
    curve: list[dict[str, float]],
    *,
    keep: bool,
    more: str = "",
) -> Part:
    kept = {name: getattr(AnswerPolicy(), name) for name, of in LEARNED.items() if of == role}
    said = ", ".join(f"{name} {value}" for name, value in best.items())
    return Part(
        model=model,
        thresholds=kept if keep else best,
        chosen=f"kept as they were; by the rule {said}" if keep else "by the rule of the command",
        n=n,
        questions=f"the calibration set of the package{more}",
        curve=tuple(curve),
        date=datetime.now(UTC).date().isoformat(),
        machine=machine(),
        made_by=MADE_BY,
    )


def _steps(first: float, last: float) -> Iterator[float]:
    for n in range(round((last - first) / STEP) + 1):
        yield round(first + n * STEP, 2)


def _share_or_none(of: Iterator[bool]) -> float:
    """As :func:`_share`; 1 of nothing."""
    values = list(of)
    return _share(iter(values)) if values else 1.0


def _share(of: Iterator[bool]) -> float:
    values = list(of)
    return round(sum(values) / len(values), 4)
