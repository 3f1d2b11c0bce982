"""What a command prints is whole, and nothing in it is read as markup."""

import ast
import io
import json
import re
from pathlib import Path

import pytest
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


def test_an_answer_is_printed_whole(printed: io.StringIO) -> None:
    record = {
        "question": UGLY,
        "answer": "word " * 60 + UGLY,
        "citations": [],
        "route": {"model": "slm", "escalated": False, "reason": "A look-up."},
        "finish_reason": "stop",
        "usage": {},
        "repairs": [],
        "calibration": "calibration cpu",
        "timings_ms": {"total": 12.0},
        "generation": {"id": "g1", "created_at": "2024"},
        "answer_id": "answer_1",
    }
    console.show_answer(json.loads(json.dumps(record)))
    lines = printed.getvalue().splitlines()
    assert lines[0] == UGLY
    assert lines[2] == record["answer"]


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
