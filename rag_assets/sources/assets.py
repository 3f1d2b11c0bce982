"""Asset ``source_files``: what exists at a source now."""

from collections.abc import Iterator
from contextlib import ExitStack

import dagster as dg
from pydantic import Field

from rag_assets.lake.delta import Progress, Report
from rag_assets.lake.resource import LakeResource, refresh_partitions, stage_result
from rag_assets.sources import stage as ingest
from rag_assets.sources.buckets import partitions_to_retire, retire_partitions
from rag_assets.sources.declaration import SourceShrunkError
from rag_assets.sources.resource import SourcesResource, corpus_backfills, corpus_partitions

HELD = "source_lists_what_it_held"
MAX_NOTICES = 50


class SourceFilesConfig(dg.Config):
    """Run config of ``source_files``."""

    accept_deletions: bool = Field(
        default=False, description="Go on even if a source lists a fifth of what it held, or less."
    )


@dg.asset(
    partitions_def=corpus_partitions,
    backfill_policy=corpus_backfills,
    group_name="ingest",
    kinds={"lancedb", "xxhash"},
    code_version=ingest.CODE_VERSION,
    check_specs=[
        dg.AssetCheckSpec(
            HELD,
            asset="source_files",
            blocking=True,
            description="The source lists more than a fifth of what it held, or a person agreed.",
        )
    ],
)
def source_files(
    context: dg.AssetExecutionContext,
    config: SourceFilesConfig,
    store: LakeResource,
    sources: SourcesResource,
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """One row per file of the source: uri, size, mtime, xxh3_128 of its bytes.

    The bytes are kept under their hash, so that every later stage can be recomputed without
    the source. A source that cannot be listed fails the run and deletes nothing; one that lists
    far less than it held fails its check, and nothing is written until a person agrees. Partitions
    that a source has no longer, because it was given fewer buckets, are emptied.
    """
    notices: list[str] = []
    looks: dict[str, ingest.Look] = {}
    source_of = sources.of_partitions(context.partition_keys, store.client)
    with ExitStack() as stack:

        def one(partition: str, progress: Progress) -> Report:
            source = source_of[partition]
            mine = [key for key, its in source_of.items() if its is source]
            if len(mine) > 1 and source.name not in looks:
                looks[source.name] = stack.enter_context(ingest.looked(store.client, source, mine))
            return ingest.ingest(
                store.client,
                source,
                partition,
                run_id=context.run.run_id,
                progress=progress,
                accept_deletions=config.accept_deletions,
                notice=notices.append,
                look=looks.get(source.name),
            )

        try:
            reports = refresh_partitions(context, "files", one)
        except SourceShrunkError as error:
            yield dg.AssetCheckResult(check_name=HELD, passed=False, description=str(error))
            raise dg.Failure(f"stopped at the check {HELD}", allow_retries=False) from error
        notices += [text for look in looks.values() for text in look.listing.notices]
    for source in {source.name: source for source in source_of.values()}.values():
        retired = partitions_to_retire(store.client, source)
        for partition in retired:  # first: once it is emptied nobody would find it again
            context.instance.delete_dynamic_partition(str(corpus_partitions.name), partition)
            context.log.info(f"{partition} belongs to its source no more; it is emptied")
        if retired:
            retire_partitions(store.client, source)
    for text in notices[:MAX_NOTICES]:
        context.log.warning(text)
    shown = "\n".join(f"- {text}" for text in notices[:MAX_NOTICES]) or "none"
    yield stage_result(
        reports,
        ingest.TABLE.name,
        metadata={
            "n_kept_unread": len(notices),
            "kept_unread": dg.MetadataValue.md(shown),
        },
    )
    yield dg.AssetCheckResult(check_name=HELD, passed=True)
