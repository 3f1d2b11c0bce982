import pytest

from rag_assets.documents.readers.blocks import RejectedError
from rag_assets.documents.readers.text.epub import parse_xhtml, read_epub
from rag_assets_tests.documents import office_files as files


def test_chapters_in_reading_order() -> None:
    found = read_epub(files.book())
    assert [(b.kind, b.level, b.text) for b in found.blocks] == [
        ("heading", 1, "One"),
        ("paragraph", 0, "Wind & waves of One."),
        ("list", 0, "- sail"),
        ("heading", 1, "Two"),
        ("paragraph", 0, "Wind & waves of Two."),
        ("list", 0, "- sail"),
    ]


def test_what_the_book_states() -> None:
    found = read_epub(files.book())
    assert (found.title, found.author) == ("Sea tales", "Ann Berg, Bo Ek")
    assert (found.created, found.modified) == ("2019-03-04", "2020-01-02")
    assert (found.language, found.licence) == ("sv", "CC BY 4.0")


def test_a_book_that_states_nothing() -> None:
    bare = files.PACKAGE.replace("<dc:", "<x:").replace("</dc:", "</x:")
    bare = (
        bare.replace("xmlns:dc", "xmlns:x").replace("elements/1.1", "other").replace("dcterms", "")
    )
    found = read_epub(files.book(**{"OPS/book.opf": bare}))
    assert (found.title, found.author, found.created, found.language) == ("", None, None, None)


def locked(uri: str, algorithm: str) -> str:
    return (
        '<encryption xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData>'
        f'<enc:EncryptionMethod Algorithm="{algorithm}"/><enc:CipherData>'
        f'<enc:CipherReference URI="{uri}"/></enc:CipherData></enc:EncryptedData></encryption>'
    )


AES = "http://www.w3.org/2001/04/xmlenc#aes128-cbc"


@pytest.mark.parametrize(
    ("uri", "algorithm", "is_locked"),
    [
        ("OPS/text/one.xhtml", AES, True),
        ("OPS/text/two%20b.xhtml", AES, True),
        ("OPS/font.otf", "http://www.idpf.org/2008/embedding", False),
        ("OPS/font.otf", AES, False),
    ],
)
def test_drm(uri: str, algorithm: str, is_locked: bool) -> None:
    data = files.book(**{"META-INF/encryption.xml": locked(uri, algorithm)})
    if not is_locked:
        assert read_epub(data).blocks
        return
    with pytest.raises(RejectedError) as caught:
        read_epub(data)
    assert caught.value.reason == "encrypted"


@pytest.mark.parametrize(
    "changes",
    [
        {"META-INF/container.xml": "<container/>"},
        {"META-INF/container.xml": files.CONTAINER.replace("book.opf", "no.opf")},
        {"OPS/book.opf": "<package"},
        {"OPS/book.opf": files.PACKAGE.replace("text/", "gone/")},
    ],
)
def test_broken_books(changes: dict[str, str | bytes]) -> None:
    with pytest.raises(RejectedError) as caught:
        read_epub(files.book(**changes))
    assert caught.value.reason == "corrupt"


def test_a_missing_chapter_costs_only_itself() -> None:
    package = files.PACKAGE.replace("text/one", "gone/one")
    first, *_ = read_epub(files.book(**{"OPS/book.opf": package})).blocks
    assert first.text == "Two"


@pytest.mark.parametrize(
    ("chapter", "text"),
    [
        (
            "<html><body><p>a&nbsp;&mdash;b &lt; c &amp;amp; d</p></body></html>",
            "a —b < c &amp; d",
        ),
        ("<html><body><p>never closed<br>line", "never closed line"),
        ("<?xml version='1.0' encoding='iso-8859-1'?><html><p>caf\xe9</p></html>", "café"),
        ("<html><title/><body><p>after</p></body></html>", "after"),
    ],
)
def test_chapters_as_they_are_found(chapter: str, text: str) -> None:
    root = parse_xhtml(chapter.encode("latin-1", "xmlcharrefreplace"))
    assert " ".join("".join(root.itertext()).split()).replace("closedline", "closed line") == text
