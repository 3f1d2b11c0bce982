"""PDF: pages per second beside plain pdfplumber and plain PDFium, tables found, words kept.

All three read the same files in the same process: pieces of at most four pages, cut out of the data
beforehand. In each round each reader reads a piece, in an order that changes from round to round; a
piece's time is its shortest, for other load on the machine only ever adds. Time is the process's
CPU time: the three run in one thread each, so that on an idle machine it is the time one waits, and
on a busy one the waiting for the others is left out. ``read_pdf`` opens the file, finds headings,
tables and metadata; pdfplumber and PDFium only open it and give each page's text. What counts as a
table is decided by pdfplumber, not by the reader that is measured.
"""

import gc
import io
import re
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pdfplumber
import pypdfium2
from pdfminer.pdfexceptions import PDFException
from pdfplumber.utils.exceptions import PdfminerException

from rag_assets.documents.readers.blocks import RejectedError
from rag_assets.documents.readers.pdf.blocks import MARGIN
from rag_assets.documents.readers.pdf.reader import read_pdf
from rag_assets_tests.benchmarks.findings import BenchmarkError, Goal, Part, Say, Table

BOOKS, VARIED = "html-pdf-pairs", "pdf-varied/files"
EVERY = 12  # of a book's pages one is taken: 33 of 390, which pdfplumber reads in some seconds
PIECE = 4  # pages; enough pieces for a bootstrap, and few pages for a reader's cost of opening
ROUNDS = 3
RESAMPLES = 2000
AIM_RATIO = 20.0
AIM_CELLS = 0.99
MAX_ROWS = 12  # of ours that may make up one cell of pdfplumber's; five are usual
_PRIVATE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010ffff]")  # a font's own signs
_WORD = re.compile(
    "[\u3040-\u30ff\u3400-\u9fff]|[^\\W\u3040-\u30ff\u3400-\u9fff]{2,}"
)  # or a CJK sign


@dataclass(frozen=True, slots=True)
class Piece:
    """Some pages of a file, as a file of their own."""

    source: str
    data: bytes
    n_pages: int
    has_tables: bool


@dataclass(frozen=True, slots=True)
class Grids:
    """What the two readers find of a file's tables; cells are those that hold text."""

    name: str
    n_theirs: int
    n_ours: int
    n_cells: int
    n_exact: int  # cells of which one of ours, or one column of adjacent rows, has all and no more
    n_by_words: int  # cells whose words are all in one of our tables


def measure(data: Path, say: Say) -> Part:
    """Measure ``read_pdf`` on real PDFs.

    Args:
        data: folder of the evaluation data, with ``html-pdf-pairs`` and ``pdf-varied`` in it.
        say: told what is being done.

    Returns:
        pages per second with ratios, tables, words kept, and what becomes of each file.

    Raises:
        BenchmarkError: the data is not there.
    """
    books = sorted((data / BOOKS).glob("*/*.pdf"))
    varied = sorted((data / VARIED).glob("*.pdf"))
    if not books or not varied:
        raise BenchmarkError(f"expected PDFs in {data}/{BOOKS}/*/ and in {data}/{VARIED}/")
    fates = _fates(varied)
    grids: list[Grids] = []
    pieces: list[Piece] = []
    for path in [*varied, *books]:
        say(f"tables of {path.name}")
        step = EVERY if path in books else 1
        found, with_tables = _grids(path, step)
        pieces += _pieces(path, step, with_tables)
        grids += [found] if path in varied and found.n_theirs else []
    times = _times(pieces, say)
    kept = [_words_kept(piece) for piece in pieces]
    speed, ratios = _speed_table(pieces, times)
    return Part(
        "pdf",
        "PDF",
        [speed, _grid_table(grids), _word_table(pieces, kept), _fate_table(fates)],
        _goals(ratios, grids, fates),
        [
            f"Text pages are those on which pdfplumber finds no table of at least two rows and two "
            f"columns with text: every {EVERY}th page of the books, and all such pages of "
            f"pdf-varied that hold text.",
            f"Times are CPU time, the shortest of {ROUNDS} rounds for each piece of up to {PIECE} "
            f"pages; the ratio's range is a 95 % bootstrap over the pieces.",
            f"A cell of pdfplumber's is found exactly if one cell of ours, or one column of up to "
            f"{MAX_ROWS} adjacent rows, has its signs and no others: read_pdf parts a cell in "
            f"which several rows stand, and in turned tables pdfplumber gives words from back to "
            f"front. By words, each of its words has to be in one table of that page.",
            "Words are those of two letters or more, or single CJK signs, in PDFium's text between "
            "the margins, counted with repetitions: in the margins running headers and footers are "
            "left out on purpose. Most of what is lost is not readable: in TAMReview most fonts do "
            "not say which letters they draw, and what PDFium gives for them is no text.",
        ],
    )


def _fates(paths: Sequence[Path]) -> Counter[str]:
    fates = Counter[str]()
    for path in paths:
        try:
            read_pdf(path.read_bytes())
            fates["read"] += 1
        except RejectedError as error:
            fates[f"rejected: {error.reason}"] += 1
        except Exception as error:  # noqa: BLE001 - crashes are what is counted
            fates[f"crash: {type(error).__name__}"] += 1
    return fates


def _grids(path: Path, step: int) -> tuple[Grids, set[int]]:
    """A file's tables by both readers, and the pages (from 0) on which pdfplumber finds some."""
    theirs = dict(_their_cells(path, step))
    with_tables = {page for page, cells in theirs.items() if cells}
    if not with_tables:
        return Grids(path.name, 0, 0, 0, 0, 0), set()
    blocks = [block for block in read_pdf(path.read_bytes()).blocks if block.kind == "table"]
    n_cells = n_exact = n_by_words = n_ours = 0
    for page in with_tables:
        ours = [block.text for block in blocks if block.page == page + 1]
        n_ours += len(ours)
        cells = [cell for table in theirs[page] for cell in table]
        n_cells += len(cells)
        exact = {signs for table in ours for signs in _signs_of_cells(table)}
        n_exact += sum(_signs(cell) in exact for cell in cells)
        squeezed = [_squeezed(table) for table in ours]
        n_by_words += sum(any(_holds(table, cell) for table in squeezed) for cell in cells)
    n_theirs = sum(len(tables) for tables in theirs.values())
    return Grids(path.name, n_theirs, n_ours, n_cells, n_exact, n_by_words), with_tables


def _their_cells(path: Path, step: int) -> Iterator[tuple[int, list[list[str]]]]:
    """Pages, counted from 0, and the cells of each of pdfplumber's tables there."""
    try:
        with pdfplumber.open(path) as pdf:
            for number, page in enumerate(pdf.pages):
                if number % step == 0:
                    rows = [table.extract() for table in page.find_tables()]
                    yield number, [cells for table in rows if (cells := _filled(table))]
                    page.close()
    except (PdfminerException, PDFException):
        return


def _filled(rows: Sequence[Sequence[str | None]]) -> list[str]:
    """The cells with text of a table with two rows and two columns of them, else none."""
    columns = {n for row in rows for n, cell in enumerate(row) if (cell or "").strip()}
    filled = [[cell for cell in row if cell and cell.strip()] for row in rows]
    if len(columns) < 2 or sum(map(bool, filled)) < 2:
        return []
    return [cell for row in filled for cell in row]


def _holds(table: str, cell: str) -> bool:
    """Word by word: in a turned table pdfplumber gives a cell's words from back to front."""
    words = (_PRIVATE.sub("", word) for word in cell.split())
    return all(_squeezed(word) in table for word in words)


def _signs_of_cells(table: str) -> Iterator[str]:
    """The signs of each cell of ours, and of each column of up to ``MAX_ROWS`` adjacent rows."""
    rows = [row.split(" | ") for row in table.split("\n")]
    for first in range(len(rows)):
        for column in range(len(rows[first])):
            parts: list[str] = []
            for row in rows[first : first + MAX_ROWS]:
                parts += row[column : column + 1]
                yield _signs("".join(parts))


def _signs(text: str) -> str:
    """Its signs without white space, sorted: back to front they are the same."""
    return "".join(sorted(_squeezed(_PRIVATE.sub("", text))))


def _squeezed(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).split())


def _pieces(path: Path, step: int, with_tables: set[int]) -> Iterator[Piece]:
    """The file's pages that hold text, those with tables apart from the others."""
    try:
        with pypdfium2.PdfDocument(path) as pdf:
            numbers = [n for n in range(0, len(pdf), step) if _WORD.search(_plain(pdf, n))]
            for has_tables in (False, True):
                chosen = [n for n in numbers if (n in with_tables) == has_tables]
                for start in range(0, len(chosen), PIECE):
                    part = chosen[start : start + PIECE]
                    yield Piece(path.name, _cut_out(pdf, part), len(part), has_tables)
    except pypdfium2.PdfiumError:
        return


def _plain(pdf: pypdfium2.PdfDocument, number: int) -> str:
    return str(pdf[number].get_textpage().get_text_range())


def _cut_out(pdf: pypdfium2.PdfDocument, numbers: list[int]) -> bytes:
    buffer = io.BytesIO()
    with pypdfium2.PdfDocument.new() as part:
        part.import_pages(pdf, numbers)
        part.save(buffer)
    return buffer.getvalue()


def _by_ours(data: bytes) -> None:
    try:
        read_pdf(data)
    except RejectedError:
        return  # what it takes to see that there is nothing counts, too


def _by_pdfplumber(data: bytes) -> None:
    with pdfplumber.open(io.BytesIO(data)) as pdf:
        for page in pdf.pages:
            page.extract_text()
            page.close()


def _by_pdfium(data: bytes) -> None:
    with pypdfium2.PdfDocument(data) as pdf:
        for number in range(len(pdf)):
            _plain(pdf, number)


READERS: dict[str, Callable[[bytes], None]] = {
    "read_pdf": _by_ours,
    "pdfplumber": _by_pdfplumber,
    "PDFium": _by_pdfium,
}


def _times(pieces: Sequence[Piece], say: Say) -> np.ndarray:
    """Shortest CPU time of each piece by each reader: ``float64[n pieces, 3]``, seconds."""
    times = np.full((len(pieces), len(READERS)), np.inf)
    for round_number in range(ROUNDS):
        say(f"round {round_number + 1} of {ROUNDS}: {len(pieces)} pieces by {len(READERS)} readers")
        gc.collect()
        order = np.roll(np.arange(len(READERS)), round_number)
        for row, piece in enumerate(pieces):
            for column in order:
                read = list(READERS.values())[column]
                start = time.process_time()
                read(piece.data)
                times[row, column] = min(times[row, column], time.process_time() - start)
    return times


def _speed_table(
    pieces: Sequence[Piece], times: np.ndarray
) -> tuple[Table, tuple[float, float, float]]:
    """The table, and on text pages how many times faster than pdfplumber: value, low, high."""
    has_tables = np.array([piece.has_tables for piece in pieces])
    groups = {"text pages": ~has_tables, "pages with tables": has_tables}
    rows, on_text = [], (0.0, 0.0, 0.0)
    for name, chosen in groups.items():
        n_pages = sum(piece.n_pages for piece, is_in in zip(pieces, chosen, strict=True) if is_in)
        if not n_pages:
            continue
        ours, plumber, pdfium = times[chosen].T
        faster, cost = _ratio(plumber, ours), _ratio(ours, pdfium)
        on_text = faster if name == "text pages" else on_text
        speeds = [f"{n_pages / total.sum():.1f}" for total in (ours, plumber, pdfium)]
        rows.append([name, str(n_pages), *speeds, _range(faster), _range(cost)])
    columns = [
        "pages", "n", "read_pdf, pages/s", "pdfplumber, pages/s", "PDFium, pages/s",
        "times pdfplumber's speed", "times PDFium's time",
    ]  # fmt: skip
    return Table("Speed", columns, rows), on_text


def _ratio(above: np.ndarray, below: np.ndarray) -> tuple[float, float, float]:
    """Ratio of two sums over the same pieces, with the 95 % bootstrap interval."""
    draws = np.random.default_rng(0).integers(len(above), size=(RESAMPLES, len(above)))
    ratios = above[draws].sum(axis=1) / below[draws].sum(axis=1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(above.sum() / below.sum()), float(low), float(high)


def _range(ratio: tuple[float, float, float]) -> str:
    return f"{ratio[0]:.1f} ({ratio[1]:.1f} to {ratio[2]:.1f})"


def _grid_table(grids: Sequence[Grids]) -> Table:
    rows = [
        [
            g.name,
            str(g.n_theirs),
            str(g.n_ours),
            str(g.n_cells),
            f"{g.n_exact / g.n_cells:.4f}",
            f"{g.n_by_words / g.n_cells:.4f}",
        ]
        for g in grids
    ]
    columns = [
        "file", "tables by pdfplumber", "by read_pdf", "cells", "share found exactly", "by words",
    ]  # fmt: skip
    return Table("Tables of pdf-varied", columns, rows)


def _words_kept(piece: Piece) -> tuple[int, int]:
    """Of PDFium's words between the margins: how many there are, and how many ours has."""
    words = Counter[str]()
    with pypdfium2.PdfDocument(piece.data) as pdf:
        for number in range(len(pdf)):
            page = pdf[number]
            left, bottom, right, top = page.get_bbox()
            edge = MARGIN * (top - bottom)
            text = page.get_textpage().get_text_bounded(left, bottom + edge, right, top - edge)
            words.update(_words(text))
    try:
        blocks = read_pdf(piece.data).blocks
    except RejectedError:
        blocks = []
    ours = Counter(word for block in blocks for word in _words(block.text))
    return words.total(), (words & ours).total()


def _words(text: str) -> list[str]:
    """Words in NFKC; those that a hyphen parts at a line's end are put together."""
    whole = re.sub("[\ufffe\x02\xad](?:\r\n)?", "", text)
    return _WORD.findall(unicodedata.normalize("NFKC", whole))


def _word_table(pieces: Sequence[Piece], kept: Sequence[tuple[int, int]]) -> Table:
    by_source: dict[str, list[int]] = {}
    for piece, (n_words, n_kept) in zip(pieces, kept, strict=True):
        sums = by_source.setdefault(piece.source, [0, 0])
        sums[0] += n_words
        sums[1] += n_kept
    shares = sorted((k / n, n, name) for name, (n, k) in by_source.items() if n)
    total, found = (sum(pair[i] for pair in kept) for i in (0, 1))
    rows = [["all", str(total), f"{found / total:.4f}"]]
    rows += [[name, str(n), f"{share:.4f}"] for share, n, name in shares[:5]]
    return Table("Words kept: all files, and the five worst", ["file", "words", "share kept"], rows)


def _fate_table(fates: Counter[str]) -> Table:
    rows = [[fate, str(n)] for fate, n in sorted(fates.items())]
    return Table("What becomes of the files of pdf-varied", ["fate", "files"], rows)


def _goals(
    ratio: tuple[float, float, float], grids: Sequence[Grids], fates: Counter[str]
) -> list[Goal]:
    n_cells = sum(grid.n_cells for grid in grids)
    share, by_words = (
        sum(found) / n_cells if n_cells else 1.0
        for found in ((grid.n_exact for grid in grids), (grid.n_by_words for grid in grids))
    )
    n_crashes = sum(n for fate, n in fates.items() if fate.startswith("crash"))
    return [
        Goal(
            f"at least {AIM_RATIO:.0f} times pdfplumber's pages/s on text pages",
            f"{_range(ratio)} times",
            ratio[0] >= AIM_RATIO,
        ),
        Goal(
            f"at least {AIM_CELLS:.0%} of the cells of pdfplumber's tables in pdf-varied",
            f"{share:.2%} of {n_cells}; {by_words:.2%} by words",
            share >= AIM_CELLS,
        ),
        Goal("no file of pdf-varied crashes the reader", f"{n_crashes} crashes", n_crashes == 0),
    ]
