"""Blocks of a batch and their raw requests, questions by hand beside it, and their figures."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import pytest

from rag_assets.access.file import AccessFile
from rag_assets.lake.store import LakeStore
from rag_assets.models.clients.server import Server
from rag_assets.models.protocols import ChatOptions, Completion, Message
from rag_assets.serving.admission import Gate
from rag_assets.serving.client import AnswererClient
from rag_assets.serving.process import build_service
from rag_assets.serving.service import Service
from rag_assets_tests.answers.fakes import ScriptedChat, WordEmbedder, copies
from rag_assets_tests.answers.world import FERRIES, publish_docs
from rag_assets_tests.benchmarks import batch, batch_sweep
from rag_assets_tests.benchmarks.batch import ALONE, BATCH, BESIDE, RAW, Block, Wait
from rag_assets_tests.benchmarks.findings import BenchmarkError, keep
from rag_assets_tests.benchmarks.test_engine_requests import Engine
from rag_assets_tests.benchmarks.test_engine_requests import engine as _engine
from rag_assets_tests.evaluations.lab import Bench

engine = _engine
QUESTIONS = ["When was MV Tern built?", "What does a bicycle cost?"]


class Posting(ScriptedChat):
    """A scripted model that asks an engine as well, as the client of a real one does."""

    server: Server

    def complete(self, messages: Sequence[Message], **options: Unpack[ChatOptions]) -> Completion:
        said = super().complete(messages, **options)
        self.server.post("/chat/completions", {"messages": [dict(one) for one in messages]}, 5)
        return said


@pytest.fixture
def service(tmp_path: Path, engine: Engine) -> Service:
    store, embedder = LakeStore(str(tmp_path / "lake")), WordEmbedder()
    publish_docs(store, FERRIES, embedder)
    slm, llm = Posting("slm", copies), Posting("llm", copies)
    for model in (slm, llm):
        model.server = Server(f"role {model.name}", engine.url)
    return build_service(store, slm, llm, lambda _: embedder, access=AccessFile(tmp_path))


@pytest.fixture
def client(service: Service) -> Iterator[AnswererClient]:
    with batch.served(service) as made:
        yield made


def test_the_raw_arm_makes_the_requests_of_the_batch(
    client: AnswererClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "BLOCK", 1)
    blocks = list(batch.throughput(client, QUESTIONS))
    assert [one.arm for one in blocks] == [BATCH, RAW, BATCH, RAW]
    for of_batch, raw in zip(blocks[::2], blocks[1::2], strict=True):
        assert of_batch.n_requests > 0
        same = {"arm": RAW, "seconds": raw.seconds, "concurrency": raw.concurrency}
        assert raw == replace(of_batch, **same)  # type: ignore[arg-type]
        assert raw.concurrency <= of_batch.concurrency
    salts = list(dict.fromkeys(body["cache_salt"] for body in engine.bodies))
    assert len(salts) == 4
    by_salt = [[b["messages"] for b in engine.bodies if b["cache_salt"] == salt] for salt in salts]
    assert sorted(map(str, by_salt[0])) == sorted(map(str, by_salt[1]))


def test_a_batch_that_asks_no_engine_is_a_sentence(
    client: AnswererClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Posting, "complete", ScriptedChat.complete)
    with pytest.raises(BenchmarkError, match="the batch asked no engine"):
        list(batch.throughput(client, QUESTIONS))


def test_questions_by_hand_are_asked_both_ways_while_the_batch_goes_on(
    client: AnswererClient,
) -> None:
    waits = list(batch.waiting(client, QUESTIONS, [*QUESTIONS, "Who owns MV Tern?"]))
    assert [(one.arm, len(one.latencies)) for one in waits] == [
        (ALONE, 2), (BESIDE, 2), (ALONE, 1), (BESIDE, 1)
    ]  # fmt: skip
    assert all(one.n_batch == 0 for one in waits if one.arm == ALONE)
    assert sum(one.n_batch for one in waits) > 0
    assert all(latency > 0.05 for one in waits for latency in one.latencies)


def test_without_an_index_nothing_is_measured(service: Service, tmp_path: Path) -> None:
    empty = LakeStore(str(tmp_path / "empty"))
    embedder, chat = WordEmbedder(), ScriptedChat("slm", copies)
    bare = build_service(empty, chat, chat, lambda _: embedder, access=AccessFile(tmp_path))
    with pytest.raises(BenchmarkError, match="nothing can be asked"), batch.served(bare):
        pass


def test_what_was_measured_is_written_as_it_comes(client: AnswererClient, tmp_path: Path) -> None:
    told: list[str] = []
    path = tmp_path / "blocks.jsonl"
    part = batch.measure(client, QUESTIONS, QUESTIONS, partial(keep, path), told.append)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["arm"] for line in lines] == [BATCH, RAW, *[ALONE, BESIDE] * 2]
    assert len(told) == len(lines)
    assert [len(table.rows) for table in part.tables] == [2, 2]


def block(arm: str, seconds: float, written: int = 100) -> Block:
    return Block(arm, 15, 0, 40, 4, 9_900, written, seconds)


def waits(beside_s: float) -> list[Wait]:
    return [Wait(ALONE, [1.0] * 20, 0, 20.0), Wait(BESIDE, [beside_s] * 20, 10, 60.0)]


@pytest.mark.parametrize(
    ("batch_s", "beside_s", "raw_written", "reached"),
    [
        (10.0, 1.5, 100, [True, True, True]),
        (12.0, 1.5, 100, [False, True, True]),
        (10.0, 1.6, 100, [True, True, False]),
        (10.0, 1.0, 120, [True, False, True]),
    ],
)
def test_goals(batch_s: float, beside_s: float, raw_written: int, reached: list[bool]) -> None:
    blocks = [block(BATCH, batch_s), block(RAW, 9.0, raw_written)] * 2
    part = batch.part_of(blocks, waits(beside_s))
    assert [goal.reached for goal in part.goals] == reached
    of_batch, alone_beside = part.tables[0].rows[0], part.tables[1].rows
    assert of_batch[:4] == ["batch", "30", "0", "80"]
    assert of_batch[-2] == f"{60 * 15 / batch_s:.1f}"
    assert [row[-1] for row in alone_beside] == ["-", "10.0"]


def test_questions_are_the_golden_ones_and_then_others(bench: Bench) -> None:
    bench.golden("docs")
    lab = bench.lab()
    asked = batch.asked_of(lab, 10)
    assert len(set(asked)) == 10
    assert asked == batch.asked_of(lab, 10)
    assert "When was the ferry Buoy built?" in asked
    with pytest.raises(BenchmarkError, match="1000000 are needed; ask for fewer"):
        batch.asked_of(lab, 1_000_000)


def test_a_sweep_asks_all_with_each_concurrency(service: Service, engine: Engine) -> None:
    @contextmanager
    def answering(n: int) -> Iterator[AnswererClient]:
        with batch.served(replace(service, gate=Gate(n, 16, 10))) as client:
            yield client

    written: list[Any] = []
    told: list[str] = []
    questions = QUESTIONS * 4
    rungs = batch_sweep.measure(answering, questions, [1, 4], written.append, told.append)
    assert [(one.concurrency, one.n_questions, one.n_failed) for one in rungs] == [
        (1, 8, 0), (4, 8, 0)
    ]  # fmt: skip
    assert rungs[1].a_minute > rungs[0].a_minute
    assert all(0.05 < one.p50 <= one.p95 for one in rungs)
    assert [one["concurrency"] for one in written] == [1, 4]
    part, svg = batch_sweep.part_of(rungs), batch_sweep.picture(rungs).svg()
    assert [row[0] for row in part.tables[0].rows] == ["1", "4"]
    for words in ("Questions a minute", "p95", "questions of the batch at once"):
        assert words in svg
