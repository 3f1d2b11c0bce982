"""Assets ``documents`` and ``rejected_documents``: every file ends in exactly one of them."""

from collections import Counter
from collections.abc import Iterator

import dagster as dg

from rag_assets.documents import stage as normalise
from rag_assets.documents.worker import ParsingPool
from rag_assets.lake.resource import (
    LakeResource,
    counted,
    markdown_table,
    refresh_partitions,
    stage_result,
)
from rag_assets.sources.assets import source_files
from rag_assets.sources.resource import corpus_backfills, corpus_partitions

KINDS = {"lancedb", "python"}


documents = dg.AssetSpec(
    "documents",
    deps=[source_files],
    group_name="normalise",
    kinds=KINDS,
    code_version=normalise.CODE_VERSION,
    description="Normalised text with structure, language, title and MinHash signature.",
)
rejected_documents = dg.AssetSpec(
    "rejected_documents",
    deps=[source_files],
    group_name="normalise",
    kinds=KINDS,
    code_version=normalise.CODE_VERSION,
    description="Files that gave no document, each with its reason.",
)


@dg.multi_asset(
    specs=[documents, rejected_documents],
    partitions_def=corpus_partitions,
    backfill_policy=corpus_backfills,
)
def normalised_documents(
    context: dg.AssetExecutionContext, store: LakeResource
) -> Iterator[dg.MaterializeResult]:
    """Read what is new or changed, in a worker process that a bad file may crash."""
    with ParsingPool() as pool:  # its workers start when there is work for them
        reports = refresh_partitions(
            context,
            "files read",
            lambda partition, progress: normalise.normalise_documents(
                store.client, partition, run_id=context.run.run_id, progress=progress, pool=pool
            ),
        )
    languages: Counter[str] = Counter()
    media_types: Counter[str] = Counter()
    flagged: list[tuple[str, str]] = []
    rejects: list[tuple[str, str, str]] = []
    for partition in context.partition_keys:
        for row in store.client.rows(
            "documents", partition, columns=["uri", "language", "media_type", "flags"]
        ):
            languages[row["language"]] += 1
            media_types[row["media_type"]] += 1
            if row["flags"]:
                flagged.append((row["uri"], "; ".join(row["flags"])))
        rejects += [
            (row["uri"], row["reason"], row["detail"])
            for row in store.client.rows("rejected_documents", partition)
        ]
    yield stage_result(
        reports,
        "documents",
        asset_key=documents.key,
        metadata={
            "languages": counted(languages),
            "media_types": counted(media_types),
            "n_flagged": len(flagged),
            "kept_out_of_the_index": dg.MetadataValue.md(
                markdown_table(("uri", "flags"), sorted(flagged))
            ),
        },
    )
    yield stage_result(
        reports,
        "rejected_documents",
        asset_key=rejected_documents.key,
        metadata={
            "reasons": counted(Counter(reason for _, reason, _ in rejects)),
            "rejects": dg.MetadataValue.md(
                markdown_table(("uri", "reason", "detail"), sorted(rejects))
            ),
        },
    )
