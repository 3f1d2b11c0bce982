"""Shorten a passage to the lines around what was asked: fewer facts to confuse, fewer tokens.

Small models confuse neighbouring facts: given all rows of a table, both models answered from the
row above or below the right one.
"""

from collections.abc import Callable, Mapping, Sequence

from rag_assets.documents.readers.tables import has_header, names_groups
from rag_assets.retrieval.passages import Passage, Piece, cells_of
from rag_assets.retrieval.terms import terms

NEAR = 0.3  # of its own weight that a matching line lends to the line before and after it
ROWS = 0.7  # of the best row's weight that a row needs to stay: "A or B?" keeps both


def focused(
    passage: Passage, weights: Mapping[str, float], limit: int, count: Callable[[str], int]
) -> Passage:
    """The passage's best lines: of a table the header and the rows asked for.

    Args:
        passage: consecutive text.
        weights: how much each word of the question counts.
        limit: tokens of text that is kept; one longer sentence or line is kept whole.
        count: tokens of a text.
    """
    units = passage.units()
    own = [sum(weights[term] for term in weights.keys() & terms(unit.text)) for unit in units]
    kept = _without_other_rows(units, own)
    if len(kept) < len(units) or count(passage.text) > limit:
        kept = _window(kept, units, own, limit, count)
    if len(kept) == len(units):
        return passage
    return passage.with_units(kept)


def _without_other_rows(units: Sequence[Piece], own: Sequence[float]) -> list[int]:
    """Indices of all lines but the rows of tables that are not asked for."""
    kept: list[int] = []
    index = 0
    while index < len(units):
        end = index
        while end < len(units) and units[end].is_row:
            end += 1
        # Names and values have no header.
        if end - index < 3 or len(cells_of(units[index].text)) < 3:
            kept.append(index)
            index += 1
            continue
        first = [cells_of(units[row].text) for row in range(index, index + 3)]
        n_named = 2 if names_groups(*first) else int(has_header(first))
        body = index + n_named
        # A row that lacks cells is a remark: what it holds puts no other row out.
        wide = [r for r in range(body, end) if len(cells_of(units[r].text)) == len(first[0])]
        best = max((own[row] for row in wide), default=0.0)
        kept += range(index, body)
        kept += [row for row in range(body, end) if own[row] >= ROWS * best]
        index = end
    return kept


def _window(
    lines: Sequence[int],
    units: Sequence[Piece],
    own: Sequence[float],
    limit: int,
    count: Callable[[str], int],
) -> list[int]:
    """The best of these lines, and the better of its neighbours while they fit."""
    padded = [0.0, *(own[line] for line in lines), 0.0]
    worth = [
        here + NEAR * max(before, after)
        for before, here, after in zip(padded, padded[1:], padded[2:], strict=False)
    ]
    sizes = [count(units[line].text) + 1 for line in lines]
    low = max(range(len(lines)), key=lambda place: (worth[place], -place))
    high, room = low + 1, limit - sizes[low]
    while sides := [
        (worth[place], place)
        for place in (low - 1, high)
        if 0 <= place < len(lines) and sizes[place] <= room
    ]:
        place = max(sides)[1]
        low, high = min(low, place), max(high, place + 1)
        room -= sizes[place]
    head = low
    while head > 0 and units[lines[head]].is_row and units[lines[head - 1]].is_row:
        head -= 1  # a table cut from above keeps its first row: it names the columns
    return [*([lines[head]] if head < low else []), *lines[low:high]]
