"""Model calls of an evaluation: made once, metered, and replayed when asked again.

A completion is a function of the model and its prompt at temperature 0; the prompt holds the
question, the evidence and the instructions. So calls are kept by (model, prompt, settings): a run
that was killed goes on where it stopped, and one after an unrelated change costs seconds. A
replayed call counts with the tokens, seconds and core seconds that it took when it was made, and a
question all of whose calls are replayed with the seconds that it took then (calls may overlap).
"""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Unpack

import psutil

from rag_assets.evaluations.results import ModelUse
from rag_assets.lake.identity import value_hash
from rag_assets.models.protocols import ChatModel, ChatOptions, ChatRole, Completion, Message


class CompletionCache:
    """Completions by what was asked, in one SQLite file; each is kept as soon as it is made.

    Args:
        path: the file; made if missing. Several processes may share it.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, timeout=60, check_same_thread=False)
        with self._lock, self._db:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("CREATE TABLE IF NOT EXISTS completions (key TEXT PRIMARY KEY, made)")

    def get(self, key: str) -> dict[str, object] | None:
        """The kept record, or None."""
        with self._lock:
            row = self._db.execute("SELECT made FROM completions WHERE key = ?", [key]).fetchone()
        return None if row is None else dict(json.loads(row[0]))

    def put(self, key: str, made: Mapping[str, object]) -> None:
        """Keep a record."""
        text = json.dumps(made, ensure_ascii=True)
        with self._lock, self._db:
            self._db.execute("INSERT OR REPLACE INTO completions VALUES (?, ?)", [key, text])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()


@dataclass(slots=True, eq=False)
class Spent:
    """Processor seconds of one call; whole once it ended."""

    seconds: float = 0.0


class CoreClock:
    """Processor seconds of one process, shared out among the calls that are under way.

    Between two events (a call begins or ends) what the process used is split evenly among the
    calls that were under way, so the shares add up to the whole.

    Args:
        pid: of the engine; None counts nothing, nor does one that is gone: its calls may all be
            replayed.
    """

    def __init__(self, pid: int | None) -> None:
        self._process = psutil.Process(pid) if pid is not None and psutil.pid_exists(pid) else None
        self._lock = threading.Lock()
        self._under_way: list[Spent] = []
        self._last: float | None = None

    @contextmanager
    def call(self) -> Iterator[Spent]:
        """Time of a call, to be read after the block."""
        spent = Spent()
        with self._lock:
            self._share()
            self._under_way.append(spent)
        try:
            yield spent
        finally:
            with self._lock:
                self._share()
                self._under_way.remove(spent)

    def _share(self) -> None:
        if self._process is None:
            return
        try:
            with self._process.oneshot():
                times = self._process.cpu_times()
            now = times.user + times.system
            now += sum(sum(c.cpu_times()[:2]) for c in self._process.children(recursive=True))
        except psutil.Error:  # it died; the call under way will say so
            return
        passed = 0.0 if self._last is None else max(now - self._last, 0.0)
        for spent in self._under_way:
            spent.seconds += passed / len(self._under_way)
        self._last = now


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a model: its role, its key among the kept ones, and what it took."""

    role: ChatRole
    key: str
    use: ModelUse
    replayed: bool


@dataclass(slots=True)
class Meter:
    """The calls since the last :meth:`take`, of any threads; one question at a time.

    Attributes:
        cache: of the completions; keeps how long questions took as well.
        calls: in the order of their ends.
    """

    cache: CompletionCache
    calls: list[Call] = field(default_factory=list)

    def take(self) -> list[Call]:
        """What was counted; begins anew."""
        taken, self.calls = self.calls, []
        return taken

    def seconds(self, calls: Sequence[Call], measured_s: float) -> float:
        """How long a question takes with the models at work.

        It is kept once all calls of the question were made, none replayed.

        Args:
            calls: of the question.
            measured_s: how long it took now.
        """
        replayed = [call for call in calls if call.replayed]
        key = value_hash(["question", sorted(call.key for call in calls)])
        if calls and not replayed:
            self.cache.put(key, {"seconds": measured_s})
        kept = self.cache.get(key) if calls and len(replayed) == len(calls) else None
        if kept is not None:
            return float(str(kept["seconds"]))
        # of a question of which some calls were made before: as if they came one after another
        return measured_s + sum(call.use.seconds for call in replayed)


class ReplayedChat:
    """A chat model whose calls are metered, and replayed where they were made before.

    Args:
        model: the real one.
        identity: of what serves it: model, weights **and format**; part of every key.
        meter: counts, and has the completions that are kept.
        clock: of the engine that serves it.
        salt: keeps what others asked out of the engine's prefix cache.
    """

    def __init__(
        self, model: ChatModel, identity: str, meter: Meter, clock: CoreClock, *, salt: str = ""
    ) -> None:
        self._model, self._identity, self._salt = model, identity, salt
        self._meter, self._clock = meter, clock
        self.name: ChatRole = model.name
        self.model_id = model.model_id
        self.revision = model.revision
        self.max_model_len = model.max_model_len
        self.count_chat = model.count_chat

    def complete(self, messages: Sequence[Message], **options: Unpack[ChatOptions]) -> Completion:
        """See :class:`ChatModel`; a call with a temperature is made each time."""
        temperature = options.get("temperature", 0.0)
        asked = [
            self._identity, [dict(m) for m in messages], options["max_tokens"],
            options.get("json_schema"), options.get("prefix", ""), options.get("thinking", False),
        ]  # fmt: skip
        if top := options.get("top_logprobs"):
            asked.append(top)
        key = value_hash(asked)
        kept = None if temperature else self._meter.cache.get(key)
        if kept is not None:
            core_seconds = float(str(kept.pop("core_seconds")))
            done = Completion(**kept)  # type: ignore[arg-type]
        else:
            if salt := options.get("cache_salt") or self._salt:
                options["cache_salt"] = salt
            started = time.perf_counter()
            with self._clock.call() as spent:
                done = self._model.complete(messages, **options)
            done = replace(done, seconds=time.perf_counter() - started)
            core_seconds = spent.seconds
            if not temperature:
                self._meter.cache.put(key, {**asdict(done), "core_seconds": core_seconds})
        use = ModelUse(
            1, done.prompt_tokens, done.cached_prompt_tokens, done.completion_tokens,
            done.seconds, core_seconds, {done.finish_reason: 1},
        )  # fmt: skip
        self._meter.calls.append(Call(self.name, key, use, replayed=kept is not None))
        return done
