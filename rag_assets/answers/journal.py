"""The table ``answers``, the journal: every answer that was given, whoever asked.

It keeps answers for a time (``RAG_JOURNAL_DAYS``), and none where that is 0. Appends never conflict
in Lance, so threads, the answerer and ``ask_job`` may write at once.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from rag_assets.answers.answer import Answer
from rag_assets.index.naming import naming
from rag_assets.lake.erasing import Named, rewrite, scrub
from rag_assets.lake.schemas import ANSWERS
from rag_assets.lake.store import GLOBAL, LakeError, LakeStore, batches, quoted

TABLE = "answers"
KEEP_VERSIONS_FOR = timedelta(days=1)  # of the journal, once answers have expired
IDS_AT_ONCE = 1000
AS_A_WHOLE = "collection"  # way of answers that tell what kinds of documents there are


def record_answer(
    store: LakeStore, answer: Answer, run_id: str = "", *, asker: str = "", user: str = ""
) -> None:
    """Append one answer.

    Args:
        store: the lake.
        answer: what was answered.
        run_id: of the Dagster run that asked; "" for HTTP and the command line.
        asker: name of the key that asked, never the key.
        user: for whom a client asked, as it says; "" where it says nothing.

    Raises:
        LakeError: the table cannot be made, or has other columns.
    """
    table = store.open_or_create(TABLE, GLOBAL, ANSWERS)
    table.add(pa.Table.from_pylist([_row(answer, run_id, asker, user)], schema=ANSWERS))


def find_answer(store: LakeStore, answer_id: str) -> dict[str, Any]:
    """The row of an answer: columns of ``schemas.ANSWERS``, ``record`` parsed.

    Raises:
        LakeError: no answer has that id.
    """
    rows = store.rows(TABLE, where=f"answer_id IN ({quoted([answer_id])})")
    if not rows:
        raise LakeError(
            f"no answer is called {answer_id!r}; `rag ask --json` and the answers table "
            f"at {store.uri} show the ids"
        )
    return {**rows[0], "record": json.loads(rows[0]["record"])}


def expire(store: LakeStore, keep_days: int, now: datetime | None = None) -> int:
    """Delete the answers that are older than so many days; how many there were.

    Their bytes are in versions that a call a day later deletes.
    """
    table = store.table(TABLE)
    if table is None:
        return 0
    until = (now or datetime.now(UTC)) - timedelta(days=keep_days)
    where = f"created_at < TIMESTAMP '{until:%Y-%m-%d %H:%M:%S}'"
    n_rows = int(table.count_rows(where))
    if n_rows:
        table.delete(where)
        rewrite(table)
    table.optimize(cleanup_older_than=KEEP_VERSIONS_FOR)
    return n_rows


@dataclass(frozen=True, slots=True)
class Concerned:
    """What of the journal concerns documents.

    Attributes:
        resting: ids of answers that cite one of them, were given with one before the model, or
            describe the documents as a whole.
        naming: of the others, those that name one as a copy, or as the newer version, of what they
            cite: id -> the record without these names.
    """

    resting: tuple[str, ...]
    naming: Mapping[str, Mapping[str, Any]]


def concerned(store: LakeStore, is_named: Named) -> Concerned:
    """The answers that documents of these names have a part in."""
    resting, naming = list[str](), dict[str, Mapping[str, Any]]()
    for answer_id, record in _records(store):
        read = [one["uri"] for part in ("citations", "evidence") for one in record.get(part, ())]
        if record["route"].get("way") == AS_A_WHOLE or any(map(is_named, read)):
            resting.append(answer_id)
        elif (without := _without(record, is_named)) != record:
            naming[answer_id] = without
    return Concerned(tuple(resting), naming)


def forget(store: LakeStore, is_named: Named) -> int:
    """Delete the answers that rest on documents of these names; how many there were.

    What other answers name of them goes out of their records. The table is scrubbed.
    """
    table = store.table(TABLE)
    if table is None:
        return 0
    found = concerned(store, is_named)
    for start in range(0, len(found.resting), IDS_AT_ONCE):
        ids = quoted(found.resting[start : start + IDS_AT_ONCE])
        table.delete(f"answer_id IN ({ids})")
    for answer_id, record in found.naming.items():
        values = {"record": json.dumps(record, ensure_ascii=False)}
        table.update(where=f"answer_id IN ({quoted([answer_id])})", values=values)
    scrub(store, TABLE)
    return len(found.resting)


def _records(store: LakeStore) -> Iterator[tuple[str, dict[str, Any]]]:
    table = store.table(TABLE)
    for batch in () if table is None else batches(table, columns=["answer_id", "record"]):
        for row in batch.to_pylist():
            yield row["answer_id"], json.loads(row["record"])


def _without(record: Mapping[str, Any], is_named: Named) -> dict[str, Any]:
    """The record, in which citations name no such document as a copy or as the newer version."""
    citations = [naming(one, lambda uri: not is_named(uri)) for one in record["citations"]]
    return {**record, "citations": citations}


def _row(answer: Answer, run_id: str, asker: str, user: str) -> dict[str, Any]:
    record = {**answer.to_record(), **({"user": user} if user else {})}
    return {
        "answer_id": answer.answer_id,
        "question": answer.question,
        "answer": answer.answer,
        "abstained": answer.abstained,
        "mode": answer.mode,
        "model": answer.route.model,
        "finish_reason": answer.finish_reason,
        "generation_id": answer.generation_id,
        "created_at": datetime.fromisoformat(answer.created_at),
        "run_id": run_id,
        "record": json.dumps(record, ensure_ascii=False),
        "asker": asker,
    }
