from email.message import EmailMessage

import pytest

from rag_assets.documents.readers.blocks import Block
from rag_assets.documents.readers.registry import extract


def mail() -> EmailMessage:
    made = EmailMessage()
    made["From"] = "Ann Bergström <ann@example.org>"
    made["To"] = "crew@example.org"
    made["Subject"] = "Fähre 3"
    made["Date"] = "Mon, 06 May 2024 23:30:00 -0500"
    made["Message-ID"] = "<1@example.org>"
    return made


HEAD = [
    Block("heading", "Fähre 3", 1),
    Block(
        "paragraph",
        "From: Ann Bergström <ann@example.org>\nTo: crew@example.org\n"
        "Date: Mon, 06 May 2024 23:30:00 -0500",
    ),
]


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "8bit"])
def test_body_is_read_however_it_is_encoded(encoding: str) -> None:
    made = mail()
    made.set_content("Die Fähre fährt.\n\nGrüße\n", cte=encoding)
    found = extract(made.as_bytes(), "a.eml")
    assert found.blocks == [
        *HEAD,
        Block("paragraph", "Die Fähre fährt."),
        Block("paragraph", "Grüße"),
    ]
    assert (found.title, found.author) == ("Fähre 3", "Ann Bergström <ann@example.org>")
    assert (found.media_type, found.created) == ("message/rfc822", "2024-05-06")


def test_attachments_are_named_and_not_read() -> None:
    made = mail()
    made.set_content("words")
    made.add_attachment(b"%PDF-1.7 endobj", maintype="application", subtype="x", filename="a.pdf")
    found = extract(made.as_bytes(), "a")
    assert [b.text for b in found.blocks[1:]] == [
        f"{HEAD[1].text}\nAttachments: a.pdf",
        "words",
    ]


def test_html_where_there_is_no_plain_body() -> None:
    made = mail()
    page = "<h1>Summer</h1><p>The ferry sails daily in summer, and twice on Sundays.</p>"
    made.set_content(f"<html><body>{page}</body></html>", subtype="html")
    texts = [b.text for b in extract(made.as_bytes(), "a").blocks[2:]]
    assert texts == ["Summer", "The ferry sails daily in summer, and twice on Sundays."]


@pytest.mark.parametrize("charset", ["no-such-charset", "us-ascii"])
def test_a_wrong_charset_loses_no_text(charset: str) -> None:
    head = f"From: a\nDate: b\nMIME-Version: 1.0\nContent-Type: text/plain; charset={charset}\n\n"
    found = extract((head + "Die Fähre fährt nach Öland.\n").encode(), "a")
    assert found.blocks[-1].text == "Die Fähre fährt nach Öland."
    assert found.created is None


def test_a_message_without_a_body_has_its_headers() -> None:
    assert extract(mail().as_bytes(), "a").blocks[:2] == HEAD
