"""Job ``upkeep_job``: merge small fragments, delete what nobody can ask for any more."""

import dagster as dg

from rag_assets.lake.resource import LakeResource, markdown_table
from rag_assets.lake.upkeep import BUDGET_S, tend


class UpkeepConfig(dg.Config):
    """Run config of ``upkeep``."""

    dry_run: bool = False
    budget_s: float = BUDGET_S


@dg.op(out=dg.Out(dg.Nothing))
def upkeep(
    context: dg.OpExecutionContext, config: UpkeepConfig, store: LakeResource
) -> dg.Output[None]:
    """Tend the lake's tables until all are tended or the time is up."""
    done = tend(
        store.client, dry_run=config.dry_run, budget_s=config.budget_s, tell=context.log.info
    )
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
            "generations_kept": dg.MetadataValue.md(
                markdown_table(("generation", "why"), list(done.kept.items()))
            ),
        },
    )


@dg.job(
    executor_def=dg.in_process_executor,
    description="Merge small fragments; delete versions that no reader, rollback or run needs.",
)
def upkeep_job() -> None:
    """One op; safe to run at any time, twice at once, and beside refreshes."""
    upkeep()
