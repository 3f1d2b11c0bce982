"""Which learned thresholds are used: those of the very models, from a file in order."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.answers import calibration
from rag_assets.answers.calibration import (
    LEARNED,
    SHIPPED,
    CalibrationFile,
    differences,
    identity,
    learned,
    read,
)
from rag_assets.answers.deriving import fitting_of
from rag_assets.answers.policy import UNCALIBRATED, AnswerPolicy
from rag_assets.models.profile_files import load_profile
from rag_assets.models.profiles import in_format

EMBEDDER = {"model_id": "an/embedder", "revision": "1"}
SLM = {"model_id": "a/model", "revision": "2", "format": "w8a8", "prompt": "abc"}
MODELS: dict[Any, dict[str, str]] = {"embedder": EMBEDDER, "slm": SLM}
words = st.text("ab1", min_size=1, max_size=3)


def part(model: dict[str, str], **thresholds: float) -> dict[str, Any]:
    return {
        "model": model, "thresholds": thresholds, "chosen": "by hand", "n": 7, "questions": "ours",
        "curve": [{"threshold": 0.1, "right_below": 0.0}], "date": "2026-11-29", "machine": "here",
        "made_by": "a command",
    }  # fmt: skip


def file() -> dict[str, Any]:
    return {
        "form": 1,
        "embedder": part(EMBEDDER, min_similarity=0.11, decent_similarity=0.22),
        "slm": part(SLM, min_logprob=-0.33),
    }


def written(home: Path, data: object, name: str = "mine") -> Path:
    path = home / "calibration" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def test_thresholds_of_the_same_models_are_used(tmp_path: Path) -> None:
    written(tmp_path, file())
    found = learned("mine", MODELS, tmp_path)
    assert found.thresholds == {
        "min_similarity": 0.11, "decent_similarity": 0.22, "min_logprob": -0.33,
    }  # fmt: skip
    assert found.standing == "mine.json of 2026-11-29"
    assert found.remarks == ()


@given(
    st.fixed_dictionaries({name: words for name in SLM}),
    st.fixed_dictionaries({name: words for name in SLM}),
)
def test_models_fit_that_differ_in_nothing(one: dict[str, str], other: dict[str, str]) -> None:
    unlike = differences(one, other)
    assert (unlike == "") == (one == other)
    assert all((name in unlike) == (one[name] != other[name]) for name in SLM)


@pytest.mark.parametrize("field", SLM)
def test_another_model_revision_format_or_prompt_does_not_fit(tmp_path: Path, field: str) -> None:
    written(tmp_path, file())
    found = learned("mine", {**MODELS, "slm": {**SLM, field: "other"}}, tmp_path)
    assert found.standing == f"{UNCALIBRATED}: min_logprob"
    (remark,) = found.remarks
    assert "the slm part of" in remark
    assert f"learned with {field}" in remark


def test_a_profile_of_another_name_takes_what_fits_its_models(tmp_path: Path) -> None:
    written(tmp_path, file(), "somebody")
    found = learned("mine", MODELS, tmp_path)
    assert found.standing == "somebody.json of 2026-11-29"
    other = learned("mine", {**MODELS, "slm": {**SLM, "revision": "3"}}, tmp_path)
    assert other.remarks == ()  # nobody said that it should fit


def test_the_profiles_own_file_comes_first(tmp_path: Path) -> None:
    written(tmp_path, file(), "another")
    own = file()
    own["slm"]["thresholds"] = {"min_logprob": -0.9}
    written(tmp_path, own, "mine")
    assert learned("mine", MODELS, tmp_path).thresholds["min_logprob"] == -0.9


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{", "Expecting property name"),
        ("[]", "expected form 1, got None"),
        ({}, "expected form 1, got None"),
        ({**file(), "form": 0}, "expected form 1, got 0"),
        ({**file(), "colour": "red"}, "colour: Extra inputs"),
        (
            {**file(), "slm": part(SLM, per_document_decay=1)},
            "slm.thresholds: expected min_logprob",
        ),
        ({**file(), "slm": {**part(SLM, min_logprob=0.1), "n": 0}}, "slm.n: .* got 0"),
        ({**file(), "slm": {**part(SLM, min_logprob=0.1), "curve": []}}, "slm.curve"),
        ('{"form": 1, "slm": NaN}', "slm: "),
    ],
)
def test_a_file_that_is_none_is_not_used_and_said(
    tmp_path: Path, data: object, message: str
) -> None:
    path = written(tmp_path, data)
    with pytest.raises(ValueError, match=message):
        read(path)
    found = learned("mine", MODELS, tmp_path)
    assert found.standing == UNCALIBRATED
    assert f"{path} is not used: " in found.remarks[0]


@given(st.binary(max_size=60))
def test_no_bytes_break_the_search(data: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        folder = SHIPPED.parent / "nowhere"
        patch.setattr(calibration, "SHIPPED", folder)
        patch.setattr(Path, "glob", lambda _self, _pattern: [folder / "a.json"])
        patch.setattr(Path, "read_text", lambda _self, encoding: data.decode(encoding))
        found = learned("mine", MODELS, None)
    assert found.standing == UNCALIBRATED
    assert len(found.remarks) == 1


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.json")), ids=lambda path: path.stem)
def test_shipped_files_keep_the_default_thresholds(path: Path) -> None:
    made = read(path)
    assert made.embedder or made.slm
    for role in ("embedder", "slm"):
        one = getattr(made, role)
        for name, value in ({} if one is None else one.thresholds).items():
            assert value == getattr(AnswerPolicy(), name)
    text = made.model_dump_json(exclude_none=True)
    assert CalibrationFile.model_validate_json(text) == made


def test_the_package_calibrates_the_models_of_cpu_on_any_processor() -> None:
    cpu = load_profile("cpu")
    assert UNCALIBRATED not in fitting_of(in_format(cpu, "w8a8"), None).standing
    moved = replace(cpu, name="mine", port_base=9000)
    assert fitting_of(moved, None) == fitting_of(cpu, None)
    assert fitting_of(load_profile("gpu-32gb"), None).standing == UNCALIBRATED
    one = fitting_of(load_profile("cpu-one-model"), None)  # the embedder is that of cpu
    assert one.standing == f"{UNCALIBRATED}: min_logprob"


def test_a_model_given_in_place_of_the_profiles_has_no_known_format() -> None:
    cpu = in_format(load_profile("cpu"), "w8a8")
    assert identity("slm", cpu.spec("slm"), cpu)["format"] == "w8a8"
    assert identity("slm", load_profile("cpu-one-model").spec("llm"), cpu)["format"] == ""
    assert set(LEARNED.values()) == {"embedder", "slm"}
