"""A list of stages that cannot be run is refused before anything is written."""

from dataclasses import replace
from functools import partial

import pyarrow as pa
import pytest

from rag_assets import Pipeline, build_defs
from rag_assets.lake.delta import StageTable
from rag_assets.pipeline.planning import plan_refresh
from rag_assets.pipeline.stage import Stage, StageError, changed, checked
from rag_assets.pipeline.stages import DOCUMENTS, DUPLICATES, LIVE_INDEX, SECTIONS, STAGES
from rag_assets_tests.world import World

TABLE = StageTable("more", SECTIONS.main.schema, "section_id")
MORE = partial(replace, replace(SECTIONS, name="more", tables=(TABLE,)))


@pytest.mark.parametrize(
    ("stages", "sentence"),
    [
        ((*STAGES, DOCUMENTS), "two stages are called documents"),
        ((*STAGES, replace(SECTIONS, name="more")), "sections and more both write the table"),
        (STAGES[1:], "takes rows of source_files, which is not among the stages before it"),
        ((STAGES[1], STAGES[0], *STAGES[2:]), "takes rows of source_files"),
        ((*STAGES, replace(SECTIONS, name="more", tables=())), "and no table"),
        ((*STAGES, replace(SECTIONS, name="more", compute=None)), "neither"),
        ((*STAGES, "sections"), "expected stages"),
        ((*STAGES, MORE(name=7)), "stage 7: expected a text as `name`, got 7"),
        ((*STAGES, MORE(version=5)), "stage 'more': expected a text as `version`, got 5"),
        ((*STAGES, MORE(version="")), "expected a text as `version`, got ''"),
        ((*STAGES, MORE(upstream=("documents",))), "expected a tuple of Stage objects as `up"),
        ((*STAGES, MORE(tables=("more",))), "expected a tuple of StageTable objects as `tables`"),
        ((*STAGES, MORE(whole=LIVE_INDEX.whole)), "both `compute` and `whole`"),
        ((*STAGES, MORE(upstream=(), inputs=None)), "neither `upstream` nor `inputs`"),
        ((*STAGES, MORE(checks=DOCUMENTS.checks * 2)), "two checks called every_file_accounted"),
        ((*STAGES, replace(DUPLICATES, name="sections", upstream=())), "two stages are called"),
        ((*STAGES, replace(DUPLICATES, name="rejected_documents")), "both write the table"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_run_is_refused(
    world: World, stages: tuple[Stage, ...], sentence: str
) -> None:
    with pytest.raises(StageError, match=sentence):
        checked(stages)
    with pytest.raises(StageError, match=sentence):
        plan_refresh(world.store, [world.source], world.facts, stages)
    with pytest.raises(StageError, match=sentence):
        Pipeline([world.source], world.store.uri, stages=stages)
    with pytest.raises(StageError, match=sentence):
        build_defs(sources=[world.source], stages=stages)


@pytest.mark.parametrize("is_hashed", [False, True])
@pytest.mark.parametrize("parts", [{"model": {"a set"}}, None, ["text"]])
def test_parts_that_make_no_fingerprint(world: World, parts: object, is_hashed: bool) -> None:
    stages = changed(STAGES, "documents", parts=lambda *_: parts, is_hashed=is_hashed)
    sentence = "stage documents: expected `parts` to give a text by name, got "
    with pytest.raises(StageError, match=sentence):
        plan_refresh(world.store, [world.source], world.facts, stages)
    with pytest.raises(StageError, match=sentence):
        stages[1].fingerprint(world.facts)


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (None, "gave NoneType; expected a mapping from its tables"),
        ([], "gave list; expected"),
        ({"sectoins": pa.table({})}, r"gave \['sectoins'\]; .* its tables \(sections\)"),
        ({"sections": []}, "gave list as sections; expected a pyarrow.Table"),
        ({"sections": pa.table({"text": [""]})}, "gave Table as .*has the columns .*section_id"),
    ],
)
def test_rows_that_are_none(world: World, made: object, sentence: str) -> None:
    world.write("a.md", "# Ferries\n\nThey sail at nine.")
    world.step("source_files")
    world.step("documents")
    world.listed = changed(STAGES, "sections", compute=lambda *_: made)
    with pytest.raises(StageError, match=f"`compute` of stage sections {sentence}"):
        world.step("sections")


def test_ours_can_be_run() -> None:
    assert checked(STAGES) is STAGES
