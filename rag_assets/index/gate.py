"""The gate: may a candidate index go live?

Two measures, both without a language model and both fast:

* *recall* on the sources' golden questions: the share of a question's documents among the first
  five that retrieval finds, meant over the questions;
* *canaries*: a fixed sample of chunks, each asked for by its own words, must be found, and its
  vector must be that of its text. They are drawn from ``chunks``, not from the index, so rows
  that the index lost are missed.

A question counts only while all its documents exist: one deleted at the source on purpose
must not keep the refreshed index from going live.

Most canaries are those of the last refresh, so what is asked keeps its vector in the lake's cache,
under a key of the gate's own: it never reads a vector that the index was made of. Upkeep sweeps
these, so a day later the embedder is asked anew.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from rag_assets.chunks import stage as chunks
from rag_assets.chunks.chunking import embedded_text
from rag_assets.documents import stage as documents
from rag_assets.embeddings.stage import vectors
from rag_assets.index.search import Hit, IndexReader
from rag_assets.index.stage import count_unindexed
from rag_assets.lake import generations
from rag_assets.lake.figures import Finding, Markdown, Outcome, Table, Value, counted
from rag_assets.lake.generations import INDEX, Generation
from rag_assets.lake.identity import text_hash, value_hash
from rag_assets.lake.store import LakeError, LakeStore, quoted
from rag_assets.markup import markdown_cell
from rag_assets.models.protocols import Embedder
from rag_assets.sources import stage as source_files
from rag_assets.sources.golden import Case

VERSION = "1"
TOP_DOCUMENTS = 5
TOP_CHUNKS = 10
N_CANARIES = 24
CANARY_CHARS = 300
MIN_CANARIES_FOUND = 0.9  # near-identical passages may crowd one another out of the first ten
MIN_SIMILARITY = 0.95  # of a canary's vector with that of its text: 1 but for the engine's rounding
EMPTY = "the index is empty; nothing could be answered from it"
TOLERANCE = 0.05  # of mean recall, against the live generation on the same questions

Embed = Callable[[Sequence[str]], Sequence[np.ndarray]]


@dataclass(frozen=True, slots=True)
class Measured:
    """What the gate measured of one index."""

    recall: float | None  # None without applicable questions
    recall_by_case: dict[str, float]
    canaries_found: float
    missed_canaries: list[str]
    n_chunks: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the candidate may go live, and the sentences that say why (not)."""

    passed: bool
    reasons: list[str]
    candidate: Measured
    live: Measured | None
    changed_cases: list[str]  # questions whose recall differs from the live generation's

    def to_record(self) -> dict[str, Any]:
        """For the generation's manifest."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Canary:
    """A chunk that must be found by its own words."""

    chunk_id: str
    text: str  # its beginning, to search by
    embedded: str  # what its vector was made of


def evaluate(
    store: LakeStore, cases: Sequence[Case], embedder: Embedder, question_embedder: Embedder
) -> Outcome:
    """Ask the candidate and the live generation; the figures stand in the candidate's record.

    Raises:
        LakeError: there is no candidate.
        EngineUnavailableError: questions are new and the embedder does not answer.
    """
    candidate = generations.candidate(store)
    if candidate is None:
        raise LakeError("there is no candidate index to evaluate; materialise chunk_index first")
    notes = []
    if candidate.id in generations.generation_ids(store):
        notes.append(f"{candidate.id} was published before; its figures are kept")
        record = candidate.evaluation
    else:
        verdict = evaluate_candidate(store, candidate, embedder, question_embedder, cases)
        record = verdict.to_record()
        with store.locked(INDEX):
            newest = generations.candidate(store)
            if newest is not None and newest.id == candidate.id:  # else it was built over meanwhile
                generations.put_candidate(store, replace(newest, evaluation=record))
    measured = record["candidate"]
    reasons = "\n".join(f"- {markdown_cell(reason)}" for reason in record["reasons"])
    figures: dict[str, Value] = {
        "generation": candidate.id,
        "passed": record["passed"],
        "reasons": Markdown(reasons),
        "recall": measured["recall"] if measured["recall"] is not None else "no questions",
        "questions": len(measured["recall_by_case"]),
        "canaries_found": measured["canaries_found"],
        "questions_changed": _changed(record, cases),
    }
    return Outcome(f"{candidate.id}/{record['passed']}", figures, notes)


def evaluate_candidate(
    store: LakeStore,
    candidate: Generation,
    embedder: Embedder,
    question_embedder: Embedder,
    cases: Sequence[Case],
) -> Verdict:
    """Measure the candidate, and beside it the live generation on the same questions.

    Of one that another embedder made, what it reached when it was built is taken: that embedder
    need not run.
    """
    asked, canaries = applicable(store, cases), draw_canaries(store)
    ask, embed = (partial(asked_vectors, store, one) for one in (question_embedder, embedder))
    live = generations.live_generation(store)
    beside = None
    if live is not None and live.models.get("embedder") != candidate.models.get("embedder"):
        beside = _recorded(live, asked)
    elif live is not None and generations.is_there(store, live):
        beside = measure(IndexReader(store, live), ask, embed, asked, [])
    measured = measure(IndexReader(store, candidate), ask, embed, asked, canaries)
    n_unindexed = count_unindexed(store, candidate)
    empty = _why_empty(store, live) if measured.n_chunks == 0 else ""
    return judge(measured, beside, n_unindexed=n_unindexed, empty=empty)


def _why_empty(store: LakeStore, live: Generation | None) -> str:
    """Why an empty index is refused; "" if all files are gone from the sources.

    Then it has to go live, or what was deleted would be answered for ever.
    """
    name, rejected = source_files.TABLE.name, documents.REJECTED.name
    tables = [store.table(name, partition) for partition in store.partitions(name)]
    n_files = sum(table.count_rows() for table in tables if table is not None)
    if live is not None and n_files == 0:
        return ""
    if n_files == 0:
        return f"{EMPTY}: no file found in any source"
    rows = [row for key in store.partitions(rejected) for row in store.rows(rejected, key)]
    reasons = counted(Counter(row["reason"] for row in rows))
    return f"{EMPTY}: {n_files:,} files were found; rejected: {reasons}"


def _recorded(generation: Generation, cases: Sequence[Case]) -> Measured | None:
    """What a generation reached when it was built; None if these are not the same questions."""
    record = generation.evaluation.get("candidate")
    keys = [case_key(case) for case in cases]
    if record is None or record["recall_by_case"].keys() != set(keys):
        return None
    return Measured(**record)


def _changed(record: Mapping[str, Any], cases: Sequence[Case]) -> Table:
    """Golden questions that retrieval now serves better or worse than in the live generation."""
    questions = {case_key(case): case.question for case in cases if case.uris}
    rows = []
    for key in record["changed_cases"]:
        live, now = (record[name]["recall_by_case"][key] for name in ("live", "candidate"))
        rows.append((key, questions.get(key, ""), f"{live:.2f}", f"{now:.2f}"))
    return Table(("case", "question", "live", "candidate"), rows)


def candidate_may_go_live(store: LakeStore, _partitions: Sequence[str]) -> Finding:
    """The candidate is complete and not worse than the live generation beyond the tolerance."""
    candidate = generations.candidate(store)
    if candidate is None or not candidate.evaluation:
        return Finding(False, "the candidate was never evaluated")
    pointer = generations.live(store)
    return Finding(
        bool(candidate.evaluation["passed"]),
        "; ".join(candidate.evaluation["reasons"]),
        {
            "candidate": candidate.id,
            "live": "nothing" if pointer is None else pointer.generation_id,
        },
    )


def applicable(store: LakeStore, cases: Sequence[Case]) -> list[Case]:
    """The answerable cases whose documents all exist now."""
    present: set[str] = set()
    for partition in store.partitions(documents.TABLE.name):
        rows = store.rows(documents.TABLE.name, partition, columns=["uri"])
        present.update(row["uri"] for row in rows)
    return [case for case in cases if case.uris and present.issuperset(case.uris)]


def draw_canaries(store: LakeStore) -> list[Canary]:
    """Chunks of lowest id among indexed documents; ids are hashes, so it is a fixed sample."""
    left_out = {row["document_id"] for row in store.rows("duplicates", columns=["document_id"])}
    lowest: list[tuple[str, str]] = []
    for partition in store.partitions(chunks.TABLE.name):
        columns = ["document_id", "flags"]
        found = store.rows(documents.TABLE.name, partition, columns=columns)
        left_out |= {row["document_id"] for row in found if row["flags"]}
        rows = store.rows(chunks.TABLE.name, partition, columns=["chunk_id", "document_id"])
        mine = [(r["chunk_id"], partition) for r in rows if r["document_id"] not in left_out]
        lowest = sorted(lowest + mine)[:N_CANARIES]
    canaries = []
    for chunk_id, partition in lowest:
        where = f"chunk_id = {quoted([chunk_id])}"
        (row,) = store.rows(chunks.TABLE.name, partition, columns=["header", "text"], where=where)
        embedded = embedded_text(row["header"], row["text"])
        canaries.append(Canary(chunk_id, row["text"][:CANARY_CHARS], embedded))
    return canaries


def asked_vectors(store: LakeStore, embedder: Embedder, texts: Sequence[str]) -> list[np.ndarray]:
    """Vectors of what the gate asks, (dimension,) float32 each; what it asked before is kept.

    Raises:
        EngineUnavailableError: texts are new and the embedder does not answer.
    """
    model = value_hash(["gate", embedder.model_id, embedder.revision])
    found, _ = vectors(store, {text_hash(text): text for text in texts}, embedder, model)
    return [found[text_hash(text)] for text in texts]


def measure(
    reader: IndexReader,
    ask: Embed,
    embed: Embed,
    cases: Sequence[Case],
    canaries: Sequence[Canary],
) -> Measured:
    """Ask an index the golden questions and the canaries; ``embed`` is of what was indexed."""
    recalls: dict[str, float] = {}
    for case, vector in zip(cases, ask([case.question for case in cases]), strict=True):
        found = _documents(reader, case.question, vector)
        recalls[case_key(case)] = sum(uri in found for uri in case.uris) / len(case.uris)
    missed = []
    for canary, vector in zip(
        canaries, embed([canary.embedded for canary in canaries]), strict=True
    ):
        hits = reader.search(canary.text, vector, limit=TOP_CHUNKS)
        if not any(_is_canary(hit, canary) for hit in hits):
            missed.append(canary.chunk_id)
    return Measured(
        recall=sum(recalls.values()) / len(recalls) if recalls else None,
        recall_by_case=recalls,
        canaries_found=1 - len(missed) / len(canaries) if canaries else 1.0,
        missed_canaries=missed,
        n_chunks=len(reader),
    )


def case_key(case: Case) -> str:
    """``<source>/<id>``: ids are unique within a source only."""
    return f"{case.uris[0].partition(':')[0]}/{case.id}"


def _is_canary(hit: Hit, canary: Canary) -> bool:
    """Another chunk of the same text is as good: boilerplate would crowd itself out."""
    is_it = hit.chunk.chunk_id == canary.chunk_id or hit.chunk.text.startswith(canary.text)
    return is_it and hit.similarity is not None and hit.similarity >= MIN_SIMILARITY


def _documents(reader: IndexReader, question: str, vector: np.ndarray) -> set[str]:
    """Uris, with aliases, of the first documents that retrieval finds."""
    by_document: dict[str, list[str]] = {}
    for hit in reader.search(question, vector, limit=50):
        by_document.setdefault(hit.chunk.document_id, [hit.chunk.uri, *hit.chunk.aliases])
    first = list(by_document.values())[:TOP_DOCUMENTS]
    return {uri for uris in first for uri in uris}


def judge(
    candidate: Measured, live: Measured | None, *, n_unindexed: int, empty: str = EMPTY
) -> Verdict:
    """Compare a candidate with the stated minimum and with the live generation.

    Both are measured on the same questions; ``n_unindexed`` rows are not in its text index;
    ``empty`` says why one without rows is refused ("": it is not).
    """
    against = []
    if candidate.n_chunks == 0 and empty:
        against.append(empty)
    if n_unindexed:
        against.append(f"the text index misses {n_unindexed} of {candidate.n_chunks} rows")
    if candidate.canaries_found < MIN_CANARIES_FOUND:
        against.append(
            f"{len(candidate.missed_canaries)} canary chunks are not found by their own words "
            f"({candidate.canaries_found:.0%} found, at least {MIN_CANARIES_FOUND:.0%} expected)"
        )
    if live is not None and live.recall is not None and candidate.recall is not None:
        fall = live.recall - candidate.recall
        if fall > TOLERANCE:
            against.append(
                f"recall on golden questions fell from {live.recall:.3f} to "
                f"{candidate.recall:.3f}, more than the tolerance of {TOLERANCE}"
            )
    changed = [] if live is None else [
        case_id
        for case_id, recall in candidate.recall_by_case.items()
        if live.recall_by_case.get(case_id, recall) != recall
    ]  # fmt: skip
    reasons = against or ["no measure is below its bound or worse than the live generation"]
    return Verdict(not against, reasons, candidate, live, changed)
