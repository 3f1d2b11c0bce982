"""Asset ``sections``: documents cut at their headings, without what repeats across pages."""

import dagster as dg

from rag_assets.documents.assets import documents
from rag_assets.lake.delta import Progress, Report
from rag_assets.lake.resource import LakeResource, refresh_partitions, stage_result
from rag_assets.sections import stage as structure
from rag_assets.sections.boilerplate import Boilerplate
from rag_assets.sources.resource import corpus_backfills, corpus_partitions


@dg.asset(
    deps=[documents],
    partitions_def=corpus_partitions,
    backfill_policy=corpus_backfills,
    group_name="structure",
    kinds={"lancedb", "python"},
    code_version=structure.CODE_VERSION,
)
def sections(context: dg.AssetExecutionContext, store: LakeResource) -> dg.MaterializeResult:
    """One row per section: heading path, page, half-open offsets into the document's text.

    Blocks that repeat across a partition's pages are in no section.
    """
    found: list[Boilerplate] = []

    def cut(partition: str, progress: Progress) -> Report:
        return structure.structure_documents(
            store.client, partition, run_id=context.run.run_id, progress=progress, note=found.extend
        )

    reports = refresh_partitions(context, "documents cut", cut)
    return stage_result(
        reports,
        structure.TABLE.name,
        metadata={
            "boilerplate_blocks": len({b.block_hash for b in found}),
            "boilerplate": dg.MetadataValue.md(boilerplate_table(found)),
        },
    )


def boilerplate_table(found: list[Boilerplate], limit: int = 50) -> str:
    """The texts left out as a Markdown table, the most frequent of each partition first."""
    if not found:
        return "none"
    lines = [
        f"| {' '.join(b.text.split()).replace('|', chr(92) + '|')} | {b.n_pages} of {b.n_sampled} |"
        for b in found[:limit]
    ]
    return "\n".join(["| text | pages |", "|---|---|", *lines])
