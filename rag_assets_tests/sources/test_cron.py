import pytest
from dagster._utils.schedules import is_valid_cron_schedule

from rag_assets.sources.cron import is_cron


@pytest.mark.parametrize(
    "text",
    [
        "0 3 * * *", "  0 3\t* * * ", "@daily", "@Midnight", "*/15 * * * *", "5/15 * * * *",
        "1-5/2 * * * *", "0,30 8-18 * * mon-fri", "0 0 * JAN,feb *", "0 0 * * 7", "0 0 L * *",
        "0 0 ? * *", "0 0 * * 5#2", "0 0 * * L5", "0 22-4 * * *", "00 03 29 2 *",
    ],
)  # fmt: skip
def test_what_dagster_takes(text: str) -> None:
    assert is_cron(text)
    assert is_valid_cron_schedule(text)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "nonsense", "@reboot", "@every 5m", "0 3 * *", "0 3 * * * *", "60 * * * *",
        "0 24 * * *", "0 0 0 * *", "0 0 32 * *", "0 0 * 13 *", "0 0 * * 8", "*/0 * * * *",
        "*/x * * * *", "-1 * * * *", "0 0 * * 1-", "0,,1 * * * *", "* * * foo *", "H * * * *",
        "? * * * *", "1.5 * * * *", "0 0 31 2 *", "0 0 * * 6#6",
    ],
)  # fmt: skip
def test_what_dagster_refuses(text: str) -> None:
    assert not is_cron(text)
    assert not is_valid_cron_schedule(text)


@pytest.mark.parametrize(
    ("text", "comes"),
    [
        ("0 0 30 feb *", False), ("0 0 30,31 2 *", False), ("0 0 31 2,4,6,9,11 *", False),
        ("0 0 31 4-6/2 *", False), ("0 0 30-31 2 *", False), ("0 0 31 FEB,jun ?", False),
        ("0 0 31 */2 *", True),
        ("0 0 31 6-12/5 *", False), ("0 0 29 2 *", True), ("0 0 31 4-6 *", True),
        ("0 0 1,30 2 *", True), ("0 0 30 2 mon", True), ("0 0 l 2 *", True),
        ("0 0 31 1/2 *", True), ("0 0 30 11-2 *", True),
    ],
)  # fmt: skip
def test_a_day_that_never_comes_is_no_schedule(text: str, comes: bool) -> None:
    assert is_cron(text) == comes
