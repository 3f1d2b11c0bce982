import pytest

from rag_assets.documents.blocks import Block, RejectedError
from rag_assets.documents.html import read_html

PARAGRAPH = (
    "The ferry leaves the harbour at seven in the morning and reaches the island an hour later, "
    "in every season and in nearly any weather that the archipelago has to offer."
)
PAGE = f"""<!doctype html><html lang="en"><head><title>Line 3</title>
<style>p {{ color: red }}</style><script>alert("boo")</script></head><body>
<header><nav><ul><li><a href="/">Home</a></li><li><a href="/jobs">Jobs</a></li></ul></nav></header>
<main><article><h1>Line 3 to Kelva</h1><p>{PARAGRAPH}</p>
<h2>Fares</h2><p>Children under six travel free of charge on all of our sailings.</p>
<table><tr><th>Ticket</th><th>Price</th></tr><tr><td>Adult</td><td>40 kr</td></tr></table>
<ul><li>Bring water<ul><li>and sunscreen</li></ul></li><li>Come early</li></ul>
<pre><code>GET /lines/3
  Accept: json</code></pre>
<blockquote><p>The best trip of my life was on this very ship in the autumn.</p></blockquote>
</article></main>
<footer><p>Copyright 2024 Norrsund Ferries. Cookie settings. Imprint.</p></footer></body></html>"""


@pytest.fixture(scope="module")
def blocks() -> list[Block]:
    return read_html(PAGE.encode()).blocks


def test_clutter_is_left_out(blocks: list[Block]) -> None:
    text = "\n".join(block.text for block in blocks)
    for clutter in ("Home", "Jobs", "Cookie", "alert", "color"):
        assert clutter not in text


def test_headings_have_their_levels(blocks: list[Block]) -> None:
    assert [(b.text, b.level) for b in blocks if b.kind == "heading"] == [
        ("Line 3 to Kelva", 1),
        ("Fares", 2),
    ]


def test_content_is_all_there(blocks: list[Block]) -> None:
    by_kind = {block.kind: block.text for block in blocks}
    assert by_kind["table"] == "Ticket | Price\nAdult | 40 kr"
    assert by_kind["list"] == "- Bring water\n  - and sunscreen\n- Come early"
    assert by_kind["code"] == "GET /lines/3\n  Accept: json"
    text = "\n".join(block.text for block in blocks)
    assert PARAGRAPH in text
    assert text.count("best trip") == 1


def test_words_do_not_grow_together_at_line_breaks() -> None:
    page = PAGE.replace("Children", "Small<br>children").replace("40 kr", "40<br>kr")
    page = page.replace("<blockquote><p>The", "<blockquote>He said: <p>The").replace(
        "Come early", "Come<br>early"
    )
    text = "\n".join(block.text for block in read_html(page.encode()).blocks)
    for words in ("Small children", "Adult | 40 kr", "He said: The best", "- Come early"):
        assert words in text


def test_title(blocks: list[Block]) -> None:
    assert read_html(PAGE.encode()).title in ("Line 3", "Line 3 to Kelva")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_encodings(encoding: str) -> None:
    page = PAGE.replace("<title>", f'<meta charset="{encoding}"><title>').replace("Kelva", "Kålvö")
    assert "Line 3 to Kålvö" in [b.text for b in read_html(page.encode(encoding)).blocks]


@pytest.mark.parametrize("page", ["<html></html>", "<html><body></body></html>", "<html>"])
def test_page_without_content_says_so(page: str) -> None:
    with pytest.raises(RejectedError) as caught:
        read_html(page.encode())
    assert caught.value.reason == "no text"
