"""The header that is embedded in front of a chunk, so that the chunk can be understood alone.

It is a line "title > heading > heading". For a chunk that begins in the middle of a table it also
holds the rows that name the table's columns.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rag_assets.chunks.sizes import CHARS_A_TOKEN, Sizes
from rag_assets.documents.readers.tables import has_header, names_groups
from rag_assets.models.protocols import Counter

# Of the window at most, each for the line and the columns: half of it is left for text.
HEADER_SHARE = 0.25
_GAP = " > "
_RULE = re.compile(r"[\s|:]*-[\s|:-]*")  # Markdown's second row, which only draws a line
_CELL = re.compile(r" (?=\|)")


@dataclass(frozen=True, slots=True)
class Header:
    """The line in front of a section's chunks; of a tokenizer that is not additive an estimate."""

    line: str
    n_tokens: int  # with the line end


def make_headers(
    paths: Sequence[tuple[str, Sequence[str]]], counter: Counter, max_tokens: int
) -> list[Header]:
    """For each title and heading path, the line that says where a chunk is.

    It has at most a quarter of a chunk's tokens, and of its characters. When it is too long its
    middle goes first: the title and the nearest heading say most. Titles and headings are counted
    once each, not once a section.
    """
    named = [_parts(*path) for path in paths]
    distinct = list(dict.fromkeys(["\n", _GAP, *(part for parts in named for part in parts)]))
    n_tokens = dict(zip(distinct, counter.counts(distinct), strict=True))
    return [_header(parts, n_tokens, counter, int(max_tokens * HEADER_SHARE)) for parts in named]


def _header(parts: list[str], n_tokens: Mapping[str, int], counter: Counter, limit: int) -> Header:
    if not parts:
        return Header("", 0)
    n_line = sum(n_tokens[part] for part in parts) + n_tokens[_GAP] * (len(parts) - 1)
    while len(parts) > 2 and n_line > limit:
        n_line -= n_tokens[parts.pop(1)] + n_tokens[_GAP]
    line = _GAP.join(parts)
    if n_line > limit or len(line) > CHARS_A_TOKEN * limit:
        line = line[: CHARS_A_TOKEN * limit]
        ends = [end for _, end in counter.encode([line])[0].offsets]
        line = line[: ends[limit - 1]] if len(ends) > limit else line
        n_line = counter.count(line)
    return Header(line, n_line + n_tokens["\n"])


def column_names(text: str, start: int, end: int, sizes: Sizes, limit: int) -> int:
    """Where the rows end that name the columns of the table ``text[start:end]``.

    That is the first row, if it has names and not values, and the second, if the first is a caption
    above fewer columns, or names groups of columns. Of names with more than ``limit`` tokens the
    last ones are left out.

    Returns:
        An offset in ``text``; ``start`` if the table has no such row.
    """
    spans: list[tuple[int, int]] = []
    place = start
    while place < end and len(spans) < 3:
        row_end = _row_end(text, place, end)
        if not (spans and _RULE.fullmatch(text, place, row_end)):
            spans.append((place, row_end))
        place = row_end + 1
    names_end = _names_end([text[begin:row_end] for begin, row_end in spans], spans) or start
    room = CHARS_A_TOKEN * limit
    if sizes.between(start, names_end) <= limit and names_end - start <= room:
        return names_end
    gaps = (gap.start() for gap in _CELL.finditer(text, start, names_end))
    fitting = (e for e in gaps if sizes.between(start, e) <= limit and e - start <= room)
    return max(fitting, default=start)


def _names_end(rows: Sequence[str], spans: Sequence[tuple[int, int]]) -> int | None:
    """Where the rows with names end, of a table's first three; None if there are none."""
    # A sign before all of them is Markdown's; before some of them an empty cell stands before it.
    is_edged = all(row.lstrip().startswith("|") for row in rows)
    if len(rows) > 2 and names_groups(*(_cells(row, is_edged=is_edged) for row in rows)):
        return spans[1][1]
    first, second = (_cells(row, is_edged=True) for row in (*rows, "", "")[:2])
    if not has_header([first]):
        return None
    is_caption = len(first) < len(second) and spans[1][0] == spans[0][1] + 1
    return spans[1][1] if is_caption and has_header([second]) else spans[0][1]


def table_body(text: str, names_end: int, end: int) -> int:
    """Where the first row below the column names begins, Markdown's rule not counted."""
    below = _row_end(text, names_end, end)
    row_end = _row_end(text, below + 1, end)
    is_rule = below < end and _RULE.fullmatch(text, below + 1, row_end)
    return row_end + 1 if is_rule else below + 1


def _parts(title: str, heading_path: Sequence[str]) -> list[str]:
    """The title and the headings, none twice."""
    # In one line: what follows below it are rows of a table.
    lines = (" ".join(part.split()) for part in (title, *heading_path))
    return list(dict.fromkeys(filter(None, lines)))


def _row_end(text: str, start: int, end: int) -> int:
    place = text.find("\n", start, end)
    return end if place < 0 else place


def _cells(row: str, *, is_edged: bool) -> list[str]:
    row = row.strip().removeprefix("|").removesuffix("|") if is_edged else row
    return [cell.strip() for cell in row.split("|")]
