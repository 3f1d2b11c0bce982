"""Documents put straight into a lake, and what should become of them by the plainest code."""

from collections.abc import Iterable, Mapping

import pyarrow as pa

from rag_assets.documents.signatures import bands, shingles, sketch
from rag_assets.documents.stage import DOCUMENTS, TABLE, document_id
from rag_assets.duplicates.facts import agree, keys_of
from rag_assets.lake.identity import text_hash
from rag_assets.lake.store import LakeStore

WORDS = [f"w{n}" for n in range(200)]


def text(*, changed: int = 0, first: int = 0, mark: str = "x") -> str:
    """200 words of which ``changed`` in a row, from ``first`` on, are others."""
    words = list(WORDS)
    words[first : first + changed] = [f"{mark}{first + n}" for n in range(changed)]
    return " ".join(words)


def printed(said: str, n_pages: int = 1) -> str:
    """The text as a print of so many pages shows it: the same facts, other bytes."""
    words = said.split(" ")
    size = -(-len(words) // n_pages)
    pages = [" ".join(words[at : at + size]) for at in range(0, len(words), size)]
    return "\n".join(f"{page}\nPage {n} of {n_pages}" for n, page in enumerate(pages, start=1))


def put(
    store: LakeStore,
    texts: Mapping[str, str],
    partition: str = "docs.0",
    flagged: Iterable[str] = (),
) -> None:
    """Make the partition hold exactly these documents, uri -> text."""
    rows = [_row(uri, said, ["thin"] if uri in flagged else []) for uri, said in texts.items()]
    table = store.open_or_create(TABLE.name, partition, DOCUMENTS)
    table.delete("true")
    if rows:
        table.add(pa.Table.from_pylist(rows, schema=DOCUMENTS))


def _row(uri: str, said: str, flags: list[str]) -> dict[str, object]:
    hashes = shingles(said)
    blank: dict[str, object] = {
        field.name: "" if field.type == pa.string() else [] for field in DOCUMENTS
    }
    return blank | {
        "document_id": document_id(uri),
        "uri": uri,
        "text": said,
        "text_hash": text_hash(said),
        "row_hash": text_hash(f"{said} {flags}"),
        "flags": flags,
        "bands": bands(hashes),
        "sketch": sketch(hashes),
    }


def expected(texts: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Alias -> (canonical, kind) by comparing everything with everything."""
    order = sorted(texts, key=lambda uri: (uri.count("/"), len(uri), uri))  # no endings
    found: dict[str, tuple[str, str]] = {}
    for uri in order:
        if uri in found:
            continue
        for other in order[order.index(uri) + 1 :]:
            alike = agree(keys_of(texts[uri]), keys_of(texts[other]))
            if other not in found and alike:
                found[other] = (uri, "exact" if texts[uri] == texts[other] else "near")
    return found


def aliases(store: LakeStore) -> dict[str, tuple[str, str]]:
    """Alias -> (canonical, kind) as the stage has it."""
    return {row["uri"]: (row["canonical_uri"], row["kind"]) for row in store.rows("duplicates")}


def related(store: LakeStore) -> dict[tuple[str, str], str]:
    """(document, related) -> kind as the stage has it."""
    rows = store.rows("related_documents")
    return {(row["uri"], row["related_uri"]): row["kind"] for row in rows}
