"""The whole line on models that somebody else serves, behind a gateway that wants a key."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest

from rag_assets.serving.client import AnswererClient, AnswererError
from rag_assets_tests import gateway as gateways
from rag_assets_tests.conftest import Engines
from rag_assets_tests.gateway import FAULTS, KEY, Gateway

pytestmark = pytest.mark.engines

PORT = "18471"
TEXT = "# MV Tern\n\nMV Tern was built in 2003 at the yard of Kleven. She carries 140 passengers.\n"
QUESTION = "When was MV Tern built?"
PROFILE = """
name: theirs
description: All models behind a gateway.
roles:
  slm:
    endpoint: {{base_url: "{url}/v1", model: "{slm}", api_key_env: THEIR_KEY, timeout_s: 240}}
  llm:
    same_as: slm
  embedder:
    endpoint: {{base_url: "{url}/v1", model: "{embedder}", api_key_env: THEIR_KEY, timeout_s: 240}}
answering: {{least_odds: -5}} # the small model reads: it is less sure than a large one
"""


@pytest.fixture(scope="module")
def gateway(engines: Engines) -> Iterator[Gateway]:
    specs = [engines.profile.spec("slm"), engines.profile.spec("embedder")]
    with gateways.running({spec.served_name: spec.url for spec in specs}) as made:
        yield made


@pytest.fixture(scope="module")
def home(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("theirs")
    (home / "docs").mkdir()
    (home / "docs" / "tern.md").write_text(TEXT)
    (home / "sources.yaml").write_text(
        "sources:\n  - {name: docs, kind: folder, where: docs, enrich: false}\n"
    )
    (home / "profiles").mkdir()
    embedder, slm = sorted(gateway.servers, key=lambda name: "minilm" not in name.lower())
    profile = PROFILE.format(url=gateway.url, slm=slm, embedder=embedder)
    (home / "profiles" / "theirs.yaml").write_text(profile)
    return home


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RAG_", "DAGSTER_"))}
    named = {"RAG_HOME": str(home), "RAG_PROFILE": "theirs", "RAG_ANSWERER_PORT": PORT}
    # no weights, and no engine could start: none is needed
    return {**kept, **named, "RAG_CACHE": str(home / "cache"), "THEIR_KEY": KEY, **more}


def rag(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rag_assets", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=600,
        env=environment(home, **more),
    )  # fmt: skip


@pytest.fixture(scope="module")
def refreshed(home: Path) -> Path:
    done = rag(home, "refresh")
    assert done.returncode == 0, done.stderr
    return home


@pytest.fixture(scope="module")
def client(refreshed: Path) -> Iterator[AnswererClient]:
    with (refreshed / "answerer.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "rag_assets.serving"],
            stdout=log, stderr=log, env=environment(refreshed),
        )  # fmt: skip
    client = AnswererClient(f"http://127.0.0.1:{PORT}")
    while not client.is_up():
        assert process.poll() is None, (refreshed / "answerer.log").read_text()
        time.sleep(0.2)
    yield client
    process.terminate()
    assert process.wait(60) == 0


def test_a_wrong_key_an_unknown_model_and_a_server_that_is_away_are_a_sentence(
    home: Path, gateway: Gateway
) -> None:
    wrong = rag(home, "refresh", THEIR_KEY="sk-wrong")
    assert wrong.returncode == 1
    assert "refused access with status 401 (correct the key in THEIR_KEY)" in wrong.stderr
    assert "sk-wrong" not in wrong.stderr
    lacking = rag(home, "doctor", THEIR_KEY="")
    assert "THEIR_KEY is not set" in lacking.stdout
    known = home / "profiles" / "theirs.yaml"
    for name, old, new, said in (
        ("other", "minilm", "maxilm", "name one that it has in the profile"),
        ("away", gateway.url, "http://127.0.0.1:9", "start that server, or correct base_url"),
    ):
        text = known.read_text().replace("name: theirs", f"name: {name}").replace(old, new)
        (home / "profiles" / f"{name}.yaml").write_text(text)
        failed = rag(home, "refresh", RAG_PROFILE=name)
        assert failed.returncode == 1
        assert said in failed.stderr
        assert "Traceback" not in failed.stderr


def test_an_answer_comes_of_endpoints_alone(client: AnswererClient, refreshed: Path) -> None:
    assert client.readiness() == ""
    record = client.ask(QUESTION)
    assert "2003" in record["answer"]
    assert record["citations"]
    written = client.ask("Describe MV Tern in a sentence.")
    assert written["budget"]["llm"]["counted"] == "as an upper bound"  # it hands on no /tokenize
    assert not (refreshed / "run" / "engines.json").exists()
    doctor = rag(refreshed, "doctor")
    assert doctor.returncode == 0, doctor.stdout
    assert "engine, " not in doctor.stdout
    assert "dimension 384" in doctor.stdout


def test_through_faults_there_is_an_answer_or_one_error_never_a_wrong_answer(
    client: AnswererClient, gateway: Gateway
) -> None:
    """``RAG_TEST_FAULTS`` questions; a few more than there are faults, if it is not set."""
    gateway.faults = cycle([*FAULTS, "", ""])
    answers, errors = 0, []
    try:
        for _ in range(int(os.environ.get("RAG_TEST_FAULTS", len(FAULTS)))):
            try:
                record = client.ask(QUESTION)
                assert "2003" in record["answer"], record
                answers += 1
            except AnswererError as error:
                errors.append((error.status, str(error)))
    finally:
        gateway.faults = cycle([""])
    assert set(FAULTS) <= set(gateway.met)
    assert answers
    assert {status for status, _ in errors} <= {502, 503}
    assert all("\n" not in said for _, said in errors)
    sys.stdout.write(f"{answers} answers, {len(errors)} errors: {errors}\n")  # shown with -s


def test_the_key_is_in_no_file(client: AnswererClient, refreshed: Path) -> None:
    files = [path for path in refreshed.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


def test_readiness_says_that_the_gateway_is_away(client: AnswererClient, gateway: Gateway) -> None:
    servers, gateway.servers = gateway.servers, {"another": next(iter(gateway.servers.values()))}
    try:
        end = time.monotonic() + 60
        while not (said := client.readiness()) and time.monotonic() < end:
            time.sleep(1)
    finally:
        gateway.servers = servers
    assert "knows no model" in said
