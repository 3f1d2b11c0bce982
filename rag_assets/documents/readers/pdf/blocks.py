"""Lines of a PDF to blocks: running lines out, headings, lists, code, paragraphs."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise

from rag_assets.documents.readers.blocks import Block, BlockKind
from rag_assets.documents.readers.pdf.columns import Line
from rag_assets.documents.readers.pdf.joining import joined_text, words_of

HEADING_RATIO = 1.12  # a heading is set at least this much larger than the body text
MAX_HEADING_CHARS = 160  # longer large print is a display paragraph, not a heading
MARGIN = 0.08  # of the page's height; text set an inch from the edge begins at 0.09
MIN_REPEATS = 3  # pages a running line stands on; a chapter's own one has few
SAME_HEIGHT = 4.0  # points
SAME_SIZE = 0.08  # share by which sizes within a paragraph differ: code in it is set smaller
PARAGRAPH_GAP = 1.25  # of the document's usual line pitch; more begins a paragraph
USUAL_PITCH = 1.2  # type sizes, if the document is too short to tell
INDENT = 0.8  # type sizes; a first line set in by more begins a paragraph
SHORT_LINE = 0.85  # of the column's width: a line that ends before it was not broken for space
MONO_ADVANCE = 0.6  # width of a letter of a typewriter face, in its size

_PAGE_NUMBER = re.compile(
    r"(?:page|seite|p\.)?\s*[-\u2013(]?\s*(?:\d{1,4}|[ivxlc]{1,7})\s*[-\u2013)]?"
    r"(?:\s*(?:of|von|/)\s*\d{1,4})?",
    re.IGNORECASE,
)
_NUMBER_AT_END = re.compile(r"^\d{1,4}(?=\s)|(?<=\s)\d{1,4}$")
_BULLET = re.compile(
    r"[\u00b7\u2022\u2023\u25e6\u25aa\u25cf\u25cb\u25a0\u25a1\u2713\u2212*\u2013-]\s+"
)
_NUMBER = re.compile(r"(?:\d{1,3}|[a-z]|[ivx]{2,4})[.)]\s+|\((?:\d{1,3}|[a-z]|[ivx]{2,4})\)\s+")
_SECTION_NUMBER = re.compile(r"^(?:\d+(?:\.\d+)*\.?|[A-Z]\.|\W+)\s*")
_LEADER = re.compile(r"(?:\s?\.){4,}\s?")
_CLOSING = "\"'\u201d\u2019)]"


@dataclass(frozen=True, slots=True)
class PageLines:
    """A page's lines in reading order."""

    height: float  # points
    lines: list[Line]


@dataclass(frozen=True, slots=True)
class _Style:
    """What is usual in the document."""

    body: float  # type size, points
    is_bold: bool
    larger: list[float]  # type sizes of headings, largest first
    pitch: float  # line pitch in type sizes
    outline: Mapping[str, int]
    words: Set[str]
    is_mono: bool


def blocks_of(pages: Sequence[PageLines], outline: Mapping[str, int]) -> list[Block]:
    """A document's blocks; ``outline`` has the level, from 1, of each bookmark by its key."""
    running = _running_lines(pages)
    kept = [
        [line for line in page.lines if line not in running] if running else page.lines
        for page in pages
    ]
    style = _style([line for lines in kept for line in lines if not line.is_table], outline)
    return [block for lines in kept for block in _page_blocks(lines, style)]


def outline_key(title: str) -> str:
    """A title without its number, case and spacing, to be found by."""
    return " ".join(_SECTION_NUMBER.sub("", title, count=1).split()).casefold()


def _running_lines(pages: Sequence[PageLines]) -> set[Line]:
    """Lines in the margins that stand at one height on several pages; digits are not compared.

    A chapter's title may stand beside the page number on one page only: a line is also taken for
    running if its number counts along with the pages.
    """
    most = max(2, min(MIN_REPEATS, len(pages) // 2))
    places = defaultdict[tuple[str | int, int], set[Line]](set)
    for page in pages:
        for line in _margin_lines(page):
            text = "#" if _PAGE_NUMBER.fullmatch(line.text) else re.sub(r"\d+", "#", line.text)
            height = round(line.base / SAME_HEIGHT)
            places[text, height].add(line)
            if number := _NUMBER_AT_END.search(line.text):
                places[int(number[0]) - line.page, height].add(line)
    found = set[Line]()
    for lines in places.values():
        if len({line.page for line in lines}) >= most:
            found |= lines
    # Where they are all there is (slides, forms, a page in all its turns), they are the content.
    left = {line.page for page in pages for line in page.lines if line not in found}
    return found if 2 * len(left) >= sum(bool(page.lines) for page in pages) else set()


def _margin_lines(page: PageLines) -> Iterator[Line]:
    margin = MARGIN * page.height
    lowest = max((line.base for line in page.lines), default=0.0)
    for line in page.lines:
        in_margin = line.base - line.size < margin or line.base > (1 - MARGIN) * page.height
        is_last = line.base == lowest and _PAGE_NUMBER.fullmatch(line.text)
        if (in_margin or is_last) and not line.is_table:
            yield line


def _style(lines: Sequence[Line], outline: Mapping[str, int]) -> _Style:
    sizes, pitches = Counter[float](), Counter[float]()
    for line in lines:
        sizes[line.size] += len(line.text)
    n_bold = sum(len(line.text) for line in lines if line.bold)
    n_mono = sum(len(line.text) for line in lines if line.mono)
    body = sizes.most_common(1)[0][0] if sizes else 0.0
    for before, line in pairwise(lines):
        drop = line.base - before.base
        is_body = before.column == line.column and line.size == before.size == body
        if is_body and 0 < drop < 3 * body:
            pitches[round(drop / body, 1)] += 1
    return _Style(
        body,
        2 * n_bold > sizes.total(),
        _levels(size for size in sizes if size >= body * HEADING_RATIO),
        pitches.most_common(1)[0][0] if pitches.total() > 2 else USUAL_PITCH,
        outline,
        words_of([line.text for line in lines]),
        2 * n_mono > sizes.total(),
    )


def _levels(sizes: Iterator[float]) -> list[float]:
    """Distinct sizes, largest first; those that differ by rounding count once."""
    levels: list[float] = []
    for size in sorted(sizes, reverse=True):
        if not levels or levels[-1] - size > 0.5:
            levels.append(size)
    return levels


def _page_blocks(lines: Sequence[Line], style: _Style) -> list[Block]:
    blocks: list[Block] = []
    for group in _groups(lines, style):
        block = _block(group, style)
        last = blocks[-1] if blocks else None
        if last is not None and last.kind == block.kind and block.kind in ("list", "code"):
            blocks[-1] = Block(block.kind, f"{last.text}\n{block.text}", page=block.page)
        elif block.text:
            blocks.append(block)
    return blocks


def _groups(lines: Sequence[Line], style: _Style) -> list[list[Line]]:
    """Lines that belong together."""
    rights: dict[int, float] = {}
    lefts: dict[int, float] = {}
    for line in lines:
        rights[line.column] = max(rights.get(line.column, 0.0), line.x1)
        lefts[line.column] = min(lefts.get(line.column, line.x0), line.x0)
    groups: list[list[Line]] = []
    for line in lines:
        left, right = lefts[line.column], rights[line.column]
        if groups and (
            _runs_on(groups[-1][-1], line)
            if line.column != groups[-1][-1].column
            else _is_continued(groups[-1], line, left + SHORT_LINE * (right - left), style)
        ):
            groups[-1].append(line)
        else:
            groups.append([line])
    return groups


def _runs_on(last: Line, line: Line) -> bool:
    """Whether a sentence goes on in the next column."""
    return (
        not (last.mono or last.is_table or line.is_table)
        and abs(last.size - line.size) <= SAME_SIZE * last.size
        and last.bold == line.bold
        and not _ends_sentence(last.text)
        and (line.text[0].islower() or last.text.endswith("\ufffe"))
    )


def _is_continued(group: Sequence[Line], line: Line, full: float, style: _Style) -> bool:
    last, first = group[-1], group[0]
    if last.is_table or line.is_table:
        return False
    drop = line.base - last.base
    if last.mono and line.mono and not style.is_mono:
        return 0 <= drop <= 2 * style.pitch * line.size
    if abs(last.size - line.size) > SAME_SIZE * max(last.size, line.size) or last.mono != line.mono:
        return False
    is_large = line.size >= style.body * HEADING_RATIO
    pitch = max(style.pitch, USUAL_PITCH) if is_large else style.pitch
    if not 0 <= drop <= PARAGRAPH_GAP * pitch * line.size:
        return False
    if _is_item(line.text) or _is_row(last) or _is_row(line):
        return False
    if last.bold != line.bold and last.x1 < full:
        return False
    if last.x1 < full and _ends_sentence(last.text) and not _is_item(first.text):
        return False
    is_set_in = line.x0 - last.x0 > INDENT * line.size
    return not is_set_in or (len(group) == 1 and _is_item(first.text))


def _is_item(text: str) -> bool:
    return _BULLET.match(text) is not None or _NUMBER.match(text) is not None


def _is_row(line: Line) -> bool:
    return line.n_gaps > 1 or (_has_dots(line.text) and _LEADER.search(line.text) is not None)


def _has_dots(text: str) -> bool:
    """Whether there may be a leader; to search for one takes much longer."""
    return ".." in text or ". ." in text


def _ends_sentence(text: str) -> bool:
    return text.rstrip(_CLOSING).endswith((".", "!", "?", ":"))


def _block(group: Sequence[Line], style: _Style) -> Block:
    page = group[0].page
    if group[0].is_table:
        return Block("table", group[0].text, page=page)
    if all(line.mono for line in group) and not style.is_mono:
        return Block("code", _code(group), page=page)
    text = joined_text([line.text for line in group], style.words)
    text = _LEADER.sub(" ... ", text) if _has_dots(text) else text
    level = _heading_level(group, text, style)
    if level:
        return Block("heading", text, level, page)
    kind: BlockKind = "paragraph"
    if _BULLET.match(text):
        kind, text = "list", "- " + _BULLET.sub("", text, count=1)
    elif _NUMBER.match(text) or _LEADER.search(group[0].text):
        kind = "list"
    return Block(kind, text, page=page)


def _code(group: Sequence[Line]) -> str:
    """Lines of code with the indentation that their place on the page shows."""
    left = min(line.x0 for line in group)
    rows = []
    for line in group:
        depth = round((line.x0 - left) / (MONO_ADVANCE * line.size)) if line.size else 0
        rows.append(" " * depth + line.text.replace("\ufffe", "-"))
    return "\n".join(rows)


def _heading_level(group: Sequence[Line], text: str, style: _Style) -> int:
    """1 to 6, or 0 for what is no heading."""
    first = group[0]
    is_large = first.size >= style.body * HEADING_RATIO
    if len(text) > MAX_HEADING_CHARS or not (is_large or first.bold):
        return 0
    if sum(map(str.isalpha, text)) < 2:
        return 0
    if first.n_gaps and text[-1].isdigit():  # a line of a table of contents
        return 0
    is_numbered = re.match(r"\d+(\.\d+)*\.?\s", text) is not None
    is_bold = (
        not style.is_bold
        and all(line.bold and line.n_gaps <= is_numbered for line in group)
        and first.size >= style.body * 0.95
        and len(group) <= 2
        and text[-1] not in ".,;:"
        and text[0].isalnum()
    )
    if not (is_large or is_bold):
        return 0
    if outlined := style.outline.get(outline_key(text)):
        return min(outlined, 6)
    if is_large:
        return min(sum(size - first.size > 0.5 for size in style.larger) + 1, 6)
    return min(len(style.larger) + 1, 6)
