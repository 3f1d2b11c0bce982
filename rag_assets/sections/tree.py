"""Cut a document into sections at its headings; every character of it is in exactly one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rag_assets.lake.identity import row_id


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


def cut_sections(document_id: str, text: str, blocks: Sequence[dict[str, Any]]) -> list[Section]:
    """Sections of a document, in reading order; at least one.

    A heading with nothing under it before the next one opens no section of its own: it begins the
    section that follows, so that no section is a bare title.

    Args:
        document_id: enters the ids.
        text: the document's text.
        blocks: ``documents.blocks``, in reading order.
    """
    groups: list[list[dict[str, Any]]] = []
    for block in blocks:
        opens = block["kind"] == "heading" and (
            not groups or any(b["kind"] != "heading" for b in groups[-1])
        )
        if opens or not groups:
            groups.append([])
        groups[-1].append(block)
    sections: list[Section] = []
    path: list[tuple[int, str]] = []
    occurrences: dict[tuple[str, ...], int] = {}
    for ordinal, group in enumerate(groups):
        for block in group:
            if block["kind"] == "heading":
                path = [(n, h) for n, h in path if n < block["level"]]
                path.append((block["level"], text[block["start"] : block["end"]]))
        headings = tuple(heading for _, heading in path)
        nth = occurrences[headings] = occurrences.get(headings, 0) + 1
        sections.append(
            Section(
                section_id=row_id("sec", document_id, list(headings), nth),
                ordinal=ordinal,
                level=path[-1][0] if path else 0,
                heading_path=list(headings),
                page=group[0]["page"],
                start=group[0]["start"],
                end=group[-1]["end"],
                blocks=list(group),
            )
        )
    return sections
