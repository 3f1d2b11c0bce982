"""``bench languages``: what two embedders find, in each language of XQuAD and in English sets.

Vectors alone, through the product's client, with the prefixes of each profile. A document is cut
into windows of the embedder's own length and is as near to a question as its nearest window. The
engines take turns, so that both have the same machine; what was measured is kept, and a run that
was cut off goes on behind it.
"""

import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rag_assets.evaluations.sampling import sample
from rag_assets.lake.identity import value_hash
from rag_assets.models.clients.prefixed import with_prefix
from rag_assets.models.clients.tokens import Tokenizer
from rag_assets.models.profile_files import load_profile
from rag_assets.models.profiles import Profile
from rag_assets.models.protocols import Embedder
from rag_assets.models.weights.pulling import require_pulled
from rag_assets.retrieval.embeddable import embeddable
from rag_assets.settings import Settings
from rag_assets_tests.benchmarks.findings import Part, Say, Table
from rag_assets_tests.benchmarks.peers.plain import load_tokenizer, windows
from rag_assets_tests.evaluation_data import evaluation_data
from rag_assets_tests.suites.datasets import Document, Judged, load
from rag_assets_tests.suites.engine_alone import serving_embedder
from rag_assets_tests.suites.public import RETRIEVAL
from rag_assets_tests.suites.ranking import ndcg_at, recall_at

PROFILES = ("cpu", "cpu-multilingual")
SETS = ("xquad", *RETRIEVAL)
SEED = 20261129
N_QUERIES = 200  # of a language, or of a set, at most
Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Slice:
    """Documents and the questions that are asked of them."""

    name: str
    documents: Sequence[Document]
    queries: Sequence[Judged]


@dataclass(frozen=True, slots=True)
class Side:
    """An embedder: what makes its vectors, and how texts are cut and counted for it."""

    model_id: str
    documents: Embedder
    questions: Embedder
    tokenizer: Any
    max_tokens: int


def measure(
    settings: Settings,
    folder: Path,
    say: Say,
    *,
    sets: Sequence[str] = SETS,
    languages: Sequence[str] = (),
    n_documents: int | None = None,
) -> Part:
    """Start the engines and ask.

    Args:
        settings: whose weights.
        folder: where figures are kept, and the engines' state.
        say: told lines of progress.
        sets: of ``SETS``.
        languages: those alone; none named: all.
        n_documents: a sample of each language or set, and the questions that it answers; None: all.

    Raises:
        DataMissingError: a set is not there.
        NotPulledError: weights are missing.
        EngineError: an engine does not start.
    """
    data = evaluation_data(settings)
    asked = [one for name in sets for one in slices(name, data, languages, n_documents)]
    kept = folder / "figures.json"
    known: dict[str, Figures] = json.loads(kept.read_text()) if kept.is_file() else {}
    profiles = [load_profile(name) for name in PROFILES]
    keys = {
        (one.name, profile.name): value_hash(
            [one.name, [d.id for d in one.documents], profile.spec("embedder").revision]
        )
        for one in asked
        for profile in profiles
    }
    if not set(keys.values()) <= known.keys():
        with ExitStack() as stack:
            sides = {one.name: _started(stack, one, settings, folder) for one in profiles}
            for one in asked:
                for name, side in sides.items():
                    if (key := keys[one.name, name]) not in known:
                        known[key] = figures(one, side)
                        kept.write_text(json.dumps(known))
                        say(f"{one.name}, {name}: nDCG@10 {known[key]['ndcg@10']:.3f}")
    found = {place: known[key] for place, key in keys.items()}
    return report(asked, found, is_sample=n_documents is not None)


def _started(stack: ExitStack, profile: Profile, settings: Settings, folder: Path) -> Side:
    spec = profile.spec("embedder")
    weights = require_pulled(spec, settings.cache)
    state = folder / profile.name
    serving = serving_embedder(profile, cache_dir=settings.cache, state_dir=state)
    engine = stack.enter_context(serving)
    documents = with_prefix(engine, spec.document_prefix)
    tokenizer = Tokenizer.from_dir(weights)
    return Side(
        spec.model_id,
        documents,
        with_prefix(engine, spec.query_prefix),
        load_tokenizer(str(weights / "tokenizer.json")),
        spec.max_model_len - tokenizer.n_special - tokenizer.count(spec.document_prefix),
    )


def slices(
    name: str, data: Path, languages: Sequence[str], n_documents: int | None
) -> Iterator[Slice]:
    """A set, by language; the same documents and questions of each.

    A sample of documents is an easier corpus: it is for a look, and says so.
    """
    dataset = load(name, data)
    by_language: dict[str, list[Document]] = {}
    for document in dataset.documents():
        by_language.setdefault(document.language, []).append(document)
    queries = dataset.queries or [
        Judged(q.id, q.text, dict.fromkeys(q.gold, 1), {"parallel": q.parallel_id})
        for q in dataset.questions
    ]
    for language, documents in sorted(by_language.items()):
        if languages and language not in languages:
            continue
        chosen = documents
        if n_documents is not None:
            chosen = sample(documents, n_documents, seed=SEED, key=lambda d: d.id[:-3])
        ids = {document.id for document in chosen}
        mine = [q for q in queries if ids.issuperset(k for k, gain in q.gains.items() if gain > 0)]
        asked = sample(mine, N_QUERIES, seed=SEED, key=lambda q: q.slices.get("parallel", q.id))
        if asked:
            yield Slice(f"{name}, {language}" if len(by_language) > 1 else name, chosen, asked)


def figures(one: Slice, side: Side) -> Figures:
    """How well the documents are found, and how fast they were embedded."""
    pieces = [
        (place, piece)
        for place, document in enumerate(one.documents)
        for piece in windows(f"{document.title}\n{document.text}", side.tokenizer, side.max_tokens)
    ]
    texts = [piece for _, piece in pieces]
    began = time.perf_counter()
    vectors = side.documents.embed(texts)
    seconds = time.perf_counter() - began
    asked = side.questions.embed([embeddable(q.text, side.questions) for q in one.queries])
    nearest = np.full((len(one.documents), len(one.queries)), -1.0, dtype=np.float32)
    np.maximum.at(nearest, [place for place, _ in pieces], vectors @ asked.T)
    scores = []
    for query, row in zip(one.queries, nearest.T, strict=True):
        ranking = [one.documents[place].id for place in np.argsort(-row, kind="stable")[:100]]
        scores.append((ndcg_at(ranking, query.gains, 10), recall_at(ranking, query.gains, 10)))
    return {
        "ndcg@10": statistics.fmean(score for score, _ in scores),
        "recall@10": statistics.fmean(score for _, score in scores),
        "chars_s": sum(map(len, texts)) / seconds,
        "tokens_s": sum(map(side.documents.count, texts)) / seconds,
    }


def report(
    asked: Sequence[Slice], found: Mapping[tuple[str, str], Figures], *, is_sample: bool
) -> Part:
    """Both embedders beside each other.

    Args:
        asked: what was asked.
        found: by slice and profile.
        is_sample: of documents.
    """
    rows = []
    for one in asked:
        sides = [found[one.name, name] for name in PROFILES]
        rows.append(
            (one.name, f"{len(one.documents):,}", f"{len(one.queries):,}",
             *(f"{side['ndcg@10']:.3f}" for side in sides),
             *(f"{side['recall@10']:.3f}" for side in sides))
        )  # fmt: skip
    speeds = [
        (name, *(f"{statistics.median(found[one.name, name][of] for one in asked):,.0f}"
                 for of in ("tokens_s", "chars_s")))
        for name in PROFILES
    ]  # fmt: skip
    names = [f"{of}, {name}" for of in ("nDCG@10", "recall@10") for name in PROFILES]
    notes = ["A question is asked of the documents of its own language."]
    if is_sample:
        notes.append("The documents are a sample: an easier corpus than the whole set.")
    return Part(
        "languages",
        "the embedders of cpu and cpu-multilingual, vectors alone",
        [
            Table("What is found", ("set", "documents", "questions", *names), rows),
            Table(
                "Speed of embedding documents, median over the sets",
                ("profile", "tokens/s, its own", "characters/s"),
                speeds,
            ),
        ],
        notes=notes,
    )
