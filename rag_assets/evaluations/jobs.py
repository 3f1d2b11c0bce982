"""Job ``evaluate_job``: any of the suites, from Dagster's UI."""

import dagster as dg

from rag_assets.evaluations.assets import suite_assets

evaluate_job = dg.define_asset_job(
    "evaluate_job",
    selection=dg.AssetSelection.assets(*suite_assets),
    description="Measure answers and retrieval; select the suites. Needs the engines (`rag up`).",
)
