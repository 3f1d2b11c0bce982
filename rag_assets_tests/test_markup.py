"""Text is shown as it is, whatever Markdown would make of it."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from rag_assets.markup import (
    markdown_cell,
    markdown_code,
    markdown_text,
    visible,
    without_places,
)

READER = MarkdownIt("gfm-like", {"linkify": False})
UGLY = [
    "<name> is optional", "__init__ and __x__", "a * b * c", "*stars*", "[/b] and [b]", "`code`",
    "# no heading", "- no list", "+ no list", "1. no list", "12) no list", "> no quote", "---",
    "a\n===", "    four spaces", "a | b", "~~gone~~", "&lt; stays", "[text](http://x)", "![i](x)",
    "[1](x)", "[1]: http://x", "back\\slash", "<script>alert(1)</script>", "line\nbreak",
    "two\n\nparagraphs", "a\\", "[x]", "- [ ] task", "```\nfence\n```", "<!-- gone -->",
]  # fmt: skip


def shown(tokens: list[Token]) -> str:
    """What a reader of the rendered text sees; fails if anything became markup."""
    text = ""
    for token in tokens:
        if token.type == "inline":
            text += shown(token.children or []) + "\n\n"
        elif token.type == "text":
            text += token.content
        elif token.type in ("softbreak", "hardbreak"):
            text += "\n"
        else:
            assert token.type in ("paragraph_open", "paragraph_close"), token
    return text


def seen(text: str) -> list[str]:
    """The lines without the blanks that no reader sees."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("text", UGLY)
def test_nothing_is_read_as_markup(text: str) -> None:
    assert seen(shown(READER.parse(markdown_text(text)))) == seen(text)


@given(st.text(alphabet="ab1 \n#*_-+=.<>()[]!`~|\\&;:>\"'/x"))
def test_any_text_is_shown_as_it_is(text: str) -> None:
    assert seen(shown(READER.parse(markdown_text(text)))) == seen(text)


def test_citation_numbers_stay_readable() -> None:
    assert markdown_text("Built in 2003 [1][2].") == "Built in 2003 \\[1][2]."
    assert markdown_text("Built in 2003 [1].") == "Built in 2003 [1]."


@given(st.text(alphabet="a `|x"))
def test_code_is_code(text: str) -> None:
    flat = " ".join(text.split())
    if flat:
        (paragraph,) = (t for t in READER.parse(markdown_code(text)) if t.type == "inline")
        (code,) = paragraph.children or []
        assert (code.type, code.content) == ("code_inline", flat)


@pytest.mark.parametrize("text", [one for one in UGLY if one.strip()])
def test_a_cell_stays_one_cell(text: str) -> None:
    table = f"| a | b |\n|---|---|\n| {markdown_cell(text)} | end |"
    cells = [t for t in READER.parse(table) if t.type == "inline"][2:]
    assert len(cells) == 2
    assert seen(shown(cells[0].children or [])) == seen(" ".join(text.split()))


def test_a_long_cell_ends_with_an_ellipsis() -> None:
    assert markdown_cell("x" * 50, 10) == "x" * 9 + "…"


@pytest.mark.parametrize("shown", [visible, markdown_text, markdown_cell, markdown_code])
def test_nothing_unseen_is_passed_on(shown: Callable[[str], str]) -> None:
    text = shown("name\x1b[2J \x9b \u202egnp.exe\u2066 \ufeff\udcff.txt")
    assert text.isprintable()
    assert "x1b" in text
    assert "u202e" in text


def test_what_shapes_words_and_lines_stays() -> None:
    kept = "one\ttwo\nthree क्\u200cष"
    assert visible(kept) == kept


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "nobody answers at http://127.0.0.1:8461, see /srv/run/logs/llm.log",
            "nobody answers at …, see …llm.log",
        ),
        ("not found: srv/lake/tables/a.lance (code 2)", "not found: …a.lance (code 2)"),
        ("cannot read /etc/passwd", "cannot read …passwd"),
        ("POST /v1/answers: Ask and/or wait", "POST /v1/answers: Ask and/or wait"),
    ],
)
def test_places_are_left_out(text: str, shown: str) -> None:
    assert without_places(text) == shown


@pytest.mark.parametrize("show", [markdown_text, markdown_cell])
@pytest.mark.parametrize(
    "address",
    ["http://evil.example/a", "HTTPS://evil.example", "www.evil.example", "a@evil.example"],
)
def test_addresses_become_no_links(show: Callable[[str], str], address: str) -> None:
    """Dagster's UI makes links of bare addresses, as GitHub does."""
    shown = show(f"see {address} and ![x](http://evil.example/pixel.png)")
    # As GitHub's Markdown finds them; an escape in the middle ends them.
    assert not re.search(r"(?i)https?://|www\.\w|(?<!\\)@", shown)
    page = MarkdownIt().render(shown)
    assert "<img" not in page
    assert address in page
