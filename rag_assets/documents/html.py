"""HTML to blocks by trafilatura: main content with headings, lists, tables and code."""

from collections.abc import Iterator

import trafilatura
from lxml.etree import _Element, iterwalk
from trafilatura.settings import Document

from rag_assets.documents.blocks import Block, Extracted, RejectedError
from rag_assets.documents.decoding import decode

_LINES = {"lb", "p", "row", "cell", "item"}  # trafilatura's tags for what stands on its own line


def read_html(data: bytes) -> Extracted:
    """The page's main content; navigation, banners and footers are left out.

    Raises:
        RejectedError: ``no text``, when no main content is found.
    """
    text, encoding = decode(data)
    page = trafilatura.bare_extraction(
        text, include_tables=True, include_comments=False, with_metadata=True, favor_recall=True
    )
    if not isinstance(page, Document) or page.body is None:
        raise RejectedError("no text", "expected a page with text, found no main content in it")
    blocks = list(_blocks(page.body))
    title = page.title or next((b.text for b in blocks if b.kind == "heading"), "")
    return Extracted("text/html", blocks, title=title, encoding=encoding)


def _blocks(parent: _Element) -> Iterator[Block]:
    for element in parent:
        tag = str(element.tag)
        if tag == "head":
            level = str(element.get("rend", "h2"))[1:]
            yield Block("heading", _flat(element), int(level) if level.isdigit() else 2)
        elif tag == "list":
            yield Block("list", "\n".join(_items(element, 0)))
        elif tag == "table":
            rows = [[_flat(cell) for cell in row.iter("cell")] for row in element.iter("row")]
            yield Block("table", "\n".join(" | ".join(row) for row in rows if any(row)))
        elif tag == "code":
            yield Block("code", _text(element, "\n").strip("\n"))
        elif _is_container(element):
            yield from _blocks(element)
        else:
            yield Block("paragraph", _flat(element))


def _is_container(element: _Element) -> bool:
    """Whether it only wraps blocks; with words of its own, what is inside is part of a sentence."""
    own = [element.text or "", *(child.tail or "" for child in element)]
    inner = {str(child.tag) for child in element}
    return bool(inner & {"list", "table", "code", "p"}) and not "".join(own).strip()


def _items(element: _Element, depth: int) -> Iterator[str]:
    for item in element.iterchildren("item"):
        nested = list(item.iterchildren("list"))
        own = " ".join(" ".join(_own_text(item)).split())
        if own:
            yield f"{'  ' * depth}- {own}"
        for inner in nested:
            yield from _items(inner, depth + 1)


def _own_text(item: _Element) -> Iterator[str]:
    """Text of a list item without that of the lists inside it."""
    yield item.text or ""
    for child in item:
        if child.tag != "list":
            yield _text(child, " ")
        yield child.tail or ""


def _flat(element: _Element) -> str:
    return " ".join(_text(element, " ").split())


def _text(element: _Element, gap: str) -> str:
    """All text of an element, with ``gap`` where a line ends, or words would grow together."""
    parts: list[str] = []
    for event, node in iterwalk(element, events=("start", "end")):
        if node.tag in _LINES:
            parts.append(gap)
        if event == "start":
            parts.append(node.text or "")
        elif node is not element:
            parts.append(node.tail or "")
    return "".join(parts)
