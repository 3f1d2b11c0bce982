"""XML of any vocabulary to blocks: prose with headings, or records."""

import re
from collections.abc import Iterator

from lxml.etree import _Element, iterwalk

from rag_assets.documents.readers.archives import parse_xml
from rag_assets.documents.readers.blocks import Block, Extracted, RejectedError, first_heading
from rag_assets.documents.readers.decoding import decode
from rag_assets.documents.readers.html.tree import tag_of

MIN_MENDED = 0.8  # of the characters outside tags; less, and too much of the file is lost
_DECLARATION = re.compile(r"\s*<\?xml[^>]*\?>")
_TAG = re.compile(r"<[^<>]*>")
_TITLES = frozenset(("title", "head", "heading"))
_PARAGRAPHS = frozenset(("p", "para", "simpara", "ab", "verse", "l", "v"))
_CODE = frozenset(("programlisting", "screen", "codeblock", "code", "literallayout"))
_ROWS = frozenset(("row", "tr"))
_TABLES = frozenset(("table", "informaltable", "tgroup"))
_METADATA = frozenset(("teiheader", "prolog", "binary"))


def read_xml(data: bytes) -> Extracted:
    """The text of an XML file other than HTML.

    With paragraphs (DocBook, TEI, JATS, DITA, FictionBook) it is prose: titles are headings, as
    deep as the elements they are titles of. Without it is data: an element whose children have no
    children is a record, a paragraph of "name: value" lines. Feeds are often not well-formed: what
    the parser could mend is taken if it is nearly all of the text.

    Raises:
        RejectedError: ``corrupt`` for what is too far from well-formed.
    """
    text, encoding = decode(data)
    root = _root(text)
    tags = {tag_of(element) for element in root.iter()}
    found = _prose(root) if tags & _PARAGRAPHS else _records(root)
    blocks = [block for block in found if block.text]
    if not blocks:
        raise RejectedError("no text", "expected text between the tags of this XML, found none")
    return Extracted("application/xml", blocks, first_heading(blocks), encoding)


def _root(text: str) -> _Element:
    text = _DECLARATION.sub("", text, count=1)  # of an encoding that it is no longer in
    data = text.encode("utf-8", "replace")
    try:
        return parse_xml(data)
    except RejectedError:
        root = parse_xml(data, recover=True)
        kept = 0 if root is None else sum(len(part.strip()) for part in root.itertext())
        if kept < max(1, MIN_MENDED * len("".join(_TAG.sub(" ", text).split()))):
            raise
        return root


def _prose(root: _Element) -> Iterator[Block]:
    waiting: list[tuple[_Element, int]] = [(root, 0)]  # a stack: recursion would end at its limit
    while waiting:
        element, depth = waiting.pop()
        tag = tag_of(element)
        if tag in _TITLES:
            yield Block("heading", _flat(element), max(1, min(depth, 6)))
        elif tag in _CODE:
            yield Block("code", "".join(element.itertext()).strip("\n"))
        elif tag in _TABLES:
            yield Block("table", "\n".join(_rows(element)))
        elif tag in _PARAGRAPHS or _has_own_text(element):
            yield Block("paragraph", _flat(element))
        elif tag not in _METADATA:
            inner = depth + any(tag_of(child) in _TITLES for child in element)
            waiting += [(child, inner) for child in reversed(element) if tag_of(child)]


def _rows(table: _Element) -> Iterator[str]:
    for row in table.iterdescendants():
        cells = [_flat(cell) for cell in row if tag_of(cell)] if tag_of(row) in _ROWS else []
        if any(cells):
            yield " | ".join(cells)


def _records(root: _Element) -> Iterator[Block]:
    waiting = [root]
    while waiting:
        element = waiting.pop()
        if not len(element) or _has_own_text(element):
            yield Block("paragraph", _flat(element))
            continue
        children = [child for child in element if tag_of(child)]
        facts = list(_attributes(element))
        for child in children:
            if not len(child):
                facts += [(tag_of(child), _flat(child)), *_attributes(child, f"{tag_of(child)}.")]
        yield Block("paragraph", "\n".join(f"{name}: {text}" for name, text in facts if text))
        waiting += [child for child in reversed(children) if len(child)]


def _attributes(element: _Element, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Names and values of those that belong to the data: those in a namespace are about it."""
    for name, value in element.attrib.items():
        if "}" not in name:
            yield f"{prefix}{name}", " ".join(value.split())


def _has_own_text(element: _Element) -> bool:
    """Whether there are words between its children, so that they are parts of a sentence."""
    own = [element.text or "", *(child.tail or "" for child in element)]
    return any(part.strip() for part in own)


def _flat(element: _Element) -> str:
    parts: list[str] = []
    for event, node in iterwalk(element, events=("start", "end")):
        parts.append(" " if tag_of(node) in _PARAGRAPHS else "")
        parts.append(
            (node.text if event == "start" else node.tail if node is not element else "") or ""
        )
    return " ".join("".join(parts).split())
