"""Jobs: refresh, ask, evaluate, serve, hot-load, upkeep."""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType

import dagster as dg
from pydantic import Field

from rag_assets.answers.answerer import Answerer
from rag_assets.answers.batch import Outcome, ask_all
from rag_assets.answers.deriving import policy_of
from rag_assets.answers.journal import record_answer
from rag_assets.answers.rendering import markdown, summary_table
from rag_assets.index.search import IndexReader
from rag_assets.lake.delta import LakeStage
from rag_assets.lake.figures import Table
from rag_assets.lake.generations import live_generation
from rag_assets.lake.leases import leasing
from rag_assets.lake.upkeep import BUDGET_S, tend
from rag_assets.markup import markdown_cell, markdown_text
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

    questions: list[str] = Field(description="Questions in plain words, answered in order.")
    mode: str = Field(default="auto", description="auto, fact (SLM alone) or deep (map-reduce).")


@dg.op(out=dg.Out(dg.Nothing))  # the answers are in the table; nothing is pickled
def ask(
    context: dg.OpExecutionContext, config: AskConfig, store: LakeResource, models: ModelsResource
) -> dg.Output[None]:
    """Answer each question on the live generation; every answer is kept in the table answers."""
    generation = live_generation(store.client)
    if generation is None:
        raise dg.Failure("no generation is live yet, so nothing can be answered; run `rag refresh`")
    with leasing(store.client, generation.id):
        reader = IndexReader(store.client, generation)
        made_with = generation.models.get("embedder", {})
        embedder = models.models.embedder_for(made_with)
        policy = policy_of(models.models, made_with)
        answerer = Answerer(reader, models.slm, models.llm, embedder, policy)
        context.log.info(f"answering {len(config.questions)} questions on {generation.id}")
        outcomes = ask_all(
            answerer,
            config.questions,
            mode=config.mode,
            keep=lambda answer: record_answer(store.client, answer, context.run.run_id),
            report=context.log.info,
        )
    metadata = shown(outcomes)
    failed = [(n, o) for n, o in enumerate(outcomes, start=1) if o.answer is None]
    if failed:
        said = "; ".join(f"question {n}: {outcome.error}" for n, outcome in failed)
        raise dg.Failure(
            f"{len(failed)} of {len(outcomes)} questions could not be answered. {said}",
            metadata=metadata,
            allow_retries=False,
        )
    return dg.Output(None, metadata=metadata)


def shown(outcomes: list[Outcome]) -> dict[str, dg.MetadataValue]:
    """Metadata of a run: a table of all, then an entry a question."""
    rows = [
        {
            "question": outcome.question,
            "error": outcome.error,
            "record": None if outcome.answer is None else outcome.answer.to_record(),
        }
        for outcome in outcomes
    ]
    entries: dict[str, dg.MetadataValue] = {
        "answers": dg.MetadataValue.md(summary_table(rows[:MAX_SHOWN])),
        "n_questions": dg.MetadataValue.int(len(outcomes)),
        "n_failed": dg.MetadataValue.int(sum(o.answer is None for o in outcomes)),
    }
    for number, outcome in enumerate(outcomes[:MAX_SHOWN], start=1):
        text = (
            f"**{markdown_cell(outcome.question)}**\n\nFailed: {markdown_text(outcome.error)}"
            if outcome.answer is None
            else markdown(outcome.answer)
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
