"""Whether a partition's tables fit together, so that its rows may go into the index."""

from collections.abc import Sequence

from rag_assets.lake.delta import LakeStage, origins
from rag_assets.lake.store import LakeStore


def is_settled(store: LakeStore, partition: str, stages: Sequence[LakeStage]) -> bool:
    """Whether every stage's rows come from the rows that the stage before it has now.

    They do not while a run is between two stages, nor after one that failed or was killed there.
    """
    columns = ["input_id", "input_hash", "fingerprint"]
    for stage in stages:
        if not stage.upstream:
            continue
        rows = (row for t in stage.tables for row in store.rows(t.name, partition, columns=columns))
        made_from = {key: input_hash for key, (input_hash, _) in origins(rows).items()}
        if not made_from and stage.may_be_missing:
            continue
        if made_from != stage.recorded_inputs(store, partition):
            return False
    return True
