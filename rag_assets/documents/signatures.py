"""MinHash signatures: 128 numbers that estimate how much two texts share.

Shingles are three consecutive words, folded to lower case, hashed by xxh3_64. The k-th number is
the minimum over all shingles of ``(a_k * h + b_k) mod 2**32`` taken from the high bits of a 64-bit
product (multiply-shift, Dietzfelbinger et al. 1997). Two signatures agree in a
position with probability equal to the Jaccard similarity of the shingle sets (Broder 1997).
"""

import re

import numpy as np
import xxhash

from rag_assets.lake.schemas import N_BANDS

SHINGLE_WORDS = 3
SIGNATURE_SIZE = 128
SKETCH_MODULUS = 32
_WORD = re.compile(r"\w+")
_RANDOM = np.random.default_rng(20260101)  # fixed: signatures are stored and compared for years
_A = _RANDOM.integers(1, 2**63, SIGNATURE_SIZE, dtype=np.uint64) * 2 + 1  # odd
_B = _RANDOM.integers(0, 2**63, SIGNATURE_SIZE, dtype=np.uint64)
_STEP = 4096  # shingles hashed at once: bounds memory at 4 MB a document


def shingles(text: str) -> np.ndarray:
    """Distinct xxh3_64 hashes, sorted uint64, of the text's word 3-shingles.

    A text of fewer than three words is one shingle.
    """
    words = _WORD.findall(text.lower())
    width = min(SHINGLE_WORDS, max(len(words), 1))
    hashes = {
        xxhash.xxh3_64_intdigest(" ".join(words[i : i + width]).encode("utf-8", "surrogatepass"))
        for i in range(len(words) - width + 1)
    } or {0}
    return np.array(sorted(hashes), dtype=np.uint64)


def signature_of(hashes: np.ndarray) -> np.ndarray:
    """MinHash signature of a text's shingles, (128,) uint32."""
    lowest = np.full(SIGNATURE_SIZE, np.iinfo(np.uint32).max, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for start in range(0, len(hashes), _STEP):
            block = hashes[start : start + _STEP, None] * _A + _B
            lowest = np.minimum(lowest, (block >> np.uint64(32)).min(axis=0))
    return lowest.astype(np.uint32)


def bands(hashes: np.ndarray) -> np.ndarray:
    """One uint32 a band, (32,)."""
    rows = signature_of(hashes).reshape(N_BANDS, -1)
    return np.array([xxhash.xxh32_intdigest(row.tobytes()) for row in rows], dtype=np.uint32)


def sketch(hashes: np.ndarray) -> np.ndarray:
    """The shingle hashes that 32 divides, sorted uint64."""
    sampled: np.ndarray = hashes[hashes % np.uint64(SKETCH_MODULUS) == 0]
    return sampled


def jaccard(left: np.ndarray, right: np.ndarray) -> float:
    """Jaccard similarity in [0, 1] of two sorted arrays of distinct shingle hashes."""
    shared = len(np.intersect1d(left, right, assume_unique=True))
    return shared / (len(left) + len(right) - shared)
