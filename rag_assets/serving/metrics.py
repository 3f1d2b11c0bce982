"""What the answerer counts, for Prometheus."""

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from rag_assets.answers.answer import Answer
from rag_assets.serving.admission import Gate
from rag_assets.serving.live_index import Reload

SECONDS = (0.1, 0.25, 0.5, 1, 2, 3, 4, 5, 6, 7, 10, 15, 20, 30, 60, 120)  # the target is 5-7


class Metrics:
    """One registry a process; nothing global, so tests may have several."""

    def __init__(self, gate: Gate) -> None:
        self.registry = CollectorRegistry()
        counter = partial(Counter, registry=self.registry)
        by = ["model", "way", "mode", "outcome", "finish_reason"]
        self.answers = counter("rag_answers", "Answers given.", by)
        self.errors = counter("rag_errors", "Questions not answered.", ["status"])
        self.tokens = counter("rag_tokens", "Tokens by model and kind.", ["model", "kind"])
        self.escalations = counter("rag_escalations", "Answers on another way than the first.")
        self.repairs = counter("rag_repaired_answers", "Answers that something was put right in.")
        self.reloads = counter("rag_reloads", "Reloads of the live index.", ["outcome"])
        self.journal_failures = counter(
            "rag_journal_failures", "Answers given but not written to the answers table."
        )
        self.seconds = Histogram(
            "rag_answer_seconds",
            "Time of an answer by step.",
            ["step"],
            buckets=SECONDS,
            registry=self.registry,
        )
        in_service = "1 for the generation in service."
        self.generation = Gauge("rag_live_generation", in_service, ["id"], registry=self.registry)
        for name, read in (("running", lambda: gate.running), ("waiting", lambda: gate.waiting)):
            gauge = Gauge(f"rag_questions_{name}", f"Questions {name}.", registry=self.registry)
            gauge.set_function(read)

    def answered(self, answer: Answer) -> None:
        """Count an answer."""
        outcome = "abstained" if answer.abstained else "answered"
        route = answer.route
        self.answers.labels(
            route.model, route.way, answer.mode, outcome, answer.finish_reason
        ).inc()
        for step, ms in answer.timings.to_record().items():
            self.seconds.labels(step).observe(ms / 1000)
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
