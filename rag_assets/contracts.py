"""Tests of what people swap: each function checks one object against what the package relies on.

Call them from a test of your own; each raises an AssertionError whose sentence says what is wrong::

    from rag_assets.contracts import check_embedder

    def test_our_embedder() -> None:
        check_embedder(OurEmbedder())
"""

import json
import pickle
from collections.abc import Sequence
from datetime import date
from typing import get_args

import numpy as np

from rag_assets.documents.readers.blocks import Block, BlockKind, Extracted
from rag_assets.documents.readers.registry import Reader, identity
from rag_assets.documents.reading import read_document
from rag_assets.models.protocols import ChatModel, Embedder
from rag_assets.sources.declaration import Source
from rag_assets.sources.found import Listing
from rag_assets.sources.listing import SourceKind

_FOREIGN = {  # what a reader has to leave to others, unless it says that it reads such files
    "application/pdf": (b"%PDF-1.7\n1 0 obj\n", "a.pdf"),
    "application/zip": (b"PK\x03\x04" + bytes(40), "a.zip"),
    "text/html": (b"<!doctype html><title>A</title><p>Some text.", "a.html"),
    "text/plain": (b"Nothing but a few words.\n", "a.txt"),
    "application/octet-stream": (bytes(range(256)), "a"),
}
_TEXTS = ["how to bake bread", "bake bread at home", "quantum field theory", "", "Grüße 🎉"]
_QUESTION = [{"role": "user", "content": "Name three colours of the rainbow, nothing else."}]
_CHOICE = [{"role": "user", "content": "Choose a colour; answer in JSON."}]
_SCHEMA = {
    "type": "object",
    "properties": {"colour": {"type": "string", "enum": ["red", "blue"]}},
    "required": ["colour"],
    "additionalProperties": False,
}


def check_reader(reader: Reader, data: bytes, name: str) -> None:
    """A reader says what it reads, reads it always alike, and leaves other files alone.

    Args:
        reader: to check.
        data: a file that it reads.
        name: of this file.
    """
    kinds = reader.media_types
    assert kinds, "media_types is empty; name at least one"
    assert not isinstance(kinds, str), "media_types is a text; make it a tuple of them"
    assert all("/" in kind for kind in kinds), f"expected media types as type/subtype, got {kinds}"
    assert isinstance(reader.version, str), f"version is {reader.version!r}; make it a text"
    assert reader.version, "version is empty; begin with 1"
    copy = pickle.loads(pickle.dumps(reader))
    assert identity(copy) == identity(reader), "pickled and back it is another reader"
    for kind, (foreign, its_name) in _FOREIGN.items():
        told = reader.recognise(foreign, its_name)
        assert told is None or kind in kinds, f"it takes {its_name} ({kind}) for {told}"
    told = reader.recognise(data, name)
    assert told is None or told in kinds, f"it recognises {told}, which is not in its media_types"
    found = reader.read(data)
    _check_extracted(found, kinds)
    assert copy.read(data) == found, "the same bytes give another text the second time"
    document = read_document(data, name, [reader])
    assert document.media_type in kinds, (
        f"{name} was read as {document.media_type} by another reader; have recognise() know it"
    )


def _check_extracted(found: Extracted, kinds: Sequence[str]) -> None:
    assert found.media_type in kinds, f"media_type is {found.media_type}, expected one of {kinds}"
    assert any(block.text.strip() for block in found.blocks), "no block has a text"
    assert 0 <= found.link_share <= 1, f"link_share is {found.link_share}, expected a share"
    for day in (found.created, found.modified):
        assert day is None or date.fromisoformat(day), "dates are written YYYY-MM-DD"
    for block in found.blocks:
        _check_block(block)


def _check_block(block: Block) -> None:
    known = get_args(BlockKind)
    assert block.kind in known, f"a block's kind is {block.kind!r}, expected one of {known}"
    is_heading = block.kind == "heading"
    assert (1 <= block.level <= 6) if is_heading else block.level == 0, (
        f"level {block.level} of a {block.kind}; a heading has 1 to 6, every other block 0"
    )
    assert block.page is None or block.page >= 1, f"page {block.page}; pages are counted from 1"


def check_embedder(embedder: Embedder) -> None:
    """An embedder gives unit vectors in order, alike for like texts, and never cuts a text."""
    assert embedder.model_id, "model_id is empty"
    assert embedder.revision, "revision is empty; vectors of other weights would pass for these"
    vectors = embedder.embed(_TEXTS)
    expected = (len(_TEXTS), embedder.dimension)
    assert vectors.shape == expected, f"expected vectors of shape {expected}, got {vectors.shape}"
    assert vectors.dtype == np.float32, f"expected float32, got {vectors.dtype}"
    lengths = np.linalg.norm(vectors, axis=1)
    assert np.allclose(lengths, 1, atol=1e-5), f"expected vectors of length 1, got {lengths}"
    alone = np.vstack([embedder.embed([text]) for text in _TEXTS])
    assert (alone * vectors).sum(axis=1).min() > 0.999, "a text has another vector among others"
    bread, also_bread, physics = vectors[:3]
    assert bread @ also_bread > bread @ physics + 0.2, "texts about one thing are not nearer"
    many = [f"number {i} " + "and so on " * (i % 20) for i in range(75)]
    together = embedder.embed(many)
    for place in (0, 31, 32, 74):
        nearest = int((together @ embedder.embed([many[place]])[0]).argmax())
        assert nearest == place, f"vector {nearest} is that of text {place}"
    assert embedder.embed([]).shape == (0, embedder.dimension), "no text gives no empty table"
    _check_window(embedder)


def _check_window(embedder: Embedder) -> None:
    full = " ".join(["bread"] * (embedder.max_tokens - embedder.count("")))
    # One word is one token, or a few; the longest text that fits is found by what it counts.
    while embedder.count(full) > embedder.max_tokens:
        full = full[: full.rindex(" ")]
    assert embedder.embed([full]).shape == (1, embedder.dimension)
    try:
        embedder.embed(["short", full + " bread" * 8])
    except ValueError:
        return
    raise AssertionError("a text longer than max_tokens was taken; refuse it with a ValueError")


def check_chat_model(model: ChatModel) -> None:
    """A chat model answers, counts, stops where it is told to, and obeys a schema."""
    assert model.name in ("slm", "llm"), f"name is its role, slm or llm; got {model.name!r}"
    assert model.model_id, "model_id is empty"
    assert model.revision, "revision is empty; answers of other weights would pass for these"
    assert model.max_model_len >= 1024, f"{model.max_model_len} tokens are too few to answer from"
    said = model.complete(_QUESTION, max_tokens=40)
    assert said.text.strip(), "it says nothing"
    assert said.finish_reason == "stop", f"expected finish_reason stop, got {said.finish_reason}"
    counted = model.count_chat(_QUESTION)
    assert said.prompt_tokens == counted, f"counted {counted} tokens, {said.prompt_tokens} were"
    assert 0 <= said.cached_prompt_tokens <= said.prompt_tokens, "more was cached than was sent"
    assert 0 < said.completion_tokens <= 40, f"{said.completion_tokens} tokens, 40 were allowed"
    assert said.mean_logprob is None or said.mean_logprob <= 0, "mean_logprob is above 0"
    first, second = (model.complete(_QUESTION, max_tokens=12).text for _ in range(2))
    assert first == second, "at temperature 0 the same question has another answer"
    short = model.complete(_QUESTION, max_tokens=1)
    assert short.finish_reason == "length", f"cut at 1 token it says {short.finish_reason}"
    prefix = "The three colours are red, orange and"
    more = model.complete(_QUESTION, max_tokens=12, prefix=prefix)
    assert more.text.strip(), "it does not go on after a prefix"
    assert not more.text.lstrip().startswith("The three colours"), "it repeats the prefix"
    chosen = model.complete(_CHOICE, max_tokens=40, json_schema=_SCHEMA)
    colour = json.loads(chosen.text)["colour"]
    assert colour in ("red", "blue"), f"the schema allows red and blue, it says {colour}"
    try:
        model.complete(_QUESTION, max_tokens=4, json_schema=_SCHEMA, prefix="{")
    except ValueError:
        return
    raise AssertionError("a prefix and a schema at once were taken; refuse them with a ValueError")


def check_source_kind(kind: SourceKind, source: Source) -> None:
    """A kind of source lists whole, twice the same, and reads what it lists.

    Args:
        kind: to check.
        source: of it; it holds at least one file that can be read, and stays as it is meanwhile.
    """
    with kind(source) as listing:
        states = _states(listing, source)
        files = [file for file in listing.files() if file.problem is None]
        assert files, f"{source.where} lists no file that can be read"
        examined = list(listing.examine(files, {}))
        asked = {file.uri for file in files}
        assert {file.uri for file in examined} <= asked, "examine() gives files it was not given"
        for file in examined:
            if file.problem is not None or file.raw_hash:
                continue
            data = listing.read(file)
            assert isinstance(data, bytes), f"{file.uri}: expected bytes, got {type(data).__name__}"
            assert file.size in (0, len(data)), f"{file.uri}: size {file.size}, read {len(data)}"
        assert all(isinstance(text, str) for text in listing.notices), "notices are no sentences"
    with kind(source) as again:
        assert _states(again, source) == states, "nothing changed, and uris or states are others"


def _states(listing: Listing, source: Source) -> dict[str, str]:
    files = listing.files()
    states = {file.uri: file.state for file in files}
    assert len(states) == len(files), "two files have one uri"
    for uri, state in states.items():
        assert uri.startswith(f"{source.name}:"), f"expected {source.name}:<place>, got {uri}"
        assert state, f"{uri} has no state; it tells whether the file may have changed"
    return states
