"""How much the engines have computed."""

from contextlib import suppress
from pathlib import Path

import psutil

from rag_assets.models.engines.state import family, read_states
from rag_assets.process_identity import is_alive


def core_seconds(state_dir: Path) -> dict[str, float]:
    """Seconds of a processor core that each engine which runs has used since it started."""
    return {
        role: sum(map(_used, family(state.process.pid)))
        for role, state in read_states(state_dir).items()
        if is_alive(state.process)
    }


def _used(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        # of children that ended, too: they are in no family any more
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0
