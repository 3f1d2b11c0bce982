"""What became of a question."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rag_assets.batches.questions import Row


@dataclass(frozen=True, slots=True)
class Outcome:
    """A question with the record of its answer, or with the sentence that says why it has none.

    ``kept``: an earlier attempt at the batch asked it.
    """

    row: Row
    record: Mapping[str, Any] | None
    error: str = ""
    kept: bool = False
