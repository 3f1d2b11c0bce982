"""A list of stages that cannot be run is refused before anything is written."""

from dataclasses import replace

import pytest

from rag_assets.pipeline.stage import Stage, StageError, checked
from rag_assets.pipeline.stages import DOCUMENTS, SECTIONS, STAGES


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
    ],
    ids=["one name", "one table", "no upstream", "order", "no table", "nothing to do", "no stage"],
)
def test_what_cannot_be_run_is_refused(stages: tuple[Stage, ...], sentence: str) -> None:
    with pytest.raises(StageError, match=sentence):
        checked(stages)


def test_ours_can_be_run() -> None:
    assert checked(STAGES) is STAGES
