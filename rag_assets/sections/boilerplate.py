"""Text that repeats across a source's pages: cookie notices, footers, licence lines, menus.

A block is boilerplate if the same text is on at least ``MIN_PAGES`` pages and on ``MIN_SHARE`` of
the pages of a partition. A partition is a hash bucket of a source, so its pages are a uniform
sample of the source's pages, and the rule does not have to look at other partitions.

Headings and code are never boilerplate, because they carry structure and context. Neither is a line
that introduces what follows it ("Example:"), nor a very short line.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from rag_assets.duplicates.grouping import preference
from rag_assets.lake.identity import text_hash
from rag_assets.lake.schemas import TEXTS

# In Python's manual "Availability: not Emscripten, not WASI." stands on 9 % of the pages and says
# something of each; "Part of the git(1) suite" stands on 79 % of Git's. Between them nothing was
# found in four HTML manuals, nor anything at all in 5,600 passages and abstracts of twelve sets.
MIN_PAGES = 5
MIN_SHARE = 0.2
MIN_BYTES = 20  # UTF-8; "Was this page helpful?" has 22, "See also" 8
SAMPLE = 1000  # pages counted; a share of 0.2 is then known to 0.025 (95 %)
SHOWN = 80  # characters of a block that are kept to be looked at

# Two pages that hold 4 of 32 bands in common are taken for copies. By the Jaccard similarity of
# their word 3-shingles, 0.4, 0.5, 0.6, 0.7, that has the chance 0.01, 0.14, 0.6, 0.97: a footer of
# half a page's length does not make copies of a site's pages.
COPY_BANDS = 4


@dataclass(frozen=True, slots=True)
class Page:
    """What is needed of a document to find boilerplate in it."""

    text: str
    blocks: Sequence[Mapping[str, Any]]  # ``documents.blocks``
    bands: np.ndarray  # (32,) uint32


@dataclass(frozen=True, slots=True)
class Boilerplate:
    """A text that repeats, and on how many of the pages looked at; copies count once."""

    block_hash: str
    text: str  # its first characters
    n_pages: int
    n_sampled: int


def block_hashes(text: str, blocks: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, str]]:
    """(position in ``blocks``, hash of its folded text) of each block that may be boilerplate."""
    for position, block in enumerate(blocks):
        if block["kind"] in ("heading", "code"):
            continue
        folded = " ".join(text[block["start"] : block["end"]].split()).casefold()
        if len(folded.encode("utf-8", "replace")) >= MIN_BYTES and folded[-1] not in ":\uff1a":
            yield position, text_hash(folded)


def find_boilerplate(pages: Iterable[Page]) -> list[Boilerplate]:
    """The texts that repeat across pages, the most frequent first.

    Pages that are near copies of one another count once: what twenty revisions of a page have in
    common is its content.

    Args:
        pages: a uniform sample of a source's, in an order that its history does not change.
    """
    holders: dict[str, list[int]] = defaultdict(list)
    shown: dict[str, str] = {}
    bands: list[np.ndarray] = []
    for page in pages:
        for digest, position in {d: n for n, d in block_hashes(page.text, page.blocks)}.items():
            holders[digest].append(len(bands))
            block = page.blocks[position]
            shown.setdefault(digest, page.text[block["start"] : block["end"]][:SHOWN])
        bands.append(page.bands)
    n_sampled = len(bands)
    frequent = {d: on for d, on in holders.items() if _is_frequent(len(on), n_sampled)}
    if not frequent:
        return []
    originals = _originals(np.stack(bands))
    n_distinct = len(set(originals))
    counted = {digest: len({originals[n] for n in on}) for digest, on in frequent.items()}
    found = [
        Boilerplate(digest, shown[digest], n_pages, n_distinct)
        for digest, n_pages in counted.items()
        if _is_frequent(n_pages, n_distinct)
    ]
    return sorted(found, key=lambda b: (-b.n_pages, b.text, b.block_hash))


def _is_frequent(n_pages: int, n_sampled: int) -> bool:
    return n_pages >= max(MIN_PAGES, MIN_SHARE * n_sampled)


def _originals(bands: np.ndarray) -> list[int]:
    """For each page the first one that it is a near copy of, itself if there is none.

    Copies of a copy are not followed: among a thousand pages with a footer in common, some pairs
    look like copies by chance, and chains of them would make one group of all.

    Args:
        bands: (n, 32) uint32.
    """
    firsts: list[int] = []
    originals = []
    for number, page in enumerate(bands):
        shared = (bands[firsts] == page).sum(axis=1)
        copied = np.flatnonzero(shared >= COPY_BANDS)
        if not len(copied):
            firsts.append(number)
        originals.append(firsts[copied[0]] if len(copied) else number)
    return originals


def repeated_blocks(
    documents: Iterable[Mapping[str, Any]], boilerplate: Collection[str]
) -> dict[str, frozenset[str]]:
    """Document id -> hashes of the blocks to leave out of it; documents without any are absent.

    One document keeps each text, or the opening hours that every page shows would be found on none:
    the one that duplicates prefer, so that it is no alias that the index leaves out. A document
    that would be left without a text block keeps all.

    Documents are rows of all of a partition, boilerplate is hashes of blocks.
    """
    holders: list[tuple[str, frozenset[str]]] = []
    ranked_by: list[dict[str, Any]] = []
    for document in documents:
        held = dict(block_hashes(document["text"], document["blocks"]))
        found = frozenset(held.values()) & frozenset(boilerplate)
        n_texts = sum(block["kind"] != "heading" for block in document["blocks"])
        if found and n_texts > sum(digest in found for digest in held.values()):
            holders.append((document["document_id"], found))
            ranked_by.append({"uri": document["uri"], "flags": document["flags"]})
    schema = pa.schema([("uri", pa.string()), ("flags", TEXTS)])
    kept: frozenset[str] = frozenset()
    repeated: dict[str, frozenset[str]] = {}
    for at in preference(pa.Table.from_pylist(ranked_by, schema)).to_pylist():
        document_id, found = holders[at]
        if found & kept:
            repeated[document_id] = found & kept
        kept |= found
    return repeated
