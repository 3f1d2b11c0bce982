"""Assets ``documents`` and ``rejected_documents``: every file ends in exactly one of them."""

from collections import Counter
from collections.abc import Iterator

import dagster as dg

from rag_assets.documents import normalise
from rag_assets.lake.resource import LakeResource, refresh_partitions, stage_result
from rag_assets.sources.assets import source_files
from rag_assets.sources.resource import corpus_partitions

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


@dg.multi_asset(specs=[documents, rejected_documents], partitions_def=corpus_partitions)
def normalised_documents(
    context: dg.AssetExecutionContext, store: LakeResource
) -> Iterator[dg.MaterializeResult]:
    """Read what is new or changed, in a worker process that a bad file may crash."""
    reports = refresh_partitions(
        context,
        "files read",
        lambda partition, progress: normalise.normalise_documents(
            store.client, partition, run_id=context.run.run_id, progress=progress
        ),
    )
    languages: Counter[str] = Counter()
    rejects: list[dict[str, str]] = []
    for partition in context.partition_keys:
        rows = store.client.rows("documents", partition, columns=["language"])
        languages.update(row["language"] for row in rows)
        rejects += store.client.rows(
            "rejected_documents", partition, columns=["uri", "reason", "detail"]
        )
    yield stage_result(
        reports,
        "documents",
        asset_key=documents.key,
        metadata={"languages": ", ".join(f"{k} {n}" for k, n in languages.most_common())},
    )
    yield stage_result(
        reports,
        "rejected_documents",
        asset_key=rejected_documents.key,
        metadata={"rejects": dg.MetadataValue.md(rejects_table(rejects[:50]))},
    )


def rejects_table(rejects: list[dict[str, str]]) -> str:
    """The rejected files as a Markdown table."""
    if not rejects:
        return "none"
    lines = [f"| {r['uri']} | {r['reason']} | {r['detail'][:160]} |" for r in rejects]
    return "\n".join(["| uri | reason | detail |", "|---|---|---|", *lines])
