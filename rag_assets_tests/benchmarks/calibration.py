"""Learn a profile's thresholds on the calibration set, and write them with their curves.

Command: ``python -m rag_assets_tests.benchmarks calibration``. The texts of the set are ingested
into a lake of their own, without enrichment.

Similarities: each question is searched twice, among all texts and among those of the other domains,
which say nothing of it. Log-probabilities: the small model answers alone (mode fact); counted are
look-ups and unanswerable questions that it answered, right and wrong. Completions are kept, so what
was stopped goes on where it was.
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
MUST_CATCH = 0.9  # share of unrelated questions that decent_similarity has to keep out
SOURCE = "calibration"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Similarity:
    """The nearest chunk to a question, among all texts and among those of other domains."""

    near: float
    unrelated: float


@dataclass(frozen=True, slots=True)
class Sureness:
    """An answer of the small model: its mean log-probability, and whether it is right."""

    mean_logprob: float
    right: bool


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


def answers(
    answerer: Answerer, questions: Sequence[CalibrationQuestion], say: Say
) -> list[Sureness]:
    """What the small model says to questions of one passage or none, where it says anything."""

    def asked(one: CalibrationQuestion) -> Sureness | None:
        got = answerer.answer(one.question, mode="fact")
        if got.abstained or got.confidence is None:
            return None
        text = without_markers(got.answer)
        return Sureness(math.log(got.confidence), any(holds(text, form) for form in one.answers))

    found: list[Sureness] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done, one in enumerate(pool.map(asked, questions), start=1):
            found += [] if one is None else [one]
            if done % 20 == 0:
                say(f"{done} of {len(questions)} questions, {len(found)} answered")
    return found


def similarity_part(found: Sequence[Similarity], model: dict[str, str], *, keep: bool) -> Part:
    """What the embedder's thresholds do.

    ``min_similarity`` is the highest step below which at most 1 % of the questions are;
    ``decent_similarity`` the lowest below which 90 % of the unrelated ones are.
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
    decent = min(p["threshold"] for p in curve if p["unrelated_below"] >= MUST_CATCH)
    chosen = {"min_similarity": lowest, "decent_similarity": max(lowest, decent)}
    return _part("embedder", chosen, model, len(found), curve, keep=keep)


def logprob_part(found: Sequence[Sureness], model: dict[str, str], *, keep: bool) -> Part:
    """What the small model's threshold does.

    ``min_logprob`` is the step at which the share of the wrong answers below it exceeds that of
    the right ones most.

    Raises:
        BenchmarkError: there are no right answers, or no wrong ones.
    """
    right = [one.mean_logprob for one in found if one.right]
    wrong = [one.mean_logprob for one in found if not one.right]
    if not right or not wrong:
        raise BenchmarkError(
            f"expected right and wrong answers, got {len(right)} and {len(wrong)}; ask more"
        )
    curve = [
        {
            "threshold": step,
            "right_below": _share(one < step for one in right),
            "wrong_below": _share(one < step for one in wrong),
        }
        for step in _steps(-1.0, 0.0)
    ]
    best = max(curve, key=lambda point: point["wrong_below"] - point["right_below"])
    chosen = {"min_logprob": best["threshold"]}
    counts = f"; {len(right)} right answers, {len(wrong)} wrong ones"
    return _part("slm", chosen, model, len(found), curve, keep=keep, more=counts)


def measured(
    folder: Path,
    models: Models,
    role: Literal["embedder", "slm", "both"],
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
        n_asked: questions that the small model is asked; None for all.
        keep: the thresholds of the default policy instead of the best; their curve is measured.
    """
    reader = ingested(folder, models.embedder)
    parts: dict[LearnedRole, Part] = {}
    if role != "slm":
        say("searching")
        found = similarities(reader, models.question_embedder, calibration_questions())
        model = identity("embedder", models.question_embedder, models.profile)
        parts["embedder"] = similarity_part(found, model, keep=keep)
    if role != "embedder":
        asked = [one for one in calibration_questions() if one.kind != "multi"]
        if n_asked is not None:
            asked = sample(asked, n_asked, seed=SEED, stratify_by=lambda one: one.kind)
        model = identity("slm", models.slm, models.profile)
        cache = CompletionCache(folder / "completions.sqlite")
        slm = ReplayedChat(models.slm, str(model), Meter(cache), CoreClock(None))
        answerer = Answerer(reader, slm, slm, models.question_embedder, AnswerPolicy(timeout_s=600))
        parts["slm"] = logprob_part(answers(answerer, asked, say), model, keep=keep)
    return CalibrationFile(embedder=parts.get("embedder"), slm=parts.get("slm"))


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


def _share(of: Iterator[bool]) -> float:
    values = list(of)
    return round(sum(values) / len(values), 4)
