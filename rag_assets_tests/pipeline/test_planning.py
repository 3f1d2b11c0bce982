"""Plans against what the refresh that follows reports, on real tables."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rag_assets.files import NO_DOCUMENTS
from rag_assets.index.promotion import promote
from rag_assets.lake import generations
from rag_assets.lake.delta import Report
from rag_assets.pipeline import planning
from rag_assets.pipeline.history import FINGERPRINTS
from rag_assets.pipeline.plan import RefreshPlan, StagePlan
from rag_assets.pipeline.planning import plan_refresh, up_to_date
from rag_assets.pipeline.stages import STAGES as ALL_STAGES
from rag_assets.sections import stage as sections
from rag_assets.sources.declaration import Source
from rag_assets.sources.folder import FolderListing
from rag_assets.sources.found import FoundFile, UnreadableError
from rag_assets_tests.world import CountingEmbedder, World

STAGES = [stage.name for stage in ALL_STAGES if stage.scope == "partition"]
COUNTS = ("new", "changed", "gone", "unchanged")


def planned_for(world: World, **given: Any) -> RefreshPlan:  # noqa: ANN401 - of ``plan_refresh``
    return plan_refresh(world.store, [world.source], world.facts, world.listed, **given)


def record_fingerprints(world: World) -> None:
    world.store.put_record(FINGERPRINTS, planned_for(world).fingerprints)


def test_another_embedder_is_told_with_its_vectors_to_make(world: World) -> None:
    for word in ("anchor", "buoy", "compass"):
        world.write(f"{word}.md", f"# {word}\n\nThe {word} is described here.")
    world.refresh()
    record_fingerprints(world)
    world.embedder = CountingEmbedder(model_id="other/embedder", dimension=96)
    planned = plan(world)
    to_make = planned["embeddings"]
    assert (to_make.calls, to_make.changed, to_make.seconds > 0) == (3, 3, True)
    assert to_make.causes == {"model changed": 3}
    assert planned["chunk_index"].has_work
    assert not planned_for(world).is_empty


def plan(world: World) -> dict[str, StagePlan]:
    return {stage.stage: stage for stage in planned_for(world).totals}


def counts(of: StagePlan | Report) -> dict[str, int]:
    if isinstance(of, StagePlan):
        return {name: getattr(of, name) for name in COUNTS}
    delta = of.delta
    found = (len(delta.new), len(delta.changed), len(delta.gone), delta.unchanged)
    return dict(zip(COUNTS, found, strict=True))


def exact_ones_hold(planned: Mapping[str, StagePlan], did: Mapping[str, Report]) -> None:
    for name in STAGES:
        for figure, actual in counts(did[name]).items():
            if figure not in planned[name].estimated:
                assert counts(planned[name])[figure] == actual, (name, figure)


def given_pages(world: World, n: int = 3) -> None:
    for number in range(n):
        text = "".join(f"# Part {k}\n\n{'word ' * 70}{number} {k}\n\n" for k in range(2))
        world.write(f"{number}.md", text)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of the lake and what is in it."""
    return {
        os.path.relpath(path, folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_fresh_source(world: World) -> None:
    given_pages(world)
    planned = plan(world)
    files = planned["source_files"]
    assert counts(files) == {"new": 3, "changed": 0, "gone": 0, "unchanged": 0}
    assert files.n_bytes == sum(path.stat().st_size for path in world.root.iterdir())
    assert files.causes == {planning.NEW_AT_SOURCE: 3}
    assert counts(planned["documents"])["new"] == 3
    assert "new" not in planned["documents"].estimated
    for name in ("sections", "chunks", "embeddings"):
        assert "new" in planned[name].estimated
        assert planned[name].new > 0
    assert planned["embeddings"].calls == planned["embeddings"].new
    assert planned["enrichments"].calls == 3
    assert planned["engines"].has_work
    exact_ones_hold(planned, world.stages())


def test_nothing_changed(world: World) -> None:
    given_pages(world)
    world.write("empty.md", "")
    world.refresh()
    planned = plan(world)
    assert not any(stage.has_work for stage in planned.values())
    assert all(list(planned[name].estimated) == ["seconds"] for name in planned)
    assert sum(stage.calls for stage in planned.values()) == 0
    did = world.stages()
    assert {name: counts(planned[name]) for name in STAGES} == {
        name: counts(did[name]) for name in STAGES
    }


def test_one_changed_and_one_deleted(world: World) -> None:
    given_pages(world)
    world.stages()
    world.write("0.md", f"# Part 0\n\n{'other ' * 70}\n\n# Part 1\n\n{'words ' * 70}")
    (world.root / "1.md").unlink()
    planned = plan(world)
    assert counts(planned["source_files"]) == {"new": 0, "changed": 1, "gone": 1, "unchanged": 1}
    assert planned["source_files"].n_bytes == (world.root / "0.md").stat().st_size
    assert "gone" not in planned["documents"].estimated
    assert "changed" in planned["documents"].estimated
    did = world.stages()
    exact_ones_hold(planned, did)
    # Every page has as many sections and chunks as every other here, so estimates come true.
    for name in STAGES:
        assert planned[name].to_compute == len(did[name].delta.to_compute), name
    assert planned["chunk_index"].gone > 0


def test_a_touched_file_is_read_and_the_rest_is_an_upper_bound(world: World) -> None:
    given_pages(world)
    world.stages()
    os.utime(world.root / "0.md", (1, 1))
    planned = plan(world)
    assert planned["source_files"].changed == 1
    assert "changed" not in planned["source_files"].estimated
    assert (planned["documents"].changed, planned["embeddings"].calls) == (1, 4)
    assert {"changed", "calls"} <= {*planned["embeddings"].estimated}
    did = world.stages()
    exact_ones_hold(planned, did)
    assert did["documents"].is_noop


def test_only_deleted(world: World) -> None:
    given_pages(world)
    world.stages()
    (world.root / "1.md").unlink()
    planned = plan(world)
    assert all("gone" not in planned[name].estimated for name in STAGES[:2])
    assert planned["chunks"].gone == 2
    assert planned["embeddings"].gone == 4
    exact_ones_hold(planned, world.stages())


@pytest.mark.parametrize("stage", ["documents", "sections", "chunks"])
def test_code_version(world: World, stage: str) -> None:
    given_pages(world)
    world.refresh()
    record_fingerprints(world)
    world.change_code(stage)
    planned = plan(world)
    assert not planned["source_files"].has_work
    mine = planned[stage]
    assert mine.causes == {"code version changed": mine.changed}
    assert list(mine.estimated) == ["seconds"]
    assert mine.unchanged == 0
    assert planned["embeddings"].causes == {"code version changed": planned["embeddings"].changed}
    assert "calls" in planned["embeddings"].estimated
    did = world.stages()
    exact_ones_hold(planned, did)
    assert counts(did[stage]) == counts(mine)


@pytest.mark.parametrize("stage", ["duplicates", "chunk_index"])
def test_code_version_of_a_stage_over_the_corpus(world: World, stage: str) -> None:
    given_pages(world)
    world.refresh()
    assert plan(world)[stage].estimated == ["seconds"]
    world.change_code(stage)
    planned = plan(world)
    assert planned[stage].has_work
    assert "changed" in planned[stage].estimated
    assert not any(planned[name].has_work for name in STAGES)
    assert planned["engines"].has_work


def test_a_cause_that_nobody_recorded_is_named_with_its_alternatives(world: World) -> None:
    given_pages(world)
    world.stages()
    world.change_code("chunks")
    assert list(plan(world)["chunks"].causes) == ["code version or tokenizer or window changed"]


def test_another_embedder_asks_for_all_texts(world: World) -> None:
    given_pages(world)
    world.write("copy.md", (world.root / "0.md").read_text())
    world.stages()
    record_fingerprints(world)
    world.embedder.revision = "2"
    world.embedder.asked.clear()
    planned = plan(world)["embeddings"]
    assert planned.causes == {"model revision changed": planned.changed}
    assert {*COUNTS}.isdisjoint(planned.estimated)
    assert {"calls", "tokens_in"} <= {*planned.estimated}  # two texts are equal, one is asked for
    did = world.stages()["embeddings"]
    assert counts(planned) == counts(did)
    assert planned.calls == planned.changed >= len(world.embedder.asked)
    assert planned.tokens_in > 0


def test_another_small_model_is_exact_in_documents(world: World) -> None:
    given_pages(world)
    world.stages()
    record_fingerprints(world)
    world.chat.revision = "2"
    planned = plan(world)["enrichments"]
    assert planned.causes == {"small model revision changed": 3}
    assert counts(planned) == counts(world.stages()["enrichments"])
    assert (planned.calls, "calls" in planned.estimated) == (3, True)


def test_other_labels_of_a_source_read_its_documents_alone(world: World, tmp_path: Path) -> None:
    other = World(tmp_path, world.store, "other")
    for one in (world, other):
        given_pages(one)
        one.stages()
    world.source = replace(world.source, document_types={"a": ("One.",), "b": ("Two.",)})
    planned = plan_refresh(world.store, [world.source, other.source], world.facts)
    first, second = ({stage.stage: stage for stage in of.stages} for of in planned.partitions)
    assert (first["enrichments"].changed, first["enrichments"].calls) == (3, 3)
    assert (second["enrichments"].changed, second["enrichments"].calls) == (0, 0)
    for found, one in ((first, world), (second, other)):
        did = one.stages()["enrichments"]
        assert counts(found["enrichments"]) == counts(did)


def test_labels_go_with_the_source_that_is_not_enriched_any_more(world: World) -> None:
    given_pages(world)
    world.stages()
    world.source = replace(world.source, enrich="none")
    planned = plan(world)["enrichments"]
    assert counts(planned) == {"new": 0, "changed": 0, "gone": 3, "unchanged": 0}


def test_an_unfinished_refresh_is_taken_up(world: World) -> None:
    given_pages(world)
    world.step("source_files")
    world.step("documents")
    planned = plan(world)
    assert not planned["documents"].has_work
    assert planned["sections"].causes == {planning.UNFINISHED: 3}
    assert "new" not in planned["sections"].estimated
    exact_ones_hold(planned, world.stages())


def test_boilerplate_makes_sections_an_estimate(world: World) -> None:
    given_pages(world, 8)
    world.stages()
    (world.root / "1.md").unlink()
    planned = plan(world)
    assert {"changed", "unchanged"} <= {*planned["sections"].estimated}
    assert planned["sections"].gone == 1
    exact_ones_hold(planned, world.stages())


def test_boilerplate_that_moves_makes_all_after_it_an_estimate(world: World) -> None:
    footer = "\n\nPrinted by the harbour office of the island."
    for n in range(6):
        world.write(f"{n}.md", f"# Page {n}\n\n{f'word{n} ' * 30}{footer if n < 4 else ''}")
    world.stages()
    world.write("6.md", f"# Page 6\n\n{'new ' * 30}{footer}")  # the fifth page that has it
    planned = plan(world)
    did = world.stages()
    assert did["chunks"].delta.changed
    assert did["embeddings"].delta.gone
    for name in ("chunks", "embeddings"):
        assert {*COUNTS} <= {*planned[name].estimated}
    assert {"calls", "tokens_in"} <= {*planned["embeddings"].estimated}
    assert "new" in planned["enrichments"].estimated
    exact_ones_hold(planned, did)


@pytest.mark.parametrize("others", [0, 3])
def test_a_rejected_file_that_is_edited_may_become_a_document(world: World, others: int) -> None:
    given_pages(world, others)
    world.write("broken.md", b"\0\1\2\3")
    world.stages()
    world.write("broken.md", f"# Mended\n\n{'word ' * 30}")
    planned = plan(world)
    assert planned["documents"].changed == 1
    for name in ("sections", "enrichments"):
        assert planned[name].new == 1
        assert planned[name].causes == {planning.CHANGED_AT_SOURCE: 1}
    for name in STAGES[2:]:
        assert "new" in planned[name].estimated
    assert {"calls", "tokens_in"} <= {*planned["embeddings"].estimated}
    did = world.stages()
    assert len(did["embeddings"].delta.new) == 1
    exact_ones_hold(planned, did)


def test_a_document_that_becomes_a_rejected_file_is_no_exact_work(world: World) -> None:
    given_pages(world)
    world.stages()
    world.write("0.md", b"\0\1\2\3")
    world.change_code("sections")
    planned = plan(world)["sections"]
    did = world.stages()["sections"]
    assert (planned.changed, len(did.delta.changed)) == (3, 2)
    assert {"changed", "gone"} <= {*planned.estimated}


def test_what_an_unfinished_refresh_left_may_be_what_comes(world: World) -> None:
    given_pages(world)
    world.stages()
    world.write("0.md", b"\0\1\2\3")
    world.step("source_files")
    world.step("documents")
    given_pages(world, 1)
    planned = plan(world)
    did = world.stages()
    assert did["sections"].is_noop
    assert {"new", "changed", "gone", "unchanged"} <= {*planned["sections"].estimated}
    exact_ones_hold(planned, did)


def test_boilerplate_found_earlier_is_part_of_the_input(world: World) -> None:
    for n in range(8):
        world.write(
            f"{n}.md", f"# Page {n}\n\ntext {n} {'w ' * n}\n\nThe same footer on each page."
        )
    world.refresh()
    assert sections.known_boilerplate(world.store, world.partition)
    assert not any(stage.has_work for stage in plan(world).values())


def test_a_file_that_could_not_be_read_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_pages(world)
    with monkeypatch.context() as patch:

        def refuse(listing: FolderListing, file: FoundFile) -> bytes:
            raise UnreadableError("cannot be read: Input/output error")

        patch.setattr(FolderListing, "read", refuse)
        world.step("source_files")
    planned = plan(world)["source_files"]
    assert planned.causes == {planning.UNREAD: 3}
    did = world.step("source_files", run_id="r2")
    assert counts(planned) == counts(did)


def test_a_plan_writes_nothing(world: World) -> None:
    given_pages(world)
    world.refresh()
    world.write("0.md", "other words")
    world.embedder.revision = "2"
    lake = Path(world.store.uri)
    before, n_asked = tree(lake), len(world.embedder.asked)
    plan(world)
    assert tree(lake) == before
    assert len(world.embedder.asked) == n_asked


def test_a_plan_of_an_empty_lake_makes_no_table(world: World) -> None:
    given_pages(world)
    plan(world)
    assert tree(Path(world.store.uri)) == {NO_DOCUMENTS: b""}


def test_a_source_that_shrank_or_is_away_would_stop(world: World) -> None:
    given_pages(world, 6)
    world.stages()
    for n in range(1, 6):
        (world.root / f"{n}.md").unlink()

    def planned(*, accept_deletions: bool = False) -> RefreshPlan:
        return planned_for(world, accept_deletions=accept_deletions)

    (stopped,) = planned().partitions
    assert "lists 1 readable files where 6 stood" in stopped.problem
    assert list(stopped.stages) == []
    (agreed,) = planned(accept_deletions=True).partitions
    assert agreed.stages[0].gone == 5
    (world.root / "0.md").unlink()
    world.root.rmdir()
    (away,) = planned().partitions
    assert "expected a folder" in away.problem
    (emptied,) = planned(accept_deletions=True).partitions
    assert emptied.stages[0].gone == 6


def test_a_web_source_is_not_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    given_pages(world)
    world.stages()
    world.source = Source("docs", "web", "https://docs.example.org/sitemap.xml")

    def asked(source: Source) -> None:
        raise AssertionError(f"{source.name} was asked")

    monkeypatch.setattr(planning, "opened", asked)
    (partition,) = planned_for(world).partitions
    assert "cannot be known without asking; the last crawl held 3 pages" in partition.note
    assert partition.stages[0].unchanged == 3
    assert {*COUNTS} <= {*partition.stages[0].estimated}


def test_buckets_are_planned_apart(world: World) -> None:
    given_pages(world, 8)
    world.source = replace(world.source, buckets=2)
    sizes = [one.stages[0].new for one in planned_for(world).partitions]
    assert len(sizes) == 2
    assert all(sizes)
    assert sum(sizes) == 8


def test_a_stage_of_a_team_is_planned_with_the_others(world: World) -> None:
    given_pages(world)
    described = world.named("enrichments")
    table = replace(described.main, name="toys")
    toy = replace(described, name="toys", version="1", tables=(table,))
    world.listed = [*world.listed, toy]
    planned = plan(world)["toys"]
    assert (planned.new, planned.causes) == (3, {planning.NEW_AT_SOURCE: 3})


def test_nothing_has_to_run_where_the_candidate_is_live(world: World) -> None:
    given_pages(world)
    built = world.refresh().generation
    assert up_to_date(world.store, planned_for(world)) is None  # it was not published
    judged = replace(built, evaluation={"passed": True})
    generations.put_candidate(world.store, judged)
    promote(world.store, judged)
    assert up_to_date(world.store, planned_for(world)) == judged
    world.write("1.md", "other words")
    assert up_to_date(world.store, planned_for(world)) is None
