"""OpenAI's batches: their lines in, the lines of their output out, which their SDK reads."""

import json
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from rag_assets.answers.answerer import Answerer
from rag_assets.batches.answers import ANSWERS, write_answers
from rag_assets.batches.outcomes import Outcome
from rag_assets.batches.questions import Row, read_questions
from rag_assets.lake.store import LakeStore
from rag_assets_tests.answers.fakes import ScriptedChat, WordEmbedder, copies
from rag_assets_tests.answers.world import FERRIES, reader_of
from rag_assets_tests.batches.files import record, written


def asked(custom_id: str, question: str) -> str:
    body = {"model": "rag-fact", "messages": [{"role": "user", "content": question}]}
    line = {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(line) + "\n"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def outcomes(tmp_path: Path) -> Any:  # noqa: ANN401 - a function of rows
    """Answers of the product with scripted models; what asks for a failure fails."""
    reader = reader_of(LakeStore(str(tmp_path / "lake")), FERRIES, WordEmbedder())
    chat = ScriptedChat("slm", copies)
    answerer = Answerer(reader, chat, ScriptedChat("llm", copies), WordEmbedder())

    def outcome(row: Row) -> Outcome | None:
        if row.question == "left out":
            return None
        if row.question == "fail":
            return Outcome(row, None, "the question is empty")
        return Outcome(row, answerer.answer(row.question, mode=row.mode).to_record())

    return outcome


def test_the_output_is_what_the_sdk_reads(tmp_path: Path, outcomes: Any) -> None:  # noqa: ANN401
    questions = ["When was MV Tern built?", "fail", "Who sank the submarine Zigzag?", "left out"]
    text = "".join(asked(f"c{n}", question) for n, question in enumerate(questions))
    write_answers(
        read_questions(written(tmp_path / "q.jsonl", text)), outcomes, tmp_path / "a.jsonl"
    )
    told, failed, none, left_out = lines(tmp_path / "a.jsonl")
    every = (told, failed, none, left_out)
    assert [one["custom_id"] for one in every] == ["c0", "c1", "c2", "c3"]
    assert {frozenset(one) for one in every} == {
        frozenset({"id", "custom_id", "response", "error"})
    }
    assert len({one["id"] for one in every}) == 4
    assert failed["response"] is None
    assert failed["error"] == {"code": "question_failed", "message": "the question is empty"}
    assert left_out["error"]["code"] == "question_not_asked"
    for one in (told, none):
        assert one["error"] is None
        assert one["response"]["status_code"] == 200
        body = ChatCompletion.model_validate(one["response"]["body"], strict=True)
        assert body.id == one["response"]["request_id"]
        assert body.model == "rag-fact"
        assert body.choices[0].finish_reason == "stop"
        assert body.usage is not None
        assert body.usage.total_tokens == body.usage.prompt_tokens + body.usage.completion_tokens
        assert one["response"]["body"]["rag"]["abstained"] == (one is none)
    body = ChatCompletion.model_validate(told["response"]["body"])
    message = body.choices[0].message
    assert message.content is not None
    assert "2003" in message.content
    assert message.annotations is not None
    cited = message.annotations[0].url_citation
    assert message.content[cited.start_index : cited.end_index] == "[1]"
    assert cited.url == "fleet:tern.html"


def test_other_files_keep_their_columns(tmp_path: Path) -> None:
    def outcome(row: Row) -> Outcome:
        return Outcome(row, record(row))

    of_openai = read_questions(written(tmp_path / "q.jsonl", asked("c", "When?")))
    write_answers(of_openai, outcome, tmp_path / "a.csv")
    header = (tmp_path / "a.csv").read_text().splitlines()[0]
    assert header.split(",") == ["custom_id", "method", "url", "body", *ANSWERS.names]

    named_so = "question,custom_id,method,url,body\nWhen?,c,POST,/x,y\n"
    write_answers(
        read_questions(written(tmp_path / "q.csv", named_so)), outcome, tmp_path / "b.jsonl"
    )
    (line,) = lines(tmp_path / "b.jsonl")
    assert (line["custom_id"], line["answer"]) == ("c", "the answer to When?")
