"""Two processes refresh at once, round after round: nothing is lost, nobody hears of a conflict.

``python -m rag_assets_tests.laws.races --rounds 50`` changes the sources before each round. In turn
the two processes refresh two partitions of one lake, or both the same one; then both go on to the
stages that look at all partitions, and publish. What a process writes on stderr fails the round.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rag_assets.lake.store import LakeStore
from rag_assets_tests.laws import estate as whole
from rag_assets_tests.laws.estate import Estate, Work
from rag_assets_tests.laws.histories import text
from rag_assets_tests.laws.processes import run, run_at_once

REBUILT_EVERY = 5  # rounds; in between a refresh that finds nothing to do is proof enough
TOGETHER: Sequence[tuple[int, int]] = ((0, 1), (0, 0), (1, 1))  # which partitions, turn by turn


class Races:
    """One lake of two sources, and the rounds run on it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.rng = random.Random(seed)
        self.estate = Estate(folder / "sources", buckets={"one": 1, "two": 1})
        self.lake = str(folder / "lake")
        for _ in range(6):
            self._write()

    def _write(self) -> None:
        place = f"{self.rng.choice(['one', 'two'])}/{self.rng.choice('abcdefghij')}.md"
        self.estate.write(place, text(self.rng, 20))

    def _change(self, partitions: Sequence[int]) -> None:
        names = {list(self.estate.buckets)[n] for n in partitions}
        for place in self.estate.files():
            if place.split("/")[0] in names and self.rng.random() < 0.25:
                (self.estate.folder / place).unlink()
        for name in names:
            for _ in range(3):
                where = f"{name}/{self.rng.choice('abcdefghij')}.md"
                copied = self.rng.choice(self.estate.files() or [""])
                is_copy = copied and self.rng.random() < 0.3
                data = (self.estate.folder / copied).read_bytes() if is_copy else None
                self.estate.write(where, data or text(self.rng, 20))

    def round(self, number: int) -> None:
        """Both processes at once; then no work is left, and rows are those of one process alone.

        Raises:
            AssertionError: rows were lost, or are others.
            RuntimeError: one of the processes failed.
        """
        partitions = TOGETHER[number % len(TOGETHER)] if number else (0, 1)
        if number:
            self._change(partitions)
        begin = time.time() + 0.05

        def refresher(which: int, position: int) -> Callable[[], None]:
            def work() -> None:
                time.sleep(max(0.0, begin - time.time()))
                store, done = LakeStore(self.lake), Work()
                with whole.surroundings():
                    run_id = f"round {number}.{position}"
                    source, key = self.estate.partitions[which]
                    whole.refresh_partition(store, self.estate, source, key, run_id, done)
                    whole.refresh_whole(store, self.estate, run_id, done)

            return work

        run_at_once(self.folder, [refresher(w, n) for n, w in enumerate(partitions)])
        run(self.folder, lambda: self._check(number))

    def _check(self, number: int) -> None:
        store = LakeStore(self.lake)
        stood = whole.versions(store)
        whole.refresh(store, self.estate, f"after round {number}")
        if whole.versions(store) != stood:
            raise AssertionError(f"round {number}: the two processes left work undone")
        if number % REBUILT_EVERY:
            return
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            fresh = LakeStore(f"{folder}/lake")
            whole.refresh(fresh, self.estate, "rebuilt")
            here, there = whole.contents(store), whole.contents(fresh)
            wrong = [name for name, rows in here.items() if rows != there[name]]
            if wrong:
                raise AssertionError(f"round {number}: {wrong} are not those of one process alone")
            if whole.live_rows(store) != whole.live_rows(fresh):
                raise AssertionError(f"round {number}: the live generation lacks what was built")


def main() -> None:
    """Run rounds and say what became of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        races = Races(Path(folder), chosen.seed)
        for number in range(chosen.rounds):
            try:
                races.round(number)
            except (AssertionError, RuntimeError) as error:
                failed += 1
                print(f"round {number}: {error}", flush=True)  # noqa: T201
            print(f"{number + 1} rounds", flush=True)  # noqa: T201
    print(f"{chosen.rounds} rounds of two processes, {failed} failed")  # noqa: T201
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
