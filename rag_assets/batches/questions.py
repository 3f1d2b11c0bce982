"""Questions out of a file: CSV, JSON lines (also those of OpenAI's batches) or Parquet.

A file has a column ``question`` and, if it likes, a column ``mode``. All columns are kept for the
answers. A file that is wrong in one place is refused whole, with the place: half a batch helps
nobody.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from rag_assets.answers.questions import QuestionError
from rag_assets.errors import RagError

KINDS = (".csv", ".jsonl", ".parquet")
MAX_BYTES = 200_000_000  # they are held in memory, all of them
MAX_QUESTIONS = 100_000  # at six seconds each that is a week
QUESTION, MODE = "question", "mode"
_DELIMITERS = ",;\t"
_OPENAI = {"custom_id", "method", "url", "body"}  # of a line of OpenAI's batches


class BatchFileError(RagError):
    """A file of questions or of answers is not as it must be; the message says where and why."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Row:
    """A question of a file.

    Attributes:
        number: its row, from 0 on.
        question: as given.
        mode: auto, fact or deep; nobody has checked it yet.
        filters: which documents are read, as JSON.
    """

    number: int
    question: str
    mode: str
    filters: str = "{}"


@dataclass(frozen=True, slots=True)
class Questions:
    """The questions of a file, and its columns.

    Attributes:
        rows: in their order.
        columns: as given; n rows. Of JSON lines, values that are no text, number, truth or null,
            and columns of several types, are JSON.
        objects: of JSON lines, as given; empty for other files.
    """

    rows: Sequence[Row]
    columns: pa.Table
    objects: Sequence[Mapping[str, Any]] = ()


def listed(
    questions: Sequence[str], mode: str, filters: Mapping[str, Any] = MappingProxyType({})
) -> Questions:
    """Questions that no file holds; mode and filters are of all."""
    given = _given(filters)
    rows = [Row(number, question, mode, given) for number, question in enumerate(questions)]
    return Questions(rows, pa.table({QUESTION: pa.array(questions, pa.string())}))


def read_questions(
    path: Path, mode: str = "auto", filters: Mapping[str, Any] = MappingProxyType({})
) -> Questions:
    """The questions of a file.

    Args:
        path: its end says what it is: .csv, .jsonl or .parquet.
        mode: of the questions that name none.
        filters: of all.

    Raises:
        BatchFileError: it cannot be read, is too long, or is not of its form.
    """
    kind = kind_of(path)
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            _wrong(path, f"it has {size:,} bytes; at most {MAX_BYTES:,} are read: cut it up")
        data = path.read_bytes() if path.is_file() else _wrong(path, "expected a file")
    except OSError as error:
        _wrong(path, f"it cannot be read: {error.strerror}")
    if kind == ".parquet":
        found = _parquet(path, data, mode)
    else:
        text = _text(path, data)
        found = _csv(path, text, mode) if kind == ".csv" else _json_lines(path, text, mode)
    if not found.rows:
        _wrong(path, "it has no questions")
    given = _given(filters)
    return replace(found, rows=[replace(row, filters=given) for row in found.rows])


def _given(filters: Mapping[str, Any]) -> str:
    return json.dumps(dict(filters), sort_keys=True)


def is_openai(given: Mapping[str, Any]) -> bool:
    """Whether a line of JSON is one of OpenAI's batches."""
    return given.keys() >= _OPENAI


def kind_of(path: Path) -> str:
    """What a file is, by the end of its name.

    Raises:
        BatchFileError: none of the three.
    """
    kind = path.suffix.lower()
    if kind not in KINDS:
        _wrong(path, f"expected a name that ends with {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    return kind


def _wrong(path: Path, why: str, line: int | None = None) -> NoReturn:
    where = "" if line is None else f", line {line}"
    raise BatchFileError(f"{path}{where}: {why}")


def _text(path: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        byte = data[error.start]
        _wrong(path, f"expected UTF-8, got the byte {byte:#04x}; save the file as UTF-8", line)


def _checked(path: Path, names: Sequence[str], line: int | None) -> None:
    """Columns have names, each its own, and one is the question."""
    shown = ", ".join(names[:20]) or "none"
    if QUESTION not in names:
        _wrong(path, f"expected a column {QUESTION!r}; its columns: {shown}", line)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        _wrong(path, f"expected columns with different names; twice there: {twice[0]!r}", line)


def _add(path: Path, rows: list[Row], question: str, mode: object, line: int | None) -> None:
    if len(rows) == MAX_QUESTIONS:
        _wrong(path, f"at most {MAX_QUESTIONS:,} questions are asked at once: cut it up", line)
    # A lone surrogate of JSON is no text that can be sent or written.
    said = question.encode("utf-8", "replace").decode("utf-8")
    rows.append(Row(len(rows), said, str(mode)))


def _csv(path: Path, text: str, mode: str) -> Questions:
    header = next(iter(text.splitlines()), "")
    heads = {sign: next(csv.reader([header], delimiter=sign), []) for sign in _DELIMITERS}
    by = max(heads, key=lambda sign: (QUESTION in heads[sign], len(heads[sign])))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=by, strict=True)
    names: list[str] = []
    rows: list[Row] = []
    cells: list[list[str]] = []
    try:
        for record in reader:
            if not record:  # an empty line
                continue
            if not names:
                names = record
                _checked(path, names, reader.line_num)
            elif len(record) != len(names):
                _wrong(
                    path,
                    f"expected {len(names)} columns as in the first line, got {len(record)}; a "
                    "text with the delimiter or a line break in it stands in double quotes",
                    reader.line_num,
                )
            else:
                given = dict(zip(names, record, strict=True))
                _add(path, rows, given[QUESTION], given.get(MODE) or mode, reader.line_num)
                cells.append(record)
    except csv.Error as error:
        _wrong(path, f"it is no CSV: {error}", reader.line_num)
    columns = zip(*cells, strict=True) if cells else [()] * len(names)
    arrays = [pa.array(list(column), pa.string()) for column in columns]
    return Questions(rows, pa.table(arrays, names=names))


def _json_lines(path: Path, text: str, mode: str) -> Questions:
    rows: list[Row] = []
    objects: list[Mapping[str, Any]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        given = _object(path, line, number)
        question, own = _openai(path, given, number) if is_openai(given) else _plain(given)
        if not isinstance(question, str):
            fields = ", ".join(given) or "none"
            _wrong(path, f"expected {QUESTION!r} to be text; its fields: {fields}", number)
        _add(path, rows, question, own or mode, number)
        objects.append(given)
    names = list(dict.fromkeys(name for given in objects for name in given))
    columns = {name: _column([given.get(name) for given in objects]) for name in names}
    return Questions(rows, pa.table(columns), objects)


def _object(path: Path, line: str, number: int) -> dict[str, Any]:
    def refused(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no number of JSON")

    try:
        given = json.loads(line, parse_constant=refused)
    except (ValueError, RecursionError) as error:
        _wrong(path, f"expected a JSON object: {error}", number)
    if not isinstance(given, dict):
        _wrong(path, f"expected a JSON object, got {type(given).__name__}", number)
    return given


def _plain(given: Mapping[str, Any]) -> tuple[object, object]:
    return given.get(QUESTION), given.get(MODE)


def _openai(path: Path, given: Mapping[str, Any], number: int) -> tuple[str, str]:
    """The question of a line of OpenAI's batches: its last message of the user."""
    from rag_assets.serving.chat_request import ChatRequest  # slow to load, and few files need it

    url = given["url"]
    if url != "/v1/chat/completions":
        _wrong(path, f"expected the url /v1/chat/completions, got {url!r}", number)
    try:
        asked = ChatRequest.model_validate(given["body"])
        return asked.question(), asked.mode()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, ("body", *first["loc"])))
        _wrong(path, f"{where}: {first['msg']}", number)
    except QuestionError as error:
        _wrong(path, f"body: {error}", number)


def _column(values: Sequence[object]) -> pa.Array:
    """Values of one type as they are, others as JSON."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} or (len(kinds) == 1 and kinds <= {str, bool}):
        try:
            return pa.array(values, None if kinds else pa.string())
        except (pa.ArrowException, ValueError, OverflowError):  # a number that is too long
            pass
    texts = [None if value is None else json.dumps(value) for value in values]
    return pa.array(texts, pa.string())


def _parquet(path: Path, data: bytes, mode: str) -> Questions:
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        n_rows, names = file.metadata.num_rows, list(file.schema_arrow.names)
        groups = [file.metadata.row_group(n) for n in range(file.num_row_groups)]
    except (pa.ArrowException, OSError) as error:
        _wrong(path, f"it is no Parquet: {error}")
    _checked(path, names, None)
    if n_rows > MAX_QUESTIONS:
        _wrong(
            path, f"it has {n_rows:,} rows; at most {MAX_QUESTIONS:,} are asked at once: cut it up"
        )
    if (size := sum(group.total_byte_size for group in groups)) > MAX_BYTES:
        _wrong(path, f"it unpacks to {size:,} bytes; at most {MAX_BYTES:,} are read: cut it up")
    try:
        table = file.read()
    except (pa.ArrowException, OSError) as error:
        _wrong(path, f"it is no Parquet: {error}")
    for name in (QUESTION, MODE):
        if name in names and not _is_text(table.schema.field(name).type):
            kind = table.schema.field(name).type
            _wrong(path, f"expected the column {name!r} to be text, got {kind}")
    rows: list[Row] = []
    for question, own in _asked(table):
        _add(path, rows, question or "", own or mode, None)
    return Questions(rows, table)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _asked(table: pa.Table) -> Iterator[tuple[str | None, str | None]]:
    questions = table[QUESTION].to_pylist()
    modes = table[MODE].to_pylist() if MODE in table.column_names else [None] * len(questions)
    yield from zip(questions, modes, strict=True)
