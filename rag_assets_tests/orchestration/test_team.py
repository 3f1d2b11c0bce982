"""A team's own definitions: a stage, a reader and an asset beside ours, run by ``refresh_job``."""

from pathlib import Path

import dagster as dg
import pytest

from rag_assets import Source, build_defs
from rag_assets.lake.generations import live
from rag_assets.lake.store import LakeStore
from rag_assets.orchestration.in_process import named_stages, run_refresh_job
from rag_assets.orchestration.refreshing import plan_of, stages_in_force
from rag_assets.orchestration.resources import SourcesResource
from rag_assets.pipeline.stages import STAGES
from rag_assets.settings import load_settings
from rag_assets_tests.orchestration.graph import sources_of
from rag_assets_tests.pipeline.test_toy_stage import LISTED, TABLE
from rag_assets_tests.test_plugins import CARD, CARDS
from rag_assets_tests.world import in_process, store

__all__ = ["in_process", "store"]


@dg.asset(deps=[TABLE.name])
def word_report() -> None:
    """A team's own."""


def team_defs() -> dg.Definitions:
    return build_defs(stages=LISTED, readers=[CARDS], assets=[word_report])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "ferries.card").write_bytes(CARD)
    (tmp_path / "sources.yaml").write_text(
        "sources:\n  - {name: docs, kind: folder, where: docs, enrich: false}\n"
    )
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    monkeypatch.setenv("RAG_DEFINITIONS", f"{__name__}:team_defs")
    monkeypatch.setenv("RAG_EMBEDDER", "rag_assets_tests.fakes:FakeEmbedder")
    for role in ("RAG_SLM", "RAG_LLM"):
        monkeypatch.setenv(role, "rag_assets_tests.test_plugins:our_chat")
    for name in ("RAG_LAKE", "RAG_POSTGRES_URL", "RAG_STATE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_a_refresh_runs_what_a_team_brings(home: Path, in_process: None) -> None:
    settings = load_settings()
    assert [one.name for one in stages_in_force(settings)] == [one.name for one in LISTED]
    assert not plan_of(settings, sources_of("docs")).plan.is_empty
    with dg.instance_for_test() as instance:
        runs = run_refresh_job(instance, ["docs.0"], lambda _line: None)
    assert [run.errors for run in runs] == [[]]
    lake = LakeStore(settings.lake_uri)
    (row,) = lake.rows(TABLE.name, "docs.0")
    assert row["n_words"] == 7
    (document,) = lake.rows("documents", "docs.0", columns=["title", "fingerprint"])
    assert document["title"] == "Ferries"
    assert document["fingerprint"].endswith("test_plugins.Cards/1")
    assert live(lake) is not None
    assert plan_of(settings, sources_of("docs")).plan.is_empty


def test_without_a_teams_definitions_the_stages_are_ours(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAG_DEFINITIONS")
    assert stages_in_force(load_settings()) is STAGES
    assert named_stages() is STAGES


def test_sources_can_be_given(store: LakeStore) -> None:
    source = Source(name="ours", kind="folder", where="/ours", cron="0 3 * * *", exclude=("*.tmp",))
    defs = build_defs(sources=[source])
    assert defs.get_repository_def().get_schedule_def("refresh_ours").cron_schedule == "0 3 * * *"
    resource = (defs.resources or {})["sources"]
    assert isinstance(resource, SourcesResource)
    assert resource.catalog(store) == {"ours": source}
