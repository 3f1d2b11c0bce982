"""All things of a kind, out of a table or a list: told, counted or picked by code.

No passage states how many boats a table has, and models leave rows out. So the sections found are
read whole, and their tables, bullets and runs of sentences on different things are taken for lists.
A list answers a question only if it is one of the kind asked for, and if each further word of the
question is found in its title, its columns or its rows. What does not fit in full is left to the
other ways of answering.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from rag_assets.answers.citations import joined
from rag_assets.answers.places import Place, places_of
from rag_assets.questions.listing import Bound, Listing
from rag_assets.questions.spans import read
from rag_assets.questions.values import IncommensurableError, Value, compared
from rag_assets.retrieval.passages import LEFT_OUT, Passage, Piece
from rag_assets.retrieval.terms import content_words, stem, terms

MOST_TOLD = 100  # items that an answer names
FEWEST = 2  # items of a list
WHOLE = -1  # in place of a column: the list as a whole is of the kind asked for
MOST_NAME = 80  # characters of an item that is only a name
MOST_ITEM = 300  # characters of an item that is told whole
_NONE = re.compile(
    r"\W*(?:(?:no|none|not|never|nil|n/a|nein|keine?r?|false|0)\b(?!\.\s*\d).*)?", re.IGNORECASE
)
_YEAR = re.compile(r"(?:1[5-9]|20)\d\d")
_YEARS = re.compile(rf"\b{_YEAR.pattern}\b")
_VALUES = re.compile(r"\d[\d.,:]*(?:\s+\w+)?")
_TELLING = re.compile(r"\b(?:[A-Z]|\d)[\w.]*")  # names and numbers
_SETTLED = content_words(
    "list name show give tell number total together altogether currently many each every various "
    "different exist own have has keep kept contain include belong mention document available "
    "there kind type item entry row table complete full offer know run operate company firm "
    "business organisation organization"
)
# A list of these alone is not one of all things of the kind.
_APART = content_words(
    "retired former sold scrapped planned future withdrawn cancelled closed proposed excluded "
    "exempt example previous past lost missing reserve hired additional"
)
# What the values are called of which a size is asked.
_SIZES = {
    "long": "length long duration", "large": "size capacity area tonnage large volume",
    "big": "size capacity area", "high": "height high altitude", "tall": "height tall",
    "heavy": "weight mass heavy displacement", "fast": "speed fast", "wide": "width beam wide",
    "deep": "depth draught deep", "How much does {} cost?": "price cost fare fee rate charge",
}  # fmt: skip
_DATES = content_words("built year date since launched opened founded born commissioned signed day")
_EACH = re.compile(
    r"\b(?:for|on|of|in|per|by|at)\s+(?:each|every)\s+\w+(?:\s+of\s+the\s+\w+)?", re.I
)
_SUM = re.compile(r"(?:grand )?(?:total|sum|average|mean|overall|gesamt|summe)\b", re.IGNORECASE)
_NAME = re.compile(r"(?:The\s+)?((?:[A-ZÄÖÜ][\w'&.-]*|\d+)(?:\s+(?:[A-ZÄÖÜ][\w'&.-]*|\d+))*)")
_ENDS = re.compile(r"\s*(?:[:;,(\u2013\u2014|]|\s-\s)")


@dataclass(frozen=True, slots=True)
class Item:
    """One thing of a list: its name, its cells or text, where it stands."""

    name: str
    cells: tuple[str, ...]
    places: tuple[Place, ...]

    @property
    def text(self) -> str:
        """All that is said of it."""
        return "\n".join(self.cells)


@dataclass(frozen=True, slots=True)
class Enumeration:
    """A table, a list or a run of sentences that speaks of one thing after the other.

    Attributes:
        header: names of the columns; () if it is no table or has none.
        above: title, headings, caption, the line that leads in.
        items: at least two.
    """

    header: tuple[str, ...]
    above: str
    items: tuple[Item, ...]

    def column(self, wanted: frozenset[str]) -> int | None:
        """The first column whose name holds one of these words."""
        named = (n for n, name in enumerate(self.header) if content_words(name) & wanted)
        return next(named, None)


@dataclass(frozen=True, slots=True)
class Listed:
    """What was found: a sentence, and the places that it stands on."""

    text: str
    units: tuple[Piece, ...]


def listed(listing: Listing, sections: Sequence[Passage]) -> Listed | None:
    """The answer to a question about all things of a kind; None where no list tells.

    Args:
        listing: what is asked.
        sections: whole, the best first.
    """
    kept: list[tuple[Enumeration, list[Item], int]] = []
    for number, section in enumerate(sections):
        if kept and section.head.superseded_by:
            continue
        for one in enumerations(section, number, stem(listing.kind)):
            column = _kind_column(one, listing)
            items = None if column is None else _meeting(one, listing)
            if column is not None and items is not None:
                kept.append((one, items, column))
    if listing.asks == "pick":
        picked = (_picked(one, items, listing) for one, items, _ in kept)
        return next((one for one in picked if one is not None), None)
    return _told(_of_one_form(kept), listing) if kept else None


def _of_one_form(
    kept: Sequence[tuple[Enumeration, list[Item], int]],
) -> list[tuple[Enumeration, list[Item], int]]:
    """The first list, and those of other places that have its columns."""
    header = kept[0][0].header
    return [one for one in kept if one[0].header == header and (header or one is kept[0])]


def enumerations(section: Passage, number: int = 0, kind: str = "") -> list[Enumeration]:
    """The tables, lists and runs of sentences of a section that name two things or more.

    Args:
        section: whole.
        number: its place among the sections.
        kind: stem of the things asked for; a first row that names it is a header.
    """
    places = [place for place in places_of(section, number) if place.text != LEFT_OUT]
    found: list[Enumeration] = []
    for (form, header, above), run in groupby(places, key=_shape):
        group = list(run)
        if form == "row":
            header, items = _of_rows(group, header, kind)
        elif form == "item":
            items = [Item(_named(place.text), (place.text,), (place,)) for place in group]
        else:
            items = _of_sentences(group)
        items = [item for item in items if not _SUM.match(item.name)]
        if len({item.name.casefold() for item in items}) >= FEWEST:
            found.append(Enumeration(header, above, tuple(items)))
    return found


def _shape(place: Place) -> tuple[str, tuple[str, ...], str]:
    """What places of one list share."""
    if place.is_row or len(place.cells) > 1:
        return "row", place.header, place.context
    return "item" if place.text != place.piece.text else "sentence", (), place.context


def _of_rows(
    group: Sequence[Place], header: tuple[str, ...], kind: str
) -> tuple[tuple[str, ...], list[Item]]:
    """The header and the rows; a first row that names the kind asked for is the header."""
    rows = [place for place in group if sum(map(bool, place.cells)) > 1 and place.cells[0]]
    if not header and rows and any(kind in content_words(cell) for cell in rows[0].cells):
        header, rows = tuple(rows[0].cells), rows[1:]
        rows = [row for row in rows if len(row.cells) == len(header)]
    return header, [Item(row.cells[0], tuple(row.cells), (row,)) for row in rows]


def _of_sentences(group: Sequence[Place]) -> list[Item]:
    """Sentences by the names that they begin with; what begins otherwise goes on from the last."""
    items: list[Item] = []
    for place in group:
        begins = _NAME.match(place.text)
        if not place.before and begins and not _is_common(begins[1]):
            items.append(Item(begins[1], (place.text,), (place,)))
        elif items and place.before:
            last = items[-1]
            items[-1] = Item(last.name, (*last.cells, place.text), (*last.places, place))
        else:
            return []
    return items


def _is_common(name: str) -> bool:
    """Whether a sentence begins with no name, but with a word that is capitalised there."""
    return " " not in name and not content_words(name)


def _named(text: str) -> str:
    """What an item is called: its words before the first sign that parts them."""
    head = _ENDS.split(text, maxsplit=1)[0].strip(" *_.")
    return head or text


def _kind_column(one: Enumeration, listing: Listing) -> int | None:
    """The column of the kind asked for, or ``WHOLE``; None if the list is of another kind."""
    kind = stem(listing.kind)
    if one.header:
        for n, name in enumerate(one.header):
            words = content_words(name)
            if kind in words or (n == 0 and kind in {stem(word) for word in name.split()}):
                if n > 0 and (listing.counts or listing.asks == "pick"):
                    return None
                return n
        if listing.counts and content_words(one.header[0]) - content_words("name item number no"):
            return None
    return WHOLE if _is_headed(one.above, kind) else None


def _is_headed(above: str, kind: str) -> bool:
    """Whether a heading, caption or leading line is about the kind: "Boats of the trust"."""
    parts = (part for line in above.splitlines() for part in line.split(" > "))
    return any(kind in {stem(word) for word in re.findall(r"[^\W_]+", part)} for part in parts)


def _meeting(one: Enumeration, listing: Listing) -> list[Item] | None:
    """The items that meet the condition; None where this list cannot tell."""
    items = one.items
    asked = f"{listing.noun} {listing.rest}"
    apart = content_words(one.above.replace("out of", "excluded")) & _APART
    if apart - content_words(asked.replace("out of", "excluded")):
        return None
    needed = terms(_EACH.sub(" ", listing.rest))
    needed -= terms(listing.kind) | _SETTLED | terms(one.above)
    if listing.bounds:
        bounded = _bounded(one, listing)
        if bounded is None:
            return None
        items, spent = bounded
        needed -= spent
    if listing.asks == "pick":
        needed -= content_words(f"{' '.join(one.header)} {listing.of}")
    if not needed:
        return None if listing.negated and not listing.bounds else list(items)
    return _matching(one, items, needed, listing)


def _matching(
    one: Enumeration, items: Sequence[Item], needed: frozenset[str], listing: Listing
) -> list[Item] | None:
    """The items whose cells or sentences hold these words, or of a column that they name."""
    negated = listing.negated
    held = [terms(item.text) for item in items]
    by_rows = needed - content_words(" ".join(one.header))
    verb = _verb(listing.rest)
    if verb in by_rows and not any(by_rows <= words for words in held):
        by_rows -= {verb}
        if not by_rows & terms(" ".join(_TELLING.findall(listing.rest))):
            return None  # only common words are left: what they mean is not told by rows
    if by_rows:
        if not one.header and not _is_bare_list(one):
            return _by_sentence(items, by_rows, negated=negated)
        found = [by_rows <= words for words in held]
        if not any(found) or _is_of_one_key(items, found, by_rows):
            return None
        return [item for item, holds in zip(items, found, strict=True) if holds != negated]
    column = one.column(needed)
    if column is None or column == 0:
        return None
    cells = [item.cells[column] if column < len(item.cells) else "" for item in items]
    denied = [_NONE.fullmatch(cell) is not None for cell in cells]
    if not any(denied):
        return None
    return [item for item, denies in zip(items, denied, strict=True) if denies == negated]


def _is_bare_list(one: Enumeration) -> bool:
    return all(len(item.text) <= MOST_NAME for item in one.items)


def _is_of_one_key(items: Sequence[Item], found: Sequence[bool], needed: frozenset[str]) -> bool:
    """Whether the words name one item: then something of it is asked, not which there are."""
    named = [needed & terms(item.name) for item, holds in zip(items, found, strict=True) if holds]
    return len(named) == 1 and bool(named[0])


def _by_sentence(
    items: Sequence[Item], needed: frozenset[str], *, negated: bool
) -> list[Item] | None:
    """Items with a sentence that says this, or denies it."""
    kept: list[Item] = []
    told = 0
    for item in items:
        for place in item.places:
            if needed <= terms(place.text):
                told += 1
                if bool(place.polarity.denied) == negated:
                    kept.append(replace(item, places=tuple(dict.fromkeys((item.places[0], place)))))
                break
    return kept if told > 1 or (told and len(items) == told) else None


def _verb(rest: str) -> str:
    """The stem of the first word of a condition: "berth" of "berth at Upper Sallow"."""
    first = re.match(r"\s*([a-z]+)", rest)
    return stem(first[1]) if first else ""


def _bounded(one: Enumeration, listing: Listing) -> tuple[tuple[Item, ...], frozenset[str]] | None:
    """The items that keep the bounds, and the words that name what is bounded."""
    is_year = _YEAR.fullmatch(listing.bounds[0].value.strip()) is not None
    said = content_words(listing.said)
    spent = said
    if one.header:
        column = _bounded_column(one, listing, is_year=is_year)
        if column is None:
            return None
        values = [_read(item.cells[column], is_year=is_year) for item in one.items]
        spent |= content_words(one.header[column])
    else:
        values = [_value_of(item, said, is_year=is_year) for item in one.items]
    kept = []
    for item, value in zip(one.items, values, strict=True):
        keeps = _keeps(value, listing.bounds)
        if keeps is None:
            return None
        if keeps:
            kept.append(item)
    return tuple(kept), spent


def _bounded_column(one: Enumeration, listing: Listing, *, is_year: bool) -> int | None:
    """The column that the bounds are about; None where that is unclear."""
    bound = listing.bounds[0].value
    words = f"{listing.said} {listing.rest} {bound} {_SIZES.get(listing.of, '')}"
    wanted = content_words(words)
    limit = _read(bound, is_year=is_year)
    whole = all(len(item.cells) == len(one.header) for item in one.items)
    columns = [
        n
        for n in range(1, len(one.header))
        if whole and all(_read(item.cells[n], is_year=is_year) for item in one.items)
    ]
    named = [n for n in columns if content_words(one.header[n]) & wanted]
    if is_year and not named:
        named = [n for n in columns if content_words(one.header[n]) & _DATES]
    if not named and limit and limit.unit:  # a column whose cells name the unit themselves
        named = [n for n in columns if _has_unit_of(limit, one, n)]
    return named[0] if len(named) == 1 else None


def _has_unit_of(limit: Value, one: Enumeration, column: int) -> bool:
    values = [read(item.cells[column]) for item in one.items]
    return all(value and (value.kind, value.unit) == (limit.kind, limit.unit) for value in values)


def _value_of(item: Item, said: frozenset[str], *, is_year: bool) -> Value | None:
    """The one value of the sentence of an item that says what is bounded."""
    for place in item.places:
        if not said or said & content_words(place.text):
            found = (_YEARS if is_year else _VALUES).findall(place.text)
            return _read(found[0], is_year=is_year) if len(found) == 1 else None
    return None


def _read(cell: str, *, is_year: bool) -> Value | None:
    return read(cell, "date") if is_year else read(cell)


def _keeps(value: Value | None, bounds: Sequence[Bound]) -> bool | None:
    """Whether a value keeps the bounds; None if it cannot be compared with them."""
    for bound in bounds:
        limit = read(bound.value, "date" if value and value.kind == "date" else "text")
        if value is None or limit is None:
            return None
        try:
            order = compared(value, limit)
        except IncommensurableError:
            if value.kind != "date" or value.first.year != limit.first.year:
                return None
            order = 0
        if not (order == bound.sign or (bound.closed and order == 0)):
            return False
    return True


def _picked(one: Enumeration, items: Sequence[Item], listing: Listing) -> Listed | None:
    """The item with the most or the least of what is asked."""
    if not one.header:
        return None
    column = _picked_column(one, listing)
    if column is None:
        return None
    is_date = listing.of == "date"
    values = [read(item.cells[column], "date" if is_date else "text") for item in items]
    best: list[tuple[Item, Value]] = []
    for item, value in zip(items, values, strict=True):
        if value is None:
            return None
        try:
            order = compared(value, best[0][1]) if best else 1
        except IncommensurableError:
            if not is_date or (value.first, value.last) != (best[0][1].first, best[0][1].last):
                return None
            order = 0
        if best and order == 0:
            best.append((item, value))
        elif not best or (order > 0) == (listing.how == "most"):
            best = [(item, value)]
    told = ", ".join(
        f"{item.name} ({one.header[column]}: {item.cells[column]})" for item, _ in best
    )
    return Listed(told, _joined([place for item, _ in best for place in item.places]))


def _picked_column(one: Enumeration, listing: Listing) -> int | None:
    wanted = content_words(listing.rest) | content_words(_SIZES.get(listing.of, ""))
    if listing.of == "date":
        wanted = _DATES
    named = [n for n, name in enumerate(one.header) if n and content_words(name) & wanted]
    if len(named) == 1 and all(len(item.cells) > named[0] for item in one.items):
        return named[0]
    return None


def _told(kept: Sequence[tuple[Enumeration, list[Item], int]], listing: Listing) -> Listed:
    """How many there are, and which."""
    known = {_key(item, column) for one, _, column in kept for item in one.items}
    found: dict[str, tuple[Item, str]] = {}
    for one, items, column in kept:
        for item in items:
            found.setdefault(_key(item, column), (item, _said(one, item, column)))
    if not found:
        places = [place for item in kept[0][0].items for place in item.places]
        return Listed(f"None of the {len(known):,} {listing.noun} listed", _joined(places))
    named = [said for _, said in found.values()][:MOST_TOLD]
    more = f"; and {len(found) - MOST_TOLD:,} more" if len(found) > MOST_TOLD else ""
    number = f"{len(found):,}" if len(found) == len(known) else f"{len(found):,} of {len(known):,}"
    separator = "; " if any("," in one for one in named) else ", "
    places = [place for item, _ in list(found.values())[:MOST_TOLD] for place in item.places]
    return Listed(f"{number} {listing.noun}: {separator.join(named)}{more}", _joined(places))


def _key(item: Item, column: int) -> str:
    return item.text.casefold() if column > 0 else item.name.casefold()


def _said(one: Enumeration, item: Item, column: int) -> str:
    """An item as the answer names it."""
    if not one.header and len(item.cells) == 1:
        return item.text.rstrip(" .;") if len(item.text) <= MOST_ITEM else item.name
    if column == 0 or not one.header:
        return item.name
    if 0 < column < len(item.cells):
        return f"{item.name}: {item.cells[column]}"
    if len(item.cells) == len(one.header) > 2:
        pairs = zip(one.header[1:], item.cells[1:], strict=True)
        return f"{item.name} ({', '.join(f'{name}: {cell}' for name, cell in pairs if cell)})"
    return f"{item.name}: {', '.join(cell for cell in item.cells[1:] if cell)}"


def _joined(places: Sequence[Place]) -> tuple[Piece, ...]:
    """Their text; those that follow each other are one piece."""
    return tuple(joined(sorted((place.piece for place in places), key=_order)))


def _order(piece: Piece) -> tuple[str, int]:
    return piece.chunk.document_id, piece.char_start
