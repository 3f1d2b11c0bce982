"""A corpus of any size for measuring scale: document ``i`` follows from ``(seed, i)`` alone.

Nobody has a million real documents in formats of their own beside a checkout, so these are made.
What a stage's cost depends on is like in real sets; what is written is not language:

* length: words are log-normal, median 528 (``mu`` 6.27) and ``sigma`` 0.89, as measured on the
  bodies of the 104 pages of html-zyte-articles (their own median is 547 words; neardup-articles are
  all cut to about 262). Another median can be asked for, as messages and tickets are shorter;
* words: Zipf with exponent 0.9 (-0.88 and -0.91 fitted to ranks 10 to 2,000 of html-zyte-articles
  and neardup-articles) over a million invented words, short ones first, 4.6 letters on average
  (4.8 there). A tokenizer cuts them smaller than words it knows: there are more chunks a document;
* paragraphs: 31 words on average (as html-zyte-articles), exponential;
* duplicates: 2 % of the documents are exact copies of an earlier one, 3 % are siblings in which one
  word of 60 is another (Jaccard of word 3-shingles about 0.9). Assumed, not measured;
* structure: a heading every 150 words or so, 8 % of blocks lists, 3 % tables, 3 % code; one of two
  lines of boilerplate on each second document; formats Markdown 50 %, HTML 35 %, text 15 %.
  Assumed, too.
"""

import html
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Literal

import numpy as np

MEDIAN_WORDS, SIGMA = 528, 0.89
LONGEST = 20_000  # words; of a million draws two are above
ZIPF = 0.9
N_WORDS = 1_000_000
EXACT_SHARE, NEAR_SHARE = 0.02, 0.03
EDITED_SHARE = 1 / 60  # of the words of a near duplicate
PARAGRAPH_WORDS = 31
SENTENCE_WORDS = 14
BLOCKS_A_HEADING = 5
LIST_SHARE, TABLE_SHARE, CODE_SHARE = 0.08, 0.03, 0.03
BOILERPLATE_SHARE = 0.5
BOILERPLATE = (
    "Lorupa demisa katoro velina sobara timeno, nerito pasolu.",
    "Mira kopeta dunalo: risave boteru, lamino seduka farelo.",
)
ENDINGS = ("md", "html", "txt")
ENDING_SHARES = (0.5, 0.35, 0.15)
FILES_A_FOLDER = 1000

Kind = Literal["paragraph", "heading", "list", "table", "code"]
Block = tuple[Kind, list[str]]  # its lines; of a table its cells row by row, three a row

_SYLLABLES = np.array([c + v for c in "bcdfghjklmnprstvwxyz" for v in "aeiou"])
_COLUMNS = 3


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it is written to a file.

    ``copy_of`` is the number of the document that it copies, None of an original.
    """

    number: int
    path: str  # below the corpus's folder
    content: str
    n_words: int
    copy_of: int | None
    is_exact: bool


def document(
    seed: int, number: int, *, revision: int = 0, median_words: int = MEDIAN_WORDS
) -> Document:
    """Document ``number`` of the corpus ``seed``.

    Args:
        seed: names the corpus.
        number: from 0.
        revision: of its content; from 1 on three words are others, as after somebody's edit.
        median_words: of the corpus's originals.
    """
    rng = np.random.default_rng([seed, number])
    kind = _kind(seed, number)
    copied = number if kind == "original" else _original(seed, number)
    layout = _layout(seed, copied)
    ending, words = _ending(layout), _words(layout, median_words)
    if kind == "near":
        words = _edited(words, rng, max(1, round(len(words) * EDITED_SHARE)))
    if revision:
        words = _edited(words, np.random.default_rng([seed, number, revision]), 3)
    content = _RENDER[ending](_blocks(words, layout))
    path = _path(number, ending)
    of = None if kind == "original" else copied
    return Document(number, path, content, len(words), of, kind == "exact")


def path_of(seed: int, number: int) -> str:
    """Path of a document, without making the document."""
    copied = number if _kind(seed, number) == "original" else _original(seed, number)
    return _path(number, _ending(_layout(seed, copied)))


def write(
    folder: Path,
    seed: int,
    numbers: Iterable[int],
    *,
    revision: int = 0,
    median_words: int = MEDIAN_WORDS,
) -> Iterator[Document]:
    """Write documents below ``folder``, ``FILES_A_FOLDER`` a folder; each as soon as it is made."""
    for number in numbers:
        made = document(seed, number, revision=revision, median_words=median_words)
        target = folder / made.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(made.content, encoding="utf-8")
        yield made


def _kind(seed: int, number: int) -> str:
    """What a document is: ``original``, or an ``exact`` or a ``near`` copy of one before it."""
    drawn = np.random.default_rng([seed, number, 0, 1]).random()
    if number == 0 or drawn >= EXACT_SHARE + NEAR_SHARE:
        return "original"
    return "exact" if drawn < EXACT_SHARE else "near"


def _original(seed: int, number: int) -> int:
    """The original that a copy copies: any earlier one, so that most stand in other partitions."""
    rng = np.random.default_rng([seed, number, 0, 2])
    while True:
        found = int(rng.integers(number))
        if _kind(seed, found) == "original":
            return found


def _path(number: int, ending: str) -> str:
    return f"{number // FILES_A_FOLDER:05d}/{number:08d}.{ending}"


def _layout(seed: int, number: int) -> np.random.Generator:
    """What an original is drawn from: its ending first, then its words, then their layout."""
    return np.random.default_rng([seed, number, 0, 3])


def _ending(layout: np.random.Generator) -> str:
    return str(layout.choice(ENDINGS, p=ENDING_SHARES))


def _words(layout: np.random.Generator, median_words: int) -> np.ndarray:
    """Ranks of an original's words, (n,) int64."""
    return _ranks(layout, int(np.clip(layout.lognormal(log(median_words), SIGMA), 1, LONGEST)))


def _ranks(rng: np.random.Generator, n: int) -> np.ndarray:
    """Zipf ranks from 0, (n,) int64: the inverse of the distribution's continuous form."""
    power = 1 - ZIPF
    drawn = (rng.random(n) * ((N_WORDS + 1) ** power - 1) + 1) ** (1 / power)
    ranks: np.ndarray = np.minimum(drawn.astype(np.int64) - 1, N_WORDS - 1)
    return ranks


def _edited(words: np.ndarray, rng: np.random.Generator, n_edits: int) -> np.ndarray:
    edited = words.copy()
    edited[rng.integers(len(words), size=n_edits)] = _ranks(rng, n_edits)
    return edited


def spelled(ranks: np.ndarray) -> list[str]:
    """Words by rank: 100 of one syllable, 10,000 of two, the others of three."""
    lowest = _SYLLABLES[ranks % 100]
    middle = np.where(ranks >= 100, _SYLLABLES[ranks // 100 % 100], "")
    highest = np.where(ranks >= 10_000, _SYLLABLES[ranks // 10_000], "")
    found: list[str] = np.char.add(np.char.add(highest, middle), lowest).tolist()
    return found


def _blocks(ranks: np.ndarray, rng: np.random.Generator) -> list[Block]:
    """The words cut into blocks; a title first. Each word stands once, in its order."""
    words = spelled(ranks)
    blocks: list[Block] = [("heading", [" ".join(words[:6]).capitalize()])]
    at = 6
    while at < len(words):
        if len(blocks) % (BLOCKS_A_HEADING + 1) == 0:
            n = 4
            kind: Kind = "heading"
        else:
            n = 6 + int(rng.exponential(PARAGRAPH_WORDS - 6))
            kind = _drawn_kind(rng.random())
        some = words[at : at + n]
        blocks.append((kind, _lines(kind, some)))
        at += n
    if rng.random() < BOILERPLATE_SHARE:
        blocks.append(("paragraph", [BOILERPLATE[int(rng.integers(len(BOILERPLATE)))]]))
    return blocks


def _drawn_kind(drawn: float) -> Kind:
    if drawn < LIST_SHARE:
        return "list"
    if drawn < LIST_SHARE + TABLE_SHARE:
        return "table"
    return "code" if drawn < LIST_SHARE + TABLE_SHARE + CODE_SHARE else "paragraph"


def _lines(kind: Kind, words: list[str]) -> list[str]:
    if kind == "heading":
        return [" ".join(words).capitalize()]
    if kind == "table":
        return words + [""] * (-len(words) % _COLUMNS)
    size = SENTENCE_WORDS if kind == "paragraph" else 6
    lines = [" ".join(words[at : at + size]) for at in range(0, len(words), size)]
    return [" ".join(f"{line.capitalize()}." for line in lines)] if kind == "paragraph" else lines


def _rows(cells: list[str]) -> list[list[str]]:
    return [cells[at : at + _COLUMNS] for at in range(0, len(cells), _COLUMNS)]


def _markdown(blocks: list[Block]) -> str:
    parts = []
    for number, (kind, lines) in enumerate(blocks):
        if kind == "heading":
            parts.append(f"{'##' if number else '#'} {lines[0]}")
        elif kind == "list":
            parts.append("\n".join(f"- {line}" for line in lines))
        elif kind == "table":
            head, *rest = [f"| {' | '.join(row)} |" for row in _rows(lines)]
            parts.append("\n".join([head, "|---" * _COLUMNS + "|", *rest]))
        else:
            parts.append("\n".join(["```", *lines, "```"]) if kind == "code" else lines[0])
    return "\n\n".join(parts) + "\n"


def _html(blocks: list[Block]) -> str:
    parts = [f"<h{2 if number else 1}>{html.escape(lines[0])}</h{2 if number else 1}>"
             if kind == "heading" else _html_block(kind, lines)
             for number, (kind, lines) in enumerate(blocks)]  # fmt: skip
    title, body = blocks[0][1][0], "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"</head>\n<body><main><article>\n{body}\n</article></main></body></html>\n"
    )


def _html_block(kind: Kind, lines: list[str]) -> str:
    if kind == "list":
        return "<ul>" + "".join(f"<li>{line}</li>" for line in lines) + "</ul>"
    if kind == "table":
        rows = ["".join(f"<td>{cell}</td>" for cell in row) for row in _rows(lines)]
        return "<table>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"
    text = "\n".join(lines)
    return f"<pre><code>{text}</code></pre>" if kind == "code" else f"<p>{text}</p>"


def _text(blocks: list[Block]) -> str:
    parts = []
    for kind, lines in blocks:
        rows = ["  ".join(row).rstrip() for row in _rows(lines)] if kind == "table" else lines
        parts.append("\n".join(rows))
    return "\n\n".join(parts) + "\n"


_RENDER = {"md": _markdown, "html": _html, "txt": _text}
