"""A plan as values: what a refresh would do per partition and stage, and in total."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

FIGURES = ("new", "changed", "gone", "calls", "tokens_in", "tokens_out", "n_bytes", "seconds")


@dataclass(frozen=True, slots=True)
class StagePlan:
    """What one stage would do to one partition, or to all of them.

    Attributes:
        stage: its name.
        new, changed, gone, unchanged: inputs of the stage (of ``chunk_index``: rows).
        calls: texts or documents for a model, those in the cache taken off; 0 where there is none.
        tokens_in, tokens_out: of those calls.
        n_bytes: to read at the source.
        seconds: expected.
        estimated: names of the figures above that are no counts. Seconds always are one.
        causes: why inputs are computed -> how many.
    """

    stage: str
    new: int = 0
    changed: int = 0
    gone: int = 0
    unchanged: int = 0
    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    n_bytes: int = 0
    seconds: float = 0.0
    estimated: Sequence[str] = ("seconds",)
    causes: Mapping[str, int] = field(default_factory=dict)

    @property
    def to_compute(self) -> int:
        """Inputs to compute."""
        return self.new + self.changed

    @property
    def has_work(self) -> bool:
        """Whether anything would be written."""
        return bool(self.new or self.changed or self.gone)


@dataclass(frozen=True, slots=True)
class PartitionPlan:
    """What a refresh would do to one partition; of one that its source has no longer, all goes.

    Attributes:
        partition: its key.
        stages: in order; none where ``problem`` says why its run would stop.
        note: what cannot be known before, for a person.
        problem: why nothing would be done.
        is_stored: whether it was refreshed before.
    """

    partition: str
    stages: Sequence[StagePlan]
    note: str = ""
    problem: str = ""
    is_stored: bool = True

    @property
    def needs_run(self) -> bool:
        """Whether a run of it would find work, or what it would find is not known.

        One that never ran does so once, though it may be empty: Dagster would show it as missing.
        """
        if self.note or self.problem or not self.is_stored:
            return True
        return any(stage.has_work for stage in self.stages)


@dataclass(frozen=True, slots=True)
class RefreshPlan:
    """What ``rag refresh`` would do.

    Attributes:
        partitions: each one's.
        whole: of the stages that look at all partitions, and of the engines' start.
        rates: stage -> where its rate comes from.
    """

    partitions: Sequence[PartitionPlan]
    whole: Sequence[StagePlan]
    rates: Mapping[str, str]

    @property
    def totals(self) -> list[StagePlan]:
        """Stages summed over partitions, then those over all."""
        by_name: dict[str, list[StagePlan]] = {}
        for partition in self.partitions:
            for stage in partition.stages:
                by_name.setdefault(stage.stage, []).append(stage)
        return [_sum(name, plans) for name, plans in by_name.items()] + list(self.whole)

    def to_compute(self, stage: str) -> int:
        """Inputs of ``stage`` to compute, of all partitions."""
        return sum(plan.to_compute for plan in self.totals if plan.stage == stage)

    @property
    def needs_engines(self) -> bool:
        """Whether a model may be asked: by a stage, or by the gate of the index that comes of it.

        A partition with a problem asks none: its run stops. Of a web source nobody knows before.
        """
        unasked = any(partition.note for partition in self.partitions)
        return unasked or any(stage.has_work for stage in self.totals)

    @property
    def is_empty(self) -> bool:
        """Whether no stage of a partition has work, as far as listings and lineage tell."""
        return not self.needs_engines and not any(one.problem for one in self.partitions)

    @property
    def seconds(self) -> float:
        """Of all stages, one after another."""
        return sum(stage.seconds for stage in self.totals)

    def to_record(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "seconds": round(self.seconds, 1),
            "totals": [asdict(stage) for stage in self.totals],
            "partitions": [asdict(partition) for partition in self.partitions],
            "rates": dict(self.rates),
        }


def _sum(name: str, plans: Sequence[StagePlan]) -> StagePlan:
    causes: Counter[str] = Counter()
    for plan in plans:
        causes.update(plan.causes)
    counted = {figure: sum(getattr(plan, figure) for plan in plans) for figure in FIGURES}
    return StagePlan(
        stage=name,
        unchanged=sum(plan.unchanged for plan in plans),
        estimated=sorted({figure for plan in plans for figure in plan.estimated}),
        causes=dict(causes),
        **counted,
    )
