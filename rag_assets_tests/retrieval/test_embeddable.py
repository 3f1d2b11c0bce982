"""What of a long question is embedded."""

from hypothesis import given
from hypothesis import strategies as st

from rag_assets.retrieval.embeddable import embeddable
from rag_assets_tests.answers.fakes import WordEmbedder


def test_short_question_is_embedded_whole() -> None:
    assert embeddable("How long is it?", WordEmbedder()) == "How long is it?"


def test_of_a_long_question_what_asks_is_embedded() -> None:
    question = "Some context first. " * 20 + "How long is MV Alder?"
    assert embeddable(question, WordEmbedder(max_tokens=15)) == "How long is MV Alder?"


def test_of_a_long_sentence_that_does_not_ask_the_last_words_are_embedded() -> None:
    kept = embeddable("word " * 50 + "how long is MV Alder", WordEmbedder(max_tokens=6))
    assert kept == "word how long is MV Alder"


@given(st.text(min_size=1, max_size=400), st.integers(4, 40))
def test_what_is_embedded_fits(question: str, window: int) -> None:
    embedder = WordEmbedder(max_tokens=window)
    assert embedder.count(embeddable(question, embedder)) <= window
