"""The catalogue of sources as a Dagster resource, and the partitions that it implies."""

import warnings
from pathlib import Path

import dagster as dg
from pydantic import Field

from rag_assets.lake.store import LakeStore
from rag_assets.settings import load_settings
from rag_assets.sources.catalog import Source, SourceError, catalog, source_name

# A partition is <source>.<bucket>; never a document: Dagster's own limit is 100,000 an asset.
corpus_partitions = dg.DynamicPartitionsDefinition(name="corpus")
# Beta in 1.13, and said six times at every start of a command; what we use of it is tested.
warnings.filterwarnings("ignore", "Parameter `backfill_policy`", dg.BetaWarning)
# A run takes some 5 s to start and each of its partitions some 0.1 s at the least: 4,096 partitions
# are 64 runs instead of 4,096. More at once would cost more when one of them fails.
PARTITIONS_PER_RUN = 64
corpus_backfills = dg.BackfillPolicy.multi_run(max_partitions_per_run=PARTITIONS_PER_RUN)


class SourcesResource(dg.ConfigurableResource):
    """Declared sources, bound under the key ``sources``; the file is read at every use."""

    file: str = Field(default="", description="Path of sources.yaml; empty: RAG_HOME's, or data/.")

    def catalog(self, store: LakeStore) -> dict[str, Source]:
        """All sources by name: declared ones, and those added to this lake."""
        return catalog(Path(self.file) if self.file else load_settings().sources_file, store)

    def of_partition(self, partition: str, store: LakeStore) -> Source:
        """The source that a partition belongs to.

        Raises:
            SourceError: it is declared nowhere (any more), or not with that many buckets.
        """
        known = self.catalog(store)
        source = known.get(source_name(partition))
        if source is None or partition not in source.partitions:
            raise SourceError(
                f"partition {partition} belongs to no declared source; known: "
                f"{', '.join(known) or 'none'}. Declare it in sources.yaml"
            )
        return source
