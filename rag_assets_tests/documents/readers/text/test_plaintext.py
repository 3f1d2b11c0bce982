import pytest

from rag_assets.documents.readers.text.plaintext import read_source, read_text


def test_blocks() -> None:
    text = "Notice\n======\nFirst line\nsecond line\n\nFARES FROM MAY\n40 kr\n\nPart\n----\n\n\nend"
    assert [(b.kind, b.level, b.text) for b in read_text(text.encode()).blocks] == [
        ("heading", 1, "Notice"),
        ("paragraph", 0, "First line\nsecond line"),
        ("heading", 2, "FARES FROM MAY"),
        ("paragraph", 0, "40 kr"),
        ("heading", 2, "Part"),
        ("paragraph", 0, "end"),
    ]


@pytest.mark.parametrize(
    "line",
    ["OK!", "1234 5678", "Not capitals", "漢字漢字漢字", "A" * 100,
     "MAX_FARE = 10", "SELECT FARE FROM LINES;", "#DEFINE <FARE>"],
)  # fmt: skip
def test_these_are_no_headings(line: str) -> None:
    assert {b.kind for b in read_text(line.encode()).blocks} == {"paragraph"}


@pytest.mark.parametrize(
    ("line", "is_heading"),
    [
        ("美国手语 ASL 是一种语言", False),
        ("TIMETABLE 时刻表", True),
        ("BCDE漢字漢字漢", False),  # four of nine letters
        ("BCDE漢字漢字", True),  # four of eight
        ("ΩΡΑΡΙΟ", True),
        ("ASL", False),
    ],
)
def test_capitals_among_letters_without_case(line: str, is_heading: bool) -> None:
    (block,) = read_text(line.encode()).blocks
    assert (block.kind == "heading") == is_heading


def test_title_is_the_first_heading_or_line() -> None:
    assert read_text(b"one\ntwo\n\nFARES HERE").title == "FARES HERE"
    assert read_text(b"one\ntwo").title == "one"


def test_source_keeps_its_layout() -> None:
    found = read_source(b"MAX = 1\r\n\r\n\n    def f():\n\treturn  1\n")
    assert [(b.kind, b.text) for b in found.blocks] == [
        ("code", "MAX = 1"),
        ("code", "    def f():\n\treturn  1"),
    ]
    assert (found.media_type, found.title) == ("text/x-source", "")


def test_licence_line() -> None:
    assert read_text(b"x\n# SPDX-License-Identifier: GPL-3.0-or-later\n").licence == (
        "GPL-3.0-or-later"
    )
    assert read_text(b"licensed under the sun").licence is None
