"""The token budget: never an overflow, best evidence first."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.answers.budget import BudgetError, Packed, pack, text_counter
from rag_assets.answers.policy import Budget
from rag_assets.answers.prompts import answer_messages
from rag_assets.retrieval.passages import Passage, pieces_of
from rag_assets_tests.answers.fakes import ScriptedChat, always, n_words
from rag_assets_tests.answers.world import Doc, chunks_of

QUESTION = "How fast is MV Tern?"


def passages(*texts: str, max_words: int = 20) -> list[Passage]:
    found = []
    for n, text in enumerate(texts):
        chunks = chunks_of(Doc(f"s:{n}", f"T{n}", (("H", text),)), max_words)
        core = frozenset({chunks[len(chunks) // 2].chunk_id})
        found.append(Passage(pieces_of(chunks), core, 1.0 - n / 100, 0.5, whole=True))
    return found


def packed(
    evidence: list[Passage], *, window: int = 4096, evidence_tokens: int = 900, answer: int = 96,
    reserve: int = 0, question: str = QUESTION,
) -> Packed:  # fmt: skip
    return pack(
        ScriptedChat("slm", always(""), max_model_len=window),
        partial(answer_messages, "slm", question),
        evidence,
        Budget(evidence_tokens, answer, reserve, sections=99),
    )


BARE = packed([]).prompt_tokens
texts = st.lists(
    st.lists(
        st.sampled_from(["word", "Stop.", "12.5", "\n", "na\u00efve?", "a|b"]), min_size=1
    ).map(lambda parts: "x " + " ".join(parts) + " z"),
    max_size=8,
)


@given(
    texts, st.integers(0, 400), st.integers(0, 120), st.integers(1, 60), st.integers(0, 60),
    st.integers(3, 25),
)  # fmt: skip
def test_never_overflows(
    parts: list[str], spare: int, evidence_tokens: int, answer: int, reserve: int, max_words: int
) -> None:
    window = BARE + answer + reserve + spare
    got = packed(
        passages(*parts, max_words=max_words), window=window, evidence_tokens=evidence_tokens,
        answer=answer, reserve=reserve,
    )  # fmt: skip
    model = ScriptedChat("slm", always(""), max_model_len=window)
    assert got.prompt_tokens == model.count_chat(got.messages)
    assert got.prompt_tokens + answer + reserve <= window
    assert got.prompt_tokens - BARE <= evidence_tokens
    for before, after in zip(passages(*parts, max_words=max_words), got.passages, strict=False):
        assert after.head.document_id == before.head.document_id  # by rank, none skipped
        for piece in after.pieces:
            assert piece.text == piece.chunk.text[piece.start : piece.end]


def test_everything_is_kept_where_there_is_room() -> None:
    evidence = passages("One. Two.", "Three.")
    got = packed(evidence)
    assert list(got.passages) == evidence


def test_no_more_sections_than_the_budget_says() -> None:
    evidence = passages("One.", "Two.", "Three.")
    model = ScriptedChat("slm", always(""))
    got = pack(model, partial(answer_messages, "slm", QUESTION), evidence, Budget(900, 96, 0, 2))
    assert list(got.passages) == evidence[:2]


def test_the_last_passage_is_cut_at_a_sentence() -> None:
    sentences = " ".join(f"Sentence number {n} is here." for n in range(40))
    got = packed(passages("First passage.", sentences, max_words=400), evidence_tokens=120)
    assert len(got.passages) == 2
    assert got.passages[1].text.endswith("is here.")
    assert not got.passages[1].whole
    assert got.prompt_tokens - BARE > 100


def test_cutting_keeps_the_chunk_that_was_found() -> None:
    (passage,) = passages(" ".join(f"Sentence number {n} is here." for n in range(40)))
    got = packed([passage], evidence_tokens=50)
    assert {piece.chunk.chunk_id for piece in got.passages[0].pieces} == passage.core


def test_no_room_for_a_line_leaves_the_passage_out() -> None:
    got = packed(passages("First passage.", "word " * 300), evidence_tokens=30)
    assert len(got.passages) == 1


def test_question_that_leaves_no_room_is_refused() -> None:
    with pytest.raises(BudgetError, match="fake/chat holds 300; shorten the question"):
        packed([], window=300, question="word " * 300)


def test_text_counter_counts_the_text_alone() -> None:
    count = text_counter(ScriptedChat("slm", always("")))
    assert count("") == 0
    assert count("one two three") == n_words("one two three")
