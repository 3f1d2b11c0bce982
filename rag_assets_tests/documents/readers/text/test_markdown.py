import pytest

from rag_assets.documents.readers.text.markdown import is_markdown, read_markdown

SOURCE = """# Crew *handbook*

Two lines
of one paragraph.

Setext
heading
-------

- one
  - nested
- two

| a | b |
|---|---|
| 1 | 2 |

```python
def f():
    return 1
```

> quoted
> text

<div>raw</div>
"""


def test_blocks() -> None:
    found = read_markdown(SOURCE.encode())
    assert [(b.kind, b.level, b.text) for b in found.blocks] == [
        ("heading", 1, "Crew handbook"),
        ("paragraph", 0, "Two lines\nof one paragraph."),
        ("heading", 2, "Setext heading"),
        ("list", 0, "- one\n  - nested\n- two"),
        ("table", 0, "| a | b |\n|---|---|\n| 1 | 2 |"),
        ("code", 0, "def f():\n    return 1"),
        ("paragraph", 0, "> quoted\n> text"),
        ("paragraph", 0, "<div>raw</div>"),
    ]
    assert found.title == "Crew handbook"


def test_line_ends_of_other_systems() -> None:
    for end in ("\r\n", "\r"):
        blocks = read_markdown(SOURCE.replace("\n", end).encode()).blocks
        assert blocks == read_markdown(SOURCE.encode()).blocks


def test_headings_are_shown_without_their_marks() -> None:
    found = read_markdown(
        b"# *The* `ferry` to [Oland][o]\n\nText [Oland][o]\n\n[o]: https://o.se\n"
    )
    assert [b.text for b in found.blocks] == ["The ferry to Oland", "Text [Oland][o]"]


def test_no_heading_no_title() -> None:
    assert read_markdown(b"just text").title == ""


FRONT = """---
title: "The  crew's handbook"
authors:
  - name: Ann Berg
  - Bo Ek
date: 2024-05-06
lastmod: 2024-06-07 08:09:10
lang: en-GB
License: CC-BY-4.0
draft: true
---
# Rest
"""


def test_front_matter_is_metadata_and_no_text() -> None:
    found = read_markdown(FRONT.encode())
    assert [b.text for b in found.blocks] == ["Rest"]
    assert (found.title, found.author) == ("The crew's handbook", "Ann Berg, Bo Ek")
    assert (found.created, found.modified) == ("2024-05-06", "2024-06-07")
    assert (found.language, found.licence) == ("en", "CC-BY-4.0")


@pytest.mark.parametrize(
    "source",
    [
        "---\nno mapping\n---\ntext",
        "---\na: [unclosed\n---\ntext",
        "---\na: &x [1]\nb: [*x, *x]\n---\ntext",  # anchors multiply
        "---\nx:\n- &a [1]\n- [*a, *a]\n---\ntext no",
        "---\na: !!python/object:os.system x\n---\ntext",
        "---\ndate: 2024-99-99\n---\ntext",
        "---\na: 1\ntext that never ends",
        "text\n\n---\na: 1\n---\n",
    ],
)
def test_no_front_matter(source: str) -> None:
    found = read_markdown(source.encode())
    assert "text" in "\n".join(b.text for b in found.blocks)
    assert (found.title, found.author, found.created) == (found.title, None, None)
    assert any(sign in "\n".join(b.text for b in found.blocks) for sign in ("a:", "no", "date"))


def test_licence_line() -> None:
    found = read_markdown(b"<!-- SPDX-License-Identifier: MIT OR Apache-2.0 -->\n# A\n")
    assert found.licence == "MIT OR Apache-2.0"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# A\n\ntext [link](x.md)\n", True),
        ("| a | b |\n|---|---|\n| 1 | 2 |\n\n**bold** words", True),
        ("```sh\nls\n```\n\n## B\n\ntext", True),
        ("# A\n\n```py\nimport a\n```\n\n[link](x.md)\n", True),
        ('"""Do it.\n\n```py\na\n```\n\nSee [b](c.md).\n"""\n\nimport os\n', False),
        (FRONT, True),
        ("# A\n\ntext", False),
        ("[only](a) link", False),
        ("Title\n=====\n\n- one\n- two\n", False),
        ("#include <a>\n\nint a[2](x);\n", False),
    ],
)
def test_what_looks_like_markdown(text: str, expected: bool) -> None:
    assert is_markdown(text) == expected
