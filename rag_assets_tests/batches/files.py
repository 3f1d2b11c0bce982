"""Questions and answers of the tests."""

from pathlib import Path
from typing import Any

from rag_assets.batches.questions import Row


def record(row: Row, answer: str = "") -> dict[str, Any]:
    """As much of an answer's record as a file of answers needs."""
    return {
        "answer": answer or f"the answer to {row.question}",
        "abstained": False,
        "confidence": 0.5,
        "citations": [{"uri": "docs:a.md"}, {"uri": "docs:b.md"}],
        "timings_ms": {"total": 1234.5},
        "answer_id": f"answer_{row.number}",
    }


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
