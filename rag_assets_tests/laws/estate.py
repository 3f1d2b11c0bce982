"""A whole refresh without Dagster or engines: what the laws of deltas and crashes are held against.

``Estate`` is the world outside: folders of documents, configuration, models, versions of code.
``refresh`` drives the real stages over it in the order in which ``refresh_job`` does, with the same
locks, and publishes. Reading, embedding and describing are deterministic and done in this process.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rag_assets.documents import worker
from rag_assets.documents.reading import Document, read_document
from rag_assets.documents.worker import ParsingWorker
from rag_assets.duplicates import stage as duplicates
from rag_assets.enrichments.classification import QUESTION
from rag_assets.index import stage as index
from rag_assets.index.promotion import promote
from rag_assets.lake import generations
from rag_assets.lake.delta import Report
from rag_assets.lake.store import LakeStore, scan
from rag_assets.pipeline.run import Run
from rag_assets.pipeline.stage import Batch, Stage, refresh_stage
from rag_assets.pipeline.stages import STAGES
from rag_assets.sources.declaration import Source
from rag_assets_tests.fakes import FakeChat, count_words
from rag_assets_tests.world import LABELS, TYPES, run_of, say_labels, with_version

PARTITIONED = [stage for stage in STAGES if stage.scope == "partition"]
KEYS = {table.name: table.key for stage in PARTITIONED for table in stage.tables}
GLOBAL_TABLES = ("duplicates", "related_documents", "verified_pairs", "text_keys", "chunk_index")
# What is no content: which run made a row, and in the index when a file's bytes were last modified.
# A file that was touched is not changed: its rows in the index are left as they are, and a rebuild,
# which never saw the older time, has the newer one.
NO_CONTENT = {"run_id"}
NO_CONTENT_OF = {"chunk_index": {"modified_at"}}
DIMENSION = 16

Row = tuple[tuple[str, Any], ...]


@dataclass
class Embedder:
    """An embedder whose vectors follow from text and revision alone."""

    revision: str = "1"
    model_id: str = "fake/embedder"
    dimension: int = DIMENSION
    max_tokens: int = 256
    asked: list[str] = field(default_factory=list)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += texts
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            seed = hashlib.sha256(f"{self.revision}/{text}".encode()).digest()
            row[:] = np.frombuffer(seed[: self.dimension], dtype=np.uint8) - 127.5
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def count(self, text: str) -> int:
        return count_words(text)


def _describe(messages: Sequence[Mapping[str, str]]) -> str:
    """Labels that follow from the excerpt alone, as a model at temperature 0 gives them."""
    if QUESTION in messages[-1]["content"]:
        return say_labels(messages)
    digest = hashlib.sha256(messages[-1]["content"].encode()).hexdigest()
    return json.dumps({**LABELS, "topics": [f"topic {digest[0]}"], "summary": digest})


@dataclass
class Estate:
    """What a refresh depends on.

    Attributes:
        folder: holds a folder for each source.
        buckets: of each source, by name.
    """

    folder: Path
    buckets: dict[str, int] = field(default_factory=lambda: {"one": 1, "two": 2})
    exclude: tuple[str, ...] = ()
    max_tokens: int = 60
    revision: str = "1"
    code: dict[str, str] = field(default_factory=dict)  # stage -> version other than its own

    def __post_init__(self) -> None:
        for name in self.buckets:
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    @property
    def sources(self) -> list[Source]:
        return [
            Source(
                name=name,
                kind="folder",
                where=str(self.folder / name),
                exclude=self.exclude,
                buckets=buckets,
                enrich="full",
                document_types=TYPES,
            )
            for name, buckets in self.buckets.items()
        ]

    @property
    def partitions(self) -> list[tuple[Source, str]]:
        return [(source, key) for source in self.sources for key in source.partitions]

    def files(self) -> list[str]:
        return sorted(
            path.relative_to(self.folder).as_posix()
            for path in self.folder.rglob("*")
            if path.is_file()
        )

    def write(self, place: str, data: str | bytes) -> None:
        target = self.folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data.encode() if isinstance(data, str) else data)


@dataclass
class Work:
    """What a refresh did, counted outside of the code that did it.

    Attributes:
        reports: of the stages, by table and partition.
        computed: inputs handed to each stage, likewise.
        embedded: texts that the embedder was asked for.
        described: texts that the small model was asked for.
        built: of the index.
    """

    reports: dict[tuple[str, str], Report] = field(default_factory=dict)
    computed: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    embedded: list[str] = field(default_factory=list)
    described: int = 0
    built: index.BuildReport | None = None


@contextmanager
def surroundings() -> Iterator[None]:
    """Documents are read in this process."""

    def read(self: ParsingWorker, data: bytes, name: str, _readers: bytes) -> Document:
        return read_document(data, name)

    with patch.object(ParsingWorker, "read", read), patch.object(worker, "MAX_WORKERS", 1):
        yield


def stages_of(estate: Estate, work: Work) -> dict[str, Stage]:
    """The stages with the estate's code versions; what they compute is counted."""
    stages: Sequence[Stage] = STAGES
    for name, version in estate.code.items():
        stages = with_version(stages, name, version)
    return {stage.name: _counting(stage, work) for stage in stages}


def _counting(stage: Stage, work: Work) -> Stage:
    compute = stage.compute
    if compute is None:
        return stage

    def counted(run: Run, batch: Batch) -> Mapping[str, pa.Table]:
        work.computed.setdefault((stage.name, batch.partition), []).extend(batch.ids)
        return compute(run, batch)

    return replace(stage, compute=counted)


def refresh_partition(
    store: LakeStore, estate: Estate, source: Source, partition: str, run_id: str, work: Work
) -> None:
    """The partitioned stages of one partition; call it within ``surroundings``."""
    embedder, chat = Embedder(estate.revision), FakeChat([_describe])
    with run_of(
        store,
        [source],
        embedder=embedder,
        slm=chat,
        max_tokens=estate.max_tokens,
        run_id=run_id,
        accept_deletions=True,
        partitions=[partition],
    ) as run:
        for stage in stages_of(estate, work).values():
            if stage.scope == "partition":
                work.computed.setdefault((stage.name, partition), [])
                work.reports[stage.name, partition] = refresh_stage(run, stage, partition)
    work.embedded += embedder.asked
    work.described += len(chat.calls)


def refresh_whole(store: LakeStore, estate: Estate, run_id: str, work: Work) -> None:
    """The stages that look at all partitions, as their assets do; a candidate always passes."""
    stages = stages_of(estate, work)
    duplicates.collapse(store, stages["duplicates"].version)
    with store.locked("chunk_index"):
        work.built = index.build_index(
            store,
            stages["chunk_index"],
            dimension=DIMENSION,
            models={"embedder": {"model_id": "fake/embedder", "revision": estate.revision}},
            run_id=run_id,
        )
    candidate = generations.candidate(store)
    assert candidate is not None
    if candidate.id not in generations.generation_ids(store):
        judged = replace(candidate, evaluation={"passed": True})
        if judged != candidate:
            with store.locked("chunk_index"):
                newest = generations.candidate(store)
                if newest is not None and newest.id == candidate.id:
                    evaluation = {"passed": True}
                    generations.put_candidate(store, replace(newest, evaluation=evaluation))
    candidate = generations.candidate(store)
    assert candidate is not None
    if candidate.evaluation.get("passed"):  # else the run that built it meanwhile publishes it
        promote(store, candidate)


def refresh(store: LakeStore, estate: Estate, run_id: str) -> Work:
    """All partitions, then the index; what was done."""
    work = Work()
    with surroundings():
        for source, partition in estate.partitions:
            refresh_partition(store, estate, source, partition, run_id, work)
        refresh_whole(store, estate, run_id, work)
    return work


def contents(store: LakeStore) -> dict[str, list[Row]]:
    """Rows of every table, sorted, without what is no content."""
    found: dict[str, list[Row]] = {}
    for name in (*KEYS, *GLOBAL_TABLES):
        skipped = NO_CONTENT | NO_CONTENT_OF.get(name, set())
        found[name] = sorted(
            (
                (("partition of", partition), *_row(name, row, skipped))
                for partition in store.partitions(name)
                for row in store.rows(name, partition)
            ),
            key=repr,
        )
    return found


def live_rows(store: LakeStore) -> list[Row]:
    """The live generation's rows as a reader finds them, sorted; none before the first."""
    live = generations.live_generation(store)
    if live is None:
        return []
    table = store.table("chunk_index")
    assert table is not None
    table.checkout(live.index_version)
    skipped = NO_CONTENT_OF["chunk_index"]
    rows = [_row("chunk_index", row, skipped) for row in scan(table).to_pylist()]
    return sorted(rows, key=repr)


def _row(table: str, row: dict[str, Any], skipped: set[str]) -> Row:
    if table == "verified_pairs" and row["left_hash"] > row["right_hash"]:
        # A pair has no order; which text was left depends on the order of preference then.
        row = {
            "left_hash": row["right_hash"],
            "right_hash": row["left_hash"],
            "n_left": row["n_right"],
            "n_right": row["n_left"],
            "n_shared": row["n_shared"],
        }
    return tuple((key, value) for key, value in row.items() if key not in skipped)


def versions(store: LakeStore) -> dict[tuple[str, str], int]:
    """Lance version of every table, caches included."""
    names = os.listdir(f"{store.uri}/tables") if os.path.isdir(f"{store.uri}/tables") else []
    return {
        (name, partition): int(table.version)
        for name in names
        for partition in store.partitions(name)
        if (table := store.table(name, partition)) is not None
    }


def lineage(store: LakeStore) -> dict[tuple[str, str, str], tuple[str, str, str]]:
    """(table, partition, key) -> (input hash, fingerprint, run) of every row of a stage."""
    found = {}
    for name, key in KEYS.items():
        for partition in store.partitions(name):
            columns = [key, "input_hash", "fingerprint", "run_id"]
            for row in store.rows(name, partition, columns=columns):
                found[name, partition, row[key]] = (
                    row["input_hash"],
                    row["fingerprint"],
                    row["run_id"],
                )
    return found
