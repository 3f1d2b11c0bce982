"""Evaluation data as it lies on disk: archives of files, and JSON line by line."""

import gzip
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rag_assets_tests.benchmarks.findings import BenchmarkError


def members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of each file in a tar archive, in its order; one is held at a time.

    Raises:
        BenchmarkError: the archive is not there.
    """
    with tarfile.open(_there(archive)) as files:
        for member in files:
            content = files.extractfile(member) if member.isfile() else None
            if content is not None:
                yield member.name, content.read()


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a ``.jsonl.gz``.

    Raises:
        BenchmarkError: the file is not there.
    """
    with gzip.open(_there(path), "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _there(path: Path) -> Path:
    if not path.is_file():
        raise BenchmarkError(
            f"expected evaluation data at {path}, found none; RAG_EVAL_DATA names the folder that "
            "holds it"
        )
    return path
