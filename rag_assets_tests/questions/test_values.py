from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.questions.plan import AnswerType
from rag_assets.questions.spans import is_of, read, yes_or_no
from rag_assets.questions.values import (
    IncommensurableError,
    Value,
    compared,
    difference,
    plain,
    told,
    total,
)


@pytest.mark.parametrize(
    ("span", "kind", "amount", "unit"),
    [
        ("2,480", "number", "2480", ""),
        ("2.480", "number", "2480", ""),
        ("2'480", "number", "2480", ""),
        ("2\u2019480", "number", "2480", ""),
        ("2 480", "number", "2480", ""),
        ("2\u00a0480", "number", "2480", ""),
        ("2,48", "number", "2.48", ""),
        ("2.48", "number", "2.48", ""),
        ("0.125", "number", "0.125", ""),
        ("1.234.567,89", "number", "1234567.89", ""),
        ("1,234,567.89", "number", "1234567.89", ""),
        ("-3", "number", "-3", ""),
        ("fifty-eight", "number", "58", ""),
        ("sechzehn", "number", "16", ""),
        ("two hundred and five", "number", "205", ""),
        ("none", "number", "0", ""),
        ("64 cars", "number", "64", "cars"),
        ("about 98,700 passengers", "number", "98700", "passengers"),
        ("2.480 Euro", "money", "2480", "EUR"),
        ("1'250 Franken", "money", "1250", "CHF"),
        ("1250 Swiss francs", "money", "1250", "CHF"),
        ("EUR 1,250", "money", "1250", "EUR"),
        ("\u20ac12.50", "money", "12.50", "EUR"),
        ("12,50 \u20ac", "money", "12.50", "EUR"),
        ("CHF 12.\u2013", "money", "12", "CHF"),
        ("38.5 million euro", "money", "38500000", "EUR"),
        ("USD 3m", "money", "3000000", "USD"),
        ("19.50 crowns", "money", "19.50", "crown"),
        ("EUR 180 a month", "money", "180", "EUR/month"),
        ("7 nautical miles", "measure", "7", "nautical_mile"),
        ("7 nautical miles (13 km)", "measure", "7", "nautical_mile"),
        ("62.4 m", "measure", "62.4", "meter"),
        ("4,300 kWh", "measure", "4300", "kilowatt_hour"),
        ("17 m/s", "measure", "17", "meter/second"),
        ("94.6 percent", "measure", "94.6", "percent"),
        ("94,6 %", "measure", "94.6", "percent"),
        ("2 h 15 min", "measure", "135", "minute"),
        ("2 hours and 10 minutes", "measure", "130", "minute"),
        ("two hours", "measure", "2", "hour"),
        ("90 Tage", "measure", "90", "day"),
        ("07:20", "time", "440", ""),
        ("6.05 p.m.", "time", "1085", ""),
        ("7 p.m.", "time", "1140", ""),
        ("noon", "time", "720", ""),
        ("21:00", "time", "1260", ""),
    ],
)
def test_read(span: str, kind: str, amount: str, unit: str) -> None:
    value = read(span)
    assert value is not None
    assert (value.kind, value.amount, value.unit) == (kind, Decimal(amount), unit)


@pytest.mark.parametrize(
    "span",
    [
        "3 March 2024", "March 3, 2024", "2024-03-03", "3.3.2024", "03/03/2024", "3rd March 2024",
        "3. M\u00e4rz 2024", "le 3 mars 2024", "3 de marzo de 2024", "Sunday, 3 March 2024",
    ],
)  # fmt: skip
def test_dates(span: str) -> None:
    value = read(span)
    assert value is not None
    assert (value.first, value.last) == (date(2024, 3, 3), date(2024, 3, 3))


@pytest.mark.parametrize(
    ("span", "wants", "expected"),
    [
        ("1988", "date", "1988"),
        ("in 1988, at Orrin", "date", "1988"),
        ("March 2024", "date", "March 2024"),
        ("1930", "time", "19:30"),
        ("2.10", "version", "2.10"),
        ("release 2.1", "version", "2.1"),
        ("v4.2-rc1", "version", "4.2-rc1"),
        ("2.10", "number", "2.1"),
    ],
)
def test_read_as_wanted(span: str, wants: AnswerType, expected: str) -> None:
    value = read(span, wants)
    assert value is not None
    assert told(value) == expected


@pytest.mark.parametrize(
    ("span", "wants"),
    [
        ("5 to 7 days", "text"),
        ("56 cars and 150 passengers", "number"),
        ("the north pier", "number"),
        ("06:00 to 07:00", "time"),
        ("31 February 2024", "date"),
        ("1988 and 1990", "date"),
        ("", "number"),
    ],
)
def test_no_single_value(span: str, wants: AnswerType) -> None:
    assert read(span, wants) is None


def value(span: str, wants: AnswerType = "text") -> Value:
    found = read(span, wants)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("less", "more", "wants"),
    [
        ("40 cars", "56", "text"),
        ("1,2 MWh", "4,300 kWh", "text"),
        ("90 minutes", "2 hours", "text"),
        ("7 km", "7 nautical miles", "text"),
        ("EUR 12.50", "13 euros", "text"),
        ("1988", "3 March 1990", "date"),
        ("07:20", "17:50", "time"),
        ("2.1", "2.10", "version"),
        ("4.2-rc1", "4.2", "version"),
        ("3 weeks", "30 days", "text"),
        ("56 passenger cars", "64 cars", "text"),
    ],
)
def test_compared(less: str, more: str, wants: AnswerType) -> None:
    one, other = value(less, wants), value(more, wants)
    assert (compared(one, other), compared(other, one), compared(other, other)) == (-1, 1, 0)


@pytest.mark.parametrize(
    ("one", "other", "wants"),
    [
        ("EUR 12", "CHF 12", "text"),
        ("EUR 180 a month", "EUR 2,000 a year", "text"),
        ("62 m", "3 hours", "text"),
        ("56 cars", "40 lanes", "text"),
        ("07:20", "3 March 2024", "text"),
        ("1988", "3 March 1988", "date"),
        ("1988", "1988", "date"),
        ("62 m", "EUR 62", "text"),
    ],
)
def test_never_compared(one: str, other: str, wants: AnswerType) -> None:
    with pytest.raises(IncommensurableError):
        compared(value(one, wants), value(other, wants))


@pytest.mark.parametrize(
    ("one", "other", "wants", "expected"),
    [
        ("64 cars", "42", "text", "22 cars"),
        ("62.4 m", "58 m", "text", "4.4 m"),
        ("2 h 15 min", "50 minutes", "text", "1 h 25 min"),
        ("EUR 12.50", "EUR 11", "text", "EUR 1.50"),
        ("3 May 2024", "1 May 2024", "date", "2 days"),
        ("1990", "1988", "date", "2 years"),
        ("17:50", "07:20", "time", "10 h 30 min"),
        ("98,700", "72,280", "text", "26,420"),
    ],
)
def test_difference(one: str, other: str, wants: AnswerType, expected: str) -> None:
    assert told(difference(value(one, wants), value(other, wants))) == expected


def test_total() -> None:
    assert told(total([value("56 cars"), value("40"), value("12 cars")])) == "108 cars"
    assert told(total([value("1 h"), value("30 min")])) == "1.5 h"
    assert told(total([value("EUR 1,250"), value("2.480 Euro")])) == "EUR 3,730"


@pytest.mark.parametrize("spans", [["EUR 5", "USD 5"], ["3 March 2024", "4 March 2024"], []])
def test_no_total(spans: list[str]) -> None:
    with pytest.raises(IncommensurableError):
        total([value(span) for span in spans])


@pytest.mark.parametrize(
    ("span", "wants", "fits"),
    [
        ("64 cars", "number", True),
        ("many", "number", False),
        ("Ada Norgate", "person", True),
        ("1988", "person", False),
        ("EUR 5", "money", True),
        ("two days", "duration", True),
        ("62 m", "duration", False),
        ("Yes, on deck", "yes_no", True),
        ("on deck", "yes_no", False),
        ("channel 12", "text", True),
        ("12", "place", False),
        ("Tuesday", "date", True),
        ("on Sundays", "date", True),
        ("June", "date", True),
        ("the 12th century", "date", True),
        ("before boarding", "date", True),
        ("you may go", "date", False),
        ("Hestvik Yard", "date", False),
        ("nine o'clock", "time", True),
        ("the purser", "time", False),
        ("free of charge", "money", True),
        ("a dozen", "number", True),
    ],
)
def test_is_of(span: str, wants: AnswerType, fits: bool) -> None:
    assert is_of(span, wants) is fits


def test_yes_or_no() -> None:
    assert (yes_or_no("Yes."), yes_or_no("Nein"), yes_or_no("November")) == (True, False, None)


WHOLE = st.integers(0, 10**9)
CENTS = st.integers(0, 10**8).map(lambda n: Decimal(n).scaleb(-2))


def _grouped(number: int, sign: str) -> str:
    return f"{number:,}".replace(",", sign)


@given(WHOLE, st.sampled_from([",", ".", "'", " ", "\u00a0", "\u202f", "\u2019", ""]))
def test_each_grouping_is_one_number(number: int, sign: str) -> None:
    found = read(_grouped(number, sign), "number")
    assert found is not None
    assert found.amount == number


@given(
    CENTS, st.sampled_from([(",", "."), (".", ","), ("'", "."), (" ", ","), ("", ","), ("", ".")])
)
def test_each_spelling_of_cents_is_one_amount(amount: Decimal, signs: tuple[str, str]) -> None:
    whole, _, cents = f"{amount:.2f}".partition(".")
    found = read(f"{_grouped(int(whole), signs[0])}{signs[1]}{cents} euros", "money")
    assert found == Value("money", amount, "EUR")


@given(st.decimals(0, 10**7, places=3), st.sampled_from(["EUR", "CHF"]))
def test_what_is_told_is_read(amount: Decimal, code: str) -> None:
    money = Value("money", amount.quantize(Decimal("0.01")), code)
    assert read(told(money), "money") == money


@given(st.dates(date(1000, 1, 1), date(2099, 12, 31)))
def test_dates_that_are_told_are_read(day: date) -> None:
    for span in (
        told(Value("date", first=day, last=day)), day.isoformat(),
        f"{day.day}.{day.month}.{day.year}", f"{day:%B} {day.day}, {day.year}",
    ):  # fmt: skip
        found = read(span, "date")
        assert found is not None
        assert (found.first, found.last) == (day, day)


MEASURES = st.builds(
    Value, st.just("measure"), st.decimals(0, 10**6, places=2),
    st.sampled_from(["meter", "kilometer", "nautical_mile", "mile"]),
)  # fmt: skip


@given(MEASURES, MEASURES)
def test_difference_and_total_undo_each_other(one: Value, other: Value) -> None:
    back = total([difference(one, other), other])
    assert abs(back.amount - one.amount) < Decimal("1e-6")
    assert back.unit == one.unit


@given(MEASURES, MEASURES)
def test_comparison_turns_round(one: Value, other: Value) -> None:
    if abs(difference(one, other).amount) > Decimal("1e-6"):
        assert compared(one, other) == -compared(other, one)


@given(st.lists(WHOLE, min_size=1, max_size=6))
def test_total_is_the_sum(numbers: list[int]) -> None:
    values = [Value("number", Decimal(n), "cars") for n in numbers]
    assert total(values) == Value("number", Decimal(sum(numbers)), "cars")


@given(WHOLE)
def test_plain(number: int) -> None:
    assert plain(Decimal(number)) == f"{number:,}"


@given(
    st.text(max_size=60), st.sampled_from(["text", "number", "date", "time", "version", "money"])
)
def test_any_text_is_read_or_not(text: str, wants: AnswerType) -> None:
    found = read(text, wants)
    assert found is None or told(found)
