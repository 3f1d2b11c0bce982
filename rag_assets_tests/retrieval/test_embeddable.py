"""What of a long question is embedded."""

from hypothesis import given
from hypothesis import strategies as st

from rag_assets.retrieval.embeddable import embeddable
from rag_assets_tests.answers.fakes import WordEmbedder


def test_short_question_is_embedded_whole() -> None:
    assert embeddable("How long is it?", WordEmbedder()) == "How long is it?"


def test_of_a_long_question_the_last_sentences_are_embedded() -> None:
    question = "Some context first. " * 20 + "How long is MV Alder?"
    kept = embeddable(question, WordEmbedder(max_tokens=15))
    assert kept == "Some context first. Some context first. How long is MV Alder?"


def test_of_a_long_sentence_the_last_words_are_embedded() -> None:
    kept = embeddable("word " * 50 + "how long is MV Alder", WordEmbedder(max_tokens=6))
    assert kept == "word how long is MV Alder"


@given(st.text(min_size=1, max_size=400), st.integers(4, 40))
def test_what_is_embedded_fits_and_is_the_end(question: str, window: int) -> None:
    embedder = WordEmbedder(max_tokens=window)
    kept = embeddable(question, embedder)
    assert question.endswith(kept)
    assert embedder.count(kept) <= window
