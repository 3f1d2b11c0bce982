import base64
import io
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest
from lxml import etree
from PIL import Image

from rag_assets.evaluations.drawing import Plot, markdown_image, printable, written
from rag_assets.evaluations.plots import intervals, latencies, risk_coverage
from rag_assets.evaluations.results import ALL, CaseResult, Figure

DATASETS = ["hotpotqa", "squad", "popqa"]
VARIANTS = ["product", "vector only"]
HOSTILE = '<script>alert("x")</script> $\\frac$ & \x00\x1b \ud800 \u202e'


def figure(
    value: float = 0.5, *, dataset: str = "squad", variant: str = "product", part: str = ALL,
    metric: str = "correct", n: int = 60, n_failed: int = 0,
) -> Figure:  # fmt: skip
    low, high = value * 0.9, value * 1.1
    return Figure("answers", dataset, variant, part, metric, value, low, high, n, n_failed)


def case(
    seconds: float, *, variant: str = "product", model: str = "slm", error: str = ""
) -> CaseResult:
    return CaseResult(
        suite="answers", dataset="squad", variant=variant, case_id=f"{variant}{model}{seconds}",
        question="?", answer="!", expected=("!",), slices={}, scores={}, answerable=True,
        abstained=False, confidence=None, model=model, use={}, seconds=seconds, error=error,
    )  # fmt: skip


GRID = [
    figure(0.3 + 0.1 * i + 0.05 * j, dataset=dataset, variant=variant, n=50 + i)
    for i, dataset in enumerate(DATASETS)
    for j, variant in enumerate(VARIANTS)
]
LADDER = [
    figure(0.9 - 0.1 * i, dataset=dataset, part=f"language={language}")
    for dataset in DATASETS
    for i, language in enumerate(["en", "de", "sw"])
]
CURVES = {"product": [(0.5, 0.1), (1.0, 0.3)], "vector only": [(1.0, 0.4), (0.5, 0.2)]}
CASES = [case(s, model=model) for s in (1.0, 2.0, 4.0, 8.0) for model in ("slm", "llm")]

PLOTS: dict[str, Callable[[], Plot]] = {
    "intervals": lambda: intervals(GRID, "correct"),
    "risk_coverage": lambda: risk_coverage(CURVES),
    "latencies": lambda: latencies(CASES),
}
each_plot = pytest.mark.parametrize("draw", PLOTS.values(), ids=PLOTS)


def drawn(plot: Plot, kind: str) -> list[str]:
    """What is drawn of a kind, e.g. "dot", by the part of its id after it."""
    root = etree.fromstring(plot.svg())
    found = (re.fullmatch(rf"p\w+-{kind}-([\d-]+)", i) for i in root.xpath("//@id"))
    return [match[1] for match in found if match]


def words(plot: Plot) -> list[str]:
    texts = etree.fromstring(plot.svg()).xpath("//*[local-name()='text']")
    return ["".join(text.itertext()) for text in texts]


@each_plot
def test_equal_input_gives_equal_pictures(draw: Callable[[], Plot]) -> None:
    plot = draw()
    assert plot.svg() == plot.svg() == draw().svg()
    assert plot.png() == draw().png()


def test_pictures_are_equal_in_another_process() -> None:
    code = (
        "import hashlib; from rag_assets_tests.evaluations.test_plots import PLOTS;"
        "print(hashlib.sha256(''.join(d().svg() for d in PLOTS.values()).encode()).hexdigest())"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout


@each_plot
def test_svg_stands_alone(draw: Callable[[], Plot]) -> None:
    svg = draw().svg()
    assert svg.startswith("<svg ")
    assert not re.search(r"<(style|script|image|metadata|!DOCTYPE|!--)", svg)
    assert set(re.findall(r"https?://[^\s\"]+", svg)) == {"http://www.w3.org/2000/svg"}
    root = etree.fromstring(svg)
    ids = root.xpath("//@id")
    assert len(ids) == len(set(ids))
    references = re.findall(r"(?:href=\"|url\()#([^\")]+)", svg)
    assert references
    assert set(references) <= set(ids)
    assert root.get("aria-label")


@each_plot
def test_ink_follows_the_page(draw: Callable[[], Plot]) -> None:
    svg = draw().svg()
    assert "currentColor" in svg
    assert "#1b1e23" not in svg.lower()


def test_two_pictures_on_a_page_share_no_id() -> None:
    first, second = (
        etree.fromstring(PLOTS[k]().svg()).xpath("//@id") for k in ("latencies", "intervals")
    )
    assert not set(first) & set(second)


@each_plot
def test_png_is_an_image_on_white(draw: Callable[[], Plot]) -> None:
    image = Image.open(io.BytesIO(draw().png())).convert("RGB")
    assert image.width > 200
    assert image.getpixel((0, 0)) == (255, 255, 255)


def test_drawing_leaves_pyplot_and_the_settings_alone() -> None:
    code = (
        "import sys; import rag_assets.evaluations.plots as p;"
        "assert 'matplotlib' not in sys.modules;"
        # To look up the backend would settle it, and import pyplot.
        "from matplotlib import rcParams; names = set(rcParams) - {'backend'};"
        "before = {name: rcParams[name] for name in names};"
        "p.risk_coverage({'a': [(0.5, 0.5)]}).svg();"
        "assert 'matplotlib.pyplot' not in sys.modules;"
        "assert {name: rcParams[name] for name in names} == before"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_intervals_draws_each_figure_with_its_number_and_n() -> None:
    plot = intervals([*GRID, figure(metric="f1"), figure(part="kind=multi")], "correct")
    assert len(drawn(plot, "dot")) == len(drawn(plot, "whisker")) == len(GRID)
    texts = words(plot)
    for f in GRID:
        assert f"{f.value:.3f} (n {f.n})" in texts
    assert [t for t in texts if t in DATASETS] == DATASETS
    assert [t for t in texts if t in VARIANTS] == VARIANTS


def test_intervals_keeps_the_order_given() -> None:
    texts = words(intervals(GRID[::-1], "correct"))
    assert [t for t in texts if t in DATASETS] == DATASETS[::-1]
    numbers = [t[:5] for t in texts if "(n " in t]
    assert numbers == [f"{f.value:.3f}" for f in GRID[::-1]]


def test_intervals_says_how_many_failed() -> None:
    texts = words(intervals([figure(n=40, n_failed=3)], "correct"))
    assert "0.500 (n 40, 3 failed)" in texts


def test_intervals_are_of_all_cases_not_of_slices() -> None:
    assert len(drawn(intervals([*GRID, *LADDER], "correct"), "dot")) == len(GRID)


def places(plot: Plot, kind: str) -> list[tuple[str, ...]]:
    """The paths and positions of what is drawn of a kind."""
    groups = etree.fromstring(plot.svg()).xpath(f"//*[contains(@id, '-{kind}-')]")
    return [tuple(group.xpath(".//@d | .//@x | .//@y")) for group in groups]


def test_a_changed_value_moves_its_dot_alone() -> None:
    other = [replace(GRID[0], value=GRID[0].value + 0.01), *GRID[1:]]
    before, after = (places(intervals(f, "correct"), "dot") for f in (GRID, other))
    assert [a == b for a, b in zip(before, after, strict=True)] == [False] + [True] * 5


def test_a_changed_interval_moves_its_whisker_alone() -> None:
    other = [*GRID[:2], replace(GRID[2], high=GRID[2].high + 0.01), *GRID[3:]]
    before, after = (places(intervals(f, "correct"), "whisker") for f in (GRID, other))
    assert [a == b for a, b in zip(before, after, strict=True)].count(False) == 1


def test_risk_coverage_draws_a_curve_per_variant() -> None:
    plot = risk_coverage(CURVES)
    assert drawn(plot, "curve") == drawn(plot, "end") == ["0", "1"]
    assert set(CURVES) <= set(words(plot))
    worse = {**CURVES, "product": [(0.5, 0.2), (1.0, 0.3)]}
    before, after = places(plot, "curve"), places(risk_coverage(worse), "curve")
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_points_of_a_curve_may_come_in_any_order() -> None:
    turned = {name: points[::-1] for name, points in CURVES.items()}
    assert risk_coverage(turned).svg() == risk_coverage(CURVES).svg()


def test_latencies_names_the_percentiles_of_each_model() -> None:
    twenty = [case(float(s)) for s in range(1, 21)]
    plot = latencies([*twenty, case(3.0, model="llm"), case(0.0, model="none", error="down")])
    assert drawn(plot, "curve") == drawn(plot, "marks") == ["0", "1"]
    texts = words(plot)
    assert "slm: p50 10.0 s, p95 19.0 s, n 20" in texts  # nearest rank, as the figures'
    assert "llm: p50 3.0 s, p95 3.0 s, n 1" in texts
    assert "seconds (1 failed, not drawn)" in texts


@pytest.mark.parametrize(
    ("others", "names"),
    [
        ([], ["slm", "llm"]),
        ([case(3.0, variant="other")], ["product · slm", "product · llm", "other · slm"]),
    ],
)
def test_latencies_are_named_by_what_differs(others: list[CaseResult], names: list[str]) -> None:
    texts = words(latencies([*CASES, *others]))
    assert [t.split(":")[0] for t in texts if ": p50" in t] == names
    assert [t for t in words(latencies(CASES[::2])) if t.startswith("product: p50")]


def test_latencies_far_apart_are_drawn_by_powers_in_plain_numbers() -> None:
    texts = words(latencies([case(0.5), case(500.0)]))
    assert {"1", "10", "100"} <= set(texts)


NOTHING: dict[str, tuple[Callable[[], Plot], str]] = {
    "intervals": (lambda: intervals([], "correct"), "no figure of 'correct'"),
    "intervals, metric": (lambda: intervals(GRID, "f1"), r"metrics there: \['correct'\]"),
    "intervals, slices": (lambda: intervals(LADDER, "correct"), r"metrics there: \[\]"),
    "intervals, twice": (lambda: intervals(GRID * 2, "correct"), "two figures of"),
    "risk_coverage": (lambda: risk_coverage({}), "no curve given"),
    "risk_coverage, point": (lambda: risk_coverage({"a": []}), "curve 'a' needs points"),
    "risk_coverage, range": (lambda: risk_coverage({"a": [(2.0, 0.1)]}), "curve 'a' needs"),
    "latencies": (lambda: latencies([]), "among 0 results"),
    "latencies, failed": (lambda: latencies([case(1.0, error="x")]), "among 1 results"),
}


@pytest.mark.parametrize(("draw", "message"), NOTHING.values(), ids=NOTHING)
def test_what_cannot_be_drawn_is_said(draw: Callable[[], Plot], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw()


def test_hostile_names_are_text() -> None:
    plots = [
        intervals([figure(dataset=HOSTILE, variant=HOSTILE)], "correct"),
        risk_coverage({HOSTILE: [(1.0, 0.0)], "_": [(1.0, 0.5)]}),
        latencies([case(1.0, variant=HOSTILE), case(2.0, variant="_x", model="漢字 😀")]),
    ]
    for plot in plots:
        svg = plot.svg()
        svg.encode()
        assert "<script" not in svg
        assert any('<script>alert("x' in text for text in words(plot))
        assert plot.png().startswith(b"\x89PNG")
    assert "_" in words(plots[1])  # matplotlib itself leaves such names out of legends


@pytest.mark.parametrize(
    ("value", "metric", "text"),
    [
        (0.71249, "correct", "0.712"),
        (1.0, "ndcg@10", "1.000"),
        (-0.0001, "correct", "0.000"),
        (12.345, "seconds p95", "12.3"),
        (0.0123, "seconds p50", "0.012"),
        (0.0, "core seconds slm", "0.0"),
        (12345.6, "prompt tokens", "12,346"),
        (7.66, "tokens per second", "7.7"),
        (0.5, "cached prompt share", "0.500"),
    ],
)
def test_numbers_as_people_read_them(value: float, metric: str, text: str) -> None:
    assert written(value, metric) == text


def test_differences_have_a_sign_unless_zero() -> None:
    signed = [written(v, "correct", sign=True) for v in (0.1, -0.1, 0.00001, -0.00001)]
    assert signed == ["+0.100", "-0.100", "0.000", "0.000"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_are_finite(value: float) -> None:
    with pytest.raises(ValueError, match="f1 must be finite"):
        written(value, "f1")


def test_printable_is_one_encodable_line() -> None:
    assert printable("a\nb\t c\x00\ud800é😀") == "a b c\ufffd\ufffdé😀"


def test_markdown_image_holds_the_picture() -> None:
    png = PLOTS["latencies"]().png()
    text = markdown_image(png, "a](http://x) <b>\nline")
    match = re.fullmatch(r"!\[([^\[\]<>\n]*)\]\(data:image/png;base64,([\w+/=]+)\)", text)
    assert match
    assert match[1] == "a(http://x) b line"
    assert base64.b64decode(match[2]) == png
