"""The state file ``engines.json``: how other processes find the engines that run.

An entry counts only while its process lives, is the one that was started (a reused process id does
not deceive) and answers /health.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import psutil

from rag_assets.files import replace_file, understood
from rag_assets.models.profiles import ROLES, Role
from rag_assets.process_identity import ProcessId, is_alive

EARLIER = "earlier"  # folder in the state's: of the engine of an embedder that a profile had before
_FILE = "engines.json"
REPORTS = "engines-kept.json"  # what the supervisor says of each engine, running or not
_HEALTH_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class EngineState:
    """One running engine; its process leads a group that holds its core, too."""

    role: Role
    process: ProcessId
    port: int
    url: str
    model_id: str
    served_name: str
    revision: str
    profile: str


def write_states(state_dir: Path, states: Iterable[EngineState]) -> None:
    """Replace the state file in one step, so that a reader never sees half of it."""
    written = json.dumps(
        {s.role: {**asdict(s), "process": str(s.process)} for s in states}, indent=2
    )
    replace_file(state_dir / _FILE, written.encode())


def read_states(state_dir: Path) -> dict[Role, EngineState]:
    """What the state file says, true or not; empty if there is none.

    Raises:
        DamagedFileError: it is not as ``write_states`` writes it.
    """
    path = state_dir / _FILE
    if not path.is_file():
        return {}
    with understood(path):
        entries: Mapping[str, dict[str, str]] = dict(json.loads(path.read_bytes()))
        return {
            role: EngineState(
                **{**entries[role], "process": ProcessId.parse(entries[role]["process"])}  # type: ignore[arg-type] # read back as written
            )
            for role in ROLES
            if role in entries
        }


def running_engines(state_dir: Path) -> dict[Role, EngineState]:
    """The engines of the state file that live and answer now."""
    return {
        role: state
        for role, state in read_states(state_dir).items()
        if is_alive(state.process) and is_healthy(state.url)
    }


def family(pid: int) -> list[psutil.Process]:
    """A process and all that descend from it; none if it is gone."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def listens(pid: int, port: int) -> bool:
    """Whether the process itself, or a child of it, listens on a port; else another one answers."""
    try:
        sockets = [one for member in family(pid) for one in member.net_connections("tcp")]
    except psutil.NoSuchProcess:
        return False
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in sockets)


def is_healthy(url: str) -> bool:
    """Whether an engine answers 200 on /health within two seconds."""
    try:
        # trust_env off: a proxy for the outside world must not be asked for the loopback
        response = httpx.get(f"{url}/health", timeout=_HEALTH_TIMEOUT_S, trust_env=False)
    except httpx.TransportError:
        return False
    return response.status_code == 200
