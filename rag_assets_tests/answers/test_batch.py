"""Batches: one bad question costs only itself."""

import pytest

from rag_assets.answers.answer import Answer
from rag_assets.answers.answerer import Answerer
from rag_assets.answers.batch import ask_all
from rag_assets.index.search import IndexReader
from rag_assets.models.errors import EngineUnavailableError, ModelRequestError
from rag_assets_tests.answers.fakes import Call, Reply, ScriptedChat, WordEmbedder, copies


def answerer(reader: IndexReader, reply: Reply = copies) -> Answerer:
    return Answerer(reader, ScriptedChat("slm", reply), ScriptedChat("llm", reply), WordEmbedder())


def test_bad_questions_fail_alone(ferries: IndexReader) -> None:
    kept: list[Answer] = []
    told: list[str] = []
    outcomes = ask_all(
        answerer(ferries),
        ["When was MV Tern built?", "", "What does a bicycle cost?"],
        keep=kept.append,
        report=told.append,
    )
    assert [outcome.answer is None for outcome in outcomes] == [False, True, False]
    assert "empty" in outcomes[1].error
    assert [answer.question for answer in kept] == [outcomes[0].question, outcomes[2].question]
    assert told[1].startswith("2/3 failed: the question is empty")
    assert told[0].startswith("1/3 1 citations by the llm")


def test_a_refused_request_fails_alone(ferries: IndexReader) -> None:
    def refuses(call: Call) -> str:
        raise ModelRequestError("the slm refused the request")

    outcomes = ask_all(
        answerer(ferries, refuses), ["When was MV Tern built?"], keep=print, report=print
    )
    assert outcomes[0].error == "the slm refused the request"


def test_dead_engines_end_the_batch(ferries: IndexReader) -> None:
    def dead(call: Call) -> str:
        raise EngineUnavailableError("nobody answers")

    with pytest.raises(EngineUnavailableError):
        ask_all(answerer(ferries, dead), ["When was MV Tern built?"], keep=print, report=print)
