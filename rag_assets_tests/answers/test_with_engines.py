"""The pipeline on the real engines: figures are tuned elsewhere, here it must hold together."""

from typing import Any

import pytest

from rag_assets.answers.answerer import Answerer
from rag_assets.answers.budget import pack
from rag_assets.answers.policy import AnswerPolicy, Budget
from rag_assets.answers.prompts import SCAFFOLDS, answer_messages
from rag_assets.lake.store import LakeStore
from rag_assets_tests.answers.world import FERRIES, chunks_of, reader_of

pytestmark = pytest.mark.engines


@pytest.fixture
def asked(engines: Any, store: LakeStore) -> Answerer:  # noqa: ANN401 - the suite's fixture
    embedder = engines.embedder()
    reader = reader_of(store, FERRIES, embedder)
    return Answerer(reader, engines.chat("slm"), engines.chat("llm"), embedder)


def test_a_fact_is_found_and_quoted(asked: Answerer) -> None:
    got = asked.answer("When was MV Tern built?")
    assert "2003" in got.answer
    assert got.citations[0].uri == "fleet:tern.html"
    texts = {chunk.document_id: doc.text for doc in FERRIES for chunk in chunks_of(doc)}
    for citation in got.citations:
        span = texts[citation.document_id][citation.char_start : citation.char_end]
        assert span == citation.quote


def test_what_no_document_says_is_an_abstention(asked: Answerer) -> None:
    assert asked.answer("Who is the prime minister of Japan?").abstained


def test_the_budget_counts_what_the_engine_counts(asked: Answerer) -> None:
    for model in (asked.slm, asked.llm):
        packed = pack(
            model, lambda chosen: answer_messages("slm", "Why?", chosen), [],
            Budget(100, 4, 0, 3),
        )  # fmt: skip
        done = model.complete(packed.messages, max_tokens=4)
        assert done.prompt_tokens == packed.prompt_tokens


def test_scaffolds_fill_a_kv_block_and_are_found_again(asked: Answerer) -> None:
    for role, model in (("slm", asked.slm), ("llm", asked.llm)):
        assert model.count_chat([{"role": "system", "content": SCAFFOLDS[role]}]) > 128
        for question in ("When was MV Alder built?", "What does a tandem cost?"):
            done = model.complete(answer_messages(role, question, []), max_tokens=1)
        assert done.cached_prompt_tokens >= 128


def test_a_cut_answer_is_continued(asked: Answerer) -> None:
    policy = AnswerPolicy(llm=Budget(900, 3, 60, 5))
    short = Answerer(asked.reader, asked.slm, asked.llm, asked.embedder, policy)
    got = short.answer("Describe MV Tern.")
    assert any("continued with" in note for note in got.repairs)


def test_deep_mode(asked: Answerer) -> None:
    got = asked.answer("When were MV Alder and MV Tern built?", mode="deep")
    assert set(got.usage) == {"slm", "llm"}
