"""Ask the running answerer until it answers: a batch outlasts a restart and a crowd."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from rag_assets.answers.questions import QuestionError
from rag_assets.batches.asking import Ask
from rag_assets.batches.questions import Row
from rag_assets.serving.client import AnswererClient, AnswererDownError, AnswererError

PATIENCE_S = 300.0  # engines that died are back after one to two minutes
PAUSE_S = 5.0
BUSY = 429  # others ask; they have an end
_LATER = (BUSY, 503)
_OF_QUESTION = (0, 400, 413, 422, 500, 502)  # 0: it took too long


def asking(
    client: AnswererClient,
    *,
    patience_s: float = PATIENCE_S,
    pause: Callable[[], None] = lambda: time.sleep(PAUSE_S),
) -> Ask:
    """Asks the answerer, as a batch does.

    It raises QuestionError where this question alone cannot be answered, and AnswererError where
    none can: the key is refused, or there was no answerer for ``patience_s``.
    """

    def ask(row: Row) -> Mapping[str, Any]:
        filters = json.loads(row.filters)
        until = time.monotonic() + patience_s
        while True:
            try:
                return client.ask(row.question, row.mode, filters, batch=True)
            except AnswererError as error:
                is_down = isinstance(error, AnswererDownError)
                if error.status in _OF_QUESTION and not is_down:
                    raise QuestionError(str(error)) from error
                if not is_down and error.status not in _LATER:
                    raise
                if error.status != BUSY and time.monotonic() > until:
                    raise
            pause()

    return ask
