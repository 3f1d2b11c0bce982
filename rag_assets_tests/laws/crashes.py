"""The crash law: kill a refresh at any instant, run it again, and nothing tells that it was killed.

``python -m rag_assets_tests.laws.crashes --random 100`` kills one refresh at each instant before
and after each step in which the lake changes (commits, records, tags), in turn while a lake is
first made and while it is updated, and as often as said at random instants. After each kill

* what a reader of the live generation finds is one of the published states, whole;
* the same refresh, run again, ends in the same tables as one that nobody killed; or, in one of
  three cases, the sources have gone back, or on, before it is run again, and the tables are those;
* the run after that finds nothing to do.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_assets.lake.store import LakeStore
from rag_assets_tests.laws import estate as whole
from rag_assets_tests.laws.commits import watched
from rag_assets_tests.laws.estate import Estate
from rag_assets_tests.laws.histories import FOOTER, text
from rag_assets_tests.laws.processes import fork, run, value_of

N_PUBLISHING = 6  # the last instants: before and after the tag, the manifest, the pointer
State = Mapping[str, bytes]  # place below the sources' folder -> bytes


def states() -> dict[str, State]:
    """The sources at four times: nothing, and three states that differ in every kind of way."""
    rng = random.Random(7)
    first = {f"one/{n}.md": text(rng, 30) for n in range(5)}
    first |= {f"two/{n}.md": text(rng, 30) for n in range(4)}
    first["two/copies/0.md"] = first["one/0.md"]
    first |= {f"one/footed{n}.md": f"{text(rng, 20)}\n\n{FOOTER}" for n in range(3)}
    second = dict(first)
    del second["one/0.md"], second["two/1.md"]  # the copy in the other partition stands now
    second["one/1.md"] += f"\n\n{text(rng, 20)}"
    second["one/2.md"] = ""  # goes over to the rejected ones
    second["two/new.md"] = text(rng, 30)
    second["two/copies/1.md"] = second["one/3.md"].replace("a", "o", 1)
    third = dict(second)
    third["one/2.md"] = text(rng, 10)
    del third["two/new.md"]
    third["one/0.md"] = first["one/0.md"]
    named = {"first": first, "second": second, "third": third}
    return {"": {}} | {k: {p: t.encode() for p, t in v.items()} for k, v in named.items()}


@dataclass
class Reference:
    """What an uninterrupted refresh leaves of a state of the sources."""

    contents: dict[str, Any]
    live: list[Any]


class Harness:
    """Kills refreshes of one estate, in copies of lakes of which nobody killed anything."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.estate = Estate(folder / "sources", buckets={"one": 1, "two": 1})
        self.states = states()
        self.references: dict[str, Reference] = {}
        self.steps: dict[str, list[str]] = {}  # start -> names of the instants of its refresh
        self.seconds: dict[str, float] = {}
        for name in self.states:
            self.references[name] = self._made(name)
        for start, end in (("", "first"), ("first", "second")):
            self._measure(start, end)

    def arrange(self, state: str) -> None:
        """Bring the sources into a state; the same state has the same times of modification."""
        for place in self.estate.files():
            if place not in self.states[state]:
                (self.estate.folder / place).unlink()
        for place, data in self.states[state].items():
            self.estate.write(place, data)
            when = 10**18 + sum(data) * 10**9
            os.utime(self.estate.folder / place, ns=(when, when))

    def lake(self, name: str) -> Path:
        return self.folder / f"lake-{name or 'empty'}"

    def _made(self, state: str) -> Reference:
        self.arrange(state)
        lake = self.lake(state)

        def work() -> Reference:
            store = LakeStore(str(lake))
            if state:
                whole.refresh(store, self.estate, "made")
            return Reference(whole.contents(store), whole.live_rows(store))

        made: Reference = run(self.folder, work)
        return made

    def _copied(self, start: str) -> Path:
        lake = self.folder / "lake"
        shutil.rmtree(lake, ignore_errors=True)
        if start:
            shutil.copytree(self.lake(start), lake)
        return lake

    def _measure(self, start: str, end: str) -> None:
        lake = self._copied(start)
        self.arrange(end)

        def work() -> list[str]:
            names: list[str] = []
            with watched(lambda _, name: names.append(name)):
                whole.refresh(LakeStore(str(lake)), self.estate, "measured")
            return names

        began = time.monotonic()
        self.steps[start] = run(self.folder, work)
        self.seconds[start] = time.monotonic() - began

    def kill_at(self, start: str, end: str, instant: int, then: str) -> None:
        """Kill at an instant before or after a step, then finish with the sources as ``then``."""
        lake = self._copied(start)
        self.arrange(end)

        def work() -> None:
            def at(now: int, _: str) -> None:
                if now == instant:
                    os.kill(os.getpid(), signal.SIGKILL)

            with watched(at):
                whole.refresh(LakeStore(str(lake)), self.estate, "killed")

        child = fork(self.folder, work)
        if child.wait() != -signal.SIGKILL:
            raise AssertionError(f"there was no instant {instant} of the refresh to kill it at")
        self._finish(lake, start, end, then)

    def kill_often(self, start: str, end: str, rng: random.Random) -> int:
        """Kill, run again, kill that too, and so on until one run comes to its end; how many."""
        lake = self._copied(start)
        self.arrange(end)
        n_kills = 0

        def work() -> None:
            last = rng.randrange(1, 24)  # further than the steps that every run makes anew

            def at(now: int, _: str) -> None:
                if now == last:
                    os.kill(os.getpid(), signal.SIGKILL)

            with watched(at):
                store = LakeStore(str(lake))
                self._is_published(store, (start, end))
                whole.refresh(store, self.estate, "killed")

        while (status := fork(self.folder, work).wait()) == -signal.SIGKILL:
            n_kills += 1
            rng.random()  # the child drew from a copy
        if status:
            raise AssertionError(f"run {n_kills + 1} failed with {status}")
        self._finish(lake, start, end, end)
        return n_kills

    def kill_after(self, start: str, end: str, delay_s: float, then: str) -> int:
        """Kill after some time, while a reader reads; how often it read."""
        lake = self._copied(start)
        self.arrange(end)
        stop = self.folder / "stop"
        stop.unlink(missing_ok=True)

        def read() -> int:
            n_reads = 0
            while not stop.exists():
                self._is_published(LakeStore(str(lake)), (start, end))
                n_reads += 1
                time.sleep(0.02)
            return n_reads

        def work() -> None:
            whole.refresh(LakeStore(str(lake)), self.estate, "killed")

        reader, child = fork(self.folder, read), fork(self.folder, work)
        time.sleep(delay_s)
        child.kill()
        child.wait()
        stop.touch()
        n_reads = int(value_of(reader))
        self._finish(lake, start, end, then)
        return n_reads

    def _is_published(self, store: LakeStore, names: Sequence[str]) -> None:
        rows = whole.live_rows(store)
        if rows not in [self.references[name].live for name in names]:
            raise AssertionError(f"a reader found {len(rows)} rows, which nobody published")

    def _finish(self, lake: Path, start: str, end: str, then: str) -> None:
        self.arrange(then)

        def work() -> None:
            store = LakeStore(str(lake))
            self._is_published(store, (start, end))
            whole.refresh(store, self.estate, "again")
            expected, found = self.references[then], whole.contents(store)
            wrong = [name for name, rows in found.items() if rows != expected.contents[name]]
            if wrong:
                raise AssertionError(f"{wrong} are not those of an uninterrupted run")
            if whole.live_rows(store) != expected.live:
                raise AssertionError("the live generation is not that of an uninterrupted run")
            steps: list[str] = []
            with watched(lambda _, name: steps.append(name)):
                whole.refresh(store, self.estate, "once more")
            if steps:
                raise AssertionError(f"nothing was left to do, but {steps[:4]} were done")

        run(self.folder, work)


def instants(harness: Harness, n: int, rng: random.Random) -> list[tuple[str, str, int]]:
    """(start, end, instant) around steps of a first build and an update.

    All for ``n`` = 0; else those while the update is published, and ``n`` random others.
    """
    routes = [("", "first"), ("first", "second")]
    found = [(*route, at) for route in routes for at in range(len(harness.steps[route[0]]))]
    others = found[:-N_PUBLISHING]
    return [*(rng.sample(others, min(n, len(others))) if n else others), *found[-N_PUBLISHING:]]


def main() -> None:
    """Kill, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--steps", type=int, default=0, help="around steps, besides publishing; 0: all"
    )
    parser.add_argument("--random", type=int, default=100, help="random instants")
    parser.add_argument("--chains", type=int, default=10, help="refreshes killed again and again")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    rng = random.Random(chosen.seed)
    failed: list[str] = []
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        harness = Harness(Path(folder))
        around = instants(harness, chosen.steps, rng)
        for number, (start, end, instant) in enumerate(around):
            then = [end, end, "third", end, end, start or "third"][number % 6]
            try:
                harness.kill_at(start, end, instant, then)
            except (AssertionError, RuntimeError) as error:
                failed.append(f"{harness.steps[start][instant]}, then {then}: {error}")
                print(failed[-1], flush=True)  # noqa: T201
            counts["around steps"] += 1
            print(f"{number + 1} of {len(around)} around steps", flush=True)  # noqa: T201
        for number in range(chosen.chains):
            start, end = [("", "first"), ("first", "second")][number % 2]
            try:
                counts["in chains"] += harness.kill_often(start, end, rng)
            except (AssertionError, RuntimeError) as error:
                failed.append(f"chain {number} from {start!r} to {end}: {error}")
                print(failed[-1], flush=True)  # noqa: T201
            print(f"{counts['in chains']} in {number + 1} chains", flush=True)  # noqa: T201
        for number in range(chosen.random):
            start, end = rng.choice([("", "first"), ("first", "second"), ("second", "third")])
            delay_s = rng.uniform(0, 1.2 * harness.seconds[start if start != "second" else "first"])
            try:
                counts["reads"] += harness.kill_after(start, end, delay_s, end)
            except (AssertionError, RuntimeError) as error:
                failed.append(f"after {delay_s:.3f} s from {start!r} to {end}: {error}")
                print(failed[-1], flush=True)  # noqa: T201
            counts["at random"] += 1
            print(f"{number + 1} of {chosen.random} at random", flush=True)  # noqa: T201
    n_kills = counts.total() - counts["reads"]
    print(f"{n_kills} kills: {dict(counts)}; {len(failed)} broke the law")  # noqa: T201
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
