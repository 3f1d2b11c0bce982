"""Our text scores against SQuAD's in transformers, and examples in XQuAD's languages."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets_tests.suites.text_scores import (
    contains,
    exact_match,
    label_of,
    normalised,
    token_f1,
)

# Words that are likely to meet, among any printable ones.
ENGLISH = st.lists(
    st.one_of(
        st.sampled_from(["the", "The", "an", "A", "cat", "Cat,", "cat's", "1,240", "3.5", "U.S."]),
        st.text(string.printable.replace("\x0b", "").replace("\x0c", ""), max_size=6),
    ),
    max_size=8,
).map(" ".join)


@pytest.fixture(scope="module")
def squad() -> object:
    from transformers.data.metrics import squad_metrics

    return squad_metrics


@given(text=ENGLISH)
def test_normal_form_is_squads(squad: object, text: str) -> None:
    assert normalised(text) == squad.normalize_answer(text)


@given(answer=ENGLISH, expected=st.lists(ENGLISH, min_size=1, max_size=3))
def test_match_and_f1_are_squads(squad: object, answer: str, expected: list[str]) -> None:
    exact = max(squad.compute_exact(form, answer) for form in expected)
    f1 = max(squad.compute_f1(form, answer) for form in expected)
    assert exact_match(answer, expected) == exact
    assert token_f1(answer, expected) == pytest.approx(f1)


@given(st.text())
def test_normal_form_is_stable(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The U.S.,  in 1,240 days", "us in 1240 days"),
        ("Straße", "strasse"),
        ("\uff21\uff22 \u2167", "ab viii"),  # full width, Roman numeral
        ("«Ответ» — да!", "ответ да"),
        ("¿Qué?", "qué"),
        ("Οδυσσεύς", "οδυσσεύσ"),  # folding makes one of the two small sigmas
        ("हिन्दी भाषा।", "हिन्दी भाषा"),
        ("العَرَبِيَّة؟", "العَرَبِيَّة"),
        ("กรุงเทพฯ", "กรุงเทพฯ"),  # the mark of abbreviation is a letter to Unicode
        ("“北京”。", "北京"),
        ("Vie\u0323\u0302t Nam", "việt nam"),  # decomposed
        ("e.\u0301", "\u00e9"),  # the accent meets its letter once the point is gone
    ],
)
def test_normal_form_in_other_scripts(text: str, expected: str) -> None:
    assert normalised(text) == expected


@pytest.mark.parametrize("text", ["हिन्दी", "ที่นี่", "العَرَبِيَّة", "Việt"])
def test_a_word_without_its_marks_is_another_word(text: str) -> None:
    import unicodedata

    bare = "".join(
        char for char in unicodedata.normalize("NFD", text) if not unicodedata.combining(char)
    )
    assert bare != text
    assert not exact_match(bare, [text])


def test_f1_by_hand() -> None:
    # 2 of 3 tokens given are wanted, 2 of 2 wanted are given.
    assert token_f1("the big red dog", ["red dog", "cat"]) == pytest.approx(
        2 * (2 / 3) / (2 / 3 + 1)
    )
    assert token_f1("dog dog", ["dog"]) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("answer", "expected", "f1"),
    [
        ("北京大学", "北京", 2 * 2 / (4 + 2)),
        ("北 京", "北京", 1.0),
        ("2008年", "2009年", 0.5),  # a number is one token, wherever it stands
        ("ที่นี่", "ที่นั่น", 2 * 1 / (2 + 3)),  # ที่ with its marks is one of 2 and of 3 tokens
        ("नई दिल्ली", "दिल्ली", 2 * 1 / (2 + 1)),
        ("東京タワー", "タワー", 2 * 3 / (5 + 3)),
    ],
)
def test_tokens_of_scripts_without_spaces(answer: str, expected: str, f1: float) -> None:
    assert token_f1(answer, [expected]) == pytest.approx(f1)


@pytest.mark.parametrize(
    ("answer", "form"),
    [
        ("It took 42 men.", "42"),
        ("共有42人", "42"),
        ("中国的首都是北京。", "北京"),
        ("เมืองหลวงคือกรุงเทพ", "กรุงเทพ"),
        ("राजधानी नई दिल्ली है", "दिल्ली"),
        ("the U.S. army", "US"),
        ("1990-1995", "1995"),
        ("of 1,240 tons", "1240"),
        ("of 1240 tons", "1,240"),
        ("it is 3.5 m long", "3.5"),
        ("twenty-five", "twenty five"),
        ("in the Hague", "The Hague"),
    ],
)
def test_contained(answer: str, form: str) -> None:
    assert contains(answer, ["nowhere", form])


@pytest.mark.parametrize(
    ("answer", "form"),
    [
        ("It took 1428 men.", "42"),
        ("共有142人", "42"),
        ("it is 3.5 m long", "35"),
        ("it is 3.5 m long", "5"),
        ("a category", "cat"),
        ("red, big dog", "red dog"),
        ("ที่นี่", "ท"),  # not without its vowel
        ("हिन्दी", "हिन"),
        ("anything", "the"),
        ("anything", "?"),
        ("", "x"),
    ],
)
def test_not_contained(answer: str, form: str) -> None:
    assert not contains(answer, [form])


@given(ENGLISH, ENGLISH, ENGLISH)
def test_a_form_between_words_is_contained(before: str, form: str, after: str) -> None:
    words = "".join(char if char.isalnum() else " " for char in form)
    assert contains(f"{before} {words} {after}", [words]) == bool(normalised(words))


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("Yes, it does [1].", "yes"),
        ("**No**", "no"),
        ("Answer: Maybe.", "maybe"),
        ("It was tried. No effect was seen. Yes.", "no"),
        ("As to the question\nYes", "yes"),
        ("The answer is no because it failed.", "no"),
        ("I would say maybe.", "maybe"),
        ("\u201cYes\u201d [1][2]", "yes"),
        ("There is no cure for yesterday", None),
        ("Yes-men abound", None),
        ("Nobody knows", None),
        ("", None),
    ],
)
def test_label(answer: str, label: str | None) -> None:
    assert label_of(answer) == label


@pytest.mark.parametrize("metric", [exact_match, token_f1, contains])
@pytest.mark.parametrize("expected", [[], "Paris"])
def test_accepted_answers_are_a_list_that_holds_one(metric: object, expected: object) -> None:
    with pytest.raises(ValueError, match="expected a list of accepted answers"):
        metric("Paris", expected)
