"""Records: CSV and its kin to a table, JSON and JSON Lines to a paragraph a record."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import dropwhile, islice
from typing import Any

from rag_assets.documents.readers.archives import parsing
from rag_assets.documents.readers.blocks import Block, Extracted
from rag_assets.documents.readers.decoding import decode
from rag_assets.documents.readers.tables import table_blocks

DELIMITERS = "\t,;|"  # in order of preference
SAMPLE_RECORDS = 1000
MIN_UNNAMED_RECORDS = 4  # by which a text without a telling name shows that it is CSV
CONSISTENT_SHARE = 0.9
CLAIM_CHARS = 20_000  # by which rival delimiters are told apart
_DECIMAL_COMMA = re.compile(r"\d,(?=\d)")
_SEP_LINE = "sep="  # what Excel writes above its CSV

csv.field_size_limit(2**31 - 1)  # the module's own limit of 128 KiB would reject a long text cell


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the cells of a text are parted, and the usual number of them in a record."""

    delimiter: str
    width: int
    quoted: bool = True


def read_csv(data: bytes) -> Extracted:
    """One table; lines above it that have no columns are paragraphs."""
    text, encoding = decode(data)
    dialect = sniff(text, is_named=True) or Dialect(",", 1)
    if text[:4].lower() == _SEP_LINE:
        text = text.partition("\n")[2]
    rows = list(_rows(text, dialect))
    n_before = next((n for n, row in enumerate(rows) if len(row) > 1), 0)
    above = ["".join(row).strip() for row in rows[:n_before]]
    blocks = [Block("paragraph", line) for line in above if line]
    blocks += table_blocks(rows[n_before:])
    kind = "text/tab-separated-values" if dialect.delimiter == "\t" else "text/csv"
    return Extracted(kind, blocks, encoding=encoding)


def read_json(data: bytes) -> Extracted:
    """A paragraph for each record of a JSON file.

    An array's elements are its records. An object is one record, but its members that are arrays
    of objects become a heading with records below.

    Raises:
        RejectedError: ``corrupt`` for what is no JSON.
    """
    text, encoding = decode(data)
    with parsing("JSON"):
        value = loads(text)
    return Extracted("application/json", list(_blocks(value)), encoding=encoding)


def read_jsonl(data: bytes) -> Extracted:
    """A paragraph for each line; a line that is not JSON is kept as it is."""
    text, encoding = decode(data)
    lines = (line for line in text.split("\n") if line.strip())
    blocks = [Block("paragraph", _line_record(line)) for line in lines]
    return Extracted("application/jsonl", blocks, encoding=encoding)


def loads(text: str) -> Any:  # noqa: ANN401 - JSON may be anything
    """A JSON value with its numbers as they are written, 1.10 not as 1.1.

    Raises:
        ValueError: the text is no JSON.
        RecursionError: it is nested too deeply.
    """
    return json.loads(text, parse_int=str, parse_float=str, parse_constant=str)


def is_json(text: str) -> bool:
    """Whether all of the text is one JSON array or object."""
    stripped = text.strip().removeprefix("\ufeff")
    if not (stripped[:1] in ("{", "[") and stripped[-1:] in ("}", "]")):
        return False
    try:
        loads(stripped)
    except (ValueError, RecursionError):
        return False
    return True


def is_json_lines(text: str) -> bool:
    """Whether nine in ten of the first lines are each a JSON object or array, and several are."""
    lines = [line for line in islice(text.split("\n"), SAMPLE_RECORDS) if line.strip()]
    if len(lines) < 2 or lines[0].lstrip("\ufeff \t")[:1] not in ("{", "["):
        return False
    n_good = sum(map(is_json, lines))
    # The last line of a sample, or of a file that somebody is still writing, may be cut off.
    return n_good >= 2 and n_good >= min(CONSISTENT_SHARE * len(lines), len(lines) - 1)


def sniff(text: str, *, is_named: bool, is_cut: bool = False) -> Dialect | None:
    """The dialect of a CSV text; None when it seems to be something else.

    A delimiter fits when nine in ten of the first 1000 records, from the first that it parts, have
    the same number of cells, at least two. The one with the widest records wins, unless it is the
    decimal comma, or punctuation with a space behind it; among equals tab, comma, semicolon, bar.

    Args:
        text: a file, or its beginning.
        is_named: whether the file's name says so; without it every record must have the same
            number of cells, there must be several, and two columns are not enough for a comma.
        is_cut: whether the text may end in the middle of a cell.
    """
    if text[:4].lower() == _SEP_LINE and text[4:5]:
        return Dialect(text[4], 2)
    found = []
    for delimiter in DELIMITERS:
        for quoted in (True, False):
            records = _first_records(text, delimiter, quoted=quoted, is_cut=is_cut)
            dialect = _fitting(records, delimiter, quoted=quoted, is_named=is_named)
            if dialect is not None:
                found.append(dialect)
                break
    quoted_ones = [dialect for dialect in found if dialect.quoted]
    return max(quoted_ones or found, key=lambda dialect: _claim(dialect, text), default=None)


def _claim(dialect: Dialect, text: str) -> int:
    # 1,5;2,5 parts into three by its decimal commas and into two by what is meant
    sample = text[:CLAIM_CHARS]
    count = sample.count(dialect.delimiter)
    is_decimal = dialect.delimiter == "," and 2 * len(_DECIMAL_COMMA.findall(sample)) > count
    is_prose = 2 * sample.count(dialect.delimiter + " ") > count
    return 0 if is_decimal or is_prose else dialect.width


def _first_records(text: str, delimiter: str, *, quoted: bool, is_cut: bool) -> list[list[str]]:
    """The first records; none where a quote does not close, unless the text is cut off there."""
    lines = io.StringIO(text, newline="")
    records: list[list[str]] = []
    try:
        records.extend(islice(_reader(lines, delimiter, quoted=quoted), SAMPLE_RECORDS))
    except csv.Error:
        return records if is_cut else []
    return records


def _fitting(
    records: Sequence[list[str]], delimiter: str, *, quoted: bool, is_named: bool
) -> Dialect | None:
    sample = list(dropwhile(lambda record: len(record) < 2, filter(None, records)))
    if not sample:
        return None
    width, count = Counter(map(len, sample)).most_common(1)[0]
    if width < 2 or count < CONSISTENT_SHARE * len(sample):
        return None
    if not is_named:
        is_regular = count >= max(MIN_UNNAMED_RECORDS, len(sample) - 1)
        if not is_regular or (width == 2 and delimiter in ",;") or _is_prose(sample):
            return None
    return Dialect(delimiter, width, quoted)


def _is_prose(sample: Sequence[Sequence[str]]) -> bool:
    """Whether half of the cells but the first begin with a space, as after commas in prose."""
    later = [cell for row in sample for cell in row[1:]]
    return sum(cell[:1] == " " for cell in later) >= len(later) / 2


def _reader(lines: io.StringIO, delimiter: str, *, quoted: bool) -> Iterator[list[str]]:
    if quoted:
        return csv.reader(lines, delimiter=delimiter, strict=True)
    return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)


def _rows(text: str, dialect: Dialect) -> Iterator[list[str]]:
    """All records; after the first quote that does not close the rest is read line by line."""
    lines = io.StringIO(text, newline="")
    start = 0
    try:
        for row in _reader(lines, dialect.delimiter, quoted=dialect.quoted):
            yield row
            start = lines.tell()
    except csv.Error:
        rest = io.StringIO(text[start:], newline="")
        yield from _reader(rest, dialect.delimiter, quoted=False)


def _blocks(value: Any) -> Iterator[Block]:  # noqa: ANN401 - JSON may be anything
    if isinstance(value, list) and any(isinstance(member, (dict, list)) for member in value):
        for record in value:
            yield Block("paragraph", _record(record))
        return
    lists = {}
    if isinstance(value, dict):
        lists = {key: member for key, member in value.items() if _is_list_of_records(member)}
        value = {key: member for key, member in value.items() if key not in lists}
    yield Block("paragraph", _record(value))
    for key, records in lists.items():
        yield Block("heading", key, 2)
        for record in records:
            yield Block("paragraph", _record(record))


def _is_list_of_records(value: Any) -> bool:  # noqa: ANN401 - JSON may be anything
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _line_record(line: str) -> str:
    try:
        return _record(loads(line))
    except (ValueError, RecursionError):
        return line


def _record(value: Any) -> str:  # noqa: ANN401 - JSON may be anything
    """Lines of "key: value", nested keys dotted, lists of scalars in one line; nulls left out."""
    lines: list[str] = []
    waiting: list[tuple[str, Any]] = [("", value)]  # a stack: JSON may be nested deeply
    while waiting:
        key, item = waiting.pop()
        if isinstance(item, dict):
            prefix = f"{key}." if key else ""
            waiting += [(f"{prefix}{name}", member) for name, member in reversed(item.items())]
        elif isinstance(item, list) and any(isinstance(member, (dict, list)) for member in item):
            waiting += [(key, member) for member in reversed(item)]
        else:
            members = item if isinstance(item, list) else [item]
            text = ", ".join(filter(None, map(_scalar, members)))
            if text:
                lines.append(f"{key}: {text}" if key else text)
    return "\n".join(lines)


def _scalar(value: Any) -> str:  # noqa: ANN401 - JSON may be anything
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value).strip()
