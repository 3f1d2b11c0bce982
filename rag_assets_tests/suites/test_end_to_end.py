"""A suite on real engines: killed in the middle, run again, and what it leaves behind."""

import json
import re
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

from rag_assets.evaluations.golden import CLOSED_BOOKS, PRODUCT
from rag_assets.lake.store import LakeStore
from rag_assets.orchestration.instance import open_instance
from rag_assets_tests.conftest import Engines
from rag_assets_tests.suites.bench import asked, write_qa
from rag_assets_tests.suites.public import GIVEN

pytestmark = pytest.mark.engines

FACTS = {
    "Alder": "MV Alder is a ferry. She was built in 1994 by Hestvik Yard and carries 42 cars.",
    "Tern": "HSC Tern is a fast catamaran. She was launched in 2003 and reaches 28 knots.",
    "Kelva": "Kelva is the largest island. Its lighthouse was first lit in 1871 by Ada Holm.",
    "Rowan": "MV Rowan sails on Route 5. Her engines were replaced in 2011 after a fire.",
    "Lissmar": "The harbour of Lissmar has a linkspan. It can lift 60 tonnes at any tide.",
    "Utgrund": "The reef of Utgrund was charted by a survey ship. Seals rest there in winter.",
}
ANSWERS = {"Alder": 1994, "Tern": 2003, "Kelva": 1871, "Rowan": 2011}
QUESTIONS = {
    "Alder": "When was MV Alder built?",
    "Tern": "When was HSC Tern launched?",
    "Kelva": "When was the lighthouse of Kelva first lit?",
    "Rowan": "When were the engines of MV Rowan replaced?",
    "Lissmar": "Who designed the linkspan of Lissmar?",
    "Utgrund": "When was the reef of Utgrund charted?",
}
COMMAND = [sys.executable, "-u", "-m", "rag_assets_tests.suites", "answers", "--slice",
           "dataset=squad2", "--limit", "3"]  # fmt: skip


@pytest.fixture
def home(engines: Engines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    documents: list[dict[str, object]] = [
        {"id": f"d-{name}", "title": name, "text": text, "lang": "en"}
        for name, text in FACTS.items()
    ]
    questions = [
        {**asked(name, ANSWERS.get(name)), "question": QUESTIONS[name]} for name in QUESTIONS
    ]
    write_qa(tmp_path / "data", "squad2", documents, questions)
    monkeypatch.setenv("RAG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RAG_EVAL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("RAG_STATE", str(engines.state_dir))
    monkeypatch.setenv("RAG_ANSWERER_PORT", "18480")
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.delenv("RAG_LAKE", raising=False)
    monkeypatch.delenv("RAG_POSTGRES_URL", raising=False)
    return tmp_path / "home"


def completions(home: Path) -> dict[str, str]:
    """Key -> record of every call that was made and kept."""
    paths = list((home / "evaluations").glob("completions-*.sqlite"))
    path = paths[0] if paths else home / "absent"
    if not path.is_file():
        return {}
    with sqlite3.connect(path, timeout=60) as database:
        tables = database.execute("SELECT name FROM sqlite_master").fetchall()
        rows = database.execute("SELECT key, made FROM completions").fetchall() if tables else []
    return {key: made for key, made in rows if "finish_reason" in json.loads(made)}


def killed_after(home: Path, n_made: int, deadline_s: float = 1200) -> dict[str, str]:
    """Run the command, kill it once so many calls were kept; what was kept then."""
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        give_up = time.monotonic() + deadline_s
        while len(completions(home)) < n_made:
            if process.poll() is not None or time.monotonic() > give_up:
                process.kill()
                said = b"" if process.stdout is None else process.stdout.read()
                pytest.fail(said.decode()[-3000:])
            time.sleep(0.02)
        process.kill()
    assert process.returncode == -9
    return completions(home)


def test_killed_and_run_again_it_goes_on_where_it_was(home: Path) -> None:
    before = killed_after(home, 2)
    store = LakeStore(str(home / "lake"))
    assert store.partitions("evaluation_cases") == []
    done = subprocess.run(COMMAND, capture_output=True, text=True, check=False, timeout=1500)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    after = completions(home)
    # INSERT OR REPLACE with its seconds and core seconds: a call made anew would differ in them.
    assert before.items() <= after.items()
    assert len(after) > len(before)
    assert "ingesting" not in done.stdout, "the corpus was ingested by the first run"

    rows = store.rows("evaluation_cases", "answers")
    by_variant: dict[str, list[str]] = {}
    for row in rows:
        by_variant.setdefault(row["variant"], []).append(row["case_id"])
    assert len(by_variant[PRODUCT]) == len(by_variant[GIVEN]) == 3
    assert {"hybrid", *CLOSED_BOOKS} < set(by_variant)
    (run_id,) = {row["run_id"] for row in rows}
    uses = [use for row in rows for use in json.loads(row["use"]).values()]
    assert uses
    assert all(use["prompt_tokens"] > 0 and use["core_seconds"] > 0 for use in uses)
    assert any(row["replayed"] for row in rows)
    assert not any(row["error"] for row in rows)
    answered = [row for row in rows if row["variant"] == PRODUCT and row["answerable"]]
    assert any(json.loads(row["scores"])["correct"] == 1 for row in answered)

    (report,) = (home / "evaluations" / "reports").glob("answers-*.html")
    page = re.sub(r'xmlns(:\w+)?="[^"]*"', "", report.read_text())
    assert "://" not in page
    assert "--slice dataset=squad2" in page

    with open_instance() as instance:
        runs = [r for r in instance.get_runs() if r.job_name == "evaluate_job"]
        event = instance.get_latest_materialization_event(dg.AssetKey("answers_results"))
    assert {run.run_id: run.status.value for run in runs}.pop(run_id) == "SUCCESS"
    assert sorted(run.status.value for run in runs) == ["FAILURE", "SUCCESS"]
    assert event is not None
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    assert metadata["dagster/row_count"].value == len(rows)
    assert f"| squad2 | {PRODUCT} | 3 |" in str(metadata["figures"].value)
