"""A plan as values: what a refresh would do per partition and stage, and in total."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

DELTA = ("new", "changed", "gone")
FIGURES = (*DELTA, "unchanged", "calls", "tokens_in", "tokens_out", "n_bytes", "seconds")


@dataclass(frozen=True, slots=True)
class StagePlan:
    """What one stage would do to one partition, or to all of them."""

    stage: str
    new: int = 0  # inputs, here and below; of a stage over the corpus: rows that it takes
    changed: int = 0
    gone: int = 0
    unchanged: int = 0
    calls: int = 0  # inputs for a model; those that the cache has are among them
    tokens_in: int = 0
    tokens_out: int = 0
    n_bytes: int = 0  # to read at the source
    seconds: float = 0.0
    estimated: Sequence[str] = ("seconds",)  # names of the figures that are no counts
    causes: Mapping[str, int] = field(default_factory=dict)  # why inputs are computed -> how many
    counts: str = ""  # what its inputs are, for a person; "" for a stage over the corpus

    @property
    def to_compute(self) -> int:
        """Inputs to compute."""
        return self.new + self.changed

    @property
    def has_work(self) -> bool:
        """Whether anything would be written."""
        return bool(self.new or self.changed or self.gone)

    def shown(self, *names: str) -> str:
        """The sum of these figures; ``~`` marks one that is no count."""
        mark = "~" if not set(names).isdisjoint(self.estimated) else ""
        return f"{mark}{sum(getattr(self, name) for name in names):,}"


@dataclass(frozen=True, slots=True)
class PartitionPlan:
    """What a refresh would do to one partition."""

    partition: str
    stages: Sequence[StagePlan]  # in order; none where there is a problem
    note: str = ""  # what cannot be known before
    problem: str = ""  # why nothing would be done
    is_stored: bool = True  # whether it was refreshed before

    @property
    def needs_run(self) -> bool:
        """Whether a run may find work. One that never ran does, as Dagster shows it as missing."""
        is_unknown = self.note or self.problem or not self.is_stored
        return bool(is_unknown) or any(stage.has_work for stage in self.stages)


@dataclass(frozen=True, slots=True)
class RefreshPlan:
    """What ``rag refresh`` would do."""

    partitions: Sequence[PartitionPlan]
    whole: Sequence[StagePlan]  # of the stages over the corpus, and of the engines' start
    rates: Mapping[str, str]  # stage -> where its cost was measured
    fingerprints: Mapping[str, Mapping[str, str]]  # as of now -> its parts, hashed
    empty: Sequence[str] = ()  # a sentence for each source that lists no file

    @property
    def totals(self) -> list[StagePlan]:
        """Stages summed over partitions, then those over all."""
        return [*totals(self.partitions), *self.whole]

    @property
    def needs_engines(self) -> bool:
        """Whether a model may be asked: by a stage, or by the gate of an index that changes."""
        if self.partitions and all(one.problem for one in self.partitions):
            return False  # their runs stop at the first stage, and nothing is indexed
        unknown = any(partition.note for partition in self.partitions)
        return unknown or any(stage.has_work for stage in self.totals)

    @property
    def needed(self) -> set[str]:
        """Partitions that a refresh has to run."""
        return {one.partition for one in self.partitions if one.needs_run}

    @property
    def has_no_file(self) -> bool:
        """Whether nothing is listed and nothing is stored of any of the sources."""
        first = [one.stages[0] if one.stages else None for one in self.partitions]
        none = [one and not one.has_work and not one.unchanged for one in first]
        return bool(self.empty) and all(none)

    @property
    def is_empty(self) -> bool:
        """Whether no stage has work, as far as listings and the lake tell."""
        return not self.needs_engines and not any(one.problem for one in self.partitions)

    @property
    def seconds(self) -> float:
        """Of all stages, one after another."""
        return sum(stage.seconds for stage in self.totals)

    def sentence(self) -> str:
        """In one line, for a refresh's own log."""
        if not any(one.stages for one in self.partitions):
            return "planned: nothing, no source can be read"
        first, *others = totals(self.partitions)
        parts = [f"{first.shown('new', 'changed')} {first.counts} to read, {first.gone:,} gone"]
        parts += [f"{one.shown('calls')} {one.counts}" for one in others if one.calls]
        return f"planned: {', '.join(parts)}; about {duration(self.seconds)}"

    def to_record(self) -> dict[str, Any]:
        """As JSON."""
        summed = {"seconds": round(self.seconds, 1), "totals": [*map(asdict, self.totals)]}
        return {
            **summed,
            "partitions": [*map(asdict, self.partitions)],
            "rates": dict(self.rates),
            "empty": [*self.empty],
        }


def totals(partitions: Sequence[PartitionPlan]) -> list[StagePlan]:
    """Stages summed over partitions."""
    by_name: dict[str, list[StagePlan]] = {}
    for one in (one for partition in partitions for one in partition.stages):
        by_name.setdefault(one.stage, []).append(one)
    found = []
    for plans in by_name.values():
        summed = {name: sum(getattr(one, name) for one in plans) for name in FIGURES}
        causes = sum((Counter(one.causes) for one in plans), Counter[str]())
        estimated = sorted({name for one in plans for name in one.estimated})
        found.append(replace(plans[0], **summed, estimated=estimated, causes=dict(causes)))
    return found


def duration(seconds: float) -> str:
    """A time of two figures: 0.4 s, 12 s, 3 min, 2.5 h."""
    if seconds < 120:
        return f"{seconds:.{int(seconds < 9.95)}f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
