"""Thresholds by their rules, and whole calibrations with models that count words."""

import json
import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from rag_assets.answers.calibration import learned, read
from rag_assets.answers.policy import AnswerPolicy
from rag_assets.cli.evaluate import show_part
from rag_assets.cli.main import app
from rag_assets.evaluations.calibrating import (
    FOLDS,
    CalibrationError,
    Read,
    Similarity,
    Wanted,
    best_odds,
    calibrated,
    folds,
    held_out,
    odds_part,
    similarity_part,
)
from rag_assets.evaluations.calibration_set import calibration_questions
from rag_assets.sources.golden import CaseError
from rag_assets_tests.answers.fakes import Call, ScriptedChat, WordEmbedder, copies
from rag_assets_tests.evaluations.lab import Bench, n_calls

MODEL = {"model_id": "m", "revision": "1"}


def test_similarities_by_hand() -> None:
    found = [Similarity(0.31, 0.12)] + [Similarity(0.62, 0.41)] * 99
    part = similarity_part(found, MODEL, AnswerPolicy(), keep=False)
    # 1 of 100 questions is below 0.35
    assert part.thresholds == {"min_similarity": 0.6}
    point = next(point for point in part.curve if point["threshold"] == 0.35)
    assert point == {"threshold": 0.35, "questions_below": 0.01, "unrelated_below": 0.01}
    kept = similarity_part(found, MODEL, AnswerPolicy(), keep=True)
    assert kept.thresholds == {"min_similarity": 0.2}
    assert kept.chosen.endswith("by the rule min_similarity 0.6")
    assert kept.curve == part.curve


def test_odds_by_hand() -> None:
    right = [Read(odds, True, True, f"r{odds}") for odds in (0.4, 0.9, 1.3)]
    wrong = [Read(-0.2, False, True, "wrong")]
    none = [Read(odds, False, False, f"n{odds}") for odds in (-math.inf, -0.7, 0.12)]
    found = [*right, *wrong, *none]
    part = odds_part(found, MODEL, AnswerPolicy(least_odds=0.1), "ours", keep=False)
    # from 0.15 to 0.4 all right answers are given and nothing where there is none
    assert part.thresholds == {"least_odds": 0.3}
    assert part.n == 7
    point = next(point for point in part.curve if point["threshold"] == 0.1)
    figures = {
        "right_kept": 1.0, "none_abstained": 0.6667, "abstained_rightly": 0.6667, "correct": 0.7143,
    }  # fmt: skip
    assert point == {"threshold": 0.1, **figures}
    assert part.before == figures
    assert part.questions == "ours; 3 right answers, 3 unanswerable questions"
    kept = odds_part(found, MODEL, AnswerPolicy(least_odds=0.1), "ours", keep=True)
    assert kept.thresholds == {"least_odds": 0.1}
    assert kept.chosen == "kept as they were; by the rule least_odds 0.3"
    for few in (right, [Read(0.4, True, True, "one"), Read(-1.0, False, False, "one")]):
        with pytest.raises(CalibrationError, match="ask more"):
            odds_part(few, MODEL, AnswerPolicy(), "ours", keep=False)


def test_a_group_is_judged_by_the_others() -> None:
    low = [Read(odds, True, True, "low") for odds in (-1.5, -1.4)]
    high = [Read(1.5, True, True, "high"), Read(0.5, False, False, "high")]
    found = [*low, *high]
    # of "high" alone above 0.5 is right; of "low" alone any threshold up to -1.5
    judged = {one.odds: abstained for one, abstained in held_out(found)}
    assert judged == {-1.5: True, -1.4: True, 1.5: False, 0.5: False}
    # learned on all of them at once, nothing is lost but the one unanswerable
    assert best_odds(found) < -1.4


groups = st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=60)


@given(groups)
def test_folds_part_no_group_and_are_of_like_size(names: list[str]) -> None:
    fold_of = folds(names)
    assert fold_of.keys() == set(names)
    sizes = [0] * FOLDS
    for name in names:
        sizes[fold_of[name]] += 1
    filled = [size for size in sizes if size]
    assert len(filled) == min(FOLDS, len(fold_of))
    assert max(filled) - min(filled) <= max(map(names.count, names))


@given(
    st.lists(
        st.builds(Read, st.floats(-3, 3), st.booleans(), st.just(True), st.sampled_from("abcdefg"))
        | st.builds(
            Read, st.floats(-3, 3), st.just(False), st.just(False), st.sampled_from("abcdefg")
        ),
        min_size=2,
    )
)
def test_every_question_is_judged_once(found: list[Read]) -> None:
    judged = held_out(found)
    assert sorted(map(id, found)) == sorted(id(one) for one, _ in judged)


BY_QUESTION = {one.question: one for one in calibration_questions()}


def knows(call: Call) -> str:
    """Copies the sentence that holds an accepted answer, or else what any small model copies."""
    number = 0
    for line in call.evidence.splitlines():
        if head := re.match(r"\[(\d+)\] ", line):
            number = int(head[1])
        for sentence in line.split(". "):
            known = BY_QUESTION.get(call.question)
            if known and any(form in sentence for form in known.answers):
                return f"{sentence.rstrip('.')} [{number}]."
    return copies(call)


def test_a_calibration_is_written_that_can_be_read(bench: Bench, tmp_path: Path) -> None:
    lab = bench.lab(slm=knows, llm=knows, limit=30)
    made = calibrated(lab, lab.embedder, Wanted())
    path = tmp_path / "mine.json"
    path.write_text(made.model_dump_json(exclude_none=True))
    assert read(path) == made
    assert made.embedder is not None
    assert made.llm is not None
    assert made.embedder.n == 30
    assert made.llm.n == 30
    assert made.llm.held_out is not None
    assert made.llm.before is not None
    assert n_calls(lab) > 0
    again = bench.lab(slm=knows, llm=knows, limit=30)
    repeated = calibrated(again, again.embedder, Wanted("llm"))
    assert repeated.llm == made.llm
    assert repeated.embedder is None
    assert n_calls(again) == 0, "completions are kept"
    assert any(re.fullmatch(r"30 of 30 questions read, 0 s left", line) for line in bench.lines)


def test_golden_questions_and_ones_of_ones_own_are_read_on_the_live_index(
    bench: Bench, tmp_path: Path
) -> None:
    bench.golden("docs")
    own = tmp_path / "mine.jsonl"
    case = {"id": "1", "kind": "lookup", "question": "When was the Buoy built?"}
    case |= {"answers": ["1887"], "documents": ["b.md"]}
    own.write_text(f"{json.dumps(case)}\n{json.dumps({**case, 'id': '2', 'kind': 'multi'})}\n")
    lab = bench.lab(slm=knows, llm=knows, limit=20)
    made = calibrated(lab, lab.embedder, Wanted("llm", questions=own))
    assert made.llm is not None
    assert made.llm.n == 20 + 3 + 1
    assert "3 of the sources' golden questions, 1 of mine.jsonl;" in made.llm.questions
    own.write_text('{"id": 1}')
    with pytest.raises(CaseError, match=r"mine\.jsonl, line 1: expected an object with id, kind"):
        calibrated(lab, lab.embedder, Wanted("llm", questions=own))


def test_questions_of_ones_own_need_a_live_index(bench: Bench, tmp_path: Path) -> None:
    lab = bench.lab(limit=20)
    own = tmp_path / "mine.jsonl"
    own.write_text("")
    with pytest.raises(CalibrationError, match=r"expected a live index .*run `rag refresh`"):
        calibrated(lab, lab.embedder, Wanted("llm", questions=own))


def our_embedder() -> WordEmbedder:
    return WordEmbedder()


def our_chat(role: str) -> ScriptedChat:
    return ScriptedChat(role, knows)


def test_the_command_writes_what_the_answerer_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = __name__
    (tmp_path / "sources.yaml").write_text("sources: []\n")
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    monkeypatch.setenv("RAG_EMBEDDER", f"{here}:our_embedder")
    monkeypatch.setenv("RAG_SLM", f"{here}:our_chat")
    monkeypatch.setenv("RAG_LLM", f"{here}:our_chat")
    asked = ["calibrate", "--limit", "30", "--role", "llm"]
    done = CliRunner().invoke(app, [*asked, "--json"])
    assert done.exit_code == 0, done.output
    shown = json.loads(done.stdout)
    path = tmp_path / "calibration" / "cpu.json"
    assert shown.pop("file") == str(path)
    assert shown == json.loads(path.read_text())
    made = read(path)
    assert made.llm is not None
    found = learned("cpu", {"llm": made.llm.model}, tmp_path)
    assert found.thresholds == made.llm.thresholds
    table = CliRunner().invoke(app, asked)
    assert table.exit_code == 0, table.output
    assert "held out" in table.stdout
    assert "in use before" in table.stdout


def test_the_table_fits_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rag_assets.cli.console.out.width", 80)
    found = [Read(0.4, True, True, "a"), Read(-1.0, False, False, "b"), Read(-1, False, True, "c")]
    part = odds_part(found, MODEL, AnswerPolicy(), "ours", keep=False)
    show_part(part)
    shown = capsys.readouterr().out.splitlines()
    assert any("learned" in line and "1.00" in line for line in shown)
    assert max(len(line) for line in shown if "ours" not in line) <= 80
