"""A document's text: whole, or the part around a passage that fits."""

import pytest

from rag_assets.index.search import IndexReader
from rag_assets.lake.store import LakeStore
from rag_assets.serving import documents
from rag_assets.serving.documents import UnknownDocumentError, document_of
from rag_assets_tests.answers.fakes import WordEmbedder
from rag_assets_tests.answers.world import Doc, reader_of

SECTIONS = tuple((f"Part {n}", f"Text {n} " + "of some length " * (n % 4 + 1)) for n in range(12))
DOCS = [Doc("docs:long.md", "Long", SECTIONS), Doc("mail:a", "Short", (("Part", "One line."),))]


@pytest.fixture
def reader(store: LakeStore, embedder: WordEmbedder) -> IndexReader:
    return reader_of(store, DOCS, embedder)


def test_of_a_long_document_the_part_around_the_passage(
    reader: IndexReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks = reader.document(DOCS[0].document_id)
    whole = document_of(reader, chunks[3].chunk_id)
    texts = [chunk.text for chunk in chunks]
    assert whole["is_whole"]
    assert whole["text"].split("\n\n") == texts
    assert document_of(reader, DOCS[0].document_id)["text"] == whole["text"]
    monkeypatch.setattr(documents, "MOST_CHARS", 150)
    for at, chunk in enumerate(chunks):
        part = document_of(reader, chunk.chunk_id)
        found = part["text"].split("\n\n")
        low = texts.index(found[0])
        high = low + len(found)
        assert not part["is_whole"]
        assert low <= at < high
        assert found == texts[low:high]
        size = sum(map(len, found))
        assert size <= 150
        beside = [*texts[max(0, low - 1) : low], *texts[high : high + 1]]
        assert all(size + len(text) > 150 for text in beside)


def test_what_is_not_there_is_told(reader: IndexReader) -> None:
    with pytest.raises(UnknownDocumentError, match="there is no document 'absent'; search gives"):
        document_of(reader, "absent")
