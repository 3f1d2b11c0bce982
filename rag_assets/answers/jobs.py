"""Job ``ask_job``: questions in run config, answers and citations in the run and in the lake."""

import dagster as dg
from pydantic import Field

from rag_assets.answers.answerer import Answerer
from rag_assets.answers.batch import Outcome, ask_all
from rag_assets.answers.journal import record_answer
from rag_assets.answers.rendering import markdown, summary_table
from rag_assets.index.search import IndexReader
from rag_assets.lake.generations import live_generation
from rag_assets.lake.leases import leasing
from rag_assets.lake.resource import LakeResource
from rag_assets.models.resource import ModelsResource

MAX_SHOWN = 100  # answers in a run's metadata; a batch of thousands is read in the table


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
        answerer = Answerer(reader, models.slm, models.llm, models.embedder)
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
            f"**{outcome.question}**\n\nFailed: {outcome.error}"
            if outcome.answer is None
            else markdown(outcome.answer)
        )
        entries[f"answer_{number:03d}"] = dg.MetadataValue.md(text)
    return entries


@dg.job(description="Ad-hoc questions: answers and citations in the run, and in the table answers.")
def ask_job() -> None:
    """One op; questions come in its run config."""
    ask()
