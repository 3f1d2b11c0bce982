"""The pages of ``bench refresh``: where they come from, and what is done to them each day."""

import random
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rag_assets_tests.benchmarks.debian import unpacked
from rag_assets_tests.benchmarks.findings import BenchmarkError, Say

PACKAGE = "postgresql-doc-15"
SEED = 20261122
_INSIDE = Path("usr/share/doc") / PACKAGE / "html"
_PARAGRAPH = re.compile(r"<p>\s*([^<>]{150,})")  # long ones, and their text before the first tag
_SENTENCE = re.compile(r"[A-Z][^.<>&]{60,200}\.(?=\s|$)")
_WORDS = ["amber", "birch", "cedar", "dune", "ember", "fjord", "grove", "heron", "iris", "kelp"]


@dataclass(frozen=True, slots=True)
class Mark:
    """A sentence by which a page is looked for, and no other page has."""

    page: str  # file name
    sentence: str


def fetched(cache: Path, say: Say) -> Path:
    """The folder of the package's pages, fetched by apt at the first call.

    Raises:
        BenchmarkError: there is no apt, or it does not get the package.
    """
    otherwise = "or give a folder of HTML pages by --pages-from"
    return unpacked(PACKAGE, cache / "benchmarks", say, otherwise=otherwise) / _INSIDE


def copied(source: Path, target: Path, n_pages: int | None) -> list[Path]:
    """Copies of what :func:`sampled` gives, sorted; ``target`` is made."""
    chosen = sampled(source, n_pages)
    target.mkdir(parents=True)
    return sorted(Path(shutil.copyfile(page, target / page.name)) for page in chosen)


def sampled(source: Path, n_pages: int | None) -> list[Path]:
    """The pages of ``source``, or a seeded sample of ``n_pages`` of them.

    Raises:
        BenchmarkError: there are no HTML pages, or fewer than asked for.
    """
    pages = sorted(source.glob("*.html"))
    if not pages or (n_pages or 0) > len(pages):
        raise BenchmarkError(
            f"expected at least {n_pages or 1} HTML pages in {source}, got {len(pages)}"
        )
    return pages if n_pages is None else random.Random(SEED).sample(pages, n_pages)


def edit(pages: Sequence[Path], n_pages: int, day: int) -> list[Mark]:
    """Put a new sentence into a paragraph of ``n_pages`` of the pages; other ones each ``day``."""
    draw = random.Random(f"{SEED} {day}")
    marks: list[Mark] = []
    for page in draw.sample(pages, len(pages)):
        if len(marks) == n_pages:
            break
        text = page.read_text("utf-8", "surrogateescape")
        paragraphs = list(_PARAGRAPH.finditer(text))
        if not paragraphs:
            continue
        where = draw.choice(paragraphs).start(1)
        said = " ".join(draw.choices(_WORDS, k=6))
        sentence = f"On day {day} the {said} of {page.stem} was painted blue."
        changed = f"{text[:where]}{sentence} {text[where:]}"
        page.write_text(changed, "utf-8", "surrogateescape")
        marks.append(Mark(page.name, sentence))
    return marks


def unique_sentences(pages: Sequence[Path], n_pages: int) -> list[Mark]:
    """A sentence each of ``n_pages`` pages that stands once in all of them together."""
    found = {
        page.name: [
            " ".join(sentence.split())
            for paragraph in _PARAGRAPH.findall(page.read_text("utf-8", "replace"))
            for sentence in _SENTENCE.findall(paragraph)
        ]
        for page in pages
    }
    times = Counter(sentence for some in found.values() for sentence in some)
    names = random.Random(SEED).sample(sorted(found), len(found))
    marks = (Mark(name, next((s for s in found[name] if times[s] == 1), "")) for name in names)
    return [mark for mark in marks if mark.sentence][:n_pages]
