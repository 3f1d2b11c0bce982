import base64
import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from lxml import etree, html
from rich.console import Console
from rich.markdown import Markdown

from rag_assets.evaluations.plots import intervals
from rag_assets.evaluations.report import (
    MAX_CASES,
    MAX_TEXT,
    METRICS_ABREAST,
    Report,
    Section,
    comparisons_markdown,
    figures_markdown,
    render_report,
)
from rag_assets.evaluations.results import ALL, CaseResult, Comparison, Figure

HOSTILE = '</td><script>alert("x")</script><img src="http://evil/a.png" onerror="x()"> | {{ 7*7 }}'
UGLY = "😀 \u202egnp.exe مرحبا \x00 \x1b[31m \ud800 `code`\nsecond line"


def figure(
    value: float, *, dataset: str = "squad", variant: str = "product", part: str = ALL,
    metric: str = "correct", n: int = 60, n_failed: int = 0,
) -> Figure:  # fmt: skip
    low, high = value * 0.9, value * 1.1
    return Figure("answers", dataset, variant, part, metric, value, low, high, n, n_failed)


FIGURES = [
    figure(0.712),
    figure(0.633, metric="f1", n=53),
    figure(1834.4, metric="prompt tokens"),
    figure(12.34, metric="seconds p50"),
    figure(0.411, variant="vector only", n=58, n_failed=2),
    figure(0.299, dataset="popqa"),
]
COMPARISON = Comparison(
    suite="answers", dataset="squad", slice=ALL, metric="correct", baseline="product",
    other="vector only", difference=-0.1, low=-0.19, high=-0.012, p_value=0.0213,
    test="McNemar exact", effect=-0.314, n=58, n_better=4, n_worse=9,
)  # fmt: skip
COMPARISONS = [
    COMPARISON,
    replace(COMPARISON, metric="seconds p50", difference=3.44, low=1.0, high=6.0, p_value=0.00002),
]


def case(number: int, **changes: object) -> CaseResult:
    plain = CaseResult(
        suite="answers", dataset="squad", variant="product", case_id=f"c{number}",
        question=f"question {number}?", answer=f"answer {number}", expected=("one", "two"),
        slices={"kind": "multi"}, scores={"correct": float(number % 2), "f1": 0.25},
        answerable=True, abstained=False, confidence=0.9, model="slm", use={}, seconds=12.34,
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


def report(*sections: Section, title: str = "Evaluation") -> Report:
    return Report(title, {"machine": "2 cores", "seed": "7"}, sections)


def page(*sections: Section) -> html.HtmlElement:
    return html.fromstring(render_report(report(*sections)))


def rows(element: html.HtmlElement, kind: str) -> list[list[str]]:
    """Cells of the bodies of the tables of a class, spaces folded."""
    found = element.xpath(f"//*[contains(@class, '{kind}')]//tbody/tr")
    return [[" ".join(cell.text_content().split()) for cell in row] for row in found]


def full() -> Report:
    plots = {"What it shows.": intervals(FIGURES, "correct")}
    answers = Section(
        "Answers", "First.\n\nSecond.", FIGURES, COMPARISONS, plots, [case(0), case(1)]
    )
    return report(answers, Section("Only text", "Nothing else."))


def test_every_number_is_there() -> None:
    found = rows(html.fromstring(render_report(full())), "numbers")
    assert found[:3] == [
        ["squad", "product", "60", "0.712 [0.641, 0.783]", "0.633 [0.570, 0.696] n 53",
         "1,834 [1,651, 2,018]", "12.3 [11.1, 13.6]"],
        ["squad", "vector only", "58 (2 failed)", "0.411 [0.370, 0.452]", "-", "-", "-"],
        ["popqa", "product", "60", "0.299 [0.269, 0.329]", "-", "-", "-"],
    ]  # fmt: skip
    assert found[3:] == [
        ["squad", "correct", "product", "vector only", "-0.100 [-0.190, -0.012]",
         "0.021 McNemar exact", "-0.31", "4 / 9", "58"],
        ["squad", "seconds p50", "product", "vector only", "+3.4 [+1.0, +6.0]",
         "<0.001 McNemar exact", "-0.31", "4 / 9", "58"],
    ]  # fmt: skip


def test_facts_contents_text_and_plots_are_there() -> None:
    root = html.fromstring(render_report(full()))
    assert root.findtext(".//title") == root.findtext(".//h1") == "Evaluation"
    facts = zip(root.xpath("//dt/text()"), root.xpath("//dd/text()"), strict=True)
    assert list(facts) == [("machine", "2 cores"), ("seed", "7")]
    links = root.xpath("//nav//a")
    assert [a.text for a in links] == root.xpath("//h2/text()") == ["Answers", "Only text"]
    assert [a.get("href")[1:] for a in links] == root.xpath("//section/@id")
    assert root.xpath("//section/p[not(@class)]/text()") == ["First.", "Second.", "Nothing else."]
    assert len(root.xpath("//figure/*[local-name()='svg']")) == 1
    assert root.xpath("//figcaption/text()") == ["What it shows."]


def test_what_is_empty_is_not_shown() -> None:
    root = page(Section("Only text", "Nothing else."))
    assert not root.xpath("//table | //details | //h3 | //figure")


def test_equal_reports_are_equal() -> None:
    assert render_report(full()) == render_report(full())


def test_many_metrics_go_into_several_tables() -> None:
    many = [figure(i / 100, metric=f"metric {i}") for i in range(METRICS_ABREAST + 2)]
    root = page(Section("Wide", figures=many))
    tables = root.xpath("//table")
    assert [len(t.xpath(".//th")) for t in tables] == [3 + METRICS_ABREAST, 3 + 2]
    assert all(f"{f.value:.3f}" in root.text_content() for f in many)


def test_slices_and_suites_get_a_column_where_they_differ() -> None:
    sliced = [figure(0.5), figure(0.4, part="language=de")]
    assert page(Section("S", figures=sliced)).xpath("//th/text()")[1] == "slice"
    suites = [figure(0.5), replace(figure(0.4), suite="retrieval")]
    assert page(Section("S", figures=suites)).xpath("//th/text()")[0] == "suite"


def test_two_figures_for_one_cell_are_refused() -> None:
    with pytest.raises(ValueError, match="two figures for 'correct' of squad/product/all"):
        render_report(report(Section("S", figures=[figure(0.1), figure(0.2)])))


def cases_of(*cases: CaseResult) -> list[list[str]]:
    return rows(page(Section("Cases", cases=cases)), "cases")


def test_cases_show_what_was_asked_and_answered() -> None:
    (row,) = cases_of(case(1))
    assert row == ["✓ right", "product squad / c1 kind=multi", "question 1?", "one · two",
                   "answer 1 correct 1.000, f1 0.250", "slm", "12.3"]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, "✗ wrong"),
        ({"scores": {"correct": 1.0}, "abstained": True}, "✓ right abstained"),
        ({"scores": {"ndcg@10": 0.4}}, "-"),
        ({"error": "TimeoutError: no answer in 120 s", "answer": ""}, "✗ failed"),
    ],
)
def test_cases_have_a_mark(changes: dict[str, object], shown: str) -> None:
    (row,) = cases_of(case(0, **changes))
    assert row[0] == shown
    assert str(changes.get("error", "")) in row[4]


def test_cases_left_out_are_counted() -> None:
    many = [case(i) for i in range(MAX_CASES + 1234)]
    root = page(Section("Cases", cases=many))
    assert len(root.xpath("//details//tbody/tr")) == MAX_CASES
    (sentence,) = root.xpath("//details/p[not(@class)]/text()")
    assert sentence == (
        f"These are the first {MAX_CASES} cases; 1,234 more were left out. "
        "The Lance table of case results holds them all."
    )
    assert root.findtext(".//summary") == f"Cases ({len(many):,})"


def test_no_sentence_on_cases_left_out_where_none_is() -> None:
    root = page(Section("Cases", cases=[case(i) for i in range(MAX_CASES)]))
    assert len(root.xpath("//details//tbody/tr")) == MAX_CASES
    assert "left out" not in root.text_content()


def test_long_texts_are_cut() -> None:
    (row,) = cases_of(case(0, question="x" * (MAX_TEXT + 1)))
    assert row[2] == "x" * MAX_TEXT + " …"


def hostile(text: str) -> Report:
    """The text wherever a text can be."""
    bad = case(
        0, dataset=text, variant=text, case_id=text, question=text, answer=text, expected=(text,),
        slices={text: text}, scores={text: 0.5}, model=text, error=text,
    )  # fmt: skip
    figures = [figure(0.5, dataset=text, variant=text, part=text, metric=text)]
    comparison = replace(
        COMPARISON, dataset=text, slice=text, metric=text, baseline=text, other=text, test=text
    )
    plot = intervals([replace(figures[0], slice=ALL)], text)
    section = Section(text, text, figures, [comparison], {text: plot}, [bad])
    return Report(text, {text: text}, [section])


def shape(text: str) -> list[str]:
    """The tags of a report with a text everywhere, in order."""
    return [str(e.tag) for e in html.fromstring(render_report(hostile(text))).iter(etree.Element)]


@pytest.mark.parametrize("text", [HOSTILE, UGLY, "a\n\nb --> <!-- ]]> </style></title>"])
def test_hostile_text_is_inert(text: str) -> None:
    out = render_report(hostile(text))
    out.encode()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", out)
    root = html.fromstring(out)
    assert len(root.xpath("//script")) == 1
    assert not root.xpath("//img | //iframe | //object | //embed | //link | //base")
    assert not [a for a in root.xpath("//@*") if a.attrname.startswith("on")]
    paragraphs = text.count("\n\n")  # those of the section's own text are wanted
    plain = shape("plain")
    assert len(shape(text)) == len(plain) + paragraphs
    assert "49" not in root.xpath("//h2")[0].text_content()


def test_hostile_text_is_still_to_be_read() -> None:
    root = html.fromstring(render_report(hostile(HOSTILE)))
    (question,) = root.xpath("//details//tbody/tr/td[3]")
    assert question.text_content().strip() == HOSTILE


def test_writing_directions_stay_in_their_cells() -> None:
    root = html.fromstring(render_report(hostile("\u202eabc")))
    for text in root.xpath("//table//td//text()[contains(., '\u202e')]"):
        holder = text.getparent()
        assert holder.tag in ("bdi", "small") or holder.get("dir") == "auto"


def test_nothing_is_fetched() -> None:
    out = render_report(full())
    root = html.fromstring(out)
    references = [
        *root.xpath("//@src"),
        *root.xpath("//@href"),
        *re.findall(r"url\(([^)]*)\)", out),
    ]
    assert references
    assert all(str(r).startswith("#") for r in references)
    assert "@import" not in out
    assert set(re.findall(r"https?://[^\s\"<]+", out)) == {"http://www.w3.org/2000/svg"}


def test_policy_allows_the_one_script_and_no_request() -> None:
    root = html.fromstring(render_report(full()))
    (policy,) = root.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    (script,) = root.xpath("//script/text()")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_page_is_well_formed() -> None:
    parser = html.HTMLParser(recover=True)
    html.fromstring(render_report(full()), parser=parser)
    # libxml2 knows HTML 4: it takes the newer elements and SVG for unknown tags.
    problems = [e.message for e in parser.error_log if e.type_name != "HTML_UNKNOWN_TAG"]
    assert problems == []


@pytest.mark.parametrize(
    ("p_value", "text"), [(0.0123, "0.012"), (0.0009, "<0.001"), (0.0, "<0.001"), (1.0, "1.000")]
)
def test_p_values(p_value: float, text: str) -> None:
    root = page(Section("S", comparisons=[replace(COMPARISON, p_value=p_value)]))
    assert rows(root, "numbers")[0][5] == f"{text} McNemar exact"


def test_figures_in_markdown() -> None:
    assert figures_markdown(FIGURES, ["correct", "f1"]) == (
        "| dataset | variant | n | correct | f1 |\n"
        "| --- | --- | ---: | ---: | ---: |\n"
        "| squad | product | 60 | 0.712 [0.641, 0.783] | 0.633 [0.570, 0.696], n 53 |\n"
        "| squad | vector only | 58 (2 failed) | 0.411 [0.370, 0.452] | - |\n"
        "| popqa | product | 60 | 0.299 [0.269, 0.329] | - |\n"
    )


def test_comparisons_in_markdown() -> None:
    lines = comparisons_markdown(COMPARISONS).splitlines()
    assert lines[2] == (
        "| squad | correct | product | vector only | -0.100 [-0.190, -0.012] "
        "| 0.021, McNemar exact | -0.31 | 4 / 9 | 58 |"
    )
    assert "| +3.4 [+1.0, +6.0] | \\<0.001, " in lines[3]


@pytest.mark.parametrize("name", ["a|b", "a\nb", "a\\|b", HOSTILE, UGLY])
def test_markdown_stays_a_table(name: str) -> None:
    tables = [
        figures_markdown([figure(0.5, dataset=name, metric=name)], [name]),
        comparisons_markdown([replace(COMPARISON, dataset=name, metric=name)]),
    ]
    for table in tables:
        counts = {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in table.splitlines()}
        assert len(counts) == 1
        assert not re.search(r"(?<!\\)<", table)
        table.encode()


def test_markdown_is_read_by_rich() -> None:
    console = Console(file=io.StringIO(), width=160)
    console.print(Markdown(comparisons_markdown(COMPARISONS)))
    console.print(Markdown(figures_markdown([figure(0.5, dataset="a|b")], ["correct"])))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "<0.001, McNemar exact" in text
    assert "a|b" in text
    assert "0.500 [0.450, 0.550]" in text


@pytest.mark.parametrize(
    ("figures", "metrics"), [([], ["correct"]), (FIGURES, ["ndcg@10"])], ids=["none", "other"]
)
def test_empty_markdown_is_refused(figures: Sequence[Figure], metrics: Sequence[str]) -> None:
    with pytest.raises(ValueError, match="no figure of"):
        figures_markdown(figures, metrics)
    with pytest.raises(ValueError, match="no comparison given"):
        comparisons_markdown([])
