import pytest
from lxml import etree
from lxml.html import document_fromstring

from rag_assets.documents.readers.blocks import Block
from rag_assets.documents.readers.html.tree import INVISIBLE, blocks_of, text_of


def blocks(body: str) -> list[Block]:
    return blocks_of(document_fromstring(f"<html><body>{body}</body></html>"))


def read(body: str) -> list[tuple[str, str]]:
    return [(block.kind, block.text) for block in blocks(body)]


@pytest.mark.parametrize("level", range(1, 7))
def test_headings(level: int) -> None:
    assert blocks(f"<h{level}>Fares</h{level}>") == [Block("heading", "Fares", level)]


def test_anchor_behind_a_heading_is_left_out() -> None:
    assert read("<h2>Fares<a href='#fares'>¶</a></h2><h2>C#</h2>") == [
        ("heading", "Fares"),
        ("heading", "C#"),
    ]


def test_heading_left_open_does_not_swallow_the_page() -> None:
    assert ("paragraph", "Text") in read("<h2>Title<p>Text</p><ul><li>a</li></ul></h2>")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<ul><li>a<li>b</ul>", "- a\n- b"),
        ("<ol><li>a<ul><li>b<ol><li>c</ol></ul><li>d</ol>", "- a\n  - b\n    - c\n- d"),
        ("<ul><li><p>a</p><p>more</p></ul>", "- a\n  more"),
        ("<dl><dt>Port<dd>A harbour</dl>", "- Port\n  - A harbour"),
    ],
)
def test_lists(body: str, text: str) -> None:
    assert read(body) == [("list", text)]


def test_code_parts_a_list() -> None:
    assert read("<ol><li>Run<pre>a\n  b</pre>then<li>Wait</ol>") == [
        ("list", "- Run"),
        ("code", "a\n  b"),
        ("list", "  then\n- Wait"),
    ]


def test_table_with_its_caption() -> None:
    body = "<table><caption>Fares</caption><tr><th>A<th>B<tr><td>1<br>2<td>3<tr><td><td></table>"
    assert read(body) == [("paragraph", "Fares"), ("table", "A | B\n1 2 | 3")]


@pytest.mark.parametrize(
    "body",
    [
        "<table><tr><td>one</td></tr></table>",
        "<table role='presentation'><tr><td>one<td></table>",
        "<table><tr><td><table><tr><td>one</table></table>",
    ],
)
def test_table_that_only_lays_out_a_page(body: str) -> None:
    assert read(body) == [("paragraph", "one")]


def test_line_numbers_of_code_are_left_out() -> None:
    assert read("<pre><span class='lineno'>1</span>a<br><span class='lineno'>2</span>b</pre>") == [
        ("code", "a\nb")
    ]


def test_sentences_keep_what_is_inline() -> None:
    assert read("<p>Use <code>go</code>, <a href='/'>then</a><!-- x --> wait.</p>tail") == [
        ("paragraph", "Use go, then wait."),
        ("paragraph", "tail"),
    ]


def test_two_breaks_part_paragraphs() -> None:
    assert read("one<br>line<br><br>two") == [("paragraph", "one line"), ("paragraph", "two")]


@pytest.mark.parametrize(
    "hidden",
    [
        "<script>x</script>",
        "<template>x</template>",
        "<p hidden>x</p>",
        "<div style='display: none'>x</div>",
        "<nav>x</nav>",
        "<svg><text>x</text></svg>",
    ],
)
def test_what_is_not_shown_is_left_out(hidden: str) -> None:
    assert read(f"<p>a</p>{hidden}<p>b</p>") == [("paragraph", "a"), ("paragraph", "b")]


def test_readings_do_not_part_words() -> None:
    assert read("<p><ruby>漢<rt>かん</rt>字<rt>じ</rt></ruby>です</p>") == [
        ("paragraph", "漢字です")
    ]


def test_navigation_is_kept_if_asked_for() -> None:
    root = document_fromstring("<body><nav>Home</nav></body>")
    assert [block.text for block in blocks_of(root, skip=INVISIBLE)] == ["Home"]


def test_xhtml() -> None:
    root = etree.fromstring(
        "<html xmlns='http://www.w3.org/1999/xhtml'><head><title>T</title></head>"
        "<body><h1>One</h1><p>Two<br/>three</p></body></html>"
    )
    assert blocks_of(root) == [Block("heading", "One", 1), Block("paragraph", "Two three")]
    assert " ".join(text_of(root).split()) == "One Two three"


def test_deep_nesting_does_not_end_in_recursion() -> None:
    root = etree.Element("body")
    inner = root
    for _ in range(2_000):
        inner = etree.SubElement(inner, "div")
    inner.text = "deep"
    assert blocks_of(root) == [Block("paragraph", "deep")]
