"""Keep what an evaluation measured: rows in the lake, a page to mail."""

import json
import os
import platform
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pyarrow as pa

from rag_assets.evaluations.lab import Lab
from rag_assets.evaluations.presentation import Presented
from rag_assets.evaluations.report import Report, render_report
from rag_assets.evaluations.results import CaseResult, Comparison, Figure
from rag_assets.lake.erasing import scrub
from rag_assets.lake.generations import live
from rag_assets.lake.schemas import (
    EVALUATION_CASES,
    EVALUATION_COMPARISONS,
    EVALUATION_FIGURES,
)
from rag_assets.lake.store import LakeStore

CASES = "evaluation_cases"
FIGURES = "evaluation_figures"
COMPARISONS = "evaluation_comparisons"


@dataclass(frozen=True, slots=True)
class Origin:
    """Which run measured something, and when."""

    run_id: str
    created_at: datetime


def keep_cases(store: LakeStore, suite: str, results: Sequence[CaseResult], origin: Origin) -> None:
    """Add a run's results to the lake, a partition for each suite; what was stays."""
    _add(store, CASES, suite, EVALUATION_CASES, results, origin)


def keep_figures(store: LakeStore, suite: str, made: Presented, origin: Origin) -> None:
    """Add what was worked out of a run's results."""
    _add(store, FIGURES, suite, EVALUATION_FIGURES, made.figures, origin)
    _add(store, COMPARISONS, suite, EVALUATION_COMPARISONS, made.comparisons, origin)


def forget(store: LakeStore) -> int:
    """Delete the cases of all suites, scrub their tables; how many there were. Figures stay.

    A case has a question and an answer, and does not say what the answer was read from.
    """
    n_rows = n_cases(store)
    for suite in store.partitions(CASES):
        table = store.table(CASES, suite)
        if table is not None:
            table.delete("true")
            scrub(store, CASES, suite)
    return n_rows


def n_cases(store: LakeStore) -> int:
    """Cases of all suites."""
    tables = [store.table(CASES, suite) for suite in store.partitions(CASES)]
    return sum(int(table.count_rows()) for table in tables if table is not None)


def kept_files(folder: Path) -> list[Path]:
    """What models said in evaluations, and reports, in the folder of evaluations."""
    found = [*folder.glob("completions-*.sqlite*"), *folder.glob("reports/**/*")]
    return [path for path in found if path.is_file()]


def forget_files(folder: Path) -> int:
    """Delete these files; how many there were. Corpora of evaluations stay."""
    kept = kept_files(folder)
    for path in kept:
        path.unlink(missing_ok=True)
    return len(kept)


def _add(
    store: LakeStore,
    name: str,
    suite: str,
    schema: pa.Schema,
    items: Sequence[CaseResult | Figure | Comparison],
    origin: Origin,
) -> None:
    if items:
        plain = [_encodable({**asdict(origin), **asdict(item)}) for item in items]
        table = store.open_or_create(name, suite, schema)
        table.add(pa.Table.from_pylist(plain, schema=schema))


def _encodable(row: Mapping[str, object]) -> dict[str, object]:
    """Mappings as JSON text, and nothing that Arrow cannot encode: models may write half a pair."""

    def clean(value: object) -> object:
        if isinstance(value, dict):
            value = json.dumps(value, ensure_ascii=False)
        if isinstance(value, str):
            return value.encode("utf-8", "replace").decode()
        return list(map(clean, value)) if isinstance(value, list | tuple) else value

    return {key: clean(value) for key, value in row.items()}


def write_report(lab: Lab, suite: str, command: str, made: Presented, origin: Origin) -> Path:
    """The page of a suite, in the folder of reports; one file that needs nothing beside it."""
    report = Report(f"Evaluation: {suite}", facts(lab, command, origin), made.sections)
    when = origin.created_at.strftime("%Y%m%d-%H%M%S")
    path = lab.settings.evaluations / "reports" / f"{suite}-{when}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_report(report), encoding="utf-8", errors="replace")
    return path


def facts(lab: Lab, command: str, origin: Origin) -> Mapping[str, str]:
    """What one needs to repeat a run."""
    request, pointer = lab.request, live(lab.store)
    generation = request.generation or ("none" if pointer is None else pointer.generation_id)
    options = [] if request.limit is None else [f"--limit {request.limit}"]
    options += [f"--slice {shlex.quote(f'{n}={value}')}" for n, value in request.slices.items()]
    options += [] if request.generation is None else [f"--generation {request.generation}"]
    sample = "its first-look sample" if request.limit is None else "all questions"
    return {
        "command": " ".join([command, *options, f"--seed {request.seed}"]),
        "questions": f"{request.limit} of each set" if request.limit else sample,
        "sources' own index": generation,
        **{f"corpus {name}": held for name, held in lab.corpora.items()},
        "profile": lab.profile.name,
        "models": ", ".join(
            f"{role}: {spec.model_id} ({spec.format}, {spec.revision[:12]})"
            for role, spec in lab.profile.roles.items()
        ),
        "machine": machine(),
        "date": origin.created_at.astimezone(UTC).isoformat(timespec="minutes"),
        "Dagster run": origin.run_id,
    }


def machine() -> str:
    """Processor, usable cores, memory: enough to compare figures by."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    memory = psutil.virtual_memory().total / 2**30
    cores = len(os.sched_getaffinity(0))
    return f"{names[0] if names else platform.processor()}, {cores} cores, {memory:.0f} GiB"
