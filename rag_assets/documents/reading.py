"""Bytes to a normalised document: choose the reader, clean the text, find the language."""

import re
import unicodedata
from dataclasses import dataclass

import numpy as np

from rag_assets.documents.blocks import Block, RejectedError, Span
from rag_assets.documents.quality import quality_flags
from rag_assets.documents.readers import extract
from rag_assets.documents.signatures import bands, shingles, sketch

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\ufeff]")
MIN_LETTERS = 3  # below this there is nothing to ask about


@dataclass(frozen=True, slots=True)
class Edit:
    """``text[start:end]`` was ``original`` in the reader's extraction."""

    start: int
    end: int
    original: str


@dataclass(frozen=True, slots=True)
class Document:
    """Normalised text with structure; the columns of ``documents`` that follow from the bytes."""

    media_type: str
    encoding: str | None
    title: str
    language: str
    author: str | None
    created: str | None
    modified: str | None
    licence: str | None
    text: str
    blocks: list[Span]
    edits: list[Edit]
    flags: list[str]
    bands: np.ndarray
    sketch: np.ndarray


def read_document(data: bytes, name: str) -> Document:
    """Read a file's bytes.

    Args:
        data: the file's bytes.
        name: its path; the last part names an untitled document, and its ending tells Markdown
            from plain text, which no content does.

    Raises:
        RejectedError: with the reason why there is no document in these bytes.
    """
    if not data.strip():
        raise RejectedError("empty", f"expected content, got {len(data)} bytes of nothing")
    extracted = extract(data, name)
    text, spans = normalise(extracted.blocks)
    if sum(char.isalnum() for char in text) < MIN_LETTERS:
        raise RejectedError("no text", "no letters or digits were left after extraction")
    title = _clean(extracted.title).replace("\n", " ")[:300] or name.rsplit("/", 1)[-1]
    language = extracted.language or identify_language(text)
    hashes = shingles(text)
    return Document(
        media_type=extracted.media_type,
        encoding=extracted.encoding,
        title=title,
        language=language,
        author=extracted.author,
        created=extracted.created,
        modified=extracted.modified,
        licence=extracted.licence,
        text=text,
        blocks=spans,
        edits=[],
        flags=quality_flags(text, spans, extracted.link_share),
        bands=bands(hashes),
        sketch=sketch(hashes),
    )


def normalise(blocks: list[Block]) -> tuple[str, list[Span]]:
    r"""Join cleaned blocks by blank lines; empty ones are left out.

    Returns:
        the text (NFC, ``\n`` line ends, no control characters) and each block's span in it.
    """
    parts: list[str] = []
    spans: list[Span] = []
    position = 0
    for block in blocks:
        cleaned = _clean(block.text, keep_layout=block.kind == "code")
        if not cleaned:
            continue
        if parts:
            position += 2
        spans.append(Span(block.kind, block.level, position, position + len(cleaned), block.page))
        parts.append(cleaned)
        position += len(cleaned)
    return "\n\n".join(parts), spans


def _clean(text: str, *, keep_layout: bool = False) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = text.replace("\v", "\n").replace("\f", "\n")  # page breaks part words
    text = text.encode("utf-8", "replace").decode()  # lone surrogates have no UTF-8 form
    text = _CONTROL.sub("", text)
    if not keep_layout:
        text = text.replace("\xa0", " ").replace("\xad", "")
    text = unicodedata.normalize("NFC", text)  # last: what was taken out may have parted an accent
    if keep_layout:
        lines = [line.rstrip() for line in text.split("\n")]
    else:
        lines = [_indent(line) + " ".join(line.split()) for line in text.split("\n")]
    joined = "\n".join(line for line in lines if keep_layout or line.strip())
    return joined.strip("\n") if keep_layout else joined.strip()


def _indent(line: str) -> str:
    """Leading spaces, which nest list items; everything else is folded."""
    return line[: len(line) - len(line.lstrip(" "))]


def identify_language(text: str) -> str:
    """ISO 639-1 code of the text's language, by its first 4,000 characters."""
    import py3langid  # loads its model when first asked

    return str(py3langid.classify(text[:4000])[0])
