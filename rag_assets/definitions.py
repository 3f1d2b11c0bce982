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
from rag_assets.pipeline.stage import Stage, StageError
from rag_assets.pipeline.stages import STAGES, with_readers
from rag_assets.settings import load_settings
from rag_assets.sources.catalog import by_name, declared
from rag_assets.sources.declaration import Source, SourceError


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
        StageError: the stages make no list that can be run, or two assets have one key.
        SourceError: the file of sources does not exist, or two of ``sources`` have one name. A
            fault inside the file stops nobody: its entry stands aside, and the sensor says so.
        PluginError: an installed reader cannot be imported.
    """
    if isinstance(sources, str | Path) and not Path(sources).is_file():
        raise SourceError(
            f"expected a file such as sources.yaml, got {str(sources)!r}, which is none; for a "
            'folder of documents pass [Source("docs", "folder", FOLDER)]'
        )
    if sources is None or isinstance(sources, str | Path):
        listed = SourcesResource(file=str(sources or ""))
        known = [*declared(Path(sources or load_settings().sources_file)).values()]
    else:
        known = [*by_name(sources).values()]
        listed = SourcesResource(given=json.dumps([asdict(source) for source in known]))
    stages = with_readers(stages, readers)
    refreshed = assets_of(stages)
    evaluated = [suite_asset(name, suite) for name, suite in {**SUITES, **suites}.items()]
    _refuse_clashes(
        {f"the stage {stage.name}": one for stage, one in zip(stages, refreshed, strict=True)}
        | {f"the suite of {one.key.to_user_string()}": one for one in evaluated}
        | {f"number {n} of `assets`": one for n, one in enumerate(assets, start=1)}
    )
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


def _refuse_clashes(made: Mapping[str, dg.AssetsDefinition]) -> None:
    owners: dict[dg.AssetKey, str] = {}
    for owner, assets in made.items():
        for key in assets.keys if isinstance(assets, dg.AssetsDefinition) else [assets.key]:
            if key in owners:
                raise StageError(
                    f"{owners[key]} and {owner} both make the asset {key.to_user_string()}; give "
                    "one of them another name"
                )
            owners[key] = owner


@dg.definitions
def defs() -> dg.Definitions:
    """All that Dagster knows of this project."""
    return build_defs()
