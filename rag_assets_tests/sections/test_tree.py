from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rag_assets.documents.blocks import Block
from rag_assets.documents.reading import normalise
from rag_assets.sections.tree import Section, cut_sections

words = st.text("abc é\u0301漢\n", min_size=1, max_size=12)
blocks = st.lists(
    st.one_of(
        st.builds(Block, st.just("heading"), words, st.integers(1, 6)),
        st.builds(Block, st.sampled_from(["paragraph", "table"]), words),
    ),
    max_size=8,
)


def cut(given_blocks: list[Block]) -> tuple[str, list[Section]]:
    text, spans = normalise(given_blocks)
    rows: list[dict[str, Any]] = [
        {"kind": s.kind, "level": s.level, "start": s.start, "end": s.end, "page": s.page}
        for s in spans
    ]
    return text, cut_sections("doc_1", text, rows)


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
