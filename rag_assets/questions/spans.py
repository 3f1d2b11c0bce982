"""Reads one value from a short span: numbers, money, dates, times, measures, versions."""

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cache

from rag_assets.questions.plan import AnswerType
from rag_assets.questions.times import MONTH
from rag_assets.questions.values import Value

_LANGUAGES = ("en", "de", "fr", "es", "it", "nl", "sv", "da", "nb", "pt")
_NUMERAL_LANGUAGES = ("en", "de", "fr", "es", "it", "nl", "pt", "da")
_SPACES = "\u00a0\u202f\u2009 "
_DIGITS = (
    rf"(?:\d{{1,3}}(?:[{_SPACES}]\d{{3}})+(?:[.,]\d+)?|\d{{1,3}}(?:['\u2019]\d{{3}})+(?:[.,]\d+)?|"
    r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,3}(?:\.\d{3})+(?:,\d+)?|\d+(?:[.,]\d+)?)"
)
_NUMBER = re.compile(rf"(?<![\w.,])(?P<sign>[-\u2212+])?(?P<digits>{_DIGITS})(?![\d])")
_SCALES = {
    "thousand": 3, "tausend": 3, "mille": 3, "k": 3, "million": 6, "millions": 6, "millionen": 6,
    "mio": 6, "mn": 6, "m": 6, "billion": 9, "billions": 9, "bn": 9, "milliarden": 9,
    "milliarde": 9, "milliards": 9, "mrd": 9, "hundred": 2,
}  # fmt: skip
_SIGNS = {"€": "EUR", "£": "GBP", "$": "USD", "¥": "JPY", "US$": "USD", "A$": "AUD", "C$": "CAD"}
_CURRENCY_WORDS = {
    "euro": "EUR", "euros": "EUR", "cent": "cent", "cents": "cent", "pound": "GBP", "pounds": "GBP",
    "pounds sterling": "GBP", "pence": "penny", "dollar": "USD", "dollars": "USD",
    "us dollars": "USD", "us dollar": "USD", "swiss francs": "CHF", "swiss franc": "CHF",
    "schweizer franken": "CHF", "franken": "CHF", "francs": "CHF", "franc": "CHF", "fr.": "CHF",
    "sfr": "CHF", "yen": "JPY", "crown": "crown", "crowns": "crown", "kronor": "SEK",
    "krona": "SEK", "kroner": "krone", "krone": "krone", "kr": "krone",
    "rupees": "INR", "zloty": "PLN",
}  # fmt: skip
_UNITS = {
    "m": "meter", "metre": "meter", "meter": "meter", "mètre": "meter", "metro": "meter",
    "km": "kilometer", "kilometre": "kilometer", "kilometer": "kilometer",
    "cm": "centimeter", "centimetre": "centimeter", "centimeter": "centimeter",
    "mm": "millimeter", "millimetre": "millimeter", "millimeter": "millimeter",
    "nautical mile": "nautical_mile", "nm": "nautical_mile", "sm": "nautical_mile",
    "seemeile": "nautical_mile", "seemeilen": "nautical_mile", "nmi": "nautical_mile",
    "mile": "mile", "mi": "mile", "foot": "foot", "feet": "foot", "ft": "foot", "inch": "inch",
    "inches": "inch", "yard": "yard",
    "kg": "kilogram", "kilogram": "kilogram", "kilo": "kilogram", "g": "gram", "gram": "gram",
    "mg": "milligram", "t": "metric_ton", "tonne": "metric_ton", "tonnen": "metric_ton",
    "metric ton": "metric_ton", "lb": "pound", "lbs": "pound",
    "l": "liter", "litre": "liter", "liter": "liter", "ml": "milliliter",
    "m2": "meter**2", "m²": "meter**2", "square metre": "meter**2", "square meter": "meter**2",
    "km2": "kilometer**2", "km²": "kilometer**2", "square kilometre": "kilometer**2",
    "hectare": "hectare", "ha": "hectare", "m3": "meter**3", "m³": "meter**3",
    "cubic metre": "meter**3", "cubic meter": "meter**3",
    "kwh": "kilowatt_hour", "kilowatt hour": "kilowatt_hour", "mwh": "megawatt_hour",
    "gwh": "gigawatt_hour", "wh": "watt_hour", "w": "watt", "kw": "kilowatt",
    "kilowatt": "kilowatt", "mw": "megawatt", "megawatt": "megawatt", "v": "volt", "volt": "volt",
    "kv": "kilovolt", "a": "ampere", "ampere": "ampere", "hz": "hertz", "khz": "kilohertz",
    "mhz": "megahertz", "bar": "bar", "hpa": "hectopascal", "kn": "knot", "knot": "knot",
    "kt": "knot", "kts": "knot", "knoten": "knot", "km/h": "kilometer/hour",
    "kmh": "kilometer/hour", "m/s": "meter/second", "mph": "mile/hour",
    "°c": "degree_Celsius", "°f": "degree_Fahrenheit",
    "degrees celsius": "degree_Celsius", "kb": "kilobyte", "mb": "megabyte", "gb": "gigabyte",
    "tb": "terabyte", "%": "percent", "percent": "percent", "per cent": "percent",
    "prozent": "percent", "pct": "percent", "pour cent": "percent",
    "s": "second", "sec": "second", "second": "second", "sekunde": "second", "sekunden": "second",
    "ms": "millisecond", "millisecond": "millisecond",
    "min": "minute", "minute": "minute", "minuten": "minute", "h": "hour", "hr": "hour",
    "hour": "hour", "stunde": "hour", "stunden": "hour", "std": "hour", "heure": "hour",
    "d": "day", "day": "day", "tag": "day", "tage": "day", "tagen": "day", "jour": "day",
    "week": "week", "woche": "week", "wochen": "week", "semaine": "week", "month": "month",
    "monat": "month", "monate": "month", "monaten": "month", "mois": "month", "year": "year",
    "jahr": "year", "jahre": "year", "jahren": "year", "an": "year", "ans": "year",
    "night": "night",
}  # fmt: skip
_TIME_UNITS = frozenset(
    ["millisecond", "second", "minute", "hour", "day", "week", "month", "year"]
)  # of which several stand together: "2 h 15 min"
_CLOCK = re.compile(
    r"(?<![\d.,:])(?P<h>2[0-4]|[01]?\d)(?!\d)"
    r"(?:(?::|h(?=\d\d(?!\d| ?min)))(?P<m>[0-5]\d)(?::[0-5]\d)?"
    r"|\.(?P<m2>[0-5]\d)(?=\s*(?:[ap]\.?m\b|uhr)))?"
    r"(?P<half>\s*(?:a\.?m\b\.?|p\.?m\b\.?|o'clock\b|uhr\b))?(?![\d.,]\d)",
    re.IGNORECASE,
)
_VERSION = re.compile(
    r"(?<![\w.])(?:v|version |release |rev\.? |revision )?(?P<v>\d+(?:\.\d+)*(?:[-.]?(?:a|b|rc|"
    r"alpha|beta|dev|post)\.?\d*)?)(?![\w])",
    re.IGNORECASE,
)  # fmt: skip
_ABOUT = re.compile(
    r"\b(?:about|approximately|approx\.?|around|roughly|some|exactly|circa|ca\.|up to|at least|at "
    r"most|"
    r"over|nearly|almost|maximum|minimum|of|rund|etwa|bis zu|environ|a total|only|just)\s+",
    re.IGNORECASE,
)


def read(span: str, wants: AnswerType = "text") -> Value | None:
    """The one value of a span; None where it holds none, or several.

    Args:
        span: a few words.
        wants: what was asked for; decides where a span may be several things, such as 2.10 or
            1930.
    """
    text = re.sub(r"\s*\([^)]*\)|\s*\[[^\]]*\]", "", span).strip(' .;,\n"\u201c\u201d')
    text = _ABOUT.sub("", " ".join(text.split(" ")))
    readers: tuple[Callable[[str], Value | None], ...] = (_date, _clock, _amount)
    if wants == "date":
        readers = (_date, _year)
    elif wants == "time":
        readers = (_clock,)
    elif wants == "version":
        readers = (_version,)
    elif wants in ("number", "money", "measure", "duration"):
        readers = (_amount,)
    return next((value for reader in readers if (value := reader(text)) is not None), None)


_WEEKDAYS = (
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)days?|montags?|dienstags?|mittwochs?|donnerstags?"
    r"|freitags?|samstags?|sonnabends?|sonntags?|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche"
)
_DAYTIMES = (
    r"o['\u2019]clock|noon|midnight|midday|(?:half|quarter) (?:past|to)|dawn|dusk|sun(?:set|rise)"
)
_IN_WORDS: dict[AnswerType, re.Pattern[str]] = {  # of an answer that no number tells
    "date": re.compile(
        rf"\b(?:{_WEEKDAYS}|(?!(?-i:may)){MONTH}|{_DAYTIMES}|spring|summer|autumn|winter|centur(?:y|ies)|decades?"
        r"|(?:twice|once|every|each)\b.*|daily|weekly|monthly|yearly|annually|easter|christmas"
        r"|heute|morgen|täglich|jahrhundert)\b"
        r"|^(?:before|after|during|while|when|once|until|upon|as soon as)\b"
        r"|^(?:vor|nach|während|avant|après)\b",
        re.IGNORECASE,
    ),
    "time": re.compile(
        rf"\b(?:{_DAYTIMES}|mittags?|mitternacht|midi|minuit)\b|^(?:before|after|when|at the)\b",
        re.IGNORECASE,
    ),
    "money": re.compile(
        r"\b(?:free(?: of charge)?|nothing|no (?:charge|fee|cost)|gratis|kostenlos|gratuit\w*)\b",
        re.IGNORECASE,
    ),
    "number": re.compile(r"\b(?:dozens?|nobody|no one)\b", re.IGNORECASE),
}


def is_of(span: str, wants: AnswerType) -> bool:
    """Whether a span is of the type that was asked for."""
    if wants in ("text", "name", "person", "place"):
        has_letter = any(letter.isalpha() for letter in span)
        if wants == "person":
            return has_letter and read(span) is None
        return has_letter or (wants in ("text", "name") and any(c.isdigit() for c in span))
    if wants == "yes_no":
        return yes_or_no(span) is not None
    words = _IN_WORDS.get(wants)
    if words is not None and words.search(span):
        return True
    value = read(span, wants)
    if value is None:
        return False
    if wants == "duration":
        return value.unit in _TIME_UNITS or value.kind == "number" or value.unit == "night"
    return True


def yes_or_no(span: str) -> bool | None:
    """What a span that begins with a yes or a no says."""
    found = re.match(
        r"\W*(?P<yes>yes|ja|oui|sí|si|true)\b|\W*(?:no|nein|non|not|false)\b", span, re.I
    )
    return None if found is None else found["yes"] is not None


def _date(text: str) -> Value | None:
    days = [day for _, _, day in dates_in(text)]
    return days[0] if len(days) == 1 else None


def dates_in(text: str) -> list[tuple[int, int, Value]]:
    """The days and months that a text names, with their years: (start, end, date) of each."""
    found = ((match.start(), match.end(), _read_date(match)) for match in _dates().finditer(text))
    return [(start, end, day) for start, end, day in found if day]


def _year(text: str) -> Value | None:
    if _dates().search(text):
        return None  # a day that there is none of
    years = re.findall(r"(?<![\d.,:/-])(?:1[0-9]\d\d|20\d\d)(?![\d/]|[.,:]\d)", text)
    if len(set(years)) != 1:
        return None
    return _days(int(years[0]), None, None)


@cache
def months() -> dict[str, int]:
    """Names of months in some languages, long and short, with their numbers."""
    from babel.dates import get_month_names

    found: dict[str, int] = {}
    for language in _LANGUAGES:
        for width in ("wide", "abbreviated"):
            for context in ("format", "stand-alone"):
                names = get_month_names(width, context, locale=language)
                for number, name in names.items():
                    found.setdefault(name.casefold().rstrip("."), number)
    return found | {"sept": 9}


@cache
def _dates() -> re.Pattern[str]:
    names = "|".join(sorted(map(re.escape, months()), key=len, reverse=True))
    year, day = r"(?P<{}>1\d{{3}}|20\d\d)", r"(?P<{}>\d{{1,2}})(?:st|nd|rd|th|er|\.|º)?"
    return re.compile(
        rf"(?<!\d)(?:{year.format('y1')}-(?P<n1>\d\d)-(?P<d1>\d\d)"
        rf"|{day.format('d2')}(?: (?:of|de))? ?(?P<m2>{names})\.?,?(?: (?:of|de|del))? "
        rf"{year.format('y2')}"
        rf"|(?P<m3>{names})\.? {day.format('d3')},? {year.format('y3')}"
        rf"|(?P<m4>{names})\.?,?(?: (?:of|de|del))? {year.format('y4')}"
        rf"|(?P<d5>\d{{1,2}})\. ?(?P<n5>\d{{1,2}})\. ?{year.format('y5')}"
        rf"|(?P<d6>\d{{1,2}})/(?P<n6>\d{{1,2}})/{year.format('y6')}"
        rf"|{year.format('y7')}/(?P<n7>\d\d)/(?P<d7>\d\d))(?!\d)",
        re.IGNORECASE,
    )


def _read_date(match: re.Match[str]) -> Value | None:
    found = {name[0]: text for name, text in match.groupdict().items() if text}
    month = months()[found["m"].casefold()] if "m" in found else int(found["n"])
    day = int(found["d"]) if "d" in found else None
    if day is not None and month > 12 >= day:  # 2/14/2024 can only be month first
        month, day = day, month
    return _days(int(found["y"]), month, day)


def _days(year: int, month: int | None, day: int | None) -> Value | None:
    try:
        if month is None:
            first, last = date(year, 1, 1), date(year, 12, 31)
        elif day is None:
            first, last = date(year, month, 1), date(year, month, monthrange(year, month)[1])
        else:
            first = last = date(year, month, day)
    except ValueError:
        return None
    return Value("date", first=first, last=last)


def _clock(text: str) -> Value | None:
    named = {"noon": 720, "midday": 720, "midnight": 1440, "mittag": 720}.get(text.casefold())
    if named:
        return Value("time", Decimal(named))
    whole = re.fullmatch(
        r"(?:at |um )?(?P<h>[01]\d|2[0-3])(?P<m>[0-5]\d)(?: ?h(?:ours|rs)?)?", text, re.I
    )
    if whole:  # 1930, as timetables have it
        return Value("time", Decimal(int(whole["h"]) * 60 + int(whole["m"])))
    found = [m for m in _CLOCK.finditer(text) if m["m"] or m["half"]]
    if len(found) != 1:
        return None
    hours, minutes = int(found[0]["h"]), int(found[0]["m"] or found[0]["m2"] or 0)
    half = (found[0]["half"] or "").strip().casefold().replace(".", "")
    if half == "pm" and hours < 12:
        hours += 12
    elif half == "am" and hours == 12:
        hours = 0
    return Value("time", Decimal(hours * 60 + minutes)) if hours * 60 + minutes <= 1440 else None


def _version(text: str) -> Value | None:
    found = {match["v"] for match in _VERSION.finditer(text)}
    return Value("version", version=found.pop()) if len(found) == 1 else None


def _amount(text: str) -> Value | None:
    written = _in_digits(text)
    found = list(_NUMBER.finditer(written))
    if not found or (len(found) > 1 and _date(text)):
        return None
    values = [_with_unit(written, match, found, n) for n, match in enumerate(found)]
    if len(values) == 1:
        return values[0]
    if all(value and value.unit in _TIME_UNITS for value in values):
        return _summed([value for value in values if value])
    return None


def _summed(values: list[Value]) -> Value | None:
    from rag_assets.questions.values import total

    units = [value.unit for value in values]
    if len(set(units)) != len(units):
        return None  # "10 minutes to 20 minutes"
    return total(list(reversed(values)))  # in the smallest unit: 135 minutes


def _with_unit(
    text: str, match: re.Match[str], all_of: list[re.Match[str]], n: int
) -> Value | None:
    end = all_of[n + 1].start() if n + 1 < len(all_of) else len(text)
    behind = text[match.end() : end].strip(" \u00a0\u202f-\u2013.,")
    before = text[all_of[n - 1].end() if n else 0 : match.start()].strip(" \u00a0\u202f")
    amount = number(match["digits"])
    if amount is None:
        return None
    if match["sign"] in ("-", "\u2212"):
        amount = -amount
    scale = re.match(r"(?P<scale>[a-z]+)\.?(?![a-z/²³\d])\s*", behind, re.IGNORECASE)
    money_near = currency(before.split(" ")[-1]) or currency(before)
    if scale and scale["scale"].casefold() in _SCALES:
        word, rest = scale["scale"].casefold(), behind[scale.end() :]
        # "m" and "k" are millions and thousands of money only.
        if len(word) > 1 or money_near or (word == "k" and currency(rest.split(" ")[0])):
            amount, behind = amount.scaleb(_SCALES[word]), rest
    unit_of_money = money_near or _currency_at(behind)
    rate = re.search(
        r"\b(?:per|a|an|each|every|pro|par)\s+(?P<of>[^\W\d_]+)|/\s?(?P<of2>[^\W\d_]+)$", behind
    )
    each = f"/{(rate['of'] or rate['of2']).casefold()}" if rate else ""
    if unit_of_money:
        return _money(amount, unit_of_money, each)
    measure = _measure_at(behind)
    if measure:
        return Value("measure", amount, measure)
    noun = re.match(
        r"[^\W\d_][\w'-]*(?: (?!and\b|or\b|in\b|of\b|per\b|to\b)[^\W\d_][\w'-]*){0,2}", behind
    )
    return Value("number", amount, noun.group().casefold() if noun else "")


def _money(amount: Decimal, code: str, each: str) -> Value:
    return Value("money", amount, f"{code}{each}")


def currency(word: str) -> str:
    """The code of a currency by its sign, code or name; "" for none."""
    word = word.strip(" .")
    if word in _SIGNS:
        return _SIGNS[word]
    if word.casefold() in _CURRENCY_WORDS:
        return _CURRENCY_WORDS[word.casefold()]
    return word if len(word) == 3 and word in _codes() else ""


def _currency_at(text: str) -> str:
    words = text.split(" ")
    for n in (2, 1):
        code = currency(" ".join(words[:n]).rstrip(".,;"))
        if code:
            return code
    return currency(text[:1]) if text[:1] in _SIGNS else ""


@cache
def _codes() -> frozenset[str]:
    from babel.numbers import list_currencies

    return frozenset(list_currencies())


def _measure_at(text: str) -> str:
    words = re.sub(r"[;:,]", " ", text).split()
    for n in (2, 1):
        phrase = " ".join(words[:n]).casefold().rstrip(".")
        for form in (phrase, phrase.removesuffix("s")):
            if form in _UNITS and len(words) >= n:
                return _UNITS[form]
    return ""


def number(digits: str) -> Decimal | None:
    """The number that digits with separators spell, None for none."""
    text = re.sub(rf"[{_SPACES}'\u2019]", "", digits)
    comma, point = text.count(","), text.count(".")
    if comma and point:
        last = max(text.rfind(","), text.rfind("."))
        whole = re.sub(r"[.,]", "", text[:last])
        text = f"{whole}.{text[last + 1 :]}"
    elif comma + point:
        sign = "," if comma else "."
        grouped = re.fullmatch(rf"[1-9]\d{{0,2}}(?:{re.escape(sign)}\d{{3}})+", text)
        text = text.replace(sign, "" if grouped else ".")
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def _in_digits(text: str) -> str:
    """Number words as digits, of the first language in which some are."""
    if any(char.isdigit() for char in text) or not any(char.isalpha() for char in text):
        return text
    from text_to_num import alpha2digit

    if re.fullmatch(r"(?:none|nobody|no one|zero|kein\w*|aucun\w*)", text.strip(), re.IGNORECASE):
        return "0"
    for language in _NUMERAL_LANGUAGES:
        written: str = alpha2digit(text, language, threshold=0)
        if written != text:
            return written
    return text
