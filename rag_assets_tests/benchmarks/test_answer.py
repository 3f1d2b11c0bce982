"""Overhead over raw requests, levels of askers, and the figures of both."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rag_assets.serving.client import AnswererClient
from rag_assets_tests.benchmarks import answer
from rag_assets_tests.benchmarks.answer import Level, Pair, Raw, Stream
from rag_assets_tests.benchmarks.engine_requests import EngineRequest
from rag_assets_tests.benchmarks.findings import BenchmarkError, keep
from rag_assets_tests.benchmarks.test_batch import QUESTIONS
from rag_assets_tests.benchmarks.test_batch import client as _client
from rag_assets_tests.benchmarks.test_batch import service as _service
from rag_assets_tests.benchmarks.test_client import PAUSE_S
from rag_assets_tests.benchmarks.test_client import url as _url
from rag_assets_tests.benchmarks.test_engine_requests import Engine
from rag_assets_tests.benchmarks.test_engine_requests import engine as _engine

client, engine, service, url = _client, _engine, _service, _url
ENGINE_S = 0.05  # that the engine takes for a request


def test_each_question_is_asked_of_the_product_and_then_raw(
    client: AnswererClient, engine: Engine
) -> None:
    pairs = list(answer.beside_raw(client.url, QUESTIONS))
    assert [pair.product.question for pair in pairs] == QUESTIONS
    salts = list(dict.fromkeys(body["cache_salt"] for body in engine.bodies))
    by_salt = [[b["messages"] for b in engine.bodies if b["cache_salt"] == salt] for salt in salts]
    assert len(salts) == 4
    for n, pair in enumerate(pairs):
        made, again = by_salt[2 * n], by_salt[2 * n + 1]
        assert sorted(map(str, made)) == sorted(map(str, again))
        assert pair.raw is not None
        assert pair.raw.n_requests == len(made) > 0
        assert pair.raw.written == pair.raw.written_again == 3 * len(made)
        assert pair.raw.read == pair.raw.read_again == 7 * len(made)
        assert pair.raw.seconds >= ENGINE_S
        assert pair.product.first_s is not None


def test_raw_requests_follow_each_other_as_they_did(monkeypatch: pytest.MonkeyPatch) -> None:
    spans = [(0, 1), (2, 3), (2, 4), (2.5, 5), (5, 6)]
    made = [EngineRequest("", str(span), {}, *span, 7, 3) for span in spans]
    waves: list[tuple[list[str], int]] = []

    def replay(wave: Sequence[EngineRequest], salt: str, concurrency: int) -> list[EngineRequest]:
        assert salt
        waves.append(([one.url for one in wave], concurrency))
        return [replace(one, began=one.began / 2, ended=one.ended / 2, written=4) for one in wave]

    monkeypatch.setattr(answer, "replay", replay)
    assert answer._raw(made) == Raw(0.5 + 1.5 + 0.5, 5, 3, 35, 15, 35, 20)
    urls = [str(span) for span in spans]
    assert waves == [(urls[:1], 1), (urls[1:4], 3), (urls[4:], 1)]


def test_what_fails_is_not_compared(url: str) -> None:
    pairs = list(answer.beside_raw(url, ["fails", "when"]))
    assert [pair.raw for pair in pairs] == [None, None]  # the second asked no engine
    assert [pair.product.error for pair in pairs] == ["the engine died", ""]
    with pytest.raises(BenchmarkError, match="no question was compared: the engine died"):
        answer.part_of(pairs, [])
    with pytest.raises(BenchmarkError, match="the product asked no engine"):
        answer.part_of(pairs[1:], [])


def test_more_askers_take_less_time_for_all(url: str) -> None:
    questions = ["when", "where", "who", "fails"]
    alone, four = answer.by_askers(url, questions, [1, 4])
    assert [one.question for one in alone.streams] == questions
    assert alone.seconds >= 4 * 2 * PAUSE_S > four.seconds
    for level in (alone, four):
        assert [bool(one.error) for one in level.streams] == [False, False, False, True]
        for one in level.streams:
            assert one.first_s is not None
            assert PAUSE_S <= one.first_s < one.whole_s


def test_what_was_measured_is_written_as_it_comes(client: AnswererClient, tmp_path: Path) -> None:
    told: list[str] = []
    path = tmp_path / "results.jsonl"
    part = answer.measure(client.url, QUESTIONS, QUESTIONS[:1], partial(keep, path), told.append)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["product"]["question"] for line in lines[:2]] == QUESTIONS
    assert [line["n_askers"] for line in lines[2:]] == [1, 4, 16]
    assert len(told) == len(lines)
    assert part.tables[0].rows[0][:2] == ["2", "2"]


RAW = Raw(2.0, 3, 2, 100, 10, 100, 10)


def stream(whole_s: float, *, first_s: float | None = 1.0, **more: Any) -> Stream:  # noqa: ANN401
    return replace(Stream("q", first_s, whole_s, is_synthesis=False, error=""), **more)


def pairs(product_s: float, raw: Raw = RAW) -> list[Pair]:
    """Of three that are compared, the second has the median; the last one failed."""
    compared = [Pair(stream(product_s + more), raw) for more in (-0.5, 0.0, 7.0)]
    return [*compared, Pair(stream(0.1, error="the engine died"), None)]


@pytest.mark.parametrize(
    ("product_s", "written_again", "reached"),
    [(2.119, 10, [True, True]), (2.121, 10, [False, True]), (2.119, 11, [True, False])],
)
def test_goals_of_the_overhead(product_s: float, written_again: int, reached: list[bool]) -> None:
    raw = replace(RAW, written_again=written_again)
    part = answer.part_of(pairs(product_s, raw), [])
    assert [goal.reached for goal in part.goals] == reached
    over = product_s - 2.0
    assert part.goals[0].measured == f"{over:.3f} s of at most 0.120 s"
    assert part.tables[0].rows[0] == [
        "4", "3", "9", "2", "300 / 300", f"30 / {3 * written_again}",
        f"{product_s:.2f} s", "2.00 s",
        f"{over:.3f} s ({over - 0.5:.3f} to {over + 7:.3f})",
        f"{50 * over:.1f} % ({50 * (over - 0.5):.1f} to {50 * (over + 7):.1f})",
    ]  # fmt: skip


@pytest.mark.parametrize(("first_s", "reached"), [(6.0, True), (6.1, False)])
def test_the_first_text_counts_for_syntheses_by_one_asker(first_s: float, reached: bool) -> None:
    synthesis = stream(10.0, first_s=first_s, is_synthesis=True)
    failed, silent = replace(synthesis, error="gone"), replace(synthesis, first_s=None)
    alone = Level(1, [synthesis, failed, silent, stream(10.0)], 40.0)
    four = Level(4, [stream(10.0, first_s=9.0, is_synthesis=True)] * 3, 10.0)
    part = answer.part_of([*pairs(2.0), Pair(synthesis, RAW)], [alone, four])
    assert part.goals[-1].reached is reached
    assert part.tables[-1].rows[0][0] == "2"
    assert part.tables[-1].rows[0][1].startswith(f"{10 * first_s:.1f} %")


def test_without_a_synthesis_there_is_a_sentence_and_no_goal() -> None:
    part = answer.part_of(pairs(2.0), [Level(1, [stream(3.0)], 3.0)])
    assert len(part.goals) == len(part.tables) == 2
    assert part.notes[-1].startswith("No synthesis came")


def test_levels_count_what_was_answered() -> None:
    streams = [stream(2.0), stream(4.0, first_s=None), stream(9.0, error="gone")]
    failed = [stream(1.0, first_s=None, error="gone")]
    part = answer.part_of(pairs(2.0), [Level(4, streams, 30.0), Level(16, failed, 1.0)])
    assert part.tables[1].rows == [
        ["4", "3", "1", "1.00 s", "3.00 s", "3.90 s", "4.0"],
        ["16", "1", "1", "-", "-", "-", "0.0"],
    ]
