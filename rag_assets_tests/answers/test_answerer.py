"""The whole pipeline on a real index with scripted models."""

import json
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rag_assets.answers.answer import ABSTENTION, NO_GENERATION
from rag_assets.answers.answerer import Answerer
from rag_assets.answers.policy import AnswerPolicy, Budget
from rag_assets.answers.questions import QuestionError, QuestionTooLongError
from rag_assets.index.search import IndexReader
from rag_assets.lake.store import LakeStore
from rag_assets.models.errors import EngineUnavailableError, ModelRequestError
from rag_assets.models.protocols import Completion
from rag_assets_tests.answers.fakes import (
    Call,
    Reply,
    ScriptedChat,
    WordEmbedder,
    always,
    copies,
    said,
)
from rag_assets_tests.answers.world import FERRIES, chunks_of, reader_of

BUILT = "When was MV Tern built?"
HOW = "How was MV Tern built?"  # is written, not read


def answerer(
    reader: IndexReader,
    slm: Reply = copies,
    llm: Reply = copies,
    policy: AnswerPolicy | None = None,
) -> Answerer:
    return Answerer(
        reader, ScriptedChat("slm", slm), ScriptedChat("llm", llm), WordEmbedder(),
        policy or AnswerPolicy(),
    )  # fmt: skip


def calls(asked: Answerer) -> tuple[int, int]:
    assert isinstance(asked.slm, ScriptedChat)
    assert isinstance(asked.llm, ScriptedChat)
    return len(asked.slm.calls), len(asked.llm.calls)


def test_a_fact_is_copied_out_of_its_passage(ferries: IndexReader) -> None:
    asked = answerer(ferries)
    got = asked.answer(BUILT)
    assert got.answer == "MV Tern was built in 2003 by Solvik Marine [1]."
    assert not got.abstained
    assert (got.route.model, got.route.way, got.route.escalated) == ("llm", "read", False)
    assert got.citations[0].uri == "fleet:tern.html"
    assert got.generation_id == ferries.generation.id
    assert got.finish_reason == "stop"


def test_record_is_the_contract(ferries: IndexReader) -> None:
    record = answerer(ferries).answer(BUILT).to_record()
    assert json.loads(json.dumps(record)) == record
    assert {
        "answer_id", "question", "answer", "abstained", "mode", "route", "citations", "usage",
        "finish_reason", "repairs", "generation", "timings_ms",
    } <= set(record)  # fmt: skip
    assert {"model", "way", "reason", "escalated"} <= set(record["route"])
    assert record["steps"] == []
    assert set(record["usage"]) == {"llm"}
    assert set(record["usage"]["llm"]) == {
        "prompt_tokens", "cached_prompt_tokens", "completion_tokens",
    }  # fmt: skip
    assert set(record["generation"]) == {"id", "created_at"}
    assert list(record["timings_ms"]) == ["embed", "retrieve", "route", "generate", "total"]
    assert record["timings_ms"]["total"] >= record["timings_ms"]["retrieve"]
    assert record["evidence"][0]["chunk_ids"]


def test_confidence_of_what_was_written_is_the_geometric_mean_of_the_probabilities(
    ferries: IndexReader,
) -> None:
    sure = answerer(ferries, llm=lambda call: replace(GOOD, mean_logprob=-0.25))
    got = sure.answer(HOW)
    assert got.confidence == pytest.approx(0.7788, abs=1e-4)
    assert got.to_record()["confidence"] == 0.7788
    unknown = answerer(ferries, llm=lambda call: replace(GOOD, mean_logprob=None))
    assert unknown.answer(HOW).confidence is None


def test_no_model_no_confidence(ferries: IndexReader) -> None:
    got = answerer(ferries).answer("Zebra quantum xylophone?")
    assert (got.finish_reason, got.confidence) == (NO_GENERATION, None)
    assert got.to_record()["confidence"] is None


def test_collaborators_are_asked_wherever_is_searched(ferries: IndexReader) -> None:
    used: list[str] = []

    def spy(name: str, of: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: object, **more: object) -> object:
            used.append(name)
            return of(*args, **more)

        return called

    asked = answerer(ferries)
    names = ("search", "select", "route", "check")
    asked = replace(asked, **{name: spy(name, getattr(asked, name)) for name in names})
    got = asked.answer(HOW)
    assert used == [*names]
    passages = asked.evidence(BUILT)
    assert used[4:] == ["search", "select"]
    assert "2003" in got.answer
    assert any("2003" in passage.text for passage in passages)


def test_mode_deep_maps_and_reduces(ferries: IndexReader) -> None:
    asked = answerer(ferries, llm=always("MV Alder was built in 1994 and MV Tern in 2003 [1][2]."))
    got = asked.answer("When were MV Alder and MV Tern built?", mode="deep")
    assert got.route.way == "deep"
    assert calls(asked)[0] >= 2
    assert set(got.usage) == {"slm", "llm"}
    assert len(got.citations) == 2


def test_a_model_that_finds_nothing_is_an_abstention(ferries: IndexReader) -> None:
    got = answerer(ferries, slm=always("NOT FOUND"), llm=always("NOT FOUND")).answer(BUILT)
    assert got.abstained
    assert got.answer.startswith(ABSTENTION)
    assert "MV Tern > " in got.answer
    assert got.citations == ()
    assert got.finish_reason == "stop"


def test_nothing_near_the_question_asks_no_model(ferries: IndexReader) -> None:
    asked = answerer(ferries)
    got = asked.answer("Quantum chromodynamics lattice gauge?")
    assert calls(asked) == (0, 0)
    assert got.abstained
    assert got.finish_reason == NO_GENERATION
    assert got.usage == {}
    assert got.answer == f"{ABSTENTION} Nothing in them is close to it."


def test_an_empty_index_abstains(store: LakeStore, embedder: WordEmbedder) -> None:
    got = answerer(reader_of(store, [], embedder)).answer(BUILT)
    assert got.abstained
    assert got.finish_reason == NO_GENERATION


def test_a_filter_hides_what_it_excludes(ferries: IndexReader) -> None:
    got = answerer(ferries).answer(BUILT, where="uri != 'fleet:tern.html'")
    assert all(c.uri != "fleet:tern.html" for c in got.citations)
    assert "2003" not in got.answer


def test_a_cut_answer_is_repaired_and_says_so(ferries: IndexReader) -> None:
    def cut(call: Call) -> Completion:
        if call.prefix:
            return said(" 2003 [1].")
        return said("MV Tern was built in", finish_reason="length")

    got = answerer(ferries, llm=cut).answer(HOW)
    assert got.answer == "MV Tern was built in 2003 [1]."
    assert got.finish_reason == "stop"
    assert "continued with" in got.repairs[0]
    assert got.usage["llm"].prompt_tokens == 200  # both calls count


def test_still_cut_is_not_hidden(ferries: IndexReader) -> None:
    def cut(_: Call) -> Completion:
        return said("MV Tern was built in 2003 [1]. And", finish_reason="length")

    got = answerer(ferries, llm=cut).answer(HOW)
    assert got.finish_reason == "length"
    assert len(got.repairs) >= 2


@pytest.mark.parametrize("question", ["", "  ", "?"])
def test_empty_questions_are_refused(ferries: IndexReader, question: str) -> None:
    with pytest.raises(QuestionError, match="empty"):
        answerer(ferries).answer(question)


def test_a_question_of_twenty_thousand_words_is_refused(ferries: IndexReader) -> None:
    with pytest.raises(QuestionTooLongError, match="at most 1,000 tokens"):
        answerer(ferries).answer("word " * 20_000)


def test_a_question_longer_than_the_embedders_window_is_answered(ferries: IndexReader) -> None:
    asked = Answerer(
        ferries, ScriptedChat("slm", copies), ScriptedChat("llm", copies),
        WordEmbedder(max_tokens=30),
    )  # fmt: skip
    got = asked.answer("I travel a lot with my family. " * 20 + BUILT)
    assert "2003" in got.answer


def test_a_question_that_fills_a_small_window_is_refused(ferries: IndexReader) -> None:
    small = ScriptedChat("slm", copies, max_model_len=420)
    asked = Answerer(ferries, small, small, WordEmbedder())
    with pytest.raises(QuestionTooLongError):
        asked.answer(f"How was {'MV Tern ' * 55}built?")


def test_dead_engines_are_an_error_not_an_abstention(ferries: IndexReader) -> None:
    def dead(call: Call) -> str:
        raise EngineUnavailableError("nobody answers for the llm; start it with `rag up`")

    with pytest.raises(EngineUnavailableError, match="rag up"):
        answerer(ferries, llm=dead).answer(BUILT)


def test_evidence_stays_within_its_budget(store: LakeStore, embedder: WordEmbedder) -> None:
    reader = reader_of(store, FERRIES, embedder, max_words=6)
    policy = AnswerPolicy(llm=Budget(40, 20, 0, 5))
    asked = answerer(reader, llm=always(GOOD.text), policy=policy)
    got = asked.answer(HOW)
    assert len(got.evidence) <= 2


def test_threads_share_an_answerer(ferries: IndexReader) -> None:
    asked = answerer(ferries)
    barrier = threading.Barrier(8)

    def ask(_: int) -> str:
        barrier.wait()
        return asked.answer(BUILT).answer_id

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(ask, range(8)))
    assert len(set(ids)) == 8


def test_citations_quote_the_documents(ferries: IndexReader) -> None:
    texts = {chunk.document_id: doc.text for doc in FERRIES for chunk in chunks_of(doc)}
    for question in (BUILT, "What does a bicycle cost?", "How many passengers does MV Alder take?"):
        got = answerer(ferries).answer(question)
        assert got.citations
        for citation in got.citations:
            span = texts[citation.document_id][citation.char_start : citation.char_end]
            assert span == citation.quote


@pytest.mark.parametrize(
    "where",
    [
        "nonsense ==", "nope = 3", "uri", "uri = 3", "", "title = '\ud800'",
        "cast(uri as int) = 3", 5, b"uri = 'a'", ["uri"],
    ],
    ids=ascii,
)  # fmt: skip
def test_a_filter_that_is_none_is_refused_with_what_was_expected(
    ferries: IndexReader, where: object
) -> None:
    with pytest.raises(QuestionError, match="where must be an SQL condition") as refused:
        answerer(ferries).answer(BUILT, where=where)  # type: ignore[arg-type]
    assert repr(where) in str(refused.value)
    assert ".rs" not in str(refused.value)


def test_what_else_fails_in_a_filtered_search_is_not_put_down_to_the_filter(
    ferries: IndexReader,
) -> None:
    class Broken(WordEmbedder):
        def embed(self, texts: object) -> np.ndarray:
            raise ValueError("the embedder is broken")

    asked = replace(answerer(ferries), embedder=Broken())
    with pytest.raises(ValueError, match="the embedder is broken"):
        asked.answer(BUILT, where="uri = 'fleet:tern.html'")


@pytest.mark.parametrize("question", [None, 5, b"When?"])
def test_a_question_is_text(ferries: IndexReader, question: object) -> None:
    with pytest.raises(QuestionError, match="must be text"):
        answerer(ferries).answer(question)  # type: ignore[arg-type]


# Models that return junk


class Junk(ScriptedChat):
    """A client that returns whatever a test wants, Completion or not."""

    def complete(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - junk is anything
        self.calls.append(Call(args[0], options["max_tokens"], options.get("prefix", "")))
        reply: Any = self.reply(self.calls[-1])
        return reply


GOOD = said("MV Tern was built in 2003 [1].")
JUNK: dict[str, object] = {
    "nothing": None,
    "text alone": "in 2003",
    "the engine's own answer": {"choices": []},
    "no text": replace(GOOD, text=None),  # type: ignore[arg-type]
    "parts instead of text": replace(GOOD, text=[{"type": "text", "text": "2003"}]),  # type: ignore[arg-type]
    "no finish reason": replace(GOOD, finish_reason=None),  # type: ignore[arg-type]
    "no token counts": replace(GOOD, completion_tokens=None),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("mode", ["auto", "fact", "deep"])
@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
def test_what_is_no_completion_is_an_error_that_names_the_model(
    ferries: IndexReader, junk: object, mode: str
) -> None:
    models = [Junk(name, lambda _: junk) for name in ("slm", "llm")]  # type: ignore[arg-type,return-value]
    asked = replace(answerer(ferries), slm=models[0], llm=models[1])
    with pytest.raises(ModelRequestError, match=r"the model fake/chat \(role (slm|llm)\) must "):
        asked.answer(f"{BUILT} And MV Alder?", mode=mode)


@pytest.mark.parametrize(
    "error", [IndexError("no choices"), KeyError("choices"), TypeError("x"), AttributeError("get")]
)
def test_a_client_that_stumbles_over_an_answer_is_an_error_too(
    ferries: IndexReader, error: Exception
) -> None:
    def stumble(_: Call) -> str:
        raise error

    with pytest.raises(ModelRequestError, match=r"fake/chat .* failed to answer") as failed:
        answerer(ferries, stumble, stumble).answer(BUILT)
    assert failed.value.__cause__ is error


@pytest.mark.parametrize("finish_reason", ["stop", "length", ""])
@pytest.mark.parametrize("text", ["", "  \n", "[1]", "\x00", "...", "\ufeff"], ids=ascii)
@pytest.mark.parametrize("mode", ["auto", "deep"])
def test_an_empty_reply_is_an_abstention(
    ferries: IndexReader, text: str, finish_reason: str, mode: str
) -> None:
    def empty(_: Call) -> Completion:
        return said(text, finish_reason=finish_reason, mean_logprob=None)

    got = answerer(ferries, empty, empty).answer(BUILT, mode=mode)
    assert got.abstained
    assert got.answer.startswith(ABSTENTION)
    json.dumps(got.to_record(), allow_nan=False)


@pytest.mark.parametrize(
    ("mean", "confidence"),
    [
        (None, None), (math.nan, None), (math.inf, None), (-math.inf, None), (3.0, None),
        ([-0.1, -0.2], None), ("-0.1", None), (1e-6, 1.0), (0, 1.0), (-1000.0, 0.0),
    ],
)  # fmt: skip
def test_a_log_probability_that_cannot_be_one_is_unknown(
    ferries: IndexReader,
    mean: object,
    confidence: float | None,
) -> None:
    def sure(_: Call) -> Completion:
        return replace(GOOD, mean_logprob=mean)  # type: ignore[arg-type]

    got = answerer(ferries, sure, sure).answer(HOW)
    assert not got.abstained
    assert got.confidence == confidence
    json.dumps(got.to_record(), allow_nan=False)


def test_half_a_character_of_a_model_is_written_as_a_question_mark(ferries: IndexReader) -> None:
    broken = always("MV Tern was b\ud83duilt in 2003 [1].")
    got = answerer(ferries, llm=broken).answer(HOW)
    assert got.answer == "MV Tern was b?uilt in 2003 [1]."
    json.dumps(got.to_record(), ensure_ascii=False).encode()
