"""Files of Debian's packages, which some benchmarks read."""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rag_assets_tests.benchmarks.findings import BenchmarkError, Say


def unpacked(package: str, cache: Path, say: Say, *, otherwise: str = "") -> Path:
    """The folder of a package's files, fetched by apt at the first call.

    ``otherwise`` ends the errors' sentences: what a caller can do besides, as "or take your own".

    Raises:
        BenchmarkError: there is no apt, or it does not get the package.
    """
    home, more = cache / package, f", {otherwise}" if otherwise else ""
    if home.is_dir():
        return home
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise BenchmarkError(
                f"expected {tool}, to fetch the Debian package {package}; found none. Unpack the "
                f"package elsewhere and put its files into {home}{more}"
            )
    say(f"fetching {package}")
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as folder:
        _run(["apt-get", "download", package], Path(folder), more)
        archive = next(Path(folder).glob("*.deb"))
        _run(["dpkg-deb", "-x", archive.name, "unpacked"], Path(folder), more)
        (Path(folder) / "unpacked").replace(home)
    return home


def _run(command: Sequence[str], folder: Path, more: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(
            f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()[-500:]}; run "
            f"`apt-get update`{more}"
        )
