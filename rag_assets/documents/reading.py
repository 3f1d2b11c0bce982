"""Bytes to a normalised document: choose the reader, clean the text, find the language."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice
from typing import Any

import numpy as np

from rag_assets.documents.cleaning import Edit, clean_blocks, clean_text
from rag_assets.documents.quality import quality_flags
from rag_assets.documents.readers.blocks import Extracted, RejectedError, Span, well_formed
from rag_assets.documents.readers.registry import Reader, extract
from rag_assets.documents.signatures import bands, shingles, sketch

MIN_LETTERS = 3  # below this there is nothing to ask about
# From here on the text itself tells its language better than a template that says "en" of any page.
IDENTIFIABLE_CHARS = 100


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


def read_document(data: bytes, name: str, readers: Sequence[Reader] = ()) -> Document:
    """Read a file's bytes.

    The last part of its path ``name`` is the title of an untitled document; ``readers`` are asked
    before the package's own.

    Raises:
        RejectedError: with the reason why there is no document in these bytes.
    """
    extracted = _well_formed(extract(data, name, readers))
    cleaned = clean_blocks(extracted.blocks)
    text = cleaned.text
    if len(list(islice(filter(str.isalnum, text), MIN_LETTERS))) < MIN_LETTERS:
        raise RejectedError("no text", "no letters or digits were left after extraction")
    title = clean_text(extracted.title)[0].replace("\n", " ")[:300]
    title = title or name.rstrip("/").rpartition("/")[2]  # a page's address may end in a slash
    is_long = len(text) >= IDENTIFIABLE_CHARS
    language = (None if is_long else extracted.language) or _identified(text)
    hashes = shingles(text)
    stated = ("media_type", "encoding", "author", "created", "modified", "licence")
    return Document(
        **{name: getattr(extracted, name) for name in stated},
        title=title,
        language=language,
        text=text,
        blocks=cleaned.blocks,
        edits=cleaned.edits,
        flags=quality_flags(text, cleaned.blocks, extracted.link_share),
        bands=bands(hashes),
        sketch=sketch(hashes),
    )


def _well_formed(extracted: Extracted) -> Extracted:
    """All that the reader said, offsets not yet counted, in a form that can be stored."""
    said = ((field.name, getattr(extracted, field.name)) for field in fields(extracted))
    texts: dict[str, Any] = {n: well_formed(text) for n, text in said if isinstance(text, str)}
    blocks = [replace(block, text=well_formed(block.text)) for block in extracted.blocks]
    return replace(extracted, blocks=blocks, **texts)


def _identified(text: str) -> str:
    """ISO 639-1 code of the text's language, by its first 4,000 characters."""
    import py3langid  # loads its model when first asked

    return str(py3langid.classify(text[:4000])[0])
