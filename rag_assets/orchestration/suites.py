"""An asset for each suite of questions: its results, figures and report."""

from datetime import UTC, datetime

import dagster as dg
from pydantic import Field

from rag_assets.evaluations.lab import Lab, Request
from rag_assets.evaluations.registry import Suite
from rag_assets.evaluations.statistics import SEED
from rag_assets.orchestration.resources import LakeResource, ModelsResource
from rag_assets.settings import load_settings


class SuiteConfig(dg.Config):
    """Run config of every suite."""

    limit: int | None = Field(
        default=None, ge=0, description="Questions of each set; unset: the first look; 0: all."
    )
    slices: dict[str, str] = Field(
        default={}, description="Only questions of these slices, e.g. {dataset: squad2}."
    )
    seed: int = Field(default=SEED, description="Of samples, perturbations and bootstraps.")
    generation: str | None = Field(
        default=None, description="Of the sources' own index; unset: the live one."
    )


def suite_asset(name: str, suite: Suite) -> dg.AssetsDefinition:
    """The asset ``<name>_results``."""

    @dg.asset(
        name=f"{name}_results",
        deps=[dg.AssetKey("index_evaluation")],
        group_name="evaluations",
        kinds={"lancedb", "vllm"},
        description=suite.description,
    )
    def evaluated(
        context: dg.AssetExecutionContext,
        config: SuiteConfig,
        store: LakeResource,
        models: ModelsResource,
    ) -> dg.MaterializeResult:
        # Statistics and plots bring scipy and matplotlib, which nothing else here needs.
        from rag_assets.evaluations.presentation import present
        from rag_assets.evaluations.recording import (
            Origin,
            keep_cases,
            keep_figures,
            write_report,
        )

        lab = Lab(
            load_settings(),
            models.loaded_profile,
            lambda role: models.slm if role == "slm" else models.llm,
            models.models.embedder_for,
            store.client,
            Request(config.limit, config.slices, config.seed, config.generation),
            context.log.info,
        )
        results = suite.run(lab)
        context.log.info(f"{len(results)} results; intervals and tests")
        origin = Origin(context.run.run_id, datetime.now(UTC))
        keep_cases(store.client, name, results, origin)
        made = present(name, results, suite.view, seed=config.seed)
        keep_figures(store.client, name, made, origin)
        report = write_report(lab, name, suite.command, made, origin)
        context.log.info(f"report: {report}")
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(results),
                "failed": sum(bool(result.error) for result in results),
                "report": dg.MetadataValue.path(str(report)),
                **made.trends(),
                **{key: dg.MetadataValue.md(text) for key, text in made.markdown().items()},
            }
        )

    return evaluated
