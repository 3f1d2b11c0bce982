"""A batch and the answerer: what it waits for, what one question costs, what ends it."""

from collections.abc import Mapping
from typing import Any

import pytest

from rag_assets.answers.questions import QuestionError
from rag_assets.batches.patience import asking
from rag_assets.batches.questions import Row
from rag_assets.serving.client import AnswererClient, AnswererDownError, AnswererError

WHO = Row(0, "Who?", "fact", '{"source": ["fleet"]}')
DOWN = AnswererDownError("it does not run", 0)


class Answerer(AnswererClient):
    """Refuses as often as it is told to, and then answers."""

    def __init__(self, *errors: AnswererError) -> None:
        super().__init__("http://127.0.0.1:9")
        self.errors = list(errors)

    def ask(
        self,
        question: str,
        mode: str = "auto",
        filters: Mapping[str, Any] | None = None,
        *,
        batch: bool = False,
    ) -> dict[str, Any]:
        assert batch
        assert filters == {"source": ["fleet"]}
        if self.errors:
            raise self.errors.pop(0)
        return {"question": question, "mode": mode}


@pytest.mark.parametrize("error", [DOWN, AnswererError("busy", 429), AnswererError("not yet", 503)])
def test_what_passes_is_waited_for(error: AnswererError) -> None:
    pauses: list[int] = []
    ask = asking(Answerer(error, error), pause=lambda: pauses.append(1))
    assert ask(WHO) == {"question": "Who?", "mode": "fact"}
    assert len(pauses) == 2


@pytest.mark.parametrize("error", [DOWN, AnswererError("not yet", 503)])
def test_patience_ends(error: AnswererError) -> None:
    ask = asking(Answerer(error), patience_s=-1)
    with pytest.raises(AnswererError, match=str(error)):
        ask(WHO)


def test_a_crowd_is_waited_for_as_long_as_it_takes() -> None:
    ask = asking(Answerer(*[AnswererError("busy", 429)] * 9), patience_s=-1, pause=lambda: None)
    assert ask(WHO)["question"] == "Who?"


@pytest.mark.parametrize("status", [0, 400, 413, 422, 500, 502])
def test_a_question_fails_alone(status: int) -> None:
    with pytest.raises(QuestionError, match="no"):
        asking(Answerer(AnswererError("no", status)))(WHO)


@pytest.mark.parametrize("status", [401, 404])
def test_a_wrong_key_ends_the_batch(status: int) -> None:
    with pytest.raises(AnswererError, match="no"):
        asking(Answerer(AnswererError("no", status)))(WHO)
