"""The delta law on random histories: after any of them, incremental equals rebuilt, row for row.

``python -m rag_assets_tests.laws.histories --histories 100 --steps 8 --seed 0`` runs more than the
tests do. Each history follows from its seed alone.
"""

import argparse
import os
import random
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from rag_assets.index import stage as build
from rag_assets.lake.store import LakeStore
from rag_assets.pipeline.stages import STAGES
from rag_assets.sources.folder import FolderListing
from rag_assets.sources.found import FoundFile, UnreadableError
from rag_assets_tests.laws import estate as whole
from rag_assets_tests.laws.commits import watched
from rag_assets_tests.laws.estate import Estate, Row, Work

WORDS = re.findall(
    r"\w+",
    "ferry lighthouse anchor island harbour timetable crossing fare ticket captain tide storm "
    "compass chart engine deck cabin bridge crew mooring rope sail wind wave current pilot signal "
    "buoy channel coast cliff beach pier quay cargo port starboard bow stern keel hull mast",
)
FOOTER = "Printed by the harbour office of the island, all rights reserved."
# The gate and what publishes make no rows.
NAMES = [stage.name for stage in STAGES if stage.tables or stage.is_current is not None]


class LawBrokenError(AssertionError):
    """What the law says does not hold; the message says where."""


class Interrupted(Exception):
    """A stage failed in the middle of its work."""


def text(rng: random.Random, n_words: int = 60) -> str:
    """A page: perhaps headings, perhaps the footer that makes boilerplate."""
    paragraphs = [
        " ".join(rng.choices(WORDS, k=n_words)).capitalize() + "." for _ in range(rng.randint(1, 3))
    ]
    for position in range(len(paragraphs)):
        if rng.random() < 0.5:
            paragraphs[position] = f"## {rng.choice(WORDS)}\n\n{paragraphs[position]}"
    if rng.random() < 0.6:
        paragraphs.insert(rng.randint(0, len(paragraphs)), FOOTER)
    title = f"# {' '.join(rng.choices(WORDS, k=2))}\n\n" if rng.random() < 0.7 else ""
    return title + "\n\n".join(paragraphs) + "\n"


class History:
    """One estate, its lake, and what happens to them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.folder = folder
        buckets = {"one": 1, "two": self.rng.choice([1, 2, 4])}
        self.estate = Estate(folder / "sources", buckets)
        self.store = LakeStore(str(folder / "lake"))
        self.told: list[str] = []
        self.n_runs = 0
        self.unreadable = False

    def place(self) -> str:
        deep = self.rng.choice(["", "", "copies/", "drafts/"])
        return f"{self.rng.choice(['one', 'two'])}/{deep}{self.rng.choice('abcdefghijkl')}.md"

    def some(self) -> str:
        return self.rng.choice(self.estate.files() or ["none"])

    def add(self) -> None:
        self.estate.write(self.place(), text(self.rng))

    def add_many(self) -> None:
        for _ in range(5):
            self.add()

    def edit(self) -> None:
        place = self.some()
        if place != "none":
            old = (self.estate.folder / place).read_bytes().decode("utf-8", "replace")
            self.estate.write(place, old + f"\n\nAlso {' '.join(self.rng.choices(WORDS, k=9))}.\n")

    def spoil(self) -> None:
        if self.some() != "none":
            half = rb"{\rtf1 Half of a surrogate pair, \u-10179? and nothing behind it.\par}"
            odd = [b"", b"%PDF-1.7 broken", b"\0\1\2\3", half]
            self.estate.write(self.some(), self.rng.choice(odd))

    def flag(self) -> None:
        self.estate.write(self.place(), "404 Not Found")

    def rename(self) -> None:
        place = self.some()
        if place != "none":
            self.estate.write(self.place(), (self.estate.folder / place).read_bytes())
            (self.estate.folder / place).unlink()

    def delete(self) -> None:
        (self.estate.folder / self.some()).unlink(missing_ok=True)

    def duplicate(self) -> None:
        place = self.some()
        if place != "none":
            self.estate.write(self.place(), (self.estate.folder / place).read_bytes())

    def nearly_duplicate(self) -> None:
        place = self.some()
        if place != "none":
            old = (self.estate.folder / place).read_bytes().decode("utf-8", "replace").split(" ")
            old[self.rng.randrange(len(old))] = self.rng.choice(WORDS)
            self.estate.write(self.place(), " ".join(old))

    def touch(self) -> None:
        place = self.some()
        if place != "none":
            os.utime(self.estate.folder / place, ns=(0, self.rng.randrange(10**18)))

    def configure(self) -> None:
        patterns = [(), ("drafts/*",), ("*a.md", "copies/*")]
        self.estate.exclude = self.rng.choice(patterns)

    def resize_chunks(self) -> None:
        self.estate.max_tokens = self.rng.choice([40, 60])

    def change_model(self) -> None:
        self.estate.revision = self.rng.choice(["1", "2"])

    def change_code(self) -> None:
        self.estate.code[self.rng.choice(NAMES)] = self.rng.choice(["x", "y"])

    def stopping(self, n_steps: int) -> Callable[[int, str], None]:
        """For ``watched``: raises ``Interrupted`` at a random one of so many steps."""
        stop = self.rng.randrange(n_steps)

        def at(instant: int, name: str) -> None:
            if instant == stop:
                self.told.append(f"({name})")
                raise Interrupted(name)

        return at

    def fail(self) -> None:
        """A refresh that an exception ends before or after a random step."""
        at = self.stopping(100)
        self.n_runs += 1
        try:
            with watched(at):
                whole.refresh(self.store, self.estate, f"run {self.n_runs}")
        except Interrupted:
            pass

    def fail_to_read(self) -> None:
        """A refresh in which no file can be read."""
        read = FolderListing.read

        def refuse(self: FolderListing, file: FoundFile) -> bytes:
            raise UnreadableError("cannot be read: the drive is gone")

        FolderListing.read = refuse  # type: ignore[method-assign]
        try:
            self.refresh()
        finally:
            FolderListing.read = read  # type: ignore[method-assign]
        self.unreadable = True

    OPERATIONS: Sequence[tuple[int, Callable[["History"], None]]] = (
        (6, add), (2, add_many), (4, edit), (2, spoil), (1, flag), (3, rename), (3, delete),
        (3, duplicate), (3, nearly_duplicate), (2, touch), (1, configure),
        (1, resize_chunks), (1, change_model), (1, change_code), (2, fail), (1, fail_to_read),
    )  # fmt: skip

    def live_through(self, n_steps: int) -> None:
        """Random operations in random numbers, each time refreshed and held against the law."""
        weights, operations = zip(*self.OPERATIONS, strict=True)
        self.add_many()
        for step in range(n_steps):
            for operation in self.rng.choices(operations, weights, k=self.rng.randint(1, 5)):
                self.told.append(operation.__name__)
                operation(self)
            self.refresh()
            self.told.append("refresh;")
            if step == n_steps - 1 or self.rng.random() < 0.3:
                self.equals_rebuilt()
            if step == n_steps - 1 or self.rng.random() < 0.3:
                self.costs_nothing_again()

    def refresh(self) -> None:
        """A refresh; what stood for the same inputs was neither computed nor written again."""
        self.n_runs += 1
        run = f"run {self.n_runs}"
        if self.unreadable:  # files that a run could not read are read by the next, unchanged
            self.unreadable = False
            whole.refresh(self.store, self.estate, run)
            return
        before, index = whole.lineage(self.store), _index(self.store)
        work = whole.refresh(self.store, self.estate, run)
        self._was_proportional(run, before, whole.lineage(self.store), work)
        after = _index(self.store)
        changed = sum(index.get(key) != row for key, row in after.items())
        gone = len(index.keys() - after.keys())
        moved = sum(index[key][0] != row[0] for key, row in after.items() if key in index)
        built = work.built
        if built is None or built.n_upserted != changed or not 0 <= built.n_deleted - gone <= moved:
            raise self._broken(
                f"index: {changed} rows changed, {gone} gone, {moved} in another partition; "
                f"reported {built}"
            )

    def _was_proportional(
        self,
        run: str,
        before: dict[tuple[str, str, str], tuple[str, str, str]],
        after: dict[tuple[str, str, str], tuple[str, str, str]],
        work: Work,
    ) -> None:
        n_new: dict[tuple[str, str], int] = {}
        for row, (digest, fingerprint, run_id) in after.items():
            stood = before.get(row)
            is_same = stood is not None and stood[:2] == (digest, fingerprint)
            if is_same != (run_id != run):
                raise self._broken(f"{row} stood as {stood}, now {digest, fingerprint, run_id}")
            n_new[row[:2]] = n_new.get(row[:2], 0) + (not is_same)
        for (table, partition), report in work.reports.items():
            ids = work.computed[table, partition]
            if len(set(ids)) != len(ids):
                raise self._broken(f"{table}/{partition} computed an input twice")
            tables = [table, "rejected_documents"] if table == "documents" else [table]
            n_written = sum(n_new.get((name, partition), 0) for name in tables)
            n_deleted = sum(
                (name, partition) == row[:2] and row not in after
                for row in before
                for name in tables
            )
            found = (report.n_computed, report.n_written, report.n_deleted)
            if found != (len(ids), n_written, n_deleted):
                raise self._broken(
                    f"{table}/{partition} reports {found} inputs computed, rows written, deleted; "
                    f"were {len(ids)}, {n_written}, {n_deleted}"
                )

    def equals_rebuilt(self) -> None:
        """Every table holds what a lake made of nothing holds."""
        if self.unreadable:
            self.refresh()
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            fresh = LakeStore(f"{folder}/lake")
            whole.refresh(fresh, self.estate, "rebuilt")
            here, there = whole.contents(self.store), whole.contents(fresh)
            self._is_same(here, there)
            self._is_same({"live": whole.live_rows(self.store)}, {"live": whole.live_rows(fresh)})

    def _is_same(self, here: dict[str, list[Row]], there: dict[str, list[Row]]) -> None:
        for table, rows in here.items():
            if rows == there[table]:
                continue
            extra = [row for row in rows if row not in there[table]]
            missing = [row for row in there[table] if row not in rows]
            raise self._broken(
                f"{table}: {len(rows)} rows, rebuilt {len(there[table])}\n"
                f"too many: {extra[:2]}\nmissing: {missing[:2]}"
            )

    def costs_nothing_again(self) -> None:
        """A refresh without a change computes nothing and changes nothing in the lake."""
        versions, steps = whole.versions(self.store), list[str]()
        self.n_runs += 1
        with watched(lambda _, name: steps.append(name)):
            work = whole.refresh(self.store, self.estate, f"run {self.n_runs}")
        computed = {key: ids for key, ids in work.computed.items() if ids}
        if steps or computed or whole.versions(self.store) != versions:
            raise self._broken(f"nothing changed, but {steps[:4]} were done for {computed}")
        if work.embedded or work.described or not all(r.is_noop for r in work.reports.values()):
            raise self._broken("nothing changed, but models were asked")

    def _broken(self, what: str) -> LawBrokenError:
        return LawBrokenError(f"{what}\nafter {' '.join(self.told)}")


def _index(store: LakeStore) -> dict[str, tuple[str, str]]:
    rows = store.rows(build.INDEX, columns=["chunk_id", "partition", "row_hash"])
    return {row["chunk_id"]: (row["partition"], row["row_hash"]) for row in rows}


def live_through(seed: int, n_steps: int) -> int:
    """One history; how many refreshes it had.

    Raises:
        LawBrokenError: the law does not hold.
    """
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder), seed)
        try:
            history.live_through(n_steps)
        except Exception as error:
            error.add_note(f"seed {seed} after {' '.join(history.told)}")
            raise
        return history.n_runs


def main() -> None:
    """Run histories and say what became of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=20)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    n_broken = n_runs = 0
    for seed in range(chosen.seed, chosen.seed + chosen.histories):
        try:
            n_runs += live_through(seed, chosen.steps)
        except LawBrokenError as error:
            n_broken += 1
            print(f"seed {seed}: {error}", flush=True)  # noqa: T201
    print(f"{chosen.histories} histories, {n_runs} refreshes, {n_broken} broke the law")  # noqa: T201
    raise SystemExit(n_broken > 0)


if __name__ == "__main__":
    main()
