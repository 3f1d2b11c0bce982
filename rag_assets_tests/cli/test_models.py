"""``rag profiles`` and ``rag plan serving``."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from rag_assets.lake import generations
from rag_assets.lake.generations import Generation
from rag_assets.lake.store import LakeStore
from rag_assets.models.profile_files import load_profile
from rag_assets_tests.cli.test_main import rag


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "sources.yaml").write_text("sources: []\n")
    return tmp_path


def test_profiles_say_models_origin_fit_and_whether_they_ran(home: Path) -> None:
    listed = {row["name"]: row for row in json.loads(rag(home, "profiles", "--json").stdout)}
    assert "slm: Qwen/Qwen2.5-Coder-0.5B-Instruct" in listed["cpu"]["models"]
    assert listed["cpu"]["run_on"].startswith("AMD EPYC")
    assert listed["gpu-32gb"]["run_on"] == "never"
    assert "no" in listed["gpu-32gb"]["fits"]
    assert listed["remote"]["fits"] == "no: RAG_API_KEY is not set"
    keyed = rag(home, "profiles", "--json", env={"RAG_API_KEY": "sk"}).stdout
    assert {row["name"]: row["fits"] for row in json.loads(keyed)}["remote"] == "yes"
    table = rag(home, "profiles").stdout
    assert all(name in table for name in listed)


def test_a_copy_is_listed_and_can_be_planned(home: Path) -> None:
    done = rag(home, "profiles", "copy", "gpu-32gb", "mine")
    assert done.returncode == 0
    assert "RAG_PROFILE=mine" in done.stdout
    listed = {row["name"]: row for row in json.loads(rag(home, "profiles", "--json").stdout)}
    assert listed["mine"]["origin"] == "home"
    plan = rag(home, "plan", "serving", "--gpu-memory", "32", env={"RAG_PROFILE": "mine"})
    assert plan.returncode == 0
    assert plan.stdout.endswith("it fits\n")
    again = rag(home, "profiles", "copy", "cpu", "mine")
    assert again.returncode == 1
    assert "exists already" in again.stderr


def test_a_broken_profile_is_listed_with_its_fault(home: Path) -> None:
    (home / "profiles").mkdir()
    (home / "profiles" / "bad.yaml").write_text("name: bad\nextends: cpu\ncolour: red\n")
    listed = {row["name"]: row for row in json.loads(rag(home, "profiles", "--json").stdout)}
    assert "bad.yaml, line 3, colour: there is no such field" in listed["bad"]["fits"]
    assert listed["cpu"]["fits"]
    failed = rag(home, "plan", "serving", "--profile", "bad")
    assert failed.returncode == 1
    assert "line 3, colour" in failed.stderr


def test_what_does_not_fit_is_said_with_what_to_do(home: Path) -> None:
    plan = rag(home, "plan", "serving", "--profile", "gpu-32gb", "--gpu-memory", "16")
    assert plan.returncode == 1
    assert "does not fit: llm: weights" in plan.stdout
    assert "to do: " in plan.stdout
    as_json = rag(home, "plan", "serving", "--profile", "cpu", "--memory", "2", "--json")
    assert as_json.returncode == 1
    record = json.loads(as_json.stdout)
    assert not record["fits"]
    assert {engine["role"] for engine in record["engines"]} == {"slm", "llm", "embedder"}


def test_a_profile_is_shown_with_what_each_number_follows_from(home: Path) -> None:
    (home / "calibration").mkdir()
    (home / "calibration" / "gpu-32gb.json").write_text('{"form": 0}')
    shown = json.loads(rag(home, "profiles", "show", "gpu-32gb", "--json").stdout)
    policy = {row["field"]: (row["value"], row["from"]) for row in shown["policy"]}
    assert policy["llm.evidence"] == (2400, "stated by the profile")
    assert policy["deep.document"] == (1024, "1/4 of the context of 4,096 tokens")
    assert policy["least_odds"] == (-0.05, "uncalibrated: that of profile cpu")
    assert shown["thresholds"] == "uncalibrated"
    assert "gpu-32gb.json is not used: expected form 1, got 0" in shown["remarks"][0]
    table = rag(home, "profiles", "show", env={"RAG_PROFILE": "remote"})
    assert table.returncode == 0
    assert "profile remote; thresholds: uncalibrated" in table.stdout
    assert "slm: a context of 4,096 tokens is assumed: no engine answers" in table.stdout
    assert all(name in table.stdout for name in policy)


def test_the_list_and_the_doctor_say_what_is_uncalibrated(home: Path) -> None:
    listed = {row["name"]: row for row in json.loads(rag(home, "profiles", "--json").stdout)}
    assert listed["gpu-32gb"]["calibrated"] == "no"
    assert listed["cpu-multilingual"]["calibrated"] == "no: min_similarity"
    doctor = rag(home, "doctor", env={"RAG_PROFILE": "gpu-32gb"}).stdout
    assert "thresholds" in doctor
    assert "uncalibrated" in doctor


def test_the_plan_counts_the_embedder_of_the_live_generation(home: Path) -> None:
    def live(number: int, model_id: str, revision: str) -> None:
        store = LakeStore(str(home / "lake"))
        models = {"embedder": {"model_id": model_id, "revision": revision}}
        made = Generation(f"g{number:06d}-x", "", 1, "", models, {}, {}, "r")
        store.put_record(f"{generations.FOLDER}/{made.id}", asdict(made))
        store.put_record(generations.LIVE, asdict(generations.Live(made.id, 1, "", "", made.id)))

    def engines(profile: str) -> list[str]:
        said = rag(home, "plan", "serving", "--profile", profile, "--memory", "64", "--json").stdout
        return [
            "earlier" if one["is_earlier"] else one["role"] for one in json.loads(said)["engines"]
        ]

    assert engines("cpu") == ["slm", "llm", "embedder"]
    spec = load_profile("cpu").spec("embedder")
    live(1, spec.model_id, spec.revision)
    assert engines("cpu") == ["slm", "llm", "embedder"]
    assert engines("cpu-multilingual") == ["slm", "llm", "embedder", "earlier"]
    live(2, "somebody/gone", "1")
    done = rag(home, "plan", "serving", "--memory", "64")
    assert "is not counted: no profile has the embedder somebody/gone" in done.stdout
