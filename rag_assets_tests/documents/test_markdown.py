from rag_assets.documents.markdown import read_markdown

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


def test_no_heading_no_title() -> None:
    assert read_markdown(b"just text").title == ""
