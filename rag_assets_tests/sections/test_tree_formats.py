"""The headings of a small real file of every format become sections with the right path."""

from dataclasses import asdict

import pytest

from rag_assets.documents.reading import read_document
from rag_assets.sections.tree import cut_sections
from rag_assets_tests.documents import office_files as office
from rag_assets_tests.documents import pdfs

HTML = """<html lang="en"><head><title>Handbook</title></head><body><article><h1>Handbook</h1>
<p>The ferry leaves the harbour at seven in the morning and comes back at eight at night.</p>
<h2>Fares</h2><table><tr><th>Line</th><th>Fare</th></tr><tr><td>3</td><td>40</td></tr></table>
<p>Fares are paid on board, by card only, and children below six years of age travel free.</p>
<h3>Pets</h3><p>Dogs travel free on all lines if they are kept on a lead and wear a muzzle.</p>
<h2>Rest</h2><pre>def rest():\n    return 10</pre>
<p>The crew rests for ten hours in any day, six of them without any interruption at all.</p>
</article></body></html>"""
TREE = [
    ["Handbook"],
    ["Handbook", "Fares"],
    ["Handbook", "Fares", "Pets"],
    ["Handbook", "Rest"],
]
MARKDOWN = """# Handbook\n\nWords.\n\n## Fares\n\n| Line | Fare |\n|---|---|\n| 3 | 40 |\n
### *Pets*\n\nDogs.\n\nRest\n----\n\n```python\n# no heading\n\nx = 1\n```\n"""
TEXT = "Handbook\n========\n\nWords of it.\n\nFARES\n40 kr.\n\nRest\n----\nTen hours.\n"
RTF = r"""{\rtf1\ansi{\fonttbl{\f0\fcharset0 Arial;}}\f0 HANDBOOK\par\par The ferry leaves.\par
\par FARES\par\par Forty crowns.\par}"""
ODT = """<text:h text:outline-level="1">Handbook</text:h><text:p>Words.</text:p>
<text:h text:outline-level="2">Fares</text:h><text:p>Forty crowns.</text:p>
<text:h text:outline-level="1">Rest</text:h><text:p>Ten hours.</text:p>"""
ODP = """<draw:page><draw:frame presentation:class="title"><draw:text-box><text:p>Jackets</text:p>
</draw:text-box></draw:frame><draw:frame presentation:class="outline"><draw:text-box><text:p>Under
each seat</text:p></draw:text-box></draw:frame></draw:page>"""
XML = """<?xml version="1.0"?><article xmlns="http://docbook.org/ns/docbook"><title>Handbook</title>
<para>Words of it.</para><section><title>Fares</title><para>Forty crowns.</para></section>
</article>"""
MAIL = """Message-ID: <1@b.se>
MIME-Version: 1.0
From: a@b.se
To: c@d.se
Subject: Fares
Date: Mon, 6 May 2024 07:08:00 +0000

Forty crowns.
"""
JSON = '{"name": "Fares", "lines": [{"line": 3, "fare": 40}], "piers": [{"pier": "A"}]}'
PDF = pdfs.write(
    [
        [("h1", "Handbook"), ("p", pdfs.BODY), ("h2", "Fares"), ("p", pdfs.BODY)],
        [("p", pdfs.BODY), ("h2", "Rest"), ("p", pdfs.BODY)],
    ]
)


def paths(data: str | bytes, name: str) -> list[list[str]]:
    document = read_document(data.encode() if isinstance(data, str) else data, name)
    blocks = [asdict(block) for block in document.blocks]
    sections = cut_sections("doc_1", document.text, blocks)
    headings = {document.text[b["start"] : b["end"]] for b in blocks if b["kind"] == "heading"}
    begun = {document.text[s.blocks[0]["start"] : s.blocks[0]["end"]] for s in sections}
    assert headings <= begun | {name for section in sections for name in section.heading_path}
    for section in sections:  # the nearest heading begins the section
        if section.heading_path:
            first = section.blocks[0]
            assert first["kind"] == "heading"
    return [section.heading_path for section in sections]


@pytest.mark.parametrize(
    ("data", "name", "expected"),
    [
        (HTML, "a.html", TREE),
        (MARKDOWN, "a.md", TREE),
        (PDF, "a.pdf", [["Handbook"], ["Handbook", "Fares"], ["Handbook", "Rest"]]),
        (
            office.word(), "a.docx",
            [["Rest hours"], ["Rest hours", "Exceptions"]],
        ),
        (
            office.slides(), "a.pptx",
            [["Safety briefing"], ["Safety briefing", "Life jackets"],
             ["Safety briefing", "Muster"]],
        ),
        (office.workbook(), "a.xlsx", [["Summer"]]),
        (office.book(), "a.epub", [["One"], ["Two"]]),
        (
            office.open_document("text", ODT), "a.odt",
            [["Handbook"], ["Handbook", "Fares"], ["Rest"]],
        ),
        (office.open_document("presentation", ODP), "a.odp", [["Jackets"]]),
        (RTF, "a.rtf", [["HANDBOOK"], ["FARES"]]),
        (TEXT, "a.txt", [["Handbook"], ["Handbook", "FARES"], ["Handbook", "Rest"]]),
        (XML, "a.xml", [["Handbook"], ["Handbook", "Fares"]]),
        (MAIL, "a.eml", [["Fares"]]),
        (JSON, "a.json", [[], ["lines"], ["piers"]]),
        ('{"line": 3}\n{"line": 4, "pier": "Aby"}\n', "a.jsonl", [[]]),
        ("line,fare\n3,40\n4,50\n", "a.csv", [[]]),
        ("# no heading\nimport os\n\ndef fare():\n    return 40\n", "a.py", [[]]),
    ],
    ids=lambda given: given if isinstance(given, str) and given.startswith("a.") else "",
)  # fmt: skip
def test_headings_become_sections(data: str | bytes, name: str, expected: list[list[str]]) -> None:
    assert paths(data, name) == expected
