"""What is a question."""

import pytest

from rag_assets.answers.questions import (
    QuestionError,
    QuestionTooLongError,
    asks_yes_or_no,
    check_mode,
    check_question,
)
from rag_assets_tests.answers.fakes import ScriptedChat, always

MODEL = ScriptedChat("slm", always(""))


@pytest.mark.parametrize("question", ["", "   ", "\n\t", "?!", "\x00\x01"])
def test_empty_question_is_refused(question: str) -> None:
    with pytest.raises(QuestionError, match="the question is empty"):
        check_question(question, MODEL, max_tokens=1000)


@pytest.mark.parametrize("question", [None, 5, b"When?", ["When?"]])
def test_what_is_no_text_is_refused(question: object) -> None:
    with pytest.raises(QuestionError, match=f"must be text; got {type(question).__name__}"):
        check_question(question, MODEL, max_tokens=1000)  # type: ignore[arg-type]


def test_twenty_thousand_words_are_refused_at_once() -> None:
    with pytest.raises(QuestionTooLongError, match="20,000 words"):
        check_question("word " * 20_000, MODEL, max_tokens=1000)


def test_length_is_counted_in_tokens_where_a_model_is_given() -> None:
    question = "a b " * 600  # few characters, many tokens
    with pytest.raises(QuestionTooLongError, match=r"1,207 tokens; at most 1,000"):
        check_question(question, MODEL, max_tokens=1000)


def test_ugly_characters_are_made_harmless() -> None:
    question = check_question(
        "  Wann f\u0061\u0308hrt\x00die \ud800 MV Alder? ", MODEL, max_tokens=100
    )
    assert question == "Wann f\u00e4hrt die ? MV Alder?"
    question.encode("utf-8")


@pytest.mark.parametrize("mode", ["auto", "fact", "deep"])
def test_modes(mode: str) -> None:
    assert check_mode(mode) == mode


def test_unknown_mode_is_named() -> None:
    with pytest.raises(QuestionError, match="auto, fact, deep; got 'fast'"):
        check_mode("fast")


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Is MV Alder in service?", True),
        ("The director Armando Iannucci has an OBE. Does Puneet Sira have one?", True),
        (
            "Survival in lung carcinoma: is the pneumologists' doubt justified?",
            True,
        ),
        ("Don't passengers under six travel free?", True),
        ("Did MV Alder or MV Tern sail first?", False),
        ("When does MV Alder sail?", False),
        ("Is it known who built MV Alder?", False),
        ("MV Alder is a ferry. What is her length?", False),
        ("Name the harbours that can take MV Alder.", False),
    ],
)
def test_questions_for_yes_or_no(question: str, expected: bool) -> None:
    assert asks_yes_or_no(question) is expected
