"""README, CONTRIBUTING and docs/ are true: links resolve, commands exist, snippets are Python."""

import ast
import importlib.util
import re
import shlex
from pathlib import Path
from urllib.parse import unquote

import pytest
import typer

from rag_assets.cli.main import app

ROOT = Path(__file__).parent.parent
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")),
]
MOST_WORDS = 900
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def text(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def prose(page: str) -> str:
    """The page without its code blocks."""
    return FENCE.sub("", text(page))


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text(page), re.DOTALL | re.MULTILINE)


def command_lines() -> list[str]:
    """Lines of all shell blocks without comments, and code between backticks that is a command."""
    lines = []
    for page in PAGES:
        for block in blocks(page, "bash"):
            lines += block.replace("\\\n", " ").splitlines()
        lines += re.findall(r"`((?:rag|make|python -m) [^`\n]+)`", prose(page))
    stripped = (line.split("  #")[0].split(" # ")[0].strip() for line in lines)
    return list(dict.fromkeys(line for line in stripped if line and not line.startswith("#")))


def commands(first: str) -> list[list[str]]:
    """The words of each command line that runs this program, without settings before it."""
    found = []
    for line in command_lines():
        words = shlex.split(line)
        words = words[next((i for i, w in enumerate(words) if "=" not in w), 0) :]
        if words and words[0].split("/")[-1] == first:
            found.append(words[1:])
    return found


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ +(.+)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_is_short() -> None:
    words = prose("README.md").split()
    assert len(words) <= MOST_WORDS, f"{len(words)} words outside code, at most {MOST_WORDS}"


@pytest.mark.parametrize("page", PAGES)
def test_links_resolve(page: str) -> None:
    broken = []
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


def test_every_page_is_reached_from_the_readme() -> None:
    linked = {unquote(link).partition("#")[0] for link in LINK.findall(prose("README.md"))}
    assert {page for page in PAGES[1:] if page.count("/") < 2} <= linked


@pytest.mark.parametrize("words", commands("rag"), ids=" ".join)
def test_rag_lines_parse(words: list[str]) -> None:
    """Every `rag ...` line names a command that exists, with options that it takes."""
    command = typer.main.get_command(app)
    for word in list(words):
        subcommands = getattr(command, "commands", None)
        if subcommands is None:
            break
        command = subcommands[word]
        words = words[1:]
    if words:  # a command may be named alone, without the arguments that it needs
        command.make_context("rag", list(words))


def test_modules_exist() -> None:
    named = {words[1] for words in commands("python") if words[:1] == ["-m"]}
    ours = {name for name in named if name.startswith("rag_assets")}
    assert ours
    assert [name for name in sorted(ours) if importlib.util.find_spec(name) is None] == []


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", text("Makefile"), re.MULTILINE))
    named = {words[0] for words in commands("make")}
    assert named
    assert named <= targets


@pytest.mark.parametrize("page", PAGES)
def test_python_blocks_are_python(page: str) -> None:
    for block in blocks(page, "python"):
        ast.parse(block)


def test_ci_runs_what_the_readme_says() -> None:
    assert "make test" in text(".ci/run")
    assert ["test"] in commands("make")


def test_settings_in_the_docs_are_the_settings() -> None:
    from rag_assets import settings

    known = set(re.findall(r"^(RAG_\w+)", settings.__doc__ or "", re.MULTILINE))
    read = set(re.findall(r'"(RAG_\w+)"', Path(settings.__file__).read_text()))
    pages = [page for page in PAGES if page != "CONTRIBUTING.md"]  # which names those of the tests
    named = {page: set(re.findall(r"RAG_[A-Z_]*[A-Z]", text(page))) for page in pages}
    assert read <= known
    assert {page: names - known for page, names in named.items() if names - known} == {}
    assert known <= named["docs/operating.md"]
