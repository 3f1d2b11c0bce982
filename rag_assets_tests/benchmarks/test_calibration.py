"""Thresholds by their rules, and a whole calibration with models that count words."""

import re
from pathlib import Path

import pytest

from rag_assets.answers.calibration import read
from rag_assets.evaluations.calibration_set import calibration_questions
from rag_assets.models.clients.roles import Models
from rag_assets_tests.answers.fakes import Call, ScriptedChat, WordEmbedder, copies
from rag_assets_tests.benchmarks.calibration import (
    Similarity,
    Sureness,
    logprob_part,
    measured,
    similarity_part,
)
from rag_assets_tests.benchmarks.findings import BenchmarkError

MODEL = {"model_id": "m", "revision": "1"}


def test_similarities_by_hand() -> None:
    found = [Similarity(0.31, 0.12)] + [Similarity(0.62, 0.41)] * 99
    part = similarity_part(found, MODEL, keep=False)
    # 1 of 100 questions is below 0.35, all unrelated ones are below 0.45
    assert part.thresholds == {"min_similarity": 0.6, "decent_similarity": 0.6}
    point = next(point for point in part.curve if point["threshold"] == 0.35)
    assert point == {"threshold": 0.35, "questions_below": 0.01, "unrelated_below": 0.01}
    kept = similarity_part(found, MODEL, keep=True)
    assert kept.thresholds == {"min_similarity": 0.2, "decent_similarity": 0.45}
    assert kept.chosen.endswith("by the rule min_similarity 0.6, decent_similarity 0.6")
    assert kept.curve == part.curve


def test_log_probabilities_by_hand() -> None:
    right = [Sureness(value, right=True) for value in (-0.02, -0.11, -0.33)]
    wrong = [Sureness(value, right=False) for value in (-0.12, -0.52, -0.8)]
    part = logprob_part([*right, *wrong], MODEL, keep=False)
    assert part.thresholds == {"min_logprob": -0.5}  # below it are two wrong ones, no right one
    assert part.n == 6
    assert "3 right answers, 3 wrong ones" in part.questions
    with pytest.raises(BenchmarkError, match="expected right and wrong answers, got 3 and 0"):
        logprob_part(right, MODEL, keep=False)


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
    assert made.slm is not None
    assert made.embedder.n == len(calibration_questions())
    assert 0 < made.slm.n <= 30
    n_calls = len(chat.calls)
    again = measured(tmp_path, models, "slm", lambda _line: None, n_asked=30, keep=False)
    assert again.slm == made.slm
    assert again.embedder is None
    assert len(chat.calls) == n_calls  # completions are kept
