"""Learn a profile's thresholds, and measure what they do to questions they were not learned on.

Three sets of questions: the calibration set of the package, which is ingested into a lake of its
own without enrichment; the golden questions of the sources and a file of one's own, both on the
live index.

Similarities: each question of the set is searched twice, among all texts and among those of the
other domains, which say nothing of it. Odds: the large model reads (mode fact) every look-up and
every unanswerable question, and gives whatever it finds; counted is what a threshold would keep of
right answers and of others. Completions are kept, so what was stopped goes on where it was.

A threshold fits the questions that it was learned on better than others. So the questions are cut
into folds, and each fold is judged by the threshold that the others gave; questions about one thing
are in one fold.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

from rag_assets.answers.answerer import Answerer
from rag_assets.answers.calibration import LEARNED, CalibrationFile, LearnedRole, Part, identity
from rag_assets.answers.looking_up import odds_of
from rag_assets.answers.policy import AnswerPolicy
from rag_assets.errors import RagError
from rag_assets.evaluations.calibration_set import (
    CalibrationQuestion,
    calibration_questions,
    calibration_texts,
)
from rag_assets.evaluations.golden import golden_tasks
from rag_assets.evaluations.lab import REPORT_EVERY_S, Lab, Tell
from rag_assets.evaluations.recording import machine
from rag_assets.evaluations.sampling import Identified, sample
from rag_assets.evaluations.tasks import Task, golden_task
from rag_assets.index.search import IndexReader
from rag_assets.lake.generations import live, live_generation
from rag_assets.models.protocols import Embedder
from rag_assets.pipeline.refreshing import Pipeline
from rag_assets.retrieval.searching import retrieve
from rag_assets.sources.declaration import Source
from rag_assets.sources.golden import Case, load_cases

MADE_BY = "rag calibrate"
AT_ONCE = 4  # questions; the engine batches them
STEP = 0.05
LOWEST, HIGHEST = -2.0, 2.0  # of the odds that are tried
MAY_LOSE = 0.01  # share of questions that min_similarity may take for unrelated
FOLDS = 5
SOURCE = "calibration"
A = TypeVar("A")
Question = TypeVar("Question", bound=Identified)
B = TypeVar("B")
SET = "the calibration set of the package"


class CalibrationError(RagError):
    """There are too few questions of a kind, or none can be asked; the message says what to do."""


class Similarity(NamedTuple):
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
        group: what it is about; questions about one thing are in one fold.
    """

    odds: float
    right: bool
    answerable: bool
    group: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """Questions, and who answers them.

    Attributes:
        name: what they are called.
        tasks: look-ups and unanswerable ones.
        answerer: on the index that they are about.
    """

    name: str
    tasks: Sequence[Task]
    answerer: Answerer


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be calibrated.

    Attributes:
        role: whose thresholds.
        questions: a file of golden questions beside those of the sources.
        keep: keep the thresholds in use, and measure what they do.
    """

    role: Literal["embedder", "llm", "both"] = "both"
    questions: Path | None = None
    keep: bool = False


def calibrated(lab: Lab, embedder: Embedder, wanted: Wanted) -> CalibrationFile:
    """The calibration file of the models that run; ``limit`` and ``seed`` are the lab's request.

    Args:
        lab: its models answer; its folder of evaluations holds texts, lake and completions.
        embedder: of documents.
        wanted: what is to be calibrated.

    Raises:
        CalibrationError: nothing can be learned of so few questions, or the file's cannot be asked
            as no index is live.
        CaseError: the file of questions is not of the form of golden questions.
    """
    own = own_tasks(lab, wanted.questions)
    parts: dict[LearnedRole, Part] = {}
    reader = ingested(lab.settings.evaluations / SOURCE, embedder)
    if wanted.role != "llm":
        asked_of = _sampled(lab, calibration_questions(), lambda one: one.kind)
        found = similarities(reader, lab.embedder, asked_of, lab.tell)
        model = identity("embedder", lab.embedder, lab.profile)
        in_use = lab.answerer(reader).policy
        parts["embedder"] = similarity_part(found, model, in_use, keep=wanted.keep)
    if wanted.role != "embedder":
        with ExitStack() as held:
            asked = [Asked(SET, _sampled(lab, set_tasks(), _kind), lab.answerer(reader))]
            if any(own.values()):
                live_one = lab.answerer(held.enter_context(lab.reader()))
                asked += [
                    Asked(name, _sampled(lab, tasks, _kind), live_one)
                    for name, tasks in own.items()
                ]
            read = answers(asked, lab.tell)
        model = identity("llm", lab.llm, lab.profile)
        policy = asked[0].answerer.policy
        names = ", ".join(f"{len(one.tasks)} of {one.name}" for one in asked if one.tasks)
        parts["llm"] = odds_part(read, model, policy, names, keep=wanted.keep)
    return CalibrationFile(embedder=parts.get("embedder"), llm=parts.get("llm"))


def set_tasks() -> list[Task]:
    """The look-ups and unanswerable questions of the calibration set."""
    cases = (
        (one, Case(one.id, one.kind, one.question, (one.answers,) if one.answers else (), ()))
        for one in calibration_questions()
        if one.kind != "multi"
    )
    return [
        replace(golden_task(case), slices={"kind": case.kind, "group": one.domain})
        for one, case in cases
    ]


def own_tasks(lab: Lab, file: Path | None) -> dict[str, list[Task]]:
    """The look-ups and unanswerable questions of the sources and of a file, by their name.

    Those of the sources are left out, and it is said, where no index is live.

    Raises:
        CalibrationError: there is a file, and no index is live.
        CaseError: the file is not of the form of golden questions.
    """
    found = {"the sources' golden questions": golden_tasks(lab)}
    if file is not None:
        cases = load_cases(Source("questions", "folder", str(file.parent), golden=str(file)))
        found[file.name] = [golden_task(case) for case in cases]
    if live(lab.store) is None:
        if file is not None:
            raise CalibrationError(
                f"expected a live index that the questions of {file} are about, found none in "
                f"{lab.store.uri}; run `rag refresh`"
            )
        if any(found.values()):
            lab.tell("no index is live: the sources' golden questions are left out")
        return {}
    return {
        name: [task for task in tasks if _kind(task) != "multi"] for name, tasks in found.items()
    }


def _sampled(
    lab: Lab, items: Sequence[Question], kind: Callable[[Question], str]
) -> list[Question]:
    size = lab.request.size(None)
    if size is None:
        return list(items)
    return sample(items, size, seed=lab.request.seed, stratify_by=kind)


def _kind(task: Task) -> str:
    return task.slices["kind"]


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
        raise CalibrationError(
            f"the calibration texts gave no index in {pipeline.store.uri}; delete that folder and "
            "try again"
        )
    return IndexReader(pipeline.store, generation)


def similarities(
    reader: IndexReader,
    embedder: Embedder,
    questions: Sequence[CalibrationQuestion],
    tell: Tell,
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
        others = reader.narrowed(f"uri NOT IN ({own})")
        far = retrieve(others, embedder, one.question, limit=limit)
        return Similarity(near.similarity, far.similarity)

    return list(_each(questions, searched, tell, "searched"))


def answers(asked: Sequence[Asked], tell: Tell) -> list[Read]:
    """What the large model reads of questions of one passage or none; no odds are too low."""

    def read(one: tuple[Asked, Task]) -> Read:
        of, task = one
        policy = replace(of.answerer.policy, least_odds=-math.inf)
        got = replace(of.answerer, policy=policy).answer(task.question, mode="fact")
        # A written answer has another confidence: how sure the model was of its words.
        is_read = got.route.way == "read" and not got.abstained
        odds = odds_of(got.confidence) if is_read and got.confidence else -math.inf
        right = is_read and task.answerable and task.text_scores(got.answer)["correct"] == 1
        group = task.slices.get("group") or (task.uris[0] if task.uris else task.id)
        return Read(odds, right, task.answerable, group)

    pairs = [(of, task) for of in asked for task in of.tasks]
    return list(_each(pairs, read, tell, "read"))


def _each(items: Sequence[A], work: Callable[[A], B], tell: Tell, done_with: str) -> Iterator[B]:
    """The work on each question, several at a time; told is how many are done, and the time left.

    Args:
        items: questions.
        work: on one.
        tell: told lines of progress.
        done_with: what was done with a question, as a word.
    """
    began = told = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done, made in enumerate(pool.map(work, items), start=1):
            yield made
            now = time.monotonic()
            if now - told >= REPORT_EVERY_S or done == len(items):
                told = now
                left = (now - began) / done * (len(items) - done)
                tell(f"{done} of {len(items)} questions {done_with}, {left:.0f} s left")


def similarity_part(
    found: Sequence[Similarity], model: dict[str, str], in_use: AnswerPolicy, *, keep: bool
) -> Part:
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
    return _part("embedder", {"min_similarity": lowest}, model, in_use, len(found), curve, SET,
                 keep=keep)  # fmt: skip


def odds_part(
    found: Sequence[Read],
    model: dict[str, str],
    in_use: AnswerPolicy,
    names: str,
    *,
    keep: bool,
) -> Part:
    """What the large model's threshold does.

    ``least_odds`` is the middle of the steps at which most questions come out right: a right answer
    is given, or none where there is none.

    Args:
        found: questions that were read.
        model: the identity of the one that read.
        in_use: has the threshold that counted until now.
        names: of the questions.
        keep: the threshold in use.

    Raises:
        CalibrationError: there are no right answers, no unanswerable questions, or all are of one
            thing.
    """
    n_right, n_none = sum(one.right for one in found), sum(not one.answerable for one in found)
    if not n_right or not n_none or len({one.group for one in found}) < 2:
        raise CalibrationError(
            f"expected right answers and unanswerable questions about several things, got {n_right}"
            f" and {n_none}; ask more"
        )
    curve = [
        {"threshold": step, **abstention([(one, one.odds < step) for one in found])}
        for step in _steps(LOWEST, HIGHEST)
    ]
    before = abstention([(one, one.odds < in_use.least_odds) for one in found])
    counts = f"{names}; {n_right} right answers, {n_none} unanswerable questions"
    made = _part("llm", {"least_odds": best_odds(found)}, model, in_use, len(found), curve, counts,
                 keep=keep)  # fmt: skip
    return made.model_copy(update={"before": before, "held_out": abstention(held_out(found))})


def best_odds(found: Sequence[Read]) -> float:
    """The middle of the steps at which most of the questions come out right."""
    right = {
        step: sum(_comes_out(one, abstained=one.odds < step) for one in found)
        for step in _steps(LOWEST, HIGHEST)
    }
    best = [step for step, n in right.items() if n == max(right.values())]
    return best[len(best) // 2]


def held_out(found: Sequence[Read]) -> list[tuple[Read, bool]]:
    """Each question, and whether it is abstained from by the threshold of the other folds."""
    fold_of = folds([one.group for one in found])
    judged = []
    for fold in sorted(set(fold_of.values())):
        learned_on = [one for one in found if fold_of[one.group] != fold]
        threshold = best_odds(learned_on)
        own = (one for one in found if fold_of[one.group] == fold)
        judged += [(one, one.odds < threshold) for one in own]
    return judged


def folds(groups: Sequence[str]) -> dict[str, int]:
    """The fold of each group, so that all hold about as many questions."""
    filled = [0] * min(FOLDS, len(set(groups)))
    fold_of = {}
    for group, n in sorted(Counter(groups).items(), key=lambda one: (-one[1], one[0])):
        fold_of[group] = filled.index(min(filled))
        filled[fold_of[group]] += n
    return fold_of


def abstention(judged: Sequence[tuple[Read, bool]]) -> dict[str, float]:
    """What comes of questions of which some are abstained from, as shares.

    right_kept: of the right answers, those that are given. none_abstained: of the unanswerable
    questions, those that are abstained from (the recall of abstaining). abstained_rightly: of the
    abstentions, those that are right (its precision; 1 of none). correct: of all questions, those
    that come out right.
    """
    return {
        "right_kept": _share(not abstained for one, abstained in judged if one.right),
        "none_abstained": _share(abstained for one, abstained in judged if not one.answerable),
        "abstained_rightly": _share(not one.answerable for one, abstained in judged if abstained),
        "correct": _share(_comes_out(one, abstained=abstained) for one, abstained in judged),
    }


def _comes_out(one: Read, *, abstained: bool) -> bool:
    return not one.answerable if abstained else one.right


def _part(
    role: LearnedRole,
    best: dict[str, float],
    model: dict[str, str],
    in_use: AnswerPolicy,
    n: int,
    curve: list[dict[str, float]],
    questions: str,
    *,
    keep: bool,
) -> Part:
    kept: Mapping[str, float] = {
        name: getattr(in_use, name) for name, of in LEARNED.items() if of == role
    }
    said = ", ".join(f"{name} {value}" for name, value in best.items())
    return Part(
        model=model,
        thresholds=dict(kept) if keep else best,
        chosen=f"kept as they were; by the rule {said}" if keep else "by the rule of the command",
        n=n,
        questions=questions,
        curve=tuple(curve),
        date=datetime.now(UTC).date().isoformat(),
        machine=machine(),
        made_by=MADE_BY,
    )


def _steps(first: float, last: float) -> Iterator[float]:
    for n in range(round((last - first) / STEP) + 1):
        yield round(first + n * STEP, 2)


def _share(of: Iterator[bool]) -> float:
    """The share of what is true; 1 of nothing."""
    values = list(of)
    return round(sum(values) / len(values), 4) if values else 1.0
