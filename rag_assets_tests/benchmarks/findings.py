"""What a benchmark returns: tables of figures, and for each goal whether it is reached.

And how that is printed.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rag_assets.errors import RagError

Say = Callable[[str], None]  # a line of progress
Write = Callable[[Mapping[str, Any]], None]  # keeps a record of what is measured


class BenchmarkError(RagError):
    """Data or a library that a benchmark needs is missing; the message says how to get it."""


@dataclass(frozen=True, slots=True)
class Table:
    """Figures as a person reads them: every cell is text already, numbers with their units."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Goal:
    """What was aimed at, and what came."""

    aim: str  # "at least 20 times pdfplumber's pages/s on text pages"
    measured: str  # "23.1 times"
    reached: bool


@dataclass(frozen=True, slots=True)
class Part:
    """One measurement of ``bench documents``, all of it taken in one run."""

    name: str  # as it is asked for on the command line
    title: str
    tables: Sequence[Table]
    goals: Sequence[Goal] = field(default_factory=tuple)
    notes: Sequence[str] = field(default_factory=tuple)  # rules and caveats, a sentence each


def markdown(part: Part) -> str:
    """A part as it is printed: tables, notes, goals."""
    lines = [f"## {part.name}: {part.title}"]
    for table in part.tables:
        lines += ["", table.title, ""]
        lines += ["| " + " | ".join(table.columns) + " |", "|---" * len(table.columns) + "|"]
        lines += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in table.rows]
    if part.notes:
        lines += ["", *(f"- {note}" for note in part.notes)]
    if part.goals:
        lines += ["", "| goal | measured | reached |", "|---|---|---|"]
        lines += [
            f"| {_cell(g.aim)} | {_cell(g.measured)} | {'yes' if g.reached else '**no**'} |"
            for g in part.goals
        ]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def as_json(part: Part) -> str:
    """A part as one line of JSON."""
    return json.dumps(asdict(part), ensure_ascii=False)


def keep(path: Path, record: Mapping[str, Any]) -> None:
    """Add a record to a file of JSON lines, so that a run that is stopped leaves what it has."""
    with path.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(record) + "\n")
