"""Thresholds by their rules, and a whole calibration with models that count words."""

import math
import re
from pathlib import Path

import pytest

from rag_assets.answers.calibration import read
from rag_assets.evaluations.calibration_set import calibration_questions
from rag_assets.models.clients.roles import Models
from rag_assets_tests.answers.fakes import Call, ScriptedChat, WordEmbedder, copies
from rag_assets_tests.benchmarks.calibration import (
    Read,
    Similarity,
    measured,
    odds_part,
    similarity_part,
)
from rag_assets_tests.benchmarks.findings import BenchmarkError

MODEL = {"model_id": "m", "revision": "1"}


def test_similarities_by_hand() -> None:
    found = [Similarity(0.31, 0.12)] + [Similarity(0.62, 0.41)] * 99
    part = similarity_part(found, MODEL, keep=False)
    # 1 of 100 questions is below 0.35
    assert part.thresholds == {"min_similarity": 0.6}
    point = next(point for point in part.curve if point["threshold"] == 0.35)
    assert point == {"threshold": 0.35, "questions_below": 0.01, "unrelated_below": 0.01}
    kept = similarity_part(found, MODEL, keep=True)
    assert kept.thresholds == {"min_similarity": 0.2}
    assert kept.chosen.endswith("by the rule min_similarity 0.6")
    assert kept.curve == part.curve


def test_odds_by_hand() -> None:
    right = [Read(odds, right=True, answerable=True) for odds in (0.4, 0.9, 1.3)]
    wrong = [Read(-0.2, right=False, answerable=True)]
    none = [Read(odds, right=False, answerable=False) for odds in (-math.inf, -0.7, 0.12)]
    part = odds_part([*right, *wrong, *none], MODEL, keep=False)
    # from 0.15 to 0.4 all right answers are given and nothing where there is none
    assert part.thresholds == {"least_odds": 0.3}
    assert part.n == 7
    point = next(point for point in part.curve if point["threshold"] == 0.1)
    assert point == {
        "threshold": 0.1, "right_kept": 1.0, "none_abstained": 0.6667, "abstained_rightly": 0.6667,
        "correct": 0.7143,
    }  # fmt: skip
    assert "3 right answers, 3 unanswerable questions" in part.questions
    with pytest.raises(BenchmarkError, match="unanswerable questions, got 3 and 0"):
        odds_part(right, MODEL, keep=False)


BY_QUESTION = {one.question: one for one in calibration_questions()}


def knows(call: Call) -> str:
    """Copies the sentence that holds an accepted answer, or else what any small model copies."""
    number = 0
    for line in call.evidence.splitlines():
        if head := re.match(r"\[(\d+)\] ", line):
            number = int(head[1])
        for sentence in line.split(". "):
            if any(form in sentence for form in BY_QUESTION[call.question].answers):
                return f"{sentence.rstrip('.')} [{number}]."
    return copies(call)


def test_a_calibration_is_written_that_can_be_read(tmp_path: Path) -> None:
    chat = ScriptedChat("slm", knows)
    models = Models("cpu", embedder=WordEmbedder(), slm=chat, llm=chat)
    made = measured(tmp_path, models, "both", lambda _line: None, n_asked=30, keep=False)
    path = tmp_path / "mine.json"
    path.write_text(made.model_dump_json(exclude_none=True))
    assert read(path) == made
    assert made.embedder is not None
    assert made.llm is not None
    assert made.embedder.n == len(calibration_questions())
    assert 0 < made.llm.n <= 30
    n_calls = len(chat.calls)
    again = measured(tmp_path, models, "llm", lambda _line: None, n_asked=30, keep=False)
    assert again.llm == made.llm
    assert again.embedder is None
    assert len(chat.calls) == n_calls  # completions are kept
