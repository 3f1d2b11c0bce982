"""Words, numbers and sentences of a text: what routing, trimming and citation checks compare."""

import re
from collections.abc import Iterator

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?|\d[\d.,:/\-]*\d|\d")
_NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,:]\d+)*")
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+")
_SPACED_GROUP = re.compile(r"(?<=\d)[\u00a0\u202f ](?=\d{3}(?!\d))")
_SENTENCE_END = re.compile(r"(?<=[.!?\u3002\uff01\uff1f])[\"'\u201d\u2019)\]]*\s+(?=\S)|\n+")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|no|nr|approx|ca|mr|mrs|ms|dr|st|fig|z\.B|bzw)|(?<!\u00b0)\b[A-Z])\.$",
    re.IGNORECASE,
)
_ITEM_NUMBER = re.compile(r"\s*\(?\d{1,2}\.")  # of a list: no sentence of its own
_DAY = re.compile(r"\d{1,2}\.$")  # "14. Juni" is no end
_MONTH = re.compile(r"(?:Jan|Feb|M\u00e4r|Apr|Mai|Jun|Jul|Aug|Sep|Okt|Nov|Dez)[a-z]*\b\.?")
_NUMERALS = """
    zero one two three four five six seven eight nine ten eleven twelve
    thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty
"""
_VALUES = {word: str(value) for value, word in enumerate(_NUMERALS.split())}
_STOP_WORDS = """
    a about after all also an and any are as at be because been before being between both but
    by can could did do does doing during each few for from further had has have having he her
    here hers him his how i if in into is it its itself just many may me might more most much
    must my no nor not of off on once only or other our out over own per same shall she should so
    some such tell than that the their them then there these they this those through to too under
    until up upon us very was we were what when where which while who whom whose why will with
    would you your yes please give document documents according answer question
    der die das ein eine und oder ist sind war im in am an auf zu von mit fuer für den dem des
    was wann wo wie wer warum welche welcher welches nicht
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())


def stem(word: str) -> str:
    """A crude stem: enough to match "sails", "sailed" and "sailing", and nothing more."""
    word = word.casefold().replace("\u2019", "'").removesuffix("'s")
    for suffix in ("ies", "ing", "ed", "es", "s"):
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            word = word.removesuffix(suffix)
            if suffix == "ies":
                return f"{word}y"
            if suffix in ("ing", "ed") and len(word) > 3 and word[-1] == word[-2]:
                word = word[:-1]
            break
    return word.removesuffix("e") if len(word) > 3 else word


def content_words(text: str) -> frozenset[str]:
    """Stems of the words that carry meaning; digits are left to ``numbers``."""
    return frozenset(
        stem(match.group())
        for match in _WORD.finditer(text)
        if not match.group()[0].isdigit()
        and match.group().casefold() not in STOP_WORDS
        and match.group().casefold() not in _VALUES
        and len(match.group()) > 1
    )


def numbers(text: str) -> frozenset[str]:
    """Numbers in one spelling: "1,250", "1 250" and "1250" are equal, and so are "two" and "2"."""
    text = _SPACED_GROUP.sub("", text)
    found = {_canonical(match.group()) for match in _NUMBER.finditer(text)}
    found |= {
        _VALUES[match.group().casefold()]
        for match in _WORD.finditer(text)
        if match.group().casefold() in _VALUES
    }
    return frozenset(found)


def _canonical(number: str) -> str:
    if _GROUPED.fullmatch(number):
        return number.replace(",", "")
    if ":" in number:  # a time of day: 7:05 and 07:05
        return ":".join(part.lstrip("0") or "0" for part in number.split(":"))
    number = number.replace(",", ".")
    if number.count(".") == 1:
        whole, fraction = number.split(".")
        if len(fraction) <= 2 or whole == "0":
            fraction = fraction.rstrip("0")
            return f"{whole.lstrip('0') or '0'}{'.' + fraction if fraction else ''}"
        return number
    return number.lstrip("0") or "0"


def terms(text: str) -> frozenset[str]:
    """Content words and numbers together."""
    return content_words(text) | numbers(text)


def coverage(wanted: frozenset[str], held: frozenset[str]) -> float:
    """Share of ``wanted`` that is in ``held``, in [0, 1]; 0 when nothing is wanted."""
    return len(wanted & held) / len(wanted) if wanted else 0.0


def sentences(text: str) -> list[tuple[int, int]]:
    """Half-open (start, end) of each sentence or line, without the white space around it."""
    spans: list[tuple[int, int]] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        if "\n" not in match.group() and (
            _ABBREVIATION.search(text, start, match.start())
            or (_DAY.search(text, start, match.start()) and _MONTH.match(text, match.end()))
            or _ITEM_NUMBER.fullmatch(text, start, match.start())
        ):
            continue
        spans.extend(_stripped(text, start, match.end()))
        start = match.end()
    spans.extend(_stripped(text, start, len(text)))
    return spans


def _stripped(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield start, end
