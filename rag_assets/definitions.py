"""What Dagster knows of this project: made from the list of stages, jobs, sensors, schedules."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType

import dagster as dg

from rag_assets.documents.readers.registry import Reader
from rag_assets.evaluations.registry import SUITES, Suite
from rag_assets.orchestration.assets import assets_of, checks_of
from rag_assets.orchestration.executors import chosen_executor
from rag_assets.orchestration.in_process import STAGES_KEY
from rag_assets.orchestration.jobs import (
    answerer_job,
    ask_job,
    hot_load_job,
    upkeep_job_of,
)
from rag_assets.orchestration.resources import LakeResource, ModelsResource, SourcesResource
from rag_assets.orchestration.schedules import refresh_schedules, upkeep_daily
from rag_assets.orchestration.sensors import serving_sensor, source_changed_sensor
from rag_assets.orchestration.suites import suite_asset
from rag_assets.pipeline.stage import Stage
from rag_assets.pipeline.stages import STAGES, with_readers
from rag_assets.settings import load_settings
from rag_assets.sources.catalog import by_name, declared
from rag_assets.sources.declaration import Source


def build_defs(
    *,
    sources: str | Path | Sequence[Source] | None = None,
    stages: Sequence[Stage] = STAGES,
    readers: Sequence[Reader] = (),
    suites: Mapping[str, Suite] = MappingProxyType({}),
    assets: Sequence[dg.AssetsDefinition] = (),
) -> dg.Definitions:
    """Definitions for these stages.

    Args:
        sources: a ``sources.yaml``, or sources; None: the ``sources.yaml`` of ``RAG_HOME``.
        stages: what a refresh runs, in the order in which data flows.
        readers: of further media types, asked before the package's own.
        suites: of questions, by name, beside the sources' golden questions.
        assets: further ones, for example a team's own that depend on ours.

    Raises:
        ValueError: a stage takes rows of one that is not among ``stages``.
        SourceError: the file of sources is not of the expected form.
        PluginError: an installed reader cannot be imported.
    """
    if sources is None or isinstance(sources, str | Path):
        listed = SourcesResource(file=str(sources or ""))
        known = [*declared(Path(sources or load_settings().sources_file)).values()]
    else:
        known = [*by_name(sources).values()]
        listed = SourcesResource(given=json.dumps([asdict(source) for source in known]))
    stages = with_readers(stages, readers)
    refreshed = assets_of(stages)
    evaluated = [suite_asset(name, suite) for name, suite in {**SUITES, **suites}.items()]
    return dg.Definitions(
        assets=[*refreshed, *evaluated, *assets],
        asset_checks=checks_of(stages),
        jobs=[
            dg.define_asset_job(
                "refresh_job",
                selection=dg.AssetSelection.assets(*refreshed),
                description="Bring sources up to date, build a candidate index, publish it if it "
                "is no worse.",
            ),
            ask_job,
            dg.define_asset_job(
                "evaluate_job",
                selection=dg.AssetSelection.assets(*evaluated),
                description="Measure answers and retrieval; select the suites. Needs the engines "
                "(`rag up`).",
            ),
            answerer_job,
            hot_load_job,
            upkeep_job_of(stages),
        ],
        sensors=[source_changed_sensor, serving_sensor],
        schedules=[upkeep_daily, *refresh_schedules(known)],
        resources={
            "store": LakeResource(),
            "sources": listed,
            "models": ModelsResource(),
            STAGES_KEY: stages,
        },
        executor=chosen_executor(),
    )


@dg.definitions
def defs() -> dg.Definitions:
    """All that Dagster knows of this project."""
    return build_defs()
