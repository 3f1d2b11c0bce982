r"""Extracted text to clean text, and the way back.

The *extraction* is what a reader gave: its blocks' texts joined by blank lines. The clean text is
NFC, has ``\n`` line ends, no control characters, folded white space (in code only trailing one
goes) and no empty blocks. What was changed is kept as edits, so that any span of the clean text can
be shown as it stood in the extraction. Cleaning clean text changes nothing.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from rag_assets.documents.readers.blocks import Block, Span

SEPARATOR = "\n\n"  # between blocks
_LINE_ENDS = re.compile(r"\r\n?|[\v\f]")  # page breaks part words, too
_SIGNS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\u200b\ufeff]")
_SIGNS_OF_PROSE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\u200b\ufeff\xad]")
# An ASCII character composes with nothing before it, so such a run composes with nothing around it.
_COMPOSABLE = re.compile(r"[\x00-\x7f]?[^\x00-\x7f]+")
_SPACE = re.compile(r"\s+")


_Stretch = tuple[int, int, int, str | None]  # start, end, growth, what it was before if edited


@dataclass(frozen=True, slots=True)
class Edit:
    """``text[start:end]`` was ``original`` in the extraction."""

    start: int
    end: int
    original: str


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Clean text, where its blocks are, and how it differs from the extraction."""

    text: str
    blocks: list[Span]
    edits: list[Edit]


def clean_blocks(blocks: Iterable[Block]) -> Cleaned:
    """The clean text of a reader's blocks, whose own texts are ``well_formed``."""
    parts: list[str] = []
    spans: list[Span] = []
    edits: list[Edit] = []
    position, gap = 0, ""  # raw text since the last block kept, that of empty blocks included
    for number, block in enumerate(blocks):
        gap += SEPARATOR if number else ""
        text, block_edits = clean_text(block.text, keep_layout=block.kind == "code")
        if not text:
            gap += block.text
            continue
        before = SEPARATOR if parts else ""
        if gap != before:
            edits.append(Edit(position, position, gap.removesuffix(before)))
        parts.append(before)
        position += len(before)
        gap = ""
        spans.append(Span(block.kind, block.level, position, position + len(text), block.page))
        edits += [replace(e, start=e.start + position, end=e.end + position) for e in block_edits]
        parts.append(text)
        position += len(text)
    if gap:
        edits.append(Edit(position, position, gap))
    return Cleaned("".join(parts), spans, edits)


def clean_text(text: str, *, keep_layout: bool = False) -> tuple[str, list[Edit]]:
    """One block's clean text and its edits, in order and without overlap.

    Args:
        text: as extracted.
        keep_layout: for code, whose white space means something.
    """
    edits: list[Edit] = []
    signs = _SIGNS if keep_layout else _SIGNS_OF_PROSE
    text, edits = _replaced(text, edits, _LINE_ENDS, lambda _: "\n")
    text, edits = _replaced(text, edits, signs, lambda _: "")
    if not unicodedata.is_normalized("NFC", text):  # after the signs: one may part an accent
        text, edits = _replaced(
            text, edits, _COMPOSABLE, lambda match: unicodedata.normalize("NFC", match[0])
        )
    if keep_layout:
        return _replaced(text, edits, _SPACE, _trimmed)
    if _is_folded(text):
        return text, edits
    return _replaced(text, edits, _SPACE, _folded)


def _is_folded(text: str) -> bool:
    """Whether folding would change nothing; False may also mean that it is not known. Quick."""
    lines = text.split("\n")
    return all(lines) and all(line == " ".join(line.split()) for line in lines)


def _folded(match: re.Match[str]) -> str:
    """White space folded to one space, or to a line end and the spaces that indent a list item."""
    space = match[0]
    if match.start() == 0 or match.end() == len(match.string):
        return ""
    _, line_end, indent = space.rpartition("\n")
    if not line_end:
        return " "
    indent = indent.expandtabs(4)  # Markdown's, where a tab nests a list, too
    return "\n" + indent[: len(indent) - len(indent.lstrip(" "))]


def _trimmed(match: re.Match[str]) -> str:
    """White space of code without what is at the ends of lines, or on empty ones around it."""
    if match.end() == len(match.string):
        return ""
    lines, line_end, indent = match[0].rpartition("\n")
    kept = 0 if match.start() == 0 else lines.count("\n") + len(line_end)
    return "\n" * kept + indent


def _replaced(
    text: str, edits: list[Edit], pattern: re.Pattern[str], new: Callable[[re.Match[str]], str]
) -> tuple[str, list[Edit]]:
    """The text with each match replaced, and its edits since the extraction."""
    found = [(m.start(), m.end(), made) for m in pattern.finditer(text) if (made := new(m)) != m[0]]
    if not found:
        return text, edits
    parts: list[str] = []
    later: list[Edit] = []
    position = length = 0
    for start, end, made in found:
        parts += [text[position:start], made]
        length += start - position
        later.append(Edit(length, length + len(made), text[start:end]))
        length += len(made)
        position = end
    parts.append(text[position:])
    return "".join(parts), _composed(text, edits, later)


def _composed(between: str, earlier: list[Edit], later: list[Edit]) -> list[Edit]:
    """Edits that lead back over both steps; ``between`` is the text after the earlier ones.

    Stretches of ``between`` that touch become one edit: neither step alone explains them.
    """
    stretches: list[_Stretch] = [(edit.start, edit.end, 0, edit.original) for edit in earlier]
    shift = 0
    for edit in later:
        growth = edit.end - edit.start - len(edit.original)
        start = edit.start - shift
        stretches.append((start, start + len(edit.original), growth, None))
        shift += growth
    composed: list[Edit] = []
    shift = 0
    for group in _touching(sorted(stretches, key=lambda stretch: stretch[:2])):
        start, end = group[0][0], max(stretch[1] for stretch in group)
        inside = [Edit(first, last, was) for first, last, _, was in group if was is not None]
        growth = sum(stretch[2] for stretch in group)
        original = _original(between, inside, start, end)
        composed.append(Edit(start + shift, end + shift + growth, original))
        shift += growth
    return composed


def _touching(stretches: Iterable[_Stretch]) -> Iterator[list[_Stretch]]:
    group: list[_Stretch] = []
    reach = -1
    for stretch in stretches:
        if group and stretch[0] > reach:
            yield group
            group = []
        group.append(stretch)
        reach = max(reach, stretch[1]) if len(group) > 1 else stretch[1]
    if group:
        yield group


def _original(text: str, edits: Sequence[Edit], start: int, end: int) -> str:
    parts, position = [], start
    for edit in edits:
        parts += [text[position : edit.start], edit.original]
        position = edit.end
    parts.append(text[position:end])
    return "".join(parts)


def extraction(text: str, edits: Sequence[Edit]) -> str:
    """What the reader gave, rebuilt from the clean text."""
    return _original(text, edits, 0, len(text))


def extracted_span(edits: Sequence[Edit], start: int, end: int) -> tuple[int, int]:
    """Where ``text[start:end]`` is in the extraction, half-open.

    An edit that the span cuts in two belongs to it as a whole; what was taken out at its very
    edges does not.
    """
    first, last = start, end
    for edit in edits:
        growth = len(edit.original) - (edit.end - edit.start)
        if edit.end <= start:
            first += growth
        elif edit.start < start:
            first += edit.start - start
        if edit.end <= end and edit.start < end:
            last += growth
        elif edit.start < end:
            last += growth + edit.end - end
    return first, max(first, last)
