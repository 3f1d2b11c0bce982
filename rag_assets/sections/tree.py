"""Cut a document into sections at its headings."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rag_assets.lake.identity import row_id

# Of a heading, in the path that every section and chunk below it repeats; its own text is whole.
MAX_HEADING_CHARS = 200


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what follows it; ``text[start:end]`` of the document is its text."""

    section_id: str
    ordinal: int
    level: int
    heading_path: list[str]
    page: int | None
    start: int
    end: int
    blocks: list[dict[str, Any]]


def cut_sections(
    document_id: str,
    text: str,
    blocks: Sequence[dict[str, Any]],
    skipped: Collection[int] = (),
) -> list[Section]:
    """Sections of a document, in reading order; at least one unless every block is skipped.

    Without skipped blocks every block is in exactly one section. A heading with nothing under it
    before the next one opens no section of its own: it begins the section that follows, so that
    no section is a bare title.

    A block whose position is ``skipped``, never a heading, is in no section: if it is in the middle
    of one, the section ends and what follows it is another under the same headings. A heading that
    has only skipped blocks under it goes with them; it is still in the heading path of what is
    below it.
    """
    sections: list[Section] = []
    path: list[tuple[int, str]] = []
    occurrences: dict[tuple[str, ...], int] = {}
    for group, is_kept in _groups(blocks, skipped):
        for block in group:
            if block["kind"] == "heading":
                path = [(n, h) for n, h in path if n < block["level"]]
                heading = text[block["start"] : block["end"]][:MAX_HEADING_CHARS].rstrip()
                path.append((block["level"], heading))
        if not is_kept:
            continue
        headings = tuple(heading for _, heading in path)
        nth = occurrences[headings] = occurrences.get(headings, 0) + 1
        sections.append(
            Section(
                section_id=row_id("sec", document_id, list(headings), nth),
                ordinal=len(sections),
                level=path[-1][0] if path else 0,
                heading_path=list(headings),
                page=group[0]["page"],
                start=group[0]["start"],
                end=group[-1]["end"],
                blocks=list(group),
            )
        )
    return sections


def _groups(
    blocks: Sequence[dict[str, Any]], skipped: Collection[int]
) -> Iterator[tuple[list[dict[str, Any]], bool]]:
    """Runs of blocks, each with whether it is a section or only headings that lost their text."""
    group: list[dict[str, Any]] = []
    for position, block in enumerate(blocks):
        is_skipped = position in skipped
        has_text = not _is_bare(group)
        if group and (is_skipped or (has_text and block["kind"] == "heading")):
            yield group, has_text
            group = []
        if not is_skipped:
            group.append(block)
    if group:
        yield group, True


def _is_bare(group: Sequence[dict[str, Any]]) -> bool:
    return all(block["kind"] == "heading" for block in group)
