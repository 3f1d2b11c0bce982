"""``rag ask --file``: what a user sees of a batch."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rag_assets.batches.questions import Row
from rag_assets.cli import asking_files
from rag_assets.serving.client import AnswererClient, AnswererError
from rag_assets_tests.batches.files import record
from rag_assets_tests.cli.test_main import rag, refused


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With an answerer that answers all but what is empty."""

    def ask(
        self: AnswererClient,
        question: str,
        mode: str = "auto",
        filters: Mapping[str, Any] | None = None,
        *,
        batch: bool = False,
    ) -> dict[str, Any]:
        if not question:
            raise AnswererError("the question is empty", 422)
        return record(Row(0, question, mode), f"{question} in mode {mode}, {filters}")

    monkeypatch.setattr(AnswererClient, "concurrency", lambda self: 2)
    monkeypatch.setattr(AnswererClient, "ask", ask)
    (tmp_path / "sources.yaml").write_text("sources: []\n")
    (tmp_path / "q.csv").write_text("id,question\n1,Who?\n2,When?\n")
    return tmp_path


def test_a_file_of_questions_becomes_one_of_answers(home: Path) -> None:
    arguments = ["--file", str(home / "q.csv"), "--out", str(home / "a.csv"), "--mode", "fact"]
    arguments += ["--source", "fleet"]
    done = rag(home, "ask", *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "0 of 2 questions" in done.stderr
    assert "2 of 2 questions\n" in done.stderr
    assert f"the answers are in {home / 'a.csv'}" in done.stderr
    with (home / "a.csv").open(newline="") as file:
        made = [(row["id"], row["answer"]) for row in csv.DictReader(file)]
    how = "in mode fact, {'source': ['fleet']}"
    assert made == [("1", f"Who? {how}"), ("2", f"When? {how}")]
    refused(rag(home, "ask", *arguments), 2, "a.csv is there already")


def test_failed_questions_are_counted(home: Path) -> None:
    (home / "q.csv").write_text("id,question\n1,\n2,When?\n")
    done = rag(home, "ask", "--file", str(home / "q.csv"), "--out", str(home / "a.jsonl"))
    refused(done, 1, "1 of 2 questions could not be answered; the column error of", "1 failed")
    assert "the question is empty" in (home / "a.jsonl").read_text()


def test_a_bar_shows_how_far_it_is_in_a_terminal(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(asking_files.err, "_force_terminal", True)
    done = rag(home, "ask", "--file", str(home / "q.csv"), "--out", str(home / "a.csv"))
    assert done.returncode == 0, done.stderr
    assert "━" in done.stderr
    assert "2 of 2 questions" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "expected either a question or --file FILE"),
        (["Who?", "--file", "q.csv"], "expected either a question or --file FILE"),
        (["--file", "q.csv"], "expected --out FILE beside --file"),
        (["--file", "q.txt", "--out", "a.csv"], "q.txt: expected a name that ends with"),
        (["--file", "{home}/q.csv", "--out", "a.txt"], "a.txt: expected a name that ends with"),
        (["Who?", "--out", "a.csv"], "expected --file FILE beside --out"),
    ],
)
def test_wrong_arguments_are_told(home: Path, arguments: list[str], sentence: str) -> None:
    given = [argument.replace("{home}", str(home)) for argument in arguments]
    refused(rag(home, "ask", *given), 2, sentence)


def test_without_an_answerer_nothing_begins(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    done = rag(home, "ask", "--file", str(home / "q.csv"), "--out", str(home / "a.csv"))
    refused(done, 1, "the answerer does not run at", "start it with `rag up`")
    assert not list(home.glob("a.csv*"))
