"""Markdown to blocks by markdown-it (CommonMark and tables)."""

from markdown_it import MarkdownIt
from markdown_it.token import Token

from rag_assets.documents.blocks import Block, BlockKind, Extracted
from rag_assets.documents.decoding import decode

_CONTAINERS: dict[str, BlockKind] = {
    "bullet_list_open": "list",
    "ordered_list_open": "list",
    "table_open": "table",
    "blockquote_open": "paragraph",
    "paragraph_open": "paragraph",
    "fence": "code",
    "code_block": "code",
    "html_block": "paragraph",
}


def read_markdown(data: bytes) -> Extracted:
    """Blocks of a Markdown file, each in its source form but headings, which lose their marks."""
    text, encoding = decode(data)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    blocks: list[Block] = []
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    for position, token in enumerate(tokens):
        if token.level != 0 or token.map is None:
            continue
        if token.type == "heading_open":
            heading = _plain(tokens[position + 1])
            blocks.append(Block("heading", heading, int(token.tag[1])))
        elif token.type in _CONTAINERS:
            start, end = token.map
            kind = _CONTAINERS[token.type]
            source = token.content if token.type == "fence" else "\n".join(lines[start:end])
            blocks.append(Block(kind, source.strip("\n")))
    title = next((b.text for b in blocks if b.kind == "heading"), "")
    return Extracted("text/markdown", blocks, title=title, encoding=encoding)


def _plain(inline: Token) -> str:
    return "".join(
        " " if child.type in ("softbreak", "hardbreak") else child.content
        for child in inline.children or []
    )
