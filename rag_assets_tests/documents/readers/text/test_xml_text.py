import pytest

from rag_assets.documents.readers.blocks import RejectedError
from rag_assets.documents.readers.text.xml_text import read_xml

DOCBOOK = """<?xml version="1.0"?><book xmlns="http://docbook.org/ns/docbook"><title>Guide</title>
<!-- remark --><chapter><title>One</title><para>Text <emphasis>here</emphasis>.</para>
<programlisting>x = 1
  y</programlisting><section><title>Sub</title><para>More</para>
<table><row><entry>a</entry><entry><para>b</para><para>c</para></entry></row><row/></table>
</section></chapter></book>"""


def test_prose() -> None:
    found = read_xml(DOCBOOK.encode())
    assert [(b.kind, b.level, b.text) for b in found.blocks] == [
        ("heading", 1, "Guide"),
        ("heading", 2, "One"),
        ("paragraph", 0, "Text here."),
        ("code", 0, "x = 1\n  y"),
        ("heading", 3, "Sub"),
        ("paragraph", 0, "More"),
        ("table", 0, "a | b c"),
    ]
    assert found.title == "Guide"


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("<a><i><n>Ann</n><p2>3</p2></i><i><n>Bo</n></i></a>", ["n: Ann\np2: 3", "n: Bo"]),
        ("<a><i>Ann <b>Berg</b>.</i><i>Bo</i></a>", ["i: Bo", "Ann Berg."]),
        ("<a>only</a>", ["only"]),
        ("<a><add key='port' value='80'/></a>", ["add.key: port\nadd.value: 80"]),
        ("<a><i id='1' xml:lang='en'><n>x</n></i></a>", ["id: 1\nn: x"]),
        ("<a><n>x</n><i><k><v2>y</v2></k></i></a>", ["n: x", "v2: y"]),
    ],
)
def test_records(source: str, texts: list[str]) -> None:
    assert [b.text for b in read_xml(source.encode()).blocks] == texts


def test_encodings_are_those_declared() -> None:
    source = '<?xml version="1.0" encoding="iso-8859-1"?><a><p>Fähre</p></a>'
    found = read_xml(source.encode("latin-1"))
    # As browsers take it: who says Latin-1 means Windows-1252.
    assert (found.blocks[0].text, found.encoding) == ("Fähre", "cp1252")


@pytest.mark.parametrize(("source", "reason"), [("<a/>", "no text"), ("<a><b></a>", "corrupt")])
def test_rejections(source: str, reason: str) -> None:
    with pytest.raises(RejectedError) as caught:
        read_xml(source.encode())
    assert caught.value.reason == reason


def test_long_files_do_not_hang() -> None:  # what is quadratic would take hours
    assert len(read_xml(b"<r>" + b"<a><b>x</b></a>" * 50_000 + b"</r>").blocks) == 50_000


FEED = (
    '<?xml version="1.0" encoding="{}"?><rss><item><title>Новости</title><p>Паром идёт.</p></item>'
)


@pytest.mark.parametrize("encoding", ["IBM855", "windows-1251", "utf-16"])
def test_feeds_are_read_in_any_encoding_and_mended(encoding: str) -> None:
    broken = FEED.format(encoding).encode(encoding)  # the root is never closed
    found = read_xml(broken)
    assert [block.text for block in found.blocks] == ["Новости", "Паром идёт."]
    assert found.title == "Новости"


def test_a_file_of_which_most_is_lost_is_corrupt() -> None:
    with pytest.raises(RejectedError, match="broken XML") as caught:
        read_xml(b"<a><b>text</b></a>" + b" words behind the end" * 50)
    assert caught.value.reason == "corrupt"
