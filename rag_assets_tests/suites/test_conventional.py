import random
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.lake import generations
from rag_assets.lake.store import LakeError, LakeStore
from rag_assets_tests.documents import pdfs
from rag_assets_tests.suites import conventional
from rag_assets_tests.suites.conventional import (
    OVERLAP_CHARS,
    VARIANTS,
    WINDOW_CHARS,
    Built,
    Variant,
    build_variant,
    naive_text,
    windows,
)
from rag_assets_tests.world import LABELS, CountingEmbedder, World

WORDS = "Ferries leave the harbour of Kelva at seven and reach Torsker an hour later. "
HANDBOOK = (
    f"# Handbook\n\n{WORDS * 20}\n\n## Fares\n\nAdults pay 40 crowns.\n\n## Dogs\n\n{WORDS * 3}"
)
PAGE = f"""<!doctype html>
<html><head><title>The linkspan</title><style>p {{color: red}}</style></head>
<body><nav><a href="/">Timetables</a><a href="/b">Bookings</a></nav>
<main><h1>The linkspan</h1><p>{WORDS * 4}</p><p>The linkspan is closed for repairs.</p></main>
<script>var hidden = 1;</script>
<footer>Norrsund Line is a registered company.</footer></body></html>
"""


def fill(world: World) -> World:
    """Prose, a page, a PDF, a copy, and a second partition; all of it is live."""
    world.write("handbook.md", HANDBOOK)
    world.write("copies/handbook.md", HANDBOOK)
    world.write("page.html", PAGE)
    world.write("paper.pdf", pdfs.write([[("h1", "Sailing rules"), ("p", pdfs.BODY)]] * 2))
    world.write("empty.md", "")
    other = World(world.root.parent, world.store, "more")
    other.write("note.txt", "A note on the lighthouse of Utgrund.")
    other.stages()
    publish(world)
    return world


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Shared by the tests that change nothing in it."""
    folder = tmp_path_factory.mktemp("conventional")
    return fill(World(folder, LakeStore(str(folder / "lake"))))


@pytest.fixture
def own(world: World) -> World:
    """The same, for one test alone."""
    return fill(world)


def publish(world: World) -> None:
    generations.publish(world.store, world.refresh().generation)


def build(world: World, variant: Variant, embedder: CountingEmbedder | None = None) -> Built:
    folder = lake_of(world, variant).parent
    embedder = embedder or world.embedder
    return build_variant(world.store, variant, folder=folder, embedder=embedder)


def lake_of(world: World, variant: Variant) -> Path:
    return world.root.parent / "variants" / variant


def rows_of(world: World, variant: Variant) -> list[dict[str, Any]]:
    build(world, variant)
    lake = LakeStore(str(lake_of(world, variant)))
    return sorted(lake.rows("chunk_index"), key=lambda r: (r["uri"], r["start"]))


def texts_of(world: World, variant: Variant) -> Mapping[str, str]:
    """Uri -> the text that a variant cuts."""
    found = {}
    for partition in world.store.partitions("documents"):
        for row in world.store.rows("documents", partition):
            data = world.store.get_blob(row["raw_hash"])
            naive = variant == "fixed"
            found[row["uri"]] = naive_text(data, row["media_type"]) if naive else row["text"]
    return found


# Windows


@given(st.integers(0, 5000), st.integers(1, 400), st.data())
def test_windows_cover_the_text_and_overlap(length: int, size: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, size - 1))
    found = windows(length, size=size, overlap=overlap)
    assert {at for start, end in found for at in range(start, end)} == set(range(length))
    assert all(end - start == size for start, end in found[:-1])
    assert all(0 < end - start <= size for start, end in found)
    for (_, end), (start, later_end) in pairwise(found):
        assert end - start == overlap
        assert end < later_end  # no window lies within the one before it


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (0, []),
        (1, [(0, 1)]),
        (1000, [(0, 1000)]),
        (1001, [(0, 1000), (800, 1001)]),
        (1800, [(0, 1000), (800, 1800)]),
    ],
)
def test_windows_worked_example(length: int, expected: list[tuple[int, int]]) -> None:
    assert windows(length) == expected


@pytest.mark.parametrize("overlap", [-1, 10, 11])
def test_windows_must_advance(overlap: int) -> None:
    with pytest.raises(ValueError, match=f"overlap {overlap} and size 10"):
        windows(5, size=10, overlap=overlap)


# Naive text


def test_naive_page_keeps_menus_and_footers_but_no_code() -> None:
    lines = naive_text(PAGE.encode(), "text/html").split("\n")
    assert lines[:2] == ["Timetables", "Bookings"]
    assert lines[-1] == "Norrsund Line is a registered company."
    assert not any("hidden" in line or "color" in line for line in lines)


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
def test_naive_page_is_decoded_once(encoding: str) -> None:
    declared = '<?xml version="1.0" encoding="windows-1252"?>' if encoding == "cp1252" else ""
    page = f"{declared}<html><body><p>Färja</p><p>Königin</p></body></html>"
    assert naive_text(page.encode(encoding), "text/html") == "Färja\nKönigin"


def test_naive_pdf_keeps_running_headers() -> None:
    data = pdfs.write([[("p", "One.")], [("p", "Two.")]])
    text = naive_text(data, "application/pdf")
    assert text.count("Norrsund Ferries internal") == 2
    assert text.index("One.") < text.index("Page 1") < text.index("Two.")


def test_pdf_that_this_reader_cannot_open_has_no_text() -> None:
    assert naive_text(b"%PDF-1.4 broken", "application/pdf") == ""


def test_naive_text_can_be_stored() -> None:
    utf7 = b"charset=utf-7 +2D0- \xff"  # decodes to a lone surrogate in Python
    naive_text(utf7, "text/plain").encode()


# Variants


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_row_is_cut_from_its_text(full: World, variant: Variant) -> None:
    texts = texts_of(full, variant)
    rows = rows_of(full, variant)
    assert {row["partition"] for row in rows} == {"docs.0", "more.0"}
    seen: dict[str, set[int]] = {}
    for row in rows:
        assert texts[row["uri"]][row["start"] : row["end"]] == row["text"]
        seen.setdefault(row["uri"], set()).update(range(row["start"], row["end"]))
    copies = {"docs:copies/handbook.md", "docs:handbook.md"}
    assert len(seen.keys() & copies) == (2 if variant == "fixed" else 1)
    assert seen.keys() | copies == texts.keys()
    for uri, positions in seen.items():  # blank lines between sections are nobody's
        lost = [char for at, char in enumerate(texts[uri]) if at not in positions]
        assert "".join(lost).strip() == ""


@pytest.mark.parametrize("variant", VARIANTS)
def test_ids_are_unique_and_counts_true(full: World, variant: Variant) -> None:
    rows = rows_of(full, variant)
    built = build(full, variant)
    assert len({row["chunk_id"] for row in rows}) == len(rows) == built.n_chunks
    assert len({row["row_hash"] for row in rows}) == len(rows) == len(built.reader)
    assert len({row["uri"] for row in rows}) == built.n_documents
    assert built.reader.generation.id.startswith(f"{variant}-")
    assert generations.generation_ids(LakeStore(str(lake_of(full, variant)))) == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_found_by_vector_and_by_text(full: World, variant: Variant) -> None:
    reader = build(full, variant).reader
    question = "lighthouse of Utgrund"
    by_vector = reader.search("", full.embedder.embed([question])[0])[0]
    by_text = reader.search(question, None)[0]
    assert by_vector.chunk == by_text.chunk
    assert by_vector.chunk.uri == "more:note.txt"
    assert by_vector.similarity is not None
    assert by_text.bm25 is not None
    lake = LakeStore(str(lake_of(full, variant)))
    table = lake.table("chunk_index")
    assert table is not None
    indexed = {column for index in table.list_indices() for column in index.columns}
    assert indexed == {"search_text", "chunk_id", "section_id", "document_id", "partition", "uri"}


def test_fixed_holds_copies_twice_and_knows_no_titles(full: World) -> None:
    rows = rows_of(full, "fixed")
    one = [row["text"] for row in rows if row["uri"] == "docs:handbook.md"]
    other = [row["text"] for row in rows if row["uri"] == "docs:copies/handbook.md"]
    assert one == other
    assert len(one) > 1
    assert all(row["aliases"] == [] and row["heading_path"] == [] for row in rows)
    assert {row["title"] for row in rows} == {
        "handbook.md", "page.html", "paper.pdf", "note.txt",
    }  # fmt: skip
    assert any("Timetables" in row["text"] for row in rows)


@pytest.mark.parametrize("variant", ["deduplicated", "sectioned", "disciplined"])
def test_others_collapse_copies_into_aliases(full: World, variant: Variant) -> None:
    handbook = [row for row in rows_of(full, variant) if row["title"] == "Handbook"]
    (place,) = {(row["uri"], *row["aliases"]) for row in handbook}
    assert sorted(place) == ["docs:copies/handbook.md", "docs:handbook.md"]
    assert not any("Timetables" in row["text"] for row in rows_of(full, variant))


@pytest.mark.parametrize("variant", ["fixed", "deduplicated"])
def test_bare_window_is_its_own_section(full: World, variant: Variant) -> None:
    reader = build(full, variant).reader
    for row in rows_of(full, variant):
        (chunks,) = reader.sections([row["section_id"]]).values()
        assert [chunk.chunk_id for chunk in chunks] == [row["chunk_id"]]
        assert row["end"] - row["start"] <= WINDOW_CHARS
        assert row["search_text"] == row["text"]


def test_sections_are_never_crossed(full: World) -> None:
    sections = {
        row["section_id"]: row
        for partition in full.store.partitions("sections")
        for row in full.store.rows("sections", partition)
    }
    rows = rows_of(full, "sectioned")
    assert any(row["ordinal"] == 1 for row in rows)
    for row in rows:
        section = sections[row["section_id"]]
        assert section["start"] <= row["start"] < row["end"] <= section["end"]
        assert row["heading_path"] == section["heading_path"]
        assert row["search_text"] == row["text"]
    fares = [row for row in rows if row["heading_path"] == ["Handbook", "Fares"]]
    assert [row["text"] for row in fares] == ["Fares\n\nAdults pay 40 crowns."]
    firsts = [r for r in rows if r["heading_path"] == ["Handbook"]]
    assert firsts[0]["end"] - firsts[1]["start"] == OVERLAP_CHARS


def test_disciplined_is_the_index_without_enrichment(full: World) -> None:
    ours = {row["chunk_id"]: row for row in full.store.rows("chunk_index")}
    rows = rows_of(full, "disciplined")
    assert {row["chunk_id"] for row in rows} == ours.keys()
    for row in rows:
        enriched = ours[row["chunk_id"]]
        if row["partition"] == full.partition:  # the other partition is as rich, or as poor
            assert str(LABELS["question"]) in enriched["search_text"]
        assert enriched["search_text"].startswith(row["search_text"])
        assert str(LABELS["question"]) not in row["search_text"]
        assert (row["document_type"], row["topics"]) == ("", [])
        changed = {"search_text", "document_type", "topics", "copies", "stated", "row_hash"}
        assert {k: v for k, v in row.items() if k not in changed} == {
            k: v for k, v in enriched.items() if k not in changed
        }
    fares = [row for row in rows if row["heading_path"] == ["Handbook", "Fares"]]
    assert fares[0]["search_text"].startswith("Handbook > Fares\n")


# Built once


def test_second_build_does_nothing(full: World) -> None:
    first = {variant: build(full, variant) for variant in VARIANTS}
    full.embedder.asked.clear()
    for variant in VARIANTS:
        again = build(full, variant)
        assert again.reader.generation == first[variant].reader.generation
        assert again.n_cut == first[variant].n_cut
    assert full.embedder.asked == []


def test_variants_share_vectors_and_stored_ones_are_used(full: World, tmp_path: Path) -> None:
    full.embedder.asked.clear()
    for variant in VARIANTS:
        if variant == "disciplined":
            n_asked = len(full.embedder.asked)
        build_variant(full.store, variant, folder=tmp_path, embedder=full.embedder)
    assert len(set(full.embedder.asked)) == len(full.embedder.asked) == n_asked


@pytest.mark.parametrize("variant", VARIANTS)
def test_changed_source_is_built_again(own: World, variant: Variant) -> None:
    before = build(own, variant)
    n_before = len(before.reader)
    own.embedder.asked.clear()
    own.write("new.txt", "A new word: archipelago.")
    publish(own)
    after = build(own, variant)
    assert after.reader.generation.id != before.reader.generation.id
    assert [hit.chunk.uri for hit in after.reader.search("archipelago", None)] == ["docs:new.txt"]
    assert after.n_documents == before.n_documents + 1
    assert len(before.reader) == n_before  # whoever reads the older state still does
    assert all("archipelago" in text for text in own.embedder.asked)


def test_changed_copy_is_built_again_though_the_index_stands(own: World) -> None:
    # "fixed" reads copies, of which the live index knows no more than their names.
    build(own, "fixed")
    own.write("copies/handbook.md", HANDBOOK.replace("\n\n## Dogs", "\r\n\r\n## Dogs"))
    before = generations.live_generation(own.store)
    publish(own)
    after = generations.live_generation(own.store)
    assert before is not None
    assert after is not None
    assert after.data_version == before.data_version
    copies = [row for row in rows_of(own, "fixed") if row["uri"] == "docs:copies/handbook.md"]
    assert "\r\n## Dogs" in "".join(row["text"] for row in copies)


def test_another_embedder_is_another_index(own: World) -> None:
    before = build(own, "sectioned")
    wider = CountingEmbedder(revision="2", dimension=32)
    after = build(own, "sectioned", wider)
    assert after.n_chunks == before.n_chunks
    assert wider.asked
    assert after.reader.generation.models["embedder"]["revision"] == "2"
    with pytest.raises(LakeError, match=r"expected vectors of fake/embedder 2 .*rag refresh"):
        build(own, "disciplined", wider)


def test_progress_ends_with_all_documents(
    full: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conventional, "EMBED_BATCH", 2)
    seen: list[tuple[int, int]] = []
    built = build_variant(
        full.store,
        "fixed",
        folder=tmp_path,
        embedder=full.embedder,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == sorted(seen)
    assert seen[-1] == (built.n_documents, built.n_documents) == (5, 5)
    assert len(seen) > 2
    assert len(built.reader) == len(rows_of(full, "fixed"))  # however they are batched


# What does not fit, what is not there


def test_window_longer_than_the_embedder_takes_is_cut_and_counted(world: World) -> None:
    chance = random.Random(1)
    text = "0 1 2 3 " + " ".join(chance.choice("0123456789") for _ in range(550))
    world.write("dense.txt", text + ".")
    world.write("short.txt", "A few words that fit into any window.")
    publish(world)
    world.embedder.asked.clear()
    built = build(world, "deduplicated")
    assert built.n_cut == 1
    assert len(built.reader) == len(world.embedder.asked) == 3
    (cut,) = [asked for asked in world.embedder.asked if asked.startswith("0 1 2 3 ")]
    assert world.embedder.count(cut) == world.embedder.max_tokens
    whole = rows_of(world, "deduplicated")[0]["text"]
    assert whole.startswith(cut)
    assert len(whole) == WINDOW_CHARS
    assert build(world, "disciplined").n_cut == 0


def test_blank_window_is_left_out(world: World) -> None:
    world.write("gap.txt", "Before." + " " * 3000 + "After it.")
    publish(world)
    assert [row["text"].strip() for row in rows_of(world, "fixed")] == ["Before.", "After it."]


def test_document_without_its_bytes_is_left_out_of_fixed(own: World, tmp_path: Path) -> None:
    (row,) = own.store.rows("source_files", "more.0")
    (tmp_path / "lake" / "raw" / row["raw_hash"][:2] / row["raw_hash"]).unlink()
    assert "more:note.txt" not in {row["uri"] for row in rows_of(own, "fixed")}
    assert "more:note.txt" in {row["uri"] for row in rows_of(own, "deduplicated")}


def test_lake_without_a_live_generation_is_named(world: World) -> None:
    world.write("a.txt", "Not published yet.")
    world.refresh()
    with pytest.raises(LakeError, match=r"no generation is live in .*rag refresh"):
        build(world, "fixed")


def test_empty_lake_gives_an_empty_index(world: World) -> None:
    publish(world)
    for variant in VARIANTS:
        built = build(world, variant)
        assert (built.n_chunks, built.n_documents, built.n_cut) == (0, 0, 0)
        assert built.reader.search("anything", world.embedder.embed(["anything"])[0]) == []
