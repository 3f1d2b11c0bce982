import json
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rag_assets.documents import reading
from rag_assets.documents.readers.blocks import Block, Extracted, RejectedError, Span
from rag_assets.documents.reading import read_document
from rag_assets.documents.stage import document_id, rows_of
from rag_assets.lake import delta
from rag_assets.lake.identity import text_hash
from rag_assets.settings import CHECKOUT
from rag_assets.sources.catalog import Source
from rag_assets_tests.documents import pdfs
from rag_assets_tests.world import World


def test_every_file_ends_in_one_of_two_tables(world: World) -> None:
    world.write("good.md", "# Title\n\nSome text in it.")
    world.write("empty.md", "")
    world.write("scan.pdf", pdfs.write_scan())
    world.write("image.png", b"\x89PNG\r\n\x1a\n\x00\x00")
    (world.root / "dangling.md").symlink_to("absent")
    report = world.stages()["documents"]
    assert report.n_rows == {"rejected_documents": 4, "documents": 1}
    (document,) = world.store.rows("documents", world.partition)
    assert document["document_id"] == document_id("docs:good.md")
    assert document["text_hash"] == text_hash(document["text"])
    assert document["title"] == "Title"
    rejected = world.store.rows("rejected_documents", world.partition)
    assert {row["uri"].partition(":")[2]: row["reason"] for row in rejected} == {
        "empty.md": "empty",
        "scan.pdf": "no text",
        "image.png": "unsupported",
        "dangling.md": "unreadable",
    }


def test_repaired_file_moves_over_and_back(world: World) -> None:
    for text, n_documents in (("", 0), ("some text", 1), ("", 0)):
        world.write("a.md", text)
        assert world.stages()["documents"].n_rows["documents"] == n_documents
        n_rejected = len(world.store.rows("rejected_documents", world.partition))
        assert n_rejected == 1 - n_documents


def test_edited_document_keeps_its_id(world: World) -> None:
    ids = set()
    for text in ("some text", "some other text"):
        world.write("a.md", text)
        world.stages()
        ids |= {row["document_id"] for row in world.store.rows("documents", world.partition)}
    assert len(ids) == 1


def test_untitled_document_is_called_by_its_file(world: World) -> None:
    world.write("notes.md", "no heading here")
    world.stages()
    (document,) = world.store.rows("documents", world.partition)
    assert document["title"] == "notes.md"


def test_unchanged_documents_are_not_read_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write("a.md", "some text")
    world.stages()

    def refuse(*_: object) -> bytes:
        raise AssertionError("read again")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    monkeypatch.setattr(world.store, "get_blob", refuse)
    assert world.stages()["documents"].is_noop


def test_recomputed_without_the_source(world: World) -> None:
    path = world.write("a.md", "some text")
    world.stages()
    path.unlink()
    world.change_code("documents")
    report = world.step("documents")
    assert report.n_rows["documents"] == 1
    assert report.n_written == 1


def test_sample_corpus_is_read_to_the_last_file(world: World) -> None:
    root = CHECKOUT / "data" / "sample" / "corpus"
    world.source = Source("docs", "folder", str(root))
    n_files = world.step("source_files").n_rows
    report = world.stages()
    rows = report["documents"].n_rows
    assert rows["documents"] + rows["rejected_documents"] == n_files["source_files"]
    rejected = world.store.rows("rejected_documents", world.partition, columns=["reason"])
    # A scan that is cut off, and an empty draft: they are there to be rejected.
    assert {row["reason"] for row in rejected} <= {"no text", "corrupt", "empty"}
    for document in world.store.rows("documents", world.partition):
        text = document["text"]
        assert all(text[b["start"] : b["end"]].strip() for b in document["blocks"])


def test_a_file_with_half_a_surrogate_pair_stops_nobody(world: World) -> None:
    world.write("good.md", "some text")
    world.write("half.json", json.dumps({"text": "half an emoji \ud83d", "\ud83d": 1}))
    world.write("whole.rtf", rb"{\rtf1\ansi an emoji \u-10179?\u-8704?\par}")
    assert world.stages()["documents"].n_rows == {"rejected_documents": 0, "documents": 3}
    assert world.stages()["documents"].is_noop
    texts = {row["text"] for row in world.store.rows("documents", world.partition)}
    assert texts == {"some text", "text: half an emoji \ufffd\n\ufffd: 1", "an emoji \U0001f600"}


FILE = {"uri": "docs:a.md", "raw_hash": "0" * 32, "size": 9, "row_hash": "1"}
ugly = st.text(st.characters(codec=None, exclude_categories=()) | st.sampled_from("\ud83d\ude00a"))
perhaps = st.none() | ugly
extracted = st.builds(
    Extracted,
    ugly,
    st.lists(st.builds(Block, st.sampled_from(["paragraph", "code"]), ugly.map("abc".__add__)),
             min_size=1, max_size=4),
    ugly, perhaps, perhaps, perhaps, perhaps, perhaps, perhaps,
)  # fmt: skip


@given(extracted)
@example(Extracted("\ud83d", [Block("code", "abc\ud83d")], "\ud83d", *["\ud83d"] * 6))
def test_whatever_readers_say_can_be_stored(said: Extracted) -> None:
    with patch.object(reading, "extract", return_value=said):
        document = read_document(b"", "a.md")
    made = rows_of([(FILE, document)])
    assert made["rejected_documents"].num_rows == 0
    (row,) = made["documents"].to_pylist()
    assert all(row["text"][b["start"] : b["end"]].startswith("abc") for b in row["blocks"])


@given(ugly)
def test_whatever_a_rejection_says_can_be_stored(detail: str) -> None:
    made = rows_of([(FILE, RejectedError("corrupt", detail))])
    assert made["rejected_documents"].num_rows == 1


def test_what_cannot_be_stored_costs_one_document() -> None:
    good = read_document(b"some text", "a.md")
    others = [{**FILE, "uri": f"docs:{name}.md"} for name in "bcd"]
    odd = [replace(good, author="\ud83d"), replace(good, blocks=[Span("list", 2**40, 0, 4, None)])]
    made = rows_of(zip([FILE, *others], [good, *odd, good], strict=True))
    assert made["documents"]["uri"].to_pylist() == ["docs:a.md", "docs:d.md"]
    rejected = made["rejected_documents"].to_pylist()
    assert [(row["uri"], row["reason"]) for row in rejected] == [
        ("docs:b.md", "corrupt"), ("docs:c.md", "corrupt"),
    ]  # fmt: skip
    assert all("cannot be stored" in row["detail"] for row in rejected)


def test_no_commit_is_of_more_bytes_than_memory_holds(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """64 files of 200 MB were read before any of them was stored."""
    for n in range(6):
        world.write(f"{n}.md", f"# Part {n}\n\n" + f"word {n} " * 60)
    world.write("small.md", "# Small\n\nword")
    monkeypatch.setattr(delta, "BATCH_BYTES", 1000)  # two of some 430
    n_commits = {}
    for name in ("source_files", "documents", "sections", "chunks"):
        world.step(name)
        table = world.store.table(name, world.partition)
        assert table is not None
        n_commits[name] = int(table.version) - 1  # one made the table
    assert n_commits == {"source_files": 1, "documents": 3, "sections": 3, "chunks": 3}
