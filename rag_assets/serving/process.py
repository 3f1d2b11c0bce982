"""The answerer process: ``python -m rag_assets.serving``. It starts without Dagster.

It connects to engines that run already, loads the live generation, serves HTTP on loopback and
writes its address to ``<state>/answerer.json``. On SIGTERM or SIGINT it finishes the answers that
it has begun.
"""

import contextlib
import logging
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from rag_assets.access.file import AccessFile
from rag_assets.answers.answerer import Answerer
from rag_assets.answers.deriving import policy_of
from rag_assets.answers.policy import AnswerPolicy
from rag_assets.index.search import IndexReader
from rag_assets.lake.store import LakeStore
from rag_assets.models.clients.roles import Models
from rag_assets.models.engines.cores import core_seconds
from rag_assets.models.errors import ModelsError, PortTakenError
from rag_assets.models.protocols import ChatModel, Embedder
from rag_assets.serving.admission import Gate
from rag_assets.serving.app import create_app
from rag_assets.serving.listening import (
    HTTP,
    ExposedError,
    claim_port,
    require_keys,
    running_answerer,
    state_file,
)
from rag_assets.serving.live_index import LiveIndex
from rag_assets.serving.metrics import CoreSeconds, Metrics
from rag_assets.serving.service import Service
from rag_assets.serving.traced import sending
from rag_assets.settings import LOOPBACK, Settings
from rag_assets.sources.catalog import withdrawn

log = logging.getLogger("rag_assets.serving")
N_WAITING = 16  # with what runs, and batches, below the 40 threads of the server: probes get one
WAIT_S = 120.0
GRACE_S = 10  # for answers in flight after SIGTERM
PARENT_POLL_S = 1.0
LOAD_AGAIN_S = 5.0
WITHDRAWN_S = 2.0


def build_service(
    store: LakeStore,
    slm: ChatModel,
    llm: ChatModel,
    embedder_for: Callable[[Mapping[str, str]], Embedder],
    *,
    access: AccessFile,
    hosts: Sequence[str] = (),
    policy_for: Callable[[Mapping[str, str]], AnswerPolicy] = lambda _: AnswerPolicy(),
    engines_problem: Callable[[], str] = str,
    keeps_answers: bool = True,
    hidden: Callable[[], Collection[str]] = frozenset,
    core_seconds: CoreSeconds = dict,
) -> Service:
    """The service on these models; its index is not loaded yet.

    Args:
        store: the lake.
        slm: look-ups and extraction.
        llm: synthesis.
        embedder_for: gives the embedder of questions to an index, by what its generation says of
            the model that made it.
        access: who may read what.
        hosts: names by which it is reached, beside the loopback's.
        policy_for: gives how questions are answered, by the same; how many at once is the same for
            every generation.
        engines_problem: why the engines cannot answer, as a sentence; "" when they can.
        keeps_answers: whether they are journalled.
        hidden: names of the sources that nothing may be read of any more.
        core_seconds: what each engine has used of the processors.
    """

    def build(reader: IndexReader) -> Answerer:
        made_with = reader.generation.models.get("embedder", {})
        return Answerer(reader, slm, llm, embedder_for(made_with), policy_for(made_with))

    gate = Gate(policy_for({}).concurrency, N_WAITING, WAIT_S)
    live = LiveIndex(store, build)
    key, now = secrets.token_urlsafe(32), time.monotonic()
    metrics = Metrics(gate, core_seconds)
    return Service(
        store,
        live,
        gate,
        metrics,
        engines_problem,
        access,
        key,
        hosts=hosts,
        started=now,
        keeps_answers=keeps_answers,
        hidden=hidden,
    )


def serve(settings: Settings, *, with_parent: bool = False, behind_door: bool = False) -> int:
    """Run the answerer on the profile's engines until it is told to stop; the exit code.

    Args:
        settings: where everything is.
        with_parent: stop when the parent process is gone, however it went.
        behind_door: the door has the answerer's port; any free one will do.
    """
    if behind_door and (other := running_answerer(settings.state)) is not None:
        log.error("process %d is the answerer already", other.pid)
        return 1
    try:
        require_keys(settings)
        where = (0,) if behind_door else (settings.answerer_port, settings.host)
        listener = claim_port(*where)
    except (ExposedError, PortTakenError) as error:
        log.error("%s", error)
        return 1
    with contextlib.closing(listener):
        try:
            service = connected(settings)
        except ModelsError as error:
            log.error("%s", error)
            return 1
        run(service, listener, settings.state, with_parent=with_parent)
    return 0


class Withdrawn:
    """The sources that were taken out of ``sources.yaml``; looked for every few seconds.

    Args:
        path: of the file.
        store: the lake.
    """

    def __init__(self, path: Path, store: LakeStore) -> None:
        self._path, self._store = path, store
        self._names: Collection[str] = ()
        self._until = 0.0

    def __call__(self) -> Collection[str]:
        """Their names."""
        if time.monotonic() >= self._until:
            self._names = withdrawn(self._path, self._store)
            self._until = time.monotonic() + WITHDRAWN_S
        return self._names


def connected(settings: Settings) -> Service:
    """The service on the engines that run.

    Raises:
        ModelsError: the profile is unknown, weights are missing, or an engine does not run.
    """
    models = Models(settings=settings, started=True)
    # What is cached of a generation goes with it.
    store = LakeStore(settings.lake_uri, shares_cache=False)
    return build_service(
        store,
        models.slm,
        models.llm,
        models.embedder_for,
        access=AccessFile(settings.home, is_required=settings.is_exposed),
        hosts=settings.hosts,
        policy_for=partial(policy_of, models),
        engines_problem=models.problem,
        keeps_answers=settings.journal_days > 0,
        hidden=Withdrawn(settings.sources_file, store),
        core_seconds=partial(core_seconds, settings.state),
    )


def run(
    service: Service, listener: socket.socket, state: Path, *, with_parent: bool = False
) -> None:
    """Load the live generation and serve on the listening socket until told to stop.

    Args:
        service: what is served; without a live generation it serves, not ready, until a reload.
        listener: from ``claim_port``.
        state: folder of the state file.
        with_parent: stop when the parent process is gone, however it went.
    """
    parent = os.getppid()
    loaded = service.live.reload()
    service.metrics.reloaded(loaded)
    if loaded.error:
        log.warning("serving without an index until one is loaded: %s", loaded.error)
        threading.Thread(target=_load_later, args=(service,), daemon=True).start()
    port = int(listener.getsockname()[1])
    with (
        sending() as traces,
        contextlib.closing(service.live),
        state_file(state, port, service.own_key),
    ):
        server = _server(create_app(service, traces))
        if with_parent:
            threading.Thread(target=_stop_with, args=(server, parent), daemon=True).start()
        generation = loaded.generation_id or "none"
        log.info("answering at http://%s:%d, generation %s", LOOPBACK, port, generation)
        _run(server, listener)
    log.info("stopped")


def _server(app: FastAPI) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=HTTP,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=GRACE_S,
            lifespan="on",  # of the MCP server
        )
    )


def _load_later(service: Service) -> None:
    """Try again until there is an index: an engine may have been down when it was loaded."""
    while service.live.current is None:
        time.sleep(LOAD_AGAIN_S)
        service.metrics.reloaded(service.live.reload())


def _run(server: uvicorn.Server, listener: socket.socket) -> None:
    # After a graceful stop uvicorn raises the signal again; the default would kill this process
    # with status 143 before the state file is removed.
    before = {sig: signal.signal(sig, signal.SIG_IGN) for sig in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run(sockets=[listener])
    finally:
        for sig, handler in before.items():
            signal.signal(sig, handler)


def _stop_with(server: uvicorn.Server, parent: int) -> None:
    """Ask the server to stop once the parent process is gone (a killed run cannot ask)."""
    while os.getppid() == parent:
        time.sleep(PARENT_POLL_S)
    log.warning("the parent process %d is gone; stopping", parent)
    server.should_exit = True
