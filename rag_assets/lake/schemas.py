"""Lineage columns, what schemas of stages are made of, and the lake's own tables.

A stage's schema stands beside its table, in the ``stage.py`` of its room. All offsets are half-open
character positions (Python ``str`` indices) into ``documents.text``.
The last columns of a stage's rows are its lineage: which input row they were computed from
(``input_id``, ``input_hash``), by which code and configuration (``fingerprint``), in which
Dagster run (``run_id``), and the hash of the row's own content (``row_hash``).
"""

from collections.abc import Mapping, Sequence
from typing import Final

import pyarrow as pa

TEXT: Final = pa.string()
TEXTS: Final = pa.list_(pa.string())


def required(name: str, kind: pa.DataType) -> pa.Field:
    """A column that is never null."""
    return pa.field(name, kind, nullable=False)


def texts(*names: str) -> list[pa.Field]:
    """Columns of texts that are never null."""
    return [required(name, TEXT) for name in names]


LINEAGE: Final = texts("input_id", "input_hash", "fingerprint", "row_hash", "run_id")
LINEAGE_NAMES: Final = frozenset(field.name for field in LINEAGE)


def stage_schema(*fields: pa.Field) -> pa.Schema:
    """Schema of a stage's table: its own columns, then the lineage."""
    return pa.schema([*fields, *LINEAGE])


BLOCK: Final = pa.struct(
    [
        ("kind", TEXT),  # heading | paragraph | list | table | code
        ("level", pa.int16()),  # of a heading: 1 is the highest; 0 for every other kind
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("page", pa.int32()),  # counted from 1; null where the format has no pages
    ]
)

# Blocks of a chunk, in order, as far as they reach into it; offsets into the document. Null in rows
# that were made before the column was.
CHUNK_BLOCKS: Final = pa.field(
    "blocks", pa.list_(pa.struct([("kind", TEXT), ("start", pa.int64()), ("end", pa.int64())]))
)

# Where the pages of a chunk begin, in order; offsets into the document, the first one the start of
# the chunk. Empty where the format has no pages, null in rows from before there was the column.
CHUNK_PAGES: Final = pa.field(
    "pages", pa.list_(pa.struct([("start", pa.int64()), ("page", pa.int32())]))
)

CACHE: Final = pa.schema(
    [
        required("key", TEXT),  # value_hash of (what went in, fingerprint)
        required("value", pa.large_binary()),
    ]
)


ANSWERS: Final = pa.schema(
    [
        *texts("answer_id", "question", "answer"),
        required("abstained", pa.bool_()),
        *texts("mode", "model", "finish_reason", "generation_id"),
        required("created_at", pa.timestamp("us", "UTC")),
        required("run_id", TEXT),  # of the ask_job run; "" for a question over HTTP or the CLI
        required("record", TEXT),  # the whole answer as JSON, as `rag ask --json` prints it
        # Name of the key that asked; "" for this home's own commands and where no key is needed.
        pa.field("asker", TEXT),
    ]
)

FEEDBACK: Final = pa.schema(
    [
        *texts("answer_id", "question", "answer"),
        required("abstained", pa.bool_()),
        required("right", pa.bool_()),  # what was said of the answer
        required("expected", TEXT),  # the fact in a few words, as who asked knows it; "" if unsaid
        required("unanswerable", pa.bool_()),  # said: no document holds the answer
        required("uris", TEXTS),  # of the documents that the answer cites
        *texts("generation_id", "asker"),  # asker: name of the key; "" where no key is needed
        required("created_at", pa.timestamp("us", "UTC")),
    ]
)

_EVALUATION = (
    required("run_id", TEXT),  # of the Dagster run
    required("created_at", pa.timestamp("us", "UTC")),
    *texts("suite", "dataset", "variant"),
)

EVALUATION_CASES: Final = pa.schema(
    [
        *_EVALUATION,
        *texts("case_id", "question", "answer"),
        required("expected", TEXTS),
        required("slices", TEXT),  # JSON, name -> value
        required("scores", TEXT),  # JSON, metric -> value; what does not apply is absent
        required("answerable", pa.bool_()),
        required("abstained", pa.bool_()),
        pa.field("confidence", pa.float64()),
        required("model", TEXT),
        required("use", TEXT),  # JSON, model role -> calls, tokens, seconds, finish reasons
        required("seconds", pa.float64()),
        required("replayed", pa.bool_()),
        required("error", TEXT),
    ]
)

EVALUATION_FIGURES: Final = pa.schema(
    [
        *_EVALUATION,
        *texts("slice", "metric"),
        required("value", pa.float64()),
        required("low", pa.float64()),  # 95 % interval
        required("high", pa.float64()),
        required("n", pa.int32()),
        required("n_failed", pa.int32()),
    ]
)

EVALUATION_COMPARISONS: Final = pa.schema(
    [
        *(field for field in _EVALUATION if field.name != "variant"),
        *texts("slice", "metric", "baseline", "other"),
        required("difference", pa.float64()),  # other minus baseline
        required("low", pa.float64()),
        required("high", pa.float64()),
        required("p_value", pa.float64()),
        required("test", TEXT),
        required("effect", pa.float64()),
        required("n", pa.int32()),
        required("n_better", pa.int32()),
        required("n_worse", pa.int32()),
    ]
)


def stage_rows(schema: pa.Schema, rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """Rows as a stage computes them: its content columns, ``input_id`` and ``input_hash``."""
    fields = [
        field for field in schema if field.name not in LINEAGE_NAMES - {"input_id", "input_hash"}
    ]
    return pa.Table.from_pylist(list(rows), schema=pa.schema(fields))
