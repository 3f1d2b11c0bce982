"""The whole graph in Dagster on a lake in a temporary folder; only the models are fakes."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from rag_assets.lake import generations
from rag_assets.lake.figures import histogram
from rag_assets.orchestration.assets import assets_of, checks_of
from rag_assets.orchestration.partitions import corpus_partitions
from rag_assets.pipeline.stages import STAGES
from rag_assets_tests.orchestration.graph import resources_of
from rag_assets_tests.world import CountingEmbedder, World

ASSETS = assets_of(STAGES)
CHECKS = {key.name: check for check in checks_of(STAGES) for key in check.check_keys}


class Graph:
    """The graph with its instance and resources."""

    def __init__(self, instance: dg.DagsterInstance, world: World, folder: Path) -> None:
        self.instance = instance
        self.world = world
        self.folder = folder

    def declare(self, *names: str, golden: bool = False) -> list[str]:
        """Declare sources; returns their partitions."""
        entries: list[dict[str, object]] = [
            {"name": n, "kind": "folder", "where": n} for n in names
        ]
        if golden:
            entries[0]["golden"] = "golden.jsonl"
        (self.folder / "sources.yaml").write_text(json.dumps({"sources": entries}))
        keys = [f"{name}.0" for name in names]
        self.instance.add_dynamic_partitions(str(corpus_partitions.name), keys)
        return keys

    def run(
        self,
        partition: str | None,
        *,
        selection: dg.AssetSelection | None = None,
        max_tokens: int = 60,
    ) -> dg.ExecuteInProcessResult:
        return dg.materialize(
            [*ASSETS, *CHECKS.values()],
            instance=self.instance,
            partition_key=partition,
            selection=selection,
            raise_on_error=False,
            resources=resources_of(self.world.store, self.folder / "sources.yaml", max_tokens),
        )

    def check(self, name: str, max_tokens: int = 60) -> dg.AssetCheckEvaluation:
        """The evaluation of one check, alone and over all partitions."""
        chosen = dg.AssetSelection.checks(CHECKS[name])
        result = self.run(None, selection=chosen, max_tokens=max_tokens)
        (evaluation,) = result.get_asset_check_evaluations()
        return evaluation


@pytest.fixture
def graph(world: World, tmp_path: Path) -> Iterator[Graph]:
    with dg.DagsterInstance.ephemeral() as instance:
        made = Graph(instance, world, tmp_path)
        made.declare("docs")
        yield made


def versions(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """Asset -> data version of what a run materialised."""
    found = {}
    for event in result.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        tags = materialization.tags or {}
        found[materialization.asset_key.to_user_string()] = tags["dagster/data_version"]
    return found


def test_whole_graph_then_nothing_to_do(graph: Graph) -> None:
    for word in ("anchor", "buoy", "compass"):
        graph.world.write(f"{word}.md", f"# {word}\n\nThe {word} is described here.")
    graph.world.write("copies/anchor.md", "# anchor\n\nThe anchor is described here.")
    graph.world.write("empty.md", "")
    question = {"id": "a", "kind": "lookup", "question": "What of the anchor?", "answers": ["x"]}
    golden = graph.folder / "golden.jsonl"
    golden.write_text(json.dumps({**question, "documents": ["copies/anchor.md"]}))
    (partition,) = graph.declare("docs", golden=True)
    first = graph.run(partition)
    assert first.success
    assert all(check.passed for check in first.get_asset_check_evaluations())
    # One check stands on its asset: it speaks before anything is written.
    assert len(first.get_asset_check_evaluations()) == len(CHECKS) + 1
    live = generations.live_generation(graph.world.store)
    assert live is not None
    assert live.counts == {"chunks": 3, "documents": 3}
    assert live.evaluation["candidate"]["recall"] == 1.0
    second = graph.run(partition)
    assert second.success
    assert versions(second) == versions(first)
    assert len(versions(second)) == 11
    assert generations.live_generation(graph.world.store) == live
    pointer = generations.live(graph.world.store)
    assert pointer is not None
    assert pointer.sequence == 1


def test_change_in_one_partition_leaves_the_other_alone(graph: Graph, tmp_path: Path) -> None:
    other = World(tmp_path, graph.world.store, "other")
    for world in (graph.world, other):
        world.write("a.md", f"# A\n\nThe anchor of {world.source.name}.")
    partitions = graph.declare("docs", "other")
    for partition in partitions:
        assert graph.run(partition).success
    table = graph.world.store.table("chunks", "docs.0")
    assert table is not None
    before = table.version
    other.write("a.md", "# A\n\nThe buoy is red.")
    assert graph.run("other.0").success
    table = graph.world.store.table("chunks", "docs.0")
    assert table is not None
    assert table.version == before
    assert {row["uri"] for row in graph.world.store.rows("chunk_index")} == {
        "docs:a.md",
        "other:a.md",
    }


def test_missing_source_fails_the_run_and_changes_nothing(graph: Graph) -> None:
    graph.world.write("a.md", "# A\n\nThe anchor.")
    assert graph.run("docs.0").success
    live = generations.live(graph.world.store)
    graph.world.root.rename(graph.folder / "away")
    assert not graph.run("docs.0").success
    assert generations.live(graph.world.store) == live
    assert len(graph.world.store.rows("documents", "docs.0")) == 1


def test_undeclared_partition_fails_with_what_to_do(graph: Graph) -> None:
    graph.instance.add_dynamic_partitions(str(corpus_partitions.name), ["ghost.0"])
    result = graph.run("ghost.0")
    assert not result.success
    (failure,) = [e for e in result.all_events if e.is_step_failure]
    assert "ghost.0 belong to no declared source" in str(failure.step_failure_data.error)


def test_worse_candidate_does_not_go_live(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    graph.world.write("a.md", "# A\n\nThe anchor.")
    assert graph.run("docs.0").success
    live = generations.live(graph.world.store)
    graph.world.write("a.md", "# A\n\nThe buoy is red.")
    right = CountingEmbedder.embed

    def wrong(self: CountingEmbedder, texts: Sequence[str]) -> NDArray[np.float32]:
        return right(self, [text[::-1] for text in texts])

    embed_only = dg.AssetSelection.assets(
        *(table.name for stage in STAGES for table in stage.tables)
    )
    with monkeypatch.context() as patch:
        patch.setattr(CountingEmbedder, "embed", wrong)
        assert graph.run("docs.0", selection=embed_only).success
    result = graph.run("docs.0")
    assert not result.success  # the gate is a blocking check
    (gate,) = [
        e for e in result.get_asset_check_evaluations() if e.check_name == "candidate_may_go_live"
    ]
    assert not gate.passed
    assert generations.live(graph.world.store) == live


@pytest.fixture
def filled(graph: Graph) -> Graph:
    graph.world.write("a.md", "# A\n\nThe anchor.")
    assert graph.run("docs.0").success
    return graph


def test_every_file_accounted_for_fails(filled: Graph) -> None:
    assert filled.check("every_file_accounted_for").passed
    table = filled.world.store.table("documents", "docs.0")
    assert table is not None
    table.delete("true")
    found = filled.check("every_file_accounted_for")
    assert not found.passed
    assert found.description == "1 of 1 files are in neither table, or in both"


def test_other_partitions_on_their_way_do_not_fail_a_run(filled: Graph, tmp_path: Path) -> None:
    other = World(tmp_path, filled.world.store, "other")
    other.write("a.md", "# A\n\nThe anchor of others.")
    filled.declare("docs", "other")
    assert filled.run("other.0").success
    other.write("b.md", "# B\n\nThe buoy is red.")
    assert filled.run("other.0", selection=dg.AssetSelection.assets("source_files")).success
    assert not filled.check("every_file_accounted_for").passed
    assert filled.run("docs.0").success


def test_chunks_fit_the_embedder_fails(filled: Graph) -> None:
    for _ in range(2):
        passed = filled.check("chunks_fit_the_embedder")
        assert passed.passed
        assert passed.description == "0 of 0 chunks exceed 60 tokens; 1 were counted before"
    for _ in range(2):  # what did not pass is counted each time
        found = filled.check("chunks_fit_the_embedder", max_tokens=4)
        assert not found.passed
        assert found.description == "1 of 1 chunks exceed 4 tokens; 0 were counted before"


def test_chunk_ids_unique_fails(filled: Graph) -> None:
    assert filled.check("chunk_ids_unique").passed
    rows = filled.world.store.read("chunks", "docs.0")
    assert rows is not None
    filled.world.store.open_or_create("chunks", "other.0", rows.schema).add(rows)
    assert not filled.check("chunk_ids_unique").passed


def test_labels_are_in_the_set_fails(filled: Graph) -> None:
    assert filled.check("labels_are_in_the_set").passed
    table = filled.world.store.table("enrichments", "docs.0")
    assert table is not None
    table.update(values={"document_type": "novel"})
    assert not filled.check("labels_are_in_the_set").passed


def test_index_covers_all_rows_fails(filled: Graph) -> None:
    assert filled.check("index_covers_all_rows").passed
    store = filled.world.store
    table = store.table("chunk_index")
    candidate = generations.candidate(store)
    assert table is not None
    assert candidate is not None
    row = table.to_arrow().to_pylist()[0]
    table.add(pa.Table.from_pylist([{**row, "chunk_id": "chk_new"}], schema=table.schema))
    generations.put_candidate(store, replace(candidate, index_version=int(table.version)))
    found = filled.check("index_covers_all_rows")
    assert not found.passed
    assert found.metadata["n_unindexed"].value == 1


def test_candidate_may_go_live_fails(filled: Graph) -> None:
    assert filled.check("candidate_may_go_live").passed
    candidate = generations.candidate(filled.world.store)
    assert candidate is not None
    record = {**candidate.evaluation, "passed": False, "reasons": ["the reason"]}
    for evaluation, reason in (({}, "the candidate was never evaluated"), (record, "the reason")):
        changed = replace(candidate, evaluation=evaluation)
        generations.put_candidate(filled.world.store, changed)
        found = filled.check("candidate_may_go_live")
        assert not found.passed
        assert found.description == reason


def test_checks_without_a_candidate_fail(graph: Graph) -> None:
    assert not graph.check("index_covers_all_rows").passed
    assert not graph.check("candidate_may_go_live").passed


def test_histogram() -> None:
    assert histogram([]).text == "no values"
    assert histogram([0, 1, 5, 99], n_bins=2).text.count("█") == 53  # 3 and 1 of 40 / 3 each
