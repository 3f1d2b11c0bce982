"""Whether an engine that lives also works: a thread that asks it, and judges by what moves.

An engine's server answers ``/health`` by itself, also while its core stands still, and a core that
computes a long prompt answers nobody for a while. So an engine is alive when its counters move, and
when they do not, when it answers the smallest request there is.
"""

import threading
import time
from typing import Any

import httpx
import psutil

from rag_assets.models.engines.state import EngineState, family
from rag_assets.watching import STOPPED_S, Stopped

LOOK_EVERY_S = 5.0
ANSWER_S = 20.0  # for the smallest request
HUNG_S = 45.0  # without a sign of life, while its core does not compute
BUSY_S = 600.0  # likewise, while it does: one step of a large prompt on a slow processor
STOPPED = "was stopped by a signal and not continued"
_WORKING = 0.2  # of one processor's time


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
        seen, used, at = "", 0.0, time.monotonic()
        with httpx.Client(base_url=self._state.url, timeout=ANSWER_S, trust_env=False) as http:
            while not self._closed.wait(LOOK_EVERY_S):
                counters = self._counters(http)
                if (counters and counters != seen) or self._answers(http):
                    self._alive_at = time.monotonic()
                seen = counters or seen
                now, using = time.monotonic(), self._core_seconds()
                self._works = using - used > _WORKING * (now - at)
                used, at = using, now

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

    def _core_seconds(self) -> float:
        """Processor time of what the server started: its core."""
        total = 0.0
        for process in family(self._state.process.pid)[1:]:
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system
        return total
