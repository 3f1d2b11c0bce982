"""Whether a partition's tables fit together, so that its rows may go into the index."""

from collections.abc import Mapping, Sequence

from rag_assets.lake.delta import LakeStage, origins
from rag_assets.lake.store import LakeStore


def is_settled(store: LakeStore, partition: str, stages: Sequence[LakeStage]) -> bool:
    """Whether every stage's rows come from the rows that the stage before it has now.

    They do not while a run is between two stages, nor after one that failed or was killed there.

    Args:
        store: the lake.
        partition: its key.
        stages: partitioned ones.
    """
    for stage in stages:
        if not stage.upstream:
            continue
        made_from = _made_from(store, partition, stage)
        if not made_from and stage.may_be_missing:
            continue
        if made_from != stage.recorded_inputs(store, partition):
            return False
    return True


def _made_from(store: LakeStore, partition: str, stage: LakeStage) -> Mapping[str, str]:
    """Input id -> hash of the input, of the rows in the stage's tables."""
    columns = ["input_id", "input_hash", "fingerprint"]
    rows = (row for t in stage.tables for row in store.rows(t.name, partition, columns=columns))
    return {key: input_hash for key, (input_hash, _) in origins(rows).items()}
