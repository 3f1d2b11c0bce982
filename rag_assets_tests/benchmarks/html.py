"""HTML and encodings: speed and main content next to trafilatura's own, texts next to gold ones.

Both sides of the speed comparison get the same bytes in the same number of processes, in turns.
Content F1 is that of Zyte's article extraction benchmark: multisets of 4-word shingles; a page's
true and false positives and false negatives are divided by their sum, so that each page weighs
the same, and summed over pages.
"""

import gzip
import json
import multiprocessing
import re
import tarfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import chardet
import numpy as np
import trafilatura
from charset_normalizer import from_bytes
from trafilatura.settings import Document

from rag_assets.documents.readers.blocks import RejectedError
from rag_assets.documents.readers.declaration import declared_encoding, python_name
from rag_assets.documents.readers.decoding import decode
from rag_assets.documents.readers.html.page import read_html
from rag_assets.documents.reading import read_document
from rag_assets.evaluations.statistics import bootstrap
from rag_assets_tests.benchmarks.findings import BenchmarkError, Goal, Part, Say, Table

ARTICLES, PAGES = "html-zyte-articles", "html-trafilatura-eval"
N_PROCESSES = 2
N_ROUNDS = 5
MAX_TIME = 1.15  # of trafilatura's
_WORD = re.compile(r"\w+")
_SAME: dict[str, Any] = {"include_comments": False, "include_tables": True, "favor_recall": True}

Gold = tuple[dict[str, object], bytes]  # what is known of a page, and the page
Counts = np.ndarray


def measure_speed(data: Path, say: Say, *, n_rounds: int = N_ROUNDS, step: int = 1) -> Part:
    """Pages/s of the whole reading next to trafilatura alone; every ``step``-th page."""
    pages = [page for name in (ARTICLES, PAGES) for _, page in _gold(data, name)][::step]
    names = ("ours", "same product", "default")
    seconds: dict[str, list[float]] = {name: [] for name in names}
    # spawn, as the product's own workers: a forked copy of a thread's lock hangs
    with multiprocessing.get_context("spawn").Pool(N_PROCESSES) as pool:
        for number in range(-1, n_rounds):  # the first round loads modules and models
            for name in names:
                start = time.perf_counter()
                pool.map(_FUNCTIONS[name], pages, chunksize=8)
                if number >= 0:
                    seconds[name].append(time.perf_counter() - start)
            say(f"round {number + 1} of {n_rounds}")
    rows = [(_LABELS[name], *_rates(seconds[name], seconds["ours"], len(pages))) for name in names]
    ratio = float(np.median(np.divide(seconds["ours"], seconds["same product"])))
    return Part(
        "html-speed",
        f"HTML, {len(pages)} pages in {N_PROCESSES} processes, {n_rounds} rounds in turns",
        [Table("Speed", ("what", "pages/s, median", "our time, times its (range)"), rows)],
        [Goal(f"at most {MAX_TIME} of trafilatura's time", f"{ratio:.2f}", ratio <= MAX_TIME)],
        ["Ours is decoding, extraction, cleaning, language, quality flags and signatures."],
    )


def measure_content(data: Path, say: Say) -> Part:
    """F1 of the main content of articles; sentences that must and must not come out of pages."""
    articles = list(_gold(data, ARTICLES))
    pages = list(_gold(data, PAGES))
    scores, shares = {}, {}
    for name, extract in _EXTRACTORS.items():
        scores[name] = np.array(
            [_shingle_counts(extract(page), str(gold["article_body"])) for gold, page in articles]
        )
        shares[name] = _found_shares([(gold, extract(page)) for gold, page in pages])
        say(f"{name}: F1 {_quality(scores[name].sum(axis=0))[0]:.3f}")
    ours = scores["ours"]
    rows = []
    for name, counts in scores.items():
        figures = [f"{value:.3f}" for value in _quality(counts.sum(axis=0))]
        rows.append((name, *figures, "" if counts is ours else _difference(ours, counts)))
    own = {name: float(_quality(c.sum(axis=0))[0]) for name, c in scores.items()}
    best = max(own["trafilatura, default"], own["trafilatura, recall"])
    return Part(
        "html-content",
        f"Main content, {len(articles)} articles and {len(pages)} pages of many kinds",
        [
            Table("Articles", ("extractor", "F1", "precision", "recall", "ours - its F1"), rows),
            Table(
                "Pages",
                ("extractor", "wanted sentences", "unwanted sentences"),
                [(name, *(f"{share:.1%}" for share in pair)) for name, pair in shares.items()],
            ),
        ],
        [Goal("F1 not below trafilatura's", f"{own['ours']:.3f} to {best:.3f}",
              own["ours"] >= best)],
        ["Differences: with 95 % bootstrap intervals over pages, the same pages on both sides.",
         "Trafilatura was tuned on the pages of many kinds, not on the articles."],
    )  # fmt: skip


def measure_encodings(data: Path, say: Say) -> Part:
    """Files whose text equals the decoding by their label; sniffing as browsers do."""
    rows = list(_files(data, "encodings", "files.tar.xz", "labels.jsonl.gz"))
    right: Counter[str] = Counter()
    wrong: list[Sequence[str]] = []
    n_files = 0
    for row, content in rows:
        try:
            gold = content.decode(str(row["encoding"])).lstrip("\ufeff")
        except LookupError:
            continue  # Python has no such codec
        n_files += 1
        for name, decoder in _DECODERS.items():
            text, encoding = decoder(content)
            if text is not None and text.lstrip("\ufeff") == gold:
                right[name] += 1
            elif name == "ours":
                wrong.append((str(row["file"]), str(row["encoding"]), encoding))
    say(f"encodings: {dict(right)} of {n_files}")
    sniffed, n_sniffed = _sniffed(data)
    table = [(name, f"{right[name]} of {n_files}") for name in _DECODERS]
    return Part(
        "encodings",
        "Texts equal to those by the label",
        [
            Table("Files", ("decoder", "equal texts"), table),
            Table("Ours, unequal", ("file", "label", "found"), wrong),
            Table(
                "html5lib's sniffing tests", ("as browsers do",), [(f"{sniffed} of {n_sniffed}",)]
            ),
        ],
        [Goal("all texts equal", f"{right['ours']} of {n_files}", right["ours"] == n_files)],
        ["The files are chardet's own tests: what it reaches here it was made to reach."],
    )


def ours(page: bytes) -> str:
    """The text of the blocks that the product's reader finds."""
    try:
        return "\n".join(block.text for block in read_html(page).blocks)
    except RejectedError:
        return ""


def _theirs(page: bytes, **options: Any) -> str:  # noqa: ANN401 - trafilatura's
    return trafilatura.extract(_text(page), **options) or ""


@cache
def _text(page: bytes) -> str:
    return decode(page)[0]  # the same decoding for all


_EXTRACTORS: dict[str, Callable[[bytes], str]] = {
    "ours": ours,
    "trafilatura, default": partial(_theirs, include_comments=False),
    "trafilatura, with comments": _theirs,
    "trafilatura, recall": partial(_theirs, include_comments=False, favor_recall=True),
    "trafilatura, precision": partial(_theirs, include_comments=False, favor_precision=True),
}


def _read(page: bytes) -> None:
    read_document(page, "page.html")


def _same_product(page: bytes) -> None:
    result = trafilatura.bare_extraction(page, with_metadata=True, **_SAME)
    if not isinstance(result, Document):
        return


def _default(page: bytes) -> None:
    trafilatura.extract(page)


_FUNCTIONS: dict[str, Callable[[bytes], None]] = {
    "ours": _read,
    "same product": _same_product,
    "default": _default,
}
_LABELS = {
    "ours": "read_document",
    "same product": "trafilatura.bare_extraction: recall, metadata, tables, no comments",
    "default": "trafilatura.extract: as it comes, without metadata",
}


def _rates(theirs: Sequence[float], mine: Sequence[float], n_pages: int) -> tuple[str, str]:
    ratios = np.divide(mine, theirs)
    spread = f"{np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})"
    return f"{n_pages / np.median(theirs):.0f}", spread


def _shingle_counts(found: str, gold: str) -> tuple[float, float, float]:
    """True and false positives and false negatives, divided by their sum."""
    a, b = _shingles(found), _shingles(gold)
    both = (a & b).total()
    total = a.total() + b.total() - both
    if not total:
        return 0.0, 0.0, 0.0
    return both / total, (a.total() - both) / total, (b.total() - both) / total


def _shingles(text: str) -> Counter[tuple[str, ...]]:
    words = _WORD.findall(text)
    last = max(1, len(words) - 3) if words else 0
    return Counter(tuple(words[start : start + 4]) for start in range(last))


def _quality(sums: Counts) -> Counts:
    """F1, precision and recall, from sums (..., 3)."""
    true, false, missed = np.moveaxis(sums, -1, 0)
    return np.array([
        2 * true / np.maximum(2 * true + false + missed, 1e-9),
        true / np.maximum(true + false, 1e-9),
        true / np.maximum(true + missed, 1e-9),
    ])  # fmt: skip


def _difference(mine: Counts, theirs: Counts) -> str:
    gap = _quality(mine.sum(axis=0))[0] - _quality(theirs.sum(axis=0))[0]
    low, high = bootstrap(lambda n: _quality(n @ mine)[0] - _quality(n @ theirs)[0], len(mine))
    return f"{gap:+.3f} ({low:+.3f} to {high:+.3f})"


def _found_shares(pages: Sequence[tuple[dict[str, object], str]]) -> tuple[float, float]:
    """Of the sentences that must come out of pages, and of those that must not: what came out."""
    shares = []
    for key in ("must_contain", "must_not_contain"):
        found = [
            " ".join(str(sentence).split()) in folded
            for gold, text in pages
            for folded in [" ".join(text.split())]
            for sentence in _list(gold[key])
        ]
        shares.append(sum(found) / max(1, len(found)))
    return shares[0], shares[1]


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _by_ours(content: bytes) -> tuple[str | None, str]:
    try:
        return decode(content)
    except RejectedError as error:
        return None, error.reason


def _by_chardet(content: bytes) -> tuple[str | None, str]:
    encoding = chardet.detect(content)["encoding"]
    try:
        return (content.decode(encoding) if encoding else None), str(encoding)
    except (LookupError, UnicodeError):
        return None, str(encoding)


def _by_charset_normalizer(content: bytes) -> tuple[str | None, str]:
    best = from_bytes(content).best()
    return (None, "") if best is None else (str(best), best.encoding)


_DECODERS = {
    "ours": _by_ours,
    "chardet alone": _by_chardet,
    "charset-normalizer": _by_charset_normalizer,
}


def _sniffed(data: Path) -> tuple[int, int]:
    """Right ones, and all: html5lib's pages, read as a browser in the West would."""
    right = total = 0
    for row, content in _files(data, "fuzz-html", "files.tar.xz", "manifest.jsonl.gz"):
        expected = row.get("expected_encoding")
        if expected is not None:
            total += 1
            found = declared_encoding(content) or "cp1252"
            if content.startswith(b"\xef\xbb\xbf"):
                found = "utf-8"
            right += found == python_name(str(expected).encode())
    return right, total


def _gold(data: Path, name: str) -> Iterator[Gold]:
    return _files(data, name, "pages.tar.xz", "gold.jsonl.gz")


def _files(data: Path, name: str, archive: str, rows: str) -> Iterator[Gold]:
    """What is known of each file of a data set, with its bytes.

    Raises:
        BenchmarkError: the data set is not there.
    """
    home = data / name
    if not (home / archive).is_file():
        raise BenchmarkError(f"expected {home / archive}; RAG_EVAL_DATA names another folder")
    with gzip.open(home / rows, "rt", encoding="utf-8") as lines:
        known = {row["file"]: row for row in map(json.loads, lines)}
    with tarfile.open(home / archive) as tar:
        for member in tar:
            stored = tar.extractfile(member) if member.isfile() else None
            if stored is not None and member.name in known:
                yield known[member.name], stored.read()
