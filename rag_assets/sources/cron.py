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
    return not _never_comes(*given[2:]) and all(
        _is_part(part, least, most, names) or (most in (31, 7) and OF_DAYS.fullmatch(part))
        for field, (least, most, names) in zip(given, FIELDS, strict=True)
        for part in field.split(",")
    )


def _never_comes(day: str, month: str, weekday: str) -> bool:
    """Whether all of its days lie beyond the ends of its months, as 30 February does.

    Where a weekday is named as well, either of the two is enough.
    """
    first = [re.match(r"\d+", part) for part in day.split(",")]
    if weekday not in ("*", "?") or not all(first):
        return False
    longest = max((DAYS[n] for n in range(12) if _names_month(month, n + 1)), default=31)
    return min(int(found[0]) for found in first if found) > longest


def _names_month(field: str, month: int) -> bool:
    for part in field.split(","):
        span, _, step = part.partition("/")
        ends = [int(end) if end.isdecimal() else _month(end) for end in span.split("-")]
        start, end = (1, 12) if span == "*" else (ends[0], ends[-1])
        if step and span.isdecimal():
            end = 12
        every = int(step) if step.isdecimal() and int(step) else 1
        if start > end or (start <= month <= end and not (month - start) % every):
            return True
    return False


def _month(name: str) -> int:
    return MONTHS.index(name) + 1 if name in MONTHS else 0


def _is_part(part: str, least: int, most: int, names: Sequence[str]) -> bool:
    span, slash, step = part.partition("/")
    if slash and not (step.isdecimal() and int(step)):
        return False
    ends = span.split("-")
    return span == "*" or (
        len(ends) <= 2
        and all(end in names or (end.isdecimal() and least <= int(end) <= most) for end in ends)
    )
