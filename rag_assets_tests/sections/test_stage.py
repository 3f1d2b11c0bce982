from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag_assets.lake.delta import Report
from rag_assets.lake.figures import Table
from rag_assets.lake.store import LakeStore
from rag_assets.sections import stage as structure
from rag_assets_tests.sections.test_boilerplate import body
from rag_assets_tests.world import World

FOOTER = "All rights reserved by the Norrsund Line."
NOTICE = "We use cookies to make this site better."


def cut(world: World) -> Report:
    """Run the stages up to sections."""
    for name in ("source_files", "documents"):
        world.step(name)
    return world.step("sections")


def left_out(world: World) -> list[tuple[object, ...]]:
    """The texts that were left out, and on how many pages they stand."""
    table = structure.summary(world.store, [world.partition])["boilerplate"]
    assert isinstance(table, Table)
    return list(table.rows)


def write(world: World, number: int, *below: str) -> Path:
    title, text = f"# Page {number}", body(number).text
    return world.write(f"{number}.md", "\n\n".join([title, text, *below]))


def texts(world: World) -> dict[str, list[str]]:
    """File -> texts of its sections."""
    uris = {
        row["document_id"]: row["uri"].partition(":")[2]
        for row in world.store.rows("documents", world.partition)
    }
    found: dict[str, list[str]] = {uri: [] for uri in sorted(uris.values())}
    rows = world.store.rows("sections", world.partition)
    for row in sorted(rows, key=lambda row: (row["document_id"], row["ordinal"])):
        found[uris[row["document_id"]]].append(row["text"])
    return found


def test_section_is_its_part_of_the_document(world: World) -> None:
    world.write("a.md", "# A\n\nfirst\n\n## B\n\nsecond part\n\n| a |\n|---|\n| 1 |")
    cut(world)
    (document,) = world.store.rows("documents", world.partition)
    sections = world.store.rows("sections", world.partition)
    assert len(sections) == 2
    for section in sections:
        assert document["text"][section["start"] : section["end"]] == section["text"]
        assert section["title"] == "A"


def test_only_the_edited_document_is_cut_again(world: World) -> None:
    for name in "abc":
        world.write(f"{name}.md", f"# {name}\n\ntext of {name}")
    cut(world)
    world.write("b.md", "# b\n\nanother text")
    report = cut(world)
    assert (len(report.delta.changed), report.delta.unchanged, report.n_written) == (1, 2, 1)


def test_boilerplate_stands_in_one_document_only(world: World) -> None:
    for number in range(8):
        write(world, number, FOOTER, body(number + 50).text)
    cut(world)
    assert left_out(world) == [(FOOTER, "8 of 8")]
    sections = texts(world)
    assert [name for name, parts in sections.items() if FOOTER in "".join(parts)] == ["0.md"]
    assert [len(parts) for parts in sections.values()] == [1] + [2] * 7
    for row in world.store.rows("documents", world.partition):
        assert FOOTER in row["text"]  # offsets stay true: the text is not touched
        for section in world.store.rows("sections", world.partition):
            if section["document_id"] == row["document_id"]:
                assert row["text"][section["start"] : section["end"]] == section["text"]


def test_only_documents_that_hold_it_are_cut_again(world: World) -> None:
    for number in range(8):
        write(world, number, *([FOOTER] if number < 4 else []))
    cut(world)
    before = texts(world)
    write(world, 8, FOOTER)
    report = cut(world)  # the fifth page makes it boilerplate; the first one keeps it
    assert (len(report.delta.new), len(report.delta.changed), report.delta.unchanged) == (1, 3, 5)
    (world.root / "8.md").unlink()
    report = cut(world)
    assert (len(report.delta.gone), len(report.delta.changed), report.delta.unchanged) == (1, 3, 5)
    assert texts(world) == before
    assert cut(world).is_noop


def test_the_next_document_keeps_it_when_its_keeper_goes(world: World) -> None:
    for number in range(8):
        write(world, number, FOOTER)
    cut(world)
    (world.root / "0.md").unlink()
    report = cut(world)
    assert len(report.delta.changed) == 1
    kept = [name for name, parts in texts(world).items() if FOOTER in "".join(parts)]
    assert kept == ["1.md"]


def test_texts_are_not_read_again_while_no_document_changes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        write(world, number, FOOTER)
    cut(world)
    first = left_out(world)
    with monkeypatch.context() as patch:
        patch.setattr(structure, "find_boilerplate", None)  # would fail if they were called
        patch.setattr(structure, "repeated_blocks", None)
        assert cut(world).is_noop
    assert left_out(world) == first
    write(world, 0, NOTICE)
    cut(world)
    assert [name for name, parts in texts(world).items() if FOOTER in "".join(parts)] == ["1.md"]


def rows(world: World) -> list[dict[str, Any]]:
    found = world.store.rows("sections", world.partition)
    return sorted(found, key=lambda row: str(row["section_id"]))


steps = st.lists(
    st.tuples(st.integers(0, 8), st.sampled_from(["gone", "plain", "footer", "both"])),
    min_size=4,
    max_size=9,
)


@settings(
    max_examples=6,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(steps, min_size=2, max_size=3))
def test_any_history_gives_what_scratch_gives(
    tmp_path_factory: pytest.TempPathFactory, in_process: None, history: list[list[tuple[int, str]]]
) -> None:
    folder = tmp_path_factory.mktemp("history")
    world = World(folder, LakeStore(str(folder / "lake")))
    below = {"plain": (), "footer": (FOOTER,), "both": (NOTICE, FOOTER)}
    for number in range(6):
        write(world, number, FOOTER)
    for changes in history:
        for number, what in changes:
            if what == "gone":
                (world.root / f"{number}.md").unlink(missing_ok=True)
            else:
                write(world, number, *below[what])
        cut(world)
    scratch = World(folder, LakeStore(str(folder / "scratch")))
    cut(scratch)
    assert rows(world) == rows(scratch)
    assert cut(world).is_noop
