"""The sensor's decision, as a table."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from rag_assets.lake.generations import Live
from rag_assets.serving.client import AnswererDownError
from rag_assets.serving.ticking import decide

POINTER = Live("g000002-b", 2, "2024-06-01T00:00:00+00:00", "published")
Status = Callable[[], Mapping[str, Any]]


def serves(generation_id: str | None) -> Status:
    generation = None if generation_id is None else {"id": generation_id}
    return lambda: {"generation": generation}


def down() -> Mapping[str, Any]:
    raise AnswererDownError("the answerer does not run at x", 0)


def never() -> Mapping[str, Any]:
    raise AssertionError("nothing changed, so the answerer must not be asked")


@pytest.mark.parametrize(
    ("pointer", "cursor", "status", "requested", "reason", "new_cursor"),
    [
        (None, None, never, False, "No generation is live yet.", None),
        (POINTER, "2", never, False, "Live is still g000002-b", None),
        (POINTER, "1", down, False, "g000002-b waits: the answerer does not run", None),
        (POINTER, None, serves("g000002-b"), False, "serves g000002-b already", "2"),
        (POINTER, "1", serves("g000001-a"), True, "", "2"),
        (POINTER, None, serves(None), True, "", "2"),
        (Live("g000001-a", 3, "", "rolled back"), "2", serves("g000002-b"), True, "", "3"),
    ],
)
def test_decisions(
    pointer: Live | None,
    cursor: str | None,
    status: Status,
    requested: bool,
    reason: str,
    new_cursor: str | None,
) -> None:
    tick = decide(pointer, cursor, status)
    assert (tick.request is not None) == requested
    assert reason in tick.reason
    assert tick.cursor == new_cursor
