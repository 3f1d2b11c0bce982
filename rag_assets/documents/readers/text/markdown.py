"""Markdown to blocks by markdown-it (CommonMark and tables), its front matter to metadata."""

import re
from collections.abc import Mapping
from typing import Any

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from rag_assets.documents.readers.blocks import Block, BlockKind, Extracted, first_heading
from rag_assets.documents.readers.decoding import decode
from rag_assets.documents.readers.metadata import facts, licence_line, or_none

MAX_FRONT_MATTER_CHARS = 10_000  # a longer one is no front matter
MIN_SIGNS = 2  # different kinds of mark-up by which a text shows that it is Markdown

_FRONT_MATTER = re.compile(r"\ufeff?---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_KEY = re.compile(r"[A-Za-z_][\w -]*:(?:\s|$)")
_ANCHOR = re.compile(r"[:\-\[,]\s*&\w")  # anchors multiply: ten lines can hold a billion items
_SIGNS = (
    re.compile(r"(?:^|\n)#{1,6} [^\n]*[^\n#;{}]\n[ \t]*\n"),  # a heading, and room below it
    re.compile(r"(?:^|\n)(`{3,}|~{3,})[^\n`]*\n"),  # a fence
    re.compile(r"\[[^\]\n]{1,200}\]\([^)\s]{1,500}\)"),  # a link
    re.compile(  # the rule of a table; white space is never given back, or runs of it cost squares
        r"\n[ \t]*+\|?[ \t]*+:?-{2,}+:?[ \t]*+(?:\|[ \t]*+:?-{2,}+:?[ \t]*+)++\|?[ \t]*+\n"
    ),
    re.compile(r"(?<![\w*])\*\*\w[^*\n]{0,200}\*\*(?![\w*])"),  # bold
)
_FENCED = re.compile(r"^(```|~~~).*?^\1", re.DOTALL | re.MULTILINE)
# Source code speaks Markdown in its comments and documentation strings.
_CODE_LINE = re.compile(
    r"^(?:import [\w.]+(?: as \w+)?;?|from [\w.]+ import .*|def \w+\(.*|class \w+.*[:{]|#include .*"
    r"|package [\w.]+;?|using [\w.: ]+;|(?:export |async )*function \w+\(.*"
    r"|(?:export )?(?:const|let|var) \w+ = .*)$",
    re.MULTILINE,
)
# What stands inside paragraphs is kept as it is, and parsing it takes half of the time or more.
_PARSER = MarkdownIt("commonmark").enable("table").disable("inline")
_INLINE_PARSER = MarkdownIt("commonmark")
_KEYS = {
    "title": ("title",),
    "author": ("author", "authors"),
    "created": ("date", "created", "published"),
    "modified": ("modified", "updated", "lastmod", "last_updated"),
    "language": ("lang", "language"),
    "licence": ("license", "licence", "rights"),
}
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
    """Blocks of a Markdown file, each in its source form but headings, which lose their marks.

    Front matter in YAML is not part of the text; its title, author, date, language and licence
    are kept.
    """
    text, encoding = decode(data)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    licence = licence_line(text)
    stated, text = split_front_matter(text)
    blocks = markdown_blocks(text)
    found = facts(**{name: _stated(stated, *keys) for name, keys in _KEYS.items()})
    found = {"title": first_heading(blocks), "licence": licence, **found}
    return Extracted("text/markdown", blocks, encoding=encoding, **found)


def markdown_blocks(text: str) -> list[Block]:
    r"""Blocks of Markdown whose lines end in ``\n``."""
    lines = text.split("\n")
    blocks: list[Block] = []
    references: dict[str, Any] = {}
    tokens = _PARSER.parse(text, references)
    for position, token in enumerate(tokens):
        if token.level != 0 or token.map is None:
            continue
        if token.type == "heading_open":
            (inline,) = _INLINE_PARSER.parseInline(tokens[position + 1].content, references)
            heading = _plain(inline)
            blocks.append(Block("heading", heading, int(token.tag[1])))
        elif token.type in _CONTAINERS:
            start, end = token.map
            kind = _CONTAINERS[token.type]
            source = token.content if token.type == "fence" else "\n".join(lines[start:end])
            blocks.append(Block(kind, source.strip("\n")))
    return blocks


def split_front_matter(text: str) -> tuple[Mapping[str, Any], str]:
    """What YAML front matter states, with keys in lower case, and the text below it.

    Without front matter, or with one that is no safe YAML mapping, all of it is text.
    """
    match = _FRONT_MATTER.match(text, 0, MAX_FRONT_MATTER_CHARS)
    if match is None or not _KEY.match(match[1].lstrip()) or _ANCHOR.search(match[1]):
        return {}, text
    try:
        stated = yaml.safe_load(match[1])
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}, text
    if not isinstance(stated, dict):
        return {}, text
    return {str(key).lower(): value for key, value in stated.items()}, text[match.end() :]


def is_markdown(text: str) -> bool:
    """Whether a text is Markdown by at least two kinds of mark-up; front matter counts as two."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.startswith("#!"):
        return False
    stated, below = split_front_matter(text)
    if stated and below.strip() and not _KEY.match(below.lstrip()):  # YAML goes on with a key
        return True
    if sum(sign.search(text) is not None for sign in _SIGNS) < MIN_SIGNS:
        return False
    return _CODE_LINE.search(_FENCED.sub("", text)) is None


def _stated(front_matter: Mapping[str, Any], *keys: str) -> str | None:
    """The first of the keys that holds text, or a list of texts, or mappings with a name."""
    for key in keys:
        value = front_matter.get(key)
        items = value if isinstance(value, list) else [value]
        items = [item.get("name") if isinstance(item, dict) else item for item in items]
        texts = [str(item) for item in items if item is not None and not isinstance(item, bool)]
        text = or_none(", ".join(texts))
        if text:
            return text
    return None


def _plain(inline: Token) -> str:
    return "".join(
        " " if child.type in ("softbreak", "hardbreak") else child.content
        for child in inline.children or []
    )
