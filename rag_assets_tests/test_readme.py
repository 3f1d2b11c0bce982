"""README and CONTRIBUTING say what is true: their commands exist, their snippets run."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from rag_assets.cli.main import app

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", "CONTRIBUTING.md"]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def command_lines() -> list[str]:
    lines = []
    for page in PAGES:
        for block in blocks(page, "bash"):
            lines += [line.split("  #")[0].strip() for line in block.splitlines() if line.strip()]
    return [line for line in lines if line and not line.startswith("#")]


def rag_lines() -> list[list[str]]:
    found = []
    for line in command_lines():
        words = shlex.split(line)
        words = words[next((i for i, w in enumerate(words) if "=" not in w), 0) :]
        if words and words[0].split("/")[-1] == "rag":
            found.append(words[1:])
    return found


@pytest.mark.parametrize("words", rag_lines(), ids=" ".join)
def test_rag_lines_parse(words: list[str]) -> None:
    """Every `rag ...` line names a command that exists, with options that it takes."""
    command = typer.main.get_command(app)
    for word in list(words):
        subcommands = getattr(command, "commands", None)
        if subcommands is None:
            break
        command = subcommands[word]
        words = words[1:]
    command.make_context("rag", list(words))


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {words[1] for words in map(shlex.split, command_lines()) if words[0] == "make"}
    assert named
    assert named <= targets


def test_ci_runs_what_the_readme_says() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    assert "make test" in command_lines()


def test_settings_in_the_readme_are_the_settings() -> None:
    from rag_assets import settings

    known = set(re.findall(r"^(RAG_\w+)", settings.__doc__ or "", re.MULTILINE))
    read = set(re.findall(r'"(RAG_\w+)"', Path(settings.__file__).read_text()))
    assert read <= known
    assert set(re.findall(r"RAG_[A-Z_]+", (ROOT / "README.md").read_text())) <= known
