import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rag_assets_tests.suites.datasets import Document
from rag_assets_tests.suites.perturbations import (
    REWORDINGS,
    acceptable,
    content_words,
    duplicated,
    ocr_noise,
    paraphrase_messages,
    reworded,
    typos,
)

WORDS = [
    "who", "What", "is", "the", "not", "of", "vessel", "Alder", "built", "1994", "3.5", "IT",
    "COVID-19", "Müller's", "ΑΣ", "İstanbul", "河流", "may", "C++", "$5", "rn", "clear", "l0ng",
    "communication", "and/or", "—",
]  # fmt: skip
texts = st.lists(st.sampled_from(WORDS) | st.text(max_size=12), max_size=12).map(" ".join)
questions = (
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=10).map(" ".join).map(lambda q: q + "?")
)
rates = st.floats(0, 1)
PASSAGE = (
    "The Alder was built in 1994 for the coastal service and sailed until her retirement. " * 9
)
NOISES = pytest.mark.parametrize("noise", [typos, ocr_noise])


@NOISES
@given(text=texts, rate=rates, seed=st.integers())
def test_noise_is_repeatable_and_nothing_at_rate_zero(
    noise: type[str], text: str, rate: float, seed: int
) -> None:
    assert noise(text, rate, seed) == noise(text, rate, seed)
    assert noise(text, 0.0, seed) == text


@NOISES
def test_noise_has_a_seed_and_a_range(noise: type[str]) -> None:
    assert len({noise(PASSAGE, 0.3, seed) for seed in range(5)}) == 5
    for rate in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"a rate must be in \[0, 1\]"):
            noise(PASSAGE, rate, 0)


@given(texts, rates, rates, st.integers())
def test_typos_at_a_lower_rate_are_among_those_at_a_higher(
    text: str, low: float, high: float, seed: int
) -> None:
    low, high = sorted((low, high))
    words, few, many = (t.split() for t in (text, typos(text, low, seed), typos(text, high, seed)))
    assert len(words) == len(few) == len(many)
    for word, at_low, at_high in zip(words, few, many, strict=True):
        assert at_low in (word, at_high)


@given(texts, rates, st.integers())
def test_typos_leave_numbers_and_short_words(text: str, rate: float, seed: int) -> None:
    changed = typos(text, rate, seed)
    assert re.findall(r"\d+", changed) == re.findall(r"\d+", text)
    for before, after in zip(text.split(), changed.split(), strict=True):
        n_letters = sum(char.isalpha() for char in before)
        if n_letters < 4 or re.fullmatch(r"\w*\d\w*", before):
            assert after == before


def test_typos_at_rate_one_change_every_long_word() -> None:
    words, changed = PASSAGE.split(), typos(PASSAGE, 1.0, 0).split()
    long = [(a, b) for a, b in zip(words, changed, strict=True) if len(a.strip(".")) >= 4]
    assert [a for a, b in long if a == b] == ["1994"] * 9
    assert all(a[0] == b[0] for a, b in long)
    lengths = {len(b) - len(a) for a, b in long}
    assert lengths == {-1, 0, 1}, "letters are left out, exchanged and doubled"


def test_typos_leave_scripts_without_case() -> None:
    text = "如何申请护照 كيف أقدم طلبا"
    assert typos(text, 1.0, 0) == text


def test_ocr_noise_rate_is_by_character() -> None:
    text = "eX" * 20_000  # only the half of it can be misread
    assert ocr_noise(text, 0.03, 7).count("c") == pytest.approx(0.03 * len(text), rel=0.1)
    assert ocr_noise(text, 0.9, 7) == "cX" * 20_000, "and no more than that half"


def test_ocr_noise_confuses_what_scanners_confuse() -> None:
    assert ocr_noise("rn", 1.0, 0) == "m"
    assert ocr_noise("Om", 1.0, 0) == "0rn"
    assert ocr_noise("dew", 1.0, 0) == "clcvv"
    assert {ocr_noise("l", 1.0, seed) for seed in range(9)} == {"1", "I"}
    everything = "".join(ocr_noise(PASSAGE, 0.3, seed) for seed in range(3))
    assert "-\n" in everything
    assert max(map(len, everything.split())) > max(map(len, PASSAGE.split())), "spaces are lost"


@given(texts, st.integers())
def test_ocr_noise_leaves_other_characters(text: str, seed: int) -> None:
    def others(t: str) -> str:
        return re.sub(r"[rncldmvwhebIO0-9S B\n-]", "", t)

    assert others(ocr_noise(text, 0.5, seed)) == others(text)


def folded(text: str) -> str:
    return " ".join(text.casefold().split())


@given(questions)
@example("What is the WHO?")
@example("Who is who?")
@example("May 1994?")
def test_rewordings_keep_content_words(question: str) -> None:
    variants = reworded(question)
    assert list(variants) == list(REWORDINGS)
    for text in variants.values():
        for word in content_words(question):
            assert word.casefold() in folded(text)
        assert text.strip()


@pytest.mark.parametrize(
    ("question", "rule", "expected"),
    [
        ("When was the Alder built?", "polite", "Could you tell me when was the Alder built?"),
        ("Is it red?", "polite", "Could you please answer this for me: Is it red?"),
        ("When was the Alder built?", "keywords", "Alder built"),
        ("Who leads the WHO in May?", "keywords", "leads WHO May"),
        ("Who is who?", "keywords", "Who is who?"),
        ("What does C++ not cost: $5?", "keywords", "C++ not cost $5"),
        ("Where is it? ", "imperative", "Tell me where is it."),
        ("In what year?", "imperative", "Answer this: In what year."),
        ("WHO rules?", "imperative", "Answer this: WHO rules."),
        ("Where is Alder?", "plain", "where is alder"),
        (
            "Why?",
            "context",
            "I am reading about this and want to be sure that I have it right. Why?",
        ),
    ],
)
def test_rewordings(question: str, rule: str, expected: str) -> None:
    assert reworded(question)[rule] == expected


def passages(n: int, text: str = PASSAGE) -> list[Document]:
    return [Document(f"d{i}", f"Title {i}", f"{text} {i}", "en") for i in range(n)]


@given(st.integers(0, 30), rates, st.integers())
def test_copies_follow_their_originals(n: int, share: float, seed: int) -> None:
    given_documents = passages(n)
    result = duplicated(iter(given_documents), share, seed)
    assert result == duplicated(given_documents, share, seed)
    assert [d for d in result.documents if d.id not in result.originals] == given_documents
    assert len(result.originals) == len(result.kinds) == round(share * n)
    by_id = {document.id: i for i, document in enumerate(result.documents)}
    assert len(by_id) == len(result.documents)
    for copy, original in result.originals.items():
        assert copy == f"{original}~copy1"
        assert by_id[copy] == by_id[original] + 1


def test_copies_are_of_three_kinds() -> None:
    result = duplicated(passages(30), 1.0, 0)
    texts = {document.id: document.text for document in result.documents}
    for copy, kind in result.kinds.items():
        before, after = texts[result.originals[copy]], texts[copy]
        n_changed = sum(a != b for a, b in zip(before.split(), after.split(), strict=False))
        if kind == "exact":
            assert after == before
        elif kind == "boilerplate":
            assert after.startswith(before + "\n\n")
        else:
            assert after != before
            assert n_changed > 0
            assert re.findall(r"\d+|[A-Z]\w+", after) == re.findall(r"\d+|[A-Z]\w+", before)
    assert set(result.kinds.values()) == {"exact", "words", "boilerplate"}


def test_nothing_to_exchange_gets_the_notice() -> None:
    result = duplicated(passages(9, "河流很长。"), 1.0, 0)
    assert set(result.kinds.values()) == {"exact", "boilerplate"}


def test_copies_of_copies() -> None:
    once = duplicated(passages(1), 1.0, 0).documents
    with pytest.raises(ValueError, match="'d0~copy1' among them"):
        duplicated(once, 1.0, 0)


def test_paraphrase_is_asked_for_with_the_question() -> None:
    system, user = paraphrase_messages(" Who built it? ")
    assert (system["role"], user["role"]) == ("system", "user")
    assert user["content"].endswith("\nWho built it?")


ORIGINAL = "When did NASA launch the Alder 2 from Kourou in 1,994?"


@pytest.mark.parametrize(
    ("paraphrase", "expected"),
    [
        ("At what time in 1,994 was the Alder 2 launched from Kourou by NASA?", True),
        ("In 1,994, NASA launched the Alder 2 from Kourou at what time?\n", True),
        (ORIGINAL, False),
        ("when did nasa launch the Alder 2, from Kourou, in 1,994?", False),
        ("When was the Alder 2 launched from Kourou in 1,994?", False),  # NASA is lost
        ("At what time was the Alder launched from Kourou by NASA in 1,994?", False),
        ("At what time was the Alder 2 launched from Kourou by NASA in 1994?", False),
        ("On which day in May was the Alder 2 launched from Kourou by NASA in 1,994?", False),
        ("At what time did NASA launch the Alder 2 from Kourou in 1,994? Which day?", False),
        ("NASA launched the Alder 2 from Kourou in 1,994 at some time.", False),
        ("Sure!\nAt what time in 1,994 was the Alder 2 launched from Kourou by NASA?", False),
        ("", False),
    ],
)
def test_acceptable_paraphrases(paraphrase: str, expected: bool) -> None:
    assert acceptable(ORIGINAL, paraphrase) is expected


def test_a_name_that_begins_the_question_must_stay() -> None:
    assert acceptable("Alder was built when?", "When was Alder built?")
    assert not acceptable("Alder was built when?", "When was she built?")
    assert acceptable("谁创立了苹果？", "苹果是谁创立的？")  # noqa: RUF001


@given(questions)
def test_no_question_is_its_own_paraphrase(question: str) -> None:
    assert not acceptable(question, question)
