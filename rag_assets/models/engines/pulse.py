"""Whether an engine that lives also works: a thread that asks it, and judges by what moves.

An engine's server answers ``/health`` by itself, also while its core stands still, and a core that
computes a long prompt answers nobody for a while, the longer the less of the processors it gets. So
an engine is alive when its counters move, and when they do not, when it answers the smallest
request there is. One that does neither is given more time while it computes, or would if others let
it. The core may be a process of its own or the server itself.
"""

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from rag_assets.models.engines.state import EngineState, family
from rag_assets.watching import STOPPED_S, Stopped

LOOK_EVERY_S = 5.0
ANSWER_S = 20.0  # for the smallest request
HUNG_S = 45.0  # without a sign of life, while it does not compute
BUSY_S = 600.0  # likewise, while it does: one step of a large prompt on a slow processor
STOPPED = "was stopped by a signal and not continued"
_WORKING = 0.2  # of one processor's time: then it computes
_WANTING = 0.8  # likewise, with the time for which it waited for a processor


class Pulse:
    """Watches one engine until it is closed.

    Args:
        state: the engine.
    """

    def __init__(self, state: EngineState) -> None:
        self._state = state
        self._alive_at = time.monotonic()
        self._works = False
        self._stopped = Stopped()
        self._closed = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def trouble(self) -> str:
        """Why it is taken for hung; "" when it is not."""
        if self._stopped.seconds(one.pid for one in family(self._state.process.pid)) > STOPPED_S:
            return STOPPED
        quiet = time.monotonic() - self._alive_at
        if quiet > (BUSY_S if self._works else HUNG_S):
            return f"gave no sign of life for {quiet:.0f} s"
        return ""

    def close(self) -> None:
        """Watch no longer."""
        self._closed.set()

    def _watch(self) -> None:
        seen, before, at = "", (0.0, 0.0), time.monotonic()
        with httpx.Client(base_url=self._state.url, timeout=ANSWER_S, trust_env=False) as http:
            while not self._closed.wait(LOOK_EVERY_S):
                counters = self._counters(http)
                if (counters and counters != seen) or self._answers(http):
                    self._alive_at = time.monotonic()
                seen = counters or seen
                now, spent = time.monotonic(), _spent(self._state.process.pid)
                computed, waited = (new - old for new, old in zip(spent, before, strict=True))
                is_wanting = computed + waited > _WANTING * (now - at)
                self._works = computed > _WORKING * (now - at) or is_wanting
                before, at = spent, now

    def _counters(self, http: httpx.Client) -> str:
        """The lines of the metrics that are vLLM's own; they change with each step of the core."""
        try:
            lines = http.get("/metrics").text.splitlines()
        except httpx.TransportError:
            return ""
        return "\n".join(line for line in lines if line.startswith("vllm:"))

    def _answers(self, http: httpx.Client) -> bool:
        """Whether it answers the smallest request; a refusal is an answer, too."""
        body: dict[str, Any] = {"model": self._state.served_name}
        if self._state.role == "embedder":
            path, body = "/v1/embeddings", body | {"input": "a"}
        else:
            path, body = "/v1/completions", body | {"prompt": "a", "max_tokens": 1}
        try:
            http.post(path, json=body)
        except httpx.TransportError:
            return False
        return True


def _spent(pid: int) -> tuple[float, float]:
    """Seconds for which the threads of a family computed, and waited for a processor."""
    computed = waited = 0
    for process in family(pid):
        for thread in Path(f"/proc/{process.pid}/task").glob("*/schedstat"):
            with suppress(OSError):  # it ended
                on, queued, _ = map(int, thread.read_text().split())
                computed, waited = computed + on, waited + queued
    return computed / 1e9, waited / 1e9
