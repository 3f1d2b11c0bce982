"""The answerer: a question in, a grounded answer out, on exactly one generation of the index."""

import itertools
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Self

from rag_assets.answers import routing
from rag_assets.answers.answer import ABSTENTION, NO_GENERATION, Answer, Timings, Usage
from rag_assets.answers.budget import BudgetError, pack, text_counter
from rag_assets.answers.citations import Grounded, ground
from rag_assets.answers.deep import read_documents
from rag_assets.answers.deriving import policy_of
from rag_assets.answers.policy import AnswerPolicy, Budget, Mode, Role
from rag_assets.answers.prompts import answer_messages
from rag_assets.answers.questions import (
    QuestionTooLongError,
    bad_filter,
    check_mode,
    check_question,
)
from rag_assets.answers.repair import Generated, generate
from rag_assets.answers.routing import Route
from rag_assets.index.search import IndexReader
from rag_assets.lake.generations import Generation, live_generation
from rag_assets.lake.identity import row_id
from rag_assets.lake.leases import leasing
from rag_assets.lake.store import LakeError, LakeStore
from rag_assets.models.clients.prefixed import vectors_revision
from rag_assets.models.clients.roles import Models
from rag_assets.models.protocols import ChatModel, Embedder
from rag_assets.retrieval import selection
from rag_assets.retrieval.passages import Passage
from rag_assets.retrieval.searching import Retrieved, retrieve
from rag_assets.retrieval.terms import terms

_counter = itertools.count()
NOTHING_MARKED = "the SLM marked nothing in any document; the LLM read the best sections"
# How LanceDB speaks of a filter that is no SQL, names no column or fails on a row.
_OF_FILTER = re.compile("^Invalid input|^'utf-8' codec|Arrow error: Cast error")


# The parts of an answerer; each takes and returns what the product's own, named here, does.
Search = Callable[..., Retrieved]  # retrieve
Select = Callable[..., list[Passage]]  # selection.select
Router = Callable[[str, Sequence[Passage], Mode], Route]  # routing.route
Check = Callable[..., Grounded]  # ground


def require_embedder_of(generation: Generation, embedder: Embedder) -> None:
    """Refuse an embedder whose vectors mean nothing to a generation.

    Raises:
        LakeError: the generation was made with another one.
    """
    made_with = generation.models.get("embedder", {})
    if not made_with:
        return
    revision = vectors_revision(made_with["revision"], made_with.get("query_prefix", ""))
    if (made_with["model_id"], revision) != (embedder.model_id, embedder.revision):
        raise LakeError(
            f"generation {generation.id} was embedded with {made_with['model_id']} at {revision}, "
            f"and the embedder here is {embedder.model_id} at {embedder.revision}, whose vectors "
            "mean nothing to it; use the other one (the profile that it was made with), or refresh "
            "with this one first"
        )


@dataclass(frozen=True, slots=True)
class Draft:
    """One attempt at an answer: what a model read and wrote, and what of it holds."""

    passages: tuple[Passage, ...]
    generated: Generated
    grounded: Grounded
    usage: Mapping[str, Usage]
    budget: Mapping[str, Mapping[str, Any]]
    notes: tuple[str, ...] = ()

    @property
    def abstains(self) -> bool:
        """Whether nothing of it holds."""
        return not self.grounded.text


@dataclass(frozen=True, slots=True)
class Answerer:
    """Answers on one pinned generation; holds no state of its own, so threads may share it.

    Attributes:
        reader: the generation.
        slm: look-ups and extraction.
        llm: synthesis.
        embedder: the model that the index was made with.
        policy: every threshold and budget.
        search: from a question to chunks.
        select: from chunks to passages.
        route: from a question and its passages to a model.
        check: from what a model wrote to what the passages support.
    """

    reader: IndexReader
    slm: ChatModel
    llm: ChatModel
    embedder: Embedder
    policy: AnswerPolicy = field(default_factory=AnswerPolicy)
    search: Search = retrieve
    select: Select = selection.select
    route: Router = routing.route
    check: Check = ground

    @classmethod
    @contextmanager
    def open(
        cls,
        lake: LakeStore | str | Path,
        *,
        slm: ChatModel | None = None,
        llm: ChatModel | None = None,
        embedder: Embedder | None = None,
        **fields: Any,  # noqa: ANN401 - of this class
    ) -> Iterator[Self]:
        """An answerer on the generation that is live now, leased while the block lasts.

        Args:
            lake: the lake, or its folder or object-store URI.
            slm: in place of the engine of the profile (``RAG_PROFILE``), which has to run.
            llm: likewise.
            embedder: likewise; the model that the index was made with.
            fields: further ones of this class; without ``policy``, the profile's is taken.

        Raises:
            LakeError: no generation is live.
        """
        store = lake if isinstance(lake, LakeStore) else LakeStore(str(lake))
        models = Models(slm=slm, llm=llm, embedder=embedder)
        generation = live_generation(store)
        if generation is None:
            raise LakeError(
                f"no generation is live in {store.uri} yet, so nothing can be answered; refresh it "
                "first (`rag refresh`)"
            )
        own = models.embedder_for(generation.models.get("embedder", {}))
        require_embedder_of(generation, own)
        with leasing(store, generation.id):
            reader = IndexReader(store, generation)
            fields.setdefault("policy", policy_of(models))
            yield cls(reader, models.slm, models.llm, own, **fields)

    def answer(self, question: str, *, mode: str = "auto", where: str | None = None) -> Answer:
        """Answer a question from the documents, or say that they do not answer it.

        Args:
            question: in plain words.
            mode: "auto", "fact" (the SLM alone) or "deep" (map-reduce over documents).
            where: SQL filter over the index's columns, e.g. the sources a caller may read.

        Raises:
            QuestionError: the question is no text, empty or too long, the mode unknown, or the
                filter is none that the index can apply.
            EngineUnavailableError: nobody answers for a model.
            ModelRequestError: a model refused a request or returned something unreadable.
        """
        started = time.perf_counter()
        chosen_mode = check_mode(mode)
        limit = min(self.policy.max_question_tokens, self.slm.max_model_len // 3)
        text = check_question(question, self.slm, max_tokens=limit)
        found = self._found(text, where)
        routing = time.perf_counter()
        passages = [] if self._found_nothing(found) else self._select(text, found)
        way = self.route(text, passages, chosen_mode)
        generating = time.perf_counter()
        draft: Draft | None = None
        if passages:
            try:
                draft, way = self._draft(text, passages, way, chosen_mode)
            except BudgetError as error:
                raise QuestionTooLongError(str(error)) from error
        ended = time.perf_counter()
        timings = Timings(
            found.embed_ms,
            found.retrieve_ms,
            (generating - routing) * 1000,
            (ended - generating) * 1000,
            (ended - started) * 1000,
        )
        return self._finished(text, chosen_mode, way, draft, timings)

    def evidence(self, question: str) -> list[Passage]:
        """The passages that an answer to this question would be made from, best first."""
        found = self.search(self.reader, self.embedder, question, limit=self.policy.n_hits)
        return self._select(question, found)

    def _found(self, question: str, where: str | None) -> Retrieved:
        if where is not None and not isinstance(where, str):
            raise bad_filter(where, f"it is {type(where).__name__}, not text")
        try:
            return self.search(
                self.reader, self.embedder, question, limit=self.policy.n_hits, where=where
            )
        except (ValueError, RuntimeError) as error:
            if where is None or not _OF_FILTER.search(str(error)):
                raise
            raise bad_filter(where, str(error).partition(", /")[0]) from error

    def _found_nothing(self, found: Retrieved) -> bool:
        """No hit, or none that is near the question or shares its words."""
        far = found.similarity < self.policy.min_similarity
        return not found.hits or (far and found.term_coverage < self.policy.min_term_coverage)

    def _select(self, question: str, found: Retrieved) -> list[Passage]:
        policy = self.policy
        return self.select(
            found.hits,
            self.reader,
            wanted=terms(question),
            n_passages=max(policy.slm.sections, policy.llm.sections, policy.deep.reduce.sections),
            passage_tokens=policy.passage_tokens,
            decay=policy.per_document_decay,
            count=text_counter(self.slm),
        )

    def _draft(
        self, question: str, passages: Sequence[Passage], way: Route, mode: Mode
    ) -> tuple[Draft, Route]:
        """An attempt along the route, and a second one by the LLM where the first is weak."""
        if way.deep:
            return self._deep(question, passages), way
        first = self._attempt(way.model, question, passages, self.policy.budget(way.model))
        why = self._escalation(first, way, mode)
        if why is None:
            return first, way
        second = self._attempt("llm", question, passages, self.policy.llm)
        both = replace(
            second,
            usage={**first.usage, **second.usage},
            budget={**first.budget, **second.budget},
        )
        return both, replace(way, model="llm", reason=f"{way.reason} {why}", escalated=True)

    def _attempt(
        self, role: Role, question: str, passages: Sequence[Passage], budget: Budget
    ) -> Draft:
        model = self.slm if role == "slm" else self.llm
        packed = pack(model, partial(answer_messages, role, question), passages, budget)
        generated = generate(model, packed, timeout_s=self.policy.timeout_s)
        grounded = self.check(generated.text, packed.passages, question)
        usage = Usage.by_role({role: generated.completions})
        budgets: dict[str, dict[str, Any]] = {role: packed.to_record()}
        return Draft(packed.passages, generated, grounded, usage, budgets)

    def _deep(self, question: str, passages: Sequence[Passage]) -> Draft:
        """The LLM writes from what the SLM marked in each document, or from the best sections."""
        policy = self.policy
        marked, calls = read_documents(
            question, passages, self.slm, policy.deep, timeout_s=policy.timeout_s
        )
        draft = self._attempt("llm", question, marked or passages, policy.deep.reduce)
        usage = {**Usage.by_role({"slm": calls}), **draft.usage}
        return replace(draft, usage=usage, notes=(NOTHING_MARKED,) if calls and not marked else ())

    def _escalation(self, draft: Draft, way: Route, mode: Mode) -> str | None:
        """Why the LLM should be asked as well, as a sentence; None if it should not."""
        if way.model != "slm" or mode != "auto":
            return None
        similarity = float(way.features["similarity"])
        if draft.abstains:
            if similarity < self.policy.decent_similarity:
                return None
            what = "said NOT FOUND" if draft.grounded.refused else "gave nothing supported"
            return f"The SLM {what} although the evidence is near ({similarity:.2f})."
        margin = draft.generated.mean_logprob
        if margin is not None and margin < self.policy.min_logprob:
            return f"The SLM was unsure (mean log-probability {margin:.2f})."
        return None

    def _finished(
        self, question: str, mode: Mode, way: Route, draft: Draft | None, timings: Timings
    ) -> Answer:
        now = datetime.now(UTC)
        generation = self.reader.generation
        identity = (question, generation.id, now.isoformat(), os.getpid(), next(_counter))
        abstained = draft is None or draft.abstains
        return Answer(
            answer_id=row_id("answer", *identity),
            question=question,
            answer=_abstention(draft) if draft is None or abstained else draft.grounded.text,
            abstained=abstained,
            mode=mode,
            route=way,
            citations=() if draft is None or abstained else draft.grounded.citations,
            usage={} if draft is None else draft.usage,
            finish_reason=NO_GENERATION if draft is None else draft.generated.finish_reason,
            confidence=None if draft is None else draft.generated.confidence,
            repairs=()
            if draft is None
            else (*draft.notes, *draft.generated.repairs, *draft.grounded.notes),
            generation_id=generation.id,
            generation_created_at=generation.created_at,
            created_at=now.isoformat(),
            timings=timings,
            calibration=self.policy.calibration,
            evidence=() if draft is None else draft.passages,
            budget={} if draft is None else draft.budget,
        )


def _abstention(draft: Draft | None) -> str:
    if draft is None:
        return f"{ABSTENTION} Nothing in them is close to it."
    if not draft.passages:
        return f"{ABSTENTION} No evidence fitted the token budget."
    nearest = draft.passages[0]
    what = (
        "does not contain it"
        if draft.grounded.refused or not draft.grounded.removed
        else "does not support what the model wrote"
    )
    return f'{ABSTENTION} The nearest section, "{nearest.title}", {what}.'
