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
        reader: the model that reads: which of the two does it better.
        candidates: passages asked whether they contain the answer.
        answer: tokens of an answer that is copied.
        sure: log-odds from which the first passage ends the search.
        least: log-odds of an answer below which it is not given: an abstention.
        least_step: the same of a step: a plan is held by the types of its steps as well.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    reader: Role = "llm"
    candidates: PositiveInt = 5
    answer: PositiveInt = 48
    sure: float = 1.2
    least: float = 0.3
    least_step: float = -0.5


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
        decent_similarity: evidence this good makes an SLM's abstention worth a second opinion.
        min_logprob: an SLM answer whose mean token log-probability is below this goes to the LLM as
            well.
        min_support: share of a sentence's content words that a cited passage must hold.
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
    decent_similarity: float = 0.45
    min_logprob: float = -0.3
    min_support: float = 0.5
    passage_tokens: PositiveInt = 220
    per_document_decay: float = 0.85
    timeout_s: PositiveFloat = 300.0
    concurrency: PositiveInt = 4
    calibration: str = UNCALIBRATED

    def budget(self, role: Role) -> Budget:
        """The budget of a single-call answer by this model."""
        return self.slm if role == "slm" else self.llm
