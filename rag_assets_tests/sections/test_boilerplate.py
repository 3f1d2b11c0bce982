import random
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from rag_assets.documents.cleaning import clean_blocks
from rag_assets.documents.readers.blocks import Block
from rag_assets.documents.signatures import bands, shingles
from rag_assets.sections.boilerplate import (
    MIN_PAGES,
    Page,
    block_hashes,
    find_boilerplate,
    repeated_blocks,
)

FOOTER = Block("paragraph", "© Norrsund Line. All rights reserved.")
NOTICE = Block("paragraph", "We use cookies to make this site better.")
NAVIGATION = Block("list", "- Timetables\n- Fares\n- Contact")


def body(number: int, n_words: int = 60) -> Block:
    words = random.Random(number).choices([f"word{n}" for n in range(5000)], k=n_words)
    return Block("paragraph", " ".join(words))


def blocks_of(blocks: Sequence[Block]) -> tuple[str, list[dict[str, Any]]]:
    cleaned = clean_blocks(list(blocks))
    text, spans = cleaned.text, cleaned.blocks
    return text, [asdict(span) for span in spans]


def page(*blocks: Block) -> Page:
    text, rows = blocks_of(blocks)
    return Page(text, rows, bands(shingles(text)))


def found(pages: Sequence[Page]) -> list[str]:
    return [b.text for b in find_boilerplate(pages)]


def test_worked_example() -> None:
    pages = [page(NOTICE, body(n), FOOTER) if n % 4 else page(body(n), FOOTER) for n in range(20)]
    assert [(b.text, b.n_pages, b.n_sampled) for b in find_boilerplate(pages)] == [
        (FOOTER.text, 20, 20),
        (NOTICE.text, 15, 20),
    ]


@pytest.mark.parametrize(
    ("n_with", "n_pages", "expected"),
    [(4, 4, 0), (5, 5, 1), (5, 25, 1), (5, 26, 0), (20, 100, 1), (19, 100, 0), (0, 0, 0)],
)
def test_pages_and_share_it_takes(n_with: int, n_pages: int, expected: int) -> None:
    pages = [page(body(n), FOOTER) if n < n_with else page(body(n)) for n in range(n_pages)]
    assert len(find_boilerplate(pages)) == expected


@pytest.mark.parametrize(
    "block",
    [
        Block("heading", "Frequently asked questions", 2),
        Block("code", "import numpy as np\nimport pandas as pd"),
        Block("paragraph", "See also"),
        Block("paragraph", "The following options are known:"),
    ],
)
def test_structure_is_no_boilerplate(block: Block) -> None:
    assert found([page(body(n), block, body(n + 100)) for n in range(10)]) == []


def test_same_text_however_written() -> None:
    forms = ["All  Rights Reserved,\nNorrsund Line", "ALL RIGHTS RESERVED, NORRSUND LINE"]
    pages = [page(body(n), Block("paragraph", forms[n % 2])) for n in range(10)]
    assert [b.n_pages for b in find_boilerplate(pages)] == [10]


def test_a_text_twice_on_a_page_counts_once() -> None:
    pages = [page(FOOTER, body(n), FOOTER) for n in range(MIN_PAGES - 1)]
    assert found([*pages, page(body(90))]) == []


def test_figures_that_differ_are_kept() -> None:
    fares = [Block("paragraph", f"A single ticket is {n} euros for adults.") for n in range(10)]
    assert found([page(body(n), fare) for n, fare in enumerate(fares)]) == []


def test_revisions_of_one_page_are_its_content() -> None:
    parts = [body(n, 30) for n in range(12)]
    revisions = [page(*parts[:n], body(100 + n, 30), *parts[n:]) for n in range(12)]
    assert found(revisions) == []
    copies = [page(body(0), FOOTER) for _ in range(20)]
    assert found([*copies, *(page(body(n)) for n in range(1, 8))]) == []


def test_a_long_footer_does_not_make_copies_of_a_sites_pages() -> None:
    footer = body(1, 30)  # half of a page
    assert found([page(body(100 + n, 30), footer) for n in range(60)]) == [footer.text[:80]]


def held(number: int, uri: str, *blocks: Block, flags: Sequence[str] = ()) -> dict[str, Any]:
    text, rows = blocks_of(blocks)
    document = {"document_id": f"doc_{number}", "uri": uri, "flags": flags}
    return {**document, "text": text, "blocks": rows}


def digests(*blocks: Block) -> set[str]:
    text, rows = blocks_of(blocks)
    return {digest for _, digest in block_hashes(text, rows)}


def test_one_document_keeps_each_text() -> None:
    documents = [
        held(1, "site:deep/er/a.html", body(1), FOOTER, NAVIGATION),
        held(2, "site:deep/b.html", body(2), FOOTER, NAVIGATION),
        held(3, "site:c.html", body(3), FOOTER),
        held(4, "site:d.html", body(4)),
        held(5, "site:0.html", body(5), FOOTER, flags=["gibberish"]),
    ]
    footer, navigation = digests(FOOTER), digests(NAVIGATION)
    expected = {
        "doc_1": footer | navigation,
        "doc_2": footer,  # the least nested one with the menu
        "doc_5": footer,
    }
    marked = footer | navigation
    assert repeated_blocks(documents, marked) == expected
    assert repeated_blocks(documents[::-1], marked) == expected
    assert repeated_blocks(documents, set()) == {}


def test_a_document_of_nothing_else_keeps_all() -> None:
    title = Block("heading", "Imprint", 1)
    documents = [
        held(1, "site:a", body(1), FOOTER),
        held(2, "site:imprint", title, FOOTER, NOTICE),
        held(3, "site:bb", title, FOOTER, Block("paragraph", "Short.")),
    ]
    assert repeated_blocks(documents, digests(FOOTER, NOTICE)) == {"doc_3": digests(FOOTER)}


def test_pages_without_bands_in_common_are_all_counted() -> None:
    pages = [page(body(n), FOOTER) for n in range(6)]
    alone = [Page(p.text, p.blocks, np.arange(32, dtype=np.uint32) + 32 * n) for n, p in
             enumerate(pages)]  # fmt: skip
    same = [Page(p.text, p.blocks, np.arange(32, dtype=np.uint32)) for p in pages]
    assert (found(alone), found(same)) == ([FOOTER.text], [])
