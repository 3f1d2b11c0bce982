"""The parent of all engine processes: starts them on request, and takes them along when it ends.

Run as ``python -P launcher.py fork|exec`` by the interpreter that has vLLM; it need not have this
package. One JSON line on standard input asks for one engine: ``{"role", "argv", "environment",
"log"}``. The answer, one JSON line on standard output, is ``{"role", "pid"}``. When standard input
closes, for whatever reason (the owner stopped, or was killed), or on SIGTERM, every engine's
process group gets SIGTERM and, after a grace time, SIGKILL. If the launcher itself is killed, the
kernel kills its children, and under ``fork`` their children, too.

``exec`` runs ``argv`` as a command. ``fork`` imports vLLM once and forks each engine, and each
engine's core, out of that: an import costs 7 s of a core (20 s where bytecode is not kept), and
vLLM on a CPU spends it three times an engine.
``import`` only imports vLLM and ends: a new environment has its bytecode then.

Measured 2026-11-22 on a 2-core AMD EPYC with AVX-512, seconds until /health, files in page cache:

=================================  =====  ============================================
how                                slm    all three
=================================  =====  ============================================
commands, PYTHONDONTWRITEBYTECODE  62     not tried
commands, one after another        30     108
commands, all at once              32     84
fork, all at once                  16     41 (embedder 13, slm 35, llm 41)
fork, one after another            16     40 (embedder 9, slm 17, llm 40)
=================================  =====  ============================================
"""

import ctypes
import importlib
import json
import multiprocessing
import os
import select
import signal
import sys
import time
import traceback
from typing import Any

GRACE_S = 8.0

_PR_SET_PDEATHSIG = 1
_PRELOAD = (
    "vllm.entrypoints.launchers.api_server.entry",
    "vllm.entrypoints.openai.chat_completion.serving",
    "vllm.v1.engine.async_llm",
    "vllm.v1.engine.core",
    "vllm.v1.executor.uniproc_executor",
    "vllm.v1.worker.cpu_worker",
    "vllm.model_executor.models.qwen2",
    "vllm.model_executor.models.bert",
    "vllm.model_executor.layers.quantization.compressed_tensors.compressed_tensors",
)


class _Terminated(Exception):
    """SIGTERM or SIGINT came."""


def main(mode: str) -> int:
    """Serve requests until standard input closes or a signal comes; then stop every engine."""
    _die_with_parent()
    if mode == "import":
        _import_vllm()
        return 0
    signal.signal(signal.SIGTERM, _raise_terminated)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the owner, who closes our input
    if mode == "fork":
        _import_vllm()
    engines: set[int] = set()
    try:
        _serve(mode, engines)
    except (_Terminated, BrokenPipeError):
        pass  # told to stop, or the owner died before it could read an answer
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _stop(engines)
    return 0


def _serve(mode: str, engines: set[int]) -> None:
    """Answer requests and reap dead engines; returns at the end of standard input."""
    pending = b""
    while True:
        _reap(engines)
        ready, _, _ = select.select([0], [], [], 0.1)
        if not ready:
            continue
        received = os.read(0, 1 << 16)
        if not received:
            return
        *lines, pending = (pending + received).split(b"\n")
        for line in lines:
            request = json.loads(line)
            pid = os.fork()
            if pid == 0:
                _become_engine(mode, request)
            engines.add(pid)
            sys.stdout.write(json.dumps({"role": request["role"], "pid": pid}) + "\n")
            sys.stdout.flush()


def _become_engine(mode: str, request: dict[str, Any]) -> None:
    """In the child: own session, own log, then vLLM's server; never returns."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        try:
            log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError:  # a full disk
            log = nothing
        for source, target in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        os.environ.update(request["environment"])
        argv: list[str] = request["argv"]
        if mode == "exec":
            os.execvpe(argv[0], argv, os.environ)
        sys.argv = argv[argv.index("-m") + 1 :]  # as `python -m module ...` would set it
        entry = importlib.import_module("vllm.entrypoints.launchers.api_server.entry")
        entry.main()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:  # noqa: BLE001 - process border: whatever it was belongs in the log
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # not sys.exit: the launcher's own cleanup must not run in an engine
        os._exit(code)


def _import_vllm() -> None:
    for name in _PRELOAD:
        importlib.import_module(name)
    # vLLM's CPU platform insists on spawn because its workers need another OMP environment; there
    # are none here, and fork is what vLLM does elsewhere. If a version moves the name, the core is
    # spawned as before: slower by an import, else the same.
    utils: Any = importlib.import_module("vllm.v1.engine.utils")
    if hasattr(utils, "get_mp_context"):
        utils.get_mp_context = lambda: multiprocessing.get_context("fork")


def _die_with_parent() -> None:
    """Have the kernel kill every process forked from here on when its parent dies."""
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def before() -> None:
        nonlocal parent
        parent = os.getpid()

    def in_child() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before the call above
            os._exit(1)

    os.register_at_fork(before=before, after_in_child=in_child)


def _reap(engines: set[int]) -> None:
    for pid in list(engines):
        if os.waitpid(pid, os.WNOHANG)[0]:
            engines.discard(pid)


def _stop(engines: set[int]) -> None:
    """SIGTERM to every group, SIGKILL to what is left after the grace time, orphans included."""
    groups = set(engines)
    _signal_all(groups, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_S
    while engines and time.monotonic() < deadline:
        _reap(engines)
        time.sleep(0.05)
    _signal_all(groups, signal.SIGKILL)
    for pid in engines:
        os.waitpid(pid, 0)


def _signal_all(groups: set[int], number: int) -> None:
    for group in groups:
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            continue


def _raise_terminated(*_: object) -> None:
    raise _Terminated


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
