"""What a uri says of its document, in words."""

import re
from urllib.parse import unquote

_EXTENSION = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,4}$")


def file_name(uri: str) -> str:
    """The last part of a uri, readable: "docs:a/My%20notes.md" is "My notes.md"."""
    return re.split(r"[/\\:!]", _path(uri).rstrip("/"))[-1]


def path_words(uri: str) -> str:
    """The words of a uri's folders and file, without its source and extension."""
    path = _path(uri).partition(":")[2]
    return " ".join(re.findall(r"[^\W_]+", _EXTENSION.sub("", path)))


def _path(uri: str) -> str:
    return unquote(re.split(r"[?#]", uri, maxsplit=1)[0])
