"""The answerer: a question in, a grounded answer out, on exactly one generation of the index."""

import itertools
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any, Self

from rag_assets.answers import routing
from rag_assets.answers.answer import (
    ABSTENTION,
    NO_GENERATION,
    Answer,
    AnswerStep,
    Timings,
    Usage,
)
from rag_assets.answers.budget import BudgetError, pack, text_counter
from rag_assets.answers.citations import Grounded, cited, ground
from rag_assets.answers.collection import told_of
from rag_assets.answers.deep import read_documents
from rag_assets.answers.deriving import policy_of
from rag_assets.answers.filters import NO_FILTERS, Filters
from rag_assets.answers.finding import Findings, find
from rag_assets.answers.follow_ups import Turn, stand_alone
from rag_assets.answers.hearing import Hearing
from rag_assets.answers.listed import listed
from rag_assets.answers.looking_up import VERDICTS, LookedUp, looked_up
from rag_assets.answers.others import Other
from rag_assets.answers.phrasing import phrased
from rag_assets.answers.policy import AnswerPolicy, Budget, Mode, Role
from rag_assets.answers.prompts import answer_messages
from rag_assets.answers.questions import (
    QuestionTooLongError,
    bad_filter,
    check_mode,
    check_question,
)
from rag_assets.answers.reading import PassageReader
from rag_assets.answers.repair import generate
from rag_assets.answers.routing import Route
from rag_assets.answers.telling import Tell, Teller, nobody
from rag_assets.index.search import IndexReader
from rag_assets.lake.generations import Generation, live_generation
from rag_assets.lake.identity import row_id
from rag_assets.lake.leases import leasing
from rag_assets.lake.store import LakeError, LakeStore
from rag_assets.models.clients.prefixed import vectors_revision
from rag_assets.models.clients.roles import Models
from rag_assets.models.protocols import ChatModel, Completion, Embedder
from rag_assets.questions.asked import asked
from rag_assets.questions.listing import Listing
from rag_assets.questions.plan import AnswerType
from rag_assets.questions.planner import written_plan
from rag_assets.questions.running import Answered, Found, run
from rag_assets.retrieval import selection
from rag_assets.retrieval.asked import asked as asking_part
from rag_assets.retrieval.marks import marks
from rag_assets.retrieval.names import telling, unknown_names
from rag_assets.retrieval.passages import Passage, Piece, pieces_of
from rag_assets.retrieval.searching import Retrieved, retrieve
from rag_assets.retrieval.terms import terms
from rag_assets.retrieval.times import dated, period_of, wanted_times
from rag_assets.telemetry import carried, set_facts, span

_counter = itertools.count()
# How much less sure an answer to search words may be: a model doubts that a passage answers exactly
# what no question asks. Of 60 (`suites wordings`) this gives 6 more right, none more wrong.
KEYWORDS_EASE = 0.55
NOTHING_MARKED = "the SLM marked nothing in any document; the LLM read the best sections"
NO_DOCUMENTS = "No document was searched: none meets the filters, or there is none."
# How LanceDB speaks of a filter that is no SQL, names no column or fails on a row.
_OF_FILTER = re.compile("^Invalid input|^'utf-8' codec|Arrow error: Cast error")


# The parts of an answerer; each takes and returns what the product's own, named here, does.
Search = Callable[..., Retrieved]  # retrieve
Select = Callable[..., list[Passage]]  # selection.select
Router = Callable[..., Route]  # routing.route
Check = Callable[..., Grounded]  # ground
Clock = Callable[[], date]  # date.today


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
    """One attempt at an answer: what models read and wrote, and what of it holds.

    Attributes:
        passages: that were read, best first.
        grounded: what holds.
        calls: of the models, by role.
        finish_reason: of the last call.
        confidence: chance that it is right; None if nobody says.
        budget: what a model was given, by role.
        steps: of a question that was taken apart.
        notes: what was put right, and what is missing.
    """

    passages: tuple[Passage, ...]
    grounded: Grounded
    calls: Mapping[Role, tuple[Completion, ...]]
    finish_reason: str
    confidence: float | None = None
    budget: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    steps: tuple[AnswerStep, ...] = ()
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
        clock: the day on which a question is asked.
        teller: of the question that is being answered; ``answer`` has one for each.
        where: the SQL filter that ``answer`` was given, which errors may repeat; what the reader
            is narrowed to besides names documents that the caller may not know of.
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
    clock: Clock = date.today
    teller: Teller = field(default_factory=Teller, repr=False, compare=False)
    where: str | None = None

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
        made_with = generation.models.get("embedder", {})
        own = models.embedder_for(made_with)
        require_embedder_of(generation, own)
        with leasing(store, generation.id):
            reader = IndexReader(store, generation)
            fields.setdefault("policy", policy_of(models, made_with))
            yield cls(reader, models.slm, models.llm, own, **fields)

    def narrowed(self, where: str, names: Callable[[str], bool] | None = None) -> Self:
        """The same, but on the rows alone that satisfy a filter; see ``IndexReader.narrowed``."""
        return replace(self, reader=self.reader.narrowed(where, names))

    def answer(
        self,
        question: str,
        *,
        mode: str = "auto",
        filters: Filters = NO_FILTERS,
        where: str | None = None,
        turns: Sequence[Turn] = (),
        tell: Tell = nobody,
    ) -> Answer:
        """Answer a question from the documents, or say that they do not answer it.

        Args:
            question: in plain words.
            mode: "auto", "fact" (a look-up) or "deep" (map-reduce over documents).
            filters: which documents are read; they may come from anyone.
            where: SQL filter over the index's columns, of whom may read all of it.
            turns: of the conversation before; they say what the question is about and are no
                evidence. The answer's question is the one that stands alone.
            tell: called with what happens meanwhile, and with each sentence once it is certain;
                all sentences together are the text of the answer.

        Raises:
            QuestionError: the question is no text, empty or too long, the mode unknown, or the
                filter is none that the index can apply.
            EngineUnavailableError: nobody answers for a model.
            ModelRequestError: a model refused a request or returned something unreadable.
        """
        of = self._where(where, filters)
        return replace(of, teller=Teller(tell))._answered(question, mode, turns)

    def find(self, question: str, *, filters: Filters = NO_FILTERS, limit: int = 10) -> Findings:
        """Search alone, without a language model; see ``finding.find``."""
        return find(
            self.reader, self.embedder, question, filters=filters, limit=limit, clock=self.clock
        )

    def evidence(self, question: str, *, where: str | None = None) -> list[Passage]:
        """The passages that an answer to this question would be made from, best first."""
        of = self._where(where)
        return of._select(of._found(asking_part(question)))

    def _where(self, where: str | None, filters: Filters = NO_FILTERS) -> Self:
        asked_for = filters.sql(self.reader)
        if asked_for is not None:
            return self.narrowed(asked_for)._where(where)
        if where is not None and not isinstance(where, str):
            raise bad_filter(where, f"it is {type(where).__name__}, not text")
        return self if where is None else replace(self.narrowed(where), where=where)

    def _answered(self, question: str, mode: str, turns: Sequence[Turn]) -> Answer:
        started = time.perf_counter()
        chosen_mode = check_mode(mode)
        limit = min(self.policy.max_question_tokens, self.slm.max_model_len // 3)
        text = check_question(question, self.slm, max_tokens=limit)
        alone = stand_alone(text, turns, self.llm, timeout_s=self.policy.timeout_s)
        text = alone.text
        answer_id = self._new_id(text)
        self.teller.begun(answer_id)
        self.teller.status("searching")
        read = asking_part(text)
        found = self._found(read)
        routing = time.perf_counter()
        passages = [] if self._found_nothing(found) else self._select(found)
        self.teller.status(f"{len(passages)} passages found")
        with span("route"):
            way = self.route(read, passages, chosen_mode)
            names = unknown_names(self.reader, read)
            set_facts({"rag.way": way.way, "rag.model": way.model})
        generating = time.perf_counter()
        draft: Draft | None = None
        if way.way == "collection":
            draft = self._collection(read)
            reason = f"{way.reason} The index does not tell, so it is read."
            way = way if draft else replace(way, way="read", reason=reason)
        if passages and draft is None:
            try:
                draft, way = self._draft(read, passages, way)
            except BudgetError as error:
                raise QuestionTooLongError(str(error)) from error
        if alone.call is not None and draft is not None:
            calls = (alone.call, *draft.calls.get("llm", ()))
            draft = replace(draft, calls={**draft.calls, "llm": calls})
        ended = time.perf_counter()
        timings = Timings(
            found.embed_ms,
            found.retrieve_ms,
            (generating - routing) * 1000,
            (ended - generating) * 1000,
            (ended - started) * 1000,
        )
        is_empty = not passages and not len(self.reader)
        told = (NO_DOCUMENTS,) if is_empty else tuple(name.told() for name in names)
        answer = self._finished(answer_id, text, chosen_mode, way, draft, timings, told)
        self.teller.say(answer.answer, answer.citations)
        return answer

    @span("search", {"gen_ai.operation.name": "retrieval"})
    def _found(self, question: str) -> Retrieved:
        words = " ".join([question, *wanted_times(question, self.clock()).words])
        try:
            found = self.search(self.reader, self.embedder, words, limit=self.policy.n_hits)
        except (ValueError, RuntimeError) as error:
            if self.where is None or not _OF_FILTER.search(str(error)):
                raise
            raise bad_filter(self.where, str(error).partition(", /")[0]) from error
        set_facts({"rag.hits": len(found.hits)})
        return found

    def _found_nothing(self, found: Retrieved) -> bool:
        """No hit, or none that is near the question or shares its words."""
        far = found.similarity < self.policy.min_similarity
        return not found.hits or (far and found.term_coverage < self.policy.min_term_coverage)

    @span("select")
    def _select(self, found: Retrieved) -> list[Passage]:
        policy = self.policy
        passages = self.select(
            found.hits,
            self.reader,
            wanted=terms(found.question),
            times=wanted_times(found.question, self.clock()),
            n_passages=max(
                policy.reading.candidates, policy.llm.sections, policy.deep.reduce.sections
            ),
            passage_tokens=policy.passage_tokens,
            decay=policy.per_document_decay,
            count=text_counter(self.slm),
        )
        set_facts({"rag.passages": len(passages)})
        return passages

    def _draft(self, question: str, passages: Sequence[Passage], way: Route) -> tuple[Draft, Route]:
        """An attempt along the route, and another where that comes to nothing."""
        if way.listing is not None:
            draft = self._listed(way.listing, passages)
            if draft is not None:
                reason = "The question asks for all things of a kind; a list holds them."
                return draft, replace(way, way="listed", reason=reason)
        if way.way == "deep":
            return self._deep(question, passages), way
        if way.way == "apart":
            first = self._apart(question, way)
            if first is not None and not first.abstains:
                return first, way
            second = self._read(question, passages)
            why = "its steps were not all answered" if first is not None else "no plan fits it"
            return _together(first, second), replace(
                way, way="read", escalated=True, reason=f"{way.reason} Read as a whole: {why}."
            )
        if way.way == "written":
            first = self._written("llm", question, passages, self.policy.llm)
            if way.alone or not first.abstains:
                return first, way
            second = self._read(question, passages)
            reason = f"{way.reason} Read as a look-up: nothing that was written holds."
            return _together(first, second), replace(way, way="read", escalated=True, reason=reason)
        first = self._read(question, passages)
        if not first.abstains or way.features.get("kind") != "count":
            return first, way
        # No passage states the number: a model may count what they list.
        second = self._written("llm", question, passages, self.policy.llm)
        reason = f"{way.reason} No passage states the number, so the large model counts."
        return _together(first, second), replace(
            way, way="written", model="llm", escalated=True, reason=reason
        )

    def _collection(self, question: str) -> Draft | None:
        """What the index says of its documents; no model is asked."""
        told = told_of(question, self.reader.documents())
        if told is None:
            return None
        places = tuple(Piece(chunk, 0, len(chunk.text)) for chunk in told.documents)
        passages = tuple(
            Passage((place,), frozenset([place.chunk.chunk_id]), 0.0, None, whole=False)
            for place in places
        )
        return Draft(passages, cited([(told.text, places)]), {}, NO_GENERATION)

    def _listed(self, listing: Listing, passages: Sequence[Passage]) -> Draft | None:
        """What a table or a list says of all things of a kind; no model is asked."""
        told = listed(listing, self._whole_sections(passages))
        if told is None:
            passages = self._select(self._found(listing.noun))
            told = listed(listing, self._whole_sections(passages))
        if told is None:
            return None
        return Draft(tuple(passages), cited([(told.text, told.units)]), {}, NO_GENERATION)

    def _whole_sections(self, passages: Sequence[Passage]) -> list[Passage]:
        ids = list(dict.fromkeys(passage.head.section_id for passage in passages))
        chunks = self.reader.sections(ids)
        return [Passage(pieces_of(chunks[one]), frozenset(), 0.0, None, whole=True) for one in ids]

    def _reader(self, question: str) -> PassageReader:
        policy = self.policy
        today = self.clock() if wanted_times(question, self.clock()).words else None
        return PassageReader(self.llm, policy.reading, policy.sure_odds, policy.timeout_s, today)

    def _looked_up(
        self, question: str, passages: Sequence[Passage], wants: AnswerType | None = None
    ) -> LookedUp:
        read = asked(question)
        return looked_up(
            question,
            passages,
            self._reader(question),
            wants=wants or read.wants,
            names=telling(self.reader, read.names),
            options=read.options,
            period=period_of(question, self.clock()),
            least=self.policy.least_odds,
        )

    @span("read")
    def _read(self, question: str, passages: Sequence[Passage]) -> Draft:
        """The answer copied out of one passage, as a sentence."""
        self.teller.status("reading")
        question = dated(question, self.clock())
        found = self._looked_up(question, passages)
        calls: dict[Role, tuple[Completion, ...]] = {"llm": found.calls}
        reason = found.calls[-1].finish_reason if found.calls else NO_GENERATION
        eased = KEYWORDS_EASE if asked(question).kind == "keywords" else 0.0
        if not found.answer or found.score < self.policy.least_odds - eased:
            return Draft(found.passages, Grounded("", refused=True), calls, reason)
        sentence, call = self._phrased(question, found)
        if found.others and not any(one.is_older for one in found.others):
            sentence = _told_of(Other(found.answer, found.units, is_older=False))
        if call is not None:
            calls["slm"] = (call,)
        others = [(_told_of(one), one.units) for one in found.others]
        grounded = cited([(sentence, found.units), *others])
        return Draft(found.passages, grounded, calls, reason, found.confidence, notes=found.notes)

    def _phrased(self, question: str, found: LookedUp) -> tuple[str, Completion | None]:
        place = "\n".join(unit.text for unit in found.units)
        if found.answer in VERDICTS:
            return f"{found.answer}: {' '.join(place.split())}", None
        names = " ".join((found.units[0].chunk.title, *found.units[0].chunk.heading_path))
        own = "" if any(unit.is_row for unit in found.units) else place
        return phrased(
            question,
            found.answer,
            f"{names}\n{place}",
            self.slm,
            own=own if len(found.units) == 1 else "",
            timeout_s=self.policy.timeout_s,
        )

    @span("apart")
    def _apart(self, question: str, way: Route) -> Draft | None:
        """The answer put together from look-ups; None where the planner finds no plan."""
        plan = way.plan or written_plan(question, self.llm, timeout_s=self.policy.timeout_s)
        if plan is None:
            return None

        @span("step")
        def look_up(step: str, wants: AnswerType) -> Found | None:
            self.teller.status(f"looking up: {step}")
            hits = self._found(step)
            try:
                found = self._looked_up(dated(step, self.clock()), self._select(hits), wants)
            except BudgetError:  # what an earlier step found made it too long
                return None
            sure = found.score >= self.policy.step_odds
            set_facts({"rag.found": bool(found.answer), "rag.sure": sure})
            return Found(found.answer, sure, found.confidence, found)

        outcome = run(plan, carried(look_up), deadline=time.monotonic() + self.policy.timeout_s)
        looked = [
            step.found.reference
            for step in outcome.steps
            if step.found is not None and isinstance(step.found.reference, LookedUp)
        ]
        asked_of = tuple(call for one in looked for call in one.calls)
        calls: dict[Role, tuple[Completion, ...]] = {"llm": asked_of}
        passages = tuple({id(p): p for one in looked for p in one.passages[:1]}.values())
        steps = tuple(
            AnswerStep(step.question, step.found.text if step.found else "")
            for step in outcome.steps
        )
        reason = asked_of[-1].finish_reason if asked_of else NO_GENERATION
        if not outcome.accepted:
            note = f"taken apart, but {outcome.reason}"
            refused = Grounded("", refused=True)
            return Draft(passages, refused, calls, reason, steps=steps, notes=(note,))
        told = [
            (sentence.text, tuple(u for n in sentence.steps for u in _units(outcome.steps[n])))
            for sentence in outcome.sentences
        ]
        confidences = [step.found.confidence for step in outcome.steps if step.found is not None]
        missing = tuple(f"not found: {what}" for what in outcome.missing)
        return Draft(
            passages, cited(told), calls, reason, min(confidences, default=None), steps=steps,
            notes=(*(note for one in looked for note in one.notes), *missing),
        )  # fmt: skip

    @span("write")
    def _written(
        self, role: Role, question: str, passages: Sequence[Passage], budget: Budget
    ) -> Draft:
        """What a model writes from several passages, as far as they support it."""
        model = self.slm if role == "slm" else self.llm
        build = partial(answer_messages, role, question, today=self.clock())
        packed = pack(model, build, passages, budget)
        self.teller.status("writing")
        heard = Hearing(packed.passages, question, self.teller.say_grounded)
        generated = generate(
            model,
            packed,
            timeout_s=self.policy.timeout_s,
            heard=heard if self.check is ground else None,
        )
        with span("check"):
            grounded = self.check(generated.text, packed.passages, question)
            set_facts({"rag.removed": len(grounded.removed)})
        return Draft(
            packed.passages, grounded, {role: generated.completions}, generated.finish_reason,
            generated.confidence, {role: packed.to_record()}, notes=generated.repairs,
        )  # fmt: skip

    def _deep(self, question: str, passages: Sequence[Passage]) -> Draft:
        """The LLM writes from what the SLM marked in each document, or from the best sections."""
        policy = self.policy
        self.teller.status("reading documents")
        marked, calls, cut = read_documents(
            question, passages, self.slm, policy.deep, timeout_s=policy.timeout_s
        )
        draft = self._written("llm", question, marked or passages, policy.deep.reduce)
        notes = (*cut, *([NOTHING_MARKED] if calls and not marked else []))
        return replace(
            draft, calls={"slm": tuple(calls), **draft.calls}, notes=(*notes, *draft.notes)
        )

    def _new_id(self, question: str) -> str:
        now = datetime.now(UTC).isoformat()
        return row_id(
            "answer", question, self.reader.generation.id, now, os.getpid(), next(_counter)
        )

    def _finished(
        self,
        answer_id: str,
        question: str,
        mode: Mode,
        way: Route,
        draft: Draft | None,
        timings: Timings,
        names: tuple[str, ...],
    ) -> Answer:
        now = datetime.now(UTC)
        generation = self.reader.generation
        abstained = draft is None or draft.abstains
        return Answer(
            answer_id=answer_id,
            question=question,
            answer=_abstention(draft, names) if draft is None or abstained else draft.grounded.text,
            abstained=abstained,
            mode=mode,
            route=way,
            citations=() if draft is None or abstained else draft.grounded.citations,
            usage={} if draft is None else Usage.by_role(draft.calls),
            finish_reason=NO_GENERATION if draft is None else draft.finish_reason,
            confidence=None if draft is None else draft.confidence,
            repairs=names if draft is None else (*names, *draft.notes, *draft.grounded.notes),
            steps=() if draft is None else draft.steps,
            generation_id=generation.id,
            generation_created_at=generation.created_at,
            created_at=now.isoformat(),
            timings=timings,
            calibration=self.policy.calibration,
            evidence=() if draft is None else draft.passages,
            budget={} if draft is None else draft.budget,
        )


def _told_of(other: Other) -> str:
    """What another place says: its own sentence, or the answer with the name of its document."""
    place = " ".join(" ".join(unit.text for unit in other.units).split())
    said = f"{other.answer}: {place}" if other.answer in VERDICTS else other.answer
    name = marks(other.units[0].chunk)
    if other.is_older:
        return f"An older version ({name}) says: {said}"
    if other.answer in VERDICTS:
        return said
    return f"{name}: {said}" if any(unit.is_row for unit in other.units) else place


def _units(step: Answered) -> tuple[Piece, ...]:
    found = step.found
    return found.reference.units if found and isinstance(found.reference, LookedUp) else ()


def _together(first: Draft | None, second: Draft) -> Draft:
    """The second attempt, with what the first one cost and came to."""
    if first is None:
        return second
    roles = dict.fromkeys([*first.calls, *second.calls])
    calls = {role: (*first.calls.get(role, ()), *second.calls.get(role, ())) for role in roles}
    return replace(
        second,
        calls=calls,
        budget={**first.budget, **second.budget},
        steps=first.steps,
        notes=(*first.notes, *second.notes),
    )


def _abstention(draft: Draft | None, names: tuple[str, ...]) -> str:
    """That the documents do not answer, which names of the question they lack, what is nearest."""
    said = " ".join([ABSTENTION, *names])
    if draft is None:
        return f"{said} Nothing in them is close to it."
    if not draft.passages:
        return f"{said} No evidence fitted the token budget."
    nearest = draft.passages[0]
    what = (
        "does not contain it"
        if draft.grounded.refused or not draft.grounded.removed
        else "does not support what the model wrote"
    )
    return f'{said} The nearest section, "{nearest.title}", {what}.'
