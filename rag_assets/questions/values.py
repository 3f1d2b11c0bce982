"""Values of short spans, and what may be reckoned with them.

A span such as "1'250 Franken", "2 h 15 min" or "3 March 2024" is read into one :class:`Value`, or
into None where it holds none or several. Amounts are decimals. What cannot be compared is refused:
euros with francs, metres with hours, "1988" with "3 March 1988".

Digits are read as in Europe: 2,480 and 2.480 and 2'480 and 2 480 are one number, as three digits
stand behind the sign; 2,48 and 2.48 have decimals. A date of numbers is day first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from packaging.version import InvalidVersion, Version

from rag_assets.errors import RagError
from rag_assets.retrieval.terms import stem

if TYPE_CHECKING:
    import pint

ValueKind = Literal["number", "money", "date", "time", "measure", "version"]


class IncommensurableError(RagError):
    """These values cannot be compared or summed; the message says why."""


@dataclass(frozen=True, slots=True)
class Value:
    """A number with what it counts or measures, or a date, a time of day, a version.

    Attributes:
        kind: what it is. A duration is a measure of time.
        amount: the number; of a time, minutes after midnight; 0 of dates and versions.
        unit: pint's name of a unit, the code of a currency, the counted noun; "" for none.
        first: first day of a date; "1988" begins on its 1 January.
        last: last day of it.
        version: of a version.
    """

    kind: ValueKind
    amount: Decimal = Decimal(0)
    unit: str = ""
    first: date = date.min
    last: date = date.min
    version: str = ""


def compared(one: Value, other: Value) -> int:
    """-1, 0 or 1: whether ``one`` is smaller than, as large as, or larger than ``other``.

    Raises:
        IncommensurableError: they are not of one kind, or not exact enough.
    """
    _check_kinds(one, other)
    if one.kind == "date":
        return _compared_dates(one, other)
    if one.kind == "version":
        return _sign(_version(one.version), _version(other.version))
    return _sign(one.amount, _in_unit(other, one))


def difference(one: Value, other: Value) -> Value:
    """``one`` minus ``other``, in the unit of ``one``; of dates, the days between them.

    Dates that are years alone differ by years.

    Raises:
        IncommensurableError: as :func:`compared`; versions have no difference.
    """
    _check_kinds(one, other)
    if one.kind == "version":
        raise IncommensurableError("versions have no difference")
    if one.kind == "date":
        return _between(one, other)
    amount = one.amount - _in_unit(other, one)
    if one.kind == "time":
        return Value("measure", amount, "minute")
    return Value(one.kind, amount, one.unit or other.unit)


def total(values: Sequence[Value]) -> Value:
    """The sum, in the unit of the first value that has one.

    Raises:
        IncommensurableError: as :func:`compared`; dates, times and versions have no sum.
    """
    if not values:
        raise IncommensurableError("nothing to sum")
    first = next((value for value in values if value.unit), values[0])
    if first.kind in ("date", "time", "version"):
        raise IncommensurableError(f"a {first.kind} cannot be summed")
    amount = Decimal(0)
    for value in values:
        _check_kinds(first, value)
        amount += _in_unit(value, first)
    return Value(first.kind, amount, first.unit)


def _check_kinds(one: Value, other: Value) -> None:
    if one.kind == other.kind:
        return
    # "56 cars" and "40": a bare number takes the unit of the other.
    bare = [value for value in (one, other) if value.kind == "number" and not value.unit]
    if bare and {one.kind, other.kind} <= {"number", "money", "measure"}:
        return
    raise IncommensurableError(f"{told(one)} and {told(other)} are not of one kind")


def _in_unit(value: Value, like: Value) -> Decimal:
    if value.unit == like.unit or not value.unit or not like.unit:
        return value.amount
    if value.kind == "measure":
        return _converted(value, like.unit)
    if value.kind == "number" and _noun(value.unit) == _noun(like.unit):
        return value.amount
    raise IncommensurableError(f"{told(value)} cannot be compared with {told(like)}")


def _noun(unit: str) -> str:
    return stem(unit.split()[-1])


def _converted(value: Value, unit: str) -> Decimal:
    from pint import DimensionalityError

    units = registry()
    try:
        amount: Any = units.Quantity(value.amount, value.unit).to(unit).magnitude
    except DimensionalityError:
        raise IncommensurableError(f"{told(value)} is no amount of {unit}") from None
    return Decimal(amount).quantize(Decimal("1e-9")).normalize()


@cache
def registry() -> "pint.UnitRegistry":
    """Units; made at the first use, as it takes half a second."""
    import pint

    return pint.UnitRegistry(non_int_type=Decimal)


def _compared_dates(one: Value, other: Value) -> int:
    if (one.first, one.last) == (other.first, other.last):
        if one.first == one.last:
            return 0
        raise IncommensurableError("both are the same year or month; which day is not said")
    if one.last < other.first:
        return -1
    if other.last < one.first:
        return 1
    raise IncommensurableError(f"{told(one)} and {told(other)} overlap")


def _between(one: Value, other: Value) -> Value:
    exact = one.first == one.last and other.first == other.last
    if exact:
        return Value("measure", Decimal((one.first - other.first).days), "day")
    return Value("measure", Decimal(one.first.year - other.first.year), "year")


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        raise IncommensurableError(f"{text} is no version") from None


def _sign(one: Any, other: Any) -> int:  # noqa: ANN401  decimals or versions
    return 0 if one == other else 1 if one > other else -1


def told(value: Value) -> str:
    """A value in words: "26,420", "EUR 1,250.50", "2 h 10 min", "22 cars"."""
    if value.kind == "date":
        return _told_date(value)
    if value.kind == "version":
        return value.version
    if value.kind == "time":
        return f"{int(value.amount) // 60:02}:{int(value.amount) % 60:02}"
    number = plain(value.amount)
    if value.kind == "money":
        code, _, each = value.unit.partition("/")
        if value.amount != value.amount.to_integral_value():
            number = f"{value.amount:,.2f}"
        words = (
            f"{code} {number}" if code.isupper() else f"{number} {_numbered(code, value.amount)}"
        )
        return f"{words} per {each}" if each else words
    if value.unit in ("minute", "month") and value.amount == value.amount.to_integral_value():
        return _in_two(value)
    if value.kind == "measure":
        return f"{number} {_SHORT.get(value.unit) or _numbered(value.unit, value.amount)}"
    return f"{number} {value.unit}".strip()


_SHORT = {
    "meter": "m", "kilometer": "km", "centimeter": "cm", "millimeter": "mm", "hour": "h",
    "percent": "percent", "kilowatt_hour": "kWh", "megawatt_hour": "MWh", "kilowatt": "kW",
    "megawatt": "MW", "kilogram": "kg", "gram": "g", "metric_ton": "tonnes", "liter": "l",
    "meter/second": "m/s", "kilometer/hour": "km/h", "meter**2": "m\u00b2",
    "kilometer**2": "km\u00b2", "meter**3": "m\u00b3", "degree_Celsius": "\u00b0C",
    "degree_Fahrenheit": "\u00b0F", "foot": "feet", "inch": "inches",
}  # fmt: skip


def _numbered(unit: str, amount: Decimal) -> str:
    unit = unit.replace("_", " ")
    return unit if abs(amount) == 1 or unit.endswith("s") else f"{unit}s"


def _in_two(value: Value) -> str:
    """Minutes with their hours, months with their years."""
    size, large, small = (60, "h", "min") if value.unit == "minute" else (12, "year", "month")
    whole, rest = divmod(abs(int(value.amount)), size)
    told_whole = f"{whole} {large if large == 'h' else _numbered(large, Decimal(whole))}"
    told_rest = f"{rest} {small if small == 'min' else _numbered(small, Decimal(rest))}"
    words = " ".join([told_whole] * bool(whole) + [told_rest] * bool(rest or not whole))
    return f"-{words}" if value.amount < 0 else words


def plain(amount: Decimal) -> str:
    """A decimal with thousands set off and no idle zeros."""
    amount = amount.normalize()
    if amount == amount.to_integral_value():
        return f"{int(amount):,}"
    return f"{amount:,f}"


def _told_date(value: Value) -> str:
    if value.first == value.last:
        return f"{value.first.day} {value.first:%B %Y}"
    if value.first.month == value.last.month:
        return f"{value.first:%B %Y}"
    return str(value.first.year)
