"""Identity: every id and hash of the project, all of them xxh3.

Ids are derived from content or from place, never random. The same corpus gives the same ids on
every machine, and an id that a citation names stays valid as long as its text exists.
"""

import json
from collections.abc import Iterable

import xxhash

_JSON = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def bytes_hash(data: bytes) -> str:
    """xxh3_128 of raw bytes, 32 hex digits."""
    return xxhash.xxh3_128_hexdigest(data)


def text_hash(text: str) -> str:
    """xxh3_128 of a text's UTF-8 form; lone surrogates are kept apart, not refused."""
    return bytes_hash(text.encode("utf-8", "surrogatepass"))


def value_hash(value: object) -> str:
    """xxh3_128 of a JSON-like value.

    JSON quotes its strings, so ``["a", "bc"]`` and ``["ab", "c"]`` differ, as plain joining would
    not let them.

    Raises:
        TypeError: the value holds something JSON has no form for.
    """
    return text_hash(_JSON.encode(value))


def row_id(kind: str, *parts: object) -> str:
    """Stable id ``<kind>_<32 hex digits>`` from what identifies the row."""
    return f"{kind}_{value_hash(list(parts))}"


def bucket_of(uri: str, buckets: int) -> int:
    """The hash bucket of a source's document, in ``range(buckets)``.

    Raises:
        ValueError: ``buckets`` is not a power of two (doubling must split buckets cleanly).
    """
    if buckets < 1 or buckets & (buckets - 1):
        raise ValueError(f"buckets must be a power of two (1, 2, 4, ...), got {buckets}")
    return xxhash.xxh3_64_intdigest(uri.encode("utf-8", "surrogatepass")) % buckets


def data_version(rows: Iterable[tuple[str, str]]) -> str:
    """Version of a table's content: xxh3_128 over its sorted (key, content hash) pairs.

    Order of writing, file layout and run ids do not enter, so equal rows have equal versions.
    """
    state = xxhash.xxh3_128()
    for key, digest in sorted(rows):
        state.update(f"{key}\0{digest}\n".encode("utf-8", "surrogatepass"))
    return state.hexdigest()
