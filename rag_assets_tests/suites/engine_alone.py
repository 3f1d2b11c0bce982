"""One engine of its own beside those of the stack, for as long as a block runs."""

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rag_assets.models.clients.openai_http import (
    HttpChatModel,
    HttpEmbedder,
    connect,
    connect_embedder,
)
from rag_assets.models.engines.engine_set import EngineSet
from rag_assets.models.errors import PortTakenError
from rag_assets.models.profiles import Profile, Role
from rag_assets.models.protocols import ChatRole

# Clear of the default engines (8461) and below what the kernel gives to outgoing connections: an
# engine takes its port only seconds after it was chosen.
PORTS = range(8761, 9061)


@contextmanager
def serving(
    profile: Profile, role: ChatRole, *, cache_dir: Path, state_dir: Path
) -> Iterator[HttpChatModel]:
    """Start the engine of one role, on a free port, and stop it at the end of the block.

    For a comparison of weight formats, say: ``serving(in_format(profile, "w4a16"), "llm", ...)``.
    The weights must have been pulled; the log is ``state_dir/logs/<role>.log``. An engine that dies
    in the block is not started again.

    Args:
        profile: names the model and its flags; its other roles and its ports are left alone.
        role: which engine.
        cache_dir: where :func:`rag_assets.models.weights.pulling.pull` put the weights.
        state_dir: of this engine alone, not that of the stack; made if missing.

    Yields:
        The client of the engine, which is ready to answer.

    Raises:
        NotPulledError: the weights of this role are missing; nothing was started.
        EngineError: ``state_dir`` is in use, or the engine died or stayed unhealthy.
    """
    with _started(profile, role, cache_dir, state_dir) as alone:
        yield connect(alone, state_dir, cache_dir, role)


@contextmanager
def serving_embedder(
    profile: Profile, *, cache_dir: Path, state_dir: Path
) -> Iterator[HttpEmbedder]:
    """:func:`serving` for the role that embeds."""
    with _started(profile, "embedder", cache_dir, state_dir) as alone:
        yield connect_embedder(alone, state_dir, cache_dir)


def dtype_of(profile: Profile, role: Role) -> str:
    """The number format that a role computes in; its flags have to say it."""
    flags = profile.spec(role).flags
    return flags[flags.index("--dtype") + 1]


@contextmanager
def _started(profile: Profile, role: Role, cache_dir: Path, state_dir: Path) -> Iterator[Profile]:
    spec = replace(profile.spec(role), port=_free_port())
    alone = replace(profile, roles={role: spec})
    with EngineSet(alone, cache_dir, state_dir) as engines:
        engines.start([role])
        yield alone


def _free_port() -> int:
    """A port that nobody listens on; drawn, so that two that start at once seldom meet."""
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise PortTakenError(f"no port from {PORTS.start} to {PORTS.stop - 1} is free; stop something")
