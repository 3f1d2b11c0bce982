"""Files of answers: the columns of the questions, and those of the answers, in the same order.

============ =======================================================================================
column       content
============ =======================================================================================
answer       the text, with its citation numbers; null if the question failed
abstained    whether it says that the documents do not answer
confidence   from 0 to 1
citations    what is cited, in order of the numbers: uri of the document
seconds      that the answer took
answer_id    for ``rag trace``
error        the sentence that says why there is no answer; else null
record       the whole record, as ``rag ask --json`` prints it
============ =======================================================================================

A line of OpenAI's batches becomes one of their output where the answers are JSON lines as well;
see ``openai_lines``.
"""

import base64
import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from rag_assets.batches.openai_lines import line_of
from rag_assets.batches.outcomes import Outcome
from rag_assets.batches.questions import BatchFileError, Questions, Row, is_openai, kind_of

ANSWERS = pa.schema(
    [
        ("answer", pa.string()),
        ("abstained", pa.bool_()),
        ("confidence", pa.float64()),
        ("citations", pa.list_(pa.string())),
        ("seconds", pa.float64()),
        ("answer_id", pa.string()),
        ("error", pa.string()),
        ("record", pa.string()),
    ]
)
SAID = ("answer", "error")  # columns whose text comes from documents and models
_FORMULA = re.compile(r"[=+\-@\t\r](?![0-9.,]*%?\Z)")
AT_ONCE = 1000  # rows in memory; a record has some ten kilobytes
OutcomeOf = Callable[[Row], Outcome | None]


def check_out(questions: Questions, out: Path) -> None:
    """Refuse a file of answers that cannot be written, before anything is asked.

    Raises:
        BatchFileError: its name says no kind, its folder is not there, or the questions have a
            column that the answers have.
    """
    kind_of(out)
    if not out.parent.is_dir():
        raise BatchFileError(f"{out}: its folder is not there; make it first")
    taken = [name for name in questions.columns.column_names if name in ANSWERS.names]
    if taken:
        raise BatchFileError(
            f"the questions have a column {taken[0]!r}, as the answers have; rename it there "
            f"(the answers have {', '.join(ANSWERS.names)})"
        )


def write_answers(questions: Questions, outcome_of: OutcomeOf, out: Path) -> None:
    """Write all, in one step: who reads the file sees all of it.

    Raises:
        BatchFileError: the disk is full, or the like.
    """
    write = {".csv": _csv, ".jsonl": _json_lines, ".parquet": _parquet}[kind_of(out)]
    new = out.with_name(f".{out.name}.new")
    try:
        with new.open("wb") as file:
            write(questions, outcome_of, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(out)
    except OSError as error:
        raise BatchFileError(f"{out} cannot be written: {error.strerror or error}") from error
    finally:
        new.unlink(missing_ok=True)


def _answer(outcome: Outcome | None) -> dict[str, Any]:
    """The columns of an answer; the record not yet as text."""
    if outcome is None or outcome.record is None:
        return {**dict.fromkeys(ANSWERS.names), "error": outcome.error if outcome else None}
    record = outcome.record
    return {
        "answer": record["answer"],
        "abstained": record["abstained"],
        "confidence": record["confidence"],
        "citations": [citation["uri"] for citation in record["citations"]],
        "seconds": round(record["timings_ms"]["total"] / 1000, 3),
        "answer_id": record["answer_id"],
        "error": None,
        "record": record,
    }


def _blocks(
    questions: Questions, outcome_of: OutcomeOf
) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    rows = questions.rows
    for start in range(0, len(rows), AT_ONCE):
        yield start, [_answer(outcome_of(row)) for row in rows[start : start + AT_ONCE]]


def _parquet(questions: Questions, outcome_of: OutcomeOf, file: BinaryIO) -> None:
    given = questions.columns
    schema = pa.schema([*given.schema, *ANSWERS], metadata=given.schema.metadata)
    with pq.ParquetWriter(file, schema) as writer:
        for start, answers in _blocks(questions, outcome_of):
            for answer in answers:
                answer["record"] = _text(answer["record"])
            made = pa.Table.from_pylist(answers, ANSWERS)
            block = given.slice(start, len(answers))
            writer.write_table(pa.table([*block.columns, *made.columns], schema=schema))


def _json_lines(questions: Questions, outcome_of: OutcomeOf, file: BinaryIO) -> None:
    rows = questions.rows
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        for given, row in zip(_objects(questions, start, len(some)), some, strict=True):
            outcome = outcome_of(row)
            is_asked_so = bool(questions.objects) and is_openai(given)
            line = line_of(given, outcome) if is_asked_so else {**given, **_answer(outcome)}
            file.write(json.dumps(line).encode() + b"\n")


def _csv(questions: Questions, outcome_of: OutcomeOf, file: BinaryIO) -> None:
    names = [*questions.columns.column_names, *ANSWERS.names]
    text = io.TextIOWrapper(file, "utf-8", newline="")
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    for start, answers in _blocks(questions, outcome_of):
        for given, answer in zip(_table(questions, start, len(answers)), answers, strict=True):
            cells = {**given, **answer, **{name: _said(answer[name]) for name in SAID}}
            writer.writerow({name: _cell(value) for name, value in cells.items()})
    text.flush()
    text.detach()


def _objects(questions: Questions, start: int, n: int) -> Sequence[Any]:
    return questions.objects[start : start + n] or _table(questions, start, n)


def _table(questions: Questions, start: int, n: int) -> list[dict[str, Any]]:
    """Rows of any table as JSON has them."""
    block = questions.columns.slice(start, n)
    columns = [_values(column) for column in block.columns]
    return [
        dict(zip(block.column_names, values, strict=True)) for values in zip(*columns, strict=True)
    ]


def _values(column: pa.ChunkedArray) -> list[Any]:
    # Python knows no nanoseconds: Arrow itself writes times down.
    if pa.types.is_timestamp(column.type) or pa.types.is_time(column.type):
        return column.cast(pa.string()).to_pylist()  # type: ignore[no-any-return]
    return [_plain(value) for value in column.to_pylist()]


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a column holds
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta | Decimal):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def _text(value: object) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _said(text: str | None) -> str | None:
    """The text, with an apostrophe where a spreadsheet would read a formula."""
    return f"'{text}" if text and _FORMULA.match(text) else text


def _cell(value: object) -> object:
    """A cell of CSV: text as it is, null as nothing, the rest as JSON."""
    return value if value is None or isinstance(value, str) else _text(value)
