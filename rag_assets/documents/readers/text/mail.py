"""E-mails and saved web pages (.eml, .mht) to blocks, with the standard library.

Read as plain text, they would show a list of servers, and their content often only in base64.
"""

from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from rag_assets.documents.readers.archives import parsing
from rag_assets.documents.readers.blocks import Block, Extracted
from rag_assets.documents.readers.decoding import decode
from rag_assets.documents.readers.html.page import read_html
from rag_assets.documents.readers.metadata import or_none
from rag_assets.documents.readers.text.plaintext import text_blocks

_SHOWN = ("From", "To", "Cc", "Date")


def read_mail(data: bytes) -> Extracted:
    """Subject, sender and recipients, then the body; attachments are named but not read.

    Raises:
        RejectedError: ``corrupt`` for what is no message; what ``read_html`` raises.
    """
    with parsing("e-mail"):
        message = message_from_bytes(data.lstrip(), policy=default)
        subject = _header(message, "Subject")
        facts = [f"{name}: {value}" for name in _SHOWN if (value := _header(message, name))]
        names = [name for part in message.iter_attachments() if (name := part.get_filename())]
        date = getattr(message["date"], "datetime", None)
        body = message.get_body(("plain", "html"))
    if names:
        facts.append(f"Attachments: {', '.join(names)}")
    return Extracted(
        "message/rfc822",
        [Block("heading", subject, 1), Block("paragraph", "\n".join(facts)), *_blocks(body)],
        title=subject,
        author=or_none(_header(message, "From")),
        created=date.date().isoformat() if isinstance(date, datetime) else None,
    )


def _header(message: EmailMessage, name: str) -> str:
    return " ".join(str(message[name] or "").split())


def _blocks(body: object) -> list[Block]:
    if not isinstance(body, EmailMessage):
        return []
    payload = body.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    charset = body.get_content_charset() or "utf-8"
    try:
        text = content.decode(charset)
    except (LookupError, ValueError):  # wrongly declared
        text = decode(content)[0]
    if body.get_content_subtype() == "html":
        return read_html(text.encode("utf-8", "replace")).blocks if text.strip() else []
    return text_blocks(text)
