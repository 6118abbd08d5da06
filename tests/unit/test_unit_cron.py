"""Cron expressions: which there are, when they come true, and what is said of the others."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from cloister.cron import Cron, InvalidCron, parse

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def at(text: str) -> int:
    """A time as minutes since the epoch."""
    return int((datetime.fromisoformat(text).replace(tzinfo=UTC) - EPOCH).total_seconds()) // 60


def shown(minutes: int | None) -> str:
    assert minutes is not None
    return (EPOCH + timedelta(minutes=minutes)).strftime("%Y-%m-%d %H:%M")


# 2026-01-01 is a Thursday.
@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        ("* * * * *", "2026-01-01 00:00", "2026-01-01 00:01"),
        ("*/30 * * * *", "2026-01-01 00:00", "2026-01-01 00:30"),
        ("5/20 * * * *", "2026-01-01 00:45", "2026-01-01 01:05"),
        ("10-50/20 * * * *", "2026-01-01 00:30", "2026-01-01 00:50"),
        ("55-5 * * * *", "2026-01-01 00:55", "2026-01-01 00:56"),
        ("55-5 * * * *", "2026-01-01 00:05", "2026-01-01 00:55"),
        ("0,15 12 * * *", "2026-01-01 12:00", "2026-01-01 12:15"),
        ("0 17 * * sun", "2026-01-01 00:00", "2026-01-04 17:00"),
        ("0 17 * * 1", "2026-01-01 00:00", "2026-01-04 17:00"),
        ("0 17 * * 7", "2026-01-01 00:00", "2026-01-03 17:00"),
        ("10 7 * * mon-fri", "2026-01-02 08:00", "2026-01-05 07:10"),
        ("10 7 * * 2-6", "2026-01-02 08:00", "2026-01-05 07:10"),
        ("0 0 * * FRI-MON", "2026-01-05 00:00", "2026-01-09 00:00"),
        ("0 0 * * L", "2026-01-01 00:00", "2026-01-03 00:00"),
        ("59 23 LW * *", "2026-01-01 00:00", "2026-01-30 23:59"),
        ("0 15 1 * *", "2026-01-01 15:00", "2026-02-01 15:00"),
        ("0 18 * * 6L", "2026-01-01 00:00", "2026-01-30 18:00"),
        ("0 18 * * FRIL", "2026-02-27 18:00", "2026-03-27 18:00"),
        ("0 0 L * *", "2026-02-01 00:00", "2026-02-28 00:00"),
        ("0 0 L-3 * *", "2026-01-01 00:00", "2026-01-28 00:00"),
        ("0 0 L-6W * *", "2026-01-01 00:00", "2026-01-26 00:00"),
        ("0 0 15W * *", "2026-02-01 00:00", "2026-02-16 00:00"),
        ("0 0 1W * *", "2026-08-01 00:00", "2026-08-03 00:00"),
        ("0 0 31W * *", "2026-05-02 00:00", "2026-05-29 00:00"),
        ("0 0 31 * *", "2026-03-31 00:00", "2026-05-31 00:00"),
        ("0 9 * * MON#1", "2026-01-01 00:00", "2026-01-05 09:00"),
        ("0 9 * * 2#5", "2026-01-01 00:00", "2026-03-30 09:00"),
        ("0 0 29 2 *", "2026-01-01 00:00", "2028-02-29 00:00"),
        ("0 0 29 feb *", "2096-03-01 00:00", "2104-02-29 00:00"),
        ("0 0 1 jan,jul *", "2026-01-01 00:00", "2026-07-01 00:00"),
        ("0 0 * nov-feb 1", "2026-02-22 00:00", "2026-11-01 00:00"),
        ("0 0 13 * 6", "2026-01-01 00:00", "2026-01-02 00:00"),
        ("0 0 13 * 6", "2026-01-09 00:00", "2026-01-13 00:00"),
        ("59 23 31 12 *", "2026-12-31 23:59", "2027-12-31 23:59"),
    ],
)
def test_the_next_time(cron: str, after: str, expected: str) -> None:
    """Each form of a field; days of month and week are alternatives; weekdays begin with 1."""
    assert shown(parse(cron).next(at(after))) == expected


@pytest.mark.parametrize(
    ("cron", "until", "expected"),
    [
        ("* * * * *", "2026-01-01 00:00", "2026-01-01 00:00"),
        ("*/30 * * * *", "2026-01-01 00:29", "2026-01-01 00:00"),
        ("30 12 * * *", "2026-01-01 12:29", "2025-12-31 12:30"),
        ("0 17 * * 1", "2026-01-01 00:00", "2025-12-28 17:00"),
        ("0 0 29 2 *", "2026-01-01 00:00", "2024-02-29 00:00"),
        ("15,45 6,18 * * *", "2026-01-01 18:14", "2026-01-01 06:45"),
    ],
)
def test_the_latest_time(cron: str, until: str, expected: str) -> None:
    """What should have fired last."""
    assert shown(parse(cron).latest(at(until))) == expected


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("", "five fields"),
        ("* * * *", "This one has 4"),
        ("* * * * * *", "This one has 6"),
        ("60 * * * *", "minute is from 0 to 59"),
        ("* 24 * * *", "hour is from 0 to 23"),
        ("* * 0 * *", "day of the month is from 1 to 31"),
        ("* * * 13 *", "month is from 1 to 12"),
        ("* * * * 0", "day of the week is from 1 to 7"),
        ("* * * * 8", "day of the week is from 1 to 7"),
        ("*/0 * * * *", "at least 1"),
        ("*/60 * * * *", "from 0 to 59"),
        ("1-/2 * * * *", "minute cannot be ''"),
        ("a * * * *", "minute cannot be 'A'"),
        ("-1 * * * *", "minute cannot be ''"),
        ("1,,2 * * * *", "minute cannot be ''"),
        ("\u0661 * * * *", "minute cannot be"),
        ("* * ? * *", "day of the month cannot be"),
        ("* * L-31 * *", "L-1 to L-30"),
        ("* * 32W * *", "day of the month is from"),
        ("* * L,15 * *", "cannot be 'L'"),
        ("* * * MONDAY *", "cannot be 'MONDAY'"),
        ("* * * * 2#6", "#1 to #5"),
        ("* * * * 2#0", "#1 to #5"),
        ("* * * * 8L", "day of the week is from"),
        ("0 0 30 2 *", "never comes true"),
        ("0 0 31 4,6,9,11 *", "never comes true"),
        ("@daily", "five fields"),
        ("* " * 200, "256 characters"),
    ],
)
def test_what_is_none(cron: str, said: str) -> None:
    """The message names the field and what it may be."""
    with pytest.raises(InvalidCron, match=said):
        parse(cron)


_numbers = {
    "minute": (0, 59),
    "hour": (0, 23),
    "day": (1, 31),
    "month": (1, 12),
    "weekday": (1, 7),
}


def _field(first: int, last: int) -> some.SearchStrategy[str]:
    value = some.integers(first, last)
    step = some.integers(1, last)
    return some.one_of(
        some.just("*"),
        value.map(str),
        some.tuples(value, value).map(lambda ends: f"{ends[0]}-{ends[1]}"),
        step.map(lambda each: f"*/{each}"),
        some.tuples(value, value, step).map(lambda each: f"{each[0]}-{each[1]}/{each[2]}"),
        some.lists(value, min_size=1, max_size=4).map(lambda each: ",".join(map(str, each))),
    )


@given(
    fields=some.tuples(*(_field(*ends) for ends in _numbers.values())),
    start=some.integers(0, 60 * 366 * 24 * 60),
)
def test_next_and_latest_agree(fields: tuple[str, ...], start: int) -> None:
    """The time after one is after it; nothing lies between; seen from there it is the latest."""
    cron = Cron(" ".join(fields))
    following = cron.next(start)
    if following is None:
        return
    assert following > start
    assert cron.latest(following) == following
    assert cron.next(following - 1) == following
    before = cron.latest(following - 1)
    assert before is None or before <= start
