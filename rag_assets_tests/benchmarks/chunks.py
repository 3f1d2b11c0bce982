"""Cutting sections into chunks: its time next to that of the tokenizer alone on the same texts.

Both sides get the same sections in the same batches and the embedder's own tokenizer, in turns. The
tokenizer's side is one call of ``encode_batch`` a batch, which uses all cores, and nothing is read
of what comes back. Ours is all between rows of ``sections`` and an Arrow table of ``chunks``:
headers, cuts, exact sizes, ids, hashes.

Seconds by the clock depend on what else runs; seconds of processor time, over all threads, do much
less. Both are shown.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from rag_assets.chunks.chunking import embedded_text, floor_of
from rag_assets.chunks.stage import CHUNKS, chunk_rows
from rag_assets.documents.cleaning import clean_blocks
from rag_assets.documents.readers.blocks import RejectedError
from rag_assets.documents.readers.text.plaintext import text_blocks
from rag_assets.documents.reading import read_document
from rag_assets.evaluations.statistics import bootstrap
from rag_assets.lake.schemas import stage_rows
from rag_assets.models.clients.tokens import Tokenizer
from rag_assets.models.protocols import Counter
from rag_assets.models.weights.choosing import active_profile
from rag_assets.models.weights.pulling import cache_root, require_pulled
from rag_assets.sections.tree import cut_sections
from rag_assets_tests.benchmarks.data import json_lines, members
from rag_assets_tests.benchmarks.findings import BenchmarkError, Goal, Part, Say, Table

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "sample" / "corpus"
ARTICLES, PDFS, PAGES = "neardup-articles", "pdf-varied", "html-zyte-articles"
N_PDFS = 150
N_ARTICLES = 300
N_ROUNDS = 9
BATCH = 512  # sections, as the stage takes them
MAX_TIME = 1.2  # of the tokenizer's

Section = dict[str, Any]
Seconds = tuple[float, float]  # by the clock, of the processor


def measure(data: Path, say: Say, *, n_rounds: int = N_ROUNDS, tokenizer: Counter | None = None,
            window: int = 0) -> Part:  # fmt: skip
    """Time of cutting over time of tokenising, and what the chunks are like.

    Args:
        data: folder of the evaluation data.
        say: told lines of progress.
        n_rounds: of which the figures are medians; one more comes first and does not count.
        tokenizer: default: the active profile's embedder's.
        window: tokens of a chunk at most; default: that embedder's.

    Raises:
        BenchmarkError: data is missing.
        NotPulledError: the embedder's tokenizer is.
    """
    if tokenizer is None:
        spec = active_profile().spec("embedder")
        tokenizer = pulled = Tokenizer.from_dir(require_pulled(spec, cache_root()))
        window = spec.max_model_len - pulled.n_special
    sets = dict(_sets(data, say))
    times = {name: _timed(sections, tokenizer, window, n_rounds) for name, sections in sets.items()}
    sets["all"] = [section for sections in sets.values() for section in sections]
    times["all"] = np.sum(list(times.values()), axis=0)
    speeds = [_speed_row(name, sections, *times[name]) for name, sections in sets.items()]
    shapes = [_shape_row(name, sections, tokenizer, window) for name, sections in sets.items()]
    ours, alone, _ = times["all"]
    by_clock, by_processor = (_interval((ours / alone)[:, column]) for column in (0, 1))
    n_wrong = sum(int(row[-1]) for row in shapes)
    return Part(
        "chunks",
        f"Sections to chunks of at most {window} tokens, {n_rounds} rounds in turns",
        [
            Table(
                "Time, ours over the tokenizer's: median of rounds and its 95 % interval",
                ("set", "sections", "million characters", "tokenizer alone, ms",
                 "ratio by the clock", "ratio of processor time", "to one text at a time"),
                speeds,
            ),
            Table(
                "Chunks",
                ("set", "chunks", "median tokens of text", f"below {floor_of(window)} tokens",
                 "of which all of their section", "sizes that differ from a fresh count"),
                shapes,
            ),
        ],
        [
            Goal(f"at most {MAX_TIME} of the tokenizer's time", by_clock[1],
                 by_clock[0] <= MAX_TIME),
            Goal(f"at most {MAX_TIME} of the tokenizer's processor time", by_processor[1],
                 by_processor[0] <= MAX_TIME),
            Goal("every stored size equals a fresh count", f"{n_wrong} differ", n_wrong == 0),
        ],
        ["Intervals: bootstrap over rounds; all: the sums of the sets, round by round.",
         "The last ratio: processor time of ours over that of the tokenizer called text by text."],
    )  # fmt: skip


def _sets(data: Path, say: Say) -> Iterator[tuple[str, list[Section]]]:
    pdfs = sorted((data / PDFS / "files").rglob("*.pdf"))[:N_PDFS]
    if not pdfs:
        raise BenchmarkError(
            f"expected PDFs in {data / PDFS / 'files'}, found none; RAG_EVAL_DATA names the folder "
            "that holds the evaluation data"
        )
    files = [path for path in sorted(SAMPLE.rglob("*")) if path.is_file()]
    sources: dict[str, Iterator[tuple[str, bytes]]] = {
        "sample corpus": ((path.name, path.read_bytes()) for path in files),
        PAGES: members(data / PAGES / "pages.tar.xz"),
        PDFS: ((path.name, path.read_bytes()) for path in pdfs),
    }
    for name, source in sources.items():
        yield name, [section for file in source for section in _sections(*file)]
        say(f"{name}: read")
    rows = enumerate(islice(json_lines(data / ARTICLES / "documents.jsonl.gz"), N_ARTICLES))
    yield ARTICLES, [s for n, row in rows for s in _sections_of_text(f"article {n}", row["text"])]


def _sections(name: str, content: bytes) -> list[Section]:
    try:
        document = read_document(content, name)
    except RejectedError:
        return []
    blocks = [asdict(block) for block in document.blocks]
    return _rows(name, document.title, document.text, blocks)


def _sections_of_text(name: str, text: str) -> list[Section]:
    cleaned = clean_blocks(text_blocks(text))
    return _rows(name, name, cleaned.text, [asdict(block) for block in cleaned.blocks])


def _rows(name: str, title: str, text: str, blocks: list[Section]) -> list[Section]:
    """As they stand in the table ``sections``."""
    return [
        {
            **asdict(section),
            "document_id": name,
            "row_hash": "",
            "title": title,
            "text": text[section.start : section.end],
        }
        for section in cut_sections(name, text, blocks)
    ]


def _timed(
    sections: Sequence[Section], tokenizer: Counter, window: int, n_rounds: int
) -> np.ndarray:
    """Seconds of ours, of the tokenizer alone, and of it text by text: (3, rounds, 2)."""
    batches = [list(sections[n : n + BATCH]) for n in range(0, len(sections), BATCH)]
    texts = [[section["text"] for section in batch] for batch in batches]
    runs: tuple[Callable[[], object], ...] = (
        lambda: [stage_rows(CHUNKS, list(chunk_rows(b, tokenizer, window))) for b in batches],
        lambda: [len(tokenizer.encode(batch)) for batch in texts],
        lambda: [len(tokenizer.encode([text])) for batch in texts for text in batch],
    )
    rounds = [[_seconds(run) for run in runs] for _ in range(n_rounds + 1)]
    return np.array(rounds[1:]).swapaxes(0, 1)


def _seconds(run: Callable[[], object]) -> Seconds:
    clock, processor = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - clock, time.process_time() - processor


def _interval(ratios: np.ndarray) -> tuple[float, str]:
    """The median, and it with its interval as text."""

    def medians(counts: np.ndarray) -> np.ndarray:
        return np.array([np.median(np.repeat(ratios, row)) for row in counts.astype(int)])

    low, high = bootstrap(medians, len(ratios), n_resamples=2000)
    middle = float(np.median(ratios))
    return middle, f"{middle:.2f} ({low:.2f} to {high:.2f})"


def _speed_row(
    name: str,
    sections: Sequence[Section],
    ours: np.ndarray,
    alone: np.ndarray,
    one_by_one: np.ndarray,
) -> Sequence[str]:
    n_chars = sum(len(section["text"]) for section in sections)
    return (
        name,
        str(len(sections)),
        f"{n_chars / 1e6:.2f}",
        f"{np.median(alone[:, 0]) * 1000:.0f}",
        _interval((ours / alone)[:, 0])[1],
        _interval((ours / alone)[:, 1])[1],
        _interval((ours / one_by_one)[:, 1])[1],
    )


def _shape_row(
    name: str, sections: Sequence[Section], counter: Counter, window: int
) -> Sequence[str]:
    rows = list(chunk_rows(sections, counter, window))
    embedded = counter.counts([embedded_text(row["header"], row["text"]) for row in rows])
    sizes = counter.counts([row["text"] for row in rows])
    small = [row for row, n in zip(rows, sizes, strict=True) if n < floor_of(window)]
    parted = {row["section_id"] for row in rows if row["ordinal"] > 0}
    n_alone = sum(row["section_id"] not in parted for row in small)
    n_wrong = sum(row["n_tokens"] != n for row, n in zip(rows, embedded, strict=True))
    middle = np.median(sizes) if sizes else 0
    return (name, str(len(rows)), f"{middle:.0f}", str(len(small)), str(n_alone), str(n_wrong))
