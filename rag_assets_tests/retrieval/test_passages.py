"""Passages: true offsets, whatever is cut."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rag_assets.retrieval.passages import Passage, pieces_of
from rag_assets_tests.answers.world import FERRIES, Doc, chunks_of


def passage_of(doc: Doc, section: int = 0, max_words: int = 40) -> Passage:
    chunks = [c for c in chunks_of(doc, max_words) if c.section_ordinal == section]
    return Passage(pieces_of(chunks), frozenset({chunks[0].chunk_id}), 1.0, 0.5, whole=True)


def test_title_says_nothing_twice() -> None:
    assert passage_of(FERRIES[0]).title == "MV Alder > History"


def test_chunks_of_a_section_are_joined_to_its_text() -> None:
    passage = passage_of(FERRIES[0], max_words=5)
    assert len(passage.pieces) > 1
    assert passage.text.replace("\n", " ") == FERRIES[0].sections[0][1]


def test_left_out_text_is_shown_as_such() -> None:
    passage = passage_of(FERRIES[0], max_words=5)
    gapped = passage.with_pieces((passage.pieces[0], passage.pieces[-1]))
    assert "[...]" in gapped.text
    assert not gapped.whole


def test_overlapping_chunks_give_each_character_once() -> None:
    (chunk,) = chunks_of(FERRIES[2])
    half = len(chunk.text) // 2
    first = replace(chunk, text=chunk.text[: half + 5], end=chunk.start + half + 5)
    second = replace(chunk, chunk_id="b", text=chunk.text[half:], start=chunk.start + half)
    pieces = pieces_of([first, second])
    assert "".join(piece.text for piece in pieces) == chunk.text


def test_a_chunk_inside_another_adds_nothing() -> None:
    (chunk,) = chunks_of(FERRIES[2])
    inner = replace(chunk, chunk_id="b", text=chunk.text[2:9], start=chunk.start + 2)
    assert len(pieces_of([chunk, inner])) == 1


def test_core_is_what_was_found() -> None:
    passage = passage_of(FERRIES[0], max_words=5)
    assert [p.chunk.chunk_id for p in passage.cut_to_core().pieces] == sorted(passage.core)


words = st.lists(
    st.sampled_from(["Ein.", "two", "drei!", "\n", "4.5", "\u00e9t\u00e9?"]), min_size=1
)


@given(words, st.integers(2, 12), st.integers(1, 40))
def test_cut_passages_quote_the_document(parts: list[str], max_words: int, n_units: int) -> None:
    doc = Doc("s:u", "T", (("H", "x " + " ".join(parts) + " y"),))
    passage = passage_of(doc, max_words=max_words)
    first = passage.with_units(range(min(n_units, len(passage.units()))))
    for cut in (passage, passage.cut_to_core(), first):
        for piece in cut.pieces:
            assert doc.text[piece.char_start : piece.char_end] == piece.text
    assert len(first.units()) <= n_units
