"""The command of the suites, and suites as Dagster runs; only the models are fakes."""

from typing import Any

import pytest

from rag_assets.errors import CommandError
from rag_assets.orchestration import refreshing as operations
from rag_assets_tests.evaluations.lab import Bench
from rag_assets_tests.orchestration.test_suites import PLAIN, Asked, asked, cases, home
from rag_assets_tests.suites.__main__ import app
from rag_assets_tests.suites.bench import write_judged
from rag_assets_tests.suites.definitions import defs
from rag_assets_tests.suites.registry import PARTS, SUITES

__all__ = ["asked", "home"]


def evaluate(*arguments: str) -> None:
    app([*arguments], standalone_mode=False)


@pytest.fixture(autouse=True)
def _data(home: Bench) -> None:
    write_judged(home.data, "cisi", 4)


def test_every_suite_is_an_asset_of_the_job() -> None:
    job = defs().get_repository_def().get_job("evaluate_job")
    names = {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
    assert names == {f"{name}_results" for name in ("golden", *SUITES)}
    assert set(PARTS) == set(SUITES)
    assert all(suite.command.endswith(f".suites {name}") for name, suite in SUITES.items())


@pytest.mark.parametrize(
    ("arguments", "suites", "config"),
    [
        ("", ["retrieval", "answers", "languages", "conflicts"], {}),
        ("answers ladders answers", ["answers", "ladders"], {}),
        ("ablation --limit 0", ["ablation"], {"limit": 0}),
        ("--slice dataset=squad2 --seed 7", ["answers"],
         {"slices": {"dataset": "squad2"}, "seed": 7}),
        ("--slice dataset=batching", ["ladders"], {"slices": {"dataset": "batching"}}),
    ],
)  # fmt: skip
def test_what_the_command_asks_for(
    asked: Asked, arguments: str, suites: list[str], config: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    evaluate(*arguments.split())
    assert asked == [(suites, {**PLAIN, **config})]
    assert all(f"figures of {suite}" in capsys.readouterr().out for suite in suites[:1])


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ("answers speed", "speed"),
        ("--slice squad2", "squad2"),
        ("--slice a=1 --slice a=2", "each name once"),
        ("--slice dataset=squad3", "squad2, hotpotqa"),
        ("retrieval --slice dataset=squad2", "scifact, cranfield, cisi, dbpedia"),
    ],
)
def test_what_does_not_exist_is_a_wrong_request(asked: Asked, arguments: str, word: str) -> None:
    with pytest.raises(CommandError, match=word) as caught:
        evaluate(*arguments.split())
    assert caught.value.exit_code == 2
    assert asked == []


def test_some_suites_have_questions_without_public_data(
    asked: Asked, home: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_EVAL_DATA", str(home.folder / "absent"))
    evaluate("ablation")
    evaluate("ablation", "wordings")
    assert asked == [(["ablation"], PLAIN), (["ablation", "wordings"], PLAIN)]
    with pytest.raises(CommandError, match="RAG_EVAL_DATA"):
        evaluate("wordings", "injection")
    with pytest.raises(CommandError, match="RAG_EVAL_DATA"):
        evaluate()


def test_two_suites_in_one_run_are_configured_alike(home: Bench) -> None:
    for name in ("scifact", "cranfield", "dbpedia"):
        write_judged(home.data, name, 4)
    texts: dict[str, Any] = {}
    operations.evaluate(
        home.settings, ["golden", "retrieval"], {"limit": 2}, home.lines.append,
        texts.__setitem__, definitions=defs,
    )  # fmt: skip
    assert set(texts) == {"golden", "retrieval"}
    assert "| cisi | hybrid | 2 |" in texts["retrieval"]["figures"]
    assert len([r for r in cases(home, "golden") if r["variant"] == "product"]) == 2
    runs = {row["run_id"] for suite in texts for row in cases(home, suite)}
    assert len(runs) == 1
