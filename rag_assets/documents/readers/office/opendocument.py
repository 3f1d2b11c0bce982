"""OpenDocument text and presentations (LibreOffice) to blocks, straight from their XML.

The one library for it, odfpy, has had no release since 2020; the format is one XML file.
"""

from collections.abc import Iterator

from lxml.etree import _Element, iterwalk

from rag_assets.documents.readers.archives import Archive
from rag_assets.documents.readers.blocks import Block, Extracted, RejectedError, first_heading
from rag_assets.documents.readers.html.tree import tag_of
from rag_assets.documents.readers.media_types import ODP, ODT
from rag_assets.documents.readers.tables import trimmed

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
    return Extracted(kind, blocks, **{"title": first_heading(blocks), **archive.properties()})


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
        yield Block("heading", text, max(1, _number(element, "outline-level", 2, 6)), page)
    else:
        mark = "Notes: " if text and _class(element) == "notes" else ""
        yield Block("paragraph", f"{mark}{text}", page=page)
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


def _rows(table: _Element) -> Iterator[str]:
    for row in table.iterdescendants():
        if tag_of(row) != "table-row":
            continue
        cells: list[str] = []
        for cell in row:
            if tag_of(cell) in ("table-cell", "covered-table-cell"):
                n_columns = _number(cell, "number-columns-repeated", 1, MAX_REPEATS)
                cells += [" ".join(_text(cell).split())] * n_columns
        if cells := trimmed(cells):
            yield " | ".join(cells)


def _number(element: _Element, attribute: str, default: int, most: int) -> int:
    """The value of an attribute in whatever namespace."""
    for key, value in element.attrib.items():
        if key.endswith(f"}}{attribute}") and value.isdigit():
            return min(int(value), most)
    return default


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
