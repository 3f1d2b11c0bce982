"""A purge: tokens that a document holds stand everywhere before, as a control, and nowhere after.

Every file of the home is searched: its bytes, and what a reader of its format makes of them. The
pipeline, Dagster with its storage, the gate and the answerer are real; models are fakes.
"""

import json
import os
import re
import sqlite3
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import dagster as dg
import lancedb
import pytest
from typer.testing import CliRunner

from rag_assets.answers.answerer import Answerer
from rag_assets.answers.feedback import Verdict, record_feedback
from rag_assets.answers.journal import record_answer
from rag_assets.answers.rendering import record_markdown
from rag_assets.cli.main import app
from rag_assets.evaluations.recording import Origin, keep_cases
from rag_assets.evaluations.replay import CompletionCache
from rag_assets.evaluations.results import CaseResult
from rag_assets.index import erasing as index_erasing
from rag_assets.index.search import IndexReader
from rag_assets.lake import generations
from rag_assets.lake.identity import bytes_hash
from rag_assets.lake.leases import Reader
from rag_assets.lake.store import LakeStore
from rag_assets.orchestration import in_process as running
from rag_assets.orchestration import purging, run_deletion
from rag_assets.orchestration import refreshing as operations
from rag_assets.orchestration.assets import assets_of, checks_of
from rag_assets.orchestration.instance import open_instance
from rag_assets.pipeline import run
from rag_assets.pipeline.stages import STAGES
from rag_assets.settings import load_settings
from rag_assets.sources.catalog import catalog, declared
from rag_assets.sources.declaration import SourceError
from rag_assets.sources.removal import PURGING, target_of
from rag_assets_tests.answers.fakes import ScriptedChat, copies
from rag_assets_tests.fakes import FakeChat
from rag_assets_tests.orchestration.graph import FakeModels, resources_of, sources_of
from rag_assets_tests.world import World, say_labels

TEXT, TITLE, NAME, BEFORE = "zqberthol", "zqquillon", "zqpayroll", "zqformerly"
N_OTHERS = 12
TOKENS = (TEXT, TITLE, NAME, BEFORE)
PAGE = """<html><head><title>Wages of {title}</title></head><body><main><h1>Wages of {title}</h1>
<p>The wage clerk of the harbour office is {text}, who lives above the old rope walk.</p>
<p>{text} keeps the ledger of all crews, and signs it each Friday at noon.</p></main></body></html>
"""
QUESTION = "Who is the wage clerk of the harbour office?"


@dataclass
class Home:
    """An installation in a folder, refreshed by real runs."""

    folder: Path
    world: World

    @property
    def store(self) -> LakeStore:
        return self.world.store

    def refresh(self) -> None:
        operations.refresh_and_load(load_settings(), sources_of(), print)

    def rag(self, *arguments: str, code: int = 0, typed: str = "") -> str:
        result = CliRunner().invoke(app, [*arguments], input=typed, env={"COLUMNS": "200"})
        said = result.output + str(result.exception or "")
        assert (result.exit_code != 0) == (code != 0), said
        return said

    def reader(self) -> IndexReader:
        live = generations.live_generation(self.store)
        assert live is not None
        return IndexReader(self.store, live)

    def answerer(self) -> Answerer:
        slm, llm = ScriptedChat("slm", copies), ScriptedChat("llm", copies)
        return Answerer(self.reader(), slm, llm, self.world.embedder)

    def found(self, words: str) -> set[str]:
        """Uris of what words find."""
        vector = self.world.embedder.embed([words])[0]
        return {hit.chunk.uri for hit in self.reader().search(words, vector, limit=50)}


@pytest.fixture
def home(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    folder = tmp_path / "home"
    folder.mkdir()
    world.store = LakeStore(str(folder / "lake"))
    listed = folder / "sources.yaml"
    entry = {"name": "docs", "kind": "folder", "where": str(world.root), "enrich": "full"}
    listed.write_text(json.dumps({"sources": [entry]}))

    def line() -> dg.Definitions:
        return dg.Definitions(
            assets_of(world.listed),
            asset_checks=checks_of(world.listed),
            jobs=[dg.define_asset_job("refresh_job", selection="*")],
            resources=resources_of(world.store, listed) | {"models": DescribingModels()},
        )

    for name, value in {"RAG_HOME": str(folder), "DAGSTER_HOME": ""}.items():
        monkeypatch.setenv(name, value)
    for name in ("RAG_POSTGRES_URL", "RAG_LAKE", "RAG_STATE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(running, "repository_of", lambda: line().get_repository_def())
    monkeypatch.setattr(operations.stack, "start_engines", lambda *_: None)
    monkeypatch.setattr(run, "ModelFacts", lambda *_: world.facts)
    return Home(folder, world)


class DescribingModels(FakeModels):
    """A small model that repeats the page's title in its summary, as real ones do."""

    @cached_property
    def slm(self) -> FakeChat:
        return FakeChat([describe])


def describe(messages: list[Mapping[str, str]]) -> str:
    said = json.loads(say) if (say := say_labels(messages)).startswith("{") else None
    if said is None:
        return say
    title = re.search(r"Wages of (\w+)", messages[-1]["content"])
    return json.dumps({**said, "summary": f"On {title[1]}." if title else "On the harbour."})


def decoded(path: Path) -> str:
    """What a reader of its format makes of a file; "" of one that is no table or database."""
    if path.suffix == ".db" or path.suffix == ".sqlite":
        with closing(sqlite3.connect(path)) as database:
            return "\n".join(database.iterdump())
    return ""


def rows_of_versions(folder: Path) -> Iterator[tuple[str, str]]:
    """(stage/partition, rows of all versions) of each table of a lake."""
    for stage in sorted((folder / "tables").iterdir()):
        database = lancedb.connect(stage)
        for name in database.list_tables().tables:
            table = database.open_table(name)
            texts = []
            for version in table.list_versions():
                table.checkout(version["version"])
                texts.append(str(table.to_arrow().to_pylist()))
            yield f"{stage.name}", "\n".join(texts)


def places(home: Path) -> dict[str, set[str]]:
    """Token -> places in the home that hold it, read raw and decoded."""
    found: dict[str, set[str]] = {token: set() for token in TOKENS}

    def look(place: str, text: str) -> None:
        for token in TOKENS:
            if token in text:
                found[token].add(place)

    for path in sorted(home.rglob("*")):
        if path.is_file():
            place = re.sub(r"[0-9a-f]{8,}[0-9a-f-]*|\d{6,}", "N", str(path.relative_to(home)))
            look(place, place if NAME in str(path) else "")
            data = path.read_bytes()
            look(place, data.decode("latin-1"))
            look(place, data.decode("utf-16-le", "replace"))
            look(f"{place} (decoded)", decoded(path))
    lake = home / "lake" if (home / "lake").is_dir() else home
    for stage, text in rows_of_versions(lake):
        look(f"table {stage}", text)
    return found


def spread(home: Home) -> None:
    """Have all that the home keeps hold something of the page ``zqpayroll.html``."""
    write = home.world.write
    for n in range(N_OTHERS):
        write(f"{n}.md", f"# Pier {n}\n\nThe ferry number {n} calls at pier {n} each morning.")
    name = f"{NAME}.html"
    write(name, PAGE.format(title=TITLE, text=BEFORE))
    home.refresh()
    write(name, PAGE.format(title=TITLE, text=TEXT))
    home.refresh()
    settings = load_settings()

    @dg.op
    def quote(context: dg.OpExecutionContext) -> dg.Output[None]:
        print(f"answered {TEXT}")  # noqa: T201 - goes to the run's log of its output
        context.log.info(f"answered {TEXT}")
        answer = home.answerer().answer(QUESTION)
        assert answer.citations[0].uri == f"docs:{name}"
        record_answer(home.store, answer)
        record_feedback(home.store, answer.to_record(), Verdict(True, TEXT))
        said = record_markdown(answer.to_record())
        return dg.Output(None, metadata={"answer": dg.MetadataValue.md(said)})

    @dg.job
    def quoting_job() -> None:
        quote()

    with open_instance() as instance:
        assert quoting_job.execute_in_process(instance=instance).success
    other = home.answerer().answer("At which pier does the ferry number 3 call?")
    assert other.citations
    cited = replace(other.citations[0], aliases=[f"docs:{name}", "docs:kept.md"])
    record_answer(home.store, replace(other, citations=(cited,), evidence=()))
    record_feedback(home.store, other.to_record(), Verdict(True, "3"))
    case = CaseResult(
        suite="golden", dataset="golden", variant="product", case_id="1", question=QUESTION,
        answer=f"{TEXT} [1].", expected=(TEXT,), slices={}, scores={"correct": 1.0},
        answerable=True, abstained=False, confidence=None, model="slm", use={}, seconds=1.0,
        replayed=False, error="",
    )  # fmt: skip
    keep_cases(home.store, "golden", [case], Origin("r", datetime.now(UTC)))
    cache = CompletionCache(settings.evaluations / "completions-1.sqlite")
    cache.put("key", {"text": TEXT})
    cache.close()
    logs, raw = settings.state / "logs", home.folder / "lake" / "raw" / "zz"
    for path in (
        settings.evaluations / "reports" / "golden-1.html",
        logs / "answerer.log",
        logs / "answerer.log.1",
        raw / ".tmpzz",
        home.folder / "lake" / "records" / ".tmpzz",
        home.folder / "lake" / "tables" / "chunk_index" / "all.lance" / "data" / "half.lance",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{TEXT} {TITLE} {NAME}")
        long_ago = time.time() - 3600
        os.utime(path, (long_ago, long_ago))


EVERYWHERE = {  # of what the page says now
    "table source_files": NAME,
    "table documents": TEXT,
    "table sections": TEXT,
    "table chunks": TEXT,
    "table enrichments": TITLE,
    "table enrichment_cache": TITLE,
    "table chunk_index": TEXT,
    "table answers": TEXT,
    "table feedback": TEXT,
    "table evaluation_cases": TEXT,
    "lake/raw/zz/.tmpzz": TEXT,
    "lake/records/.tmpzz": TEXT,
    "lake/tables/chunk_index/all.lance/data/half.lance": TEXT,
    "run/logs/answerer.log": TEXT,
    "run/logs/answerer.log.1": TEXT,
    "evaluations/reports/golden-1.html": TEXT,
    "evaluations/completions-1.sqlite (decoded)": TEXT,
    "dagster/history/runs/N.db (decoded)": TEXT,
}


def test_nothing_is_left_of_a_purged_document(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    spread(home)
    settings, store = load_settings(), home.store
    page = home.world.root / f"{NAME}.html"
    digest = bytes_hash(page.read_bytes())
    vectors = store.rows("embeddings", "docs.0", columns=["vector", "input_id"])
    gone = {r["chunk_id"] for r in store.rows("chunks", "docs.0") if TEXT in r["text"]}
    bytes_of = [
        b"".join(float_bytes(v) for v in row["vector"])
        for row in vectors
        if row["input_id"] in gone
    ]
    others = {r["uri"]: r for r in store.rows("documents", "docs.0") if NAME not in r["uri"]}

    before = places(home.folder)
    missing = {place for place, token in EVERYWHERE.items() if place not in before[token]}
    assert not missing, before
    assert any(place.startswith("lake/raw/") for place in before[BEFORE])  # what it said first
    assert any("compute_logs" in place for place in before[TEXT])
    assert bytes_of
    assert all(holds(home.folder, one) for one in bytes_of)
    old = [*generations.generation_ids(store)]
    assert len(old) > 1
    n_answers = len(store.rows("answers"))

    uri = f"docs:{page.name}"
    assert "stands at its source still" in home.rag("purge", uri, "--yes", code=1)
    page.unlink()
    assert "a script says --yes" in home.rag("purge", uri, code=1)
    monkeypatch.setattr("rag_assets.cli.purging.is_watched", lambda: True)
    said = home.rag("purge", uri, code=1, typed="n\n")
    assert all(generation in said for generation in old)
    assert before == places(home.folder)  # whoever says no has changed nothing
    said = home.rag("purge", uri, "--yes", "--deadline", "5")
    assert said.rstrip().endswith(f"{uri} is erased")

    after = places(home.folder)
    assert not any(after.values()), after
    assert not any(holds(home.folder, one) for one in bytes_of)
    assert not store.has_blob(digest)
    assert not (home.folder / "lake" / "records" / f"{PURGING}.json").exists()

    assert {r["uri"]: r for r in store.rows("documents", "docs.0")} == others
    assert len(others) == N_OTHERS
    assert set(old).isdisjoint(generations.generation_ids(store))
    answer = home.answerer().answer("At which pier does the ferry number 3 call?")
    assert answer.citations[0].uri == "docs:3.md"
    kept = [json.loads(row["record"]) for row in store.rows("answers")]
    assert len(kept) == n_answers - 1
    assert [row["expected"] for row in store.rows("feedback")] == ["3"]
    assert kept[0]["citations"][0]["aliases"] == ["docs:kept.md"]
    assert settings.evaluations.is_dir()


def float_bytes(value: float) -> bytes:
    return struct.pack("<f", value)


def holds(folder: Path, data: bytes) -> bool:
    return any(data in path.read_bytes() for path in folder.rglob("*") if path.is_file())


@dataclass
class Shelf:
    """A home without runs: the stages are run directly, so that a test takes a moment."""

    world: World
    instance: dg.DagsterInstance

    @property
    def store(self) -> LakeStore:
        return self.world.store

    def refresh(self, *others: World) -> generations.Generation:
        for world in others:
            world.stages()
        generation = self.world.refresh().generation
        with self.store.locked(generations.LIVE):
            generations.publish(self.store, generation)
        return generation

    def purge(self, uri: str, deadline_s: float = 0.0) -> tuple[list[str], list[str]]:
        """What stays, and what was told."""
        settings, told = load_settings(), list[str]()
        known, given = catalog(settings.sources_file, self.store), declared(settings.sources_file)
        target = target_of(self.store, known, given, uri)
        left = purging.purge(
            settings, STAGES, target, self.instance, told.append, deadline_s=deadline_s
        )
        return left, told

    def indexed(self) -> dict[str, list[str]]:
        """Uri -> aliases, of the live generation."""
        live = generations.live_generation(self.store)
        assert live is not None
        table = self.store.table("chunk_index")
        assert table is not None
        table.checkout(live.index_version)
        return {row["uri"]: row["aliases"] for row in table.to_arrow().to_pylist()}


@pytest.fixture
def shelf(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    monkeypatch.setenv("RAG_LAKE", world.store.uri)
    for name in ("RAG_POSTGRES_URL", "RAG_STATE"):
        monkeypatch.delenv(name, raising=False)
    entry = {"name": "docs", "kind": "folder", "where": str(world.root), "enrich": "full"}
    (tmp_path / "sources.yaml").write_text(json.dumps({"sources": [entry]}))
    monkeypatch.setenv("DAGSTER_HOME", "")
    with open_instance() as instance:
        yield Shelf(world, instance)


def test_a_copy_is_found_once_what_stood_for_it_is_purged(shelf: Shelf) -> None:
    text = "# Fares\n\nA crossing to the skerry costs two crowns, and four by night."
    original, other = shelf.world.write("a.md", text), "# Piers\n\nThe pier is of oak."
    shelf.world.write("deep/a-copy.md", text)
    shelf.world.write("other.md", other)
    shelf.refresh()
    assert shelf.indexed() == {"docs:a.md": ["docs:deep/a-copy.md"], "docs:other.md": []}
    original.unlink()
    left, _ = shelf.purge("docs:a.md")
    assert left == []
    assert shelf.indexed() == {"docs:deep/a-copy.md": [], "docs:other.md": []}
    assert shelf.store.get_blob(bytes_hash(text.encode())) == text.encode()  # the copy's, too
    assert shelf.world.stages()["chunks"].is_noop  # what the purge left is what a refresh makes
    assert not shelf.world.index().is_new


def test_a_partition_whose_refresh_failed_half_way_is_purged_as_well(shelf: Shelf) -> None:
    for name in ("a", "b", "c"):
        shelf.world.write(f"{name}.md", f"# {name}\n\nThe ferry {name} has a bell of bronze.")
    shelf.refresh()
    shelf.world.write("b.md", "# b\n\nThe ferry b has a bell of brass.")
    shelf.world.step("source_files")
    (shelf.world.root / "a.md").unlink()
    shelf.purge("docs:a.md")
    assert set(shelf.indexed()) == {"docs:b.md", "docs:c.md"}
    shelf.refresh()
    assert set(shelf.indexed()) == {"docs:b.md", "docs:c.md"}


def test_a_purge_that_is_cut_off_anywhere_is_finished_by_another(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.world.write("a.md", "# Piers\n\nThe pier is of oak.")
    page = shelf.world.write(f"{NAME}.html", PAGE.format(title=TITLE, text=BEFORE))
    shelf.refresh()
    page.write_text(PAGE.format(title=TITLE, text=TEXT))
    shelf.refresh()
    assert all(places(tmp_path / "lake")[token] for token in TOKENS)
    page.unlink()
    steps = [
        (purging.erasing, "delete_rows"), (purging.erasing, "erase_bytes"),
        (purging.erasing, "scrub"), (purging.sections, "forget"),
        (purging.duplicates, "forget"), (index_erasing, "build_index"),
        (index_erasing, "index_table"), (purging.generations, "publish"),
        (purging.erasing, "end_generations"), (purging.erasing, "delete_versions"),
        (purging.erasing, "erase_cached"), (purging.journal, "forget"),
        (purging.run_deletion, "delete_history"),
    ]  # fmt: skip
    for module, name in steps:
        with monkeypatch.context() as patch:
            patch.setattr(module, name, cut_off)
            with pytest.raises(KeyboardInterrupt):
                shelf.purge(f"docs:{page.name}")
    assert shelf.purge(f"docs:{page.name}")[0] == []
    after = places(tmp_path / "lake")
    assert not any(after.values()), after
    assert set(shelf.indexed()) == {"docs:a.md"}


def cut_off(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_source_is_purged_once_it_is_declared_no_more(shelf: Shelf, tmp_path: Path) -> None:
    harbour = World(tmp_path, shelf.store, "harbour")
    harbour.write("a.md", "# Piers\n\nThe pier is of oak.")
    shelf.world.write(f"{NAME}.html", PAGE.format(title=TITLE, text=TEXT))
    shelf.refresh(harbour)
    with pytest.raises(SourceError, match="take it out there first"):
        shelf.purge("docs")
    (tmp_path / "sources.yaml").write_text("sources: []")
    lake = tmp_path / "lake"
    assert places(lake)[TEXT]
    assert shelf.purge("docs")[0] == []
    after = places(lake)
    assert not any(after.values()), after
    assert set(shelf.indexed()) == {"harbour:a.md"}
    assert shelf.store.partitions("documents") == ["harbour.0"]
    with pytest.raises(SourceError, match="no source is called docs; the lake holds harbour"):
        shelf.purge("docs")
    with pytest.raises(SourceError, match="no source is called dosc"):
        shelf.purge("dosc:a.md")


def test_readers_have_until_the_deadline(shelf: Shelf) -> None:
    page = shelf.world.write("a.md", "# Piers\n\nThe pier is of oak.")
    shelf.world.write("b.md", "# Ferries\n\nThe ferry has a bell.")
    old = shelf.refresh()
    page.unlink()
    reader = Reader(shelf.store)
    reader.hold(old.id)
    started = time.monotonic()
    _, told = shelf.purge("docs:a.md", deadline_s=1.5)
    assert time.monotonic() - started > 1.5
    assert any(one.startswith("waiting at most 2 s for the readers of") for one in told)
    assert any(f"read {old.id} still when the deadline came" in one for one in told)
    reader.close()
    live = generations.live_generation(shelf.store)
    assert live is not None
    assert generations.generation_ids(shelf.store) == [live.id]
    assert set(shelf.indexed()) == {"docs:b.md"}


def test_what_a_run_at_work_keeps_is_told(shelf: Shelf) -> None:
    shelf.world.write("a.md", "# Piers\n\nThe pier is of oak.")
    shelf.refresh()

    @dg.job
    def answerer_job() -> None: ...

    run = shelf.instance.create_run_for_job(answerer_job, status=dg.DagsterRunStatus.STARTED)
    (said,), _ = shelf.purge("docs:gone.md")
    assert said.startswith(f"run {run.run_id} of answerer_job is at work, and its events")
    assert shelf.store.get_record(PURGING) == {"source": "docs", "uri": "docs:gone.md"}
    shelf.instance.delete_run(run.run_id)
    assert shelf.purge("docs:gone.md")[0] == []
    assert shelf.store.get_record(PURGING) is None


@pytest.mark.postgres
def test_what_dagster_keeps_in_postgres_goes(
    shelf: Shelf, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg2

    monkeypatch.setenv("RAG_POSTGRES_URL", postgres_url)
    monkeypatch.setenv("DAGSTER_HOME", "")

    @dg.asset
    def said(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        context.log.info(TEXT)
        return dg.MaterializeResult(metadata={"quote": dg.MetadataValue.md(TEXT)})

    def files() -> list[str]:
        with closing(psycopg2.connect(postgres_url)) as server, server.cursor() as cursor:
            cursor.execute("CHECKPOINT")
            cursor.execute(
                "SELECT relname FROM pg_class WHERE relkind IN ('r', 't') AND "
                "pg_relation_size(oid) > 0 AND strpos(encode(pg_read_binary_file("
                "pg_relation_filepath(oid)), 'escape'), %s) > 0",
                [TEXT],
            )
            return [name for (name,) in cursor.fetchall()]

    with open_instance() as instance:
        assert dg.materialize([said], instance=instance).success
        assert "event_logs" in files()
        assert "asset_keys" in files()
        assert run_deletion.delete_history(instance, load_settings()) == []
    assert files() == []
