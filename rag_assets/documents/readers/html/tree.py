"""HTML or XHTML tree to blocks, all of it: headings, lists, tables, code, paragraphs.

Only ``nav`` and what a browser does not show are left out. This reader takes the pages that
trafilatura empties, chapters of e-books, and other formats that were turned into HTML.
"""

import re
from collections.abc import Iterator

from lxml.etree import _Element, iterwalk

from rag_assets.documents.readers.blocks import Block

# What is not shown, or is no text. Ruby readings (rt) would stand in the midst of Japanese words.
INVISIBLE = frozenset((
    "head", "script", "style", "noscript", "template", "svg", "canvas", "audio", "video",
    "iframe", "object", "embed", "map", "select", "datalist", "textarea", "button", "rt", "rp",
    "annotation", "annotation-xml",
))  # fmt: skip
SKIPPED = INVISIBLE | {"nav"}
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LISTS = frozenset(("ul", "ol", "dl", "menu", "dir"))
_ITEMS = frozenset(("li", "dt", "dd"))
_CODE = frozenset(("pre", "listing", "xmp", "plaintext"))
_OWN_LINE = _LISTS | _ITEMS | _CODE | _HEADINGS.keys() | {
    "address", "article", "aside", "blockquote", "body", "br", "caption", "center", "details",
    "dialog", "div", "fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup",
    "hr", "legend", "main", "nav", "p", "section", "summary", "table", "tbody", "td", "tfoot",
    "th", "thead", "tr",
}  # fmt: skip
_LINE_NUMBERS = re.compile(r"(?:^|\s)(?:linenos?|line-numbers?|lnt?)(?:\s|$)")
_NOT_SHOWN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_ANCHORS = ("¶", "#", "§", "🔗")  # what documentation generators put behind each heading
_BREAK = "\v"  # stands for <br>; two in a row part paragraphs
_PARTED = re.compile(rf"{_BREAK}\s*{_BREAK}")


def blocks_of(root: _Element, *, skip: frozenset[str] = SKIPPED) -> list[Block]:
    """Blocks of everything below ``root``, in reading order.

    Lists nest by two spaces and begin with "- ", terms and definitions, too, the definition one
    level deeper; cells of a table are parted by " | "; tables that only lay out a page are read
    cell by cell; preformatted text is code. Text outside any element of its own is a paragraph.

    Args:
        root: an element of an HTML tree, or of an XHTML one with or without its namespace.
        skip: tags whose content is left out.
    """
    collected = _Collected()
    walk = iterwalk(root, events=("start", "end", "comment", "pi"))
    for event, element in walk:
        tag = tag_of(element)
        if event == "start":
            if _is_left_out(element, tag, skip) or not _starts(collected, element, tag, skip):
                walk.skip_subtree()
        else:
            if event == "end" and tag in _OWN_LINE:
                _ends(collected, tag)
            if element.tail and element is not root:
                collected.words.append(element.tail)
    collected.flush()
    collected.close_list()
    return collected.blocks


def text_of(element: _Element, gap: str = " ", *, skip: frozenset[str] = SKIPPED) -> str:
    """All visible text below an element; ``gap`` marks where a line begins or ends."""
    parts: list[str] = []
    walk = iterwalk(element, events=("start", "end", "comment", "pi"))
    for event, node in walk:
        tag = tag_of(node)
        if tag in _OWN_LINE and (event == "start" or tag != "br"):
            parts.append(gap)
        if event == "start":
            if _is_left_out(node, tag, skip):
                walk.skip_subtree()
            else:
                parts.append(node.text or "")
        elif node is not element:
            parts.append(node.tail or "")
    return "".join(parts)


def tag_of(element: _Element) -> str:
    """The tag in lower case without a namespace; empty for a comment."""
    tag = element.tag
    return tag.rpartition("}")[2].lower() if isinstance(tag, str) else ""


class _Collected:
    """Blocks so far, and the text of the one under way."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.words: list[str] = []
        self.depth = 0  # lists around the place
        self.bullet = False  # whether an item has begun and has no text yet
        self.lines: list[str] = []  # of the list under way

    def flush(self) -> None:
        """End the paragraph or the item's line."""
        if not self.words:
            return
        joined = "".join(self.words)
        self.words.clear()
        paragraphs = _PARTED.split(joined) if _BREAK in joined else (joined,)
        for text in (" ".join(part.split()) for part in paragraphs):
            if not text:
                continue
            if not self.depth:
                self.add(Block("paragraph", text))
                continue
            indent = "  " * (self.depth - 1)
            self.lines.append(f"{indent}{'- ' if self.bullet else '  '}{text}")
            self.bullet = False

    def close_list(self) -> None:
        """Make one block of the lines so far."""
        if self.lines:
            self.blocks.append(Block("list", "\n".join(self.lines)))
            self.lines.clear()

    def add(self, block: Block) -> None:
        """Append a block, unless it is empty; the lines of a list that it interrupts first."""
        if block.text.strip():
            self.close_list()
            self.blocks.append(block)


def _starts(collected: _Collected, element: _Element, tag: str, skip: frozenset[str]) -> bool:
    """Take note of an element's start tag; whether to go into the element."""
    if tag == "br":
        collected.words.append(_BREAK)
        return True
    if tag in _OWN_LINE:
        collected.flush()
    if tag in _HEADINGS and not _holds_blocks(element):
        collected.add(Block("heading", _heading(element, skip), _HEADINGS[tag]))
        return False
    if tag in _CODE:
        code = text_of(element, "\n", skip=skip).strip("\n")
        collected.add(Block("code", code))
        return False
    if tag == "table" and _is_data(element):
        for caption in _children(element, "caption"):
            collected.add(Block("paragraph", _flat(caption, skip)))
        collected.add(Block("table", "\n".join(_rows(element, skip))))
        return False
    if tag in _LISTS or tag == "dd":  # a definition stands below its term
        collected.depth += 1
    if tag in _ITEMS:
        collected.bullet = True
    if element.text:
        collected.words.append(element.text)
    return True


def _ends(collected: _Collected, tag: str) -> None:
    if tag == "br":
        return
    collected.flush()
    if tag in _LISTS or tag == "dd":
        collected.depth -= 1
    if not collected.depth:
        collected.close_list()


def _is_left_out(element: _Element, tag: str, skip: frozenset[str]) -> bool:
    if tag in skip or element.get("hidden") is not None:
        return True
    style = element.get("style")
    if style is not None and _NOT_SHOWN.search(style):
        return True
    if tag in ("td", "span", "div", "a"):  # line numbers beside code
        return _LINE_NUMBERS.search(element.get("class") or "") is not None
    return False


def _heading(element: _Element, skip: frozenset[str]) -> str:
    text = _flat(element, skip)
    for mark in _ANCHORS:
        if text.endswith(mark) and any(
            _flat(link, skip) == mark for link in element.iter() if tag_of(link) == "a"
        ):
            return text[: -len(mark)].rstrip()
    return text


def _holds_blocks(heading: _Element) -> bool:
    """Whether it was left open, so that what follows is inside it."""
    inside = {tag_of(element) for element in heading.iterdescendants()}
    return bool(inside & (_HEADINGS.keys() | _LISTS | _CODE | {"table", "p"}))


def _is_data(table: _Element) -> bool:
    """Whether rows and columns mean something; else the table only lays out a page."""
    inside = {tag_of(element) for element in table.iterdescendants()}
    if table.get("role") == "presentation" or inside & (_HEADINGS.keys() | _CODE | {"table"}):
        return False
    rows = (row for row in table.iterdescendants() if tag_of(row) == "tr")
    return any(sum(1 for _ in _children(row, "td", "th")) > 1 for row in rows)


def _rows(table: _Element, skip: frozenset[str]) -> Iterator[str]:
    for row in table.iterdescendants():
        if tag_of(row) == "tr":
            cells = [_flat(cell, skip) for cell in _children(row, "td", "th")]
            if any(cells):
                yield " | ".join(cells)


def _children(element: _Element, *tags: str) -> Iterator[_Element]:
    return (child for child in element if tag_of(child) in tags)


def _flat(element: _Element, skip: frozenset[str]) -> str:
    return " ".join(text_of(element, skip=skip).split())
