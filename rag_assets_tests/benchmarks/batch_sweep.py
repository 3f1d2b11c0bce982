"""How many questions of a batch are best asked at once: their rate against the wait for one."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rag_assets.batches.asking import ask_all
from rag_assets.batches.patience import asking
from rag_assets.batches.questions import Row, listed
from rag_assets.evaluations.drawing import Plot, head, style_of, styled, ticks
from rag_assets.serving.client import AnswererClient
from rag_assets_tests.benchmarks.engine_requests import new_salt, recording
from rag_assets_tests.benchmarks.findings import Part, Say, Table, Write
from rag_assets_tests.suites.plots import sheet_of

CONCURRENCIES = (1, 2, 4, 8, 16)
PICTURE = Path(__file__).parents[2] / "docs" / "images" / "batch-sweep.svg"
Answering = Callable[[int], AbstractContextManager[AnswererClient]]


@dataclass(frozen=True, slots=True)
class Rung:
    """The questions, so many at once.

    Attributes:
        concurrency: questions asked and answered at the same time.
        n_questions: asked.
        n_failed: of these.
        a_minute: questions answered in a minute.
        p50: seconds of an answer, from asked to told; likewise ``p95``.
    """

    concurrency: int
    n_questions: int
    n_failed: int
    a_minute: float
    p50: float
    p95: float


def measure(
    answering: Answering,
    questions: Sequence[str],
    concurrencies: Sequence[int],
    write: Write,
    tell: Say,
) -> list[Rung]:
    """Ask all questions with each concurrency, the prefix caches cold.

    Args:
        answering: an answerer that answers so many at once.
        questions: what is asked.
        concurrencies: in this order.
        write: takes each rung when it is done.
        tell: told lines of progress.
    """
    rungs = []
    for concurrency in concurrencies:
        with answering(concurrency) as client:
            client.ask(questions[0], batch=True)  # what is loaded at the first question
            with recording(new_salt()):
                rungs.append(_rung(client, questions, concurrency))
        write(asdict(rungs[-1]))
        tell(f"{concurrency} at once: {rungs[-1].a_minute:.1f} questions a minute")
    return rungs


def _rung(client: AnswererClient, questions: Sequence[str], concurrency: int) -> Rung:
    ask, latencies = asking(client), list[float]()

    def timed(row: Row) -> Mapping[str, Any]:
        began = time.perf_counter()
        record = ask(row)
        latencies.append(time.perf_counter() - began)
        return record

    began = time.perf_counter()
    outcomes = list(ask_all(listed(questions, "auto").rows, timed, concurrency=concurrency))
    minutes = (time.perf_counter() - began) / 60
    n_failed = sum(one.record is None for one in outcomes)
    p50, p95 = np.percentile(latencies or [0.0], [50, 95])
    n = len(outcomes)
    return Rung(concurrency, n, n_failed, (n - n_failed) / minutes, float(p50), float(p95))


def part_of(rungs: Sequence[Rung]) -> Part:
    """The rungs as a table."""
    rows = [
        [
            str(one.concurrency), str(one.n_questions), str(one.n_failed), f"{one.a_minute:.1f}",
            f"{one.p50:.2f} s", f"{one.p95:.2f} s",
        ]
        for one in rungs
    ]  # fmt: skip
    columns = ("at once", "questions", "failed", "questions a minute", "answer p50", "answer p95")
    return Part(
        "sweep",
        "questions of a batch at once: their rate against the wait for one",
        [Table("By questions at once", columns, rows)],
        (),
        [
            "The same questions each time, each time with cold prefix caches of the chat models. "
            "The answerer takes as many at once as the batch asks, whatever the profile says; the "
            "engines' own limits stay."
        ],
    )


def picture(rungs: Sequence[Rung]) -> Plot:
    """Rate and latency over the number of questions at once."""
    at = [one.concurrency for one in rungs]
    panels: list[tuple[str, Mapping[str, Sequence[float]]]] = [
        ("Questions a minute", {"": [one.a_minute for one in rungs]}),
        ("Seconds of an answer", {"p50": [one.p50 for one in rungs],
                                  "p95": [one.p95 for one in rungs]}),
    ]  # fmt: skip
    with styled():
        sheet, axes = sheet_of([1.6] * len(panels), gap=0.75)
        for ax, (title, series) in zip(axes, panels, strict=True):
            for number, values in enumerate(series.values()):
                style = style_of(number)
                ax.plot(at, values, lw=1.4, ms=5, gid=f"{title}-{number}", **style)
            ax.set_xscale("log", base=2)
            ax.set_xticks(at)
            ax.set_ylim(bottom=0)
            ticks(ax.xaxis)
            ticks(ax.yaxis)
            head(ax, title, [name for name in series if name])
        axes[-1].set_xlabel("questions of the batch at once")
        return Plot("A batch: questions a minute and seconds of an answer, by concurrency", sheet)
