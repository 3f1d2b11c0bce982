"""Batches: at the same time, in order, one failure alone, and after a kill nothing twice."""

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from rag_assets.answers.questions import QuestionError
from rag_assets.batches.asking import Ask, Lines, Tally, ask_all, ask_batch
from rag_assets.batches.outcomes import Outcome
from rag_assets.batches.questions import BatchFileError, Row, listed, read_questions
from rag_assets.models.errors import EngineUnavailableError, ModelRequestError
from rag_assets_tests.batches.files import record

TWELVE = [f"q{n}" for n in range(12)]
ROWS = listed(TWELVE, "auto").rows


class Asked:
    """Answers, fails or ends as the question says, and remembers what was asked."""

    def __init__(self, **errors: Exception) -> None:
        self.errors, self.calls = errors, list[str]()

    def __call__(self, row: Row) -> Mapping[str, Any]:
        self.calls.append(row.question)
        if row.question in self.errors:
            raise self.errors[row.question]
        return record(row)


def batch(asked: Sequence[str], out: Path, ask: Ask, concurrency: int = 1) -> Tally:
    questions = listed(asked, "auto")
    tally = Tally(len(questions.rows))
    for outcome in ask_batch(questions, ask, out=out, concurrency=concurrency):
        tally.add(outcome)
    return tally


def answers(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_as_many_as_may_are_asked_at_once() -> None:
    together = threading.Barrier(3, timeout=5)

    def ask(row: Row) -> Mapping[str, Any]:
        together.wait()
        return record(row)

    assert len(list(ask_all(ROWS, ask, concurrency=3))) == 12


def test_a_question_that_fails_fails_alone() -> None:
    ask = Asked(q3=QuestionError("it is empty"), q5=ModelRequestError("refused"))
    found = {o.row.question: o for o in ask_all(ROWS, ask, concurrency=4)}
    assert len(found) == 12
    assert {q: o.error for q, o in found.items() if o.record is None} == {
        "q3": "it is empty", "q5": "refused",
    }  # fmt: skip


def test_dead_engines_end_the_batch_and_what_was_answered_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    ask = Asked(q6=EngineUnavailableError("nobody answers"))
    with pytest.raises(EngineUnavailableError, match="nobody answers"):
        batch(TWELVE, out, ask, 2)
    assert not out.exists()
    assert len(ask.calls) < 10
    again = Asked()
    tally = batch(TWELVE, out, again, 2)
    kept = set(ask.calls) - {"q6"}
    assert Counter(again.calls) == Counter(set(row.question for row in ROWS) - kept)
    assert (tally.done, tally.kept, tally.failed) == (12, len(kept), 0)
    assert [row["question"] for row in answers(out)] == [row.question for row in ROWS]
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_an_interrupt_lets_those_end_that_are_asked(tmp_path: Path) -> None:
    def ask(row: Row) -> Mapping[str, Any]:
        if row.question == "q1":
            time.sleep(0.05)  # until the batch waits for this answer
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)
        return record(row)

    out = tmp_path / "a.jsonl"
    with pytest.raises(KeyboardInterrupt):
        batch(TWELVE[:3], out, ask)
    again = Asked()
    batch(TWELVE[:3], out, again)
    assert again.calls == ["q2"]


BATCH = """
import sys, time
from pathlib import Path
from rag_assets.batches.asking import ask_batch
from rag_assets.batches.questions import read_questions
from rag_assets_tests.batches.files import record
def ask(row):
    time.sleep(0.02)
    return record(row)
file, out = map(Path, sys.argv[1:])
list(ask_batch(read_questions(file), ask, out=out, concurrency=3))
"""


def test_after_a_kill_only_what_was_not_kept_is_asked(tmp_path: Path) -> None:
    file, out, part = tmp_path / "q.csv", tmp_path / "a.jsonl", tmp_path / "a.jsonl.part"
    asked = [f"question {n}?" for n in range(60)]
    file.write_text("\n".join(["question", *asked]))
    killed = subprocess.Popen([sys.executable, "-c", BATCH, str(file), str(out)])
    while not part.exists() or part.read_bytes().count(b"\n") < 10:
        assert killed.poll() is None
        time.sleep(0.005)
    killed.kill()
    killed.wait()
    kept = {json.loads(line)["question"] for line in part.read_bytes().split(b"\n")[:-1]}
    assert 10 <= len(kept) < 60
    again = Asked()
    batch(asked, out, again, 3)
    assert Counter(again.calls) == Counter(set(asked) - kept)
    assert [row["question"] for row in answers(out)] == asked
    assert {row["answer"] for row in answers(out)} == {f"the answer to {q}" for q in asked}
    assert not part.exists()


def test_an_answer_is_kept_before_the_next_one_is_given(tmp_path: Path) -> None:
    out, questions = tmp_path / "a.jsonl", listed(TWELVE, "auto")
    came = ask_batch(questions, Asked(), out=out, concurrency=1)
    for n, outcome in enumerate(came, start=1):
        if n < len(TWELVE):
            lines = (tmp_path / "a.jsonl.part").read_text().splitlines()
            assert [json.loads(line)["question"] for line in lines][n - 1 :] == [
                outcome.row.question
            ]


def test_a_line_that_was_cut_off_is_asked_again(tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    part = tmp_path / "a.jsonl.part"
    ask = Asked(c=EngineUnavailableError("gone"))
    with pytest.raises(EngineUnavailableError):
        batch("abc", out, ask)
    kept = part.read_bytes()
    for cut in (1, 10, len(kept.splitlines()[1])):
        part.write_bytes(kept[:-cut])
        again = Asked(c=EngineUnavailableError("gone"))
        with pytest.raises(EngineUnavailableError):
            batch("abc", out, again)
        assert again.calls == ["b", "c"]
        assert part.read_bytes() == kept


def test_what_was_changed_in_the_questions_is_asked_again(tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    ask = Asked(c=EngineUnavailableError("gone"))
    with pytest.raises(EngineUnavailableError):
        batch(["a", "b", "c"], out, ask)
    again = Asked()
    batch(["a", "B", "b"], out, again)
    assert again.calls == ["B", "b"]
    assert [row["answer"] for row in answers(out)] == [f"the answer to {q}" for q in "aBb"]


def test_other_filters_are_other_questions(tmp_path: Path) -> None:
    file, out = tmp_path / "q.csv", tmp_path / "a.jsonl"
    file.write_text("question\na\nb\n")
    for source, calls in (("fleet", ["a", "b"]), ("fleet", ["b"]), ("harbour", ["a", "b"])):
        questions = read_questions(file, "auto", {"source": [source]})
        ask = Asked(b=EngineUnavailableError("gone"))
        with pytest.raises(EngineUnavailableError):
            list(ask_batch(questions, ask, out=out, concurrency=1))
        assert ask.calls == calls


def test_answers_that_are_there_are_not_written_over(tmp_path: Path) -> None:
    out, ask = tmp_path / "a.jsonl", Asked()
    batch(["a"], out, ask)
    with pytest.raises(BatchFileError, match=r"a\.jsonl is there already; name another file"):
        batch(["a"], out, ask)
    assert ask.calls == ["a"]


def test_two_batches_do_not_write_one_file(tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    with (tmp_path / "a.jsonl.part").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(BatchFileError, match="another batch is at work on"):
            batch(["a"], out, Asked())


def test_a_batch_of_each_mode(tmp_path: Path) -> None:
    file = tmp_path / "q.csv"
    file.write_text("question,mode\na,fact\nb,\n")
    modes: list[str] = []

    def ask(row: Row) -> Mapping[str, Any]:
        modes.append(row.mode)
        return record(row)

    list(ask_batch(read_questions(file, "deep"), ask, out=tmp_path / "a.csv", concurrency=1))
    assert modes == ["fact", "deep"]


def test_lines_say_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("rag_assets.batches.asking.time.monotonic", lambda: now)
    lines: list[str] = []
    tell = Lines(lines.append)
    tally = Tally(200, _began=0.0)
    tell(tally)
    for row in listed([f"q{n}" for n in range(200)], "auto").rows:
        now += 1.0
        error = "failed" if row.number == 2 else ""
        tally.add(Outcome(row, None if error else {"abstained": row.number == 1}, error))
        tell(tally)
    assert lines[0] == "0 of 200 questions"
    assert lines[1] == "10 of 200 questions, 1 without an answer, 1 failed, about 3 min left"
    assert lines[-1] == "200 of 200 questions, 1 without an answer, 1 failed"
    assert len(lines) == 21
    assert all(re.match(r"\d+ of 200", line) for line in lines)
