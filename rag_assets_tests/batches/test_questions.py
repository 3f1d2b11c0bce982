"""Files of questions: what is read, and where a wrong one is wrong."""

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rag_assets.batches import questions
from rag_assets.batches.questions import BatchFileError, Row, read_questions
from rag_assets_tests.batches.files import written


def parquet(**columns: Any) -> bytes:  # noqa: ANN401 - Arrow's
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


def openai(custom_id: str, body: object, url: str = "/v1/chat/completions") -> str:
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": url, "body": body})


ASKED = {"model": "rag-fact", "messages": [{"role": "user", "content": "Who?"}]}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("q.csv", "question,mode,id\nWho?,fact,7\nWhen?,,8\n"),
        ("q.csv", "\ufeffid;question;mode\r\n7;Who?;fact\r\n\r\n8;When?;\r\n"),
        ("q.csv", "id\tquestion\tmode\n7\tWho?\tfact\n8\tWhen?\t\n"),
        ("q.jsonl", '{"question": "Who?", "mode": "fact"}\n\n{"question": "When?", "id": 8}'),
        ("q.JSONL", '{"question": "Who?", "mode": "fact"}\r\n{"question": "When?"}\r\n'),
        ("q.parquet", parquet(question=["Who?", "When?"], mode=["fact", None])),
        ("q.parquet", parquet(question=pa.array(["Who?", "When?"]).dictionary_encode(),
                              mode=["fact", None])),
        ("q.jsonl", openai("a", ASKED) + "\n" + openai("b", {**ASKED, "model": "rag-deep",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "When?"}]}]})),
    ],
)  # fmt: skip
def test_each_kind_of_file_is_read(tmp_path: Path, name: str, content: str | bytes) -> None:
    found = read_questions(written(tmp_path / name, content), "deep")
    assert found.rows == [Row(0, "Who?", "fact"), Row(1, "When?", "deep")]


def test_a_question_may_have_commas_quotes_and_lines(tmp_path: Path) -> None:
    found = read_questions(written(tmp_path / "q.csv", 'question\n"Who, ""me"",\r\nor you?"\n'))
    assert found.rows[0].question == 'Who, "me",\r\nor you?'


def test_values_of_json_keep_their_types_and_others_are_json(tmp_path: Path) -> None:
    lines = [
        {"question": "a", "n": 1, "of": 1, "more": {"x": [1]}, "big": 2**70, "none": None},
        {"question": "b", "n": 2.5, "of": "one", "more": None, "big": 1},
    ]
    text = "\n".join(map(json.dumps, lines))
    found = read_questions(written(tmp_path / "q.jsonl", text))
    assert found.columns.to_pydict() == {
        "question": ["a", "b"],
        "n": [1.0, 2.5],
        "of": ["1", '"one"'],
        "more": ['{"x": [1]}', None],
        "big": [str(2**70), "1"],
        "none": [None, None],
    }
    assert found.objects == lines


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("q.txt", "Who?", "q.txt: expected a name that ends with .csv, .jsonl or .parquet"),
        ("q.csv", "", "q.csv: it has no questions"),
        ("q.csv", "question\n", "q.csv: it has no questions"),
        ("q.csv", "a,b\n1,2\n",
         "q.csv, line 1: expected a column 'question'; its columns: a, b"),
        ("q.csv", "question,a,a\n1,2,3\n", "line 1: expected columns with different names; twice"),
        ("q.csv", "question,id\nWho?,1\nWho, me?,2\n",
         "line 3: expected 2 columns as in the first line, got 3; a text with"),
        ("q.csv", 'question\n"Who?\nWhen?\n', "line 3: it is no CSV: unexpected end of data"),
        ("q.csv", "question\nWho?\nCaf\u00e9?\n".encode("latin-1"),
         "line 3: expected UTF-8, got the byte 0xe9; save the file as UTF-8"),
        ("q.csv", "question\nWho?\n".encode("utf-16"), "line 1: expected UTF-8, got the byte 0xff"),
        ("q.jsonl", '{"question": "Who?"}\n{"question": \n',
         "q.jsonl, line 2: expected a JSON object: Expecting value"),
        ("q.jsonl", "[1]", "line 1: expected a JSON object, got list"),
        ("q.jsonl", "[" * 100_000, "line 1: expected a JSON object: "),
        ("q.jsonl", '{"question": "a", "n": NaN}', "line 1: expected a JSON object: NaN is no"),
        ("q.jsonl", '{"query": "Who?"}',
         "line 1: expected 'question' to be text; its fields: query"),
        ("q.jsonl", '{"question": 5}', "line 1: expected 'question' to be text"),
        ("q.jsonl", openai("a", ASKED, "/v1/embeddings"),
         "line 1: expected the url /v1/chat/completions, got '/v1/embeddings'"),
        ("q.jsonl", openai("a", {"model": "rag-auto"}), "line 1: body"),
        ("q.jsonl", openai("a", {**ASKED, "model": "gpt"}), "line 1: body: there is no model"),
        ("q.jsonl", openai("a", 5), "line 1: body: "),
        ("q.parquet", b"PAR1 or not", "q.parquet: it is no Parquet: "),
        ("q.parquet", parquet(a=["Who?"]), "expected a column 'question'; its columns: a"),
        ("q.parquet", parquet(question=[5]), "expected the column 'question' to be text, got int"),
        ("q.parquet", parquet(question=pa.array([], pa.string())), "it has no questions"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(
    tmp_path: Path, name: str, content: str | bytes, sentence: str
) -> None:
    with pytest.raises(BatchFileError) as refused:
        read_questions(written(tmp_path / name, content))
    assert sentence in str(refused.value)
    assert refused.value.exit_code == 2


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(BatchFileError, match=r"absent\.csv: it cannot be read: No such file"):
        read_questions(tmp_path / "absent.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(BatchFileError, match="expected a file"):
        read_questions(tmp_path / "folder.csv")


@pytest.mark.parametrize("name", ["q.csv", "q.jsonl", "q.parquet"])
def test_huge_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    asked = ["Who?"] * 50
    content = {
        "q.csv": "\n".join(["question", *asked]).encode(),
        "q.jsonl": b'{"question": "Who?"}\n' * 50,
        "q.parquet": parquet(question=asked),
    }[name]
    path = written(tmp_path / name, content)
    assert len(read_questions(path).rows) == 50
    monkeypatch.setattr(questions, "MAX_QUESTIONS", 49)
    with pytest.raises(BatchFileError, match="at most 49"):
        read_questions(path)
    monkeypatch.setattr(questions, "MAX_BYTES", len(content) - 1)
    with pytest.raises(BatchFileError, match=f"at most {len(content) - 1:,} are read: cut it up"):
        read_questions(path)


def test_a_parquet_file_that_unpacks_to_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = parquet(question=["Who?"], blob=pa.array(["a" * 100_000]))
    assert len(content) < 50_000
    monkeypatch.setattr(questions, "MAX_BYTES", 50_000)
    with pytest.raises(BatchFileError, match="it unpacks to"):
        read_questions(written(tmp_path / "q.parquet", content))
