"""Numbers of a text by value, with what they measure or count.

"2,480 euros" in English, "2.480 Euro" in German, "1'250" and "twelve" are read by value. A version
is no value: 2.1 and 2.10 are two releases. Dates and times of day are read in one spelling.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations, pairwise

from rag_assets.answers.polarity import ONE_OF_FEW
from rag_assets.retrieval.terms import STOP_WORDS, stem

_WORDS = {
    word: value
    for line in (
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
        " fifteen sixteen seventeen eighteen nineteen twenty",
        "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf",
        "zéro un deux trois quatre cinq six sept huit neuf dix onze douze",
    )
    for value, word in enumerate(line.split())
}
_TENS = {
    word: value
    for value, word in enumerate(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], start=2
    )
}
_TENS = {word: 10 * value for word, value in _TENS.items()}
_SCALES = {
    "thousand": 1000, "tausend": 1000, "mille": 1000, "million": 10**6, "millions": 10**6,
    "millionen": 10**6, "mio": 10**6, "billion": 10**9, "milliarden": 10**9, "milliards": 10**9,
}  # fmt: skip
_MONTHS = """
    january januar janvier jan|february februar février feb|march märz mars mar|april avril apr
    |may mai|june juni juin jun|july juli juillet jul|august août aug|september septembre sep
    |october oktober octobre oct okt|november novembre nov|december dezember décembre dec dez
"""
MONTHS = {
    word: f"month{number}"
    for number, words in enumerate(_MONTHS.split("|"), start=1)
    for word in words.split()
}
_WORDS_TOO = frozenset(("may", "march", "mar", "mars", "jan", "sep", "dec"))  # unless capitalised
_UNITS = """
    mm millimetre millimeter|cm centimetre centimeter zentimeter|m metre meter mètre
    |km kilometre kilometer kilomètre|ft foot feet|mi mile meile|nmi|mg milligram
    |g gram gramm gramme|kg kilo kilogram kilogramm kilogramme|t tonne ton|lb lbs pound pfund £ gbp
    |ml millilitre
    |l litre liter|mpa|kpa|bar|s sec second sekunde seconde|min minute|h hr hour stunde heure
    |day tag jour|week woche semaine|month monat mois|year jahr an année yr
    |kn kt knot knoten noeud nœud|km/h kmh kph|mph|m/s|°c celsius|°f fahrenheit
    |% percent per-cent prozent pour-cent|cent rappen|euro € eur|$ dollar usd
    |franc franken chf|crown krone kr
    |¥ yen|kb kilobyte|mb megabyte|gb gigabyte|tb terabyte|w watt|kw kilowatt|mw megawatt|kwh|mwh
    |v volt|hz hertz|khz|mhz|ghz|mm²|m² m2 sqm|km² km2|m³ m3|ha hectare hektar|db|ppm
"""
_UNIT = {word: words.split()[0] for words in _UNITS.split("|") for word in words.split()}
_SHORT = 2  # letters of a unit that is one only behind a number: "m", "in", "min" is a word
_NUMBER = (
    r"\d+(?:(?:[.,:]|(?<=\d)['\u2019](?=\d{3}(?!\d))|[ \u00a0\u202f](?=\d{3}(?![\d.,:])))\d+)*"
)
_TOKEN = re.compile(
    rf"(?P<money>[$€£¥])?\s?(?P<number>(?<![\w.,])(?:(?<!\S)[-\u2212])?(?<![a-zA-Z_]){_NUMBER})"
    r"|(?P<word>--?[A-Za-z][\w-]*|(?<!\w)/[\w./-]+\w|°[CF]|km/h|m/s|[$€£¥%]|m[²³]"
    r"|[^\W_][\w]*(?:['\u2019-][^\W_]\w*)*)"
)
_SPACED_YEAR = re.compile(r"\d{4,}[ \u00a0\u202f]")
_ISO = re.compile(r"(?<![\d-])(\d{4})-(\d\d)-(\d\d)(?![\d-])")
_DOTTED = re.compile(r"(?<![\d.])(\d{1,2})\.(\d{1,2})\.(\d{4})(?!\d)")
_CLOCK = re.compile(r"(?i)(?<![\d.,:])(\d{1,2})(?:[:.](\d\d))?\s?([ap])\.?m\b\.?")
_HOURS = re.compile(r"(?i)(?<![\d.,:])(\d{1,2})\s?(?:h|uhr)\s?(\d\d)(?!\d)")
_UHR = re.compile(r"(?i)(?<![\d.,:])(\d{1,2})[.:](\d\d)\s?uhr\b")
_TENS_WORD = re.compile(rf"(?i)\b({'|'.join(_TENS)})(?:[- ]({'|'.join(list(_WORDS)[1:10])}))?\b")
_DIMENSIONS = [
    frozenset(words.split())
    for words in (
        "s min h day week month year", "mm cm m km ft mi nmi", "mg g kg t lb", "ml l",
        "kb mb gb tb", "km/h mph kn m/s", "cent euro $ franc crown ¥", "°c °f", "w kw mw",
    )
]  # fmt: skip
_SMALL = (STOP_WORDS - {"document", "documents"}) | frozenset(
    [
        "le",
        "la",
        "les",
        "l",
        "un",
        "une",
        "des",
        "du",
        "de",
        "d",
        "et",
        "est",
        "sont",
        "à",
        "au",
        "aux",
        "en",
        "dans",
        "pour",
        "par",
        "sur",
        "avec",
        "que",
        "qui",
        "ce",
        "cette",
        "ces",
        "il",
        "elle",
        "ils",
        "elles",
        "on",
        "se",
        "sa",
        "son",
        "ses",
        "y",
        "einen",
        "einem",
        "einer",
        "eines",
        "bei",
        "aus",
        "nach",
        "vor",
        "um",
        "als",
        "auch",
        "es",
        "er",
        "sie",
        "wir",
        "hat",
        "haben",
        "wird",
        "werden",
        "sein",
        "seit",
        "bis",
        "man",
        "zum",
        "zur",
        "beim",
        "vom",
        "gibt",
    ]
)
_NAMED = frozenset(
    ["version", "release", "v", "section", "route", "line", "linie", "nr", "no", "chapter"]
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of a text.

    Attributes:
        raw: as written, without white space.
        values: its readings; several where a separator may be read in two ways.
        unit: what it is measured in, in one spelling; "" if nothing says so.
        counts: stem of the word behind it, "liferaft" of "6 liferafts"; "" if it is a unit.
        scale: "thousand", "million", as a factor.
        is_version: whether it names a release or a section.
        at: number of the token in the text.
    """

    raw: str
    values: frozenset[Decimal | str]
    unit: str = ""
    counts: str = ""
    scale: int = 1
    is_version: bool = False
    at: int = 0

    def equals(self, other: "Figure") -> bool:
        """Whether both are one number; units are compared elsewhere."""
        if self.raw == other.raw:
            return True
        if self.is_version or other.is_version:
            return False
        return bool(self.values & other.values) or bool(self.scaled() & other.scaled())

    def scaled(self) -> frozenset[Decimal | str]:
        """Its readings times its scale."""
        return frozenset(v * self.scale if isinstance(v, Decimal) else v for v in self.values)

    @property
    def number(self) -> Decimal | None:
        """Its value, if it has just one and is no time of day."""
        (only, *others) = self.values
        return only if not others and isinstance(only, Decimal) else None


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text: as written, its stem, and its place among the tokens."""

    text: str
    stem: str
    at: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text as figures and words, in order."""

    figures: tuple[Figure, ...]
    words: tuple[Word, ...]
    units: frozenset[str]


def unit_of(word: str) -> str:
    """The unit that a word names, in one spelling; "" if none."""
    if len(word) == 1:
        return _UNIT.get(word, "")
    folded = word.casefold().rstrip(".")
    if folded in _UNIT or len(folded) <= _SHORT:
        return _UNIT.get(folded, "")
    shorter = (folded.removesuffix(end) for end in ("s", "n", "en", "e"))
    return next((_UNIT[s] for s in shorter if s in _UNIT and len(s) > _SHORT), "")


def is_small(word: str) -> bool:
    """Whether a word carries no meaning of its own; "May" is a month."""
    folded = word.casefold()
    return folded in _SMALL and not (folded in MONTHS and word[:1].isupper())


def tokens_of(text: str, language: str = "") -> Tokens:
    """Figures and words of a text.

    Args:
        text: any.
        language: its separators are read by it; without one, by English and the others'.
    """
    text = _plain(text)
    found = list(_TOKEN.finditer(text))
    figures: list[Figure] = []
    words: list[Word] = []
    units: set[str] = set()
    measures: set[int] = set()  # tokens that are the unit of a number
    for n, token in enumerate(found):
        near = _behind(text, found[n : n + 4])
        if token["number"] or _value_of(token["word"]) is not None:
            last = found[n - 1]["word"] if n else None
            figure, used = _figure(token, near, last, n, language)
            figures.append(figure)
            measures |= {n + use for use in used}
            units |= {figure.unit} - {""}
        elif token["word"]:
            unit = unit_of(token["word"])
            is_rate = n > 0 and (found[n - 1]["word"] or "").casefold() in ("per", "par", "pro")
            is_bracketed = text[token.start() - 1 : token.end() + 1] == f"({token['word']})"
            if unit and (n in measures or is_rate or is_bracketed or not token["word"].isalpha()
                         or len(token["word"]) > _SHORT):  # fmt: skip
                units.add(unit)
            if n not in measures and any(map(str.isalnum, token["word"])):
                words.append(Word(token["word"], _stem(token["word"]), n))
    return Tokens(tuple(figures), tuple(words), frozenset(units))


def measures_conflict(said: frozenset[str], held: frozenset[str]) -> bool:
    """Whether units are said that a text lacks, which has others of their kind: "per second"."""
    return any((said - held) & kind and (held - said) & kind for kind in _DIMENSIONS)


def _behind(text: str, tokens: Sequence[re.Match[str]]) -> list[str]:
    """The words that follow the first of the tokens with nothing but white space between."""
    words = []
    for before, token in pairwise(tokens):
        if not token["word"] or text[before.end() : token.start()].strip(" \u00a0\u202f-\n\t"):
            break
        words.append(token["word"])
    return words


def _figure(
    token: re.Match[str], near: list[str], last: str | None, at: int, language: str
) -> tuple[Figure, list[int]]:
    """The figure of a token, and how many tokens behind it its unit and scale stand."""
    value = _value_of(token["word"])
    raw = re.sub(r"[ \u00a0\u202f'\u2019]", "", token["number"] or str(value))
    raw = raw.replace("\u2212", "-")
    scale, used = 1, []
    if near and near[0].casefold() in _SCALES:
        scale, used, near = _SCALES[near[0].casefold()], [1], near[1:]
    unit = unit_of(token["money"] or "")
    for ahead, word in enumerate(near[:2]):
        other = unit_of(word)
        if unit or (ahead and not near[0][:1].isupper()):
            break
        if other and (ahead == 0 or len(word) > _SHORT):
            unit = other
            used += range(len(used) + 1, len(used) + ahead + 2)
    counts = ""
    if not unit and near and not is_small(near[0]):
        counts = _stem(near[0])
    named = last is not None and (last.casefold() in _NAMED or last[:1].isupper())
    is_version = raw.count(".") > 1 or (bool(named) and "." in raw and not unit)
    values = (
        frozenset[Decimal | str]({Decimal(value)}) if value is not None else _read(raw, language)
    )
    return Figure(raw, values, unit, counts, scale, is_version, at), used


def _value_of(word: str | None) -> int | None:
    """The value of a numeral; "one" and "un" are words more often."""
    value = _WORDS.get(word.casefold()) if word else None
    return 2 if word and word.casefold() == "twice" else None if value == 1 else value


def _stem(word: str) -> str:
    folded = word.casefold()
    if folded in MONTHS and (word[:1].isupper() or folded not in _WORDS_TOO):
        return MONTHS[folded]
    return ONE_OF_FEW.get(folded) or ONE_OF_FEW.get(folded.removesuffix("s")) or stem(folded)


def _plain(text: str) -> str:
    """Dates and times in one spelling, tens in digits."""
    names = {n: f" {word} " for word, n in reversed(list(MONTHS.items()))}

    def date(day: str, month: str, year: str) -> str:
        name = names.get(f"month{int(month)}")
        return f"{int(day)}{name}{year}" if name else f"{day} {month} {year}"

    text = _ISO.sub(lambda m: date(m[3], m[2], m[1]), text)
    text = _DOTTED.sub(lambda m: date(m[1], m[2], m[3]), text)
    text = _CLOCK.sub(lambda m: f"{int(m[1]) % 12 + 12 * (m[3] in 'pP')}:{m[2] or '00'}", text)
    text = _HOURS.sub(r"\1:\2", text)
    text = _UHR.sub(r"\1:\2", text)
    return _TENS_WORD.sub(
        lambda m: str(_TENS[m[1].casefold()] + (_WORDS[m[2].casefold()] if m[2] else 0)), text
    )


def _read(raw: str, language: str) -> frozenset[Decimal | str]:
    """The readings of a number as written."""
    if ":" in raw:
        parts = [part.lstrip("0") or "0" for part in raw.split(":")]
        whole = {Decimal(parts[0])} if set(parts[1:]) == {"0"} and parts[0].isdigit() else set()
        return frozenset({":".join(parts), *whole})
    last = max(raw.rfind("."), raw.rfind(","))
    if last < 0:
        return frozenset({Decimal(raw)})
    mark, fraction = raw[last], raw[last + 1 :]
    as_whole = Decimal(re.sub("[.,]", "", raw))
    as_decimal = Decimal(re.sub("[.,]", "", raw[:last]) + "." + fraction)
    groups = re.fullmatch(rf"-?[1-9]\d{{0,2}}(?:[{mark}]\d{{3}})+", raw) is not None
    if not groups:
        return frozenset({as_decimal})
    if raw.count(mark) > 1:
        return frozenset({as_whole})
    if not language:
        return frozenset({as_whole, as_decimal})
    return frozenset({as_whole if (mark == ",") == (language == "en") else as_decimal})


def is_derived(figure: Figure, given: Iterable[Figure]) -> bool:
    """Whether it is a sum or a difference of two numbers that are given."""
    values = {figure.number for figure in given} - {None}
    if figure.number is None:
        return False
    return any(
        figure.number in (a + b, abs(a - b))
        for a, b in combinations(sorted(v for v in values if v is not None), 2)
    )
