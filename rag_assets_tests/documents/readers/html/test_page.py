import html
import tarfile
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lxml.html import document_fromstring

from rag_assets.documents.readers.blocks import Block, RejectedError
from rag_assets.documents.readers.html.page import read_html
from rag_assets.documents.readers.html.tree import blocks_of
from rag_assets_tests.evaluation_data import evaluation_data

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
    for words in ("Small children", "Adult | 40 kr", "He said:\nThe best", "- Come early"):
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


def page_of(body: str, head: str = "") -> bytes:
    return f"<!doctype html><html><head>{head}</head><body>{body}</body></html>".encode()


def texts(body: str) -> str:
    return "\n".join(block.text for block in read_html(page_of(body)).blocks)


def test_what_is_marked_in_code_stays_in_it() -> None:
    rows = '<em class="replaceable"><code>rows</code></em>'
    said = f"The tag is <code>FETCH {rows}</code> where {rows} is the number of rows."
    page = f"<article><h1>T</h1><p>{PARAGRAPH}</p><p>{said}</p><p>Again: {said}</p></article>"
    texts = [block.text for block in read_html(page.encode()).blocks]
    assert texts[-1] == "Again: The tag is FETCH rows where rows is the number of rows."


def test_code_within_a_sentence_stays_in_it() -> None:
    body = f"<article><h1>T</h1><p>{PARAGRAPH}</p><p>Call <code>go()</code> before you leave.</p>"
    blocks = read_html(page_of(body)).blocks
    assert Block("paragraph", "Call go() before you leave.") in blocks


def test_items_without_a_list_do_not_grow_together() -> None:
    text = texts(
        f"<p>{PARAGRAPH}</p><blockquote><li>Level: 70</li><li>Town: Bukra</li></blockquote>"
    )
    assert "70Town" not in text
    assert "Level: 70" in text


def test_page_that_the_extractor_empties_is_read_whole() -> None:
    rows = "".join(f"<div>Gate {n}</div>" for n in range(3))
    assert "Gate 2" in texts(f"<div class='footer'>{rows}</div>")


def test_a_page_of_one_table_keeps_it() -> None:
    rows = "".join(f"<tr><td>m{n}</td><td>{n}</td><td>{2 * n}</td></tr>" for n in range(9))
    head = "<tr><th>Month</th><th>cars</th><th>people</th></tr>"
    found = read_html(
        f"<html><body><h1>Report</h1><table>{head}{rows}</table></body></html>".encode()
    ).blocks
    assert [block.kind for block in found] == ["heading", "table"]
    assert found[1].text.startswith("Month | cars | people\nm0 | 0 | 0\n")


def test_a_page_of_one_table_keeps_it_beside_menus_and_footers_of_any_element() -> None:
    rows = "".join(f"<tr><td>m{n}</td><td>{n}</td><td>{2 * n}</td></tr>" for n in range(9))
    menu = '<div class="menu"><a href="/">Home</a> <a href="/b">Other</a></div>'
    foot = '<div class="footer">Copyright 2024 Office of Statistics</div>'
    page = f"<html><body>{menu}<h1>Report</h1><table>{rows}</table>{foot}</body></html>"
    assert [b.kind for b in read_html(page.encode()).blocks] == ["heading", "table"]


def test_marked_content_wins_over_a_poor_extraction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "rag_assets.documents.readers.html.page.trafilatura.bare_extraction", lambda *_, **__: None
    )
    paragraphs = "".join(f"<p>{n}. {PARAGRAPH}</p>" for n in range(5))
    body = (
        f"<nav>Menu</nav><main><h1>Line</h1>{paragraphs}"
        f"<div class='comments'>{PARAGRAPH} Me too</div></main><footer>Imprint</footer>"
    )
    text = texts(body)
    assert "4. The ferry" in text
    for clutter in ("Menu", "Imprint", "Me too"):
        assert clutter not in text


def test_navigation_alone_is_better_than_nothing() -> None:
    assert "Harbour" in texts("<nav><a href='/h'>Harbour</a></nav>")


def test_share_of_links() -> None:
    linked = "".join(
        f"<li><a href='/{n}'>Sailing number {n} of the year</a></li>" for n in range(30)
    )
    assert read_html(page_of(f"<ul>{linked}</ul>")).link_share > 0.9
    assert read_html(PAGE.encode()).link_share == 0


@settings(max_examples=40)
@given(st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1))
@example("¶")
def test_text_of_a_paragraph_survives(text: str) -> None:
    kept = " ".join(text.split())
    body = f"<p>{PARAGRAPH}</p><p>start {html.escape(text)} end</p><p>{PARAGRAPH} Again.</p>"
    assert " ".join(f"start {kept} end".split()) in "\n".join(
        block.text for block in blocks_of(document_fromstring(body))
    )


def test_control_characters_beside_a_script_cost_no_page() -> None:
    page = page_of(f"<div><script>1</script>and &#1; more<p>{PARAGRAPH}</p></div>")
    assert PARAGRAPH in "\n".join(block.text for block in read_html(page).blocks)


@settings(max_examples=60)
@given(st.data())
def test_mutated_pages_are_read_or_rejected(data: st.DataObject) -> None:
    page = bytearray(PAGE.encode())
    for _ in range(data.draw(st.integers(0, 12))):
        at = data.draw(st.integers(0, len(page) - 1))
        page[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=8))
    with suppress(RejectedError):
        assert read_html(bytes(page)).blocks


@settings(max_examples=60)
@given(st.binary(max_size=300))
def test_random_bytes_are_read_or_rejected(data: bytes) -> None:
    with suppress(RejectedError):
        assert read_html(b"<p>" + data).blocks


DATA = evaluation_data()


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no evaluation data at {DATA}; see RAG_EVAL_DATA")
def test_fuzzed_files_are_read_or_rejected() -> None:
    n_files = 0
    with tarfile.open(DATA / "fuzz-html" / "files.tar.xz") as tar:
        for member in tar:
            stored = tar.extractfile(member)
            content = stored.read() if stored else b""
            n_files += 1
            with suppress(RejectedError):
                assert read_html(content).blocks
    assert n_files > 100
