"""What a command prints is whole, and nothing in it is read as markup."""

import ast
import io
import json
import re
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.table import Table

from rag_assets.cli import console

UGLY = "[/b] <name> __x__ [red]no[/red] :date:"


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    file = io.StringIO()
    monkeypatch.setattr(console, "out", console.VisibleConsole(file=file, width=40))
    return file


def test_a_cell_wider_than_the_terminal_is_folded(printed: io.StringIO) -> None:
    table = Table("what", "found")
    table.add_column("fixed", no_wrap=True)
    table.add_row("q" * 60, UGLY, "z" * 50)
    console.show_table(table)
    text = printed.getvalue()
    assert "…" not in text
    assert (text.count("q"), text.count("z")) == (60, 50)
    assert all(text.count(sign) >= UGLY.count(sign) for sign in UGLY)


# As the sample of copying a log has it: names in angle brackets, two underscores, asterisks.
COMMAND = r"rsync -a <bridge-host>:/var/log/nav <backup-folder>"
SETTING = r"The setting __keep_days__ in C:\_nav\*.ini [red]no[/red] says 30 days. 漢字漢字漢字漢字"
PLACE = "docs:handbook/bridge/copying-the-log-of-the-bridge-computer-before-dry-dock.md"
RECORD = {
    "question": f"{UGLY} Which command copies the log of the bridge computer?",
    "answer": f"Copy the log with {COMMAND} [1].\n{SETTING}",
    "citations": [
        {
            "n": 1,
            "uri": PLACE,
            "title": "Copying the log",
            "heading_path": ["Copying the log", "Before dry-dock"],
            "page": 12,
            "char_start": 1200,
            "char_end": 1400,
            "modified_at": "2025-03-01T00:00:00+00:00",
            "quote": f"Copy it with {COMMAND} before each dry-dock.\n{SETTING}",
            "aliases": ["docs:old.md", PLACE.replace("docs:", "docs:old/")],
        }
    ],
    "route": {"model": "llm", "way": "read", "escalated": False, "reason": "A look-up."},
    "steps": [{"question": "Which vessel keeps a log?", "answer": "MV Rowan"}],
    "finish_reason": "stop",
    "usage": {},
    "repairs": [],
    "calibration": "calibration cpu",
    "timings_ms": {"total": 12.0},
    "generation": {"id": "g1", "created_at": "2024"},
    "answer_id": "answer_1",
}


@pytest.mark.parametrize("width", [10, 33, 60, 80, 120])
def test_an_answer_is_printed_whole_in_any_terminal(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    file = io.StringIO()
    monkeypatch.setattr(console, "out", console.VisibleConsole(file=file, width=width))
    console.show_answer(RECORD)
    text = file.getvalue()
    assert width < 20 or all(cell_len(line) <= width for line in text.splitlines())
    joined = re.sub(r"^    (> )?|\s", "", text, flags=re.MULTILINE)
    place = "Before dry-dock, page 12, characters 1200-1400, modified 2025-03-01"
    for words in (RECORD["question"], RECORD["answer"], PLACE, COMMAND, place):
        assert re.sub(r"\s", "", str(words)) in joined
    assert joined.count(re.sub(r"\s", "", SETTING)) == 2


def test_a_quote_is_marked_on_each_of_its_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(console, "out", console.VisibleConsole(file=file, width=60))
    console.show_answer(RECORD)
    assert (
        "    > Copy it with rsync -a <bridge-host>:/var/log/nav\n"
        "    > <backup-folder> before each dry-dock.\n"
    ) in file.getvalue()


def test_a_pipe_gets_lines_as_long_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(console, "out", console.VisibleConsole(file=file, width=console._UNLIMITED))
    console.show_answer(RECORD)
    lines = file.getvalue().splitlines()
    assert lines[0] == RECORD["question"]
    assert lines[2:4] == str(RECORD["answer"]).splitlines()
    assert f"    > Copy it with {COMMAND} before each dry-dock." in lines
    assert f"    > {SETTING}" in lines


def test_a_pipe_has_no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert console._width() == console._UNLIMITED


def test_no_word_between_colons_becomes_a_picture(capsys: pytest.CaptureFixture[str]) -> None:
    for one in (console.out, console.err):
        one.print(":date: :warning:")
    said = capsys.readouterr()
    assert (said.out + said.err).count(":date: :warning:") == 2


HOSTILE = "a\x1b[31m\x9b2J\u202eb\x07\u200b\U000e0041\rend"
SHOWN = r"a\x1b[31m\x9b2J\u202eb\x07\u200b\U000e0041\rend"


def test_no_text_commands_the_terminal(printed: io.StringIO) -> None:
    table = Table("found", title=HOSTILE)
    table.add_row(HOSTILE)
    console.show_table(table)
    console.out.print(HOSTILE)
    console.say(HOSTILE)
    text = printed.getvalue()
    assert re.sub(r"[│\s]", "", text).count(SHOWN) == 4
    assert all(sign.isprintable() or sign == "\n" for sign in text)


def test_words_of_joined_letters_stay(printed: io.StringIO) -> None:
    console.out.print("क्\u200cष 👨\u200d👩 soft\u00adly")
    assert printed.getvalue() == "क्\u200cष 👨\u200d👩 softly\n"


def test_json_is_exact_and_commands_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    value = {HOSTILE: ["Grüße", "soft\u00adly", "क्\u200cष", "\udcff"]}
    console.show_json(value)
    printed = capsys.readouterr().out
    assert json.loads(printed) == value
    assert "Grüße" in printed
    assert all(sign.isprintable() or sign in "\n\u200c" for sign in printed)


def test_nobody_else_prints_with_rich() -> None:
    """Markup is off in one place; a console or a text made elsewhere might read some."""
    package = Path(console.__file__).parent.parent
    allowed = {"rich.table": {"Table"}, "rich.text": {"Text"}, "rich": {"box"}}
    # Counts alone are written there, no text of others.
    allowed["rich.progress"] = {"BarColumn", "Progress", "TextColumn", "TimeElapsedColumn"}
    for path in {*package.rglob("*.py")} - {Path(console.__file__)}:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "rich":
                names = {one.name for one in node.names}
                assert names <= allowed.get(str(node.module), set()), path
            if isinstance(node, ast.Import):
                assert not any(one.name.partition(".")[0] == "rich" for one in node.names), path
            if isinstance(node, ast.Attribute):
                assert node.attr not in ("from_markup", "from_ansi", "secho", "print_json"), path


@pytest.mark.parametrize("text", ["[/b]", "[red]x", "[/]", "[link=x]y[/link]", "[bold", "a[/b]c"])
def test_brackets_in_names_are_shown_wherever_they_stand(printed: io.StringIO, text: str) -> None:
    table = Table(text, title=text, caption=text)
    table.add_row(text)
    table.add_column(text)
    console.show_table(table)
    console.say(text)
    console.out.print(text, style="bold")
    assert printed.getvalue().count(text) >= 5
