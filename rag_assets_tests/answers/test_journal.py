"""The answers table: nothing lost, whoever writes at once."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rag_assets.answers.answer import Answer
from rag_assets.answers.answerer import Answerer
from rag_assets.answers.journal import expire, find_answer, forget, record_answer
from rag_assets.index.search import IndexReader
from rag_assets.lake.store import LakeError, LakeStore
from rag_assets_tests.answers.fakes import ScriptedChat, WordEmbedder, copies


def some_answers(reader: IndexReader, n: int) -> list[Answer]:
    asked = Answerer(
        reader, ScriptedChat("slm", copies), ScriptedChat("llm", copies), WordEmbedder()
    )
    return [asked.answer("When was MV Tern built?") for _ in range(n)]


def test_an_answer_is_found_again(store: LakeStore, ferries: IndexReader) -> None:
    (answer,) = some_answers(ferries, 1)
    record_answer(store, answer, "run-1")
    row = find_answer(store, answer.answer_id)
    assert row["record"] == answer.to_record()
    assert row["run_id"] == "run-1"
    assert row["model"] == "llm"
    assert row["created_at"].isoformat() == answer.created_at


def test_unknown_answers_are_named(store: LakeStore) -> None:
    with pytest.raises(LakeError, match="no answer is called 'answer_x'"):
        find_answer(store, "answer_x")


def test_quotes_in_an_id_are_not_sql(store: LakeStore, ferries: IndexReader) -> None:
    record_answer(store, *some_answers(ferries, 1))
    with pytest.raises(LakeError):
        find_answer(store, "x' OR '1'='1")


def test_threads_lose_no_row(store: LakeStore, ferries: IndexReader) -> None:
    answers = some_answers(ferries, 24)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda answer: record_answer(LakeStore(store.uri), answer), answers))
    kept = {row["answer_id"] for row in store.rows("answers", columns=["answer_id"])}
    assert kept == {answer.answer_id for answer in answers}


WRITER = """
import sys, time
from rag_assets.lake.schemas import ANSWERS
from rag_assets.lake.store import LakeStore
import pyarrow as pa
from rag_assets.answers import journal
store, name = LakeStore(sys.argv[1]), sys.argv[2]
row = {"question": "q", "answer": "a", "abstained": False, "mode": "auto", "model": "slm",
       "finish_reason": "stop", "generation_id": "g", "created_at": 0, "run_id": "", "record": "{}"}
for n in range(5):
    rows = pa.Table.from_pylist([{**row, "answer_id": f"{name}-{n}"}], schema=ANSWERS)
    store.open_or_create(journal.TABLE, "all", ANSWERS).add(rows)
"""


def test_processes_that_all_write_first_lose_no_row(store: LakeStore) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, store.uri, f"w{n}"]) for n in range(3)
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    kept = {row["answer_id"] for row in store.rows("answers", columns=["answer_id"])}
    assert kept == {f"w{w}-{n}" for w in range(3) for n in range(5)}


def test_answers_expire(store: LakeStore, ferries: IndexReader) -> None:
    old, new = some_answers(ferries, 2)
    now = datetime.now(UTC)
    long_ago = now - timedelta(days=8)
    assert expire(store, 7, now) == 0  # nothing was journalled yet
    record_answer(store, replace(old, created_at=long_ago.isoformat()))
    record_answer(store, new)
    assert expire(store, 9, now) == 0
    assert expire(store, 7, now) == 1
    assert [row["answer_id"] for row in store.rows("answers")] == [new.answer_id]
    assert expire(store, 0, now + timedelta(seconds=1)) == 1  # of a journal that is turned off


def test_what_rests_on_a_document_is_forgotten(store: LakeStore, ferries: IndexReader) -> None:
    citing, naming, reading, whole = some_answers(ferries, 4)
    uri = citing.citations[0].uri
    other = replace(citing.citations[0], uri="fleet:x.html", aliases=[uri, "fleet:y.html"])
    newer = replace(other, superseded_by=uri, superseded_by_title="T")
    naming = replace(naming, citations=(other, newer), evidence=())
    whole = replace(whole, citations=(), evidence=(), route=replace(whole.route, way="collection"))
    for answer in (citing, naming, replace(reading, citations=()), whole):
        record_answer(store, answer)
    assert forget(store, lambda one: one == uri) == 3
    (row,) = store.rows("answers")
    record = find_answer(store, naming.answer_id)["record"]
    assert row["answer_id"] == naming.answer_id
    assert uri not in row["record"]
    assert [one["aliases"] for one in record["citations"]] == [["fleet:y.html"]] * 2
    assert record["citations"][1]["superseded_by_title"] == ""
    assert record["answer"] == naming.answer
