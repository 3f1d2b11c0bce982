from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rag_assets.documents.cleaning import clean_blocks
from rag_assets.documents.readers.blocks import Block
from rag_assets.sections.tree import Section, cut_sections

words = st.text("abc é\u0301漢\n", min_size=1, max_size=12)
blocks = st.lists(
    st.one_of(
        st.builds(Block, st.just("heading"), words, st.integers(1, 6)),
        st.builds(Block, st.sampled_from(["paragraph", "table"]), words),
    ),
    max_size=8,
)


def cut(given_blocks: list[Block], skip: str | None = None) -> tuple[str, list[Section]]:
    """The document's text and its sections, without the blocks whose text is ``skip``."""
    cleaned = clean_blocks(given_blocks)
    text, spans = cleaned.text, cleaned.blocks
    rows: list[dict[str, Any]] = [
        {"kind": s.kind, "level": s.level, "start": s.start, "end": s.end, "page": s.page}
        for s in spans
    ]
    skipped = {n for n, s in enumerate(spans) if text[s.start : s.end] == skip}
    return text, cut_sections("doc_1", text, rows, skipped)


@given(blocks)
def test_sections_part_the_document(given_blocks: list[Block]) -> None:
    text, sections = cut(given_blocks)
    assert "\n\n".join(text[s.start : s.end] for s in sections) == text
    assert [s.ordinal for s in sections] == list(range(len(sections)))
    assert len({s.section_id for s in sections}) == len(sections)
    assert sections == cut(given_blocks)[1]
    for section in sections:
        assert all(section.start <= b["start"] < b["end"] <= section.end for b in section.blocks)
        assert section.blocks[0]["kind"] == "heading" or section.ordinal == 0
    for section in sections[:-1]:
        assert any(b["kind"] != "heading" for b in section.blocks)  # none is a bare title


with_footers = st.lists(
    st.one_of(
        st.builds(Block, st.just("heading"), words, st.integers(1, 6)),
        st.builds(Block, st.sampled_from(["paragraph", "table"]), words),
        st.just(Block("paragraph", "footer")),
    ),
    max_size=10,
)


@given(with_footers)
def test_skipped_blocks_are_in_no_section_and_all_others_in_one(given_blocks: list[Block]) -> None:
    text, sections = cut(given_blocks, skip="footer")
    spans = clean_blocks(given_blocks).blocks
    kept = [b["start"] for s in sections for b in s.blocks]
    texts = [s for s in spans if s.kind != "heading" and text[s.start : s.end] != "footer"]
    assert kept == sorted(set(kept))  # in order, none twice
    assert {s.start for s in texts} <= set(kept)
    assert [s.ordinal for s in sections] == list(range(len(sections)))
    assert len({s.section_id for s in sections}) == len(sections)
    for section in sections:
        assert "footer" not in text[section.start : section.end]
        inside = [text[b["start"] : b["end"]] for b in section.blocks]
        assert "\n\n".join(inside) == text[section.start : section.end]
    for section in sections[:-1]:
        assert any(b["kind"] != "heading" for b in section.blocks)
    if "footer" not in text:
        assert sections == cut(given_blocks)[1]


def test_skipped_block_in_the_middle_parts_the_section() -> None:
    text, sections = cut(
        [
            Block("heading", "A", 1),
            Block("paragraph", "footer"),
            Block("heading", "B", 2),
            Block("paragraph", "b"),
            Block("paragraph", "footer"),
            Block("paragraph", "c"),
            Block("paragraph", "footer"),
            Block("heading", "Cookies", 2),
            Block("paragraph", "footer"),
        ],
        skip="footer",
    )
    assert [(text[s.start : s.end], s.heading_path) for s in sections] == [
        ("B\n\nb", ["A", "B"]),
        ("c", ["A", "B"]),
    ]


def test_worked_example() -> None:
    _, sections = cut(
        [
            Block("paragraph", "before"),
            Block("heading", "A", 1),
            Block("heading", "B", 2),
            Block("paragraph", "b", page=3),
            Block("heading", "C", 3),
            Block("paragraph", "c"),
            Block("heading", "D", 2),
            Block("paragraph", "d"),
            Block("heading", "E", 1),
        ]
    )
    assert [(s.level, s.heading_path) for s in sections] == [
        (0, []),
        (2, ["A", "B"]),
        (3, ["A", "B", "C"]),
        (2, ["A", "D"]),
        (1, ["E"]),
    ]


def test_ids_follow_headings_not_places() -> None:
    tail = [Block("heading", "A", 1), Block("paragraph", "a")]
    _, before = cut([*tail, *tail])
    _, after = cut([Block("paragraph", "new"), *tail, *tail])
    assert [s.section_id for s in after[1:]] == [s.section_id for s in before]
    assert before[0].section_id != before[1].section_id


def test_page_is_where_the_section_begins() -> None:
    _, sections = cut([Block("heading", "A", 1, page=2), Block("paragraph", "a", page=3)])
    assert sections[0].page == 2


def test_a_heading_without_end_is_repeated_in_part() -> None:
    """Half a megabyte of Markdown once made gigabytes of rows."""
    name = "long heading " * 1000
    bodies = [Block("heading", "part", 2), Block("paragraph", "text")]
    text, sections = cut([Block("heading", name, 1), *bodies * 50])
    assert text.startswith(name.strip())  # nothing of the document itself is lost
    assert sum(len("".join(section.heading_path)) for section in sections) < 50 * 210
    assert {section.heading_path[0] for section in sections} == {name[:200].strip()}
