"""What a stage takes per unit of work: measured by this installation's refreshes, or published.

A unit is a model call where the stage has a model, an input where it has none. After each refresh
the record ``plans/rates`` takes in what it took; older refreshes count less and less, so that a
rate follows the machine and the corpus.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from rag_assets.lake.store import LakeStore

RATES = "plans/rates"
KEPT = 0.8  # of what earlier refreshes weigh; the last ten then make up nine tenths
PUBLISHED = "published"


@dataclass(frozen=True, slots=True)
class Rate:
    """Sums over refreshes of one stage, and what it takes when it has nothing to do.

    Attributes:
        units: of work.
        seconds: that they took, ``idle_seconds`` taken off.
        tokens_in, tokens_out: of model calls.
        idle_seconds: of a run of the stage that finds nothing to do.
        rows_per_input: rows that an input gives, for a partition that has none yet.
        tokens_per_row: of the embedder in such a row.
        where: where it was measured.
    """

    units: float
    seconds: float
    tokens_in: float = 0.0
    tokens_out: float = 0.0
    idle_seconds: float = 0.1
    rows_per_input: float = 1.0
    tokens_per_row: float = 0.0
    where: str = PUBLISHED

    @property
    def seconds_per_unit(self) -> float:
        """0 where nothing was measured."""
        return self.seconds / self.units if self.units else 0.0


# For an installation's first refresh. CPU time, as the machine was shared, over every sixth page of
# PostgreSQL's manual: 194 HTML files, one partition; documents are read by two processes at once.
_PAGES = f"{PUBLISHED}: 194 HTML pages, 2-core AMD EPYC without AVX-512, 2026-11-22"
_SAMPLE = f"{PUBLISHED}: README, first refresh of the sample, 2-core AMD EPYC with AVX-512"
_ENGINE = f"{PUBLISHED}: bf16 MiniLM, chunks of 200 tokens, 2-core Xeon with AMX"
DEFAULTS: Mapping[str, Rate] = {
    "source_files": Rate(194, 0.35, where=_PAGES),
    "documents": Rate(194, 9.5, where=_PAGES),
    "sections": Rate(194, 0.35, rows_per_input=1.4, where=_PAGES),
    "chunks": Rate(263, 2.3, rows_per_input=5.2, tokens_per_row=203, where=_PAGES),
    "embeddings": Rate(136, 1.0, where=_ENGINE),
    # 507 tokens a prompt on average over the sample; answers have at most 140, 100 is assumed.
    "enrichments": Rate(52, 73.0, tokens_in=52 * 507, tokens_out=52 * 100, where=_SAMPLE),
    "duplicates": Rate(194, 0.12, where=_PAGES),
    "chunk_index": Rate(338, 0.37, where=f"{PUBLISHED}: the sample, same processor as for pages"),
    "index_evaluation": Rate(1, 2.0, where=f"{PUBLISHED}: assumed"),
    "engines": Rate(1, 37.0, idle_seconds=0.0, where=_SAMPLE),
}


def load_rates(store: LakeStore) -> dict[str, Rate]:
    """Stage -> its rate: this installation's where it has one, else the published one."""
    kept = store.get_record(RATES) or {}
    return {**DEFAULTS, **{name: Rate(**fields) for name, fields in kept.items()}}


@dataclass(frozen=True, slots=True)
class Measured:
    """What one refresh took in one stage; ``n_runs`` times it ran, once a partition."""

    units: int
    seconds: float
    n_runs: int = 1
    n_gone: int = 0
    tokens_in: int = 0
    tokens_out: int = 0


def learn(rate: Rate, measured: Measured) -> Rate:
    """The rate with one more refresh; one without work tells what a run takes by itself."""
    # A published rate does not speak for this machine: the first measurement replaces it.
    kept = 0.0 if rate.where.startswith(PUBLISHED) else KEPT
    if not measured.units:
        if measured.n_gone:  # deletions are neither units nor idleness
            return rate
        idle = measured.seconds / measured.n_runs
        return replace(rate, idle_seconds=kept * rate.idle_seconds + (1 - kept) * idle)
    work = max(measured.seconds - rate.idle_seconds * measured.n_runs, 0.0)
    return replace(
        rate,
        units=rate.units * kept + measured.units,
        seconds=rate.seconds * kept + work,
        tokens_in=rate.tokens_in * kept + measured.tokens_in,
        tokens_out=rate.tokens_out * kept + measured.tokens_out,
        where="this installation",
    )


def remember(store: LakeStore, measured: Mapping[str, Measured]) -> None:
    """Take in what a refresh measured; refreshes of two processes wait for one another."""
    with store.locked("rates"):
        kept = store.get_record(RATES) or {}
        for name, one in measured.items():
            before = Rate(**kept[name]) if name in kept else DEFAULTS[name]
            kept[name] = asdict(learn(before, one))
        store.put_record(RATES, kept)
