"""Answers a question of a caller on the generation in service."""

import logging
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from rag_assets.access.file import AccessFile
from rag_assets.access.rules import Caller
from rag_assets.answers.answer import Answer
from rag_assets.answers.answerer import Answerer
from rag_assets.answers.budget import text_counter
from rag_assets.answers.filters import NO_FILTERS, Filters
from rag_assets.answers.follow_ups import Turn
from rag_assets.answers.journal import find_answer, record_answer
from rag_assets.answers.telling import Tell, nobody
from rag_assets.errors import RagError
from rag_assets.index.naming import naming
from rag_assets.lake.store import LakeError, LakeStore
from rag_assets.models.clients.options import ChatFor
from rag_assets.models.protocols import BATCH_PRIORITY
from rag_assets.serving.admission import Gate
from rag_assets.serving.keys import OPERATOR
from rag_assets.serving.live_index import LiveIndex
from rag_assets.serving.metrics import Metrics
from rag_assets.serving.streaming import capped
from rag_assets.sources.catalog import documents_but
from rag_assets.telemetry import Fact, set_facts, span

log = logging.getLogger("rag_assets.serving")


class NoCitationError(RagError):
    """No such citation, for this caller."""


class NotReadyError(RagError):
    """No generation is in service; the message says why."""


@dataclass(frozen=True, slots=True)
class Service:
    """What the routes share.

    Attributes:
        store: where answers are journalled.
        live: the generation in service.
        gate: bounds the questions answered at once.
        metrics: counts.
        engines_problem: why the engines cannot answer, as a sentence; "" when they can.
        access: who may read what.
        own_key: that the commands of this home come with.
        hosts: names by which it is reached, beside the loopback's.
        keeps_answers: whether they are journalled.
        hidden: names of the sources that nothing may be read of any more.
    """

    store: LakeStore
    live: LiveIndex
    gate: Gate
    metrics: Metrics
    engines_problem: Callable[[], str]
    access: AccessFile
    own_key: str
    hosts: Sequence[str] = ()
    started: float = 0.0
    keeps_answers: bool = True
    hidden: Callable[[], Collection[str]] = frozenset

    @span("answer", {"gen_ai.operation.name": "invoke_workflow"})
    def answer(
        self,
        question: str,
        mode: str,
        *,
        gone: threading.Event | None = None,
        tell: Tell = nobody,
        caller: Caller = OPERATOR,
        filters: Filters = NO_FILTERS,
        turns: Sequence[Turn] = (),
        user: str = "",
        most_tokens: int | None = None,
        batch: bool = False,
    ) -> Answer:
        """Answer on the generation in service when the turn comes, and journal it if that is on.

        Nothing is read but what the caller may read.

        Args:
            question: in plain words.
            mode: auto, fact or deep.
            gone: set by the gate when nobody waits for the answer any more.
            tell: called with what happens meanwhile.
            caller: who asks.
            filters: which documents are read.
            turns: of the conversation before.
            user: for whom, as the caller says.
            most_tokens: of the sentences that are told; the answer itself is whole.
            batch: whether what is asked by hand goes ahead.

        Raises:
            NotReadyError, BusyError, GoneError, QuestionError, EngineUnavailableError,
            ModelRequestError.
        """
        with self.gate.admitted(gone, batch=batch, who=caller.name):
            answerer = self.answerer(caller, gone, batch=batch)
            if most_tokens is not None:
                tell = capped(tell, most_tokens, text_counter(answerer.slm))
            tell = self.metrics.timed(tell, batch=batch)
            answer = answerer.answer(question, mode=mode, filters=filters, turns=turns, tell=tell)
        self.metrics.answered(answer, answerer, batch=batch)
        set_facts(_facts_of(answer))
        try:
            if self.keeps_answers:
                record_answer(self.store, answer, asker=caller.name, user=user)
        except Exception:  # the process border: a full disk must not cost the answer
            self.metrics.journal_failures.inc()
            log.exception("answer %s was given but not journalled", answer.answer_id)
        return answer

    def answerer(
        self, caller: Caller, gone: threading.Event | None = None, *, batch: bool = False
    ) -> Answerer:
        """On the generation in service, and on what the caller may read of it.

        Args:
            caller: who asks.
            gone: set when the caller waits no more; then calls of models end.
            batch: whether what is asked by hand goes ahead.

        Raises:
            NotReadyError: none is.
        """
        serving = self.live.current
        if serving is None:
            raise NotReadyError(f"no generation is in service: {self.live.error}")
        view, seen, names = caller.view, serving.answerer, self.hidden()
        if names:
            seen = seen.narrowed(*documents_but(names))
        if view is not None:
            seen = seen.narrowed(view.where, view.sees)
        salt, priority = "" if view is None else view.salt, BATCH_PRIORITY if batch else 0
        slm, llm = (
            ChatFor(model, cache_salt=salt, priority=priority, gone=gone)
            for model in (seen.slm, seen.llm)
        )
        return replace(seen, slm=slm, llm=llm)

    def citation(self, answer_id: str, n: int, caller: Caller = OPERATOR) -> dict[str, Any]:
        """A citation of an answer that was journalled, as far as the caller may read it.

        Raises:
            NoCitationError: there is none, or none that the caller may read.
        """
        with suppress(LakeError):
            cited = find_answer(self.store, answer_id)["record"]["citations"]
            view, (_, stands) = caller.view, documents_but(self.hidden())
            for one in cited:
                is_open = stands(one["uri"]) and (view is None or view.sees(one["uri"]))
                if one["n"] != n or not is_open:
                    continue
                return dict(one) if view is None else naming(one, view.sees)
        raise NoCitationError(f"there is no citation {n} of an answer {answer_id!r:.80}")


def _facts_of(answer: Answer) -> dict[str, Fact]:
    used = answer.usage.values()
    return {
        "gen_ai.usage.input_tokens": sum(one.prompt_tokens for one in used),
        "gen_ai.usage.output_tokens": sum(one.completion_tokens for one in used),
        "gen_ai.response.finish_reasons": [answer.finish_reason],
        "rag.mode": answer.mode,
        "rag.way": answer.route.way,
        "rag.model": answer.route.model,
        "rag.escalated": answer.route.escalated,
        "rag.abstained": answer.abstained,
        "rag.citations": len(answer.citations),
    }
