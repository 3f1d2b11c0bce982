"""``rag purge``: erase a document or a source from everything that this installation keeps.

Each owner of a table or a file forgets by itself; this says in which order. A record in the lake
names what is being erased until nothing of it is left, so a purge that was cut off is done again by
the same command: every step finds done what was done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial

import dagster as dg

from rag_assets.access.file import readers_in
from rag_assets.answers import feedback, journal
from rag_assets.duplicates import stage as duplicates
from rag_assets.errors import RagError
from rag_assets.evaluations import recording
from rag_assets.index import erasing as index_erasing
from rag_assets.lake import erasing, generations
from rag_assets.lake import leases as readers
from rag_assets.lake.generations import INDEX
from rag_assets.lake.store import LakeStore
from rag_assets.lake.upkeep import UPKEEP
from rag_assets.orchestration import log_files, run_deletion
from rag_assets.orchestration.following import follow_others
from rag_assets.orchestration.refreshing import hot_load
from rag_assets.pipeline.stage import Stage
from rag_assets.progress import Tell
from rag_assets.sections import stage as sections
from rag_assets.settings import Settings
from rag_assets.sources.removal import (
    PURGING,
    Target,
    forget,
    forget_partitions,
    partitions_of,
)

DEADLINE_S = 600.0  # a reader's lease ends 6 minutes after it was let go


@dataclass(frozen=True, slots=True)
class PurgePlan:
    """What a purge would erase."""

    target: Target
    rows: Mapping[str, int]  # stage -> inputs whose rows go
    generations: Sequence[str]  # that end
    leased: Mapping[str, str]  # of these -> who reads it
    verdict: str  # what speaks against the index that goes live; "" if nothing
    n_answers: int
    n_naming: int
    n_cases: int
    n_files: int
    n_runs: int
    n_at_work: int

    def lines(self) -> list[str]:
        """For a person who is asked."""
        rows = ", ".join(f"{n:,} of {name}" for name, n in self.rows.items() if n)
        ended = ", ".join(
            f"{one} (read by {self.leased[one]})" if one in self.leased else one
            for one in self.generations
        )
        return [
            f"{self.target.name} is erased, and cannot be brought back:",
            f"rows: {rows or 'none are left'}; with them raw bytes, vectors and labels in caches, "
            "and every earlier version of the tables",
            f"generations that end, and cannot be rolled back to: {ended or 'none'}. What the lake "
            "holds then goes live without the gate" + (f"; {self.verdict}" if self.verdict else ""),
            f"answers: {self.n_answers:,} that rest on it, or describe the documents as a whole, "
            f"with what readers said of them; {self.n_naming:,} others no longer name it",
            f"evaluations: all {self.n_cases:,} cases and {self.n_files:,} files of completions "
            "and reports; figures stay",
            f"Dagster: all {self.n_runs:,} runs that have ended, with their events and logs"
            + (f"; {self.n_at_work} are at work and stay" if self.n_at_work else ""),
            "logs: all of this home are emptied",
            "What stays, and is yours to do: the original, golden questions and rules that name "
            "it, backups, logs and copies elsewhere",
        ]


def plan(
    settings: Settings, stages: Sequence[Stage], target: Target, instance: dg.DagsterInstance
) -> PurgePlan:
    """What a purge of this target would erase; nothing is written."""
    store = LakeStore(settings.lake_uri)
    rows: dict[str, int] = {}
    for key in _partitions(store, stages, target):
        for name, ids in erasing.rows_of(store, stages, key, target.is_named).items():
            rows[name] = rows.get(name, 0) + len(ids)
    found = journal.concerned(store, target.is_named)
    ended, at_work = run_deletion.ended_and_others(instance)
    return PurgePlan(
        target,
        rows,
        generations.generation_ids(store),
        readers.leased(store, datetime.now(UTC)),
        _verdict(store),
        len(found.resting),
        len(found.naming),
        recording.n_cases(store),
        len(recording.kept_files(settings.evaluations)),
        len(ended),
        len(at_work),
    )


def _verdict(store: LakeStore) -> str:
    """What goes live beside the purge, because the newest build is not what is live."""
    newest, pointer = generations.candidate(store), generations.live(store)
    if newest is None or pointer is None or newest.id == pointer.generation_id:
        return ""
    reasons = "; ".join(newest.evaluation.get("reasons", ())) or "it was not evaluated yet"
    return (
        f"the newest build, {newest.id}, is not the live one ({pointer.generation_id}): {reasons}"
    )


def _partitions(store: LakeStore, stages: Sequence[Stage], target: Target) -> list[str]:
    tables = [t.name for stage in stages if stage.scope == "partition" for t in stage.tables]
    return partitions_of(store, tables, target.source)


def purge(
    settings: Settings,
    stages: Sequence[Stage],
    target: Target,
    instance: dg.DagsterInstance,
    tell: Tell,
    *,
    deadline_s: float = DEADLINE_S,
) -> list[str]:
    """Erase the target everywhere.

    Args:
        settings: places.
        stages: that a refresh runs.
        target: what is erased.
        instance: of Dagster.
        tell: told lines of progress.
        deadline_s: seconds that readers of earlier generations have.

    Returns:
        A sentence for each thing that had to stay; the same purge does the rest later.
    """
    store = LakeStore(settings.lake_uri)
    store.put_record(PURGING, asdict(target))
    partitions = _partitions(store, stages, target)
    follow_others(instance, partitions, tell)
    with store.locked(UPKEEP):  # a backup is made before it, or after
        _purge_rows(store, stages, target, partitions)
        tell("its rows and raw bytes are deleted")
        _purge_index(settings, store, stages, target, tell, deadline_s)
        n_cached = erasing.erase_cached(store, stages)
        erasing.remove_parts(store)
        tell(f"{n_cached:,} values are taken out of caches")
        resting = journal.concerned(store, target.is_named).resting
        n_verdicts = feedback.forget(store, set(resting), target.is_named)
        n_answers = journal.forget(store, target.is_named)
        tell(f"{n_answers:,} answers are deleted, and {n_verdicts:,} verdicts on them")
        n_cases, n_files = recording.forget(store), recording.forget_files(settings.evaluations)
        tell(f"{n_cases:,} cases and {n_files:,} files of evaluations are deleted")
        tell(f"{log_files.emptied(settings.state / 'logs'):,} logs are emptied")
        left = run_deletion.delete_history(instance, settings)
        run_deletion.say_what_stands(instance, store, stages)
        tell("what Dagster kept of runs is deleted")
    if not left:
        store.remove(f"records/{PURGING}.json")
    return left


def _purge_rows(
    store: LakeStore, stages: Sequence[Stage], target: Target, partitions: Sequence[str]
) -> None:
    """Delete rows and raw bytes, and what the tables and records hold of them."""
    if not target.uri:
        forget(store, target.source)  # no refresh brings it back meanwhile
    for key in partitions:
        erasing.delete_rows(store, stages, key, target.is_named)
    erasing.erase_bytes(store, stages, partitions, target.is_named)
    for key in partitions:
        if target.uri:
            _scrub_partition(store, stages, key)
        else:
            erasing.drop(store, stages, key)
    if not target.uri:
        forget_partitions(store, partitions)


def _scrub_partition(store: LakeStore, stages: Sequence[Stage], partition: str) -> None:
    """Scrub a partition's tables, the first stage's last: its versions name the raw bytes."""
    for stage in reversed(stages):
        if stage.scope == "partition":
            with store.locked(f"{stage.main.name}.{partition}"):
                for table in stage.tables:
                    erasing.scrub(store, table.name, partition)
    sections.forget(store, partition)


def _purge_index(
    settings: Settings,
    store: LakeStore,
    stages: Sequence[Stage],
    target: Target,
    tell: Tell,
    deadline_s: float,
) -> None:
    """Publish an index without it, and end the others."""
    named = {stage.name: stage for stage in stages}
    if duplicates.ALIASES in named:
        duplicates.forget(store, named[duplicates.ALIASES].version)
    ended = index_erasing.erase(
        store,
        named[INDEX],
        target.is_named,
        readers=readers_in(settings.home),
        deadline_s=deadline_s,
        hot_load=partial(_hot_load, settings, tell),
        tell=tell,
    )
    for generation_id in ended.ended:
        tell(f"{generation_id} has ended")
    for generation_id, holder in ended.readers.items():
        tell(f"{holder} read {generation_id} still when the deadline came; it finds no file now")


def _hot_load(settings: Settings, tell: Tell) -> None:
    try:
        hot_load(settings, tell)
    except RagError as error:
        tell(f"the answerer keeps the generation that it has: {error}")
