"""Files that others read at any moment."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from rag_assets.errors import RagError

# The name of an empty file in folders that sources leave out: the lake, logs, Dagster's storage.
NO_DOCUMENTS: Final = ".rag_assets"
PART: Final = ".rag-part-"  # how names of files begin that are being written
PART_S: Final = 3600.0  # nobody writes one file for so long


class DamagedFileError(RagError):
    """A file of our own does not hold what we write there; the message says what to do."""


@contextmanager
def understood(path: Path) -> Iterator[None]:
    """Reading a state file: what it holds is as we write it.

    Raises:
        DamagedFileError: in place of whatever the body raises because it is not.
    """
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedFileError(
            f"{path} is damaged ({type(error).__name__}: {error}); remove it, then run `rag down` "
            "and `rag up`"
        ) from error


def replace_file(path: Path, data: bytes) -> None:
    """Write a file in one step: who reads it sees what was there before, or all of ``data``.

    Its folder is made if need be. When this returns the bytes are on the disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=PART, delete=False) as part:
        try:
            part.write(data)
            part.flush()
            os.fsync(part.fileno())
        except BaseException:  # a full disk, or an interrupt; nothing of the attempt is left there
            os.unlink(part.name)
            raise
    os.replace(part.name, path)


def sweep_parts(folder: Path, *, recursive: bool = False) -> int:
    """Delete what writers left that were killed; how many files that were."""
    n_swept = 0
    for part in folder.glob(f"**/{PART}*" if recursive else f"{PART}*"):
        with suppress(FileNotFoundError):  # it was finished, or another sweep was quicker
            if time.time() - part.stat().st_mtime > PART_S:
                part.unlink()
                n_swept += 1
    return n_swept


def ensure_file(path: Path, data: bytes) -> None:
    """Have a file hold ``data``; where it does already nothing is written, so no disk is needed."""
    if not path.is_file() or path.read_bytes() != data:
        replace_file(path, data)
