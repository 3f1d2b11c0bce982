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
from collections.abc import Callable, Iterator, Mapping, Sequence
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
        self._used: dict[int, float] = {}
        self._last: float | None = None
        self._next = 0

    @contextmanager
    def call(self) -> Iterator[Callable[[], float]]:
        """Time of a call; the value yielded gives its seconds, to be asked after the block."""
        with self._lock:
            self._share()
            self._next += 1
            ticket, self._used[self._next] = self._next, 0.0
        spent = 0.0
        try:
            yield lambda: spent
        finally:
            with self._lock:
                self._share()
                spent = self._used.pop(ticket)

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
        for ticket in self._used:
            self._used[ticket] += passed / len(self._used)
        self._last = now


@dataclass(slots=True)
class Meter:
    """What the models did since the last :meth:`take`; one question at a time."""

    use: dict[str, ModelUse] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)  # of the calls
    made: int = 0
    replayed_seconds: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self, role: ChatRole, key: str, done: Completion, core_seconds: float, *, replayed: bool
    ) -> None:
        """Count a call."""
        with self._lock:
            self.keys.append(key)
            before = self.use.get(role, ModelUse())
            reasons = dict(before.finish_reasons)
            reasons[done.finish_reason] = reasons.get(done.finish_reason, 0) + 1
            self.use[role] = ModelUse(
                before.calls + 1,
                before.prompt_tokens + done.prompt_tokens,
                before.cached_prompt_tokens + done.cached_prompt_tokens,
                before.completion_tokens + done.completion_tokens,
                before.seconds + done.seconds,
                before.core_seconds + core_seconds,
                reasons,
            )
            if replayed:
                self.replayed_seconds += done.seconds
            else:
                self.made += 1

    def take(self) -> "Meter":
        """What was counted; begins anew."""
        with self._lock:
            taken = replace(self, _lock=threading.Lock())
            self.use, self.keys, self.made, self.replayed_seconds = {}, [], 0, 0.0
        return taken

    def seconds(self, cache: CompletionCache, measured_s: float) -> float:
        """How long a question takes with the models at work.

        Args:
            cache: where it is kept once all calls of a question were made, none replayed.
            measured_s: how long it took now.
        """
        if not self.keys:
            return measured_s
        key = value_hash(["question", sorted(self.keys)])
        if self.made == len(self.keys):
            cache.put(key, {"seconds": measured_s})
            return measured_s
        kept = None if self.made else cache.get(key)
        # of a question of which some calls were made before: as if they came one after another
        return measured_s + self.replayed_seconds if kept is None else float(str(kept["seconds"]))


class ReplayedChat:
    """A chat model whose calls are metered, and replayed where they were made before.

    Args:
        model: the real one.
        identity: of what serves it: model, weights **and format**; part of every key.
        cache: where completions are kept.
        meter: counts.
        clock: of the engine that serves it.
        salt: keeps what others asked out of the engine's prefix cache.
    """

    def __init__(
        self,
        model: ChatModel,
        identity: str,
        cache: CompletionCache,
        meter: Meter,
        clock: CoreClock,
        *,
        salt: str = "",
    ) -> None:
        self._salt = salt
        self._model = model
        self._identity = identity
        self._cache = cache
        self._meter = meter
        self._clock = clock
        self.name: ChatRole = model.name
        self.model_id = model.model_id
        self.revision = model.revision
        self.max_model_len = model.max_model_len

    def complete(self, messages: Sequence[Message], **options: Unpack[ChatOptions]) -> Completion:
        """See :class:`ChatModel`; a call with a temperature is made each time."""
        temperature = options.get("temperature", 0.0)
        asked = [
            self._identity, [dict(m) for m in messages], options["max_tokens"],
            options.get("json_schema"), options.get("prefix", ""), options.get("thinking", False),
        ]  # fmt: skip
        key = value_hash(asked)
        kept = None if temperature else self._cache.get(key)
        if kept is not None:
            core_seconds = float(str(kept.pop("core_seconds")))
            done = Completion(**kept)  # type: ignore[arg-type]
            self._meter.add(self.name, key, done, core_seconds, replayed=True)
            return done
        if salt := options.get("cache_salt") or self._salt:
            options["cache_salt"] = salt
        started = time.perf_counter()
        with self._clock.call() as spent:
            done = self._model.complete(messages, **options)
        done = replace(done, seconds=time.perf_counter() - started)
        if not temperature:
            self._cache.put(key, {**asdict(done), "core_seconds": spent()})
        self._meter.add(self.name, key, done, spent(), replayed=False)
        return done

    def count_chat(self, messages: Sequence[Message]) -> int:
        """See :class:`ChatModel`."""
        return self._model.count_chat(messages)
