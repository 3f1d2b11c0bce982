"""What becomes of odd files: every one is a document or a rejection with its reason, none a crash.

Each file goes through the product's own worker process. Its time is the parent's, from handing the
bytes over to having the document; its memory is the worker's peak resident size, set back before
each file (what the loaded libraries need is in it, about 200 MB).
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag_assets.documents.readers.blocks import RejectedError
from rag_assets.documents.worker import ParsingWorker
from rag_assets_tests.benchmarks.data import members
from rag_assets_tests.benchmarks.findings import BenchmarkError, Goal, Part, Say, Table

SETS = ("pdf-varied", "fuzz-html", "encodings")
FAILURES = frozenset({"crash", "timeout", "memory"})  # of the worker, not of the file


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file; ``reason`` is empty for a document."""

    name: str
    size: int
    media_type: str
    reason: str
    detail: str
    seconds: float
    peak_bytes: int


def measure(data: Path, say: Say) -> Part:
    """Outcomes of all files of ``pdf-varied``, ``fuzz-html`` and ``encodings``."""
    rows: list[Sequence[str]] = []
    rejected: list[Sequence[str]] = []
    failures: list[str] = []
    with ParsingWorker() as worker:
        for name in SETS:
            found = [read(worker, file, content) for file, content in files_of(data / name)]
            say(f"{name}: {len(found)} files")
            rows.append(_row(name, found))
            failures += [f"{name}/{o.name}: {o.reason}" for o in found if o.reason in FAILURES]
            rejected += [(name, o.name, o.reason, o.detail[:120]) for o in found if o.reason]
    columns = (
        "set", "files", "documents", "rejected", "reasons", "slowest", "largest worker",
    )  # fmt: skip
    unexplained = [row for row in rejected if not row[3]]
    return Part(
        "outcomes",
        "Every file of pdf-varied, fuzz-html and encodings",
        [
            Table("Outcomes", columns, rows),
            Table("Rejected files", ("set", "file", "reason", "detail"), rejected),
        ],
        [
            Goal("no crash, timeout or memory failure", _listed(failures), not failures),
            Goal(
                "every rejection has a reason",
                f"{len(rejected) - len(unexplained)} of {len(rejected)}",
                not unexplained,
            ),
        ],
    )


def read(worker: ParsingWorker, name: str, content: bytes) -> Outcome:
    """Read one file in the worker and take its time and memory."""
    _proc_of(worker, "clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
    began = time.perf_counter()
    media_type = reason = detail = ""
    try:
        media_type = worker.read(content, name).media_type
    except RejectedError as error:
        reason, detail = error.reason, error.detail
    seconds = time.perf_counter() - began
    peak = 0
    if worker._process is not None:  # it has not been ended with the file
        status = _proc_of(worker, "status").read_text(encoding="ascii")
        peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
    return Outcome(name, len(content), media_type, reason, detail, seconds, peak)


def _proc_of(worker: ParsingWorker, name: str) -> Path:
    """What the kernel tells of the process that runs now."""
    worker._started()
    assert worker._process is not None
    return Path(f"/proc/{worker._process.pid}/{name}")


def files_of(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each file of a set: a folder of PDFs, or ``files.tar.xz``.

    Raises:
        BenchmarkError: the set is not there.
    """
    archive, loose = folder / "files.tar.xz", sorted(folder.rglob("*.pdf"))
    if not archive.is_file() and not loose:
        raise BenchmarkError(
            f"expected files.tar.xz or PDFs in {folder}, found neither; RAG_EVAL_DATA names the "
            "folder that holds the evaluation data"
        )
    if archive.is_file():
        yield from ((Path(name).name, content) for name, content in members(archive))
    else:
        yield from ((path.name, path.read_bytes()) for path in loose)


def _row(name: str, found: Sequence[Outcome]) -> Sequence[str]:
    reasons = Counter(o.reason for o in found if o.reason)
    slowest = max(found, key=lambda o: o.seconds)
    largest = max(found, key=lambda o: o.peak_bytes)
    n_rejected = sum(reasons.values())
    return (
        name,
        str(len(found)),
        str(len(found) - n_rejected),
        str(n_rejected),
        ", ".join(f"{reason} {n}" for reason, n in reasons.most_common()) or "-",
        f"{slowest.seconds:.2f} s ({slowest.name[:40]})",
        f"{largest.peak_bytes / 2**20:.0f} MB ({largest.name[:40]})",
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
