"""After any history, every figure that a plan does not mark as an estimate comes true."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from rag_assets.pipeline.plan import PartitionPlan
from rag_assets.pipeline.planning import plan_refresh
from rag_assets_tests.fakes import FakeChat
from rag_assets_tests.laws import estate as whole
from rag_assets_tests.laws.commits import watched
from rag_assets_tests.laws.estate import Work, refresh_partition, stages_of, surroundings
from rag_assets_tests.laws.histories import History, Interrupted, text
from rag_assets_tests.world import facts_of

BROKEN = (b"", b"%PDF-1.7 broken", b"\0\1\2\3")


class Planned(History):
    """A history in which each refresh of the partitioned stages is planned before."""

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder, seed)
        self.wrong: list[str] = []
        self.n_compared = self.n_exact_work = 0

    def spoil(self) -> None:
        self.estate.write(self.some(), self.rng.choice(BROKEN))

    def mend(self) -> None:
        """A file that was rejected becomes a document."""
        for place in self.estate.files():
            if (self.estate.folder / place).read_bytes() in BROKEN:
                self.estate.write(place, text(self.rng))
                return

    def copy_over(self) -> None:
        """The same text in both sources."""
        place = self.some()
        other = place.replace("one/", "two/", 1) if place[0] == "o" else place.replace("two", "one")
        self.estate.write(other, (self.estate.folder / place).read_bytes())

    def interrupt(self) -> None:
        """A refresh that an exception ends before or after a random step."""
        try:
            with watched(self.stopping(60)), surroundings():
                for source, partition in self.estate.partitions:
                    refresh_partition(self.store, self.estate, source, partition, "r", Work())
        except Interrupted:
            pass

    OPERATIONS: Sequence[tuple[int, Callable[["Planned"], None]]] = (
        (4, History.add), (3, History.edit), (3, spoil), (3, mend), (2, History.rename),
        (3, History.delete), (3, History.duplicate), (3, copy_over), (1, History.touch),
        (1, History.resize_chunks), (3, History.change_model),
        (1, History.change_code), (2, interrupt),
    )  # fmt: skip

    def go_on(self) -> None:
        """Some operations, a plan, and the refresh that it is held against."""
        weights, operations = zip(*self.OPERATIONS, strict=True)
        for operation in self.rng.choices(operations, weights, k=self.rng.choice([1, 1, 2, 4])):
            self.told.append(operation.__name__)
            operation(self)
        estate, work = self.estate, Work()
        embedder, chat = whole.Embedder(estate.revision), FakeChat()
        facts, stages = facts_of(embedder, chat, estate.max_tokens), stages_of(estate, work)
        with surroundings():
            plan = plan_refresh(
                self.store, estate.sources, facts, list(stages.values()), accept_deletions=True
            )
            by_name = {one.partition: one for one in plan.partitions}
            assert by_name.keys() == {p for _, p in estate.partitions}
            for source, name in estate.partitions:
                self._refresh(by_name[name], source, work)
        self.told.append("refresh;")

    def _refresh(self, planned: PartitionPlan, source: whole.Source, work: Work) -> None:
        name = planned.partition
        refresh_partition(self.store, self.estate, source, name, "r", work)
        read = set(work.computed["source_files", name])
        files = self.store.rows("source_files", name, columns=["uri", "size"])
        more = {
            "source_files": {"n_bytes": sum(f["size"] for f in files if f["uri"] in read)},
        }
        for stage in planned.stages:
            delta = work.reports[stage.stage, name].delta
            did = {
                "new": len(delta.new),
                "changed": len(delta.changed),
                "gone": len(delta.gone),
                "unchanged": delta.unchanged,
                **more.get(stage.stage, {}),
            }
            self._compare(planned, stage.stage, did)

    def _compare(self, planned: PartitionPlan, stage: str, did: dict[str, int]) -> None:
        (plan,) = (one for one in planned.stages if one.stage == stage)
        for figure, actual in did.items():
            if figure in plan.estimated:
                continue
            self.n_compared += 1
            self.n_exact_work += figure != "unchanged" and actual > 0
            if getattr(plan, figure) != actual:
                self.wrong.append(
                    f"{planned.partition} {stage} {figure}: planned {getattr(plan, figure)}, "
                    f"was {actual}, after {' '.join(self.told)}"
                )


@pytest.mark.parametrize("seed", [1, 4, 12])
def test_what_is_not_marked_comes_true(tmp_path: Path, seed: int) -> None:
    history = Planned(tmp_path, seed)
    history.add_many()
    history.add_many()
    for _ in range(5):
        history.go_on()
    assert history.wrong == []
    assert history.n_exact_work > 10  # else marks on everything would do
