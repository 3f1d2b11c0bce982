from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pytest

from rag_assets.index.gate import (
    N_CANARIES,
    Canary,
    Embed,
    Measured,
    Verdict,
    applicable,
    draw_canaries,
    evaluate_candidate,
    judge,
    measure,
)
from rag_assets.index.search import IndexReader
from rag_assets.lake import generations
from rag_assets.lake.generations import Generation
from rag_assets.sources.golden import Case
from rag_assets_tests.world import CountingEmbedder, World

WORDS = [
    "anchor", "buoy", "compass", "deck", "engine", "funnel", "galley", "hull", "island", "jetty",
    "keel", "lighthouse",
]  # fmt: skip


def case(*words: str, source: str = "docs") -> Case:
    uris = tuple(f"{source}:{word}.md" for word in words)
    return Case("-".join(words), "lookup", f"What of the {words[0]}?", (), uris)


CASES = [case(word) for word in WORDS]


@pytest.fixture
def harbour(world: World) -> World:
    """Twelve documents, indexed and live."""
    for word in WORDS:
        sentence = f"The {word} is described here. " * 3
        world.write(f"{word}.md", f"# {word}\n\n{sentence}\n\n## More\n\nWho saw a {word} today?")
    generations.publish(world.store, world.refresh().generation)
    return world


def spoiled(world: World, how: str) -> Generation:
    """A candidate of the same inputs whose index is damaged."""
    table = world.store.table("chunk_index")
    candidate = generations.candidate(world.store)
    assert table is not None
    assert candidate is not None
    rows = table.to_arrow()
    if how == "half of the chunks":
        ids = sorted(rows["chunk_id"].to_pylist())[::2]
        table.delete("chunk_id IN ({})".format(", ".join(f"'{i}'" for i in ids)))
    elif how == "shuffled vectors":
        names = rows.schema.names
        vectors = rows["vector"].combine_chunks()
        turned = pa.concat_arrays([vectors[7:], vectors[:7]])
        rows = rows.set_column(names.index("vector"), rows.schema.field("vector"), turned)
        table.merge_insert("chunk_id").when_matched_update_all().execute(rows)
        table.optimize()
    return replace(candidate, id="g000002-spoiled", index_version=int(table.version))


def judged(world: World, candidate: Generation, cases: Sequence[Case]) -> Verdict:
    return evaluate_candidate(world.store, candidate, world.embedder, world.embedder, cases)


def both(world: World) -> list[Embed]:
    """What makes vectors of questions, and of what is indexed."""
    return [world.embedder.embed, world.embedder.embed]


def test_equal_candidate_passes(harbour: World) -> None:
    verdict = judged(harbour, spoiled(harbour, "not at all"), CASES)
    assert verdict.passed
    assert verdict.changed_cases == []
    assert verdict.candidate.recall == 1.0
    assert verdict.live is not None
    assert verdict.live.recall == 1.0
    assert len(verdict.reasons) == 1


def test_what_was_asked_before_is_not_embedded_again(harbour: World) -> None:
    candidate = spoiled(harbour, "not at all")
    first, again, other = CountingEmbedder(), CountingEmbedder(), CountingEmbedder(revision="2")
    once = evaluate_candidate(harbour.store, candidate, first, first, CASES)
    assert len(first.asked) == len(CASES) + N_CANARIES
    assert evaluate_candidate(harbour.store, candidate, again, again, CASES) == once
    assert again.asked == []
    evaluate_candidate(harbour.store, candidate, other, other, CASES)
    assert sorted(other.asked) == sorted(first.asked)


@pytest.mark.parametrize("how", ["half of the chunks", "shuffled vectors"])
def test_spoiled_candidate_is_refused(harbour: World, how: str) -> None:
    verdict = judged(harbour, spoiled(harbour, how), CASES)
    assert not verdict.passed
    assert any("canary" in reason for reason in verdict.reasons)
    live = generations.live_generation(harbour.store)
    assert live is not None
    again = judged(harbour, live, CASES)
    assert again.passed  # the old version is untouched by what happened to the new one


def test_worse_retrieval_is_refused_by_its_recall(harbour: World) -> None:
    table = harbour.store.table("chunk_index")
    candidate = generations.candidate(harbour.store)
    assert table is not None
    assert candidate is not None
    table.delete("uri IN ('docs:anchor.md', 'docs:buoy.md')")
    worse = replace(candidate, id="g2", index_version=int(table.version))
    verdict = judged(harbour, worse, CASES)
    assert not verdict.passed
    assert any("recall on golden questions fell from 1.000 to 0.833" in r for r in verdict.reasons)
    assert sorted(verdict.changed_cases) == ["docs/anchor", "docs/buoy"]


def test_questions_of_deleted_documents_do_not_count(harbour: World) -> None:
    for word in WORDS[:4]:
        (harbour.root / f"{word}.md").unlink()
    candidate = harbour.refresh().generation
    asked = applicable(harbour.store, CASES)
    assert [c.id for c in asked] == WORDS[4:]
    verdict = judged(harbour, candidate, CASES)
    assert verdict.passed


def test_collapsed_documents_are_found_by_their_aliases(world: World) -> None:
    for path in ("a.md", "copies/a.md"):
        world.write(path, "# Anchor\n\nThe anchor is described here, as it is in no other place.")
    candidate = world.refresh().generation
    cases = [Case("a", "lookup", "anchor", (), ("docs:copies/a.md",))]
    verdict = judged(world, candidate, cases)
    assert verdict.candidate.recall == 1.0


def test_all_documents_of_a_question_count(harbour: World) -> None:
    candidate = generations.live_generation(harbour.store)
    assert candidate is not None
    two = Case("both", "multi", "anchor", (), ("docs:anchor.md", "docs:absent.md"))
    reader = IndexReader(harbour.store, candidate)
    assert measure(reader, *both(harbour), [two], []).recall == 0.5
    assert applicable(harbour.store, [two, replace(two, uris=())]) == []


def test_equal_ids_of_two_sources_are_two_questions(harbour: World) -> None:
    candidate = generations.live_generation(harbour.store)
    assert candidate is not None
    cases = [case("anchor"), case("anchor", source="other")]
    found = measure(IndexReader(harbour.store, candidate), *both(harbour), cases, [])
    assert found.recall_by_case == {"docs/anchor": 1.0, "other/anchor": 0.0}


def test_boilerplate_does_not_crowd_itself_out(world: World) -> None:
    for word in (f"{w}{n}" for w in WORDS for n in range(3)):
        world.write(
            f"{word}.md",
            f"# {word}\n\nThis page speaks of {word} and {word} alone, {word} {word}.\n\n"
            "# Terms\n\nAll our tickets are sold under the general terms of carriage of 2024.",
        )
    candidate = world.refresh().generation
    verdict = judged(world, candidate, [])
    assert verdict.passed, verdict.reasons


def test_canaries_are_the_same_each_time_and_of_canonicals(harbour: World) -> None:
    drawn = draw_canaries(harbour.store)
    assert drawn == draw_canaries(harbour.store)
    assert len(drawn) == 24
    assert drawn[0].embedded.endswith(drawn[0].text)
    harbour.write("copies/anchor.md", (harbour.root / "anchor.md").read_text())
    harbour.refresh()
    collapsed = {row["document_id"] for row in harbour.store.rows("duplicates")}
    assert len(collapsed) == 1
    chunks = harbour.store.rows("chunks", harbour.partition)
    ids = {c["chunk_id"] for c in chunks if c["document_id"] in collapsed}
    assert ids.isdisjoint(c.chunk_id for c in draw_canaries(harbour.store))


def test_lost_chunk_is_a_missed_canary(harbour: World) -> None:
    live = generations.live_generation(harbour.store)
    assert live is not None
    canaries = [*draw_canaries(harbour.store)[:1], Canary("chk_lost", "xyzzy", "xyzzy")]
    found = measure(IndexReader(harbour.store, live), *both(harbour), [], canaries)
    assert (found.canaries_found, found.missed_canaries) == (0.5, ["chk_lost"])


GOOD = Measured(0.9, {"a": 1.0, "b": 0.8}, 1.0, [], 10)


def test_an_empty_index_goes_live_only_where_nothing_speaks_against_it() -> None:
    empty = replace(GOOD, n_chunks=0, recall=None)
    assert judge(empty, GOOD, n_unindexed=0, empty="").passed
    assert judge(empty, GOOD, n_unindexed=0, empty="no file gave one").reasons == [
        "no file gave one"
    ]


@pytest.mark.parametrize(
    ("candidate", "live", "n_unindexed", "reason"),
    [
        (GOOD, None, 0, None),
        (GOOD, GOOD, 0, None),
        (replace(GOOD, recall=0.86), GOOD, 0, None),
        (replace(GOOD, recall=None), GOOD, 0, None),
        (GOOD, replace(GOOD, recall=None), 0, None),
        (replace(GOOD, recall=0.84), GOOD, 0, "recall on golden questions fell"),
        (replace(GOOD, canaries_found=0.89), None, 0, "canary chunks are not found"),
        (replace(GOOD, n_chunks=0), None, 0, "the index is empty"),
        (GOOD, GOOD, 3, "the text index misses 3 of 10 rows"),
    ],
)
def test_verdicts(
    candidate: Measured, live: Measured | None, n_unindexed: int, reason: str | None
) -> None:
    verdict = judge(candidate, live, n_unindexed=n_unindexed)
    assert verdict.passed == (reason is None)
    assert reason is None or verdict.reasons[0].startswith(reason) or reason in verdict.reasons[0]
    assert verdict.to_record()["passed"] == verdict.passed
