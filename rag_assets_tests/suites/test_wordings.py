import re
from pathlib import Path

import pytest

from rag_assets.evaluations.calibration_set import calibration_questions
from rag_assets.evaluations.facts import holds
from rag_assets_tests.answers.fakes import Call
from rag_assets_tests.evaluations.lab import Bench, n_calls
from rag_assets_tests.suites.perturbations import QUESTION_WORDS
from rag_assets_tests.suites.wordings import KEYWORDS, QUESTION, keywords, look_up, wordings

BY_ID = {one.id: one for one in calibration_questions()}


def test_sixty_plain_look_ups_of_all_domains() -> None:
    asked = [BY_ID[name] for name in keywords()]
    assert len(asked) >= 60
    assert {one.domain for one in asked} == {one.domain for one in BY_ID.values()}
    assert {(one.kind, one.form) for one in asked} == {("lookup", "plain")}


@pytest.mark.parametrize(("name", "words"), keywords().items())
def test_keywords_are_what_one_types_into_a_search_box(name: str, words: str) -> None:
    assert 2 <= len(words.split()) <= 5
    assert not QUESTION_WORDS & set(words.casefold().split())
    assert re.fullmatch(r"[\w .-]+", words), "no question mark, no quotes"
    assert not any(holds(words, form) for form in BY_ID[name].answers)


def test_right_is_an_accepted_answer_as_whole_words() -> None:
    task = look_up(BY_ID["agriculture-01"])
    assert task.text_scores("It cost 41,500 crowns [1].") == {"correct": 1}
    assert task.text_scores("It cost 141,500 crowns [1].") == {"correct": 0}
    assert task.text_scores("") == {"correct": 0}
    assert task.uris == ("calibration:farm_cooperative_2021.md",)


def knows_questions(call: Call) -> str:
    """Answers what is asked with a question mark, and nothing else."""
    last = call.messages[-1]["content"]
    found = [one for one in BY_ID.values() if one.question in last and one.answers]
    return f"It is {found[0].answers[0]} [1]." if found else "NOT FOUND"


def test_both_wordings_of_each_look_up_are_asked_and_kept(bench: Bench, tmp_path: Path) -> None:
    first = bench.lab(tmp_path, slm=knows_questions, llm=knows_questions, limit=3)
    results = wordings(first)
    assert [r.variant for r in results] == [QUESTION, KEYWORDS] * 3
    for question, short in zip(results[::2], results[1::2], strict=True):
        assert question.case_id == short.case_id
        assert question.question == BY_ID[question.case_id].question
        assert short.question == keywords()[short.case_id]
        assert question.slices["domain"]
    assert not any(r.scores["correct"] for r in results[1::2])
    assert n_calls(first) > 0
    again = bench.lab(tmp_path, slm=knows_questions, llm=knows_questions, limit=3)
    assert [r.answer for r in wordings(again)] == [r.answer for r in results]
    assert n_calls(again) == 0


def test_a_slice_picks(bench: Bench, tmp_path: Path) -> None:
    results = wordings(bench.lab(tmp_path, slices={"domain": "law"}))
    assert {r.case_id for r in results} == {"law-01", "law-08", "law-09"}
