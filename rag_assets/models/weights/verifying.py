"""Whether the weights on disk are still those that were pulled.

What a pull writes is recorded file by file. Before an engine starts, each file's size and a sample
of it are compared, which takes milliseconds. A file whose time is another, as after a copy, is read
whole once. The hashes here find damage, as fast as a disk can be read; that the files are the right
ones is what a pull checks, by the sha256 of the profile.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import xxhash

from rag_assets.files import replace_file

MARKER = ".complete.json"  # written last: no marker, no model
_BLOCK = 1 << 16
_N_BLOCKS = 8  # of a file, at even distances, its first and last among them


def seal(folder: Path, about: Mapping[str, str]) -> None:
    """Record the files of a finished model folder, and with that its being finished."""
    files = {str(path.relative_to(folder)): _facts(path) for path in _files(folder)}
    (folder / MARKER).write_text(json.dumps({**about, "files": files}), "utf-8")


def is_sealed(folder: Path) -> bool:
    """Whether a pull came to its end there."""
    return "files" in _record(folder)


def difference(folder: Path) -> str:
    """How a sealed folder differs from what was recorded of it; "" where it does not."""
    record = _record(folder)
    moved = False
    for name, facts in record["files"].items():
        path = folder / name
        if not path.is_file():
            return f"{path} is gone"
        stat = path.stat()
        if stat.st_size != facts["size"]:
            return f"{path} had {facts['size']:,} bytes and has {stat.st_size:,}"
        if _sample(path) != facts["sample"]:
            return f"{path} has other content than was pulled"
        if stat.st_mtime_ns != facts["time"]:
            if _whole(path) != facts["whole"]:
                return f"{path} has other content than was pulled"
            facts["time"], moved = stat.st_mtime_ns, True
    if moved:
        with suppress(OSError):  # a cache that cannot be written is read whole each time
            replace_file(folder / MARKER, json.dumps(record).encode())
    return ""


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in _files(folder))


def _record(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads((folder / MARKER).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _files(folder: Path) -> Iterator[Path]:
    found = sorted(folder.rglob("*"))
    return (path for path in found if path.is_file() and path.name != MARKER)


def _facts(path: Path) -> dict[str, Any]:
    stat = path.stat()
    return {
        "size": stat.st_size,
        "time": stat.st_mtime_ns,
        "sample": _sample(path),
        "whole": _whole(path),
    }


def _sample(path: Path) -> str:
    size = path.stat().st_size
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        for number in range(_N_BLOCKS):
            file.seek(max(0, size - _BLOCK) * number // (_N_BLOCKS - 1))
            digest.update(file.read(_BLOCK))
    return digest.hexdigest()


def _whole(path: Path) -> str:
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
