"""Whether one place of the evidence holds what a sentence asserts.

What a sentence asserts must stand together: its numbers with their units, its names, its negation.
A sentence that says several things may have a place for each. Words compare by their stems, numbers
by value; of the other words half must be there, so that a sentence may be put in other words.
"""

import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from operator import gt, lt

from rag_assets.answers.figures import (
    Figure,
    Tokens,
    Word,
    is_derived,
    is_small,
    measures_conflict,
    tokens_of,
)
from rag_assets.answers.places import Place
from rag_assets.answers.polarity import FEW, NEGATORS, Polarity, agree, clauses, polarity_of

MIN_SHARE = 0.5  # of a sentence's plain words and numbers that its place must hold
MAX_PARTS = 4  # things that one sentence says
_PARTICLE = re.compile(r"(?i)^\s*(?:yes|no|ja|nein|oui|non)\b[\s,.:;!\u2013-]*")
_CONTRASTED = re.compile(
    r"(?i),?\s+(?:and\s+|but\s+)?(?:not|nicht|rather than|instead of)\s+"
    r"(?:in\s+|on\s+|at\s+)?[$€£]?\d[\w.,:]*(?=[.,;!?]|\s*$)"
)
_SEAM = re.compile(
    r"\s*[;:]\s+|,?\s+(?:and|but|while|whereas|so|und|aber|sondern|et|mais)\s+|,\s+|\s+\(|\)\s*"
)
_NAME = r"[^\W\d_a-zäöüéèàç][\w'\u2019-]*(?:\s+[^\W\d_a-zäöüéèàç][\w'\u2019-]*){0,3}"
_NAMES = re.compile(
    rf"(?P<first>{_NAME})(?P<more>(?:,\s+(?:the\s+)?{_NAME})*),?\s+(?:and|und|et|or|oder|ou)\s+(?:the\s+)?(?P<last>{_NAME})"
)
_COMPARATOR = {
    word: compare
    for words, compare in (
        ("before under below less fewer earlier older vor unter avant moins until", lt),
        ("after over above more later exceeds newer nach über après plus since", gt),
    )
    for word in words.split()
}


@dataclass(frozen=True)
class Part:
    """One thing that a sentence says.

    Attributes:
        text: its words.
        question: what was asked, for the numbers that a sentence compares with.
        lower: stems that evidence or question write without a capital.
        upper: stems that they write with one.
        language: of the sentence.
        subject: names of the part before, if it has none of its own.
        given: numbers of the whole answer that the evidence holds.
        named: stems that are names in the whole sentence.
    """

    text: str
    question: str
    lower: frozenset[str]
    upper: frozenset[str]
    language: str
    subject: tuple[str, ...] = ()
    given: tuple[Figure, ...] = ()
    named: frozenset[str] = frozenset()

    @cached_property
    def tokens(self) -> Tokens:
        """Its figures and words."""
        return tokens_of(self.text)

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Its numbers."""
        return self.tokens.figures

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """Its words that carry meaning."""
        return tuple(
            word
            for word in self.tokens.words
            if not is_small(word.text)
            and word.text.casefold() not in NEGATORS
            and len(word.text) > 1
        )

    @cached_property
    def stems(self) -> frozenset[str]:
        """Stems of these."""
        return frozenset(word.stem for word in self.words)

    @cached_property
    def names(self) -> frozenset[str]:
        """Stems of its names, codes, days and months; each must stand in the place."""
        return frozenset(word.stem for word in self.words if self._is_name(word))

    def _is_name(self, word: Word) -> bool:
        text = word.text
        if is_one_of_few(word) or word.stem in self.named:
            return True
        if text.startswith("-") or "/" in text or "_" in text or re.search(r"\d", text):
            return True
        if not text[:1].isupper() or (word.stem in self.lower and not text.isupper()):
            return False
        if word.at == 0:
            follows = any(w.at == 1 and w.text[:1].isupper() for w in self.tokens.words)
            return word.stem in self.upper or (follows and self.language == "en")
        if self.language != "de" or word.stem in self.upper:
            return True
        before = next((w for w in self.tokens.words if w.at == word.at - 1), None)
        return before is not None and (
            before.text[:1].isupper() or before.text.casefold() in ("heißt", "ist", "war")
        )

    @cached_property
    def polarity(self) -> Polarity:
        """What it says and denies."""
        return polarity_of(self.text)

    @cached_property
    def plain(self) -> frozenset[str]:
        """Stems of its other words."""
        return frozenset(word.stem for word in self.words) - self.names


def is_one_of_few(word: Word) -> bool:
    """Whether it is a day, a month, a season, a point of the compass."""
    return word.stem.startswith("month") or word.stem in FEW


def holds(part: Part, place: Place) -> bool:
    """Whether a place holds everything that a part of a sentence asserts."""
    names = part.names or part.subject
    if not (part.words or part.figures):
        return False
    if not all(_has(name, place.stems) for name in names):
        return False
    found: list[Figure] = []
    for figure in part.figures:
        at = _match(figure, part, place)
        if at is None:
            return False
        found.append(at)
    is_foreign = part.language != place.piece.chunk.language[:2]
    if not is_foreign and not _says_enough(part, place):
        return False
    is_bare = not part.names and not any(_has(word, place.own_stems) for word in part.plain)
    if part.subject and part.plain and is_bare and any(f in place.figures for f in found):
        return False  # "a lead of 6", of which the place has nothing but a 6
    own = any(figure in place.own.figures for figure in found)
    if not own and not any(_has(w.stem, place.own_stems) for w in part.words):
        return False
    if _renames(part, place) or measures_conflict(part.tokens.units, place.units):
        return False
    if place.is_row:
        return _agrees_with_row(part, place)
    if is_foreign:
        return part.polarity.is_negative == place.polarity.is_negative
    return not _crosses(part, place) and agree(part.polarity, place.polarity, place.above_stems)


def _says_enough(part: Part, place: Place) -> bool:
    """Whether a place has half of a part's plain words and numbers.

    Its numbers do not count where a missing word stands elsewhere in the evidence: that is no word
    for the same thing then, but another thing.
    """
    held = place.own_stems | place.above_stems
    missing = [word for word in part.plain if not _has(word, held)]
    values = [word for word in part.words if is_one_of_few(word)]
    n_figures = len(part.figures) + len(values)
    if any(word in fellow.own_stems for word in missing for fellow in place.fellows):
        n_figures = 0
    said = len(part.plain) - len(missing) + n_figures
    return said >= MIN_SHARE * (len(part.plain) + n_figures)


def _has(word: str, stems: frozenset[str]) -> bool:
    """Whether a stem is there, or as a part of a compound: "gebühr" in "jahresgebühr"."""
    return word in stems or (
        len(word) >= 5 and any(len(s) > len(word) + 2 and s.endswith(word) for s in stems)
    )


def _match(figure: Figure, part: Part, place: Place) -> Figure | None:
    """The number of the place that a number of the sentence is; itself if it is derived."""
    for other in place.figures:
        if figure.equals(other) and _measure_alike(figure, other, place):
            return other
    if is_derived(figure, part.given) or _compares(figure, part, place):
        return figure
    return None


def _measure_alike(figure: Figure, other: Figure, place: Place) -> bool:
    """Whether both numbers measure, or count, the same."""
    if figure.unit and other.unit:
        return figure.unit == other.unit
    if figure.unit:
        if other.counts and any(figure.unit == number.unit for number in place.own.figures):
            return False
        return figure.unit in place.own.units | place.around.units
    if figure.counts and (other.counts or other.unit) and figure.counts != other.counts:
        return all(figure.counts != number.counts for number in place.own.figures)
    return True


def _compares(figure: Figure, part: Part, place: Place) -> bool:
    """Whether "before 1995", said with the question's number, is true of a number of the place."""
    asked = any(figure.equals(other) for other in tokens_of(part.question).figures)
    if not asked or figure.number is None:
        return False
    behind = [w.text.casefold() for w in tokens_of(part.text).words if 0 < figure.at - w.at <= 2]
    for word in behind:
        compare = _COMPARATOR.get(word)
        if compare and any(
            compare(other.number, figure.number)
            for other in place.own.figures
            if other.number is not None and len(other.raw) == len(figure.raw)
        ):
            return True
    return False


def _renames(part: Part, place: Place) -> bool:
    """Whether it gives another second name to one that stands there: "Odile Wren"."""
    behind: dict[str, set[str]] = {}
    for first, second in pairwise(place.own.words):
        if second.at == first.at + 1 and first.text[:1].isupper() and second.text[:1].isupper():
            behind.setdefault(first.stem, set()).add(second.stem)
    return any(
        second.at == first.at + 1
        and {first.stem, second.stem} <= part.names
        and first.stem in behind
        and second.stem not in behind[first.stem] | place.own_stems
        for first, second in pairwise(part.words)
    )


def _crosses(part: Part, place: Place) -> bool:
    """Whether it joins a thing of one clause to a thing of another.

    "Captain Ines Aldous commands the Juniper, Captain Per Rydell the Sorrel" does not hold "Ines
    Aldous commands the Sorrel": of both clauses a name is told and another left out.
    """
    read = [tokens_of(c, place.piece.chunk.language) for c in clauses(place.piece.text)]
    if len(read) < 2:
        return False
    items = [_items(tokens) for tokens in read]
    said = part.names | {f"={f.raw}" for f in part.figures}
    said |= {f"={o.raw}" for f in part.figures for o in place.own.figures if f.equals(o)}
    torn = 0
    for n, here in enumerate(items):
        others = frozenset[str]().union(*(items[:n] + items[n + 1 :]))
        only = here - others
        torn += bool(only & said) and bool(only - said)
    if torn > 1:
        return True
    return _is_of_another_clause(part, read)


def _items(tokens: Tokens) -> frozenset[str]:
    figures = {f"={figure.raw}" for figure in tokens.figures}
    names = {
        word.stem
        for word in tokens.words
        if (word.text[:1].isupper() and word.at and not is_small(word.text)) or is_one_of_few(word)
    }
    return frozenset(figures | names)


def _is_of_another_clause(part: Part, read: Sequence[Tokens]) -> bool:
    """Whether a number is told of what another clause tells a number of the same kind.

    "Members pay 140 crowns, juniors 35" does not hold "juniors pay 140": that leaves out the
    members, and speaks of juniors.
    """
    stems = [frozenset(w.stem for w in t.words if not is_small(w.text)) for t in read]
    for figure in part.figures:
        for n, tokens in enumerate(read):
            mine = next((f for f in tokens.figures if f.equals(figure)), None)
            only = stems[n] - frozenset[str]().union(*stems[:n], *stems[n + 1 :])
            if mine is None:
                continue
            # A later clause leaves out what an earlier one said; not the other way round.
            is_whole = bool(only) and only <= part.stems
            start = n + 1 if is_whole else 0
            for other, words in zip(read[start:], stems[start:], strict=True):
                kin = [f for f in other.figures if f.unit == mine.unit]
                told = any(f.equals(g) for f in kin for g in part.figures)
                if other is not tokens and kin and not told and part.plain & (words - stems[n]):
                    return True
    return False


def _agrees_with_row(part: Part, place: Place) -> bool:
    """Whether its values stand in the columns that it names, and no other row's name is told."""
    told = {word.stem for word in part.words} | {f.raw for f in part.figures}
    for sibling in place.siblings:
        keys = {w.stem for w in tokens_of(sibling).words} - place.stems
        if keys & told:
            return False
    first = {word.stem for word in tokens_of("".join(place.header[:1])).words}
    if any(figure.counts in first for figure in part.figures):
        return False  # rows are counted, and no row says how many there are
    columns = _columns(part, place)
    positions = sorted({at for at, _ in columns})
    cells = [tokens_of(cell, place.piece.chunk.language) for cell in place.cells]
    values = [(f.at, n, f) for f in part.figures for n, c in enumerate(cells) if n
              for g in c.figures if f.equals(g)]  # fmt: skip
    for figure in part.figures:
        mine = {n for _, n, f in values if f is figure}
        if mine and columns and not _is_nearest(figure.at, mine, columns):
            return False
    for word in part.words:
        mine = {n for n, c in enumerate(cells) if any(w.stem == word.stem for w in c.words)}
        is_header = any(at == word.at for at in positions)
        is_value = mine and 0 not in mine and columns and not is_header
        if is_value and not _is_nearest(word.at, mine, columns):
            return False
    return _row_says(part, place, {column for _, column in columns})


def _columns(part: Part, place: Place) -> list[tuple[int, int]]:
    """(token, column) of each word of the part that names a column, but the first."""
    found = []
    for n, name in enumerate(place.header):
        tokens = tokens_of(name)
        stems = {w.stem for w in tokens.words if not is_small(w.text) and len(w.text) > 1}
        if n and stems and stems <= {word.stem for word in part.words}:
            found += [(word.at, n) for word in part.words if word.stem in stems]
        if n and tokens.figures:
            found += [(f.at, n) for f in part.figures for g in tokens.figures if f.equals(g)]
    return found


def _is_nearest(at: int, mine: set[int], columns: Sequence[tuple[int, int]]) -> bool:
    """Whether one of the columns that hold a value is, of those named, nearest to it."""
    nearest = min(abs(at - place) for place, _ in columns)
    return any(abs(at - place) <= nearest for place, column in columns if column in mine)


_NO = re.compile(
    r"(?i)(?:no|none|nein|kein\w*|non|aucun\w*|not .*|[\u2013\u2014-]|n/a|0|\u2717|\u2718|x)?"
)
_YES = re.compile(r"(?i)(?:yes|ja|oui|\u2713|\u2714)")


def _row_says(part: Part, place: Place, columns: set[int]) -> bool:
    """Whether yes and no of the named columns' cells are what the part says."""
    named = [place.cells[n] for n in sorted(columns) if n < len(place.cells)]
    answers = [cell for cell in named if _YES.fullmatch(cell) or _NO.fullmatch(cell)]
    if answers:
        wanted = _NO if part.polarity.is_negative else _YES
        return all(wanted.fullmatch(cell) for cell in answers)
    rest = [c for c in place.cells if not (_YES.fullmatch(c) or _NO.fullmatch(c))]
    denies = part.polarity.is_negative and len(rest) < len(place.cells)
    return denies or agree(part.polarity, polarity_of("; ".join(rest)), frozenset())


def _ticks(part: Part, row: Place) -> bool:
    """Whether a row says yes in the columns that a part names, if they hold yes and no."""
    columns = {column for _, column in _columns(part, row)}
    cells = [row.cells[n] for n in columns if n < len(row.cells)]
    return not any(map(_NO.fullmatch, cells)) or _row_says(part, row, columns)


def counted(figure: Figure, part: Part, places: Sequence[Place]) -> list[Place] | None:
    """The rows or items that a number counts: those that hold what the part names; None if none."""
    if figure.number is None or figure.unit or not figure.counts:
        return None
    told = {w.stem for w in part.words}
    by_table: dict[tuple[int, str], list[Place]] = {}
    for place in places:
        by_table.setdefault((place.passage, place.context), []).append(place)
    for rows in by_table.values():
        listed = [
            row
            for row in rows
            if row.is_row or re.match(r"\s*(?:[-*\u2022]|\d+[.)])\s", row.piece.text)
        ]
        if len(listed) < 2 or not all(_has(n, listed[0].stems | _all(listed)) for n in part.names):
            continue
        filters = told & _all(listed)
        fitting = [row for row in listed if filters <= row.own_stems and _ticks(part, row)]
        if not fitting and filters:
            continue
        if len(fitting) == figure.number:
            return fitting
    return None


def _all(rows: Sequence[Place]) -> frozenset[str]:
    return frozenset[str]().union(*(row.own_stems for row in rows))


def cleaned(text: str) -> str:
    """Without the "Yes" it begins with, and without what it contrasts: ", not 1995"."""
    return _CONTRASTED.sub("", _PARTICLE.sub("", text))


def splits(part: Part) -> Iterator[tuple[Part, Part]]:
    """The ways to read it as two things, the second with the first one's names if it has none."""
    for seam in _SEAM.finditer(part.text):
        first = replace(part, text=part.text[: seam.start()], named=part.names)
        second = replace(first, text=part.text[seam.end() :], subject=())
        if not first.names and not first.figures and len(first.plain) < 2:
            continue
        if not second.names:
            second = replace(second, subject=tuple(sorted(first.names)) or part.subject)
        if all(p.figures or p.plain for p in (first, second)):
            yield first, second


def each_named(part: Part) -> list[Part]:
    """One part for each name of "A, B and C have a lift"; [] if it names no several."""
    found = _NAMES.search(part.text)
    if found is None:
        return []
    more = [
        re.sub(r"^(?:the|The)\s+", "", n.strip()) for n in found["more"].split(",") if n.strip()
    ]
    names = [found["first"], *more, found["last"]]
    before, behind = part.text[: found.start()], part.text[found.end() :]
    whole = replace(part, named=part.names)
    return [replace(whole, text=f"{before}{name}{behind}") for name in names]


def is_remark(part: Part) -> bool:
    """Whether it only weighs a number of the question: "so 1800 kg is not too much"."""
    asked = tokens_of(part.question).figures
    return (
        bool(part.figures)
        and not part.words
        and all(any(f.equals(g) for g in asked) for f in part.figures)
    )


def supports(
    part: Part, places: Sequence[Place], cited: Container[int] = (), depth: int = MAX_PARTS
) -> list[Place] | None:
    """The places that hold a part of a sentence, one for each thing it says; None if none do.

    Args:
        part: a sentence, or a part of one.
        places: of all evidence.
        cited: numbers of the passages that are preferred.
        depth: into how many things it may be taken apart.
    """
    holding = [place for place in places if holds(part, place)]
    holding = [place for place in holding if not _is_outdone(place, part)]
    if holding:
        return [max(holding, key=lambda place: (place.passage in cited, _told(part, place)))]
    several = [supports(one, places, cited, 1) for one in each_named(part)]
    if several and None not in several:
        return _distinct([place for found in several for place in found or ()])
    for first, second in splits(part) if depth > 1 else ():
        ahead = [] if is_remark(first) else supports(first, places, cited, 1)
        if ahead is None:
            continue
        behind = [] if is_remark(second) else supports(second, places, cited, depth - 1)
        if behind is not None and (ahead or behind):
            return _distinct([*ahead, *behind])
    if len(part.figures) == 1:
        return counted(part.figures[0], part, places)
    return None


def _is_outdone(place: Place, part: Part) -> bool:
    """Whether another place speaks of all that this one does of a part, and of more of it.

    That one is meant, then: "the tenant pays for the doors" is no place for "the tenant may sublet
    the boathouse" where "the tenant must not sublet it" stands.
    """
    here = _topics(part, place)
    return any(
        here < _topics(part, other) and part.names <= other.stems
        for other in place.fellows
        if other is not place
    )


def _topics(part: Part, place: Place) -> frozenset[str]:
    """The words and numbers of a part that a place says by itself."""
    figures = {f.raw for f in part.figures if any(f.equals(g) for g in place.own.figures)}
    return part.stems & place.own_stems | figures


def _told(part: Part, place: Place) -> int:
    """How much of a part a place says by itself."""
    figures = sum(any(f.equals(g) for g in place.own.figures) for f in part.figures)
    return 2 * figures + len(part.stems & place.own_stems)


def _distinct(places: Sequence[Place]) -> list[Place]:
    return list(dict.fromkeys(places))
