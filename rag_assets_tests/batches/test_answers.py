"""Files of answers: every column of the questions is there, in order, beside the answers."""

import csv
import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag_assets.batches import answers
from rag_assets.batches.answers import ANSWERS, check_out, write_answers
from rag_assets.batches.outcomes import Outcome
from rag_assets.batches.questions import BatchFileError, Row, listed, read_questions
from rag_assets_tests.batches.files import record, written


def outcome(row: Row) -> Outcome:
    """The odd ones fail."""
    if row.number % 2:
        return Outcome(row, None, f"{row.question} cannot be answered")
    return Outcome(row, record(row))


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of any file, each cell as the file has it."""
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()  # type: ignore[no-any-return]
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


KINDS = [".csv", ".jsonl", ".parquet"]
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
cells = st.none() | st.booleans() | st.integers() | texts | st.lists(st.integers(), max_size=2)
objects = st.fixed_dictionaries({"question": texts}, optional={"x": cells, "y": texts})


@pytest.fixture(autouse=True)
def _in_small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "AT_ONCE", 2)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(objects, min_size=1, max_size=5))
def test_what_was_asked_comes_back_in_order(tmp_path: Path, given: list[dict[str, Any]]) -> None:
    asked = tmp_path / "q.jsonl"
    asked.write_text("".join(json.dumps(one) + "\n" for one in given))
    found = read_questions(asked)
    for kind in KINDS:
        out = tmp_path / f"a{kind}"
        write_answers(found, outcome, out)
        made = rows_of(out)
        assert [row["question"] for row in made] == [one["question"] for one in given]
        if kind == ".jsonl":
            own = [{k: v for k, v in row.items() if k not in ANSWERS.names} for row in made]
            assert own == given
        again = out.with_name(f"again{kind}")
        write_answers(_without_answers(read_questions(out)), outcome, again)
        assert [row["question"] for row in rows_of(again)] == [one["question"] for one in given]


def _without_answers(questions: Any) -> Any:  # noqa: ANN401 - Questions
    kept = [{k: v for k, v in one.items() if k not in ANSWERS.names} for one in questions.objects]
    return replace(questions, columns=questions.columns.drop(ANSWERS.names), objects=kept)


@pytest.mark.parametrize("kind", KINDS)
def test_answers_and_errors_stand_in_their_rows(tmp_path: Path, kind: str) -> None:
    out = tmp_path / f"a{kind}"
    write_answers(listed(["a", "b", "c"], "auto"), outcome, out)
    first, second, third = rows_of(out)
    assert [row["question"] for row in (first, second, third)] == ["a", "b", "c"]
    assert [row["answer"] or "" for row in (first, second)] == ["the answer to a", ""]
    assert (second["error"], first["error"] or "") == ("b cannot be answered", "")
    uris = first["citations"] if kind != ".csv" else json.loads(first["citations"])
    assert uris == ["docs:a.md", "docs:b.md"]
    whole = first["record"] if kind == ".jsonl" else json.loads(first["record"])
    assert whole["answer_id"] == "answer_0"
    assert float(third["seconds"]) == pytest.approx(1.234, abs=0.001)


def test_a_cell_is_no_formula(tmp_path: Path) -> None:
    said = ["=1+1", "+x", "-2+3|cmd", "@SUM(1)", "\t=1", "-5", "+4.5", "-3 %", "plain"]
    questions = listed(said, "auto")

    def told(row: Row) -> Outcome:
        if row.question.startswith("@"):
            return Outcome(row, None, row.question)
        return Outcome(row, {**record(row), "answer": row.question})

    write_answers(questions, told, tmp_path / "answers.csv")
    rows = rows_of(tmp_path / "answers.csv")
    cells = [row["answer"] or row["error"] for row in rows]
    assert cells == [
        "'=1+1", "'+x", "'-2+3|cmd", "'@SUM(1)", "'\t=1", "-5", "+4.5", "'-3 %", "plain"
    ]  # fmt: skip
    assert [row["question"] for row in rows] == said  # what was given stays


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    table = pa.table({
        "question": ["a", "b"],
        "at": pa.array([1, None], pa.timestamp("ns")),
        "price": pa.array([Decimal("1.50"), None]),
        "blob": pa.array([b"\xff", None]),
        "parts": pa.array([[{"n": 1}], []]),
        "day": pa.array([datetime(2026, 11, 30, tzinfo=UTC).date(), None]),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "q.parquet")
    questions = read_questions(tmp_path / "q.parquet")
    for kind in KINDS:
        write_answers(questions, outcome, tmp_path / f"a{kind}")
    made = pq.read_table(tmp_path / "a.parquet")
    assert made.select(table.column_names).equals(table)
    assert made.schema.names == [*table.column_names, *ANSWERS.names]
    of_json, of_csv = rows_of(tmp_path / "a.jsonl")[0], rows_of(tmp_path / "a.csv")[0]
    plain = {
        "at": "1970-01-01 00:00:00.000000001", "price": "1.50", "blob": "/w==",
        "day": "2026-11-30",
    }  # fmt: skip
    for name, value in plain.items():
        assert of_json[name] == of_csv[name] == value
    assert of_json["parts"] == json.loads(of_csv["parts"]) == [{"n": 1}]


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fails(row: Row) -> Outcome:
        raise OSError(28, "No space left on device")

    with pytest.raises(BatchFileError, match=r"a\.csv cannot be written: No space left"):
        write_answers(listed(["a"], "auto"), fails, tmp_path / "a.csv")
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_refused_before(tmp_path: Path) -> None:
    asked = listed(["a"], "auto")
    check_out(asked, tmp_path / "a.csv")
    with pytest.raises(BatchFileError, match="its folder is not there"):
        check_out(asked, tmp_path / "absent" / "a.csv")
    with pytest.raises(BatchFileError, match="expected a name that ends with"):
        check_out(asked, tmp_path / "a.xlsx")
    golden = read_questions(written(tmp_path / "q.csv", "question,answer\nWho?,me\n"))
    with pytest.raises(BatchFileError, match="have a column 'answer', as the answers have"):
        check_out(golden, tmp_path / "a.csv")
