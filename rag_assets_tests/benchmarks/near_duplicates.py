"""Near duplicates: speed against rensa and datasketch, precision and recall against exact Jaccard.

All three get 128 numbers a document and the same word 3-shingles. The two libraries are used as
their manuals say: look up candidates in their LSH index, keep those whose signatures estimate at
least the threshold. Ours are the functions of the ``duplicates`` stage: candidates, then true
Jaccard. Of the pairs found, those that say the same are collapsed: how many, by what differs.
"""

import difflib
import re
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import sparse

from rag_assets.documents.signatures import N_BANDS, SIGNATURE_SIZE, bands, shingles
from rag_assets.duplicates.candidates import MIN_BANDS, Postings, near_candidates
from rag_assets.duplicates.facts import agree, keys_of
from rag_assets.duplicates.grouping import SIBLING_THRESHOLD, SIMILAR_THRESHOLD
from rag_assets.duplicates.verifying import TEXT_KEYS, VERIFIED_PAIRS, Content, Verifier
from rag_assets_tests.benchmarks.data import json_lines
from rag_assets_tests.benchmarks.findings import BenchmarkError, Goal, Part, Say, Table

DATA_SETS = ("neardup-revisions", "neardup-articles")
EDGES = (0.7, 0.8, 0.9, 1.0)
ROUNDS = 5
_WORD = re.compile(r"\w+")

Pairs = set[tuple[int, int]]
Strings = list[list[str]]
Run = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Corpus:
    """n texts and their shingles, as hashes (ours) and as strings (what the libraries take)."""

    texts: list[str]
    hashes: list[np.ndarray]
    strings: Strings


def measure(data: Path, say: Say) -> Part:
    """Measure on both near-duplicate sets of ``data`` and on the two together.

    Raises:
        BenchmarkError: data or one of the two libraries is missing.
    """
    rensa, datasketch = _library("rensa"), _library("datasketch")
    texts = {
        name: [row["text"] for row in json_lines(data / name / "documents.jsonl.gz")]
        for name in DATA_SETS
    }
    sets = {**texts, "both": [text for some in texts.values() for text in some]}
    found_rows: list[Sequence[str]] = []
    speed_rows: list[Sequence[str]] = []
    differing_rows: list[Sequence[str]] = []
    goals: list[Goal] = []
    for name, some in sets.items():
        corpus = Corpus(some, [shingles(text) for text in some], strings_of(some))
        similarity = exact_pairs(corpus.hashes)
        say(f"{name}: {len(some)} documents, {len(similarity)} pairs from {SIMILAR_THRESHOLD} on")
        rows, scores = _found(name, corpus, similarity, rensa, datasketch)
        found_rows += rows
        if name == "both":
            goals += _found_goals(*scores)
        else:
            rows, ratios = _speed(name, corpus, rensa, datasketch)
            speed_rows += rows
            goals += [_speed_goal(name, what, some) for what, some in ratios.items()]
            rows, goal = _collapsed(name, some, similarity)
            differing_rows += rows
            goals.append(goal)
    return Part(
        name="duplicates",
        title="Near duplicates: word 3-shingles, 128 numbers a document",
        tables=[
            _speed_table(speed_rows),
            _found_table(found_rows),
            _differing_table(differing_rows),
        ],
        goals=goals,
        notes=_NOTES,
    )


_NOTES = (
    f"rensa's index has our {N_BANDS} bands; datasketch chooses its own for the threshold.",
    "Of rensa and datasketch a pair counts as found if their index proposes it and their "
    f"signatures agree in at least {SIMILAR_THRESHOLD}; of ours if its true Jaccard is as high.",
    "Exact Jaccard is counted over all pairs of documents by a sparse matrix product.",
    "Signatures alone, from hashes that stand ready in memory, are rensa's strength: native code "
    "over a whole corpus in one call. Ours are made document by document, as documents are read.",
)


def _library(name: str) -> ModuleType:
    try:
        return __import__(name)
    except ImportError as error:
        raise BenchmarkError(
            f"expected {name} to compare with, found none; it comes with the dev extra: "
            "pip install -e '.[dev]'"
        ) from error


def strings_of(texts: Sequence[str]) -> Strings:
    """The distinct word 3-shingles of each text as strings, by the quickest plain Python."""
    split = [_WORD.findall(text.lower()) for text in texts]
    return [
        list(set(map(" ".join, zip(some, some[1:], some[2:], strict=False)))) or [" ".join(some)]
        for some in split
    ]


def exact_pairs(hashes: Sequence[np.ndarray]) -> dict[tuple[int, int], float]:
    """All pairs (left < right) of Jaccard 0.7 or more, with it."""
    sizes = np.array([len(some) for some in hashes])
    _, columns = np.unique(np.concatenate(hashes), return_inverse=True)
    rows = np.repeat(np.arange(len(hashes)), sizes)
    holds = sparse.csr_matrix((np.ones(len(rows), dtype=np.int32), (rows, columns)))
    shared = sparse.triu(holds @ holds.T, k=1).tocoo()
    similarity = shared.data / (sizes[shared.row] + sizes[shared.col] - shared.data)
    alike = similarity >= SIMILAR_THRESHOLD
    pairs = zip(shared.row[alike].tolist(), shared.col[alike].tolist(), strict=True)
    return dict(zip(pairs, similarity[alike].tolist(), strict=True))


# The three detectors, each from shingles to pairs


def our_pairs(hashes: Sequence[np.ndarray]) -> Pairs:
    """Pairs that the stage's candidates and its verification find at the threshold."""

    def read(positions: Sequence[int]) -> list[Content]:
        return [Content(hashes[position], (0, 0, 0)) for position in positions]

    postings = Postings.of_bands(np.array([bands(some) for some in hashes]))
    names = pa.array([str(position) for position in range(len(hashes))])
    verifier = Verifier(names, VERIFIED_PAIRS.empty_table(), TEXT_KEYS.empty_table(), read)
    found: Pairs = set()
    for one in postings.owners().tolist():
        others = near_candidates(postings, one)
        alike = others[verifier.compare(one, others).jaccard >= SIMILAR_THRESHOLD]
        found |= {(one, other) for other in alike.tolist()}
    return found


def rensa_pairs(rensa: ModuleType, strings: Strings) -> Pairs:
    """Pairs that rensa's index proposes and its signatures confirm."""
    signatures = rensa.RMinHash.from_token_sets(strings, SIGNATURE_SIZE, 1)
    index = rensa.RMinHashLSH(SIMILAR_THRESHOLD, SIGNATURE_SIZE, N_BANDS)
    index.insert_many(signatures)
    return {
        (one, other)
        for one, proposed in enumerate(index.query_all(signatures))
        for other in proposed
        if one < other and signatures[one].jaccard(signatures[other]) >= SIMILAR_THRESHOLD
    }


def datasketch_pairs(datasketch: ModuleType, strings: Strings) -> Pairs:
    """Pairs that datasketch's index proposes and its signatures confirm."""
    signatures = [_datasketch_signature(datasketch, some) for some in strings]
    index = datasketch.MinHashLSH(threshold=SIMILAR_THRESHOLD, num_perm=SIGNATURE_SIZE)
    for key, signature in enumerate(signatures):
        index.insert(key, signature)
    return {
        (one, other)
        for one, signature in enumerate(signatures)
        for other in index.query(signature)
        if one < other and signature.jaccard(signatures[other]) >= SIMILAR_THRESHOLD
    }


def _datasketch_signature(datasketch: ModuleType, strings: list[str]) -> Any:  # noqa: ANN401 - no types
    signature = datasketch.MinHash(num_perm=SIGNATURE_SIZE)
    signature.update_batch([string.encode() for string in strings])
    return signature


# Precision and recall


def score(found: Pairs, exact: Mapping[tuple[int, int], float]) -> tuple[float, float]:
    """Precision and recall of pairs, both in [0, 1]; 1 where none were found, or there are none."""
    right = len(found & exact.keys())
    return (right / len(found) if found else 1.0, right / len(exact) if exact else 1.0)


def recall_by_band(found: Pairs, exact: Mapping[tuple[int, int], float]) -> list[str]:
    """For each band of Jaccard "found/there are"; the last one takes in 1.0."""
    cells = []
    for low, high in zip(EDGES, (*EDGES[1:-1], 2.0), strict=False):
        there = {pair for pair, similarity in exact.items() if low <= similarity < high}
        cells.append(f"{len(there & found)}/{len(there)}")
    return cells


def _found(
    name: str,
    corpus: Corpus,
    exact: Mapping[tuple[int, int], float],
    rensa: ModuleType,
    datasketch: ModuleType,
) -> tuple[list[Sequence[str]], tuple[float, float]]:
    by_whom = {
        "ours": our_pairs(corpus.hashes),
        "rensa": rensa_pairs(rensa, corpus.strings),
        "datasketch": datasketch_pairs(datasketch, corpus.strings),
    }
    rows: list[Sequence[str]] = []
    for who, found in by_whom.items():
        precision, recall = score(found, exact)
        figures = [f"{precision:.3f}", f"{recall:.3f}", *recall_by_band(found, exact)]
        rows.append([name, who, *figures, str(len(found - exact.keys()))])
    return rows, score(by_whom["ours"], exact)


def _found_table(rows: Sequence[Sequence[str]]) -> Table:
    spans = [f"{low} to {high}" for low, high in pairwise(EDGES)]
    columns = ["set", "detector", "precision", "recall", *spans, "found wrongly"]
    return Table(f"Pairs of exact Jaccard >= {SIMILAR_THRESHOLD}, found by band", columns, rows)


def _found_goals(precision: float, recall: float) -> list[Goal]:
    return [
        Goal("precision at least 0.99", f"{precision:.4f}", precision >= 0.99),
        Goal("recall at least 0.97", f"{recall:.4f}", recall >= 0.97),
    ]


# What differs, and what is collapsed


def what_differs(one: str, other: str) -> str:
    """The gravest kind of word that only one of two texts has: layout if there is none.

    Names are words with a capital that does not begin a sentence or a line. For this report alone:
    no rule of the product tells words apart.
    """
    if agree(keys_of(one), keys_of(other)):
        return "layout alone"
    kinds = set().union(*map(_kinds, _differing(one, other)))
    return next((kind for kind in _KINDS if kind in kinds), "another word")


_KINDS = ("number, date or code", "negation", "name")
_NEGATIONS = frozenset(
    [
        "not",
        "no",
        "never",
        "nor",
        "none",
        "cannot",
        "without",
        "don",
        "doesn",
        "isn",
        "aren",
        "won",
        "t",
    ]
)
_TOKEN = re.compile(r"(?P<start>(?:^|[.!?:]\s|\n)\W*)?(?P<word>\w+)")


def _differing(one: str, other: str) -> Iterable[tuple[str, bool]]:
    """Words, each with whether it begins a sentence, that stand in one of two texts alone."""
    left, right = (
        [(str(match["word"]), match["start"] is not None) for match in _TOKEN.finditer(text)]
        for text in (one, other)
    )
    folded = [[word.casefold() for word, _ in side] for side in (left, right)]
    matcher = difflib.SequenceMatcher(None, folded[0], folded[1], autojunk=False)
    for change, start, end, other_start, other_end in matcher.get_opcodes():
        if change != "equal":
            yield from left[start:end]
            yield from right[other_start:other_end]


def _kinds(token: tuple[str, bool]) -> set[str]:
    word, begins = token
    kinds = set()
    if any(char.isdigit() for char in word):
        kinds.add("number, date or code")
    if word.casefold() in _NEGATIONS:
        kinds.add("negation")
    if word[0].isupper() and not begins:
        kinds.add("name")
    return kinds


def _collapsed(
    name: str, texts: Sequence[str], exact: Mapping[tuple[int, int], float]
) -> tuple[list[Sequence[str]], Goal]:
    """Of the pairs of Jaccard 0.8 or more, how many there are and are collapsed by what differs."""
    there: Counter[str] = Counter()
    collapsed: Counter[str] = Counter()
    keys = [keys_of(text) for text in texts]
    for (one, other), similarity in exact.items():
        if similarity >= SIBLING_THRESHOLD:
            kind = what_differs(texts[one], texts[other])
            there[kind] += 1
            collapsed[kind] += agree(keys[one], keys[other])
    kinds = (*_KINDS, "another word", "layout alone")
    rows: list[Sequence[str]] = [
        [name, kind, str(there[kind]), str(collapsed[kind])] for kind in kinds
    ]
    wrong = sum(collapsed[kind] for kind in kinds[:-1])
    aim = f"{name}: collapsed are all pairs that differ in layout alone, and no others"
    got = f"{collapsed[kinds[-1]]} of {there[kinds[-1]]}, and {wrong} others"
    return rows, Goal(aim, got, collapsed[kinds[-1]] == there[kinds[-1]] and not wrong)


def _differing_table(rows: Sequence[Sequence[str]]) -> Table:
    title = f"Pairs of exact Jaccard >= {SIBLING_THRESHOLD} by the gravest difference"
    return Table(title, ["set", "what differs", "pairs", "collapsed"], rows)


# Speed


def _speed(
    name: str, corpus: Corpus, rensa: ModuleType, datasketch: ModuleType
) -> tuple[list[Sequence[str]], dict[str, list[float]]]:
    texts, hashes, strings = corpus.texts, corpus.hashes, corpus.strings
    token_sets = rensa.RMinHash.from_token_sets
    prehashed = rensa.RMinHash.digest_matrix_from_flat_token_hashes
    offsets = np.concatenate([[0], np.cumsum([len(some) for some in hashes])]).astype(np.uint64)
    flat = np.concatenate(hashes)
    runs: dict[str, dict[str, Run]] = {
        "shingles to signatures": {
            "ours": lambda: [bands(some) for some in hashes],
            "rensa": lambda: token_sets(strings, SIGNATURE_SIZE, 1),
            "datasketch": lambda: [_datasketch_signature(datasketch, some) for some in strings],
            "rensa, given our hashes": lambda: prehashed(flat, offsets, SIGNATURE_SIZE, 1),
        },
        "shingles to pairs": {
            "ours": lambda: our_pairs(hashes),
            "rensa": lambda: rensa_pairs(rensa, strings),
            "datasketch": lambda: datasketch_pairs(datasketch, strings),
        },
        "texts to pairs": {
            "ours": lambda: our_pairs([shingles(text) for text in texts]),
            "rensa": lambda: rensa_pairs(rensa, strings_of(texts)),
            "datasketch": lambda: datasketch_pairs(datasketch, strings_of(texts)),
        },
        "texts to pairs and what is the same": {
            "ours": lambda: _pairs_and_keys(texts),
            "rensa": lambda: rensa_pairs(rensa, strings_of(texts)),
            "ours, pairs alone": lambda: our_pairs([shingles(text) for text in texts]),
        },
    }
    rows: list[Sequence[str]] = []
    ratios: dict[str, list[float]] = {}
    for what, by_whom in runs.items():
        speeds = documents_per_s(by_whom, len(texts))
        ratios[what] = _ratios(speeds["ours"], speeds["rensa"])
        for who, some in speeds.items():
            against = _range(_ratios(speeds["ours"], some)) if who != "ours" else ""
            rows.append([name, what, who, f"{statistics.median(some):,.0f}", against])
    return rows, ratios


def _pairs_and_keys(texts: Sequence[str]) -> tuple[Pairs, list[tuple[int, int, int]]]:
    """The pairs, and the keys of the texts that share bands with others, as in the stage."""
    hashes = [shingles(text) for text in texts]
    owners = Postings.of_bands(np.array([bands(some) for some in hashes])).owners(MIN_BANDS)
    return our_pairs(hashes), [keys_of(texts[owner]) for owner in owners.tolist()]


def documents_per_s(runs: Mapping[str, Run], n_documents: int) -> dict[str, list[float]]:
    """Documents/s of each run in each of ``ROUNDS`` rounds, in which they take turns."""
    speeds: dict[str, list[float]] = {who: [] for who in runs}
    for _ in range(ROUNDS):
        for who, run in runs.items():
            start = time.perf_counter()
            run()
            speeds[who].append(n_documents / (time.perf_counter() - start))
    return speeds


def _ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    return [mine / other for mine, other in zip(ours, theirs, strict=True)]


def _range(ratios: Sequence[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def _speed_table(rows: Sequence[Sequence[str]]) -> Table:
    title = f"Documents/s, median of {ROUNDS} rounds in turn"
    return Table(title, ["set", "what", "by", "documents/s", "ours / theirs (range)"], rows)


def _speed_goal(name: str, what: str, ratios: Sequence[float]) -> Goal:
    aim = f"{what}, {name}: at least rensa's documents/s"
    return Goal(aim, f"{_range(ratios)} times", statistics.median(ratios) >= 1)
