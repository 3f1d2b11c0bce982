"""OpenDocument text and presentations (LibreOffice) to blocks, straight from their XML.

The one library for it, odfpy, has had no release since 2020; the format is one XML file.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from lxml.etree import _Element, iterwalk

from rag_assets.documents.readers.archives import Archive
from rag_assets.documents.readers.blocks import Block, Extracted, RejectedError
from rag_assets.documents.readers.html.tree import tag_of
from rag_assets.documents.readers.media_types import ODP, ODT
from rag_assets.documents.readers.metadata import iso_date, language_code, or_none

_MANIFEST = "META-INF/manifest.xml"
_SKIPPED = frozenset((
    "tracked-changes", "annotation", "table-of-content", "forms", "sequence-decls",
    "alphabetical-index", "ruby-text", "bibliography", "note-citation",
))  # fmt: skip
_SPACES = {"tab": " ", "line-break": "\n", "s": " "}
MAX_REPEATS = 50  # of a cell: one empty cell, repeated, fills a row to its end


def read_odf(data: bytes) -> Extracted:
    """Headings, paragraphs, lists, tables and footnotes; a slide is a page.

    Raises:
        RejectedError: ``encrypted``, ``corrupt``, ``too large``.
    """
    archive = Archive(data)
    is_encrypted = _MANIFEST in archive and any(
        tag_of(element) == "encryption-data" for element in archive.xml(_MANIFEST).iter()
    )
    if is_encrypted:
        raise RejectedError("encrypted", "an OpenDocument file with a password")
    root = archive.xml("content.xml")
    body = next((element for element in root if tag_of(element) == "body"), None)
    if body is None or not len(body):
        raise RejectedError("corrupt", "expected a body in content.xml")
    kind = ODP if tag_of(body[0]) == "presentation" else ODT
    blocks = list(_blocks(body))
    title = next((b.text for b in blocks if b.kind == "heading"), "")
    return Extracted(kind, blocks, **{"title": title, **metadata(archive)})


def metadata(archive: Archive) -> Mapping[str, Any]:
    """Title, author, created, modified, language of an OpenDocument file; only what it states."""
    if "meta.xml" not in archive:
        return {}
    stated = {tag_of(e): or_none(e.text) for e in archive.xml("meta.xml").iter()}
    found = {
        "title": stated.get("title"),
        "author": stated.get("initial-creator") or stated.get("creator"),
        "created": iso_date(stated.get("creation-date")),
        "modified": iso_date(stated.get("date")),
        "language": language_code(stated.get("language")),
    }
    return {key: value for key, value in found.items() if value}


def _blocks(body: _Element) -> Iterator[Block]:
    page, depth = None, 0
    lines: list[str] = []
    walk = iterwalk(body, events=("start", "end"))
    for event, element in walk:
        tag = tag_of(element)
        if event == "end":
            depth -= tag == "list"
            if not depth:
                yield from _taken(lines, page)
            continue
        if tag in _SKIPPED:
            walk.skip_subtree()
        elif tag == "list":
            depth += 1
        elif tag == "page":
            page = (page or 0) + 1
        elif tag == "table":
            yield from _taken(lines, page)
            yield Block("table", "\n".join(_rows(element)), page=page)
            walk.skip_subtree()
        elif tag in ("h", "p"):
            if depth and tag == "p":
                indent = "  " * (depth - 1)
                lines += [f"{indent}- {text}" for text in [_text(element)] if text]
                lines += [f"{indent}  {note}" for note in _notes(element)]
            else:  # a numbered heading stands in a list of its own
                yield from _taken(lines, page)
                yield from _text_blocks(element, tag, page)
            walk.skip_subtree()


def _taken(lines: list[str], page: int | None) -> Iterator[Block]:
    """A block of a list's lines so far, which are cleared."""
    if lines:
        yield Block("list", "\n".join(lines), page=page)
        lines.clear()


def _text_blocks(element: _Element, tag: str, page: int | None) -> Iterator[Block]:
    text = _text(element)
    if tag == "h" or _class(element) == "title":
        yield Block("heading", text, _level(element), page)
    elif _class(element) == "notes":
        yield Block("paragraph", f"Notes: {text}" if text else "", page=page)
    else:
        yield Block("paragraph", text, page=page)
    for note in _notes(element):
        yield Block("paragraph", note, page=page)


def _notes(element: _Element) -> Iterator[str]:
    """Its footnotes, at the places that refer to them."""
    return (_text(note) for note in element.iterdescendants() if tag_of(note) == "note-body")


def _class(element: _Element) -> str:
    """What part of a slide it is in: title, outline, notes; empty elsewhere."""
    for ancestor in element.iterancestors():
        if tag_of(ancestor) == "notes":
            return "notes"
        for key, value in ancestor.attrib.items():
            if key.endswith("presentation:1.0}class"):
                return str(value)
    return ""


def _level(element: _Element) -> int:
    for key, value in element.attrib.items():
        if key.endswith("}outline-level") and value.isdigit():
            return max(1, min(int(value), 6))
    return 2


def _rows(table: _Element) -> Iterator[str]:
    for row in table.iterdescendants():
        if tag_of(row) != "table-row":
            continue
        cells: list[str] = []
        for cell in row:
            if tag_of(cell) in ("table-cell", "covered-table-cell"):
                cells += [" ".join(_text(cell).split())] * _repeats(cell)
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            yield " | ".join(cells)


def _repeats(cell: _Element) -> int:
    for key, value in cell.attrib.items():
        if key.endswith("}number-columns-repeated") and value.isdigit():
            return min(int(value), MAX_REPEATS)
    return 1


def _text(element: _Element) -> str:
    """All text of an element but that of notes and remarks; ODF has elements for white space."""
    parts: list[str] = []
    walk = iterwalk(element, events=("start", "end"))
    for event, node in walk:
        tag = tag_of(node)
        if event == "end":
            if node is not element:
                parts.append(node.tail or "")
        elif tag in _SKIPPED or (tag in ("note", "note-body") and node is not element):
            walk.skip_subtree()
        else:
            parts.append(_SPACES.get(tag, " " if tag == "p" and node is not element else ""))
            parts.append(node.text or "")
    return "".join(parts).strip()
