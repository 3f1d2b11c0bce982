"""``bench documents``: which parts there are."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path

from rag_assets_tests.benchmarks.findings import Part, Say

# Part -> (module, function); imported when it is run: each needs other libraries.
PARTS: Mapping[str, tuple[str, str]] = {
    "pdf": ("rag_assets_tests.benchmarks.pdf", "measure"),
    "html": ("rag_assets_tests.benchmarks.html", "measure_speed"),
    "content": ("rag_assets_tests.benchmarks.html", "measure_content"),
    "duplicates": ("rag_assets_tests.benchmarks.near_duplicates", "measure"),
    "books": ("rag_assets_tests.benchmarks.books", "measure"),
    "outcomes": ("rag_assets_tests.benchmarks.outcomes", "measure"),
    "encodings": ("rag_assets_tests.benchmarks.html", "measure_encodings"),
    "quality": ("rag_assets_tests.benchmarks.quality", "measure"),
    "chunks": ("rag_assets_tests.benchmarks.chunks", "measure"),
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
