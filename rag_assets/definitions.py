"""Table of contents: stages in the order in which data flows, then jobs, sensors, schedules."""

import dagster as dg

from rag_assets.answers.jobs import ask_job
from rag_assets.chunks.assets import chunks
from rag_assets.chunks.checks import chunk_ids_unique, chunks_fit_the_embedder
from rag_assets.documents.assets import normalised_documents
from rag_assets.documents.checks import every_file_accounted_for
from rag_assets.duplicates.assets import duplicates
from rag_assets.embeddings.assets import embeddings
from rag_assets.enrichments.assets import enrichments
from rag_assets.enrichments.checks import labels_are_in_the_set
from rag_assets.evaluations.assets import index_evaluation, suite_assets
from rag_assets.evaluations.checks import candidate_may_go_live
from rag_assets.evaluations.jobs import evaluate_job
from rag_assets.index.assets import chunk_index
from rag_assets.index.checks import index_covers_all_rows
from rag_assets.lake.jobs import upkeep_job
from rag_assets.lake.resource import LakeResource
from rag_assets.lake.schedules import upkeep_daily
from rag_assets.models.resource import ModelsResource
from rag_assets.orchestration.executors import chosen_executor
from rag_assets.sections.assets import sections
from rag_assets.serving.assets import live_index
from rag_assets.serving.jobs import answerer_job, hot_load_job
from rag_assets.serving.sensors import serving_sensor
from rag_assets.settings import load_settings
from rag_assets.sources.assets import source_files
from rag_assets.sources.catalog import declared
from rag_assets.sources.jobs import refresh_job
from rag_assets.sources.resource import SourcesResource
from rag_assets.sources.schedules import refresh_schedules
from rag_assets.sources.sensors import source_changed_sensor


@dg.definitions
def defs() -> dg.Definitions:
    """All that Dagster knows of this project."""
    return dg.Definitions(
        assets=[
            source_files,
            normalised_documents,
            duplicates,
            sections,
            chunks,
            embeddings,
            enrichments,
            chunk_index,
            index_evaluation,
            live_index,
            *suite_assets,
        ],
        asset_checks=[
            every_file_accounted_for,
            chunks_fit_the_embedder,
            chunk_ids_unique,
            labels_are_in_the_set,
            index_covers_all_rows,
            candidate_may_go_live,
        ],
        jobs=[refresh_job, ask_job, evaluate_job, answerer_job, hot_load_job, upkeep_job],
        sensors=[source_changed_sensor, serving_sensor],
        schedules=[
            upkeep_daily,
            *refresh_schedules(declared(load_settings().sources_file).values()),
        ],
        resources={
            "store": LakeResource(),
            "sources": SourcesResource(),
            "models": ModelsResource(),
        },
        executor=chosen_executor(),
    )
