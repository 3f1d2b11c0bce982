"""Schedules in the form of crontab, as Dagster takes them; it says too late what it does not."""

import re
from collections.abc import Sequence

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# Least, most, and names in place of numbers.
FIELDS = ((0, 59, ()), (0, 23, ()), (1, 31, ()), (1, 12, MONTHS), (0, 7, WEEKDAYS))
NAMED = re.compile(r"@(hourly|daily|midnight|weekly|monthly|yearly|annually)")
OF_DAYS = re.compile(r"\?|l|l[0-7]|[0-7]#[1-5]")  # any, the last, the last or n-th weekday
DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def is_cron(text: str) -> bool:
    """Whether a text is minute, hour, day, month and weekday, or a name such as ``@daily``."""
    given = text.lower().split()
    if len(given) != len(FIELDS):
        return len(given) == 1 and NAMED.fullmatch(given[0]) is not None
    _, _, day, month, _ = given
    if day.isdecimal() and month.isdecimal() and not int(day) <= DAYS[(int(month) - 1) % 12]:
        return False  # a day that never comes
    return all(
        _is_part(part, least, most, names) or (most in (31, 7) and OF_DAYS.fullmatch(part))
        for field, (least, most, names) in zip(given, FIELDS, strict=True)
        for part in field.split(",")
    )


def _is_part(part: str, least: int, most: int, names: Sequence[str]) -> bool:
    span, slash, step = part.partition("/")
    if slash and not (step.isdecimal() and int(step)):
        return False
    ends = span.split("-")
    return span == "*" or (
        len(ends) <= 2
        and all(end in names or (end.isdecimal() and least <= int(end) <= most) for end in ends)
    )
