"""What other packages bring is found by entry point, or by module:attribute."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rag_assets import Block, Extracted, FoundFile, Source, plugins
from rag_assets.contracts import check_reader, check_source_kind
from rag_assets.documents import stage as documents
from rag_assets.documents.worker import ParsingPool
from rag_assets.models.clients.roles import Models
from rag_assets.pipeline.run import ModelFacts
from rag_assets.pipeline.stages import DOCUMENTS, STAGES, with_readers
from rag_assets.settings import load_settings
from rag_assets.sources.declaration import SourceError
from rag_assets.sources.listing import states
from rag_assets_tests.fakes import FakeChat, FakeEmbedder


class Cards:
    """Reads index cards: a title, then lines."""

    media_types = ("application/x-cards",)
    version = "1"

    def recognise(self, data: bytes, name: str) -> str | None:
        return self.media_types[0] if data.startswith(b"CARD ") else None

    def read(self, data: bytes) -> Extracted:
        title, *lines = data.decode().splitlines()
        blocks = [Block("paragraph", line) for line in lines]
        return Extracted(self.media_types[0], blocks, title.removeprefix("CARD "))


class Shelf:
    """A place with one file."""

    notices = ()

    def __init__(self, source: Source) -> None:
        self._name = source.name

    def files(self) -> list[FoundFile]:
        return [FoundFile(f"{self._name}:one.txt", "one", 8, 0, "1")]

    def examine(self, files: list[FoundFile], known: object) -> list[FoundFile]:
        return files

    def read(self, file: FoundFile) -> bytes:
        return b"One text"


@contextmanager
def shelf(source: Source) -> Iterator[Shelf]:
    yield Shelf(source)


def our_chat(role: str) -> FakeChat:
    return FakeChat(name="llm" if role == "llm" else "slm", model_id=f"our/{role}")


CARDS = Cards()
CARD = b"CARD Ferries\nThe ferry sails at nine every morning."


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package that is installed, with an object of each kind."""
    here = "rag_assets_tests.test_plugins"
    info = tmp_path / "brought-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: brought\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        f"[rag_assets.readers]\ncards = {here}:CARDS\n"
        f"[rag_assets.source_kinds]\nshelf = {here}:shelf\n"
        f"[rag_assets.embedders]\nour = rag_assets_tests.fakes:FakeEmbedder\n"
        f"[rag_assets.chat_models]\nour = {here}:our_chat\nlost = {here}:nowhere\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    plugins._entries.cache_clear()
    yield
    plugins._entries.cache_clear()


def test_an_installed_reader_reads_and_is_part_of_the_fingerprint(packaged: None) -> None:
    facts = ModelFacts(Models(embedder=FakeEmbedder(), slm=our_chat("slm"), llm=our_chat("llm")))
    stage = next(one for one in with_readers(STAGES) if one.name == DOCUMENTS.name)
    named = "rag_assets_tests.test_plugins.Cards/1"
    assert stage.fingerprint(facts) == f"{DOCUMENTS.fingerprint(facts)}/{named}"
    assert "readers" not in documents.parts()


def test_a_reader_keeps_its_contract() -> None:
    check_reader(CARDS, CARD, "ferries.card")


def test_a_reader_reaches_the_processes_that_read() -> None:
    with ParsingPool(1) as pool:
        (read,) = pool.read_all([(lambda: CARD, "ferries.card")], [CARDS])
    assert getattr(read, "title", read) == "Ferries"


def test_a_kind_of_source_is_named_and_lists(packaged: None) -> None:
    source = Source(name="ours", kind="shelf", where="ours://shelf", storage={"row": 1})
    assert states(source) == {"ours:one.txt": "1"}
    check_source_kind(shelf, source)
    same = Source(name="ours", kind="rag_assets_tests.test_plugins:shelf", where="ours://shelf")
    assert states(same) == states(source)
    with pytest.raises(SourceError, match="archive, web, shelf, or module:name"):
        Source(name="ours", kind="bookcase", where="ours://shelf")


def test_settings_name_who_serves_a_role(packaged: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_EMBEDDER", "our")
    monkeypatch.setenv("RAG_SLM", "rag_assets_tests.test_plugins:our_chat")
    monkeypatch.setenv("RAG_LLM", "our")
    models = Models()
    assert (models.embedder.model_id, models.slm.model_id) == ("fake/embedder", "our/slm")
    facts = ModelFacts(models)
    assert facts.identities["llm"] == {"model_id": "our/llm", "revision": "0" * 40}
    assert facts.max_tokens == 254  # special tokens taken off
    assert set(load_settings().models) == {"embedder", "slm", "llm"}


@pytest.mark.parametrize(
    ("name", "said"), [("none", "installed: lost, our"), ("lost", "cannot import lost = ")]
)
def test_what_cannot_be_had_is_named(packaged: None, name: str, said: str) -> None:
    with pytest.raises(plugins.PluginError, match=said):
        plugins.find(plugins.CHAT_MODELS, name)
