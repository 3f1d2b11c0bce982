"""A copy of a lake in a folder, made while others write to it.

Nothing that Lance has committed is ever changed, only deleted, and by upkeep alone, which waits. So
a table's copy is whole if its versions are listed before anything else is copied. Between tables,
what follows from another table is copied before that other one. Then the copy is what a refresh
leaves that was killed at some moment, which the next refresh completes.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from rag_assets.lake import generations
from rag_assets.lake.errors import LakeError
from rag_assets.lake.store import FORMAT_RECORD, LakeStore
from rag_assets.lake.upkeep import UPKEEP
from rag_assets.progress import Tell

TRIES = 5  # a table may be dropped and made anew under the copy
# Of processes that run now: who reads a generation, what a person has agreed to.
PASSING = ("leases", "accepted")


def copy_lake(store: LakeStore, target: Path, order: Sequence[str], tell: Tell) -> int:
    """Copy the lake into a folder that does not exist yet; how many bytes that took.

    Args:
        store: the lake, in a folder.
        target: the copy's folder.
        order: names of tables, each before those that it follows from. Others come last.
        tell: called with a line for each part.

    Raises:
        LakeError: the lake is on an object store, or a table does not stand still.
    """
    if "://" in store.uri:
        raise LakeError(f"expected a lake in a folder, got {store.uri}; its store can copy it")
    source = Path(store.uri).absolute()
    target.mkdir(0o700, parents=True)
    with store.locked(UPKEEP):
        size = _copy_records(source, target)
        found = store.folders("tables")
        for stage in [*(name for name in order if name in found), *sorted({*found} - {*order})]:
            partitions = store.partitions(stage)
            of_stage = sum(
                _copy_table(source, target, f"tables/{stage}/{name}.lance") for name in partitions
            )
            tell(f"{stage}: {len(partitions):,} tables, {of_stage / 1e6:,.1f} MB")
            size += of_stage
        raw = _copy_all(source / "raw", target / "raw")
        tell(f"raw bytes: {raw / 1e6:,.1f} MB")
    _look_at(target)
    return size + raw


def _copy_records(source: Path, target: Path) -> int:
    """The pointer first: what it names is written before it."""
    records = sorted(_files(source / "records"), key=lambda path: path.name != "live.json")
    below = [path.relative_to(source) for path in records]
    return sum(_copy(source, target, one) for one in below if one.parts[1] not in PASSING)


def _copy_table(source: Path, target: Path, table: str) -> int:
    for _ in range(TRIES):
        try:
            return _copied_table(source / table, target / table)
        except FileNotFoundError:
            shutil.rmtree(target / table, ignore_errors=True)
            if not (source / table).is_dir():  # dropped, and not made anew: it held nothing needed
                return 0
    raise LakeError(
        f"{table} was changed {TRIES} times while it was copied; make the backup while no refresh "
        "is at work"
    )


def _copied_table(source: Path, target: Path) -> int:
    """Copy one table.

    Raises:
        FileNotFoundError: it was dropped meanwhile.
    """
    size = _copy_all(source / "_refs", target / "_refs")  # a tag's version is there before it
    versions = {path: _identity(path) for path in (source / "_versions").iterdir()}
    size += _copy_all(source, target, leave_out=("_refs", "_versions"))
    size += sum(_copy(source, target, path.relative_to(source)) for path in versions)
    if any(_identity(path) != before for path, before in versions.items()):
        raise FileNotFoundError(source)
    return size


def _identity(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _copy_all(source: Path, target: Path, leave_out: Sequence[str] = ()) -> int:
    below = [path.relative_to(source) for path in _files(source)]
    return sum(_copy(source, target, one) for one in below if one.parts[0] not in leave_out)


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder but those that are being written."""
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in sorted(names) if not name.startswith("."))


def _copy(source: Path, target: Path, below: Path) -> int:
    to = target / below
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / below, to)
    return to.stat().st_size


def _look_at(target: Path) -> None:
    """Whether the copy answers.

    Raises:
        LakeError: it has no rows of its live generation, or one of its tables cannot be read.
    """
    copied = LakeStore(str(target))
    for stage in copied.folders("tables"):
        for partition in copied.partitions(stage):
            table = copied.table(stage, partition)
            if table is not None:
                table.count_rows()
    live = generations.live_generation(copied)
    if live is not None and not generations.is_there(copied, live):
        raise LakeError(f"the copy in {target} lacks rows of {live.id}; make the backup again")
    if copied.folders("tables") and copied.get_record(FORMAT_RECORD) is None:
        raise LakeError(f"the copy in {target} does not say its format; make the backup again")
