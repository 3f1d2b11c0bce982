import json

import pytest
from lxml.html import document_fromstring

from rag_assets.documents.readers.html.metadata import metadata_of

ARTICLE = {
    "@context": "https://schema.org",
    "@graph": [
        {"@type": "Organization", "name": "Norrsund"},
        {
            "@type": "NewsArticle",
            "headline": "Line 3",
            "author": [{"@type": "Person", "name": "Ida Berg"}, {"name": "Ole Dahl"}],
            "datePublished": "2021-03-04T08:00:00+01:00",
            "dateModified": "2021-04-05",
            "inLanguage": "sv-SE",
            "license": "https://creativecommons.org/licenses/by-sa/4.0/",
        },
    ],
}


def stated(head: str, body: str = "<p>Text</p>", lang: str = "") -> dict[str, str]:
    return metadata_of(
        document_fromstring(f"<html {lang}><head>{head}</head><body>{body}</body></html>")
    )


def test_json_ld() -> None:
    found = stated(f'<script type="application/ld+json">{json.dumps(ARTICLE)}</script>')
    assert found == {
        "title": "Line 3",
        "author": "Ida Berg, Ole Dahl",
        "created": "2021-03-04",
        "modified": "2021-04-05",
        "language": "sv",
        "licence": "CC BY-SA 4.0",
    }


def test_meta_elements() -> None:
    found = stated(
        '<meta property="og:title" content="Line 3"><meta name="Author" content="by Ida Berg">'
        '<meta property="article:published_time" content="2021-03-04T08:00Z">'
        '<meta itemprop="dateModified" content="2021-04-05"><title>Line 3 | Norrsund</title>',
        lang='lang="de-AT"',
    )
    assert found == {
        "title": "Line 3",
        "author": "Ida Berg",
        "created": "2021-03-04",
        "modified": "2021-04-05",
        "language": "de",
    }


@pytest.mark.parametrize(
    ("written", "date"),
    [
        ("20210304", "2021-03-04"),
        ("2021/3/4", "2021-03-04"),
        ("4.3.2021", "2021-03-04"),
        ("Thu, 04 Mar 2021 08:00:00 GMT", "2021-03-04"),
        ("2021-13-45", None),
        ("soon", None),
    ],
)
def test_dates(written: str, date: str | None) -> None:
    assert stated(f'<meta name="lastmod" content="{written}">').get("modified") == date


def test_heading_before_the_window_title_and_only_if_single() -> None:
    assert stated("<title>T</title>", "<h1>H</h1>")["title"] == "H"
    assert stated("<title>T</title>", "<h1>H</h1><h1>I</h1>")["title"] == "T"


def test_licence_of_a_picture_is_not_the_page_s() -> None:
    link = '<a href="https://creativecommons.org/licenses/by/4.0/deed">x</a>'
    assert stated("", f"<p>Photo: {link}</p>").get("licence") is None
    assert stated("", f"<footer>{link}</footer>")["licence"] == "CC BY 4.0"
    assert stated("", '<a rel="license" href="/mit">MIT</a>')["licence"] == "MIT"


@pytest.mark.parametrize("script", ["{", "[[[[", '"text"', "null", '[{"@type": 3}]', "{'a': 1}"])
def test_broken_json_says_nothing(script: str) -> None:
    found = stated(f'<script type="application/ld+json">{script}</script>')
    assert found == {}


def test_nothing_is_stated() -> None:
    assert stated("") == {}
