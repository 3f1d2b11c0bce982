r"""MinHash signatures: 128 numbers that estimate how much two texts share.

**Shingles** are three consecutive words, folded to lower case. A word is a run of letters, digits
and ``_`` (``\w+``); in scripts that put no space between words every character is one. Each word is
hashed by xxh3_64, once as long as it is remembered, and the hashes of three words are mixed in
numpy: between the words the state is multiplied by an odd number and its high half folded into
its low half. Both are bijections of 64 bits, so shingles that differ in one word never collide.

**Signatures** hash every shingle once instead of 128 times (Fast Similarity Sketching, Dahlgaard,
Knudsen, Thorup, FOCS 2017, cut to one round): the top 7 bits of its hash put it into one of 128
bins, the lowest hash of a bin is the bin's number. With the hashes sorted that is one binary
search a bin. A bin that stays empty takes the minimum over all shingles of a hash of its own.
Whether a bin of two texts is equal depends on the lowest member of their union in it, or on all of
the union where none falls in, so it happens with probability equal to the Jaccard similarity,
as with 128 separate hashes, and with less variance (the bins sample without replacement).

Native libraries were measured: rensa signs hashes given to it in 5 µs, this takes 17 to 30, of 110
or so for the whole way from a text of 260 words. But rensa 0.5 changed its numbers, and these are
stored and compared for years.
"""

import re

import numpy as np
import xxhash

VERSION = "2"  # of shingles and bands: raise it when either comes out otherwise
SHINGLE_WORDS = 3
SIGNATURE_SIZE = 128
N_BANDS = 32
SKETCH_MODULUS = 32
# Thai and Lao; Burmese; Khmer; kana; Chinese characters, their rare ones included
_SPACELESS_RANGES = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_SPACELESS = re.compile(f"[{_SPACELESS_RANGES}]")
_SEPARATORS = re.compile(rf"[^\x00-\x7f\w{_SPACELESS_RANGES}]+")  # Thai vowels are no \w
_MOST_REPLACED = 32  # kinds of quotes, dashes and bullets: replacing each is faster than matching
_ASCII_TO_WORDS = bytes(
    code if code >= 128 or chr(code).isalnum() or chr(code) == "_" else 0x20 for code in range(256)
)

_RANDOM = np.random.default_rng(20260101)  # fixed: signatures are stored and compared for years
_ODD = _RANDOM.integers(1, 2**63, SIGNATURE_SIZE, dtype=np.uint64) * 2 + 1
_ODD_32 = _ODD.astype(np.uint32)[:, None]
_BAND_ODD = _ODD[: SIGNATURE_SIZE // N_BANDS]
_BIN_SHIFT = np.uint64(64 - 7)  # 2**7 bins
_BINS = np.arange(SIGNATURE_SIZE, dtype=np.uint64)
_BIN_STARTS = _BINS << _BIN_SHIFT
_HALF = np.uint64(32)
_MIX = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], dtype=np.uint64)


class _WordHashes(dict[bytes, bytes]):
    """Word -> xxh3_64, 8 bytes; forgets everything when full, so at most about 10 MB."""

    MOST_WORDS = 2**16
    LONGEST = 64  # bytes; longer "words" are encoded data, which does not come twice

    def __missing__(self, word: bytes) -> bytes:
        digest = xxhash.xxh3_64_digest(word)
        if len(word) <= self.LONGEST:
            if len(self) >= self.MOST_WORDS:
                self.clear()
            self[word] = digest
        return digest


_word_hashes = _WordHashes()


def words(text: str) -> list[bytes]:
    """The text's words in order, lower case, as UTF-8."""
    text = text.lower()
    if not text.isascii():
        text = _spaced(text)
    return text.encode("utf-8", "surrogatepass").translate(_ASCII_TO_WORDS).split()


def _spaced(text: str) -> str:
    """The text with spaces for separators beyond ASCII, and around characters that are words."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    foreign = "".join(map(chr, np.unique(codes[codes > 0x7F]).tolist()))
    if _SPACELESS.search(foreign):
        return _SEPARATORS.sub(" ", _SPACELESS.sub(r" \g<0> ", text))
    separators = "".join(_SEPARATORS.findall(foreign))
    if len(separators) > _MOST_REPLACED:
        return _SEPARATORS.sub(" ", text)
    for separator in separators:
        text = text.replace(separator, " ")
    return text


def shingles(text: str) -> np.ndarray:
    """Distinct hashes, sorted uint64, of the text's word 3-shingles.

    A text of fewer than three words is one shingle.
    """
    digests = b"".join(map(_word_hashes.__getitem__, words(text)))
    hashed = np.frombuffer(digests.ljust(8 * SHINGLE_WORDS, b"\0"), dtype="<u8")
    mixed = np.zeros(len(hashed) - SHINGLE_WORDS + 1, dtype=np.uint64)
    for place, factor in enumerate(_MIX):
        mixed += hashed[place : place + len(mixed)]
        mixed *= factor
        mixed ^= mixed >> _HALF
    mixed.sort()
    distinct: np.ndarray = mixed[np.concatenate(([True], mixed[1:] != mixed[:-1]))]
    return distinct


def signature_of(hashes: np.ndarray) -> np.ndarray:
    """MinHash signature of a text's shingles, (128,) uint64.

    Args:
        hashes: as ``shingles`` gives them: at least one, sorted, distinct.
    """
    lowest = hashes.take(hashes.searchsorted(_BIN_STARTS), mode="clip")
    empty = np.flatnonzero(lowest >> _BIN_SHIFT != _BINS)
    if len(empty):
        # n shingles leave 128 exp(-n/128) bins empty: at most 6,000 products, where n is 128
        high = (hashes >> _HALF).astype(np.uint32)  # half as wide, four times as fast
        lowest[empty] = np.minimum.reduce(_ODD_32[empty] * high, axis=1)
    return lowest


def bands(hashes: np.ndarray) -> np.ndarray:
    """One uint32 a band, (32,): a hash of its four numbers (multiply-shift over a vector)."""
    mixed = signature_of(hashes).reshape(N_BANDS, -1) @ _BAND_ODD
    return (mixed >> _HALF).astype(np.uint32)


def sketch(hashes: np.ndarray) -> np.ndarray:
    """The shingle hashes that 32 divides, sorted uint64."""
    sampled: np.ndarray = hashes[hashes % np.uint64(SKETCH_MODULUS) == 0]
    return sampled


def n_shared(left: np.ndarray, right: np.ndarray) -> int:
    """How many hashes two sorted arrays of distinct shingle hashes share."""
    few, many = (left, right) if len(left) <= len(right) else (right, left)
    if len(many) > 8 * len(few):  # a page against its book: look each of the few up
        return int(np.count_nonzero(many.take(many.searchsorted(few), mode="clip") == few))
    both = np.concatenate((few, many))
    both.sort(kind="stable")  # which merges two sorted runs
    return int(np.count_nonzero(both[1:] == both[:-1]))


def jaccard(left: np.ndarray, right: np.ndarray) -> float:
    """Jaccard similarity in [0, 1] of two sorted arrays of distinct shingle hashes."""
    shared = n_shared(left, right)
    return shared / (len(left) + len(right) - shared)
