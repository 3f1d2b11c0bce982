"""``bench refresh``: a refresh as users run it, beside a plain script and two peers.

All get the same pages, the same cores and the same embedder (the profile's engine, over its
OpenAI-compatible endpoint), one after another; peers run in environments of their own. Each
refresh is a process of its own, and its time is that of the whole process, start and imports
included. The arms take turns day by day, and another one begins each day.
"""

import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import lancedb
import psutil
import yaml

from rag_assets.index.search import IndexReader
from rag_assets.lake import generations
from rag_assets.lake.store import LakeStore
from rag_assets.models.clients.openai_http import HttpEmbedder, connect_embedder
from rag_assets.models.engines.state import running_engines
from rag_assets.models.profiles import Profile
from rag_assets.models.weights.pulling import model_dir
from rag_assets.settings import CHECKOUT, Settings
from rag_assets_tests.benchmarks.findings import BenchmarkError, Goal, Part, Say, Table, keep
from rag_assets_tests.benchmarks.pages import Mark, copied, edit, fetched, unique_sentences
from rag_assets_tests.benchmarks.peers.environment import python_of

FLOOR, OURS = "floor", "ours"
PEERS = {"llamaindex": "LlamaIndex", "cocoindex": "CocoIndex"}
TITLES = {FLOOR: "floor", OURS: "ours", **PEERS}
DAYS = ("full", *["unchanged", "changed"] * 3, "deleted")  # what happened before each refresh
SHARE = 0.01  # of the pages that are edited, or deleted, on a day
TIMEOUT_S = 4 * 3600.0  # of one refresh; what takes longer hangs
N_FOUND = 50  # hits among which a page counts as found
TABLE = "chunks"  # of the arms that keep a LanceDB folder, as in peers.plain
_PEERS = "rag_assets_tests.benchmarks.peers"


@dataclass(frozen=True, slots=True)
class Run:
    """One refresh of one arm."""

    arm: str
    day: int  # position in DAYS
    what: str  # full | unchanged | changed | deleted
    seconds: float  # of the process, from its start to its end
    cpu_s: float  # of the process and its children
    engine_cpu_s: float  # of the embedder meanwhile
    n_tokens: int  # that the embedder read meanwhile
    n_chunks: int  # in the arm's table afterwards
    n_marks: int  # of n_expected pages in the state that they should be in
    n_expected: int


@dataclass(frozen=True, slots=True)
class Arm:
    """A way to refresh: a command, its environment, and how what it wrote is searched."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    find: Callable[[str], set[str]]  # sentence -> file names of the pages that are found
    n_chunks: Callable[[], int]
    start: str  # what it imports before it does anything


def measure(
    settings: Settings,
    profile: Profile,
    say: Say,
    *,
    n_pages: int | None = None,
    pages_from: Path | None = None,
) -> Part:
    """Build, leave, edit, delete; the embedder must run already.

    Args:
        settings: whose engine, cache and home.
        profile: of the engine.
        say: told lines of progress.
        n_pages: a sample of so many pages; None: all of them.
        pages_from: a folder of HTML pages; None: the package's, fetched.

    Raises:
        BenchmarkError: there are no pages, or the floor's or our own refresh failed.
    """
    work = settings.home / "bench" / "refresh"
    source = pages_from or fetched(settings.cache, say)
    shutil.rmtree(work, ignore_errors=True)
    pages = copied(source, work / "pages", n_pages)
    arms, notes = _arms(settings, profile, work, say)
    n_days_pages = max(1, round(len(pages) * SHARE))
    gone = unique_sentences(pages, n_days_pages)
    kept = [page for page in pages if page.name not in {mark.page for mark in gone}]
    runs: list[Run] = []
    for day, what in enumerate(DAYS):
        marks = edit(kept, n_days_pages, day) if what == "changed" else gone
        if what == "deleted":
            for mark in gone:
                (work / "pages" / mark.page).unlink()
        for name in [*arms][day % len(arms) :] + [*arms][: day % len(arms)]:
            if name == FLOOR and what != "full":
                continue  # it knows no other day
            try:
                run = _refresh(arms[name], day, what, marks, settings)
            except BenchmarkError as error:
                if name not in PEERS:
                    raise
                say(str(error))
                notes.append(str(error))
                del arms[name]
                continue
            runs.append(run)
            say(f"day {day + 1} of {len(DAYS)}, {what}, {TITLES[name]}: {run.seconds:.1f} s")
            keep(work / "runs.jsonl", asdict(run))
    starts = {name: _start_seconds(arm) for name, arm in arms.items()}
    return report([run for run in runs if run.arm in arms], starts, len(pages), notes)


# Arms


def _arms(
    settings: Settings, profile: Profile, work: Path, say: Say
) -> tuple[dict[str, Arm], list[str]]:
    state = running_engines(settings.state)["embedder"]
    spec = profile.spec("embedder")
    embedder = connect_embedder(profile, settings.state, settings.cache)
    environment = {
        **{k: v for k, v in os.environ.items() if k not in ("RAG_LAKE", "RAG_POSTGRES_URL")},
        "RAG_STATE": str(settings.state),
        "RAG_ANSWERER_PORT": "0",  # nobody answers there: these indexes are not for the answerer
        "PYTHONPATH": str(CHECKOUT),
        "NO_PROXY": "127.0.0.1",
        "COLUMNS": "200",
        "COCOINDEX_DISABLE_USAGE_TRACKING": "1",  # it would wait for an address on the internet
        "DO_NOT_TRACK": "1",
    }
    arms: dict[str, Arm] = {}
    notes: list[str] = []
    for name, script in {FLOOR: "floor", **{peer: f"with_{peer}" for peer in PEERS}}.items():
        try:
            python = Path(sys.executable) if name == FLOOR else python_of(name, settings.cache, say)
        except BenchmarkError as error:
            notes.append(str(error))
            continue
        home = work / name
        home.mkdir()
        given = {
            "pages": str(work / "pages"),
            "home": str(home),
            "url": state.url,
            "model": spec.served_name,
            "tokenizer": str(model_dir(spec, settings.cache) / "tokenizer.json"),
            "max_tokens": embedder.max_tokens - embedder.count(""),
        }
        arms[name] = Arm(
            name,
            [str(python), "-m", f"{_PEERS}.{script}", json.dumps(given)],
            environment,
            _found_in_lance(home / "lance", embedder),
            _rows_in_lance(home / "lance"),
            f"{_PEERS}.{script}",
        )
    arms[OURS] = _ours(work, environment, embedder)
    return {name: arms[name] for name in TITLES if name in arms}, notes


def _ours(work: Path, environment: Mapping[str, str], embedder: HttpEmbedder) -> Arm:
    home = work / OURS
    home.mkdir()
    source = {"name": "pages", "kind": "folder", "where": str(work / "pages"), "enrich": False}
    (home / "sources.yaml").write_text(yaml.safe_dump({"sources": [source]}), encoding="utf-8")
    store = LakeStore(str(home / "lake"))

    def live() -> generations.Generation:
        pointer = generations.live(store)
        if pointer is None:
            raise BenchmarkError(f"the refresh in {home} published nothing")
        return generations.load(store, pointer.generation_id)

    def find(sentence: str) -> set[str]:
        hits = IndexReader(store, live()).search(
            sentence, embedder.embed([sentence])[0], limit=N_FOUND
        )
        return {hit.chunk.uri.rpartition(":")[2] for hit in hits}

    return Arm(
        OURS,
        [sys.executable, "-m", "rag_assets", "refresh"],
        {**environment, "RAG_HOME": str(home)},
        find,
        lambda: live().counts["chunks"],
        "rag_assets.cli.main, rag_assets.orchestration.in_process, "
        "rag_assets.orchestration.instance",
    )


def _found_in_lance(folder: Path, embedder: HttpEmbedder) -> Callable[[str], set[str]]:
    def find(sentence: str) -> set[str]:
        table = lancedb.connect(folder).open_table(TABLE)
        query = table.search(embedder.embed([sentence])[0], vector_column_name="vector")
        return {row["page"] for row in query.limit(N_FOUND).to_list()}

    return find


def _rows_in_lance(folder: Path) -> Callable[[], int]:
    return lambda: int(lancedb.connect(folder).open_table(TABLE).count_rows())


# One refresh


def _refresh(arm: Arm, day: int, what: str, marks: Sequence[Mark], settings: Settings) -> Run:
    engine = _Engine(settings)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s, n_tokens = engine.cpu_s(), engine.n_tokens()
    started = time.perf_counter()
    try:
        done = subprocess.run(
            arm.command, env=dict(arm.environment), capture_output=True, text=True,
            errors="replace", check=False, timeout=TIMEOUT_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(
            f"{TITLES[arm.name]} took more than {TIMEOUT_S / 3600:.0f} h on day {day + 1}, {what}"
        ) from error
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise BenchmarkError(f"{TITLES[arm.name]} failed on day {day + 1}, {what}:\n{said}")
    figures = {
        "seconds": seconds,
        "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "engine_cpu_s": engine.cpu_s() - cpu_s,
    }
    n_tokens = engine.n_tokens() - n_tokens
    found = [mark.page in arm.find(mark.sentence) for mark in marks]
    return Run(
        arm.name,
        day,
        what,
        n_tokens=n_tokens,
        n_chunks=arm.n_chunks(),
        n_marks=sum(is_found != (what == "deleted") for is_found in found),
        n_expected=len(marks),
        **figures,
    )


class _Engine:
    """What the embedder's process has used and read so far."""

    def __init__(self, settings: Settings) -> None:
        self._state = running_engines(settings.state)["embedder"]

    def cpu_s(self) -> float:
        first = psutil.Process(self._state.process.pid)
        times = [process.cpu_times() for process in [first, *first.children(recursive=True)]]
        return float(sum(one.user + one.system for one in times))

    def n_tokens(self) -> int:
        text = httpx.get(f"{self._state.url}/metrics", trust_env=False).text
        found = re.search(r"^vllm:prompt_tokens_total\{.*\} (\S+)$", text, re.MULTILINE)
        return int(float(found[1])) if found else 0


def _start_seconds(arm: Arm, n_times: int = 3) -> float:
    """Median time to start the arm's interpreter and import what it needs, in seconds."""
    taken = []
    for _ in range(n_times):
        started = time.perf_counter()
        subprocess.run(
            [arm.command[0], "-c", f"import {arm.start}"],
            env=dict(arm.environment), capture_output=True, check=True,
        )  # fmt: skip
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


# What it comes to


def report(
    runs: Sequence[Run], starts: Mapping[str, float], n_pages: int, notes: Sequence[str]
) -> Part:
    """Tables and goals.

    Args:
        runs: all of them.
        starts: arm -> seconds that its start and imports take.
        n_pages: that there were on the first day.
        notes: on what could not be measured.
    """
    days = [_day_row(runs, arm, what) for what in dict.fromkeys(DAYS) for arm in starts]
    checked = [_state_row(runs, arm, starts[arm]) for arm in starts]
    missing = [TITLES[arm] for arm in TITLES if arm not in starts]
    return Part(
        name="refresh",
        title=f"Refresh of {n_pages} pages, side by side",
        tables=[
            Table(
                "A refresh, whole process; medians where a day came more than once",
                [
                    "refresh", "arm", "s (range)", "share of the floor's full build",
                    "% of its own full", "CPU s", "CPU s of the embedder", "tokens embedded",
                ],
                [row for row in days if row],
            ),
            Table(
                "What came of it",
                [
                    "arm", "start and imports, s", "chunks", "not deleted yet: found",
                    "edits found", "deleted pages gone", "from deletion to gone, s",
                ],
                checked,
            ),
        ],
        goals=_goals(runs, starts),
        notes=[*_NOTES, *notes, *(f"{name} was not measured." for name in missing)],
    )  # fmt: skip


_NOTES = (
    "Floor: trafilatura in two processes, windows of the embedder's tokens, the product's own "
    "client of the embedder, one Lance write; built once. Ours: `rag refresh` in a "
    "home of its own, with Dagster, checks, gate and publishing, without the small model.",
    "LlamaIndex: IngestionPipeline with a docstore (upserts and deletes) and LanceDB, whose delete "
    "is mended in the script, as lancedb 0.40 reads its quotes as a column. CocoIndex: its engine "
    "on LMDB with LanceDB as target; page text, chunks and requests are the floor's.",
    f"Changed: {SHARE:.0%} of the pages with a new sentence each; deleted: {SHARE:.0%} of them. A "
    f"page counts as found if it is among the {N_FOUND} nearest chunks to its sentence (ours: of "
    "the hybrid search). Gone is looked for right after the refresh: its time is that from "
    "deletion to gone.",
    "CPU seconds say more than seconds where other work shares the cores; the embedder's threads "
    "are counted apart. Starting the engine counts for nobody.",
)


def _seconds(runs: Sequence[Run], arm: str, what: str) -> list[float]:
    return [run.seconds for run in runs if (run.arm, run.what) == (arm, what)]


def _day_row(runs: Sequence[Run], arm: str, what: str) -> list[str]:
    mine = [run for run in runs if (run.arm, run.what) == (arm, what)]
    if not mine:
        return []
    seconds = [run.seconds for run in mine]
    median = statistics.median(seconds)
    spread = f" ({min(seconds):.1f} to {max(seconds):.1f})" if len(seconds) > 1 else ""
    floor = statistics.median(_seconds(runs, FLOOR, "full"))
    own = statistics.median(_seconds(runs, arm, "full"))
    return [
        what,
        TITLES[arm],
        f"{median:.1f}{spread}",
        f"{median / floor:.3f}",
        f"{median / own:.1%}",
        f"{statistics.median(run.cpu_s for run in mine):.1f}",
        f"{statistics.median(run.engine_cpu_s for run in mine):.1f}",
        f"{statistics.median(run.n_tokens for run in mine):,.0f}",
    ]


def _state_row(runs: Sequence[Run], arm: str, start_s: float) -> list[str]:
    def marks(what: str) -> str:
        mine = [run for run in runs if (run.arm, run.what) == (arm, what)]
        right, expected = sum(r.n_marks for r in mine), sum(r.n_expected for r in mine)
        return f"{right} of {expected}" if mine else "-"

    chunks = [run.n_chunks for run in runs if (run.arm, run.what) == (arm, "full")]
    gone = _seconds(runs, arm, "deleted")
    return [
        TITLES[arm],
        f"{start_s:.1f}",
        f"{chunks[0]:,}",
        marks("full"),
        marks("changed"),
        marks("deleted"),
        f"{gone[0]:.1f}" if gone else "-",
    ]


def _goals(runs: Sequence[Run], starts: Mapping[str, float]) -> list[Goal]:
    def median(arm: str, what: str) -> float:
        return statistics.median(_seconds(runs, arm, what))

    full, floor = median(OURS, "full"), median(FLOOR, "full")
    goals = [
        Goal(
            "full build in at most 1.15 of the floor's time",
            f"{full / floor:.2f}",
            full <= 1.15 * floor,
        )
    ]
    if "llamaindex" in starts:
        times = median("llamaindex", "full") / full
        goals.append(
            Goal(
                "full build at least 1.5 times as fast as LlamaIndex's",
                f"{times:.2f}",
                times >= 1.5,
            )
        )
    for what, share in (("unchanged", 0.01), ("changed", 0.02)):
        taken, allowed = median(OURS, what), share * full + 2
        goals.append(
            Goal(
                f"{what}: at most {share:.0%} of the full build and 2 s",
                f"{taken:.1f} s of {allowed:.1f} s; start and imports are {starts[OURS]:.1f} s",
                taken <= allowed,
            )
        )
    for what, aim in (
        ("changed", "every edit is found"),
        ("deleted", "every deleted page is gone"),
    ):
        mine = [run for run in runs if (run.arm, run.what) == (OURS, what)]
        right, expected = sum(r.n_marks for r in mine), sum(r.n_expected for r in mine)
        goals.append(Goal(aim, f"{right} of {expected}", right == expected))
    return goals
