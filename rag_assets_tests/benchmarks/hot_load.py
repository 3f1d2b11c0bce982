"""``bench hot-load``: sixteen askers while one generation after the other is loaded.

The generations are built before, each from the sample corpus with a code of its own in some
documents, so an answer shows from which generation it is. Blocks of questions with loads and
without take turns. A load moves the live pointer, in the one atomic write with which a refresh or
a rollback moves it, and has the answerer load what it names, as a refresh does at its end. After
the last block a generation whose file is damaged is offered under the same questions.
"""

import json
import re
import shutil
import statistics
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from lancedb.table import LanceTable

from rag_assets.evaluations.statistics import (
    SEED,
    TAILS,
    bootstrap,
    percentile_of,
    point,
    resamples,
)
from rag_assets.lake.generations import INDEX, load, rollback
from rag_assets.lake.store import LakeStore, scan
from rag_assets.models.protocols import Embedder
from rag_assets.pipeline.refreshing import Pipeline
from rag_assets.serving.client import AnswererClient, AnswererError
from rag_assets.settings import Settings
from rag_assets_tests.benchmarks.answerer import SAMPLE, own_answerer, sample_questions
from rag_assets_tests.benchmarks.client import Asked, Reply, ask_all
from rag_assets_tests.benchmarks.findings import BenchmarkError, Goal, Part, Say, Table, keep

N_ASKERS = 16
BLOCK = 50  # questions of a block, at most
STILL, LOADING, DAMAGED, WARM_UP = "no loads", "loads", "damaged", "warm-up"
RATIO = 1.2  # of p99 with loads to that without, at most
PERCENTS = (50, 95, 99)
RUN, RESULTS = "run", "results.jsonl"  # a subfolder, and a file in it
CODE = re.compile(r"\bKITE\d{5}\b")
BULLETIN = "notices/bulletin.txt"
# Documents that golden questions ask about; a code in each of their sentences.
MARKED = (
    "archive/history-1961-2011.txt", "notices/2024-02-lissmar-linkspan.txt",
    "safety/incident-sallow-2024-03.txt",
)  # fmt: skip
BULLETIN_QUESTIONS = (
    "What is the code of the harbour bulletin of Norrsund Line?",
    "Which code does the harbour bulletin name for the Kelva pilot station?",
    "Under which code are the skippers to sign the harbour bulletin?",
)
_FULL_STOP = re.compile(r"\.(?=\s|$)")


# What an answer is held against


@dataclass(frozen=True, slots=True)
class Content:
    """A generation: the code in its documents, and the text of each chunk by its id."""

    code: str
    chunks: Mapping[str, str]


def mixture(reply: Reply, content: Content | None) -> list[str]:
    """What of an answer is not from the generation that it names, a line each.

    Args:
        reply: that did not fail.
        content: of the generation that it names; None if none of that name was built.
    """
    if content is None:
        return [f"it names the generation {reply.generation_id!r}, which was not built"]
    found = [
        f"quote {one['n']} is not in chunk {one['chunk_id']} of the generation"
        for one in reply.citations
        if one["quote"] not in content.chunks.get(one["chunk_id"], "")
    ]
    texts = [reply.text, *(str(one["quote"]) for one in reply.citations)]
    codes = {code for text in texts for code in CODE.findall(text)}
    found += [f"it holds {code}, not {content.code}" for code in sorted(codes - {content.code})]
    read = chain.from_iterable(one["chunk_ids"] for one in reply.record.get("evidence", ()))
    found += [f"it read {chunk}, of another one" for chunk in read if chunk not in content.chunks]
    return found


@dataclass(frozen=True, slots=True)
class Result:
    """A question of the benchmark as it is kept; a line of ``results.jsonl``."""

    arm: str
    block: int
    number: int  # of the question in its block
    streams: bool
    status: int
    first_s: float | None
    whole_s: float
    generation_id: str
    has_code: bool
    error: str
    mixed: list[str]
    question: str
    text: str


# Generations


def write_corpus(folder: Path, code: str) -> None:
    """The sample corpus with a code in its marked documents and in a bulletin."""
    for place in MARKED:
        text = (SAMPLE / place).read_text("utf-8")
        (folder / place).write_text(_FULL_STOP.sub(f" ({code}).", text), "utf-8")
    bulletin = (
        "HARBOUR BULLETIN OF NORRSUND LINE\n\n"
        f"The code of the harbour bulletin of Norrsund Line is {code}.\n\n"
        f"The harbour bulletin names {code} as the code for the Kelva pilot station.\n\n"
        f"Skippers are to sign the harbour bulletin under the code {code}.\n"
    )
    (folder / BULLETIN).write_text(bulletin, "utf-8")


def code_of(number: int) -> str:
    """The code of a generation, counted from 0."""
    return f"KITE{number:05}"


class Built(NamedTuple):
    """Generations.

    Attributes:
        codes: generation id -> its code, in the order of building; the last one is for damaging.
        last: files with rows that no other generation but the last one has.
    """

    codes: Mapping[str, str]
    last: set[Path]


def built(home: Path, n_generations: int, embedder: Embedder | None, say: Say) -> Built:
    """Build generations, and one more for damaging.

    Args:
        home: where corpus and lake are made; it does not hold any yet.
        n_generations: besides that one.
        embedder: in place of the engine.
        say: told lines of progress.
    """
    corpus = home / "corpus"
    shutil.copytree(SAMPLE, corpus)
    source = {"name": "sample", "kind": "folder", "where": str(corpus), "enrich": False}
    (home / "sources.yaml").write_text(yaml.safe_dump({"sources": [source]}), "utf-8")
    pipeline = Pipeline(home / "sources.yaml", home / "lake", embedder=embedder)
    found: dict[str, str] = {}
    before = set[Path]()
    for number in range(n_generations + 1):
        before = data_files(home / "lake")
        write_corpus(corpus, code_of(number))
        found[pipeline.refresh().generation_id] = code_of(number)
        if (number + 1) % 10 == 0:
            say(f"{number + 1} generations are built")
    if len(found) != n_generations + 1:
        raise BenchmarkError(f"expected {n_generations + 1} generations, got {len(found)}")
    return Built(found, data_files(home / "lake") - before)


def contents_of(store: LakeStore, codes: Mapping[str, str]) -> dict[str, Content]:
    """What each generation holds, read from its version of the index.

    Args:
        store: the lake.
        codes: generation id -> its code.
    """
    found = {}
    for generation_id, code in codes.items():
        rows = scan(_table(store, generation_id), columns=["chunk_id", "text"]).to_pylist()
        found[generation_id] = Content(code, {row["chunk_id"]: row["text"] for row in rows})
    return found


def _table(store: LakeStore, generation_id: str) -> LanceTable:
    table = store.table(INDEX)
    if table is None:
        raise BenchmarkError(f"{store.uri} has no index")
    table.checkout(load(store, generation_id).index_version)
    return table


def data_files(lake: Path) -> set[Path]:
    """The files that hold rows of the index, of all its versions."""
    return set((lake / "tables" / INDEX).rglob("data/*.lance"))


def damage(files: Iterable[Path]) -> None:
    """Cut files to their first half."""
    for path in files:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


# The measurement


def questions_of(n: int) -> list[Asked]:
    """So many questions of all kinds, mixed; every fourth asks for the code of the bulletin."""
    golden = iter(sample_questions(n))
    asked = [
        BULLETIN_QUESTIONS[k // 4 % len(BULLETIN_QUESTIONS)] if k % 4 == 3 else next(golden)
        for k in range(n)
    ]
    return [Asked(question, k % 2 == 1) for k, question in enumerate(asked)]


@dataclass
class Loads:
    """Loads of one generation after the other.

    Attributes:
        store: the lake, whose live pointer is moved.
        client: of the answerer.
        ids: of the generations in order, the first in service; after the last it comes again.
        results: a file of JSON lines, to which each load is added.
        n_done: so far, refused ones among them.
    """

    store: LakeStore
    client: AnswererClient
    ids: Sequence[str]
    results: Path
    n_done: int = 0

    def next(self) -> None:
        """Make the next generation live and have it loaded."""
        self.n_done += 1
        self.offer(self.ids[self.n_done % len(self.ids)])

    def offer(self, generation_id: str, arm: str = LOADING) -> None:
        """Make a generation live and have it loaded; what came of it is kept."""
        rollback(self.store, generation_id)
        try:
            ms, error = float(self.client.reload()["ms"]), ""
        except AnswererError as refused:
            ms, error = 0.0, str(refused)
        serving = (self.client.status()["generation"] or {}).get("id", "")
        keep(self.results, {
            "load": generation_id, "arm": arm, "serving": serving, "ms": ms, "error": error,
        })  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bench:
    """An answerer under questions, and where results go.

    Attributes:
        url: of the answerer.
        results: a file of JSON lines, to which each result is added as it comes.
        contents: of the generations, by id.
        say: told lines of progress.
    """

    url: str
    results: Path
    contents: Mapping[str, Content]
    say: Say

    def block(
        self,
        arm: str,
        number: int,
        questions: Sequence[Asked],
        n_loads: int = 0,
        do_load: Callable[[], None] = lambda: None,
    ) -> list[Result]:
        """Ask the questions; meanwhile load so many times, evenly over the answers."""
        due = [load * len(questions) // n_loads for load in range(n_loads)]
        turn, found = threading.Semaphore(due.count(0)), list[Result]()

        def load_when_due() -> None:
            for _ in range(n_loads):
                turn.acquire()
                do_load()

        def heard(k: int, reply: Reply) -> None:
            found.append(self._kept(arm, number, k, reply))
            for _ in range(due.count(len(found))):
                turn.release()

        loader = threading.Thread(target=load_when_due, daemon=True)
        loader.start()
        ask_all(self.url, questions, N_ASKERS, heard)
        loader.join()
        slowest = max(one.whole_s for one in found)
        self.say(f"block {number}, {arm}: {len(found)} questions, slowest {slowest:.1f} s")
        return found

    def _kept(self, arm: str, number: int, k: int, reply: Reply) -> Result:
        mixed = [] if reply.error else mixture(reply, self.contents.get(reply.generation_id))
        has_code = CODE.search(reply.text) is not None
        result = Result(
            arm, number, k, reply.streams, reply.status, reply.first_s, reply.whole_s,
            reply.generation_id, has_code, reply.error, mixed, reply.question, reply.text,
        )  # fmt: skip
        keep(self.results, asdict(result))
        return result


def measure(
    settings: Settings,
    folder: Path,
    say: Say,
    *,
    n_generations: int = 100,
    n_questions: int = 300,
) -> Part:
    """Build the generations, then ask; the engines must run already.

    Args:
        settings: whose engines and cache.
        folder: what is measured is made in its subfolder ``RUN``, which is made anew.
        say: told lines of progress.
        n_generations: that are loaded.
        n_questions: of each arm.

    Raises:
        BenchmarkError: the generations could not be built.
    """
    home = folder / RUN
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    codes, last = built(home, n_generations, None, say)
    store, ids = LakeStore(str(home / "lake")), list(codes)
    rollback(store, ids[0])
    contents, n_blocks = contents_of(store, codes), -(-n_questions // BLOCK)
    questions = questions_of(-(-n_questions // n_blocks))
    with own_answerer(settings, home) as url:
        bench = Bench(url, home / RESULTS, contents, say)
        loads = Loads(store, AnswererClient(url), ids[:-1], home / RESULTS)
        bench.block(WARM_UP, 0, questions)
        for number in range(n_blocks):
            bench.block(STILL, number, questions)
            n_loads = (number + 1) * n_generations // n_blocks - number * n_generations // n_blocks
            bench.block(LOADING, number, questions, n_loads, loads.next)
        damage(last)
        bench.block(DAMAGED, 0, questions[:N_ASKERS], 1, partial(loads.offer, ids[-1], DAMAGED))
    return report(folder)


# What it comes to


def report(folder: Path) -> Part:
    """Tables and goals, of what there is in ``results.jsonl``; a run may have been stopped.

    Raises:
        BenchmarkError: there is nothing of both arms.
    """
    lines = [json.loads(line) for line in (folder / RUN / RESULTS).read_text("utf-8").splitlines()]
    loads = [line for line in lines if "load" in line]
    asked = [Result(**line) for line in lines if "load" not in line]
    of = {arm: [one for one in asked if one.arm == arm] for arm in (STILL, LOADING, DAMAGED)}
    seconds = {arm: [one.whole_s for one in of[arm] if not one.error] for arm in (STILL, LOADING)}
    if not all(seconds.values()):
        raise BenchmarkError(f"{folder / RUN / RESULTS} does not hold answers of both arms")
    ratios = [ratio_of(seconds[LOADING], seconds[STILL], percent) for percent in PERCENTS]
    return Part(
        "hot-load",
        f"{N_ASKERS} askers while generations are loaded",
        [
            Table("Questions", _COLUMNS, [_row(arm, of[arm]) for arm in of if of[arm]]),
            Table(
                "Seconds to the whole answer, with 95 % intervals",
                ["arm", *(f"p{percent}" for percent in PERCENTS)],
                [
                    *([arm, *(_quantile(seconds[arm], p) for p in PERCENTS)] for arm in seconds),
                    ["ratio", *(f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f})"
                                for one in ratios)],
                ],
            ),
            Table("Loads", ["", "loads", "ms, median", "ms, longest"], _load_rows(loads)),
        ],
        _goals([*of[STILL], *of[LOADING], *of[DAMAGED]], loads, ratios[-1].value),
        _NOTES,
    )  # fmt: skip


_COLUMNS = (
    "arm", "questions", "failed", "mixed", "answers with a code", "generations named",
    "first sentence, s, median of the streamed",
)  # fmt: skip
_NOTES = (
    "Mixed: a quote that is not word for word in its chunk of the generation that the answer "
    "names, a code of another generation, or a passage read that it does not have.",
    "Every second answer is streamed. Blocks of both arms ask the same questions, which were "
    "asked once before, uncounted.",
)


class Ratio(NamedTuple):
    """A ratio and its interval."""

    value: float
    low: float
    high: float


def ratio_of(over: Sequence[float], under: Sequence[float], percent: int) -> Ratio:
    """The ratio of two percentiles, with the 95 % interval of a bootstrap of both samples."""
    drawn = [
        np.concatenate([
            percentile_of(values, percent)(counts)
            for counts in resamples(len(values), seed=SEED + place)
        ])
        for place, values in enumerate((over, under))
    ]  # fmt: skip
    low, high = np.percentile(drawn[0] / drawn[1], TAILS)
    value = _percentile(over, percent) / _percentile(under, percent)
    return Ratio(value, float(low), float(high))


def _percentile(values: Sequence[float], percent: int) -> float:
    return point(percentile_of(values, percent), len(values))


def _quantile(values: Sequence[float], percent: int) -> str:
    low, high = bootstrap(percentile_of(values, percent), len(values))
    return f"{_percentile(values, percent):.2f} ({low:.2f} to {high:.2f})"


def _row(arm: str, found: Sequence[Result]) -> list[str]:
    firsts = [one.first_s for one in found if one.streams and one.first_s is not None]
    return [
        arm, str(len(found)), str(sum(bool(one.error) for one in found)),
        str(sum(bool(one.mixed) for one in found)), str(sum(one.has_code for one in found)),
        str(len({one.generation_id for one in found} - {""})),
        f"{statistics.median(firsts):.2f}" if firsts else "-",
    ]  # fmt: skip


def _load_rows(loads: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    done = [one for one in loads if one["arm"] == LOADING and one["serving"] == one["load"]]
    ms = [one["ms"] for one in done]
    refused = [one for one in loads if one not in done]
    rows = (
        [["done", str(len(done)), f"{statistics.median(ms):.0f}", f"{max(ms):.0f}"]] if ms else []
    )
    return [
        *rows,
        *([f"refused: {one['error']}", "1", "-", "-"] for one in refused),
    ]


def _goals(
    asked: Sequence[Result], loads: Sequence[Mapping[str, Any]], p99_ratio: float
) -> list[Goal]:
    failed, mixed = ([one for one in asked if getattr(one, name)] for name in ("error", "mixed"))
    given = [one for one in loads if one["arm"] == LOADING]
    done = [one for one in given if one["serving"] == one["load"]]
    goals = [
        Goal("no question fails", f"{len(failed)} of {len(asked)}", not failed),
        Goal("no answer mixes generations", f"{len(mixed)} of {len(asked)}", not mixed),
        Goal("every load is done", f"{len(done)} of {len(given)}", len(done) == len(given)),
        Goal(
            f"p99 with loads is at most {RATIO} of that without",
            f"{p99_ratio:.3f}",
            p99_ratio <= RATIO,
        ),
    ]
    for one in loads:
        if one["arm"] == DAMAGED:
            is_refused = bool(one["error"]) and one["serving"] not in ("", one["load"])
            told = f"refused, {one['serving']} serves" if is_refused else f"{one['serving']} serves"
            goals.append(Goal("a damaged generation is refused", told, is_refused))
    return goals
