"""Every number that answering depends on, with its reason, in one value.

Budgets decide latency. On two CPU cores the SLM reads about 1,200 prompt tokens a second and
writes 24, the LLM reads 550 and writes 11. So 600 tokens of evidence and 30 of answer take the SLM
about 2 s; 950 and 30 take the LLM about 5 s. The target is 5-7 s an answer.

Models also read little evidence better. Of 28 golden look-ups (2-core AMD EPYC, 2026-11-22) the
SLM alone answered 13 from six passages and 16 from three; the LLM alone answered 19 from nine and
22 from four.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from rag_assets.models.clients.roles import Models
from rag_assets.models.errors import ProfileError

Role = Literal["slm", "llm"]
Mode = Literal["auto", "fact", "deep"]
MODES: tuple[Mode, ...] = ("auto", "fact", "deep")
_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class Budget:
    """Tokens one generation may use, in the served model's own tokens.

    Attributes:
        evidence: what the evidence may add to the prompt.
        answer: what is generated at first.
        repair: what may be added, once, when the answer was cut.
        sections: pieces of evidence at most.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    evidence: int
    answer: int
    repair: int
    sections: int


@dataclass(frozen=True, slots=True)
class DeepBudget:
    """Budgets of the map-reduce: the map's per document, the reduce's in all.

    Attributes:
        documents: how many documents the SLM reads.
        document: evidence tokens of one document in the map.
        extract: tokens the SLM may write about one document.
        reduce: the LLM's budget.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    documents: int = 4
    document: int = 600
    extract: int = 96
    reduce: Budget = field(default_factory=lambda: Budget(1500, 256, 192, 12))


@dataclass(frozen=True, slots=True)
class AnswerPolicy:
    """How questions are answered; the defaults are for the ``cpu`` profile.

    Attributes:
        slm: budget of a look-up.
        llm: budget of a synthesis.
        deep: budgets of deep mode.
        max_question_tokens: a longer question is refused; 1,000 tokens are about two pages.
        n_hits: chunks taken from the search.
        min_similarity: below this cosine similarity of the best chunk, and with less than
            ``min_term_coverage`` of the question's words in any chunk, nothing was found.
            all-MiniLM-L6-v2 puts unrelated English text near 0.0-0.15.
        min_term_coverage: share of the question's content words.
        decent_similarity: evidence this good makes an SLM's abstention worth a second opinion.
        min_logprob: an SLM answer whose mean token log-probability is below this goes to the LLM as
            well; measured on 28 golden look-ups (2-core AMD EPYC, 2026-11-22), the SLM alone: below
            -0.3 were 6 of 11 wrong answers that cited something and 2 of 15 right ones.
        min_support: share of a sentence's content words that a cited passage must hold.
        passage_tokens: of a passage at most; a section up to this is taken whole.
        per_document_decay: factor on a section's score for each better one of its document.
        timeout_s: for one model call.
        concurrency: questions answered at the same time; more would only wait in the engines.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    slm: Budget = field(default_factory=lambda: Budget(600, 64, 64, 3))
    llm: Budget = field(default_factory=lambda: Budget(950, 96, 96, 5))
    deep: DeepBudget = field(default_factory=DeepBudget)
    max_question_tokens: int = 1000
    n_hits: int = 30
    min_similarity: float = 0.2
    min_term_coverage: float = 0.3
    decent_similarity: float = 0.45
    min_logprob: float = -0.3
    min_support: float = 0.5
    passage_tokens: int = 180
    per_document_decay: float = 0.85
    timeout_s: float = 300.0
    concurrency: int = 4

    def budget(self, role: Role) -> Budget:
        """The budget of a single-call answer by this model."""
        return self.slm if role == "slm" else self.llm


def policy_of(models: Models) -> AnswerPolicy:
    """The policy of the profile in force, on the contexts that its models have.

    Raises:
        ProfileError: its ``answering`` has a field that there is none of, or a wrong value.
        ModelsError: an endpoint that has to say its context does not answer.
    """
    return policy_for(models.profile.answering, models.slm.max_model_len, models.llm.max_model_len)


def policy_for(stated: Mapping[str, Any], slm_context: int, llm_context: int) -> AnswerPolicy:
    """The policy that a profile states; what it leaves open follows from the models' contexts.

    Args:
        stated: ``answering`` of a profile: fields of AnswerPolicy.
        slm_context: tokens of prompt and answer together.
        llm_context: likewise.

    Raises:
        ProfileError: there is no such field, or a value is wrong.
    """
    derived = AnswerPolicy(
        slm=_derived(slm_context),
        llm=_derived(llm_context),
        deep=DeepBudget(document=_derived(slm_context).evidence, reduce=_derived(llm_context, 3)),
        passage_tokens=_PASSAGE if min(slm_context, llm_context) < _LONG else _LONG_PASSAGE,
    )
    try:
        return _POLICY.validate_python(_over(asdict(derived), stated))
    except ValidationError as error:
        wrong = "; ".join(
            f"answering.{'.'.join(map(str, one['loc']))}: {one['msg']}, got {one['input']!r:.80}"
            for one in error.errors(include_url=False)
        )
        raise ProfileError(f"the profile cannot answer questions so: {wrong}") from error


_PASSAGE, _LONG_PASSAGE = 180, 300  # tokens of a passage; what reads more gets more of each place
_LONG = 8192  # tokens of context from which passages are long
_MOST_EVIDENCE = 6000  # tokens; more takes seconds on any card, and models read it no better
_POLICY = TypeAdapter(AnswerPolicy)


def _derived(context: int, part: int = 4) -> Budget:
    """Budgets from the context alone: a quarter (of a reduce, a third) of it is evidence."""
    evidence = min(context // part, _MOST_EVIDENCE)
    answer = max(64, min(context // 16, 512))
    passage = _PASSAGE if context < _LONG else _LONG_PASSAGE
    return Budget(evidence, answer, answer, max(3, evidence // passage))


def _over(base: Mapping[str, Any], stated: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with what is stated, field by field."""
    nested = {
        name: _over(base[name], value)
        for name, value in stated.items()
        if isinstance(value, Mapping) and isinstance(base.get(name), Mapping)
    }
    return {**base, **stated, **nested}
