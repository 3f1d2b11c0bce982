"""Every number that answering depends on, in one value; ``deriving`` makes it for a profile."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from pydantic import ConfigDict, NonNegativeInt, PositiveFloat, PositiveInt

Role = Literal["slm", "llm"]
Mode = Literal["auto", "fact", "deep"]
MODES: tuple[Mode, ...] = ("auto", "fact", "deep")
UNCALIBRATED = "uncalibrated"
_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class Budget:
    """Tokens one generation may use, in the served model's own tokens.

    Attributes:
        evidence: what the evidence may add to the prompt.
        answer: what is generated at first.
        repair: what may be added, once, when the answer was cut.
        sections: pieces of evidence at most.
        thinking: what a model that can think aloud may write before its answer; 0: it does not.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    evidence: NonNegativeInt
    answer: PositiveInt
    repair: NonNegativeInt
    sections: PositiveInt
    thinking: NonNegativeInt = 0


@dataclass(frozen=True, slots=True)
class DeepBudget:
    """Budgets of the map-reduce: the map's per document, the reduce's in all.

    Attributes:
        documents: how many documents the SLM reads, all at once: the width of the map.
        document: evidence tokens of one document in the map.
        extract: tokens the SLM may write about one document.
        reduce: the LLM's budget.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    documents: PositiveInt = 4
    document: NonNegativeInt = 600
    extract: PositiveInt = 96
    reduce: Budget = field(default_factory=lambda: Budget(1500, 256, 192, 12))


@dataclass(frozen=True, slots=True)
class ReadingBudget:
    """How look-ups are read, passage by passage.

    Attributes:
        candidates: passages asked whether they contain the answer, at most.
        answer: tokens of an answer that is copied.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    candidates: PositiveInt = 5
    answer: PositiveInt = 48


@dataclass(frozen=True, slots=True)
class AnswerPolicy:
    """How questions are answered; the defaults are those of the ``cpu`` profile.

    Attributes:
        slm: budget of a look-up.
        llm: budget of a synthesis.
        reading: of look-ups.
        deep: budgets of deep mode.
        max_question_tokens: a longer question is refused; 1,000 tokens are about two pages.
        n_hits: chunks taken from the search.
        min_similarity: below this cosine similarity of the best chunk, and with less than
            ``min_term_coverage`` of the question's words in any chunk, nothing was found.
        min_term_coverage: share of the question's content words.
        sure_odds: log-odds from which a first passage, and the answer in it, end the reading.
        least_odds: log-odds of an answer that was read below which it is not given.
        step_odds: the same of a step: the types of its answers hold a plan as well.
        passage_tokens: of a passage at most; a section up to this is taken whole.
        per_document_decay: factor on a section's score for each better one of its document.
        timeout_s: for one model call.
        concurrency: questions answered at the same time; more would only wait in the engines.
        calibration: where the thresholds are from; no profile states it.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    slm: Budget = field(default_factory=lambda: Budget(600, 64, 64, 3))
    llm: Budget = field(default_factory=lambda: Budget(950, 96, 96, 5))
    reading: ReadingBudget = field(default_factory=ReadingBudget)
    deep: DeepBudget = field(default_factory=DeepBudget)
    max_question_tokens: PositiveInt = 1000
    n_hits: PositiveInt = 30
    min_similarity: float = 0.2
    min_term_coverage: float = 0.3
    sure_odds: float = 0.4
    least_odds: float = -0.05
    step_odds: float = -0.5
    passage_tokens: PositiveInt = 180
    per_document_decay: float = 0.85
    timeout_s: PositiveFloat = 300.0
    concurrency: PositiveInt = 4
    calibration: str = UNCALIBRATED

    def budget(self, role: Role) -> Budget:
        """The budget of a single-call answer by this model."""
        return self.slm if role == "slm" else self.llm
