"""What a batch costs: beside raw requests to the engines, and to those who ask by hand meanwhile.

Commands: ``python -m rag_assets_tests.benchmarks batch`` and ``... sweep``. The answerer runs in
this process, on the engines that run, as ``rag up`` starts it; a batch asks it over HTTP with the
code of ``rag ask --file``. Questions are the sources' golden ones, then those of the calibration
set. Each block has a salt of its own, so that no prefix cache knows it.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from rag_assets.batches.asking import ask_all, ask_batch
from rag_assets.batches.patience import asking
from rag_assets.batches.questions import Row, listed
from rag_assets.evaluations.calibration_set import calibration_questions
from rag_assets.evaluations.golden import golden_tasks
from rag_assets.evaluations.lab import Lab
from rag_assets.evaluations.statistics import SEED
from rag_assets.serving.admission import Gate
from rag_assets.serving.client import AnswererClient
from rag_assets.serving.process import N_WAITING, WAIT_S, connected
from rag_assets.serving.service import Service
from rag_assets.settings import Settings
from rag_assets_tests.benchmarks.engine_requests import (
    EngineRequest,
    new_salt,
    peak,
    recording,
    replay,
    same_tokens,
)
from rag_assets_tests.benchmarks.findings import BenchmarkError, Goal, Part, Say, Table, Write
from rag_assets_tests.serving.listening import listening

BLOCK = 15  # questions of a block
LEAST_SHARE = 0.85  # of the raw throughput
MOST_SLOWER = 1.5  # p95 of those who ask by hand
BATCH, RAW = "batch", "raw"
ALONE, BESIDE = "alone", "beside a batch"


@dataclass(frozen=True, slots=True)
class Block:
    """A block of the batch, or of the same requests made raw.

    Attributes:
        arm: "batch" or "raw".
        n_questions: that it answers.
        n_failed: of these.
        n_requests: to engines.
        concurrency: most requests at the same time.
        read: tokens of prompts.
        written: tokens of answers.
        seconds: from its first request to its last answer.
    """

    arm: str
    n_questions: int
    n_failed: int
    n_requests: int
    concurrency: int
    read: int
    written: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Questions by hand, one after another.

    Attributes:
        arm: "alone" or "beside a batch".
        latencies: seconds of each.
        n_batch: questions of the batch that were answered meanwhile.
        seconds: of all.
    """

    arm: str
    latencies: Sequence[float]
    n_batch: int
    seconds: float


def asked_of(lab: Lab, n: int) -> list[str]:
    """So many questions, mixed, always the same: golden ones, and some of the calibration set.

    Raises:
        BenchmarkError: there are fewer.
    """
    draw = random.Random(SEED)
    golden = [task.question for task in golden_tasks(lab)]
    more = [one.question for one in calibration_questions()]
    every = list(dict.fromkeys([*draw.sample(golden, len(golden)), *draw.sample(more, len(more))]))
    if len(every) < n:
        raise BenchmarkError(f"there are {len(every)} questions, {n} are needed; ask for fewer")
    return draw.sample(every[:n], n)


@contextmanager
def answering(settings: Settings, concurrency: int | None = None) -> Iterator[AnswererClient]:
    """The answerer on the engines that run, with a port of its own.

    Args:
        settings: places.
        concurrency: questions answered at once; None: as the profile says.

    Raises:
        BenchmarkError: no generation can be loaded.
    """
    service = connected(settings)
    if concurrency is not None:
        service = replace(service, gate=Gate(concurrency, N_WAITING, WAIT_S))
    with closing(service.live), served(service) as client:
        yield client


@contextmanager
def served(service: Service) -> Iterator[AnswererClient]:
    """A client of the service behind a socket.

    Raises:
        BenchmarkError: no generation can be loaded.
    """
    if error := service.live.reload().error:
        raise BenchmarkError(f"nothing can be asked: {error}")
    with listening(service) as url:
        yield AnswererClient(url, lambda: service.own_key)


def measure(
    client: AnswererClient, batch: Sequence[str], by_hand: Sequence[str], write: Write, tell: Say
) -> Part:
    """Both measurements.

    Args:
        client: of the answerer in this process.
        batch: questions of the batch.
        by_hand: other questions, asked one after another.
        write: takes each block when it is done.
        tell: told lines of progress.
    """
    client.ask(by_hand[0], batch=True)  # what is loaded at the first question
    blocks, waits = [], []
    for block in throughput(client, batch):
        blocks.append(block)
        write(asdict(block))
        tell(f"{block.arm}: {block.n_questions} questions in {block.seconds:.1f} s")
    for wait in waiting(client, batch, by_hand):
        waits.append(wait)
        write(asdict(wait))
        tell(f"by hand, {wait.arm}: {len(wait.latencies)} questions in {wait.seconds:.1f} s")
    return part_of(blocks, waits)


def throughput(client: AnswererClient, questions: Sequence[str]) -> Iterator[Block]:
    """Blocks of the batch, after each the same requests made raw.

    Raises:
        BenchmarkError: the batch asked no engine of this process.
    """
    for start in range(0, len(questions), BLOCK):
        some = questions[start : start + BLOCK]
        with TemporaryDirectory() as folder, recording(new_salt()) as made:
            began = time.perf_counter()
            outcomes = list(
                ask_batch(
                    listed(some, "auto"), asking(client), out=Path(folder) / "answers.jsonl",
                    concurrency=client.concurrency(),
                )
            )  # fmt: skip
            seconds = time.perf_counter() - began
        if not made:
            raise BenchmarkError("the batch asked no engine; are the models engines of a profile?")
        n_failed = sum(one.record is None for one in outcomes)
        yield _block(BATCH, len(some), n_failed, made, seconds)
        began = time.perf_counter()
        again = replay(made, new_salt(), peak(made))
        yield _block(RAW, len(some), n_failed, again, time.perf_counter() - began)


def _block(
    arm: str, n_questions: int, n_failed: int, made: Sequence[EngineRequest], seconds: float
) -> Block:
    read, written = sum(one.read for one in made), sum(one.written for one in made)
    return Block(arm, n_questions, n_failed, len(made), peak(made), read, written, seconds)


def waiting(client: AnswererClient, batch: Sequence[str], by_hand: Sequence[str]) -> Iterator[Wait]:
    """Questions by hand without a batch and beside one, by turns: each half of them both ways."""
    for half in (by_hand[::2], by_hand[1::2]):
        if half:
            with recording(new_salt()):
                yield _wait(client, half, ALONE, list)
            with recording(new_salt()), running(client, batch) as answered:
                yield _wait(client, half, BESIDE, answered)


def _wait(
    client: AnswererClient, questions: Sequence[str], arm: str, answered: Callable[[], list[Row]]
) -> Wait:
    before, began, latencies = len(answered()), time.perf_counter(), []
    for question in questions:
        asked = time.perf_counter()
        client.ask(question)
        latencies.append(time.perf_counter() - asked)
    return Wait(arm, latencies, len(answered()) - before, time.perf_counter() - began)


@contextmanager
def running(client: AnswererClient, questions: Sequence[str]) -> Iterator[Callable[[], list[Row]]]:
    """A batch that is under way, and does not end before the block; yields what is answered."""
    stop, started, done = threading.Event(), threading.Event(), list[Row]()

    def rows() -> Iterator[Row]:
        for row in cycle(listed(questions, "auto").rows):
            if stop.is_set():
                return
            yield row

    def work() -> None:
        try:
            for outcome in ask_all(rows(), asking(client), concurrency=client.concurrency()):
                done.append(outcome.row)
                started.set()
        finally:
            started.set()

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        try:
            started.wait()
            yield lambda: done
        finally:
            stop.set()
        working.result()


def part_of(blocks: Sequence[Block], waits: Sequence[Wait]) -> Part:
    """The figures, and whether the goals are reached."""
    by_arm = {arm: [one for one in blocks if one.arm == arm] for arm in (BATCH, RAW)}
    share = _rate(by_arm[BATCH]) / _rate(by_arm[RAW])
    written = {arm: sum(one.written for one in some) for arm, some in by_arm.items()}
    p95 = {arm: _percentile(_latencies(waits, arm), 95) for arm in (ALONE, BESIDE)}
    slower = p95[BESIDE] / p95[ALONE]
    return Part(
        "batch",
        "a batch beside raw requests, and beside questions by hand",
        [_throughput_table(by_arm), _waiting_table(waits)],
        [
            Goal(
                f"the batch has at least {LEAST_SHARE:g} of the raw throughput",
                f"{share:.3f}", share >= LEAST_SHARE,
            ),
            same_tokens(written[BATCH], written[RAW]),
            Goal(
                f"p95 by hand beside a batch is at most {MOST_SLOWER:g} times that without",
                f"{slower:.2f} times", slower <= MOST_SLOWER,
            ),
        ],
        [
            "Throughput is tokens a second, read and written. Raw requests wait for no other: the "
            "most of the batch at the same time are under way until the last.",
            f"Blocks of {BLOCK} questions, batch and raw by turns, each with a cold prefix cache "
            "of the chat models. Texts that are embedded have no salt.",
            "Who asks by hand asks one question after another, without a pause.",
        ],
    )  # fmt: skip


def _throughput_table(by_arm: Mapping[str, Sequence[Block]]) -> Table:
    rows = []
    for arm, some in by_arm.items():
        seconds, n = sum(one.seconds for one in some), sum(one.n_questions for one in some)
        rows.append([
            arm, str(n), str(sum(one.n_failed for one in some)),
            str(sum(one.n_requests for one in some)), str(max(one.concurrency for one in some)),
            f"{sum(one.read for one in some):,}", f"{sum(one.written for one in some):,}",
            f"{seconds:.1f} s", f"{60 * n / seconds:.1f}", f"{_rate(some):,.0f}",
        ])  # fmt: skip
    columns = ("arm", "questions", "failed", "requests", "at once", "tokens read", "written",
               "time", "questions a minute", "tokens a second")  # fmt: skip
    return Table("Throughput", columns, rows)


def _waiting_table(waits: Sequence[Wait]) -> Table:
    rows = []
    for arm in (ALONE, BESIDE):
        own = [one for one in waits if one.arm == arm]
        seconds, latencies = sum(one.seconds for one in own), _latencies(waits, arm)
        rate = f"{60 * sum(one.n_batch for one in own) / seconds:.1f}" if arm == BESIDE else "-"
        p50, p95 = (f"{_percentile(latencies, percent):.2f} s" for percent in (50, 95))
        rows.append([arm, str(len(latencies)), p50, p95, rate])
    columns = ("by hand", "questions", "p50", "p95", "questions of the batch a minute")
    return Table("Questions by hand", columns, rows)


def _rate(blocks: Sequence[Block]) -> float:
    """Tokens a second."""
    return sum(one.read + one.written for one in blocks) / sum(one.seconds for one in blocks)


def _latencies(waits: Sequence[Wait], arm: str) -> list[float]:
    return [latency for one in waits if one.arm == arm for latency in one.latencies]


def _percentile(values: Sequence[float], percent: float) -> float:
    return float(np.percentile(values, percent))
