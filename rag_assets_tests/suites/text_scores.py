"""Compare an answer with the accepted ones: SQuAD's exact match and F1, containment, labels.

Normalisation is SQuAD's (lower case, punctuation deleted, English articles dropped, white space
squeezed), widened to other scripts: NFKC and case folding, and all of Unicode's punctuation.
Combining marks stay, since without its vowel signs a Hindi or Thai word is another word.

A *token* is a word between spaces, except in scripts that put none between words (Chinese,
Japanese kana, Thai, Lao, Khmer, Burmese): there each character with its combining marks is one.
For Chinese this is the rule of MLQA's script (Lewis et al., ACL 2020); for the others it is the
same rule applied likewise.

Source: Rajpurkar et al., "SQuAD", EMNLP 2016, and its evaluation script.
"""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Literal, cast

from rag_assets.evaluations.facts import without_markers

Label = Literal["yes", "no", "maybe"]

_ARTICLES = frozenset({"a", "an", "the"})
_DECIMAL_POINT = "\ue000"  # private use: stands for the point of 3.5 while punctuation is deleted
# Code point ranges, both ends included, of the scripts without spaces between words.
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # Han iteration mark, closing mark, zero
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),  # Katakana extensions
    (0x3400, 0x4DBF),  # Han extension A
    (0x4E00, 0x9FFF),  # Han
    (0xF900, 0xFAFF),  # Han compatibility
    (0x20000, 0x323AF),  # Han extensions B to H
)
_EMPHASIS = re.compile("[*_`\"'\u2018\u2019\u201c-\u201e\u00ab\u00bb]")  # Markdown's, and quotes
_LABEL_OPENS = re.compile(r"(?:^|[.!?:;]\s|\n)\s*(yes|no|maybe)\b(?!-)")
_LABEL_CLOSES = re.compile(
    r"\banswer (?:is|would be) (yes|no|maybe)\b|(?<!-)\b(yes|no|maybe)(?=[,.;:!)]|$)"
)


def normalised(text: str) -> str:
    """SQuAD's normal form: "The U.S.,  in 1,240 days" becomes "us in 1240 days".

    Punctuation is deleted, not replaced: "twenty-five" becomes "twentyfive", "3.5" becomes "35".
    A text of nothing but articles and punctuation becomes "". English articles go in all languages,
    as in XQuAD's scores: "Nghệ An" becomes "nghệ".
    """
    return _without_punctuation(text, "")


def exact_match(answer: str, expected: Sequence[str]) -> bool:
    """Whether the answer has the tokens of an accepted one, in their order.

    Args:
        answer: as given, without citation markers.
        expected: the accepted answers, at least one.

    Raises:
        ValueError: nothing is expected.
    """
    given = _tokens(normalised(answer))
    return any(given == _tokens(normalised(form)) for form in _some(expected))


def token_f1(answer: str, expected: Sequence[str]) -> float:
    """Harmonic mean of token precision and recall, against the accepted answer that fits best.

    Precision is the share of the answer's tokens that the accepted answer has as well, recall the
    converse; repeated tokens count as often as they occur in both. Where one side has no tokens
    the score is 1 if the other has none either, else 0, as in SQuAD 2.0.

    Args:
        answer: as given, without citation markers.
        expected: the accepted answers, at least one.

    Returns:
        In [0, 1].

    Raises:
        ValueError: nothing is expected.
    """
    given = _tokens(normalised(answer))
    return max(_f1(given, _tokens(normalised(form))) for form in _some(expected))


def contains(answer: str, expected: Sequence[str]) -> bool:
    """Whether the tokens of an accepted answer stand in the answer, side by side.

    So "42" is in "the 42 men" and in "共有42人", not in "1428"; in scripts without spaces this is
    a search for the substring. Punctuation is read both ways, deleted ("US" is in "the U.S. army")
    and as a blank ("1995" is in "1990-1995"); the point of a decimal number stays ("35" is not in
    "3.5"). An accepted answer without tokens is in no answer.

    Args:
        answer: as given, without citation markers.
        expected: the accepted answers, at least one.

    Raises:
        ValueError: nothing is expected.
    """
    return any(_stands_in(form, answer) for form in _some(expected))


def label_of(answer: str) -> Label | None:
    """The answer to a yes/no/maybe question that a text gives, or None where it gives none.

    That is the first label that opens a sentence, a line or what follows a colon ("Yes, it does.",
    "Answer: no"); failing that, the first that closes a clause or follows "answer is" ("I would
    say maybe."). A "no" in the midst of a clause is a determiner ("there is no cure"), no label.
    """
    text = _EMPHASIS.sub("", without_markers(answer)).casefold()
    opening = _LABEL_OPENS.search(text)
    if opening:
        return cast(Label, opening[1])
    closing = _LABEL_CLOSES.search(text)
    return cast(Label, closing[1] or closing[2]) if closing else None


def _some(expected: Sequence[str]) -> Sequence[str]:
    if isinstance(expected, str) or not expected:
        raise ValueError(f"expected a list of accepted answers, at least one, got {expected!r}")
    return expected


def _without_punctuation(text: str, filler: str) -> str:
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    kept = "".join(filler if _is_punctuation(char) else char for char in text)
    kept = unicodedata.normalize("NFKC", kept)  # a letter may now meet its accent
    return " ".join(word for word in kept.split() if word not in _ARTICLES)


def _is_punctuation(char: str) -> bool:
    return char in string.punctuation or unicodedata.category(char).startswith("P")


def _tokens(text: str) -> list[str]:
    return [token for word in text.split() for token in _split(word)]


def _split(word: str) -> list[str]:
    tokens: list[str] = []
    in_run = False  # the last token is of a script with spaces, or a number: it goes on
    for char in word:
        is_mark = unicodedata.category(char).startswith("M")
        alone = _is_unspaced(char)
        if tokens and (is_mark or (in_run and not alone)):
            tokens[-1] += char
        else:
            tokens.append(char)
            in_run = not alone
    return tokens


def _is_unspaced(char: str) -> bool:
    code = ord(char)
    if code < _UNSPACED[0][0] or not any(first <= code <= last for first, last in _UNSPACED):
        return False
    return unicodedata.category(char) in ("Lo", "Lm", "Nl")  # these scripts' digits form numbers


def _f1(given: Sequence[str], wanted: Sequence[str]) -> float:
    if not given or not wanted:
        return float(given == wanted)
    shared = (Counter(given) & Counter(wanted)).total()
    return 2 * shared / (len(given) + len(wanted))


def _stands_in(form: str, answer: str) -> bool:
    for filler in ("", " "):
        wanted, given = _padded(form, filler), _padded(answer, filler)
        if wanted.strip() and wanted in given:
            return True
    return False


def _padded(text: str, filler: str) -> str:
    text = unicodedata.normalize("NFKC", text)
    text = re.sub(r"(?<=\d)\.(?=\d)", _DECIMAL_POINT, text)
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    return f" {' '.join(_tokens(_without_punctuation(text, filler)))} "
