"""What an evaluation measured: one result a question, figures over them, comparisons of variants.

A *variant* is one way of answering (``product``, ``closed book, slm``, ``vector only``); the same
questions asked of two variants are a paired sample. Metrics that do not apply to a question (the
F1 of an abstention that was right) are absent from its ``scores``, never NaN; a question that
failed has the scores of a wrong answer, and its ``error``.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

ALL = "all"  # the slice that holds every case of a dataset


@dataclass(frozen=True, slots=True)
class ModelUse:
    """What one model did for one question, or for many.

    Attributes:
        calls: requests.
        prompt_tokens: read, cached ones included.
        cached_prompt_tokens: of these, found in the engine's prefix cache.
        completion_tokens: written.
        seconds: of the calls, one after another.
        core_seconds: processor time of the engine during them; of calls that overlap, a share.
        finish_reasons: reason -> calls.
    """

    calls: int = 0
    prompt_tokens: int = 0
    cached_prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    core_seconds: float = 0.0
    finish_reasons: Mapping[str, int] = field(default_factory=dict)

    def plus(self, other: "ModelUse") -> "ModelUse":
        """Both together."""
        reasons = Counter(self.finish_reasons) + Counter(other.finish_reasons)
        return ModelUse(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.cached_prompt_tokens + other.cached_prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.seconds + other.seconds,
            self.core_seconds + other.core_seconds,
            dict(reasons),
        )


@dataclass(frozen=True, slots=True)
class CaseResult:
    """How one question went under one variant.

    Attributes:
        suite: e.g. "answers".
        dataset: e.g. "hotpotqa".
        variant: what was measured.
        case_id: unique within a dataset; joins the variants.
        question: as asked.
        answer: as given; "" where there is none (retrieval, failure).
        expected: accepted answers, or the ids of the relevant documents.
        slices: name -> value, e.g. {"kind": "multi", "language": "de"}; what one can filter by.
        scores: metric -> value of this case, finite; a metric that does not apply is absent.
        answerable: the documents hold the answer; False also for retrieval without judgements.
        abstained: it said that the documents do not answer.
        confidence: geometric mean of the answer's token probabilities, in (0, 1]; None if unknown.
        model: that wrote the answer: "slm", "llm", or "none".
        use: model role -> what it did.
        seconds: from question to answer with the models really at work (replayed calls count as
            long as they took when they were made); 0 where nobody waited (a ranking, a label).
        replayed: all model calls came from the cache of completions.
        error: why there is no answer; "" if there is one.
    """

    suite: str
    dataset: str
    variant: str
    case_id: str
    question: str
    answer: str
    expected: tuple[str, ...]
    slices: Mapping[str, str]
    scores: Mapping[str, float]
    answerable: bool = True
    abstained: bool = False
    confidence: float | None = None
    model: str = "none"
    use: Mapping[str, ModelUse] = field(default_factory=dict)
    seconds: float = 0.0
    replayed: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number with its 95 % confidence interval.

    Attributes:
        suite: with dataset and variant, as of the cases.
        slice: "all", or "name=value".
        metric: e.g. "ndcg@10", "correct", "seconds p95".
        low: lower end of the interval, as ``high`` equal to ``value`` where n < 2.
        n: cases that it is over; of these, ``n_failed`` failed.
    """

    suite: str
    dataset: str
    variant: str
    slice: str
    metric: str
    value: float
    low: float
    high: float
    n: int
    n_failed: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two variants on the same questions.

    Attributes:
        suite: with dataset and slice, as of :class:`Figure`.
        baseline: the variant that ``other`` is compared with.
        difference: mean of ``other`` minus mean of ``baseline``, over the shared cases.
        low: lower end of its 95 % interval (paired bootstrap), ``high`` the upper.
        p_value: two-sided.
        test: "McNemar exact" for yes/no metrics, "paired bootstrap" for others.
        effect: Cohen's g for yes/no metrics (share of better pairs among those that differ, less
            1/2; in [-0.5, 0.5]), Cohen's d_z for others (the difference over the standard deviation
            of the pairwise differences); 0 where no pair differs, and for d_z where all differ by
            the same amount, which has no finite value.
        n: shared cases, of which ``other`` scores higher in ``n_better``, lower in ``n_worse``.
    """

    suite: str
    dataset: str
    slice: str
    metric: str
    baseline: str
    other: str
    difference: float
    low: float
    high: float
    p_value: float
    test: str
    effect: float
    n: int
    n_better: int
    n_worse: int
