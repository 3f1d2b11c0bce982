import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from lxml import etree

from rag_assets.evaluations.drawing import Plot
from rag_assets.evaluations.results import Figure
from rag_assets_tests.evaluations.test_plots import (
    DATASETS,
    GRID,
    HOSTILE,
    LADDER,
    drawn,
    figure,
    words,
)
from rag_assets_tests.suites.plots import heat, steps

ABLATION = [
    figure(value * (1 + i), variant=f"step {i}", metric=metric)
    for i in range(4)
    for metric, value in [("correct", 0.2), ("seconds p50", 3.0), ("seconds p95", 9.0)]
]
PANELS: Sequence[str | tuple[str, ...]] = ["correct", ("seconds p50", "seconds p95")]


def test_steps_draws_a_panel_per_metric_in_the_order_of_the_variants() -> None:
    plot = steps(ABLATION, PANELS)
    expected = {f"{panel}-{i}-{s}" for panel, i in [(0, 0), (1, 0), (1, 1)] for s in range(4)}
    assert set(drawn(plot, "dot")) == set(drawn(plot, "whisker")) == expected
    texts = words(plot)
    assert [t for t in texts if t.startswith("step ")] == [f"step {i}" for i in range(4)]
    assert "correct (n 60)" in texts
    assert "seconds p50, seconds p95 (n 60)" in texts
    assert {"0.200", "0.400", "0.600", "0.800", "seconds p50", "seconds p95"} <= set(texts)


def test_steps_leaves_a_gap_where_a_figure_is_missing() -> None:
    some = [f for f in ABLATION if (f.variant, f.metric) != ("step 1", "correct")]
    plot = steps(some, PANELS)
    assert "0-0-1" not in drawn(plot, "dot")
    assert {"0-0-0", "0-0-2", "1-0-1"} <= set(drawn(plot, "dot"))


def test_steps_tells_datasets_apart() -> None:
    both = [*ABLATION, *(replace(f, dataset="popqa") for f in ABLATION)]
    texts = words(steps(both, PANELS, title="Ablation"))
    assert {"squad", "popqa", "squad, seconds p50", "popqa, seconds p95"} <= set(texts)
    assert "Ablation" in {t.strip() for t in texts}


def test_heat_writes_each_value_into_its_cell() -> None:
    gap = [f for f in LADDER if (f.dataset, f.slice) != ("squad", "language=de")]
    plot = heat(gap, "correct", "dataset", "slice")
    assert len(drawn(plot, "cell")) == len(gap) == 8
    assert "1-1" not in drawn(plot, "cell")
    texts = words(plot)
    assert sorted(t for t in texts if re.fullmatch(r"0\.\d{3}", t)) == sorted(
        f"{f.value:.3f}" for f in gap
    )
    assert texts.count("n 60") == len(gap)
    assert {"en", "de", "sw", "language", *DATASETS} <= set(texts)


def test_heat_colours_by_value() -> None:
    def colours(figures: Sequence[Figure]) -> list[str]:
        root = etree.fromstring(heat(figures, "correct", "dataset", "variant").svg())
        return [str(s) for s in root.xpath("//*[contains(@id, '-cell-')]/*/@style")]

    before, after = colours(GRID), colours([replace(GRID[0], value=0.95), *GRID[1:]])
    assert [a == b for a, b in zip(before, after, strict=True)] == [False] + [True] * 5


def test_heat_takes_slices_of_one_name() -> None:
    mixed = [*LADDER, figure(0.1, part="kind=multi"), figure(0.7)]
    plot = heat(mixed, "correct", "dataset", "slice", of="language")
    assert len(drawn(plot, "cell")) == len(LADDER) + 1
    assert "all" in words(plot)
    assert "0.100" not in words(plot)


def test_heat_of_datasets_and_variants_leaves_slices_out() -> None:
    plot = heat([*GRID, *LADDER], "correct", "dataset", "variant")
    assert len(drawn(plot, "cell")) == len(GRID)


NOTHING: dict[str, tuple[Callable[[], Plot], str]] = {
    "steps": (lambda: steps([], PANELS), "no figure of 'correct'"),
    "steps, one panel": (lambda: steps(ABLATION, ["correct", "f1"]), "no figure of 'f1'"),
    "steps, no metric": (lambda: steps(ABLATION, []), "no metric given"),
    "steps, twice": (lambda: steps(ABLATION * 2, PANELS), "two figures for"),
    "heat": (lambda: heat([], "correct", "dataset", "slice"), "no figure of 'correct'"),
    "heat, slices": (
        lambda: heat([figure(part="a=b")], "correct", "dataset", "slice", of="language"),
        "slice named 'language'",
    ),
    "heat, variants": (lambda: heat(GRID, "correct", "dataset", "slice"), "two figures for"),
}


@pytest.mark.parametrize(("draw", "message"), NOTHING.values(), ids=NOTHING)
def test_what_cannot_be_drawn_is_said(draw: Callable[[], Plot], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw()


@pytest.mark.parametrize(
    "draw",
    [
        lambda: steps(ABLATION, PANELS),
        lambda: heat(LADDER, "correct", "dataset", "slice"),
        lambda: steps([figure(variant=HOSTILE), figure(variant="b")], ["correct"], title=HOSTILE),
        lambda: heat(
            [figure(part=f"kind={HOSTILE}")], "correct", "slice", "variant", title=HOSTILE
        ),
    ],
)
def test_equal_input_gives_equal_pictures_of_any_names(draw: Callable[[], Plot]) -> None:
    svg = draw().svg()
    assert svg == draw().svg()
    assert "<script" not in svg
    assert etree.fromstring(svg).tag.endswith("svg")
    assert draw().png().startswith(b"\x89PNG")
