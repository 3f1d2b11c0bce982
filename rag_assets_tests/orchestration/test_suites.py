"""Suites as Dagster runs, from the command down; only the models are fakes."""

import re
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest

from rag_assets.cli import main as cli
from rag_assets.definitions import defs
from rag_assets.errors import CommandError
from rag_assets.lake import generations
from rag_assets.lake.store import LakeStore
from rag_assets.models.clients.roles import Models
from rag_assets.models.errors import EngineUnavailableError
from rag_assets.orchestration import refreshing as operations
from rag_assets.orchestration.in_process import evaluate_suites
from rag_assets.orchestration.instance import open_instance
from rag_assets.orchestration.resources import ModelsResource
from rag_assets.orchestration.run_processes import PROCESS
from rag_assets_tests.answers.fakes import Call, ScriptedChat
from rag_assets_tests.evaluations.lab import Bench, model
from rag_assets_tests.world import CountingEmbedder


@pytest.fixture
def home(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """An installation with golden questions; its engines are fakes."""
    bench.golden("docs")
    monkeypatch.setenv("RAG_HOME", str(bench.settings.home))
    monkeypatch.setenv("RAG_EVAL_DATA", str(bench.data))
    monkeypatch.setenv("DAGSTER_HOME", "")
    for name in ("RAG_LAKE", "RAG_STATE", "RAG_POSTGRES_URL", "RAG_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    speak(monkeypatch)
    monkeypatch.setattr(Models, "embedder_for", lambda *_: CountingEmbedder())
    monkeypatch.setattr(operations.stack, "start_engines", lambda *_: None)
    return bench


def speak(monkeypatch: pytest.MonkeyPatch, reply: Any = model) -> None:  # noqa: ANN401
    for role in ("slm", "llm"):
        chat = ScriptedChat(role, reply, f"fake/{role}")
        monkeypatch.setattr(ModelsResource, role, property(lambda _, chat=chat: chat))


def run(bench: Bench, suites: list[str], **config: object) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    show = found.__setitem__
    operations.evaluate(bench.settings, suites, config, bench.lines.append, show)  # type: ignore[arg-type]
    return found


def cases(bench: Bench, suite: str) -> list[dict[str, Any]]:
    return LakeStore(bench.settings.lake_uri).rows("evaluation_cases", suite)


def test_golden_is_the_products_suite() -> None:
    job = defs().get_repository_def().get_job("evaluate_job")
    keys = [key.to_user_string() for key in job.asset_layer.executable_asset_keys]
    assert keys == ["golden_results"]


def test_results_are_in_the_run_the_lake_and_the_page(home: Bench) -> None:
    texts = run(home, ["golden"], seed=3)
    assert set(texts["golden"]) == {"figures", "comparisons", "plot"}
    assert "| golden | product | 3 |" in texts["golden"]["figures"]
    rows = cases(home, "golden")
    assert len(rows) == 3 + 2 + 2
    assert len({row["run_id"] for row in rows}) == 1
    with open_instance() as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("golden_results"))
        assert event is not None
        assert event.run_id == rows[0]["run_id"]
        assert event.asset_materialization is not None
        metadata = event.asset_materialization.metadata
        recorded = instance.get_run_by_id(event.run_id)
    assert recorded is not None
    assert (recorded.job_name, recorded.is_success) == ("evaluate_job", True)
    assert metadata["dagster/row_count"].value == 7
    assert metadata["failed"].value == 0
    report = Path(str(metadata["report"].value))
    assert "--seed 3" in report.read_text()
    assert any(line.startswith("  golden_results has 7 rows") for line in home.lines)


def test_a_second_run_replays_and_adds_its_rows(
    home: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(home, ["golden"])

    def never(_: Call) -> str:
        raise AssertionError("all of this was said before")

    speak(monkeypatch, never)
    run(home, ["golden"])
    rows = cases(home, "golden")
    assert len(rows) == 14
    assert len({row["run_id"] for row in rows}) == 2
    first, second = rows[:7], rows[7:]
    assert [(r["answer"], r["scores"], r["use"]) for r in first] == [
        (r["answer"], r["scores"], r["use"]) for r in second
    ]
    assert not any(r["replayed"] for r in first)
    assert all(r["replayed"] for r in second if r["use"] != "{}")


def test_an_engine_that_dies_fails_the_run_and_keeps_what_was_said(
    home: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def twice(call: Call) -> Any:  # noqa: ANN401
        if len(said) == 2:
            raise EngineUnavailableError("the slm engine is gone; run `rag up`")
        said.append("x")
        return model(call)

    speak(monkeypatch, twice)
    with pytest.raises(CommandError, match="the slm engine is gone") as caught:
        run(home, ["golden"])
    assert re.search(r"run [0-9a-f-]{36} of evaluate_job failed", str(caught.value))
    assert cases(home, "golden") == []
    (path,) = home.settings.evaluations.glob("completions-*.sqlite")
    with sqlite3.connect(path) as database:
        kept = database.execute("SELECT made FROM completions").fetchall()
    assert sum("finish_reason" in row[0] for row in kept) == 2


def test_no_such_slice_is_a_sentence(home: Bench) -> None:
    with pytest.raises(CommandError, match="has no results: do the slices asked for exist"):
        run(home, ["golden"], slices={"kind": "absent"})


def test_an_older_generation(home: Bench) -> None:
    store = LakeStore(home.settings.lake_uri)
    older = generations.generation_ids(store)[0]
    run(home, ["golden"], generation=older)
    with pytest.raises(CommandError, match="no-such"):
        run(home, ["golden"], generation="no-such")


def test_run_of_a_killed_command_is_closed(home: Bench) -> None:
    with open_instance() as instance:
        run_id = str(uuid4())
        killed = instance.create_run_for_job(
            job_def=dg.GraphDefinition(name="x").to_job(),
            run_id=run_id,
            status=dg.DagsterRunStatus.STARTED,
            tags={PROCESS: f"1 1 another-start {socket.gethostname()} {run_id}"},
        )
        assert evaluate_suites(instance, ["golden"], {}, home.lines.append).succeeded
        found = instance.get_run_by_id(killed.run_id)
    assert found is not None
    assert found.status == dg.DagsterRunStatus.FAILURE


# The command

Asked = list[tuple[list[str], dict[str, Any]]]
Show = Callable[[str, dict[str, str]], None]
PLAIN = {"slices": {}, "seed": 20261122}


@pytest.fixture
def asked(home: Bench, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What a command asks for, which is not run."""
    found: Asked = []

    def run(
        _: object, suites: list[str], config: dict[str, Any], __: object, show: Show, **___: object
    ) -> None:
        found.append((suites, config))
        for name in suites:
            show(name, {"figures": f"figures of {name}"})

    monkeypatch.setattr(operations, "evaluate", run)
    return found


def evaluate(*arguments: str) -> None:
    cli.app(["evaluate", *arguments], standalone_mode=False)


@pytest.mark.parametrize(
    ("arguments", "config"),
    [
        ("", {}),
        ("--limit 0 --seed 7", {"limit": 0, "seed": 7}),
        ("--slice kind=a=b --generation g", {"slices": {"kind": "a=b"}, "generation": "g"}),
    ],
)
def test_what_the_command_asks_for(
    asked: Asked, arguments: str, config: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(*arguments.split())
    assert asked == [(["golden"], {**PLAIN, **config})]
    assert "figures of golden" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "word"), [("--slice squad2", "squad2"), ("--slice a=1 --slice a=2", "once")]
)
def test_what_is_no_slice_is_a_wrong_request(asked: Asked, arguments: str, word: str) -> None:
    with pytest.raises(CommandError, match=word) as caught:
        evaluate(*arguments.split())
    assert caught.value.exit_code == 2
    assert asked == []
