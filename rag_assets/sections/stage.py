"""Stage 3: from ``documents`` to ``sections``."""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from rag_assets.documents import stage as normalise
from rag_assets.lake.delta import Progress, Report, StageTable, refresh, upstream_hashes
from rag_assets.lake.identity import value_hash
from rag_assets.lake.schemas import SECTIONS, stage_rows
from rag_assets.lake.store import LakeStore, batches, quoted
from rag_assets.sections.boilerplate import (
    MIN_PAGES,
    SAMPLE,
    Boilerplate,
    Holder,
    Page,
    block_hashes,
    find_boilerplate,
    repeated_blocks,
)
from rag_assets.sections.tree import cut_sections

CODE_VERSION = "2"
TABLE = StageTable("sections", SECTIONS, "section_id")


def fingerprint() -> str:
    """Of the stage."""
    return f"sections/{CODE_VERSION}"


def structure_documents(
    store: LakeStore,
    partition: str,
    *,
    run_id: str,
    progress: Progress | None = None,
    note: Callable[[Sequence[Boilerplate]], None] | None = None,
) -> Report:
    """Cut what is new or changed among the documents into sections, without boilerplate.

    A document's input is itself and those of its blocks that repeat across the partition: when
    other texts become boilerplate, only the documents that hold them are cut again.

    Args:
        store: the lake.
        partition: partition key.
        run_id: of the Dagster run.
        progress: called with (documents done, documents to do).
        note: called with the boilerplate found.
    """
    repeated: dict[str, Set[str]] = {}

    def upstream() -> Mapping[str, str]:
        hashes = upstream_hashes(store, normalise.TABLE, partition)
        found, to_leave_out = _boilerplate(store, partition, hashes)
        if note is not None:
            note(found)
        repeated.update(to_leave_out)
        return {key: input_hash(digest, repeated.get(key)) for key, digest in hashes.items()}

    return refresh(
        store,
        [TABLE],
        partition,
        upstream=upstream,
        compute=lambda ids: {TABLE.name: _cut(store, partition, ids, repeated)},
        fingerprint=fingerprint(),
        run_id=run_id,
        progress=progress,
    )


def _boilerplate(
    store: LakeStore, partition: str, hashes: Mapping[str, str]
) -> tuple[list[Boilerplate], dict[str, Set[str]]]:
    """Boilerplate of a partition, and for each document the hashes of the blocks to leave out.

    To find it texts are read, all of them where there is any. It follows from the documents alone,
    so it is kept until one of them changes (version, because bands do not enter row hashes).
    """
    table = store.table(normalise.TABLE.name, partition)
    version = 0 if table is None else int(table.version)
    made_from = value_hash([CODE_VERSION, version, sorted(hashes.items())])
    name = f"boilerplate/{partition}"
    kept = store.get_record(name) or {}
    if kept.get("made_from") != made_from:
        found = find_boilerplate(_sample(store, partition, sorted(hashes)[:SAMPLE]))
        digests = [b.block_hash for b in found]
        repeated = repeated_blocks(_holders(store, partition), digests) if found else {}
        kept = {
            "made_from": made_from,
            "found": [asdict(b) for b in found],
            "repeated": {key: sorted(map(digests.index, of)) for key, of in repeated.items()},
        }
        store.put_record(name, kept)
    texts = [Boilerplate(**of) for of in kept["found"]]
    left_out = kept["repeated"].items()  # document -> positions in ``found``
    return texts, {key: frozenset(texts[n].block_hash for n in of) for key, of in left_out}


def known_boilerplate(store: LakeStore, partition: str) -> dict[str, Set[str]]:
    """Document id -> hashes of its blocks that were left out when last looked for."""
    kept = store.get_record(f"boilerplate/{partition}") or {"found": [], "repeated": {}}
    digests = [one["block_hash"] for one in kept["found"]]
    return {key: {digests[n] for n in of} for key, of in kept["repeated"].items()}


def input_hash(digest: str, left_out: Set[str] | None) -> str:
    """Of a document as this stage's input: its row, and those of its blocks that repeat."""
    return value_hash([digest, sorted(left_out)]) if left_out is not None else digest


def _sample(store: LakeStore, partition: str, ids: Sequence[str]) -> Iterator[Page]:
    """The documents of these ids, which are hashes: the smallest ones are a uniform sample."""
    if len(ids) < MIN_PAGES:
        return
    columns = ["document_id", "text", "blocks", "bands"]
    for start in range(0, len(ids), 200):
        where = f"document_id IN ({quoted(ids[start : start + 200])})"
        rows = store.rows(normalise.TABLE.name, partition, columns=columns, where=where)
        for row in sorted(rows, key=lambda row: row["document_id"]):
            yield Page(row["text"], row["blocks"], np.array(row["bands"], dtype=np.uint32))


def _holders(store: LakeStore, partition: str) -> Iterator[Holder]:
    table = store.table(normalise.TABLE.name, partition)
    if table is None:
        return
    columns = ["document_id", "uri", "flags", "text", "blocks"]
    for batch in batches(table, columns=columns, batch_size=256):
        for row in batch.to_pylist():
            yield Holder(**row)


def _cut(
    store: LakeStore, partition: str, ids: Sequence[str], repeated: Mapping[str, Set[str]]
) -> pa.Table:
    documents = store.rows(
        normalise.TABLE.name,
        partition,
        columns=["document_id", "title", "text", "blocks", normalise.TABLE.passes],
        where=f"document_id IN ({quoted(ids)})",
    )
    rows = [row for d in documents for row in _rows(d, repeated.get(d["document_id"]))]
    return stage_rows(SECTIONS, rows)


def _rows(document: Mapping[str, Any], repeated: Set[str] | None) -> Iterator[dict[str, Any]]:
    text, blocks = document["text"], document["blocks"]
    made_from = input_hash(document[normalise.TABLE.passes], repeated)
    skipped = (
        {n for n, digest in block_hashes(text, blocks) if digest in repeated} if repeated else ()
    )
    for section in cut_sections(document["document_id"], text, blocks, skipped):
        yield {
            **asdict(section),
            "input_id": document["document_id"],
            "input_hash": made_from,
            "document_id": document["document_id"],
            "title": document["title"],
            "text": text[section.start : section.end],
        }
