from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rag_assets.chunks.stage import chunk_rows
from rag_assets.documents.cleaning import clean_blocks
from rag_assets.documents.readers.blocks import Block
from rag_assets.lake.identity import text_hash
from rag_assets.pipeline.stage import refresh_stage
from rag_assets.pipeline.stages import CHUNKS
from rag_assets.sections.tree import cut_sections
from rag_assets_tests.world import WordCounter, World, run_of

blocks = st.lists(
    st.one_of(
        st.builds(
            Block, st.just("heading"), st.sampled_from(["A", "B é\u0301"]), st.integers(1, 3)
        ),
        st.builds(
            Block,
            st.sampled_from(["paragraph", "list", "code", "table"]),
            st.text("ab. \n漢\U0001f680\xad\u0301", max_size=150),
        ),
    ),
    max_size=6,
)


def rows_of(given_blocks: list[Block], max_tokens: int) -> tuple[str, list[dict[str, Any]]]:
    """A document's text and its chunk rows."""
    cleaned = clean_blocks(given_blocks)
    text, spans = cleaned.text, cleaned.blocks
    found = [
        {"kind": s.kind, "level": s.level, "start": s.start, "end": s.end, "page": s.page}
        for s in spans
    ]
    sections = [
        {
            "section_id": section.section_id, "document_id": "doc_1", "title": "Title",
            "row_hash": "1",
            "ordinal": section.ordinal, "heading_path": section.heading_path,
            "start": section.start, "text": text[section.start : section.end],
            "blocks": section.blocks,
        }
        for section in cut_sections("doc_1", text, found)
    ]  # fmt: skip
    return text, list(chunk_rows(sections, WordCounter(), max_tokens))


def test_a_chunk_over_three_pages_says_where_each_begins() -> None:
    table = "Ship | Yard | Year\nRowan | Hestvik | 1994\nTern | Solvik | 2003"
    text, rows = rows_of(
        [
            Block("heading", "Yards", 1, page=1),
            Block("paragraph", "The planks are oak.", page=1),
            Block("paragraph", "Hestvik replaces them.", page=2),
            Block("paragraph", "Solvik pays.", page=2),
            Block("table", table, page=3),
        ],
        200,
    )
    (row,) = rows
    begins = [(text[one["start"] :].split()[0], one["page"]) for one in row["pages"]]
    assert begins == [("Yards", 1), ("Hestvik", 2), ("Ship", 3)]
    assert row["page"] == 1


def test_a_chunk_that_begins_within_a_page_names_that_page_first() -> None:
    _, rows = rows_of([Block("paragraph", f"{'w ' * 60}.", page=4)], 32)
    assert len(rows) > 1
    assert [row["pages"] for row in rows] == [[{"start": r["start"], "page": 4}] for r in rows]


def test_a_format_without_pages_has_none() -> None:
    _, rows = rows_of([Block("heading", "A", 1), Block("paragraph", "Word by word.")], 200)
    assert [row["pages"] for row in rows] == [[]]


@settings(max_examples=60)
@given(blocks, st.integers(32, 80))
def test_chunks_point_back_into_the_document(given_blocks: list[Block], max_tokens: int) -> None:
    text, rows = rows_of(given_blocks, max_tokens)
    kinds = [(span.kind, span.start, span.end) for span in clean_blocks(given_blocks).blocks]
    position = 0
    for row in rows:
        assert text[row["start"] : row["end"]] == row["text"]
        assert not text[position : row["start"]].strip()
        position = row["end"]
        places = [(block["start"], block["end"]) for block in row["blocks"]]
        assert places == sorted(places)
        assert all(row["start"] <= start < end <= row["end"] for start, end in places)
        for block in row["blocks"]:
            assert any(
                kind == block["kind"] and start <= block["start"] and block["end"] <= end
                for kind, start, end in kinds
            )
        within = sum(end - start for start, end in places)
        assert within >= len("".join(row["text"].split()))
    assert not text[position:].strip()
    ids = [row["chunk_id"] for row in rows]
    assert len(set(ids)) == len(ids)
    assert rows_of(given_blocks, max_tokens)[1] == rows


def test_chunk_names_its_section_and_page() -> None:
    _, rows = rows_of(
        [
            Block("heading", "A", 1, page=1),
            Block("paragraph", "w " * 40, page=1),
            Block("paragraph", "x " * 40, page=2),
        ],
        50,
    )
    assert [(r["page"], r["ordinal"]) for r in rows] == [(1, 0), (2, 1)]
    assert {r["header"] for r in rows} == {"Title > A"}
    assert rows[0]["embedded_hash"] == text_hash(f"Title > A\n{rows[0]['text']}")


def test_ids_stand_for_as_long_as_the_text_stands() -> None:
    kept = [Block("heading", "A", 1), Block("paragraph", "kept text")]
    added = [Block("heading", "B", 1), Block("paragraph", "new text")]
    before, after = rows_of(kept, 40)[1], rows_of([*added, *kept], 40)[1]
    assert before[0]["chunk_id"] == after[1]["chunk_id"]
    assert before[0]["start"] != after[1]["start"]


def test_equal_passages_of_one_section_have_ids_of_their_own() -> None:
    _, rows = rows_of([Block("paragraph", "same " * 30), Block("paragraph", "same " * 30)], 45)
    assert rows[0]["text"] == rows[1]["text"]
    assert rows[0]["chunk_id"] != rows[1]["chunk_id"]


def test_another_window_cuts_anew(world: World) -> None:
    world.write("a.md", "# A\n\n" + "word " * 100)
    world.stages()

    def again(max_tokens: int, tokenizer_id: str = "words") -> tuple[int, bool]:
        with run_of(world.store, [world.source], max_tokens=max_tokens) as run:
            run.facts = replace(world.facts, tokenizer_id=tokenizer_id, max_tokens=max_tokens)
            report = refresh_stage(run, CHUNKS, world.partition)
        return report.n_rows["chunks"], report.is_noop

    assert again(60) == (2, True)
    assert again(40) == (3, False)
    assert again(40, "other") == (3, False)
    assert again(40, "other") == (3, True)
