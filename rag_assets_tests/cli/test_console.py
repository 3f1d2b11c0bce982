"""What a command prints is whole, and nothing in it is read as markup."""

import io
import json

import pytest
from rich.console import Console
from rich.table import Table

from rag_assets.cli import console

UGLY = "[/b] <name> __x__ [red]no[/red] :date:"


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    file = io.StringIO()
    narrow = Console(file=file, soft_wrap=True, highlight=False, emoji=False, width=40)
    monkeypatch.setattr(console, "out", narrow)
    return file


def test_a_cell_wider_than_the_terminal_is_folded(printed: io.StringIO) -> None:
    table = Table("what", "found")
    table.add_column("fixed", no_wrap=True)
    table.add_row(*console.plain("q" * 60, UGLY, "z" * 50))
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
        one.print(":date: :warning:", markup=False)
    said = capsys.readouterr()
    assert (said.out + said.err).count(":date: :warning:") == 2
