"""``rag`` as a user meets it when something is wrong: a sentence, an exit code, nothing lost."""

import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import click
import dagster as dg
import pytest
import typer
from typer.testing import CliRunner

from rag_assets.cli.main import app, main
from rag_assets.lake.store import FORMAT, FORMAT_RECORD, LakeStore
from rag_assets.sources.declaration import Source
from rag_assets_tests.world import ingest

Run = subprocess.CompletedProcess[str]


def rag(home: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Run:
    """``rag`` in this process: starting one costs more than what most of these tests do."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RAG_", "DAGSTER_"))}
    given = {"RAG_HOME": str(home), "RAG_ANSWERER_PORT": "18460", "RAG_ENGINE_PORT_BASE": "18461"}
    stdout, stderr, code = io.StringIO(), io.StringIO(), 0
    with (
        patch.dict(os.environ, {**kept, **given, **(env or {})}, clear=True),
        patch.object(sys, "argv", ["rag", *arguments]),
        redirect_stdout(stdout),
        redirect_stderr(stderr),
    ):
        try:
            main()
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 1
    return Run(arguments, code, stdout.getvalue(), stderr.getvalue())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("The lighthouse keeper is Ada Holm.")
    (tmp_path / "sources.yaml").write_text(
        "sources:\n  - name: docs\n    kind: folder\n    where: docs\n"
    )
    return tmp_path


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield int(listener.getsockname()[1])


def refused(done: Run, code: int, *words: str) -> None:
    assert done.returncode == code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout
    for word in words:
        assert word in done.stderr, done.stderr


def test_help_lists_the_commands() -> None:
    command = [sys.executable, "-m", "rag_assets", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    for command in ("demo", "up", "down", "refresh", "ask", "generations", "rollback", "trace",
                    "evaluate", "calibrate", "models", "doctor", "engines", "init"):  # fmt: skip
        assert command in done.stdout


def commands_below(command: click.Command, *path: str) -> Iterator[tuple[str, ...]]:
    yield path
    for name, below in getattr(command, "commands", {}).items():
        yield from commands_below(below, *path, name)


@pytest.mark.parametrize("path", [*commands_below(typer.main.get_command(app))], ids="-".join)
def test_help_is_whole_at_80_columns(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*path, "--help"], env={"TERMINAL_WIDTH": "80"})
    assert shown.exit_code == 0
    assert "…" not in shown.output
    assert max(map(len, shown.output.splitlines())) <= 80


def no_definitions() -> dg.Definitions:
    raise KeyError("no such\nstage")


@pytest.mark.parametrize(
    ("place", "got"),
    [
        ("boom:x", "ModuleNotFoundError: No module named 'boom'"),
        ("os:nothing", "AttributeError"),
        ("os:getcwd", "there"),
        ("os:sep", "'/' there"),
        (f"{__name__}:no_definitions", "KeyError"),
    ],
)
@pytest.mark.parametrize("command", ["plan refresh", "refresh", "upkeep", "evaluate"])
def test_definitions_that_are_none(home: Path, command: str, place: str, got: str) -> None:
    done = rag(home, *command.split(), env={"RAG_DEFINITIONS": place})
    refused(done, 1, "expected RAG_DEFINITIONS to name dagster.Definitions", f"'{place}' gave", got)
    assert done.stderr.count("\n") == 1


def test_ask_without_answerer(home: Path) -> None:
    refused(rag(home, "ask", "who?"), 1, "answerer does not run", "rag up")


def test_calibrate_without_the_file_of_questions(home: Path) -> None:
    asked = "calibrate", "--questions", "absent.jsonl"
    refused(rag(home, *asked), 2, "expected a file of golden questions", "absent.jsonl")


def test_ask_at_a_port_taken_by_something_else(home: Path, taken_port: int) -> None:
    done = rag(home, "doctor", "--json", env={"RAG_ANSWERER_PORT": str(taken_port)})
    assert done.returncode == 1
    findings = {f["what"]: f for f in json.loads(done.stdout)}
    assert findings["answerer"]["found"] == f"port {taken_port} is in use by another program"


def test_refresh_of_an_unknown_source(home: Path) -> None:
    refused(rag(home, "refresh", "dox"), 2, "no source is called dox", "docs")


def test_refresh_of_a_missing_folder(home: Path) -> None:
    refused(rag(home, "refresh", "--path", str(home / "nowhere")), 1, "expected a folder")


def test_refresh_without_weights_where_none_can_be_fetched(home: Path) -> None:
    env = {"RAG_CACHE": str(home / "cache"), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}
    refused(rag(home, "refresh", env=env), 1, "pip could not download", "rag models pull")


def test_lake_that_cannot_be_written(home: Path) -> None:
    (home / "file").write_text("not a folder")
    done = rag(home, "generations", env={"RAG_LAKE": str(home / "file" / "lake")})
    refused(done, 1, "writable folder", "RAG_LAKE")


@pytest.mark.parametrize(
    "command", [["generations"], ["refresh"], ["plan", "refresh"], ["sources"], ["upkeep"]]
)
def test_lake_of_a_newer_version(home: Path, command: list[str]) -> None:
    LakeStore(str(home / "lake")).put_record(FORMAT_RECORD, {"format": FORMAT + 1})
    refused(rag(home, *command), 1, "newer version of rag_assets", "RAG_LAKE")


def test_doctor_tells_of_a_lake_of_a_newer_version(home: Path) -> None:
    LakeStore(str(home / "lake")).put_record(FORMAT_RECORD, {"format": FORMAT + 1})
    assert "newer version of rag_assets" in rag(home, "doctor", "--json").stdout


def test_malformed_sources_file(home: Path) -> None:
    (home / "sources.yaml").write_text("sources: [{name: X, kind: folder, where: docs}]")
    refused(rag(home, "refresh"), 1, "lower-case letters")


FAKE = {"RAG_EMBEDDER": "rag_assets_tests.fakes:FakeEmbedder"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("  - {name: bad, kind: folder, where: x, cron: daily at 3}\n", "line 5: source bad: cron"),
        ("  - {name: docs, kind: folder, where: x}\n", "source docs: another source has the same"),
        ("  - {name: bad: worse}\n", "is not YAML"),
    ],
)
def test_a_bad_entry_is_said_by_every_command(home: Path, more: str, said: str) -> None:
    path = home / "sources.yaml"
    path.write_text(path.read_text() + more)
    for command in ("sources", "plan refresh"):
        refused(rag(home, *command.split(), env=FAKE), 1, said)
    done = rag(home, "doctor", "--json", env=FAKE)
    assert any(said in f["found"] for f in json.loads(done.stdout) if f["level"] == "bad")


def test_doctor_and_plan_say_what_a_refresh_would_not_read(home: Path) -> None:
    (home / "none" / ".git").mkdir(parents=True)
    (home / "sources.yaml").write_text(
        "sources:\n"
        "  - {name: docs, kind: folder, where: docs, golden: nowhere.jsonl}\n"
        "  - {name: gone, kind: folder, where: gone}\n"
        "  - {name: none, kind: folder, where: none}\n"
        "  - {name: zip, kind: archive, where: docs}\n"
    )
    shown = json.loads(rag(home, "doctor", "--json", env=FAKE).stdout)
    found = {f["what"]: (f["level"], f["found"]) for f in shown}
    for name, said in [
        ("docs", "no golden questions at"),
        ("gone", f"{home / 'sources.yaml'}, line 3"),
        ("none", "no file found in"),
        ("zip", "is not a regular file"),
    ]:
        level, problem = found[f"source {name}"]
        assert level == ("note" if name == "none" else "bad")
        assert said in problem
    refused(rag(home, "plan", "refresh", "none", env=FAKE), 1, "source none: no file found in")
    refused(rag(home, "refresh", "none", env=FAKE), 1, "source none: no file found in")
    refused(rag(home, "refresh", "--path", str(home / "none"), env=FAKE), 1, "no file found in")
    listed = rag(home, "sources", "--json", env=FAKE)
    places = {row["source"]: row["declared in"] for row in json.loads(listed.stdout)["sources"]}
    assert places.pop("gone") == f"{home / 'sources.yaml'}, line 3"
    assert "the lake (it was added by --path)" in places.values()


def test_another_number_of_buckets_stops_nobody(home: Path) -> None:
    source = Source("docs", "folder", str(home / "docs"))
    ingest(LakeStore(str(home / "lake")), source, "docs.0")
    (home / "sources.yaml").write_text(
        "sources:\n"
        "  - {name: docs, kind: folder, where: docs, buckets: 2}\n"
        "  - {name: more, kind: folder, where: docs}\n"
    )
    done = rag(home, "plan", "refresh", "--json", env=FAKE)
    refused(done, 1, "docs was first refreshed with `buckets: 1`")
    assert [one["partition"] for one in json.loads(done.stdout)["partitions"]] == ["more.0"]


@pytest.mark.parametrize("text", ["half of {", "[1]", '{"llm": 5}', '"text"'])
def test_damaged_state_is_told(home: Path, text: str) -> None:
    """A full disk or a power cut leaves halves of files."""
    run = home / "run"
    run.mkdir(exist_ok=True)
    for name in ("engines.json", "started.json", "kept.json"):
        (run / name).write_text(text)
        done = rag(home, "doctor", "--json", env=FAKE)
        assert "Traceback" not in done.stderr
        if name == "engines.json":
            found = {f["found"] for f in json.loads(done.stdout) if f["level"] == "bad"}
            assert any(f"{run / name} is damaged" in one for one in found), found
        (run / name).unlink()
    live = home / "lake" / "records" / "live.json"
    live.parent.mkdir(parents=True)
    live.write_text(text.replace('"llm": 5', ""))  # a field too much is of a newer version
    refused(rag(home, "generations", env=FAKE), 1, f"{live} is damaged", "rag refresh")
    findings = {f["what"]: f for f in json.loads(rag(home, "doctor", "--json", env=FAKE).stdout)}
    assert f"{live} is damaged" in findings["lake"]["found"]


def test_doctor_tells_sources_over_each_other(home: Path) -> None:
    (home / "docs2").mkdir()
    (home / "docs2" / "b.md").write_text("text")
    folders = {"docs": "docs", "docs2": "docs2", "again": "docs", "all": "."}
    entries = (f"  - {{name: {name}, kind: folder, where: {at}}}\n" for name, at in folders.items())
    (home / "sources.yaml").write_text("sources:\n" + "".join(entries))
    shown = json.loads(rag(home, "doctor", "--json", env=FAKE).stdout)
    found = {(f["what"], f["found"]) for f in shown if "lies in" in f["found"]}
    assert found == {
        ("source again", "lies in source docs"),
        *((f"source {name}", "lies in source all") for name in ("again", "docs", "docs2")),
    }


def test_only_what_stands_in_no_file_is_removed(home: Path) -> None:
    refused(rag(home, "sources", "remove", "docs"), 2, "declared in", "sources.yaml, line 2")
    refused(rag(home, "sources", "remove", "dox"), 1, "no source is called dox")


def test_nothing_published_yet(home: Path) -> None:
    refused(rag(home, "generations"), 1, "rag refresh")
    refused(rag(home, "rollback"), 1, "no generation is live")


def test_trace_of_an_unknown_answer(home: Path) -> None:
    refused(rag(home, "trace", "answer_0"), 1, "answer_0")


def test_unknown_profile(home: Path) -> None:
    done = rag(home, "models", "pull", env={"RAG_PROFILE": "tpu"})
    refused(done, 1, "tpu", "cpu", "gpu-32gb")


def test_down_when_nothing_runs(home: Path) -> None:
    done = rag(home, "down")
    assert done.returncode == 0
    assert "nothing was running" in done.stdout


def test_doctor_names_what_is_missing_and_the_remedy(home: Path) -> None:
    done = rag(home, "doctor", "--json", env={"RAG_CACHE": str(home / "cache")})
    assert done.returncode == 1
    findings = {f["what"]: f for f in json.loads(done.stdout)}
    assert findings["weights, llm"]["level"] == "bad"
    assert findings["weights, llm"]["remedy"] == "run `rag models pull`"
    assert findings["live generation"]["level"] == "note"
    assert findings["lancedb"]["found"] == "0.40.0"


def test_doctor_says_when_postgres_is_unreachable(home: Path) -> None:
    url = "postgresql://nobody@127.0.0.1:1/none"
    done = rag(home, "doctor", "--json", env={"RAG_POSTGRES_URL": url})
    findings = {f["what"]: f for f in json.loads(done.stdout)}
    assert findings["dagster storage"]["level"] == "bad"
    assert "RAG_POSTGRES_URL" in findings["dagster storage"]["remedy"]


def test_init_keeps_what_is_there_and_says_what_comes_next(home: Path) -> None:
    done = rag(home, "init", str(home))
    assert done.returncode == 0
    assert f"{home / 'sources.yaml'}: was there, kept" in done.stdout
    assert f"{home / '.env'}: written" in done.stdout
    assert "rag engines install" in done.stdout
    assert "where: docs" in (home / "sources.yaml").read_text()


def test_engines_are_not_put_where_something_else_is(home: Path) -> None:
    done = rag(home, "engines", "install", "--into", str(home), "--engine", "cpu")
    refused(done, 1, "expected a virtual environment or an empty folder", "name another")


def test_up_without_vllm_says_how_to_install_it(home: Path) -> None:
    python = str(home / "environment" / "bin" / "python")
    with patch("rag_assets.orchestration.processes.is_pulled", return_value=True):
        done = rag(home, "up", env={"RAG_ENGINE_PYTHON": python})
    refused(done, 1, f"{python} has no vLLM", "rag engines install")
