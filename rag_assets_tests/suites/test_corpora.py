import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from rag_assets.errors import CommandError
from rag_assets.lake.store import LakeStore
from rag_assets.models.profile_files import load_profile
from rag_assets.models.profiles import Profile
from rag_assets.sources.catalog import declared
from rag_assets_tests.evaluations.lab import Bench
from rag_assets_tests.suites import corpora
from rag_assets_tests.suites.corpora import ingested
from rag_assets_tests.suites.datasets import Document
from rag_assets_tests.world import with_version

DOCUMENTS = [Document("d1", "Alder", "Built in 1994.", "en"), Document("d2", "", "Rowan.", "en")]
PROFILE = load_profile("cpu")


class Refreshes:
    """Counts refreshes; the next ones fail if told so."""

    def __init__(self) -> None:
        self.n = 0
        self.fails = False

    def __call__(self, home: Path, *_: object) -> None:
        self.n += 1
        if self.fails:
            raise CommandError("the refresh failed")


@pytest.fixture
def refreshes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Refreshes:
    made = Refreshes()
    monkeypatch.setattr(corpora, "_refresh", made)
    return made


def ingest(
    bench: Bench,
    documents: list[Document] = DOCUMENTS,
    *,
    profile: Profile = PROFILE,
    enriched: bool = False,
) -> LakeStore:
    lab = replace(bench.lab(), profile=profile)
    return ingested(lab, "tiny", iter(documents), enriched=enriched)


def test_a_set_is_a_source_of_a_home_of_its_own(bench: Bench, refreshes: Refreshes) -> None:
    store = ingest(bench)
    home = bench.settings.evaluations / "corpora" / "tiny"
    assert store.uri == str(home / "lake")
    (source,) = declared(home / "sources.yaml").values()
    assert (source.name, source.where, source.enrich) == ("tiny", str(home / "corpus"), "none")
    assert sorted(p.name for p in (home / "corpus").glob("*.txt")) == ["d1.txt", "d2.txt"]
    assert refreshes.n == 1
    assert bench.lines == ["ingesting 2 documents of tiny"]


def test_what_is_ingested_is_not_ingested_again(bench: Bench, refreshes: Refreshes) -> None:
    ingest(bench)
    ingest(bench, DOCUMENTS[::-1])
    assert (refreshes.n, len(bench.lines)) == (1, 1)


@pytest.mark.parametrize(
    "documents",
    [
        DOCUMENTS[:1],
        [*DOCUMENTS, Document("d3", "", "New.", "en")],
        [replace(DOCUMENTS[0], text="Built in 1995."), DOCUMENTS[1]],
        [replace(DOCUMENTS[0], title="Elder"), DOCUMENTS[1]],
    ],
    ids=["gone", "new", "text", "title"],
)
def test_other_documents_are_ingested(
    bench: Bench, refreshes: Refreshes, documents: list[Document]
) -> None:
    ingest(bench)
    ingest(bench, documents)
    assert refreshes.n == 2
    folder = bench.settings.evaluations / "corpora" / "tiny" / "corpus"
    assert len(list(folder.glob("*.txt"))) == len(documents)


def test_enrichment_models_and_stages_count(
    bench: Bench, refreshes: Refreshes, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(bench)
    ingest(bench, enriched=True)
    assert refreshes.n == 2
    embedder = replace(PROFILE.spec("embedder"), model_id="another")
    other = replace(PROFILE, roles={**PROFILE.roles, "embedder": embedder})
    ingest(bench, enriched=True, profile=other)
    assert refreshes.n == 3
    monkeypatch.setattr(corpora, "STAGES", with_version(corpora.STAGES, "documents", "another"))
    ingest(bench, enriched=True, profile=other)
    assert refreshes.n == 4
    home = bench.settings.evaluations / "corpora" / "tiny"
    assert yaml.safe_load((home / "sources.yaml").read_text())["sources"][0]["enrich"] == "full"


def test_a_failed_refresh_is_done_again(bench: Bench, refreshes: Refreshes) -> None:
    refreshes.fails = True
    with pytest.raises(CommandError):
        ingest(bench)
    refreshes.fails = False
    ingest(bench)
    ingest(bench)
    assert refreshes.n == 2


# The child process


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the interpreter: tells its arguments and its places, fails if told so."""
    path = tmp_path / "python"
    path.write_text(
        "#!/bin/sh\n"
        'echo "chunks: 1 of 3 (12 s left)"\n'
        'echo "args $*"\n'
        'echo "home $RAG_HOME state $RAG_STATE lake [$RAG_LAKE] postgres [$RAG_POSTGRES_URL]"\n'
        "exit ${CHILD_FAILS:-0}\n"
    )
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))
    monkeypatch.setenv("RAG_LAKE", "/of/the/product")
    monkeypatch.setenv("RAG_POSTGRES_URL", "postgresql://of.the.product")
    return path


def refresh(folder: Path) -> list[str]:
    told: list[str] = []
    corpora._refresh(folder / "own", Bench(folder).settings, told.append)
    return told


def test_progress_is_told(child: Path, tmp_path: Path) -> None:
    assert refresh(tmp_path) == ["chunks: 1 of 3 (12 s left)"]


def test_a_failure_tells_what_the_child_said_and_where_it_worked(
    child: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHILD_FAILS", "3")
    with pytest.raises(CommandError, match="ended with 3") as caught:
        refresh(tmp_path)
    said = str(caught.value)
    assert "args -m rag_assets refresh" in said
    settings = Bench(tmp_path).settings
    assert f"home {tmp_path / 'own'} state {settings.state} lake [] postgres []" in said
