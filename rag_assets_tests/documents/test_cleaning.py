import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.documents.cleaning import (
    SEPARATOR,
    clean_blocks,
    clean_text,
    extracted_span,
    extraction,
)
from rag_assets.documents.readers.blocks import Block, BlockKind

ugly = st.text(
    st.one_of(
        st.characters(codec="utf-8", exclude_categories=()),
        st.sampled_from(
            " \t\n\r\x0b\x0c\x85\u2028\u3000\xa0\xad\u200b\ufeff\u0301\u0308eüé\u1100\u1161"
        ),
    ),
    max_size=30,
)
kinds = st.sampled_from(["heading", "paragraph", "list", "table", "code"])
blocks = st.lists(st.builds(Block, kinds, ugly), max_size=5)


def clean(text: str, kind: BlockKind = "paragraph") -> str:
    return clean_blocks([Block(kind, text)]).text


@given(blocks)
def test_spans_are_the_blocks_and_nothing_lies_between(given_blocks: list[Block]) -> None:
    cleaned = clean_blocks(given_blocks)
    pieces = [cleaned.text[span.start : span.end] for span in cleaned.blocks]
    assert SEPARATOR.join(pieces) == cleaned.text
    assert all(pieces)


@given(blocks)
def test_cleaning_twice_is_cleaning_once(given_blocks: list[Block]) -> None:
    once = clean_blocks(given_blocks)
    again = [Block(b.kind, once.text[b.start : b.end], b.level) for b in once.blocks]  # type: ignore[arg-type]
    twice = clean_blocks(again)
    assert (twice.text, twice.blocks, twice.edits) == (once.text, once.blocks, [])


@given(blocks)
def test_edits_lead_back_to_the_extraction(given_blocks: list[Block]) -> None:
    cleaned = clean_blocks(given_blocks)
    before = SEPARATOR.join(block.text for block in given_blocks)
    assert extraction(cleaned.text, cleaned.edits) == before
    ends = [edit.end for edit in cleaned.edits]
    assert all(e.start >= end for e, end in zip(cleaned.edits[1:], ends, strict=False))


@given(blocks, st.data())
def test_any_span_is_found_in_the_extraction(
    given_blocks: list[Block], data: st.DataObject
) -> None:
    cleaned = clean_blocks(given_blocks)
    start = data.draw(st.integers(0, len(cleaned.text)))
    end = data.draw(st.integers(start, len(cleaned.text)))
    raw_start, raw_end = extracted_span(cleaned.edits, start, end)
    raw = extraction(cleaned.text, cleaned.edits)
    assert 0 <= raw_start <= raw_end <= len(raw)
    # Whatever was edited: letters and digits of the span are in what it is shown as.
    shown = unicodedata.normalize("NFC", raw[raw_start:raw_end].replace("\xad", ""))
    shown = "".join(c for c in shown if c not in "\u200b\ufeff" and unicodedata.category(c) != "Cc")
    wanted = [c for c in cleaned.text[start:end] if c.isalnum()]
    composed = unicodedata.normalize("NFC", shown)
    assert all(c in composed for c in wanted)


def test_a_span_by_hand() -> None:
    cleaned = clean_blocks(
        [Block("paragraph", " \t"), Block("paragraph", "A\u0308rger  mit\xa0der\r\nFähre ")]
    )
    assert cleaned.text == "Ärger mit der\nFähre"
    raw = extraction(cleaned.text, cleaned.edits)

    def shown(words: str) -> str:
        at = cleaned.text.index(words)
        start, end = extracted_span(cleaned.edits, at, at + len(words))
        return raw[start:end]

    assert shown("Ärger") == "A\u0308rger"
    assert shown("Ärger mit") == "A\u0308rger  mit"
    assert shown("der\nFähre") == "der\r\nFähre"
    assert shown("mit") == "mit"


@given(blocks)
def test_text_is_clean(given_blocks: list[Block]) -> None:
    text = clean_blocks(given_blocks).text
    assert unicodedata.is_normalized("NFC", text)
    text.encode("utf-8")
    assert not set("\r\x00\x0b\x0c\u200b\ufeff") & set(text)


@given(blocks)
def test_nothing_but_white_space_and_signs_is_lost(given_blocks: list[Block]) -> None:
    def letters(text: str) -> list[str]:
        composed = unicodedata.normalize("NFC", text)
        return [char for char in composed if char.isalnum()]

    parts = [b.text.replace("\xad", "").replace("\u200b", "") for b in given_blocks]
    parts = ["".join(c for c in p if c == "\n" or unicodedata.category(c)[0] != "C") for p in parts]
    assert letters(clean_blocks(given_blocks).text) == letters("\n".join(parts))


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("a\r\nb\rc", "a\nb\nc"),
        ("e\u0301te\u0301", "été"),
        ("e\xad\u0301t", "ét"),  # an accent that a soft hyphen had parted
        ("soft\xadhyphen hard\xa0space", "softhyphen hard space"),
        ("one\x0ctwo", "one\ntwo"),
        ("- a\n  -   b\tc ", "- a\n  - b c"),
        ("- a\n\t- b\n\t\t- c", "- a\n    - b\n        - c"),
        ("a\n\n\nb", "a\nb"),
    ],
)
def test_cleaning_by_hand(raw: str, cleaned: str) -> None:
    assert clean(raw) == cleaned


def test_code_keeps_its_layout() -> None:
    assert clean("def f():\n\n    return  1  \n", "code") == "def f():\n\n    return  1"
    assert clean("  \n    indented\n\n\n", "code") == "    indented"


def test_clean_text_needs_no_edits() -> None:
    assert clean_text("One line.\n  - another, with Ü.") == ("One line.\n  - another, with Ü.", [])
