"""Which other documents a row or a citation names, and the same without some of them."""

from collections.abc import Callable, Mapping
from typing import Any

NAMES = ("aliases", "copies")  # columns with uris of other documents
NEWER = {"superseded_by": "", "superseded_by_title": ""}


def naming(record: Mapping[str, Any], may: Callable[[str], bool]) -> dict[str, Any]:
    """The record without the other documents that it may not name, by their uris."""
    kept = {name: [uri for uri in record[name] if may(uri)] for name in NAMES if name in record}
    newer = record.get("superseded_by")
    return {**record, **kept, **(NEWER if newer and not may(newer) else {})}
