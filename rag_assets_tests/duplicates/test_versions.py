import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.duplicates.versions import Named, newer


def named(uri: str, title: str = "", modified: str | None = None) -> Named:
    return Named.of({"uri": uri, "title": title, "modified": modified, "created": None})


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        ("s:fares-2024.md", "s:fares-2023.md"),
        ("s:2024/fares.md", "s:2023/fares.md"),
        ("s:timetable-2024-25.md", "s:timetable-2023-24.md"),
        ("s:policy 1 March 2024.md", "s:policy 12 Jan 2024.md"),
        ("s:handbook/weather.md", "s:archive/weather-rev3.md"),
        ("s:fares.md", "s:fares-2023.md"),
        ("s:report_v2.docx", "s:report.docx"),
        ("s:report_v10.docx", "s:report_v2.docx"),
        ("s:report-final.docx", "s:report-draft.docx"),
        ("s:docs/v1.10/install.md", "s:docs/v1.9/install.md"),
        ("s:rules rev B.pdf", "s:rules rev A.pdf"),
        ("s:release-notes-1.3.0.md", "s:release-notes-1.2.9.md"),
        ("https:x.org/doc/rev4/a", "https:x.org/doc/rev3/a"),
    ],
)
def test_paths_that_differ_in_a_mark_are_versions(later: str, earlier: str) -> None:
    assert newer(named(later), named(earlier)) == 1
    assert newer(named(earlier), named(later)) == -1


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        (("s:a.pdf", "Fares 2024"), ("s:b.pdf", "Fares 2023")),
        (("s:a.pdf", "Fahrplan März 2024"), ("s:b.pdf", "Fahrplan Januar 2024")),
        (("s:b.md", "Handbook, Revision 4"), ("s:a.md", "Handbook, Revision 3")),
        (("s:h/guide.pdf", "", "2024-05-01"), ("s:h/guide.html", "", "2023-05-01")),
    ],
)
def test_titles_and_stated_dates_tell_versions(later: tuple[str], earlier: tuple[str]) -> None:
    assert newer(named(*later), named(*earlier)) == 1
    assert newer(named(*earlier), named(*later)) == -1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("s:contract-Alder.md", "Berth contract"), ("s:contract-Birch.md", "Berth contract")),
        (("s:alder/contract.md",), ("s:birch/contract.md",)),
        (("s:minutes-2024-04-01.md",), ("s:minutes-2024-03-01.md",)),
        (("s:x/1.md", "Invoice 4711"), ("s:x/2.md", "Invoice 4712")),
        (("s:a.md", "Contract 2024/17"), ("s:b.md", "Contract 2023/18")),
        (("s:chapter-2.md",), ("s:chapter-1.md",)),
        (("s:bus-101.md",), ("s:bus-102.md",)),
        (("s:h/guide.pdf",), ("s:h/guide.html",)),
    ],
)
def test_other_names_are_of_other_documents(one: tuple[str], other: tuple[str]) -> None:
    assert newer(named(*one), named(*other)) == newer(named(*other), named(*one)) == 0


names = st.lists(
    st.sampled_from(["fares", "2023", "2024-05", "v2", "rev 3", "old", "final", "Q1 2024", "(1)"]),
    min_size=1,
    max_size=4,
).map("-".join)


@given(names, names, names, names)
def test_one_of_two_is_newer_at_most(path: str, title: str, other: str, other_title: str) -> None:
    one, two = named(f"s:{path}.md", title), named(f"s:d/{other}.md", other_title)
    assert newer(one, two) == -newer(two, one)
    assert newer(one, one) == 0
