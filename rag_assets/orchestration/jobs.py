"""Jobs: refresh, ask, evaluate, serve, hot-load, upkeep."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dagster as dg
from pydantic import Field

from rag_assets.answers.answer import Answer
from rag_assets.answers.answerer import Answerer
from rag_assets.answers.deriving import policy_of
from rag_assets.answers.filters import FilterError, Filters
from rag_assets.answers.journal import expire, record_answer
from rag_assets.answers.rendering import record_markdown, summary_table
from rag_assets.batches.answers import check_out
from rag_assets.batches.asking import Lines, Tally, ask_batch
from rag_assets.batches.outcomes import Outcome
from rag_assets.batches.questions import BatchFileError, Questions, Row, listed, read_questions
from rag_assets.errors import CommandError, RagError
from rag_assets.index.search import IndexReader
from rag_assets.lake.delta import LakeStage
from rag_assets.lake.figures import Table
from rag_assets.lake.generations import live_generation
from rag_assets.lake.leases import leasing
from rag_assets.lake.store import LakeStore
from rag_assets.lake.upkeep import BUDGET_S, tend
from rag_assets.markup import markdown_cell, markdown_text
from rag_assets.models.clients.options import ChatFor
from rag_assets.models.protocols import BATCH_PRIORITY
from rag_assets.orchestration.assets import markdown_table
from rag_assets.orchestration.partitions import (
    forget_partitions,
    partition_ranges,
    range_name,
    range_tags,
)
from rag_assets.orchestration.resources import LakeResource, ModelsResource, SourcesResource
from rag_assets.orchestration.run_processes import NO_RETRY
from rag_assets.serving.child import COMMAND, run_child
from rag_assets.serving.client import AnswererClient, AnswererError
from rag_assets.settings import load_settings
from rag_assets.sources.catalog import documents_but, withdrawn
from rag_assets.sources.declaration import Source
from rag_assets.watching import PART_OF

MAX_SHOWN = 100  # answers in a run's metadata; a batch of thousands is read in the table


def job_of(
    op: dg.OpDefinition,
    description: str,
    executor: dg.ExecutorDefinition | None = dg.in_process_executor,
    tags: Mapping[str, str] | None = None,
) -> dg.JobDefinition:
    """A job of one op; by default in the run's own process, so that ending the run reaches it."""

    @dg.job(name=f"{op.name}_job", description=description, executor_def=executor, tags=tags)
    def made() -> None:
        op()

    return made


class AskConfig(dg.Config):
    """Run config of ``ask``."""

    questions: list[str] = Field(default=[], description="Questions in plain words.")
    file: str = Field(
        default="",
        description="In their place, a file of questions: .csv, .jsonl or .parquet. A path that "
        "does not begin with / begins at the home.",
    )
    out: str = Field(
        default="",
        description="A file for the answers, likewise. With one, a run that is begun again asks "
        "only what is left.",
    )
    mode: str = Field(default="auto", description="auto, fact (SLM alone) or deep (map-reduce).")
    source: list[str] = Field(default=[], description="Only of these sources.")
    type: list[str] = Field(default=[], description="Only documents of these types.")
    language: list[str] = Field(default=[], description="Only in these, such as en.")
    since: str = Field(
        default="",
        description="Only documents of this day or later: 2024, 2024-03 or 2024-03-31.",
    )
    until: str = Field(default="", description="Only documents of this day or earlier.")
    where: list[str] = Field(
        default=[], description='Only what meets "COLUMN OP VALUE", such as "page >= 3".'
    )

    @property
    def filters(self) -> Filters:
        """Which documents are read."""
        return Filters.of({field.name: getattr(self, field.name) for field in fields(Filters)})

    def asked(self) -> tuple[Questions, Path | None]:
        """The questions, and the file of answers.

        Raises:
            RagError: a file is wrong.
        """
        if bool(self.questions) == bool(self.file):
            raise CommandError("expected either questions or file in the run's config")
        home = load_settings().home if self.file or self.out else Path()
        asked = (
            read_questions(home / self.file, self.mode, self.filters.given)
            if self.file
            else listed(self.questions, self.mode, self.filters.given)
        )
        if not self.out:
            return asked, None
        check_out(asked, home / self.out)
        return asked, home / self.out


@dg.op(out=dg.Out(dg.Nothing))  # the answers are in the table; nothing is pickled
def ask(
    context: dg.OpExecutionContext, config: AskConfig, store: LakeResource, models: ModelsResource
) -> dg.Output[None]:
    """Answer questions on the live generation; answers are kept in the table answers.

    They are not where ``RAG_JOURNAL_DAYS`` is 0.
    """
    try:
        questions, out = config.asked()
    except RagError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    generation = live_generation(store.client)
    if generation is None:
        raise dg.Failure("no generation is live yet, so nothing can be answered; run `rag refresh`")
    tally, shown, lines = Tally(len(questions.rows)), Shown(), Lines(context.log.info)
    with leasing(store.client, generation.id):
        reader = IndexReader(store.client, generation)
        made_with = generation.models.get("embedder", {})
        embedder = models.models.embedder_for(made_with)
        policy = policy_of(models.models, made_with)
        slm, llm = (ChatFor(model, priority=BATCH_PRIORITY) for model in (models.slm, models.llm))
        if names := withdrawn(load_settings().sources_file, store.client):
            reader = reader.narrowed(*documents_but(names))
        answerer = Answerer(reader, slm, llm, embedder, policy)
        filters = config.filters
        try:
            filters.sql(reader)
        except FilterError as error:
            raise dg.Failure(str(error), allow_retries=False) from error

        def answered(row: Row) -> dict[str, Any]:
            answer = answerer.answer(row.question, mode=row.mode, filters=filters)
            keep_answer(store.client, answer, context.run.run_id)
            return answer.to_record()

        context.log.info(f"answering {len(questions.rows)} questions on {generation.id}")
        outcomes = ask_batch(questions, answered, out=out, concurrency=policy.concurrency)
        try:
            for outcome in outcomes:
                tally.add(outcome)
                shown.add(outcome)
                lines(tally)
        except BatchFileError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
    if tally.failed:
        raise dg.Failure(
            f"{tally.failed} of {tally.total} questions could not be answered. {shown.failures()}",
            metadata=shown.metadata(tally),
            allow_retries=False,
        )
    return dg.Output(None, metadata=shown.metadata(tally))


def keep_answer(store: LakeStore, answer: Answer, run_id: str) -> None:
    """Journal an answer, if answers are kept."""
    if load_settings().journal_days:
        record_answer(store, answer, run_id)


class Shown:
    """What a run's page shows of a batch: its first questions."""

    def __init__(self) -> None:
        self._outcomes: dict[int, Outcome] = {}
        self._failed: dict[int, str] = {}

    def add(self, outcome: Outcome) -> None:
        """Take one, if it is to be shown."""
        number = outcome.row.number + 1
        if number <= MAX_SHOWN:
            self._outcomes[number] = outcome
        if outcome.record is None and len(self._failed) < MAX_SHOWN:
            self._failed[number] = outcome.error

    def failures(self) -> str:
        """Why questions failed."""
        return "; ".join(f"question {n}: {error}" for n, error in sorted(self._failed.items()))

    def metadata(self, tally: Tally) -> dict[str, dg.MetadataValue]:
        """A table of all, then an entry a question."""
        outcomes = dict(sorted(self._outcomes.items()))
        rows = [
            {"question": one.row.question, "error": one.error, "record": one.record}
            for one in outcomes.values()
        ]
        entries: dict[str, dg.MetadataValue] = {
            "answers": dg.MetadataValue.md(summary_table(rows)),
            "n_questions": dg.MetadataValue.int(tally.total),
            "n_failed": dg.MetadataValue.int(tally.failed),
        }
        for number, outcome in outcomes.items():
            text = (
                f"**{markdown_cell(outcome.row.question)}**\n\nFailed: "
                f"{markdown_text(outcome.error)}"
                if outcome.record is None
                else record_markdown(outcome.record)
            )
            entries[f"answer_{number:03d}"] = dg.MetadataValue.md(text)
        return entries


ask_job = job_of(
    ask,
    "Ad-hoc questions: answers and citations in the run, and in the table answers.",
    executor=None,
)


@dg.op(out=dg.Out(dg.Nothing))
def answerer(context: dg.OpExecutionContext) -> None:
    """The answerer until the run is terminated; its log is the run's log."""
    settings = load_settings()
    context.log.info(f"starting the answerer at {settings.answerer_url}")
    behind = ["--behind-door"] if PART_OF in os.environ else []  # of what `rag up` started
    code = run_child(context.log.info, [*COMMAND, *behind])
    if code != 0:
        raise dg.Failure(
            f"the answerer ended with exit code {code}; its last log lines above say why",
            allow_retries=False,
        )


answerer_job = job_of(
    answerer, "The co-located answerer: runs until the run is terminated.", tags=NO_RETRY
)


@dg.op(out=dg.Out(dg.Nothing))
def hot_load(context: dg.OpExecutionContext) -> dg.Output[None]:
    """Ask the answerer to bring the live generation into service."""
    client = AnswererClient.of(load_settings())
    try:
        done = client.reload()
    except AnswererError as error:
        raise dg.Failure(f"hot load refused: {error}", allow_retries=False) from error
    before, after = done["previous_id"] or "none", str(done["generation_id"])
    context.log.info(f"{before} -> {after}, swapped: {done['swapped']}, {done['ms']} ms")
    metadata = {
        "previous_generation": before,
        "generation": after,
        "swapped": bool(done["swapped"]),
        "ms": float(done["ms"]),
    }
    return dg.Output(None, metadata=metadata)


hot_load_job = job_of(
    hot_load, "Bring the live generation into the running answerer, without a pause."
)


class UpkeepConfig(dg.Config):
    """Run config of ``upkeep``."""

    dry_run: bool = False
    budget_s: float = BUDGET_S


def upkeep_job_of(stages: Sequence[LakeStage]) -> dg.JobDefinition:
    """The job that tends the lake of these stages."""

    @dg.op(out=dg.Out(dg.Nothing))
    def upkeep(
        context: dg.OpExecutionContext,
        config: UpkeepConfig,
        store: LakeResource,
        sources: SourcesResource,
    ) -> dg.Output[None]:
        """Tend the lake's tables until all are tended or the time is up."""
        if not config.dry_run:
            known = partial(sources.catalog, store.client)
            for key in forget_partitions(context.instance, store.client, known):
                context.log.info(
                    f"{key} belongs to no source and holds nothing: taken off the list"
                )
        done = tend(
            store.client,
            stages,
            dry_run=config.dry_run,
            budget_s=config.budget_s,
            tell=context.log.info,
        )
        n_expired = 0 if config.dry_run else expire(store.client, load_settings().journal_days)
        kept = markdown_table(Table(("generation", "why"), list(done.kept.items())))
        return dg.Output(
            None,
            metadata={
                "tables_looked_at": done.n_looked,
                "tables_tended": len(done.tables),
                "tables_left_to_the_next": done.n_left,
                "bytes_freed": done.bytes_freed,
                "raw_files_deleted": done.swept.n_deleted,
                "raw_files_put_aside": done.swept.n_aside,
                "cache_rows_deleted": done.swept.n_cached,
                "generations_expired": len(done.expired),
                "answers_expired": n_expired,
                "generations_kept": dg.MetadataValue.md(kept),
            },
        )

    return job_of(
        upkeep, "Merge small fragments; delete versions that no reader, rollback or run needs."
    )


def refresh_requests(
    instance: dg.DagsterInstance,
    source: Source,
    reason: str,
    tags: Mapping[str, str] = MappingProxyType({}),
) -> list[dg.RunRequest]:
    """Requests of ``refresh_job`` for all partitions of a source, a range of them a run.

    The reason makes the run keys differ from those of the requests before.
    """
    return [
        dg.RunRequest(
            run_key=f"{range_name(keys)}/{reason}",
            partition_key=keys[0] if len(keys) == 1 else None,
            tags={**range_tags(keys), **tags},
        )
        for keys in partition_ranges(instance, source.partitions)
    ]
