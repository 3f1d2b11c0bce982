"""The table ``answers``: every answer that was given, whoever asked.

Appends never conflict in Lance, so threads, the answerer and ``ask_job`` may write at once.
"""

import json
from datetime import datetime
from typing import Any

import pyarrow as pa

from rag_assets.answers.answer import Answer
from rag_assets.lake.schemas import ANSWERS
from rag_assets.lake.store import GLOBAL, LakeError, LakeStore, quoted

TABLE = "answers"


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
