"""What an answer costs beside raw requests to the engines, and how long those who ask wait for it.

Command: ``python -m rag_assets_tests.benchmarks answer``. The answerer runs in this process, on the
engines that run, as ``rag up`` starts it; all questions are asked over HTTP and streamed. They are
those of ``batch``. Each question of the comparison, each raw arm and each level of askers has a
salt of its own, so that no prefix cache of a chat model knows it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from rag_assets.evaluations.statistics import bootstrap, percentile_of, point
from rag_assets_tests.benchmarks.client import Asked, Reply, ask_all
from rag_assets_tests.benchmarks.engine_requests import (
    EngineRequest,
    new_salt,
    peak,
    recording,
    replay,
    same_tokens,
    waves,
)
from rag_assets_tests.benchmarks.findings import BenchmarkError, Goal, Part, Say, Table, Write

ASKERS = (1, 4, 16)
MOST_SHARE, MOST_S = 0.05, 0.02  # of overhead: a share of the raw time, and seconds on top
MOST_FIRST = 0.60  # of the whole time, until the first text of a synthesis


@dataclass(frozen=True, slots=True)
class Stream:
    """A question whose answer was streamed, as its asker saw it.

    Attributes:
        question: as asked.
        first_s: seconds to the first text that is not empty; None where none came.
        whole_s: seconds to the end.
        is_synthesis: whether the large model wrote the answer, rather than copied it.
        error: why it failed; "" where it did not.
    """

    question: str
    first_s: float | None
    whole_s: float
    is_synthesis: bool
    error: str


@dataclass(frozen=True, slots=True)
class Raw:
    """The engine requests of a question, made again with nothing around them.

    Attributes:
        seconds: of all, without the pauses of this process between those that follow each other.
        n_requests: of the question.
        concurrency: most of them at the same time.
        read: tokens of prompts, as the product had them.
        written: tokens of answers, as the product had them.
        read_again: tokens of prompts, raw.
        written_again: tokens of answers, raw.
    """

    seconds: float
    n_requests: int
    concurrency: int
    read: int
    written: int
    read_again: int
    written_again: int


@dataclass(frozen=True, slots=True)
class Pair:
    """A question asked of the product, and raw: None where it failed or asked no engine."""

    product: Stream
    raw: Raw | None


@dataclass(frozen=True, slots=True)
class Level:
    """Questions asked by so many at the same time.

    Attributes:
        n_askers: each asks the next question once it has an answer.
        streams: the answers.
        seconds: from the first question to the last answer.
    """

    n_askers: int
    streams: Sequence[Stream]
    seconds: float


def measure(
    url: str, compared: Sequence[str], by_level: Sequence[str], write: Write, tell: Say
) -> Part:
    """The comparison with raw requests, then the levels of askers.

    Args:
        url: of the answerer in this process.
        compared: questions that are asked of the product and raw.
        by_level: other questions, asked at each level.
        write: takes each question and each level when it is done.
        tell: told lines of progress.

    Raises:
        BenchmarkError: no question could be compared, or an engine refused a request again.
    """
    ask_all(url, [Asked(by_level[0], streams=True)], 1)  # what is loaded at the first question
    pairs, levels = [], []
    for pair in beside_raw(url, compared):
        pairs.append(pair)
        write(asdict(pair))
        raw = f"{pair.raw.seconds:.2f} s raw" if pair.raw else f"not compared {pair.product.error}"
        tell(f"question {len(pairs)} of {len(compared)}: {pair.product.whole_s:.2f} s, {raw}")
    for level in by_askers(url, by_level, ASKERS):
        levels.append(level)
        write(asdict(level))
        tell(f"{level.n_askers} askers: {len(level.streams)} questions in {level.seconds:.1f} s")
    return part_of(pairs, levels)


def beside_raw(url: str, questions: Sequence[str]) -> Iterator[Pair]:
    """Each question asked of the product, then its requests made raw.

    Raises:
        BenchmarkError: an engine refused a request again.
    """
    for question in questions:
        with recording(new_salt()) as made:
            product = _stream(ask_all(url, [Asked(question, streams=True)], 1)[0])
        yield Pair(product, _raw(made) if made and not product.error else None)


def _raw(made: Sequence[EngineRequest]) -> Raw:
    salt, seconds, again = new_salt(), 0.0, list[EngineRequest]()
    for wave in waves(made):
        replayed = replay(wave, salt, peak(wave))
        seconds += max(one.ended for one in replayed) - min(one.began for one in replayed)
        again += replayed
    tokens = (_tokens(made), _tokens(again))
    return Raw(seconds, len(made), peak(made), *tokens[0], *tokens[1])


def _tokens(requests: Sequence[EngineRequest]) -> tuple[int, int]:
    return sum(one.read for one in requests), sum(one.written for one in requests)


def by_askers(url: str, questions: Sequence[str], askers: Sequence[int]) -> Iterator[Level]:
    """All questions with each number of askers; an asker never pauses."""
    for n_askers in askers:
        with recording(new_salt()):
            replies = ask_all(url, [Asked(one, streams=True) for one in questions], n_askers)
        ended = max(one.began + one.whole_s for one in replies)
        seconds = ended - min(one.began for one in replies)
        yield Level(n_askers, [_stream(one) for one in replies], seconds)


def _stream(reply: Reply) -> Stream:
    return Stream(
        reply.question, reply.first_s, reply.whole_s, reply.is_synthesis, reply.error
    )  # fmt: skip


def part_of(pairs: Sequence[Pair], levels: Sequence[Level]) -> Part:
    """The figures, and whether the goals are reached.

    Raises:
        BenchmarkError: no question could be compared.
    """
    both = [(pair.product.whole_s, pair.raw) for pair in pairs if pair.raw is not None]
    if not both:
        errors = [pair.product.error for pair in pairs if pair.product.error]
        raise BenchmarkError(
            f"no question was compared: {errors[0]}" if errors
            else "the product asked no engine; are the models engines of a profile?"
        )  # fmt: skip
    products, raws = [product for product, _ in both], [raw for _, raw in both]
    alone = [pair.product for pair in pairs]
    alone += [one for level in levels if level.n_askers == 1 for one in level.streams]
    shares = [
        one.first_s / one.whole_s
        for one in alone
        if one.is_synthesis and not one.error and one.first_s is not None
    ]
    return Part(
        "answer",
        "an answer beside raw requests, and the wait for it",
        [
            _overhead_table(len(pairs), products, raws),
            _levels_table(levels),
            *([_first_table(shares)] if shares else []),
        ],
        [
            _overhead_goal(products, raws),
            same_tokens(sum(raw.written for raw in raws), sum(raw.written_again for raw in raws)),
            *([_first_goal(shares)] if shares else []),
        ],
        [*_NOTES, *([] if shares else [_NO_SYNTHESIS])],
    )


_NOTES = (
    "The overhead of a question is the time until its streamed answer is whole, less that of the "
    "same engine requests made raw: retrieval, prompts, checks, the journal, and HTTP to the "
    "answerer. Of raw requests only the engines' time counts, HTTP to them included. Requests "
    "that followed each other follow each other, those under way together are so again.",
    "The product always goes first. Caches of chats are cold for both; texts that are embedded "
    "have no salt. A request that an engine refused or that was broken off is not made again: its "
    "time counts as overhead.",
    "The answerer and those who ask share a process. Questions are asked one after another, but "
    "at the levels; there an asker asks the next question as soon as the last is answered, and "
    "later questions may find the start of their prompts in the cache.",
    "Intervals: 95 %, bootstrap over the questions. Medians are of values that occurred. Quality "
    "of answers is not measured here.",
)
_NO_SYNTHESIS = (
    "No synthesis came from a single asker: the share of the time until its first text is not "
    "measured. Ask more questions."
)


def _overhead_goal(products: Sequence[float], raws: Sequence[Raw]) -> Goal:
    seconds = [raw.seconds for raw in raws]
    overhead, most = _median(_overheads(products, raws)), MOST_SHARE * _median(seconds) + MOST_S
    return Goal(
        f"median overhead at most {MOST_SHARE:.0%} of the median raw time "
        f"and {1000 * MOST_S:.0f} ms",
        f"{overhead:.3f} s of at most {most:.3f} s", overhead <= most,
    )  # fmt: skip


def _first_goal(shares: Sequence[float]) -> Goal:
    share = _median(shares)
    return Goal(
        f"the first text of a synthesis comes within {MOST_FIRST:.0%} of its time, median",
        f"{share:.1%}", share <= MOST_FIRST,
    )  # fmt: skip


def _overhead_table(n_asked: int, products: Sequence[float], raws: Sequence[Raw]) -> Table:
    seconds, overheads = [raw.seconds for raw in raws], _overheads(products, raws)
    shares = [100 * over / raw for over, raw in zip(overheads, seconds, strict=True)]
    row = [
        str(n_asked), str(len(raws)), str(sum(raw.n_requests for raw in raws)),
        str(max(raw.concurrency for raw in raws)),
        f"{sum(raw.read for raw in raws):,} / {sum(raw.read_again for raw in raws):,}",
        f"{sum(raw.written for raw in raws):,} / {sum(raw.written_again for raw in raws):,}",
        f"{_median(products):.2f} s", f"{_median(seconds):.2f} s",
        _with_interval(overheads, 3, " s"), _with_interval(shares, 1, " %"),
    ]  # fmt: skip
    columns = ("questions", "compared", "requests", "at once", "tokens read, product / raw",
               "tokens written, product / raw", "product, median", "raw, median",
               "overhead, median", "overhead of raw, median")  # fmt: skip
    return Table("Overhead, one question after another", columns, [row])


def _levels_table(levels: Sequence[Level]) -> Table:
    rows = []
    for level in levels:
        good = [one for one in level.streams if not one.error]
        firsts = [one.first_s for one in good if one.first_s is not None]
        wholes = [one.whole_s for one in good]
        rows.append([
            str(level.n_askers), str(len(level.streams)), str(len(level.streams) - len(good)),
            _percentile(firsts, 50), _percentile(wholes, 50), _percentile(wholes, 95),
            f"{60 * len(good) / level.seconds:.1f}",
        ])  # fmt: skip
    columns = ("askers", "questions", "failed", "first text p50", "whole p50", "whole p95",
               "questions a minute")  # fmt: skip
    return Table("Latency by askers, streamed", columns, rows)


def _first_table(shares: Sequence[float]) -> Table:
    row = [str(len(shares)), _with_interval([100 * share for share in shares], 1, " %")]
    columns = ("syntheses", "first text / whole, median")
    return Table("First text of syntheses, one asker", columns, [row])


def _overheads(products: Sequence[float], raws: Sequence[Raw]) -> list[float]:
    return [product - raw.seconds for product, raw in zip(products, raws, strict=True)]


def _with_interval(values: Sequence[float], digits: int, unit: str) -> str:
    low, high = bootstrap(percentile_of(values, 50), len(values))
    return f"{_median(values):.{digits}f}{unit} ({low:.{digits}f} to {high:.{digits}f})"


def _median(values: Sequence[float]) -> float:
    return point(percentile_of(values, 50), len(values))


def _percentile(values: Sequence[float], percent: float) -> str:
    return f"{np.percentile(values, percent):.2f} s" if values else "-"
