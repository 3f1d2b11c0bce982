import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rag_assets.cli import main as _commands  # noqa: F401 - registers them
from rag_assets.cli.app import app
from rag_assets.cli.processes import ago
from rag_assets.orchestration import status as status_of
from rag_assets.orchestration.status import Row

ROWS = [
    Row("keeper", "up", 12, 93_784.0, 50 << 20),
    Row(
        "webserver", "waiting", restarts=12, last_error="ended; its log ends: no space " + "x" * 90
    ),
    Row("slm", "up", 14, 59.0, 1_700 << 20, 1, "the engine of slm was stopped by a signal"),
]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Row]:
    rows = list(ROWS)
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    monkeypatch.setattr(status_of, "status", lambda _settings: rows)
    return rows


def test_one_screen_of_80_columns(
    shown: list[Row], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rag_assets.cli.console.out.width", 80)
    done = CliRunner().invoke(app, ["status"])
    said = done.stdout
    assert done.exit_code == 1  # one part waits
    assert max(map(len, said.splitlines())) <= 80
    assert len(said.splitlines()) <= 24
    assert "1 d 2 h" in said
    assert "1,700 MiB" in said
    shown[1] = Row("webserver", "up", 13, 3.0, 1 << 20)
    assert CliRunner().invoke(app, ["status"]).exit_code == 0


def test_json_has_every_figure(shown: list[Row]) -> None:
    done = CliRunner().invoke(app, ["status", "--json"])
    read = json.loads(done.stdout)
    assert [row["part"] for row in read] == ["keeper", "webserver", "slm"]
    assert read[0] == {
        "part": "keeper", "phase": "up", "pid": 12, "up_s": 93_784.0, "memory_bytes": 50 << 20,
        "restarts": 0, "last_error": "",
    }  # fmt: skip


def test_nothing_runs(shown: list[Row]) -> None:
    shown.clear()
    done = CliRunner().invoke(app, ["status"])
    assert done.exit_code == 1
    assert "start it with `rag up`" in done.stdout


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.9, "0 s"), (61, "1 min 1 s"), (3600, "1 h 0 min"), (90_061, "1 d 1 h")],
)
def test_spans_have_two_units(seconds: float, text: str) -> None:
    assert ago(seconds) == text
