import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.documents.readers.metadata import iso_date, language_code, licence_line, or_none


@given(st.dates())
def test_dates_come_back(day: object) -> None:
    assert iso_date(f" {day}T01:02:03Z") == str(day)


@pytest.mark.parametrize("stated", [None, "", "2019", "2019-05", "2024-02-30", "2024-01-011", "x"])
def test_these_are_no_dates(stated: str | None) -> None:
    assert iso_date(stated) is None


@pytest.mark.parametrize(
    ("stated", "code"),
    [("en", "en"), ("en-GB", "en"), ("DE_de", "de"), ("eng", None), ("x-y", None), (None, None)],
)
def test_language(stated: str | None, code: str | None) -> None:
    assert language_code(stated) == code


def test_licence_line() -> None:
    assert licence_line("// SPDX-License-Identifier: MIT\n// more") == "MIT"
    assert licence_line(" " * 5000 + "SPDX-License-Identifier: MIT") is None


def test_or_none() -> None:
    assert or_none("  a \n b ") == "a b"
    assert or_none(" \n") is None
