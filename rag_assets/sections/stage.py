"""Stage 3: from ``documents`` to ``sections``."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import pyarrow as pa

from rag_assets.documents import stage as documents
from rag_assets.lake.delta import StageTable, upstream_hashes
from rag_assets.lake.figures import Table, Value
from rag_assets.lake.identity import value_hash
from rag_assets.lake.schemas import BLOCK, TEXT, TEXTS, required, stage_rows, stage_schema
from rag_assets.lake.store import LakeStore, batches, quoted
from rag_assets.sections.boilerplate import (
    MIN_PAGES,
    SAMPLE,
    Boilerplate,
    Page,
    block_hashes,
    find_boilerplate,
    repeated_blocks,
)
from rag_assets.sections.tree import cut_sections

VERSION = "3"
SECTIONS: Final = stage_schema(
    required("section_id", TEXT),
    required("document_id", TEXT),
    required("ordinal", pa.int32()),  # reading order within the document, from 0
    required("level", pa.int16()),  # of its heading; 0 for text before the first heading
    required("heading_path", TEXTS),  # outermost first
    pa.field("page", pa.int32()),  # where it begins
    required("start", pa.int64()),
    required("end", pa.int64()),
    required("text", TEXT),
    required("blocks", pa.list_(BLOCK)),  # offsets still into the document
    required("title", TEXT),
)
TABLE = StageTable("sections", SECTIONS, "section_id")


def inputs(store: LakeStore, partition: str, version: str) -> dict[str, str]:
    """Documents, each with those of its blocks that repeat across the partition.

    When other texts become boilerplate, only the documents that hold them are cut again.
    """
    hashes = upstream_hashes(store, documents.TABLE, partition)
    _find_boilerplate(store, partition, hashes, version)
    return _with_boilerplate(store, partition, hashes)


def recorded_inputs(store: LakeStore, partition: str) -> dict[str, str]:
    """The inputs, with the boilerplate that was found when last looked for."""
    return _with_boilerplate(store, partition, upstream_hashes(store, documents.TABLE, partition))


def _with_boilerplate(
    store: LakeStore, partition: str, hashes: Mapping[str, str]
) -> dict[str, str]:
    repeated = known_boilerplate(store, partition)
    return {key: input_hash(digest, repeated.get(key)) for key, digest in hashes.items()}


def _find_boilerplate(
    store: LakeStore, partition: str, hashes: Mapping[str, str], version: str
) -> None:
    """Find the boilerplate of a partition and keep it in a record until a document changes.

    To find it texts are read, all of them where there is any. It follows from the documents alone
    (and from the table's version, because bands do not enter row hashes).
    """
    table = store.table(documents.TABLE.name, partition)
    table_version = 0 if table is None else int(table.version)
    made_from = value_hash([version, table_version, sorted(hashes.items())])
    name = f"boilerplate/{partition}"
    if (store.get_record(name) or {}).get("made_from") == made_from:
        return
    found = find_boilerplate(_sample(store, partition, sorted(hashes)[:SAMPLE]))
    digests = [b.block_hash for b in found]
    repeated: Mapping[str, Set[str]] = {}
    if found and table is not None:
        columns = ["document_id", "uri", "flags", "text", "blocks"]
        read = batches(table, columns=columns, batch_size=256)
        repeated = repeated_blocks((row for b in read for row in b.to_pylist()), digests)
    kept = {
        "made_from": made_from,
        "found": [asdict(b) for b in found],
        "repeated": {key: sorted(map(digests.index, of)) for key, of in repeated.items()},
    }
    store.put_record(name, kept)


def known_boilerplate(store: LakeStore, partition: str) -> dict[str, Set[str]]:
    """Document id -> hashes of its blocks that were left out when last looked for."""
    kept = store.get_record(f"boilerplate/{partition}") or {"found": [], "repeated": {}}
    digests = [one["block_hash"] for one in kept["found"]]
    return {key: {digests[n] for n in of} for key, of in kept["repeated"].items()}


def forget(store: LakeStore, partition: str) -> None:
    """Take out of the record what only documents said that are gone; the next refresh looks anew.

    The boilerplate of the others stays, else their sections would wait for that refresh.
    """
    name = f"boilerplate/{partition}"
    kept = store.get_record(name)
    if kept is None:
        return
    stored = upstream_hashes(store, documents.TABLE, partition)
    repeated = {key: of for key, of in kept["repeated"].items() if key in stored}
    needed = {n for of in repeated.values() for n in of}
    found = [one if n in needed else {**one, "text": ""} for n, one in enumerate(kept["found"])]
    store.put_record(name, {"made_from": "", "found": found, "repeated": repeated})


def input_hash(digest: str, left_out: Set[str] | None) -> str:
    """The hash of a document as input of this stage: its row, and its blocks that repeat."""
    return value_hash([digest, sorted(left_out)]) if left_out is not None else digest


def _sample(store: LakeStore, partition: str, ids: Sequence[str]) -> Iterator[Page]:
    """The documents of these ids, which are hashes: the smallest ones are a uniform sample."""
    if len(ids) < MIN_PAGES:
        return
    columns = ["document_id", "text", "blocks", "bands"]
    for start in range(0, len(ids), 200):
        where = f"document_id IN ({quoted(ids[start : start + 200])})"
        rows = store.rows(documents.TABLE.name, partition, columns=columns, where=where)
        for row in sorted(rows, key=lambda row: row["document_id"]):
            yield Page(row["text"], row["blocks"], np.array(row["bands"], dtype=np.uint32))


def sizes(store: LakeStore, partition: str, ids: Sequence[str]) -> dict[str, int]:
    """Characters of sections, by id."""
    where = f"section_id IN ({quoted(ids)})"
    rows = store.rows(TABLE.name, partition, columns=["section_id", "start", "end"], where=where)
    return {row["section_id"]: row["end"] - row["start"] for row in rows}


def cut(store: LakeStore, partition: str, ids: Sequence[str]) -> Mapping[str, pa.Table]:
    """Cut documents at their headings, without boilerplate."""
    repeated = known_boilerplate(store, partition)
    found = store.rows(
        documents.TABLE.name,
        partition,
        columns=["document_id", "title", "text", "blocks", documents.TABLE.passes],
        where=f"document_id IN ({quoted(ids)})",
    )
    rows = [row for d in found for row in _rows(d, repeated.get(d["document_id"]))]
    return {TABLE.name: stage_rows(SECTIONS, rows)}


def _rows(document: Mapping[str, Any], repeated: Set[str] | None) -> Iterator[dict[str, Any]]:
    text, blocks = document["text"], document["blocks"]
    made_from = input_hash(document[documents.TABLE.passes], repeated)
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


def summary(store: LakeStore, partitions: Sequence[str]) -> Mapping[str, Value]:
    """The texts that were left out, the most frequent of each partition first."""
    found = [
        Boilerplate(**of)
        for partition in partitions
        for of in (store.get_record(f"boilerplate/{partition}") or {"found": []})["found"]
    ]
    rows = [(" ".join(b.text.split()), f"{b.n_pages} of {b.n_sampled}") for b in found]
    return {
        "boilerplate_blocks": len({b.block_hash for b in found}),
        "boilerplate": Table(("text", "pages"), rows),
    }
