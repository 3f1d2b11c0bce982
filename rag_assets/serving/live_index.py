"""The generation in service: one reference that is replaced while questions are being answered.

A request takes the reference once and keeps it, so it ends on the generation on which it began. The
old reader is freed when its last request is done. No lock is held while answering. A lease protects
the generation in service from every clean-up, on this host or another.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from rag_assets.answers.answerer import Answerer, require_embedder_of
from rag_assets.index.search import IndexReader
from rag_assets.lake.generations import Live, live, load, now_iso
from rag_assets.lake.leases import Reader
from rag_assets.lake.store import LakeError, LakeStore
from rag_assets.models.errors import ModelsError
from rag_assets.serving.canaries import CanaryError, run_canaries

Build = Callable[[IndexReader], Answerer]


@dataclass(frozen=True, slots=True)
class InService:
    """An answerer and the pointer that named its generation."""

    answerer: Answerer
    pointer: Live
    loaded_at: str

    @property
    def generation_id(self) -> str:
        """Id of the generation."""
        return self.pointer.generation_id


@dataclass(frozen=True, slots=True)
class Reload:
    """What a reload did.

    Attributes:
        generation_id: in service now; None when there is none.
        previous_id: in service before.
        swapped: whether they differ.
        ms: milliseconds of opening, prewarming and canaries.
        error: why the live generation is not in service, as a sentence; "" when it is.
    """

    generation_id: str | None
    previous_id: str | None
    swapped: bool
    ms: float
    error: str = ""


class LiveIndex:
    """Holds the generation in service.

    Args:
        store: the lake, which names the live generation.
        build: makes an answerer on an opened generation.
    """

    def __init__(self, store: LakeStore, build: Build) -> None:
        self._store = store
        self._build = build
        self._current: InService | None = None
        self._error = "nothing was loaded yet"
        self._loading = threading.Lock()
        self._leases = Reader(store)

    @property
    def current(self) -> InService | None:
        """What is in service; take it once a request."""
        return self._current

    @property
    def error(self) -> str:
        """Why the last load failed; "" when it did not."""
        return self._error

    def close(self) -> None:
        """Give the leases back; call it when no more requests are answered."""
        self._leases.close()

    def reload(self) -> Reload:
        """Bring the live generation into service; nothing happens where it is there already.

        A generation that cannot be opened, or that fails its canaries, does not replace the one in
        service; ``error`` says why.
        """
        with self._loading:
            started = time.perf_counter()
            before = self._current
            previous_id = None if before is None else before.generation_id
            try:
                after = self._opened(before)
            except (
                LakeError, CanaryError, ModelsError, OSError, RuntimeError, ValueError
            ) as error:  # fmt: skip
                self._error = str(error)
                ms = (time.perf_counter() - started) * 1000
                return Reload(previous_id, previous_id, False, ms, self._error)
            self._current = after
            self._error = ""
            if previous_id is not None and previous_id != after.generation_id:
                self._leases.let_go(previous_id)  # requests in flight end within the lease
            ms = (time.perf_counter() - started) * 1000
            return Reload(after.generation_id, previous_id, after.generation_id != previous_id, ms)

    def _opened(self, before: InService | None) -> InService:
        pointer = live(self._store)
        if pointer is None:
            raise LakeError("no generation is live yet; run `rag refresh`")
        if before is not None and before.generation_id == pointer.generation_id:
            # Generations are immutable: the same id under a new sequence is the same content.
            return InService(before.answerer, pointer, before.loaded_at)
        self._leases.hold(pointer.generation_id)
        try:
            reader = IndexReader(self._store, load(self._store, pointer.generation_id))
            answerer = self._build(reader)
            require_embedder_of(reader.generation, answerer.embedder)
            reader.prewarm()
            run_canaries(reader, answerer.embedder)
        except BaseException:
            self._leases.let_go(pointer.generation_id, at_once=True)
            raise
        return InService(answerer, pointer, now_iso())
