"""The answerer process: ``python -m rag_assets.serving``. Starts without Dagster.

It connects to engines that run already, loads the live generation, serves HTTP on loopback, says
where in ``<state>/answerer.json``, and on SIGTERM or SIGINT finishes what it has begun.
"""

import contextlib
import json
import logging
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import uvicorn

from rag_assets.answers.answerer import Answerer
from rag_assets.answers.policy import AnswerPolicy
from rag_assets.index.search import IndexReader
from rag_assets.lake.generations import now_iso
from rag_assets.lake.store import LakeStore
from rag_assets.models.clients import ChatModel, Embedder, connect
from rag_assets.models.errors import ModelsError
from rag_assets.models.profiles import active_profile
from rag_assets.serving.app import Service, create_app
from rag_assets.serving.client import AnswererClient
from rag_assets.serving.gate import Gate
from rag_assets.serving.live_index import LiveIndex
from rag_assets.serving.metrics import Metrics
from rag_assets.settings import Settings

log = logging.getLogger("rag_assets.serving")
HOST = "127.0.0.1"
STATE_FILE = "answerer.json"
N_RUNNING = 4  # the LLM's --max-num-seqs on the cpu profile: more would only queue in the engine
N_WAITING = 16  # with the running ones below the 40 threads of the server, so that probes get one
WAIT_S = 120.0
GRACE_S = 120  # for answers in flight after SIGTERM
PARENT_POLL_S = 1.0


class PortTakenError(RuntimeError):
    """The port is in use; the message says by whom, and what to do."""


def claim_port(port: int) -> socket.socket:
    """A listening socket on the loopback port.

    Raises:
        PortTakenError: somebody listens there already.
    """
    with socket.socket() as probe:
        probe.settimeout(1.0)
        taken = probe.connect_ex((HOST, port)) == 0
    if not taken:
        # SO_REUSEADDR: a restart must not wait for the old connections' TIME_WAIT. On Linux it
        # does not let two sockets listen on one port; on others the probe above guards that.
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
            listener.listen(128)
        except OSError as error:
            listener.close()
            raise PortTakenError(_taken(port, f"({error.strerror})")) from error
        return listener
    by = (
        "by an answerer"
        if AnswererClient(f"http://{HOST}:{port}").is_up()
        else "by another program"
    )
    raise PortTakenError(_taken(port, by))


def _taken(port: int, by: str) -> str:
    return (
        f"port {port} is in use {by}; stop it (`rag down` stops an answerer), or set "
        "RAG_ANSWERER_PORT to a free port"
    )


@contextlib.contextmanager
def state_file(folder: Path, port: int) -> Iterator[Path]:
    """``answerer.json`` {pid, port, url, started_at} while the body runs, then nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / STATE_FILE
    state = {
        "pid": os.getpid(),
        "port": port,
        "url": f"http://{HOST}:{port}",
        "started_at": now_iso(),
    }
    with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".", delete=False) as part:
        json.dump(state, part)
    os.replace(part.name, path)
    try:
        yield path
    finally:
        with contextlib.suppress(FileNotFoundError, ValueError):
            if json.loads(path.read_text()).get("pid") == os.getpid():  # not a successor's
                path.unlink()


def build_service(
    store: LakeStore,
    slm: ChatModel,
    llm: ChatModel,
    embedder: Embedder,
    *,
    policy: AnswerPolicy | None = None,
    gate: Gate | None = None,
    admin_token: str = "",
) -> Service:
    """The service on these models; its index is not loaded yet."""

    def build(reader: IndexReader) -> Answerer:
        return Answerer(reader, slm, llm, embedder, policy or AnswerPolicy())

    gate = gate or Gate(N_RUNNING, N_WAITING, WAIT_S)

    def problem() -> str:
        try:
            slm.count_chat([{"role": "user", "content": "ready?"}])
            llm.count_chat([{"role": "user", "content": "ready?"}])
            embedder.embed(["ready?"])
        except ModelsError as error:
            return str(error)
        return ""

    return Service(
        store, LiveIndex(store, build), gate, Metrics(gate), problem, admin_token, time.monotonic()
    )


def serve(settings: Settings, *, with_parent: bool = False) -> int:
    """Run the answerer until it is told to stop; the process's exit code.

    Args:
        settings: where everything is.
        with_parent: stop when the parent process is gone, however it went.
    """
    parent = os.getppid()
    try:
        listener = claim_port(settings.answerer_port)
    except PortTakenError as error:
        log.error("%s", error)
        return 1
    with contextlib.closing(listener):
        try:
            service = _connected(settings)
        except ModelsError as error:
            log.error("%s", error)
            return 1
        loaded = service.live.reload()
        service.metrics.reloaded(loaded)
        if loaded.error:
            log.warning("serving without an index until one is loaded: %s", loaded.error)
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(service),
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=GRACE_S,
                lifespan="off",
            )
        )
        if with_parent:
            threading.Thread(target=_stop_with, args=(server, parent), daemon=True).start()
        with state_file(settings.state, settings.answerer_port):
            log.info(
                "answering at %s, pid %d, generation %s",
                settings.answerer_url,
                os.getpid(),
                loaded.generation_id or "none",
            )
            _run(server, listener)
        log.info("stopped")
    return 0


def _run(server: uvicorn.Server, listener: socket.socket) -> None:
    # After a graceful stop uvicorn raises the signal again; the default would kill this process
    # with status 143 before the state file is removed.
    before = {sig: signal.signal(sig, signal.SIG_IGN) for sig in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run(sockets=[listener])
    finally:
        for sig, handler in before.items():
            signal.signal(sig, handler)


def _connected(settings: Settings) -> Service:
    profile = active_profile()
    slm, llm, embedder = (
        connect(profile, settings.state, settings.cache, role)
        for role in ("slm", "llm", "embedder")
    )
    return build_service(
        LakeStore(settings.lake_uri),
        cast(ChatModel, slm),
        cast(ChatModel, llm),
        cast(Embedder, embedder),
    )


def _stop_with(server: uvicorn.Server, parent: int) -> None:
    """Ask the server to stop once the parent process is gone (a killed run cannot ask)."""
    while os.getppid() == parent:
        time.sleep(PARENT_POLL_S)
    log.warning("the parent process %d is gone; stopping", parent)
    server.should_exit = True
