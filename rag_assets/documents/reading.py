"""Bytes to a normalised document: choose the reader, clean the text, find the language."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice

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

    Args:
        data: the file's bytes.
        name: its path; the last part names an untitled document, and its ending tells Markdown
            from plain text, which no content does.
        readers: further ones, asked first.

    Raises:
        RejectedError: with the reason why there is no document in these bytes.
    """
    extracted = _well_formed(extract(data, name, readers))
    cleaned = clean_blocks(extracted.blocks)
    text = cleaned.text
    if len(list(islice(filter(str.isalnum, text), MIN_LETTERS))) < MIN_LETTERS:
        raise RejectedError("no text", "no letters or digits were left after extraction")
    title = clean_text(extracted.title)[0].replace("\n", " ")[:300] or _last_part(name)
    is_long = len(text) >= IDENTIFIABLE_CHARS
    language = (None if is_long else extracted.language) or identify_language(text)
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
        blocks=cleaned.blocks,
        edits=cleaned.edits,
        flags=quality_flags(text, cleaned.blocks, extracted.link_share),
        bands=bands(hashes),
        sketch=sketch(hashes),
    )


def _well_formed(extracted: Extracted) -> Extracted:
    """All that the reader said, offsets not yet counted, in a form that can be stored."""
    said = {field.name: getattr(extracted, field.name) for field in fields(extracted)}
    texts = {name: well_formed(text) for name, text in said.items() if isinstance(text, str)}
    blocks = [replace(block, text=well_formed(block.text)) for block in extracted.blocks]
    return Extracted(**{**said, **texts, "blocks": blocks})


def _last_part(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2]  # a page's address may end in a slash


def identify_language(text: str) -> str:
    """ISO 639-1 code of the text's language, by its first 4,000 characters."""
    import py3langid  # loads its model when first asked

    return str(py3langid.classify(text[:4000])[0])
