"""Every Arrow schema of the lake, one constant per table, in the order in which data flows.

All offsets are half-open character positions (Python ``str`` indices) into ``documents.text``.
The last columns of a stage's rows are its lineage: which input row they were computed from
(``input_id``, ``input_hash``), by which code and configuration (``fingerprint``), in which
Dagster run (``run_id``), and the hash of the row's own content (``row_hash``).
"""

from collections.abc import Mapping, Sequence
from typing import Final

import pyarrow as pa

N_BANDS: Final = 32  # of MinHash signatures, see documents/signatures.py

LINEAGE: Final = (
    pa.field("input_id", pa.string(), nullable=False),
    pa.field("input_hash", pa.string(), nullable=False),
    pa.field("fingerprint", pa.string(), nullable=False),
    pa.field("row_hash", pa.string(), nullable=False),
    pa.field("run_id", pa.string(), nullable=False),
)
LINEAGE_NAMES: Final = frozenset(field.name for field in LINEAGE)


def _stage(*fields: pa.Field) -> pa.Schema:
    return pa.schema([*fields, *LINEAGE])


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


TEXT: Final = pa.string()
TEXTS: Final = pa.list_(pa.string())

SOURCE_FILES: Final = _stage(
    _required("uri", TEXT),  # "<source>:<path below the source's root>"
    _required("path", TEXT),  # where the bytes were read
    _required("size", pa.int64()),
    _required("mtime_ns", pa.int64()),
    _required("raw_hash", TEXT),  # xxh3_128 of the bytes; names the blob; "" if never read
    pa.field("problem", TEXT),  # why the bytes could not be read
    _required("modified_at", pa.timestamp("us", "UTC")),  # when these bytes were last modified
    pa.field("etag", TEXT),  # as an HTTP server or object store named this state; asked with next
    pa.field("last_modified", TEXT),  # likewise, as the server wrote it
)

BLOCK: Final = pa.struct(
    [
        ("kind", TEXT),  # heading | paragraph | list | table | code
        ("level", pa.int16()),  # of a heading: 1 is the highest; 0 for every other kind
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("page", pa.int32()),  # counted from 1; null where the format has no pages
    ]
)

EDIT: Final = pa.struct(
    [
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("original", TEXT),  # what text[start:end] was in the reader's extraction
    ]
)

DOCUMENTS: Final = _stage(
    _required("document_id", TEXT),
    _required("uri", TEXT),
    _required("raw_hash", TEXT),
    _required("text_hash", TEXT),
    _required("media_type", TEXT),
    pa.field("encoding", TEXT),  # null where the format says it itself (PDF)
    _required("title", TEXT),
    _required("language", TEXT),  # ISO 639-1
    pa.field("author", TEXT),  # this and the next three as the document itself states them
    pa.field("created", TEXT),  # YYYY-MM-DD
    pa.field("modified", TEXT),  # YYYY-MM-DD
    pa.field("licence", TEXT),
    _required("text", TEXT),  # NFC, line ends \n
    _required("blocks", pa.list_(BLOCK)),
    _required("edits", pa.list_(EDIT)),  # leads from the text back to the extraction
    _required("flags", TEXTS),  # why this is no page to answer from; empty: it is one
    _required("bands", pa.list_(pa.uint32(), N_BANDS)),  # equal in one: maybe near duplicates
    _required("sketch", pa.list_(pa.uint64())),  # sample of the shingles, for containment
)

REJECTED_DOCUMENTS: Final = _stage(
    _required("uri", TEXT),
    _required("raw_hash", TEXT),
    _required("size", pa.int64()),
    _required("reason", TEXT),  # a short name to group by, e.g. "corrupt"
    _required("detail", TEXT),  # the sentence for a person
)

DUPLICATES: Final = pa.schema(
    [
        _required("document_id", TEXT),  # the alias
        _required("uri", TEXT),
        _required("canonical_id", TEXT),
        _required("canonical_uri", TEXT),
        _required("kind", TEXT),  # exact | near
        _required("similarity", pa.float32()),  # Jaccard of word 3-shingles with the canonical
    ]
)

RELATED_DOCUMENTS: Final = pa.schema(  # pairs that both stand, neither for the other
    [
        _required("document_id", TEXT),  # the one with fewer shingles
        _required("uri", TEXT),
        _required("related_id", TEXT),
        _required("related_uri", TEXT),
        _required("kind", TEXT),  # similar | contained
        _required("similarity", pa.float32()),  # Jaccard of their shingles
        _required("containment", pa.float32()),  # share of the document's shingles in the related
    ]
)

VERIFIED_PAIRS: Final = pa.schema(  # of texts, so that no later run reads them again
    [
        _required("left_hash", TEXT),  # text_hash
        _required("right_hash", TEXT),
        _required("n_left", pa.int64()),  # distinct shingles
        _required("n_right", pa.int64()),
        _required("n_shared", pa.int64()),
    ]
)

SECTIONS: Final = _stage(
    _required("section_id", TEXT),
    _required("document_id", TEXT),
    _required("ordinal", pa.int32()),  # reading order within the document, from 0
    _required("level", pa.int16()),  # of its heading; 0 for text before the first heading
    _required("heading_path", TEXTS),  # outermost first
    pa.field("page", pa.int32()),  # where it begins
    _required("start", pa.int64()),
    _required("end", pa.int64()),
    _required("text", TEXT),
    _required("blocks", pa.list_(BLOCK)),  # offsets still into the document
    _required("title", TEXT),
)

CHUNKS: Final = _stage(
    _required("chunk_id", TEXT),
    _required("section_id", TEXT),
    _required("document_id", TEXT),
    _required("section_ordinal", pa.int32()),
    _required("ordinal", pa.int32()),  # reading order within the section, from 0
    pa.field("page", pa.int32()),
    _required("start", pa.int64()),
    _required("end", pa.int64()),
    _required("text", TEXT),
    _required("heading_path", TEXTS),
    _required("header", TEXT),  # embedded in front of the text, see chunks/headers.py
    _required("n_tokens", pa.int32()),  # header and text, in the embedder's tokens
    _required("embedded_hash", TEXT),  # text_hash of what is embedded
)

CACHE: Final = pa.schema(
    [
        _required("key", TEXT),  # value_hash of (what went in, fingerprint)
        _required("value", pa.large_binary()),
    ]
)

ENRICHMENTS: Final = _stage(
    _required("document_id", TEXT),
    _required("document_type", TEXT),
    _required("topics", TEXTS),
    _required("entities", TEXTS),
    _required("summary", TEXT),
    _required("questions", TEXTS),  # which the document answers
    _required("outcome", TEXT),  # ok | the reason why the labels are empty
)

ANSWERS: Final = pa.schema(
    [
        _required("answer_id", TEXT),
        _required("question", TEXT),
        _required("answer", TEXT),
        _required("abstained", pa.bool_()),
        _required("mode", TEXT),
        _required("model", TEXT),
        _required("finish_reason", TEXT),
        _required("generation_id", TEXT),
        _required("created_at", pa.timestamp("us", "UTC")),
        _required("run_id", TEXT),  # of the ask_job run; "" for a question over HTTP or the CLI
        _required("record", TEXT),  # the whole answer as JSON, as `rag ask --json` prints it
    ]
)

_EVALUATION = (
    _required("run_id", TEXT),  # of the Dagster run
    _required("created_at", pa.timestamp("us", "UTC")),
    _required("suite", TEXT),
    _required("dataset", TEXT),
    _required("variant", TEXT),
)

EVALUATION_CASES: Final = pa.schema(
    [
        *_EVALUATION,
        _required("case_id", TEXT),
        _required("question", TEXT),
        _required("answer", TEXT),
        _required("expected", TEXTS),
        _required("slices", TEXT),  # JSON, name -> value
        _required("scores", TEXT),  # JSON, metric -> value; what does not apply is absent
        _required("answerable", pa.bool_()),
        _required("abstained", pa.bool_()),
        pa.field("confidence", pa.float64()),
        _required("model", TEXT),
        _required("use", TEXT),  # JSON, model role -> calls, tokens, seconds, finish reasons
        _required("seconds", pa.float64()),
        _required("replayed", pa.bool_()),
        _required("error", TEXT),
    ]
)

EVALUATION_FIGURES: Final = pa.schema(
    [
        *_EVALUATION,
        _required("slice", TEXT),
        _required("metric", TEXT),
        _required("value", pa.float64()),
        _required("low", pa.float64()),  # 95 % interval
        _required("high", pa.float64()),
        _required("n", pa.int32()),
        _required("n_failed", pa.int32()),
    ]
)

EVALUATION_COMPARISONS: Final = pa.schema(
    [
        *(field for field in _EVALUATION if field.name != "variant"),
        _required("slice", TEXT),
        _required("metric", TEXT),
        _required("baseline", TEXT),
        _required("other", TEXT),
        _required("difference", pa.float64()),  # other minus baseline
        _required("low", pa.float64()),
        _required("high", pa.float64()),
        _required("p_value", pa.float64()),
        _required("test", TEXT),
        _required("effect", pa.float64()),
        _required("n", pa.int32()),
        _required("n_better", pa.int32()),
        _required("n_worse", pa.int32()),
    ]
)


def stage_rows(schema: pa.Schema, rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """Rows as a stage computes them: its content columns, ``input_id`` and ``input_hash``."""
    fields = [
        field for field in schema if field.name not in LINEAGE_NAMES - {"input_id", "input_hash"}
    ]
    return pa.Table.from_pylist(list(rows), schema=pa.schema(fields))


def embeddings(dimension: int) -> pa.Schema:
    """Schema of ``embeddings`` for an embedder of ``dimension`` floats a vector."""
    return _stage(
        _required("chunk_id", TEXT),
        _required("embedded_hash", TEXT),
        _required("model_id", TEXT),
        _required("model_revision", TEXT),
        _required("vector", pa.list_(pa.float32(), dimension)),  # unit length
    )


def chunk_index(dimension: int) -> pa.Schema:
    """Schema of ``chunk_index``: all that answering reads, in one table with one version."""
    return pa.schema(
        [
            _required("chunk_id", TEXT),
            _required("partition", TEXT),
            _required("document_id", TEXT),
            _required("section_id", TEXT),
            _required("section_ordinal", pa.int32()),
            _required("ordinal", pa.int32()),
            _required("uri", TEXT),
            _required("aliases", TEXTS),  # uris of the document's collapsed duplicates
            _required("title", TEXT),
            _required("language", TEXT),
            _required("heading_path", TEXTS),
            pa.field("page", pa.int32()),
            _required("start", pa.int64()),
            _required("end", pa.int64()),
            _required("text", TEXT),
            _required("search_text", TEXT),  # what BM25 sees: header, text and enrichment
            _required("document_type", TEXT),
            _required("topics", TEXTS),
            _required("modified_at", pa.timestamp("us", "UTC")),
            _required("vector", pa.list_(pa.float32(), dimension)),
            _required("row_hash", TEXT),
        ]
    )
