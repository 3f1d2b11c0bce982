"""A record names only the documents that it may."""

from rag_assets.index.naming import naming

RECORD = {
    "uri": "docs:a.md",
    "aliases": ["docs:b.md", "hr:b.md"],
    "copies": ["hr:b.md"],
    "superseded_by": "hr:c.md",
    "superseded_by_title": "C",
}


def test_what_it_may_not_name_is_left_out() -> None:
    assert naming(RECORD, lambda uri: uri.startswith("docs:")) == {
        "uri": "docs:a.md",
        "aliases": ["docs:b.md"],
        "copies": [],
        "superseded_by": "",
        "superseded_by_title": "",
    }


def test_what_it_may_name_stays_and_nothing_is_added() -> None:
    assert naming(RECORD, lambda _: True) == RECORD
    assert naming({"uri": "docs:a.md"}, lambda _: False) == {"uri": "docs:a.md"}
