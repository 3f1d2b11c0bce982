"""``rag bench documents``: which parts there are, and what is printed of them."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from rag_assets.benchmarks.findings import Part, Say

# Part -> (module, function); imported when it is run: each needs other libraries.
PARTS: Mapping[str, tuple[str, str]] = {
    "pdf": ("rag_assets.benchmarks.pdf", "measure"),
    "html": ("rag_assets.benchmarks.html", "measure_speed"),
    "content": ("rag_assets.benchmarks.html", "measure_content"),
    "duplicates": ("rag_assets.benchmarks.near_duplicates", "measure"),
    "books": ("rag_assets.benchmarks.books", "measure"),
    "outcomes": ("rag_assets.benchmarks.outcomes", "measure"),
    "encodings": ("rag_assets.benchmarks.html", "measure_encodings"),
    "quality": ("rag_assets.benchmarks.quality", "measure"),
    "chunks": ("rag_assets.benchmarks.chunks", "measure"),
}


def run(parts: Sequence[str], data: Path, say: Say, show: Callable[[Part], None]) -> None:
    """Measure one part after another.

    Args:
        parts: names, of ``PARTS``.
        data: folder of the evaluation data.
        say: told lines of progress.
        show: called with each part as soon as it is measured.

    Raises:
        BenchmarkError: data or a library is missing.
    """
    for name in parts:
        module, function = PARTS[name]
        say(f"part {name}")
        measure: Callable[[Path, Say], Part] = getattr(import_module(module), function)
        show(measure(data, say))


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
