import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from rag_assets.index import partitions
from rag_assets.index import rows as index_rows
from rag_assets.index import stage as build
from rag_assets.index.search import IndexReader
from rag_assets.index.stage import BuildReport, count_unindexed
from rag_assets.index.writing import Writer
from rag_assets.lake import generations
from rag_assets.lake.delta import LakeStage
from rag_assets.lake.store import LakeError, LakeStore
from rag_assets.pipeline.stages import CHUNK_INDEX
from rag_assets_tests.world import World


def found(world: World, built: BuildReport, question: str) -> set[str]:
    """Uris found by their words in the generation of a build."""
    reader = IndexReader(world.store, built.generation)
    return {hit.chunk.uri for hit in reader.search(question, None)}


def rows(world: World) -> dict[str, dict[str, object]]:
    return {row["uri"]: row for row in world.store.rows("chunk_index")}


def test_empty_lake(world: World) -> None:
    built = world.refresh()
    assert built.generation.counts == {"chunks": 0, "documents": 0}
    assert (built.is_new, built.n_unindexed) == (True, 0)
    assert found(world, built, "anything") == set()
    world.write("a.md", "the lighthouse")
    later = world.refresh()
    assert (later.is_new, later.n_unindexed) == (True, 0)
    assert found(world, later, "lighthouse") == {"docs:a.md"}


def test_later_rows_are_found_too(world: World) -> None:
    for n, word in enumerate(["lighthouse", "anchor", "compass"]):
        world.write(f"{n}.md", f"the {word}")
        built = world.refresh()
        assert built.n_unindexed == count_unindexed(world.store, built.generation) == 0
        assert found(world, built, word) == {f"docs:{n}.md"}


def test_emptied_index_takes_in_rows_again(world: World) -> None:
    path = world.write("a.md", "the lighthouse")
    world.refresh()
    path.unlink()
    emptied = world.refresh()
    assert emptied.generation.counts["chunks"] == 0
    assert found(world, emptied, "lighthouse") == set()
    world.write("b.md", "the anchor")
    built = world.refresh()
    assert built.n_unindexed == 0
    assert found(world, built, "anchor") == {"docs:b.md"}


def test_nothing_changed_nothing_written(world: World) -> None:
    world.write("a.md", "the lighthouse")
    before = world.refresh()
    after = world.refresh()
    assert not after.is_new
    assert (after.n_upserted, after.n_deleted) == (0, 0)
    assert after.generation == before.generation
    table = world.store.table("chunk_index")
    assert table is not None
    assert table.version == before.generation.index_version


def test_only_changed_rows_are_written(world: World, tmp_path: Path) -> None:
    other = World(tmp_path, world.store, "other")
    for w in (world, other):
        w.write("a.md", f"the lighthouse of {w.source.name}")
        w.write("b.md", f"the anchor of {w.source.name}")
        w.stages()
    assert world.index().n_upserted == 4
    other.write("b.md", "the compass")
    other.stages()
    built = world.index()
    assert (built.n_upserted, built.n_deleted) == (1, 1)
    assert found(world, built, "compass") == {"other:b.md"}


def test_deleted_document_is_gone_at_once_and_the_old_reader_keeps_it(world: World) -> None:
    path = world.write("a.md", "the lighthouse")
    world.write("b.md", "the anchor")
    before = world.refresh()
    path.unlink()
    after = world.refresh()
    assert after.n_deleted == 1
    assert found(world, after, "lighthouse") == set()
    assert found(world, before, "lighthouse") == {"docs:a.md"}


def test_duplicates_are_aliases_of_one_set_of_rows(world: World) -> None:
    world.write("a.md", "the lighthouse on the island")
    world.write("copies/a.md", "the lighthouse on the island")
    built = world.refresh()
    assert built.generation.counts == {"chunks": 1, "documents": 1}
    assert rows(world)["docs:a.md"]["aliases"] == ["docs:copies/a.md"]


CONTRACT = """# Berth contract

The ship is the {ship}. The yearly rent is {rent} euros.

The tenant pays the rent on the first working day of each month to the account of the harbour
office. The tenant keeps the berth clean, lets the crew of the office come aboard when there is
danger, and tells the office at least two days before the ship leaves for more than a week. Power
and water are read on the last day of the month and are paid with the next rent. The office may end
the contract when the rent is late by more than thirty days. Each side may end it with three months
notice to the end of a year. Both sides have signed two copies of this contract and each has kept
one of them. The court of the town hears all disputes that the two sides cannot settle between them
in a talk, which has to take place within a month.
"""


def test_contracts_that_differ_in_a_name_and_an_amount_are_all_found(world: World) -> None:
    rents = {"Alder": "410", "Birch": "445", "Cedar": "480"}
    for ship, rent in rents.items():
        world.write(f"contract-{ship}.md", CONTRACT.format(ship=ship, rent=rent))
    built = world.refresh()
    assert built.generation.counts["documents"] == 3
    for ship, rent in rents.items():
        assert found(world, built, ship) == {f"docs:contract-{ship}.md"}
        row = rows(world)[f"docs:contract-{ship}.md"]
        texts = [r["text"] for r in world.store.rows("chunk_index") if r["uri"] == row["uri"]]
        assert f"{rent} euros" in "\n".join(texts)
        assert (row["aliases"], row["superseded_by"]) == ([], "")


def test_a_copy_with_other_furniture_is_an_alias_but_no_copy_word_for_word(world: World) -> None:
    said = CONTRACT.format(ship="Alder", rent="410")
    world.write("a.md", said)
    world.write("copies/a.md", said)
    world.write("print/a.txt", said + "\nPage 1 of 1\n")
    world.refresh()
    assert rows(world).keys() == {"docs:a.md"}
    row = rows(world)["docs:a.md"]
    assert row["aliases"] == ["docs:copies/a.md", "docs:print/a.txt"]
    assert row["copies"] == ["docs:copies/a.md"]


def test_an_older_version_names_the_newest(world: World) -> None:
    def write(year: int, rent: str) -> None:
        said = CONTRACT.format(ship="Alder", rent=rent).replace("# Berth", f"# Berth {year}:")
        world.write(f"rents-{year}.md", said)

    write(2023, "410")
    write(2022, "395")
    world.refresh()
    assert rows(world)["docs:rents-2023.md"]["superseded_by"] == ""
    write(2024, "445")
    built = world.refresh()
    assert len(rows(world)) == built.generation.counts["documents"] == 3
    newest = ("docs:rents-2024.md", "Berth 2024: contract")
    for year in (2022, 2023):
        row = rows(world)[f"docs:rents-{year}.md"]
        assert (row["superseded_by"], row["superseded_by_title"]) == newest
    assert rows(world)["docs:rents-2024.md"]["superseded_by"] == ""
    (world.root / "rents-2024.md").unlink()
    world.refresh()
    assert rows(world)["docs:rents-2023.md"]["superseded_by"] == ""
    assert rows(world)["docs:rents-2022.md"]["superseded_by"] == "docs:rents-2023.md"


def test_flagged_document_is_left_out_until_it_is_none(world: World) -> None:
    world.write("a.md", "the lighthouse")
    world.write("b.md", "404 Not Found")
    built = world.refresh()
    assert rows(world).keys() == {"docs:a.md"}
    assert built.generation.counts == {"chunks": 1, "documents": 1}
    world.write("b.md", "the anchor was not found")
    assert found(world, world.refresh(), "anchor") == {"docs:b.md"}
    world.write("b.md", "404 Not Found")
    assert found(world, world.refresh(), "anchor not found") == set()


def test_alias_promoted_in_an_untouched_partition_appears(world: World, tmp_path: Path) -> None:
    other = World(tmp_path, world.store, "other")
    path = world.write("a.md", "the lighthouse on the island")
    other.write("copies/a.md", "the lighthouse on the island")
    other.stages()
    world.refresh()
    assert rows(world).keys() == {"docs:a.md"}
    path.unlink()
    world.stages()
    built = world.index()
    assert rows(world).keys() == {"other:copies/a.md"}
    assert found(world, built, "lighthouse") == {"other:copies/a.md"}


def test_another_embedder_replaces_the_vectors(world: World) -> None:
    world.write("a.md", "the lighthouse")
    before = world.refresh()
    vector = rows(world)["docs:a.md"]["vector"]
    world.embedder.revision = "2"
    after = world.refresh()
    assert after.is_new
    assert rows(world)["docs:a.md"]["vector"] != vector
    assert after.generation.models["embedder"]["revision"] == "2"
    assert before.generation.data_version != after.generation.data_version


def test_partition_that_waits_for_vectors_is_left_as_it_was(world: World, tmp_path: Path) -> None:
    other = World(tmp_path, world.store, "other")
    for w in (world, other):
        w.write("a.md", f"the lighthouse of {w.source.name}")
        w.stages()
    world.index()
    other.write("a.md", "the compass")
    with pytest.MonkeyPatch.context() as patch:

        def stop(texts: list[str]) -> None:
            raise KeyboardInterrupt

        patch.setattr(other.embedder, "embed", stop)
        with pytest.raises(KeyboardInterrupt):
            other.stages()
    world.write("b.md", "the anchor")
    world.stages()
    meanwhile = world.index()
    assert found(world, meanwhile, "lighthouse anchor") == {"docs:a.md", "docs:b.md", "other:a.md"}
    other.stages()
    after = world.index()
    assert found(world, after, "compass") == {"other:a.md"}
    assert found(world, after, "lighthouse") == {"docs:a.md"}


def killed_build(world: World) -> None:
    """A build that dies when all rows are written and nothing is recorded."""
    with pytest.MonkeyPatch.context() as patch:

        def die(_table: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(build, "index_table", die)
        with pytest.raises(KeyboardInterrupt):
            world.index()


def test_killed_build_is_made_good_though_the_change_was_taken_back(
    world: World, tmp_path: Path
) -> None:
    other = World(tmp_path, world.store, "other")
    other.write("copies/a.md", "the lighthouse on the island")
    other.stages()
    world.refresh()
    path = world.write("a.md", "the lighthouse on the island")
    world.stages()
    killed_build(world)
    assert rows(world).keys() == {"docs:a.md"}
    path.unlink()
    built = world.refresh()  # other.0, whose row is missing, has the inputs of the first build
    assert rows(world).keys() == {"other:copies/a.md"}
    assert found(world, built, "lighthouse") == {"other:copies/a.md"}


@pytest.mark.parametrize("is_first", [True, False])
def test_partition_that_went_after_a_killed_build_leaves_no_rows(
    world: World, tmp_path: Path, is_first: bool
) -> None:
    world.write("a.md", "the lighthouse")
    world.stages()
    if not is_first:
        world.index()
    other = World(tmp_path, world.store, "other")
    other.write("b.md", "the anchor")
    other.stages()
    killed_build(world)
    world.store._stage("documents").drop_table("other.0")
    world.index()
    assert rows(world).keys() == {"docs:a.md"}


def test_index_that_was_removed_is_built_again(world: World) -> None:
    world.write("a.md", "the lighthouse")
    before = world.refresh().generation
    world.store._stage("chunk_index").drop_table("all")
    built = world.refresh()
    assert built.is_new
    assert built.generation.data_version == before.data_version
    assert found(world, built, "lighthouse") == {"docs:a.md"}


def test_partition_whose_documents_wait_for_deletion_is_left_as_it_was(world: World) -> None:
    path = world.write("a.md", "the lighthouse")
    world.write("b.md", "the anchor")
    world.refresh()
    world.write("b.md", "the compass")
    world.stages()
    path.unlink()
    world.step("source_files")
    world.index()
    assert rows(world).keys() == {"docs:a.md", "docs:b.md"}
    built = world.refresh()
    assert rows(world).keys() == {"docs:b.md"}
    assert found(world, built, "compass") == {"docs:b.md"}


def test_index_of_flagged_documents_only_is_empty(world: World) -> None:
    world.write("a.md", "404 Not Found")
    world.write("copies/a.md", "404 Not Found")
    built = world.refresh()
    assert built.generation.counts == {"chunks": 0, "documents": 0}
    assert (found(world, built, "found"), built.n_unindexed) == (set(), 0)


def test_enrichment_is_searched_and_filtered_by(world: World) -> None:
    world.write("a.md", "the lighthouse")
    built = world.refresh()
    row = rows(world)["docs:a.md"]
    assert (row["document_type"], row["topics"]) == ("guide", ["ferries"])
    assert found(world, built, "ferries") == {"docs:a.md"}


def test_rows_of_an_edited_document_have_one_age(world: World) -> None:
    path = world.write("a.md", "# A\n\nkept text\n\n# B\n\nold text")
    os.utime(path, (10**9, 10**9))
    world.refresh()
    os.utime(world.write("a.md", "# A\n\nkept text\n\n# B\n\nnew text"), (2 * 10**9, 2 * 10**9))
    world.refresh()
    ages = {row["modified_at"].timestamp() for row in world.store.rows("chunk_index")}
    assert ages == {2 * 10**9}


def test_same_rows_by_another_way_keep_their_evaluation(world: World) -> None:
    world.write("a.md", "state A of the text")
    built = world.refresh()
    judged = replace(built.generation, evaluation={"passed": True})
    generations.put_candidate(world.store, judged)
    for text in ("state B of the text", "state A of the text"):  # not indexed in between
        world.write("a.md", text)
        world.stages()
    again = world.index()
    assert not again.is_new
    assert generations.candidate(world.store) == again.generation
    assert again.generation == replace(judged, inputs=again.generation.inputs)
    assert again.generation.inputs != judged.inputs


def test_no_index_no_count(world: World) -> None:
    generation = generations.Generation("g1", "", 1, "", {}, {}, {}, "r")
    with pytest.raises(LakeError, match="rag refresh"):
        count_unindexed(world.store, generation)
    with pytest.raises(LakeError, match="rag refresh"):
        IndexReader(world.store, generation)


def test_manifest_names_the_models_though_their_change_left_all_rows_alike(world: World) -> None:
    world.write("a.md", "the lighthouse")
    before = world.refresh().generation
    models = {**before.models, "slm": {"model_id": "fake/other", "revision": "2"}}
    after = build.build_index(
        world.store, CHUNK_INDEX, dimension=world.embedder.dimension, models=models, run_id="r"
    )
    assert after.is_new
    assert after.generation.models == models
    assert after.generation.data_version == before.data_version


def test_rows_are_written_in_batches_across_partitions(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_rows, "BATCH_ROWS", 3)
    other = World(tmp_path, world.store, "other")
    for w in (world, other):
        for n in range(4):
            w.write(f"{n}.md", f"the lighthouse {n} of {w.source.name}")
        w.stages()
    first = world.index()
    assert (first.n_upserted, first.generation.counts["documents"]) == (8, 8)
    for w in (world, other):
        for n in range(1, 4):
            w.write(f"{n}.md", f"the compass {n} of {w.source.name}")
        (w.root / "0.md").unlink()
        w.stages()
    built = world.index()
    assert (built.n_upserted, built.n_deleted, built.n_unindexed) == (6, 8, 0)
    assert len(rows(world)) == world.store.table("chunk_index").count_rows() == 6
    assert found(world, built, "lighthouse") == set()
    assert built.generation.counts == {"chunks": 6, "documents": 6}


def _before_reading(patch: pytest.MonkeyPatch, act: Callable[[Sequence[str]], None]) -> None:
    """Have ``act`` called with the ids of chunks before their texts or their vectors are read."""
    of_chunks = index_rows._of_chunks

    def first_act(
        store: LakeStore,
        stage: str,
        partition: str,
        ids: Sequence[str],
        columns: Sequence[str],
    ) -> pa.Table | None:
        act(ids)
        return of_chunks(store, stage, partition, ids, columns)

    patch.setattr(index_rows, "_of_chunks", first_act)


def test_texts_and_vectors_are_read_of_those_rows_alone_that_are_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        world.write(f"{name}.md", f"the lighthouse {name}")
    world.refresh()
    asked: list[Sequence[str]] = []
    _before_reading(monkeypatch, asked.append)
    world.write("b.md", "the compass")
    world.refresh()
    assert asked == [[rows(world)["docs:b.md"]["chunk_id"]]] * 2


@pytest.mark.parametrize("few", [0, 1000], ids=["read whole", "looked up"])
def test_every_row_has_its_own_text_and_vector(
    world: World, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(index_rows, "FEW", few)
    monkeypatch.setattr(index_rows, "BATCH_ROWS", 2)
    for n in range(7):
        world.write(f"{n}.md", f"# Part {n}\n\nthe lighthouse {n}")
    world.refresh()
    for n in (5, 2, 3):
        world.write(f"{n}.md", f"# Part {n}\n\nthe compass {n}")
    world.refresh()
    chunks = {row["chunk_id"]: row for row in world.store.rows("chunks", "docs.0")}
    vectors = {row["chunk_id"]: row["vector"] for row in world.store.rows("embeddings", "docs.0")}
    indexed = world.store.rows("chunk_index")
    assert {row["chunk_id"] for row in indexed} == chunks.keys()
    for row in indexed:
        chunk = chunks[row["chunk_id"]]
        assert (row["text"], row["vector"]) == (chunk["text"], vectors[row["chunk_id"]])
        assert row["search_text"].startswith(f"{chunk['header']}\n{chunk['text']}\n")


@pytest.mark.parametrize("n_reads", [1, 2], ids=["before texts", "before vectors"])
@pytest.mark.parametrize("is_deleted", [True, False], ids=["deleted", "edited"])
def test_what_another_run_does_after_hashes_were_read_is_not_mixed_in(
    world: World, monkeypatch: pytest.MonkeyPatch, n_reads: int, is_deleted: bool
) -> None:
    world.write("a.md", "the lighthouse")
    world.write("b.md", "the anchor")
    world.stages()
    asked: list[Sequence[str]] = []

    def overtake(ids: Sequence[str]) -> None:
        asked.append(ids)
        if len(asked) == n_reads:
            (world.root / "b.md").unlink()
            if not is_deleted:
                world.write("b.md", "the compass")
            world.stages()

    _before_reading(monkeypatch, overtake)
    world.index()
    assert len(asked) == 4  # once more from the start
    texts = {uri: row["text"] for uri, row in rows(world).items()}
    assert texts == {"docs:a.md": "the lighthouse"} | (
        {} if is_deleted else {"docs:b.md": "the compass"}
    )


def test_another_version_of_the_code_that_makes_rows_makes_them_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write("a.md", "the lighthouse")
    before = world.refresh()
    made = index_rows._row

    def other(*args: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever it is given
        return made(*args) | {"search_text": "beacon"}

    monkeypatch.setattr(index_rows, "_row", other)
    assert not world.refresh().is_new
    world.change_code("chunk_index")
    after = world.refresh()
    assert (after.n_upserted, after.is_new) == (1, True)
    assert found(world, after, "beacon") == {"docs:a.md"}
    assert before.generation.data_version != after.generation.data_version


def test_what_is_recorded_of_partitions_is_what_stands_in_the_index(
    world: World, tmp_path: Path
) -> None:
    other = World(tmp_path, world.store, "other")
    for w in (world, other):
        w.write("a.md", f"the lighthouse of {w.source.name}")
        w.write("b.md", f"the anchor of {w.source.name}")
        w.stages()
    world.index()
    other.write("b.md", "the compass")
    other.stages()
    recorded = world.index().generation.inputs
    for name in ("docs.0", "other.0"):
        standing = [row for row in rows(world).values() if row["partition"] == name]
        assert index_rows.figures(standing).items() <= recorded[name].items()


def test_vectors_of_another_code_version_replace_the_old_ones(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write("a.md", "the lighthouse")
    world.refresh()
    world.change_code("embeddings")
    asked = world.embedder.embed
    monkeypatch.setattr(world.embedder, "embed", lambda texts: -asked(texts), raising=False)
    assert world.refresh().is_new
    (stored,) = (row["vector"] for row in world.store.rows("embeddings", world.partition))
    (indexed,) = (row["vector"] for row in world.store.rows("chunk_index"))
    assert np.dot(stored, indexed) == pytest.approx(1)


def test_what_another_run_writes_while_a_partition_is_read_is_not_mixed_in(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write("a.md", "# Old\n\nthe old text")
    world.refresh()
    world.write("b.md", "the anchor")
    world.stages()
    settled, n_looks = partitions.is_settled, []

    def overtaken(store: LakeStore, partition: str, stages: Sequence[LakeStage]) -> bool:
        found = settled(store, partition, stages)
        if not n_looks:  # between the look and the reading another run comes to its second stage
            world.write("a.md", "# New\n\nthe new text")
            for name in ("source_files", "documents"):
                world.step(name, partition, run_id="other")
        n_looks.append(found)
        return found

    monkeypatch.setattr(partitions, "is_settled", overtaken)
    world.index()
    assert n_looks == [True, False]
    titles = {row["uri"]: row["title"] for row in world.store.rows("chunk_index")}
    assert titles == {"docs:a.md": "Old"}
    world.refresh()
    assert set(rows(world)) == {"docs:a.md", "docs:b.md"}
    assert rows(world)["docs:a.md"]["title"] == "New"


def test_a_copy_answers_as_soon_as_its_canonical_is_gone(world: World) -> None:
    text = "the lighthouse " + " ".join(f"word{n}" for n in range(60))
    canonical = world.write("a.md", text)
    world.write("deep/a-copy.md", text)
    world.refresh()
    assert set(rows(world)) == {"docs:a.md"}
    canonical.unlink()
    world.stages()
    build.build_index(  # another partition's run, before anybody has grouped anew
        world.store,
        CHUNK_INDEX,
        dimension=world.embedder.dimension,
        models=world.facts.identities,
        run_id="other",
    )
    assert set(rows(world)) == {"docs:deep/a-copy.md"}
    before = rows(world)
    world.index()
    assert rows(world) == before


def test_an_index_that_was_removed_is_made_whole_though_its_rebuild_was_killed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(9):
        world.write(f"{n}.md", f"the number {n}")
    before = world.refresh().generation
    shutil.rmtree(Path(world.store.uri) / "tables" / "chunk_index")
    monkeypatch.setattr(index_rows, "BATCH_ROWS", 1)
    flush = Writer.flush

    def die(writer: Writer) -> None:
        flush(writer)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "flush", die)
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt):
                world.index()
    table = world.store.table("chunk_index")
    assert table is not None
    assert table.version > before.index_version  # it looks as if it came after that
    built = world.index()
    assert built.is_new
    assert found(world, built, "number") == {f"docs:{n}.md" for n in range(9)}


@pytest.mark.parametrize("removed", [[], ["embeddings"], ["chunks", "embeddings"]])
def test_tables_that_were_made_anew_are_not_taken_for_those_before(
    world: World, removed: list[str]
) -> None:
    path = world.write("a.md", "the lighthouse")
    world.write("b.md", "the compass")
    world.refresh()
    for name in removed or world.stages():
        world.store._stage(name).drop_table(world.partition)
    if not removed:
        path.write_text("the anchor")
    world.embedder.revision = "2"  # as many commits as before, of other vectors
    built = world.refresh()
    assert built.is_new
    assert built.n_upserted == 2
    assert found(world, built, "compass") == {"docs:b.md"}
    word = "lighthouse" if removed else "anchor"
    assert found(world, built, word) == {"docs:a.md"}


TABLE = "# Ships\n\nTwo ships.\n\n| Ship | Cars | Crew |\n|---|---|---|\n| Alder | 42 | 9 |\n"


def test_rows_know_the_kinds_of_their_blocks(world: World) -> None:
    world.write("a.md", TABLE)
    world.refresh()
    (row,) = world.store.rows("chunk_index")
    kinds = [(block["kind"], row["text"][block["start"] : block["end"]]) for block in row["blocks"]]
    assert [kind for kind, _ in kinds] == ["heading", "paragraph", "table"]
    assert kinds[1][1] == "Two ships."
    assert "Alder | 42" in kinds[2][1]


def test_a_lake_without_kinds_of_blocks_is_used_and_brought_up_to_date(
    world: World, tmp_path: Path
) -> None:
    """No file is read again, and no text embedded."""
    store = world.store
    world.write("a.md", TABLE)
    now = world.listed
    world.change_code("chunks", "before")
    world.refresh()
    for name, partition in (("chunks", "docs.0"), ("chunk_index", "all")):
        table = store.table(name, partition)
        assert table is not None
        table.drop_columns(["blocks"])
        table.update(values={"row_hash": "without blocks"})
    candidate = generations.candidate(store)
    assert candidate is not None
    table = store.table("chunk_index")
    assert table is not None
    before = replace(candidate, index_version=int(table.version))
    generations.put_candidate(store, before)
    world.listed = now
    (row,) = store.rows("chunk_index")
    found = IndexReader(store, before).chunks([row["chunk_id"]])[row["chunk_id"]]
    assert found.blocks == []
    other = World(tmp_path, store, "other")
    other.write("b.md", "The anchor.")
    other.refresh()
    assert {row["uri"]: row["blocks"] is None for row in store.rows("chunk_index")} == {
        "docs:a.md": True, "other:b.md": False,
    }  # fmt: skip
    asked = len(world.embedder.asked)
    reports = world.stages()
    world.index()
    computed = {name: reports[name].n_computed for name in ("source_files", "documents", "chunks")}
    assert computed == {"source_files": 0, "documents": 0, "chunks": 1}
    assert len(world.embedder.asked) == asked
    assert all(row["blocks"] for row in store.rows("chunk_index"))
    assert IndexReader(store, before).chunks([row["chunk_id"]])[row["chunk_id"]].blocks == []


ADDED = ("stated", "copies", "superseded_by", "superseded_by_title")


def test_a_lake_of_an_earlier_version_is_answered_from_and_brought_up_to_date(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By version 5 the index had no columns of dates, copies and versions; rows have them now."""
    store, now, schema_of = world.store, world.listed, index_rows.schema_of

    def schema_before(dimension: int) -> pa.Schema:
        return pa.schema([of for of in schema_of(dimension) if of.name not in ADDED])

    for year, rent in ((2023, "410"), (2024, "445")):
        world.write(f"rents-{year}.md", CONTRACT.format(ship="Alder", rent=rent))
    world.write("a.md", "The anchor is heavy.")
    world.write("copies/a.md", "The anchor is heavy.")
    with monkeypatch.context() as earlier:
        earlier.setattr(index_rows, "schema_of", schema_before)
        earlier.setattr(build, "schema_of", schema_before)
        world.change_code("chunk_index", "5")
        before = world.refresh().generation
    generations.publish(store, before)
    (row, *others) = store.rows("chunk_index")
    assert row.keys().isdisjoint(ADDED)
    chunk = IndexReader(store, before).chunks([row["chunk_id"]])[row["chunk_id"]]
    assert (chunk.stated, chunk.copies, chunk.superseded_by, chunk.superseded_by_title) == (
        "", [], "", "",
    )  # fmt: skip
    world.listed, asked = now, len(world.embedder.asked)
    reports = world.stages()
    built = world.index()
    assert sum(report.n_computed for report in reports.values()) == 0
    assert len(world.embedder.asked) == asked
    assert built.n_upserted == len(others) + 1
    assert all(row[name] is not None for row in store.rows("chunk_index") for name in ADDED)
    assert rows(world)["docs:rents-2023.md"]["superseded_by"] == "docs:rents-2024.md"
    assert rows(world)["docs:a.md"]["copies"] == ["docs:copies/a.md"]
    assert found(world, built, "anchor") == {"docs:a.md"}
    # the generation from before is as it was: a rollback finds it
    generations.publish(store, built.generation)
    generations.rollback(store, before.id)
    reader = IndexReader(store, before)
    assert reader.chunks([row["chunk_id"]])[row["chunk_id"]] == chunk
    assert {hit.chunk.uri for hit in reader.search("anchor", None)} == {"docs:a.md"}


def test_a_generation_names_the_length_of_its_vectors(world: World) -> None:
    world.write("a.md", "the lighthouse")
    built = world.refresh().generation
    assert built.dimension == world.embedder.dimension
    # one from before that was recorded is completed, and no new one
    generations.put_candidate(world.store, replace(built, dimension=0))
    assert world.refresh().generation == built
    assert generations.candidate(world.store) == built
