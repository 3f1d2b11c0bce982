import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from rag_assets.evaluations import replay
from rag_assets.evaluations.replay import Call, CompletionCache, CoreClock, Meter, ReplayedChat
from rag_assets.evaluations.results import ModelUse
from rag_assets.models.errors import EngineUnavailableError
from rag_assets_tests.fakes import FakeChat

ASK = [{"role": "user", "content": "When? \ud800"}]  # strangers' text may hold half a pair


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[CompletionCache]:
    made = CompletionCache(tmp_path / "new" / "completions.sqlite")
    yield made
    made.close()


def chat(
    cache: CompletionCache, model: FakeChat, meter: Meter | None = None, identity: str = "m-int8 1"
) -> ReplayedChat:
    return ReplayedChat(model, identity, meter or Meter(cache), CoreClock(None))


def test_a_call_is_made_once_and_replayed_as_it_was(cache: CompletionCache) -> None:
    model = FakeChat(["1994", "another"])
    first = chat(cache, model).complete(ASK, max_tokens=8)
    # another client, another run
    assert chat(cache, model).complete(ASK, max_tokens=8) == first
    assert first.text == "1994"
    assert first.seconds > 0
    assert len(model.calls) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"identity": "m-bf16 1"},
        {"identity": "m-int8 2"},
        {"max_tokens": 9},
        {"messages": [{"role": "user", "content": "Where?"}]},
        {"messages": [{"role": "system", "content": "When?"}]},
        {"prefix": "It"},
        {"thinking": True},
        {"json_schema": {"type": "object"}},
    ],
    ids=str,
)
def test_whatever_differs_is_another_call(cache: CompletionCache, other: dict[str, object]) -> None:
    model = FakeChat(["{}"])
    chat(cache, model).complete(ASK, max_tokens=8)
    again = {"messages": ASK, "max_tokens": 8, **other}
    identity = str(again.pop("identity", "m-int8 1"))
    chat(cache, model, identity=identity).complete(**again)  # type: ignore[arg-type]
    assert len(model.calls) == 2
    assert model.calls[1].options["prefix"] == other.get("prefix", "")
    assert model.calls[1].options["thinking"] == other.get("thinking", False)


def test_a_call_with_a_temperature_is_made_each_time(cache: CompletionCache) -> None:
    model = FakeChat(["a", "b", "c", "d"])
    asked = chat(cache, model)
    assert [asked.complete(ASK, max_tokens=8, temperature=0.7).text for _ in "ab"] == ["a", "b"]
    assert asked.complete(ASK, max_tokens=8).text == "c", "and leaves nothing to replay"
    assert asked.complete(ASK, max_tokens=8, temperature=0.7).text == "d", (
        "nor replays what is kept"
    )


def test_a_failed_call_is_not_kept_nor_counted(cache: CompletionCache) -> None:
    meter = Meter(cache)
    model = FakeChat([EngineUnavailableError("gone"), "1994"])
    asked = chat(cache, model, meter)
    with pytest.raises(EngineUnavailableError):
        asked.complete(ASK, max_tokens=8)
    assert asked.complete(ASK, max_tokens=8).text == "1994"
    assert [call.replayed for call in meter.take()] == [False]


def test_it_is_the_model_that_it_stands_for(cache: CompletionCache) -> None:
    model = FakeChat(name="llm", model_id="x/y", revision="9", max_model_len=77)
    asked = chat(cache, model)
    assert (asked.name, asked.model_id, asked.revision, asked.max_model_len) == (
        "llm", "x/y", "9", 77,
    )  # fmt: skip
    assert asked.count_chat(ASK) == model.count_chat(ASK)


# The file


def test_kept_at_once(tmp_path: Path) -> None:
    """Another reader sees a completion while the run that made it is still at work."""
    path = tmp_path / "completions.sqlite"
    writer, reader = CompletionCache(path), CompletionCache(path)
    chat(writer, FakeChat(["1994"])).complete(ASK, max_tokens=8)
    untouched = FakeChat(["never"])
    assert chat(reader, untouched).complete(ASK, max_tokens=8).text == "1994"
    assert untouched.calls == []
    writer.close()
    reader.close()


def _put_and_die(path: str, number: int) -> None:
    cache = CompletionCache(Path(path))
    for i in range(20):
        cache.put(f"{number}-{i}", {"n": i})
    os._exit(9)  # nothing is closed, nothing flushed


def test_processes_share_the_file_and_a_killed_one_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "completions.sqlite"
    context = multiprocessing.get_context("forkserver")
    workers = [context.Process(target=_put_and_die, args=(str(path), n)) for n in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [9, 9]
    cache = CompletionCache(path)
    assert [cache.get(f"{n}-{i}") for n in range(2) for i in range(20)] == [
        {"n": i} for _ in range(2) for i in range(20)
    ]
    assert cache.get("none") is None
    cache.close()


def test_threads_share_a_cache_and_a_meter(cache: CompletionCache) -> None:
    meter = Meter(cache)
    asked = chat(cache, FakeChat(["yes"]), meter)

    def ask(number: int) -> str:
        return asked.complete([{"role": "user", "content": str(number)}], max_tokens=4).text

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, [*range(30), *range(30)])) == ["yes"] * 60
    calls = meter.take()
    assert len(calls) == 60
    assert 30 <= sum(not call.replayed for call in calls) <= 60


# The meter


def test_a_call_counts_with_what_it_took_and_the_meter_begins_anew(cache: CompletionCache) -> None:
    meter = Meter(cache)
    asked = chat(cache, FakeChat(["1994"]), meter)
    done = asked.complete(ASK, max_tokens=8)
    asked.complete(ASK, max_tokens=8)
    made, replayed = taken = meter.take()
    assert (made.role, made.replayed, replayed.replayed) == ("slm", False, True)
    assert made.use == ModelUse(
        1, done.prompt_tokens, done.cached_prompt_tokens, done.completion_tokens, done.seconds,
        0.0, {done.finish_reason: 1},
    )  # fmt: skip
    assert (replayed.key, replayed.use) == (made.key, made.use)
    assert meter.take() == []
    assert len(taken) == 2, "what was taken stays"


def test_uses_add_up() -> None:
    one = ModelUse(1, 100, 64, 5, 2.0, 3.0, {"stop": 1})
    other = ModelUse(1, 100, 64, 5, 1.0, 0.5, {"length": 1})
    assert one.plus(other) == ModelUse(2, 200, 128, 10, 3.0, 3.5, {"stop": 1, "length": 1})


def counted(*calls: tuple[str, bool]) -> list[Call]:
    return [Call("slm", key, ModelUse(1, seconds=2.0), replayed) for key, replayed in calls]


def test_seconds_of_a_question(cache: CompletionCache) -> None:
    meter = Meter(cache)
    assert meter.seconds(counted(), 0.3) == 0.3, "no model was asked"
    # all calls made, two at a time: measured as it was
    assert meter.seconds(counted(("a", False), ("b", False)), 2.5) == 2.5
    # the same question replayed, whichever call came first
    assert meter.seconds(counted(("b", True), ("a", True)), 0.01) == 2.5
    # one call more than then: as if they came one after another
    assert meter.seconds(counted(("a", True), ("c", False)), 1.5) == 3.5
    # that sum was no measurement, so it was not kept as one
    assert meter.seconds(counted(("a", True), ("c", True)), 0.01) == 4.01
    # part of a question is not the question
    assert meter.seconds(counted(("a", True)), 0.01) == 2.01


# The clock


class Process:
    """A process whose processor time a test sets, with a child that has used 100 s already."""

    def __init__(self) -> None:
        self.used = 50.0
        self.gone = False

    def oneshot(self) -> threading.Lock:
        return threading.Lock()

    def cpu_times(self) -> SimpleNamespace:
        if self.gone:
            raise psutil.NoSuchProcess(1)
        return SimpleNamespace(user=self.used / 2, system=self.used / 2)

    def children(self, recursive: bool) -> list[SimpleNamespace]:
        assert recursive
        return [SimpleNamespace(cpu_times=lambda: (90.0, 10.0, 7.0, 7.0))]


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Process:
    made = Process()
    monkeypatch.setattr(replay.psutil, "Process", lambda pid: made)
    return made


def test_shares_add_up_to_what_was_used_during_calls(process: Process) -> None:
    clock = CoreClock(os.getpid())
    process.used += 1000  # before any call: nobody's
    with clock.call() as first:
        process.used += 4  # the first call's alone
        with clock.call() as second:
            process.used += 6  # of both
        process.used += 1
    process.used += 1000  # between calls
    with clock.call() as third:
        process.used += 2
    assert (first.seconds, second.seconds, third.seconds) == (4 + 3 + 1, 3, 2)


def test_an_engine_that_dies_does_not_hide_why(process: Process) -> None:
    clock = CoreClock(os.getpid())
    model = FakeChat([EngineUnavailableError("gone")])
    with clock.call() as spent:
        process.gone = True
        with pytest.raises(EngineUnavailableError, match="gone"):
            model.complete(ASK, max_tokens=8)
    assert spent.seconds == 0


def test_what_was_used_before_the_first_reading_is_nobodys(process: Process) -> None:
    clock = CoreClock(os.getpid())
    process.gone = True  # a child ended between two looks: one reading failed
    with clock.call() as spent:
        process.gone = False
        with clock.call():
            process.used += 2
    assert spent.seconds == 1


def test_an_engine_of_yesterday_counts_nothing() -> None:
    """The file of engines may be old; a run that only replays needs none."""
    for pid in (None, 2**22 + 1):
        with CoreClock(pid).call() as spent:
            sum(range(100_000))
        assert spent.seconds == 0


def test_core_seconds_of_a_replayed_call_are_those_it_took(
    process: Process, cache: CompletionCache
) -> None:
    def work(_: object) -> str:
        process.used += 3
        return "1994"

    meter = Meter(cache)
    for _ in range(2):
        asked = ReplayedChat(FakeChat([work]), "m", meter, CoreClock(os.getpid()))
        asked.complete(ASK, max_tokens=4)
    made, replayed = meter.take()
    assert (made.replayed, replayed.replayed) == (False, True)
    assert made.use == replayed.use
    assert made.use.core_seconds == 3
