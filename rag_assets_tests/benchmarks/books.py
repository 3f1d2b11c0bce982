"""One book as HTML pages and as PDF: recognised as related, and collapsed only by the rule.

Two books in two languages. Every page should be found in its own book's PDF, and nothing of one
book in the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa

from rag_assets.documents.readers.blocks import RejectedError
from rag_assets.documents.reading import Document, read_document
from rag_assets.documents.signatures import n_shared, shingles
from rag_assets.duplicates.candidates import MIN_BANDS, Postings
from rag_assets.duplicates.facts import keys_of
from rag_assets.duplicates.grouping import (
    CONTAINED_THRESHOLD,
    find_related,
    group_near,
    preference,
)
from rag_assets.duplicates.verifying import TEXT_KEYS, VERIFIED_PAIRS, Content, Verifier
from rag_assets.lake.identity import text_hash
from rag_assets_tests.benchmarks.data import members
from rag_assets_tests.benchmarks.findings import BenchmarkError, Goal, Part, Say, Table

DATA_SET = "html-pdf-pairs"


@dataclass(frozen=True, slots=True)
class Volume:
    """A page, or the PDF, of a book."""

    book: str
    name: str
    flags: list[str]
    hashes: np.ndarray
    keys: tuple[int, int, int]
    bands: np.ndarray
    sketch: np.ndarray

    @property
    def is_pdf(self) -> bool:
        """Whether it is the whole book as PDF."""
        return self.name.endswith(".pdf")

    @classmethod
    def of(cls, book: str, name: str, document: Document) -> "Volume":
        """As the product reads it."""
        hashes = shingles(document.text)
        keys = keys_of(document.text)
        return cls(book, name, document.flags, hashes, keys, document.bands, document.sketch)


@dataclass(frozen=True, slots=True)
class Found:
    """What the stage found.

    Attributes:
        canonical: name of a collapsed volume -> of the one that stands for it.
        kinds: names of two standing volumes, sorted -> sibling | similar | contained.
    """

    canonical: dict[str, str]
    kinds: dict[tuple[str, str], str]

    def between(self, one: Volume, other: Volume) -> str:
        """How two are related, by what stands for them; "" if they are not."""
        left, right = (self.canonical.get(v.name, v.name) for v in (one, other))
        return "collapsed" if left == right else self.kinds.get(_pair(left, right), "")


def measure(data: Path, say: Say) -> Part:
    """Read both books both ways and relate everything with everything.

    Raises:
        BenchmarkError: the books are missing.
    """
    volumes = read_books(data / DATA_SET, say)
    found = relate(volumes)
    rows = [_row(page, _pdf_of(page, volumes), found) for page in volumes if not page.is_pdf]
    return Part(
        name="books",
        title="The same book as HTML pages and as PDF",
        tables=[
            Table(
                "Every page against its own book's PDF",
                ["book", "page", "shingles", "Jaccard", "share in the PDF", "recognised as"],
                rows,
            ),
            _summary(volumes, found),
        ],
        goals=_goals(volumes, found),
        notes=(
            "Rule: what says the same collapses. A page of which at least "
            f"{CONTAINED_THRESHOLD} stands in the PDF is related to it and stays: it is the more "
            "exact citation.",
            "Pages of fewer than about 130 different shingles have too small a sketch to be found "
            "by it (tables of contents, search forms).",
        ),
    )


def read_books(folder: Path, say: Say) -> list[Volume]:
    """Every page and PDF below the folder; texts that occur twice only once.

    Raises:
        BenchmarkError: there are no books.
    """
    volumes: dict[str, Volume] = {}
    for path in sorted(folder.glob("*/*")):
        book = path.parent.name
        for name, content in _contents(path):
            say(f"{book}: {name}")
            try:
                document = read_document(content, name)
            except RejectedError:  # a search form has no text
                continue
            volume = Volume.of(book, f"{book}:{name}", document)
            volumes.setdefault(text_hash(document.text), volume)
    if not any(volume.is_pdf for volume in volumes.values()):
        raise BenchmarkError(f"expected books with a .pdf and an -html.tar.xz below {folder}")
    return list(volumes.values())


def _contents(path: Path) -> list[tuple[str, bytes]]:
    if path.suffix == ".pdf":
        return [(path.name, path.read_bytes())]
    if not path.name.endswith("-html.tar.xz"):
        return []
    return [(name, content) for name, content in members(path) if name.endswith(".html")]


def relate(volumes: Sequence[Volume]) -> Found:
    """What the ``duplicates`` stage finds among these, by its own functions."""
    order = preference(
        pa.table(
            {
                "uri": [volume.name for volume in volumes],
                "flags": pa.array([volume.flags for volume in volumes], pa.list_(pa.string())),
            }
        )
    ).to_pylist()
    ordered = [volumes[at] for at in order]
    names = [volume.name for volume in ordered]

    def read(positions: Sequence[int]) -> list[Content]:
        return [Content(ordered[at].hashes, ordered[at].keys) for at in positions]

    pairs, texts = VERIFIED_PAIRS.empty_table(), TEXT_KEYS.empty_table()
    verifier = Verifier(pa.array(names), pairs, texts, read)
    bands = np.array([volume.bands for volume in ordered])
    owners = Postings.of_bands(bands).owners(MIN_BANDS)
    grouping = group_near(owners, len(ordered), verifier)
    near = Postings.of_bands(bands, grouping.stands)
    standing = [(at, ordered[at]) for at in np.flatnonzero(grouping.stands).tolist()]
    owners = np.concatenate([np.full(len(v.sketch), at, dtype=np.int32) for at, v in standing])
    keys = np.concatenate([v.sketch for _, v in standing])
    sampled = Postings.of_sketches(keys, owners, len(ordered))
    canonical = {
        names[at]: names[leader]
        for at, leader in enumerate(grouping.leader.tolist())
        if at != leader
    }
    related = find_related(near, sampled, verifier)
    return Found(canonical, {_pair(names[p.small], names[p.large]): p.kind for p in related})


def _pair(one: str, other: str) -> tuple[str, str]:
    return (min(one, other), max(one, other))


def _pdf_of(page: Volume, volumes: Sequence[Volume]) -> Volume:
    return next(v for v in volumes if v.is_pdf and v.book == page.book)


def _share(page: Volume, pdf: Volume) -> float:
    return n_shared(page.hashes, pdf.hashes) / len(page.hashes)


def _row(page: Volume, pdf: Volume, found: Found) -> Sequence[str]:
    shared = n_shared(page.hashes, pdf.hashes)
    return [
        page.book,
        page.name.partition(":")[2],
        str(len(page.hashes)),
        f"{shared / (len(page.hashes) + len(pdf.hashes) - shared):.3f}",
        f"{_share(page, pdf):.3f}",
        found.between(page, pdf) or "no relation",
    ]


def _in_own_pdf(volumes: Sequence[Volume], found: Found, book: str) -> list[str]:
    """For each page of the book how it is related to the book's PDF, "" if it is not."""
    return [
        found.between(page, _pdf_of(page, volumes))
        for page in volumes
        if page.book == book and not page.is_pdf
    ]


def _across(volumes: Sequence[Volume], found: Found) -> int:
    """Pairs of different books that were related."""
    pairs = combinations(volumes, 2)
    return sum(one.book != other.book and found.between(one, other) != "" for one, other in pairs)


def _summary(volumes: Sequence[Volume], found: Found) -> Table:
    rows = []
    for book in sorted({volume.book for volume in volumes}):
        kinds = _in_own_pdf(volumes, found, book)
        pages = [page for page in volumes if page.book == book and not page.is_pdf]
        within = sum(_share(page, _pdf_of(page, volumes)) >= CONTAINED_THRESHOLD for page in pages)
        figures = [len(kinds), within, sum(map(bool, kinds)), kinds.count("collapsed")]
        others = sum(volume.book != book for volume in volumes)
        figures += [len(pages) * others, _across(volumes, found)]
        rows.append([book, *map(str, figures)])
    columns = ["book", "pages", f"pages with a share >= {CONTAINED_THRESHOLD}", "recognised",
               "collapsed", "pairs with the other book", "of them related"]  # fmt: skip
    return Table("Pages and their book", columns, rows)


def _goals(volumes: Sequence[Volume], found: Found) -> list[Goal]:
    pages = [volume for volume in volumes if not volume.is_pdf]
    within = [p for p in pages if _share(p, _pdf_of(p, volumes)) >= CONTAINED_THRESHOLD]
    recognised = sum(found.between(p, _pdf_of(p, volumes)) != "" for p in within)
    wrong = _across(volumes, found)
    return [
        Goal(
            f"every page that is in its PDF (share >= {CONTAINED_THRESHOLD}) is recognised",
            f"{recognised} of {len(within)}",
            0 < recognised == len(within),  # none within: the PDFs were not read
        ),
        Goal("nothing of one book is related to the other", f"{wrong} pairs", wrong == 0),
    ]
