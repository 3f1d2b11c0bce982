from pathlib import Path

import pytest

from rag_assets.documents.normalise import document_id
from rag_assets.lake.identity import text_hash
from rag_assets.settings import CHECKOUT
from rag_assets.sources import ingest
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


def test_recomputed_without_the_source(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from rag_assets.documents import normalise

    path = world.write("a.md", "some text")
    world.stages()
    path.unlink()
    monkeypatch.setattr(normalise, "CODE_VERSION", "other")
    report = normalise.normalise_documents(world.store, world.partition, run_id="r")
    assert report.n_rows["documents"] == 1
    assert report.n_written == 1


def test_sample_corpus_is_read_to_the_last_file(world: World) -> None:
    root = CHECKOUT / "data" / "sample" / "corpus"
    world.source = Source("docs", "folder", str(root))
    n_files = ingest.ingest(world.store, world.source, world.partition, run_id="r").n_rows
    report = world.stages()
    rows = report["documents"].n_rows
    assert rows["documents"] + rows["rejected_documents"] == n_files["source_files"]
    rejected = world.store.rows("rejected_documents", world.partition, columns=["reason"])
    # A scan that is cut off, and an empty draft: they are there to be rejected.
    assert {row["reason"] for row in rejected} <= {"no text", "corrupt", "empty"}
    for document in world.store.rows("documents", world.partition):
        text = document["text"]
        assert all(text[b["start"] : b["end"]].strip() for b in document["blocks"])
