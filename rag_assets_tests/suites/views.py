"""How the public suites are shown, where that differs from the golden questions."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import replace

from rag_assets.evaluations.drawing import Plot
from rag_assets.evaluations.golden import PRODUCT
from rag_assets.evaluations.presentation import (
    CLOSED,
    QUALITY,
    TIMES,
    View,
    closed_books,
    document_types_apart,
    whole,
)
from rag_assets.evaluations.results import CaseResult, Figure
from rag_assets_tests.suites import plots
from rag_assets_tests.suites.conversations import CACHED, FOLLOW_UP, WRITTEN_OUT, prefix_hits
from rag_assets_tests.suites.injection import PLAIN
from rag_assets_tests.suites.wordings import KEYWORDS, QUESTION

RANKING = ("ndcg@10", "recall@5", "recall@10", "recall@100", "mrr@10", "map@100")
COMPARED = (("ndcg@10", "recall@10"), ("correct",))


def searches_or_books(variants: Sequence[str]) -> list[tuple[str, str]]:
    """Each half of the search against both; answers without documents against the product's."""
    if "hybrid" in variants:
        return [(v, "hybrid") for v in variants if v in ("bm25", "vectors")]
    return closed_books(variants)


def steps_apart(variants: Sequence[str]) -> list[tuple[str, str]]:
    """Each step against the one before it, and against the first."""
    asked = [v for v in variants if not v.startswith(CLOSED)]
    return [*itertools.pairwise(asked), *((asked[0], other) for other in asked[2:])]


def against_product(variants: Sequence[str]) -> list[tuple[str, str]]:
    """Each other arm against the product."""
    return [(one, PRODUCT) for one in variants if one != PRODUCT]


def wordings_apart(variants: Sequence[str]) -> list[tuple[str, str]]:
    """Keywords against the question."""
    return [(QUESTION, KEYWORDS)] if {QUESTION, KEYWORDS} <= set(variants) else []


def follow_ups_apart(variants: Sequence[str]) -> list[tuple[str, str]]:
    """The follow-up against the question written out."""
    return [(WRITTEN_OUT, FOLLOW_UP)] if {WRITTEN_OUT, FOLLOW_UP} <= set(variants) else []


def injections_apart(variants: Sequence[str]) -> list[tuple[str, str]]:
    """The product against plain concatenation; what is asked without an attack has other cases."""
    return [(PLAIN, PRODUCT)] if {PLAIN, PRODUCT} <= set(variants) else []


def rungs_apart(variants: Sequence[str]) -> list[tuple[str, str]]:
    """Each rung against the first of its model ("slm bf16", "llm, first")."""
    first: dict[str, str] = {}
    own = {rung: first.setdefault(_model_of(rung), rung) for rung in variants}
    return [(baseline, other) for other, baseline in own.items() if baseline != other]


def _model_of(variant: str) -> str:
    found = re.match(r"(slm|llm)\b.", variant)
    return found[1] if found else ""


def rankings_apart(result: CaseResult) -> str:
    """Of an ablation: answers, rankings, labels."""
    return "rankings" if "ndcg@10" in result.scores else document_types_apart(result)


def by_ladder(result: CaseResult) -> str:
    """One ladder says nothing of another."""
    return result.dataset


def step_by_step(found: Sequence[Figure], results: Sequence[CaseResult], main: str) -> Plot:
    """Quality, tokens, time; of sets whose questions were put to models with documents."""
    asked = {r.dataset for r in results if r.use}
    shown = [f for f in whole(found) if f.dataset in asked and not f.variant.startswith(CLOSED)]
    metrics = {figure.metric for figure in shown}
    times = tuple(name for name in ("seconds p50", "seconds p95") if name in metrics)
    panels = [name for name in (main, "prompt tokens") if name in metrics]
    return plots.steps(shown, [*panels, times] if times else panels)


def heat_by_language(found: Sequence[Figure]) -> dict[str, Plot]:
    """A row for each language."""
    of_language = [f for f in found if f.slice.startswith("language=")]
    return {
        f"{metric} by language.": plots.heat(of_language, metric, "slice", "variant", of="language")
        for metric in ("ndcg@10", "correct")
        if any(f.metric == metric for f in of_language)
    }


RANKED = View(
    qualities=RANKING,
    headline=RANKING[:5],
    sliced=RANKING[:3],
    compared=COMPARED[:1],
    pairs=searches_or_books,
)
ASKED = View(
    qualities=(*QUALITY, *RANKING),
    sliced=("correct", "abstained", "ndcg@10"),
    compared=COMPARED,
    pairs=searches_or_books,
)
LANGUAGES = View(
    qualities=ASKED.qualities,
    sliced=ASKED.sliced,
    compared=COMPARED,
    pairs=searches_or_books,
    slice_pictures=heat_by_language,
)
ABLATION = View(
    qualities=ASKED.qualities,
    headline=(*QUALITY, *TIMES),
    sliced=ASKED.sliced,
    compared=COMPARED,
    pairs=steps_apart,
    family=rankings_apart,
    picture=step_by_step,
    has_latencies=False,
)
HEADLINE = replace(ABLATION, pairs=against_product)
LADDERS = View(
    qualities=(
        *QUALITY, "tokens read per second", "tokens written per second", "wall seconds an answer",
        "variance of correctness", "flips",
    ),
    pairs=rungs_apart,
    family=by_ladder,
)  # fmt: skip
WORDINGS = View(pairs=wordings_apart, ratio="correct")
CONVERSATIONS = View(
    headline=(*QUALITY, *TIMES, CACHED), pairs=follow_ups_apart, ratio="correct", goal=prefix_hits
)
ATTACKED = ("changed", "did the task", "lost the answer")
INJECTION = View(
    qualities=(*ATTACKED, *QUALITY),
    headline=(*ATTACKED, *QUALITY, *TIMES),
    sliced=ATTACKED,
    compared=(ATTACKED, ("correct",)),
    pairs=injections_apart,
    ratio="changed",
)
