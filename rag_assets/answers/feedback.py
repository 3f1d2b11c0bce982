"""The table ``feedback``: what readers said of answers, and the golden questions that it makes."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from rag_assets.lake.erasing import Named, scrub
from rag_assets.lake.schemas import FEEDBACK
from rag_assets.lake.store import GLOBAL, LakeStore, quoted
from rag_assets.sources.golden import Case

TABLE = "feedback"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a reader says of an answer.

    Attributes:
        is_right: whether the answer is.
        expected: the fact in a few words; "" if the reader does not say.
        is_unanswerable: whether no document holds the answer.
    """

    is_right: bool
    expected: str = ""
    is_unanswerable: bool = False


def record_feedback(
    store: LakeStore, answer: Mapping[str, Any], verdict: Verdict, asker: str = ""
) -> None:
    """Append what was said of an answer.

    Args:
        store: the lake.
        answer: its record, as the journal keeps it.
        verdict: on it.
        asker: name of the key of who says it.

    Raises:
        LakeError: the table cannot be made, or has other columns.
    """
    row = {
        "answer_id": answer["answer_id"],
        "question": answer["question"],
        "answer": answer["answer"],
        "abstained": answer["abstained"],
        "right": verdict.is_right,
        "expected": " ".join(verdict.expected.split()),
        "unanswerable": verdict.is_unanswerable,
        "uris": list(dict.fromkeys(one["uri"] for one in answer["citations"])),
        "generation_id": answer["generation"]["id"],
        "asker": asker,
        "created_at": datetime.now(UTC),
    }
    table = store.open_or_create(TABLE, GLOBAL, FEEDBACK)
    table.add(pa.Table.from_pylist([row], schema=FEEDBACK))


def forget(store: LakeStore, answer_ids: Set[str], is_named: Named) -> int:
    """Delete what was said of these answers, and of those that cite documents of these names.

    The table is scrubbed. Returns how many rows there were.
    """
    table = store.table(TABLE)
    rows = store.rows(TABLE, columns=["answer_id", "uris"])
    gone = {
        row["answer_id"]
        for row in rows
        if row["answer_id"] in answer_ids or any(map(is_named, row["uris"]))
    }
    for answer_id in gone:
        assert table is not None  # it has rows
        table.delete(f"answer_id IN ({quoted([answer_id])})")
    scrub(store, TABLE)
    return sum(row["answer_id"] in gone for row in rows)


def feedback_cases(store: LakeStore) -> list[Case]:
    """The golden questions that readers gave, oldest first; of a question, what was said last.

    What is no question that can be judged by code stays out: an answer called right or wrong
    without a word about what was expected.
    """
    rows = store.rows(TABLE)
    last: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: row["created_at"]):
        last[" ".join(row["question"].casefold().split())] = row
    return [case for row in last.values() if (case := _case(row)) is not None]


def _case(row: Mapping[str, Any]) -> Case | None:
    has_none = row["unanswerable"] or (row["right"] and row["abstained"])
    if has_none:
        return Case(row["answer_id"], "unanswerable", row["question"], (), ())
    if not row["expected"]:
        return None
    # A wrong answer cites documents that the right one need not come from.
    uris = tuple(row["uris"]) if row["right"] else ()
    return Case(row["answer_id"], "lookup", row["question"], ((row["expected"],),), uris)
