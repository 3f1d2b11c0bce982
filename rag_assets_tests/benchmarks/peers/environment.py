"""Environments of the peers: one each, from its pinned requirements, kept in the cache."""

import hashlib
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path

from rag_assets_tests.benchmarks.findings import BenchmarkError, Say

_DONE = "installed"  # written last: an environment without it was cut off while it was made


def python_of(peer: str, cache: Path, say: Say) -> Path:
    """The interpreter of a peer's environment, which is made if it is not there.

    Raises:
        BenchmarkError: the peer cannot be installed.
    """
    wanted = resources.files(__package__).joinpath(f"requirements-{peer}.txt").read_text("utf-8")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    digest = hashlib.sha256(f"{version}\n{wanted}".encode()).hexdigest()[:12]
    home = cache / "benchmarks" / f"{peer}-{digest}"
    python = home / "bin" / "python"
    if (home / _DONE).is_file():
        return python
    say(f"installing {peer} in an environment of its own")
    shutil.rmtree(home, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(home)], peer)
    listed = home / "requirements.txt"
    listed.write_text(wanted, "utf-8")
    # pip chose all of them once: there is nothing left to resolve
    pip = [
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--requirement",
        str(listed),
    ]
    _run(pip, peer)
    (home / _DONE).touch()
    return python


def _run(command: list[str], peer: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if "ERROR" in line]
        raise BenchmarkError(
            f"{peer} cannot be installed: {' '.join(errors) or done.stderr.strip()[-300:]}"
        )
