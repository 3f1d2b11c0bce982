"""Jobs ``answerer_job`` (the co-located answerer) and ``hot_load_job`` (swap its index)."""

import dagster as dg

from rag_assets.serving.child import run_child
from rag_assets.serving.client import AnswererClient, AnswererError
from rag_assets.settings import load_settings


@dg.op(out=dg.Out(dg.Nothing))
def answerer(context: dg.OpExecutionContext) -> None:
    """The answerer until the run is terminated; its log is the run's log."""
    settings = load_settings()
    context.log.info(f"starting the answerer at {settings.answerer_url}")
    code = run_child(context.log.info)
    if code != 0:
        raise dg.Failure(
            f"the answerer ended with exit code {code}; its last log lines above say why",
            allow_retries=False,
        )


@dg.job(
    executor_def=dg.in_process_executor,
    description="The co-located answerer: runs until the run is terminated.",
)
def answerer_job() -> None:
    """One op, in the run's own process, so that terminating the run reaches it."""
    answerer()


@dg.op(out=dg.Out(dg.Nothing))
def hot_load(context: dg.OpExecutionContext) -> dg.Output[None]:
    """Ask the answerer to bring the live generation into service."""
    client = AnswererClient(load_settings().answerer_url)
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


@dg.job(
    executor_def=dg.in_process_executor,
    description="Bring the live generation into the running answerer, without a pause.",
)
def hot_load_job() -> None:
    """One op; safe to run twice."""
    hot_load()
