"""An answer: what was said, on which evidence, by which model and generation, at what cost."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rag_assets.answers.citations import Citation
from rag_assets.answers.policy import Mode, Role
from rag_assets.answers.routing import Route
from rag_assets.models.protocols import Completion
from rag_assets.retrieval.passages import Passage

NO_GENERATION = "no_generation"  # finish_reason of an abstention before any model was asked
ABSTENTION = "The documents do not answer this question."


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one model over all its calls for one answer."""

    prompt_tokens: int
    cached_prompt_tokens: int
    completion_tokens: int

    @classmethod
    def by_role(cls, calls: Mapping[Role, Sequence[Completion]]) -> "dict[str, Usage]":
        """What the calls of each role took, of the roles that were called."""
        return {
            role: cls(*(sum(getattr(one, name) for one in done) for name in cls.__slots__))
            for role, done in calls.items()
            if done
        }


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds by step; ``route`` is selection, budget and routing."""

    embed: float
    retrieve: float
    route: float
    generate: float
    total: float

    def to_record(self) -> dict[str, float]:
        """Rounded to a tenth."""
        return {name: round(getattr(self, name), 1) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class AnswerStep:
    """A look-up that an answer rests on.

    Attributes:
        question: as it was asked.
        answer: short; "" if none was found.
    """

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of one question.

    Attributes:
        answer_id: ``answer_<32 hex digits>``.
        question: as checked.
        answer: text with markers [n]; an explicit sentence when ``abstained``.
        abstained: the evidence does not answer the question.
        mode: as asked for.
        route: which way, by which model, why, whether another way was tried first.
        citations: by number.
        usage: tokens by role, of the models that were asked.
        budget: what each was given and how that was counted, by role; see ``Packed.to_record``.
        finish_reason: of the last call; "no_generation" when no model was asked.
        confidence: chance that the answer is right, in [0, 1], as the model that read sees it; of
            a written answer the geometric mean of the probabilities of its tokens; None when no
            model was asked.
        repairs: what was put right on the way, a sentence each.
        generation_id: the index it was produced on.
        generation_created_at: ISO 8601, UTC.
        created_at: ISO 8601, UTC.
        timings: by step.
        calibration: where the thresholds of answering are from; "uncalibrated" if none fits.
        steps: the look-ups of a question that was taken apart.
        evidence: the passages that the model read, in order of their numbers in the prompt.
    """

    answer_id: str
    question: str
    answer: str
    abstained: bool
    mode: Mode
    route: Route
    citations: tuple[Citation, ...]
    usage: Mapping[str, Usage]
    finish_reason: str
    confidence: float | None
    repairs: tuple[str, ...]
    generation_id: str
    generation_created_at: str
    created_at: str
    timings: Timings
    calibration: str
    steps: tuple[AnswerStep, ...] = ()
    evidence: tuple[Passage, ...] = ()
    budget: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def to_record(self) -> dict[str, Any]:
        """The contract of ``rag ask --json``; fields may be added to it, none taken away."""
        return {
            "answer_id": self.answer_id,
            "question": self.question,
            "answer": self.answer,
            "abstained": self.abstained,
            "mode": self.mode,
            "route": {
                "model": self.route.model,
                "reason": self.route.reason,
                "escalated": self.route.escalated,
                "way": self.route.way,
                "features": dict(self.route.features),
            },
            "steps": [asdict(step) for step in self.steps],
            "citations": [citation.to_record() for citation in self.citations],
            "usage": {role: asdict(used) for role, used in self.usage.items()},
            "budget": {role: dict(one) for role, one in self.budget.items()},
            "finish_reason": self.finish_reason,
            "confidence": None if self.confidence is None else round(self.confidence, 4),
            "repairs": list(self.repairs),
            "calibration": self.calibration,
            "generation": {"id": self.generation_id, "created_at": self.generation_created_at},
            "timings_ms": self.timings.to_record(),
            "created_at": self.created_at,
            "evidence": [_evidence_record(passage) for passage in self.evidence],
        }


def _evidence_record(passage: Passage) -> dict[str, Any]:
    return {
        "section_id": passage.head.section_id,
        "document_id": passage.head.document_id,
        "uri": passage.head.uri,
        "chunk_ids": list(dict.fromkeys(piece.chunk.chunk_id for piece in passage.pieces)),
        "score": round(passage.score, 6),
        "similarity": None if passage.similarity is None else round(passage.similarity, 4),
        "whole": passage.whole,
    }
