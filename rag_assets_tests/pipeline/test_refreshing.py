"""A folder is refreshed and asked without Dagster, by models that are given."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree

import pytest

from rag_assets import Answerer, Pipeline, Refreshed, Source
from rag_assets.answers.rendering import record_text
from rag_assets.lake.figures import Finding
from rag_assets.lake.generations import live
from rag_assets.lake.leases import leased
from rag_assets.lake.store import LakeError, LakeStore
from rag_assets.pipeline.refreshing import Counts, RefreshError
from rag_assets.pipeline.stage import changed
from rag_assets.pipeline.stages import STAGES
from rag_assets.sources.catalog import added
from rag_assets.sources.declaration import SourceError
from rag_assets.sources.removal import emptied, forget, undeclared
from rag_assets_tests.answers.fakes import ScriptedChat, WordEmbedder, copies
from rag_assets_tests.fakes import FakeChat
from rag_assets_tests.world import say_labels

TERN = "# MV Tern\n\nMV Tern was built in 2003 by Solvik Marine. She sails on Route 5.\n"

Refresh = Callable[..., Refreshed]


@pytest.fixture
def folder(tmp_path: Path, in_process: None) -> Path:
    (tmp_path / "fleet").mkdir()
    (tmp_path / "fleet" / "tern.md").write_text(TERN)
    (tmp_path / "fleet" / "empty.md").write_text("")
    return tmp_path / "fleet"


@pytest.fixture
def refresh(tmp_path: Path) -> Refresh:
    def refreshed(sources: str | Path | list[Source], **given: object) -> Refreshed:
        stages = given.pop("stages", STAGES)
        models = {"embedder": WordEmbedder(), "slm": FakeChat([say_labels])}
        pipeline = Pipeline(sources, tmp_path / "lake", stages=stages, **models)  # type: ignore[arg-type]
        return pipeline.refresh(**given)  # type: ignore[arg-type]

    return refreshed


def test_a_folder_is_refreshed_and_asked(folder: Path, refresh: Refresh, tmp_path: Path) -> None:
    told: list[str] = []
    done = refresh(folder, progress=lambda stage, _done, _total: told.append(stage))
    assert done.stages["source_files"] == Counts(new=2)
    assert done.stages["chunks"].new > 0
    assert [(one.uri.partition(":")[2], one.reason) for one in done.rejects] == [
        ("empty.md", "empty")
    ]
    assert {"source_files", "documents", "embeddings"} <= set(told)
    store = LakeStore(str(tmp_path / "lake"))
    chat = ScriptedChat("slm", copies)
    with Answerer.open(store, slm=chat, llm=chat, embedder=WordEmbedder()) as answerer:
        assert set(leased(store, datetime.now(UTC))) == {done.generation_id}
        answer = answerer.answer("When was MV Tern built?")
    assert "2003" in answer.answer
    assert answer.citations[0].quote in TERN
    assert not leased(store, datetime.now(UTC))
    again = refresh(folder)
    assert again.generation_id == done.generation_id
    assert {counts.new + counts.changed + counts.gone for counts in again.stages.values()} == {0}


def broken(source: Source) -> None:
    """A kind of source, as another package might bring it."""
    raise ZeroDivisionError("boom")


def test_a_source_that_cannot_be_read_leaves_the_others_going(
    folder: Path, refresh: Refresh
) -> None:
    fleet = Source(name="fleet", kind="folder", where=str(folder))
    gone = Source(name="gone", kind="folder", where=str(folder / "gone"))
    theirs = Source(name="theirs", kind=f"{__name__}:broken", where="x")
    done = refresh([gone, theirs, fleet])
    assert done.stages["documents"].new == 2
    assert "expected a folder" in done.failed["gone"]
    assert "test_refreshing:broken failed to open it: ZeroDivision" in done.failed["theirs"]
    with pytest.raises(RefreshError, match="no source could be read"):
        refresh([gone])


def test_a_folder_that_is_gone_is_emptied_when_a_person_says_so(
    folder: Path, refresh: Refresh, tmp_path: Path
) -> None:
    fleet = Source(name="fleet", kind="folder", where=str(folder))
    refresh([fleet])
    rmtree(folder)
    with pytest.raises(RefreshError, match="none can be seen there; nothing was deleted"):
        refresh([fleet])
    store, chat = LakeStore(str(tmp_path / "lake")), ScriptedChat("slm", copies)
    before = live(store)
    assert before is not None
    done = refresh([fleet], accept_deletions=True)
    assert done.generation_id != before.generation_id
    with Answerer.open(store, slm=chat, llm=chat, embedder=WordEmbedder()) as answerer:
        assert not answerer.answer("When was MV Tern built?").citations
    assert refresh([fleet], accept_deletions=True).generation_id == done.generation_id


def test_a_source_is_taken_out(folder: Path, refresh: Refresh, tmp_path: Path) -> None:
    store = LakeStore(str(tmp_path / "lake"))
    other = folder.with_name("other")
    other.mkdir()
    (other / "pay.md").write_text("The keeper earns 2,310 guilders.")
    for one in (folder, other):
        refresh(one)
    fleet, pay = added(store).values()
    assert undeclared(store, {fleet.name, pay.name}) == {}
    forget(store, pay.name)
    assert undeclared(store, {fleet.name}) == {pay.name: 1}
    with pytest.raises(SourceError, match=f"no source is called pay; .*{pay.name}"):
        emptied(store, "pay")
    refresh([emptied(store, pay.name)], accept_deletions=True)
    forget(store, pay.name)
    assert undeclared(store, {fleet.name}) == {}
    assert [*added(store)] == [fleet.name]
    assert (other / "pay.md").exists()


def test_a_source_declared_wrongly_leaves_the_others_going(
    folder: Path, refresh: Refresh, tmp_path: Path
) -> None:
    path = tmp_path / "sources.yaml"
    bad = "{name: bad, kind: folder, where: x, cron: daily}"
    path.write_text(f"sources:\n  - {bad}\n  - {{name: fleet, kind: folder, where: fleet}}\n")
    done = refresh(path)
    assert done.stages["documents"].new == 2
    assert "line 2: source bad: cron must be" in done.failed["bad"]
    path.write_text(f"sources: [{bad}]")
    with pytest.raises(SourceError, match="line 1: source bad: cron must be"):
        refresh(path)


def test_golden_questions_that_cannot_be_read_stop_no_index(
    folder: Path, refresh: Refresh, tmp_path: Path
) -> None:
    golden = tmp_path / "golden.jsonl"
    for n, text in enumerate([None, "{", "[]", '{"id": 1}']):
        if text is not None:
            golden.write_text(text)
        (folder / f"{n}.md").write_text(f"{TERN} Page {n}.")
        done = refresh([Source("fleet", "folder", str(folder), golden=str(golden))])
        now = live(LakeStore(str(tmp_path / "lake")))
        assert now is not None
        assert now.generation_id == done.generation_id


@pytest.mark.parametrize("ns", [2**63, 10**19, -(10**18), -1, 0])
def test_a_time_out_of_range_costs_the_date_and_no_file(
    folder: Path, refresh: Refresh, tmp_path: Path, ns: int
) -> None:
    os.utime(folder / "tern.md", ns=(ns, ns))
    assert refresh(folder).stages["documents"].new == 2
    chat = ScriptedChat("slm", copies)
    with Answerer.open(tmp_path / "lake", slm=chat, llm=chat, embedder=WordEmbedder()) as answerer:
        answer = answerer.answer("When was MV Tern built?")
    assert answer.citations[0].modified_at == ""
    assert "modified" not in record_text(answer.to_record())
    assert refresh(folder).stages["source_files"] == Counts(0, 0, 0, 2)


def test_a_source_without_a_file_is_told(folder: Path, refresh: Refresh, tmp_path: Path) -> None:
    (tmp_path / "none" / ".hidden").mkdir(parents=True)
    empty = Source("empty", "folder", str(tmp_path / "none"))
    fleet = Source("fleet", "folder", str(folder))
    said = f"source empty: no file found in {empty.where} (hidden files are not read)"
    assert refresh([empty, fleet]).notices == (said,)
    with pytest.raises(RefreshError, match="no file found"):
        Pipeline([empty], tmp_path / "new", embedder=WordEmbedder(), slm=FakeChat()).refresh()


def test_files_without_a_document_are_counted(
    folder: Path, refresh: Refresh, tmp_path: Path
) -> None:
    (folder / "tern.md").write_bytes(b"\x00\x01" * 99)
    with pytest.raises(RefreshError, match=r"the index is empty.*: 2 files were found; rejected: "):
        refresh(folder)


def test_a_failed_check_leaves_the_live_generation_as_it_was(
    folder: Path, refresh: Refresh, tmp_path: Path
) -> None:
    refresh(folder)
    before = live(LakeStore(str(tmp_path / "lake")))
    (folder / "tern.md").write_text(TERN.replace("2003", "2004"))

    def never_right(_run: object, _partitions: object) -> Finding:
        return Finding(False, "it never is")

    with pytest.raises(RefreshError, match="never_right of chunk_index failed: it never is"):
        refresh(folder, stages=changed(STAGES, "chunk_index", checks=(never_right,)))
    assert live(LakeStore(str(tmp_path / "lake"))) == before


def test_an_empty_lake_cannot_be_asked(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="rag refresh"), Answerer.open(tmp_path / "lake"):
        pass


def test_two_sources_of_one_name_are_refused(folder: Path, refresh: Refresh) -> None:
    with pytest.raises(SourceError, match="have the same name, docs"):
        refresh([Source("docs", "folder", str(folder)), Source("docs", "folder", str(folder))])


def test_a_lake_below_the_folder_is_not_read(folder: Path) -> None:
    models = {"embedder": WordEmbedder(), "slm": FakeChat([say_labels])}
    pipeline = Pipeline(folder, folder / "lake", **models)  # type: ignore[arg-type]
    assert pipeline.refresh().stages["source_files"].new == 2
    assert pipeline.refresh().stages["source_files"] == Counts(0, 0, 0, 2)


def test_an_index_is_not_asked_by_another_embedder(folder: Path, refresh: Refresh) -> None:
    refresh(folder)
    other = WordEmbedder()
    other.model_id = "other"
    chat = ScriptedChat("slm", copies)
    with (
        pytest.raises(LakeError, match=r"was embedded with .* and the embedder here is"),
        Answerer.open(folder.parent / "lake", slm=chat, llm=chat, embedder=other),
    ):
        pass
