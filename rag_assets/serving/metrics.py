"""What the answerer counts, for Prometheus."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from rag_assets.answers.answer import Answer
from rag_assets.answers.answerer import Answerer
from rag_assets.answers.telling import Event, Said, Tell
from rag_assets.serving.admission import Gate, Line
from rag_assets.serving.live_index import Reload

SECONDS = (0.1, 0.25, 0.5, 1, 2, 3, 4, 5, 6, 7, 10, 15, 20, 30, 60, 120)  # the target is 5-7
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)
ASKED = {False: "by_hand", True: "batch"}
CoreSeconds = Callable[[], Mapping[str, float]]


class _Cores(Collector):
    """Reads, when it is asked, what processors did: an engine does not say it of itself."""

    def __init__(self, core_seconds: CoreSeconds) -> None:
        self._core_seconds = core_seconds

    def collect(self) -> Iterator[CounterMetricFamily]:
        """One counter; it begins again when an engine does."""
        found = CounterMetricFamily(
            "rag_core_seconds", "Seconds of a processor core, by process.", labels=["process"]
        )
        of_this = os.times()
        found.add_metric(["answerer"], of_this.user + of_this.system)
        for role, seconds in self._core_seconds().items():
            found.add_metric([role], seconds)
        yield found


class Metrics:
    """One registry a process; nothing global, so tests may have several.

    Args:
        gate: whose questions are counted.
        core_seconds: what each engine has used of the processors; empty where nobody knows.
    """

    def __init__(self, gate: Gate, core_seconds: CoreSeconds = dict) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_Cores(core_seconds))
        counter = partial(Counter, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)
        by = ["asked", "model", "way", "mode", "outcome", "finish_reason"]
        self.answers = counter("rag_answers", "Answers given.", by)
        self.errors = counter("rag_errors", "Questions not answered.", ["status"])
        self.tokens = counter("rag_tokens", "Tokens by model and kind.", ["model", "kind"])
        self.escalations = counter("rag_escalations", "Answers on another way than the first.")
        self.repairs = counter("rag_repaired_answers", "Answers that something was put right in.")
        self.reloads = counter("rag_reloads", "Reloads of the live index.", ["outcome"])
        self.journal_failures = counter(
            "rag_journal_failures", "Answers given but not written to the answers table."
        )
        self.seconds = histogram(
            "rag_answer_seconds", "Time of an answer by step.", ["asked", "step"], buckets=SECONDS
        )
        self.first_sentence = histogram(
            "rag_first_sentence_seconds",
            "Time to the first sentence of an answer, the wait at the gate not counted.",
            ["asked"],
            buckets=SECONDS,
        )
        self.confidence = histogram(
            "rag_answer_confidence", "Confidence of answers.", ["way"], buckets=SHARES
        )
        self.context_use = histogram(
            "rag_context_use", "Share of a model's context that a prompt takes.", ["model"],
            buckets=SHARES,
        )  # fmt: skip
        in_service = "1 for the generation in service."
        self.generation = Gauge("rag_live_generation", in_service, ["id"], registry=self.registry)
        gauge = partial(Gauge, labelnames=["asked"], registry=self.registry)
        running = gauge("rag_questions_running", "Questions that are answered now.")
        waiting = gauge("rag_questions_waiting", "Questions that wait now.")
        for asked, line in ((ASKED[False], gate.by_hand), (ASKED[True], gate.batch)):
            running.labels(asked).set_function(partial(getattr, line, "running"))
            waiting.labels(asked).set_function(partial(_n_waiting, line))

    def timed(self, tell: Tell, *, batch: bool) -> Tell:
        """Tells the same, and counts how long the first sentence takes from now on."""
        began, first = time.perf_counter(), True

        def told(event: Event) -> None:
            nonlocal first
            if first and isinstance(event, Said):
                first = False
                passed = time.perf_counter() - began
                self.first_sentence.labels(ASKED[batch]).observe(passed)
            tell(event)

        return told

    def answered(self, answer: Answer, answerer: Answerer, *, batch: bool) -> None:
        """Count an answer.

        Args:
            answer: what was answered.
            answerer: whose models made it.
            batch: whether it is one of a batch.
        """
        outcome = "abstained" if answer.abstained else "answered"
        route = answer.route
        asked = ASKED[batch]
        self.answers.labels(
            asked, route.model, route.way, answer.mode, outcome, answer.finish_reason
        ).inc()
        for step, ms in answer.timings.to_record().items():
            self.seconds.labels(asked, step).observe(ms / 1000)
        if answer.confidence is not None:
            self.confidence.labels(route.way).observe(answer.confidence)
        for role, budget in answer.budget.items():
            window = (answerer.slm if role == "slm" else answerer.llm).max_model_len
            self.context_use.labels(role).observe(budget["prompt_tokens"] / window)
        for role, used in answer.usage.items():
            self.tokens.labels(role, "prompt").inc(used.prompt_tokens)
            self.tokens.labels(role, "cached_prompt").inc(used.cached_prompt_tokens)
            self.tokens.labels(role, "completion").inc(used.completion_tokens)
        self.escalations.inc(int(route.escalated))
        self.repairs.inc(int(bool(answer.repairs)))

    def reloaded(self, reload: Reload) -> None:
        """Count a reload, and name the generation in service."""
        outcome = "failed" if reload.error else "swapped" if reload.swapped else "unchanged"
        self.reloads.labels(outcome).inc()
        if reload.swapped and reload.generation_id is not None:
            self.generation.clear()
            self.generation.labels(reload.generation_id).set(1)

    def text(self) -> bytes:
        """The exposition text."""
        return generate_latest(self.registry)


def _n_waiting(line: Line) -> int:
    return len(line.waiting)
