"""Cron expressions of the product: five fields in UTC, with weekdays from 1 (Sunday) to 7.

``minute hour day-of-month month day-of-week``. Each field is ``*``, or a list of values, ranges
(``5-9``, which may wrap: ``FRI-MON``) and steps (``*/10``, ``5-50/10``, ``5/10``: from 5 on).
Months and weekdays have names of three letters, too. A day of the month may also be ``L`` (the
last), ``L-3``, ``15W`` (the weekday next to the 15th, in that month), ``LW`` or ``L-3W``; a day of
the week ``L`` (Saturday), ``6L`` (the last Friday) or ``2#1`` (the first Monday). Where both fields
of days are restricted, either will do.
"""

import calendar
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from datetime import date
from functools import lru_cache
from typing import NamedTuple

MAX_CHARACTERS = 256
"""Longest expression."""

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")

EPOCH_DAY = date(1970, 1, 1).toordinal()
DAY_MINUTES = 24 * 60
YEARS = 12
"""Longest pause of an expression: a 29 February comes after eight years at most."""

_LAST_DAY = re.compile(r"L(?:-(\d{1,2}))?(W)?")
_NEAREST = re.compile(r"(\d{1,2})W")
_LAST_WEEKDAY = re.compile(r"(\d|[A-Z]{3})L")
_NTH_WEEKDAY = re.compile(r"(\d|[A-Z]{3})#(\d)")

Days = Callable[[int, int], Iterable[int]]
"""The days of a month (year, month) that a field names. Some may not be in that month."""


class InvalidCron(ValueError):
    """No such expression, for the reason given."""


class _Field(NamedTuple):
    name: str
    first: int
    last: int
    names: tuple[str, ...] = ()


_MINUTE = _Field("minute", 0, 59)
_HOUR = _Field("hour", 0, 23)
_DAY = _Field("day of the month", 1, 31)
_MONTH = _Field("month", 1, 12, _MONTHS)
_WEEKDAY = _Field("day of the week", 1, 7, _WEEKDAYS)


class Cron:
    """A parsed expression. Times are minutes since the epoch."""

    def __init__(self, text: str) -> None:
        fields = text.upper().split()
        if len(text) > MAX_CHARACTERS:
            raise InvalidCron(f"A cron expression has at most {MAX_CHARACTERS} characters.")
        if len(fields) != 5:
            raise InvalidCron(
                "A cron expression has five fields: minute, hour, day of the month, month and day "
                f"of the week. This one has {len(fields)}."
            )
        minutes, hours, days, months, weekdays = fields
        self.text = text
        self._months = frozenset(_values(months, _MONTH))
        self._hours = _values(hours, _HOUR)
        self._minutes = _values(minutes, _MINUTE)
        self._days = [
            each
            for each in (
                None if days == "*" else _days_of_month(days),
                None if weekdays == "*" else _days_of_week(weekdays),
            )
            if each is not None
        ]

    def next(self, after: int) -> int | None:
        """The first time after this one; None if there is none within :data:`YEARS`."""
        day, minute = divmod(after, DAY_MINUTES)
        if self._has(day) and (later := self._later(minute)) is not None:
            return day * DAY_MINUTES + later
        found = self._day(day, step=1)
        return None if found is None else found * DAY_MINUTES + self._first

    def latest(self, until: int) -> int | None:
        """The last time that is not after this one; None if there is none within :data:`YEARS`."""
        day, minute = divmod(until, DAY_MINUTES)
        if self._has(day) and (earlier := self._earlier(minute)) is not None:
            return day * DAY_MINUTES + earlier
        found = self._day(day, step=-1)
        return None if found is None else found * DAY_MINUTES + self._last

    @property
    def _first(self) -> int:
        """The first minute of a day."""
        return 60 * self._hours[0] + self._minutes[0]

    @property
    def _last(self) -> int:
        return 60 * self._hours[-1] + self._minutes[-1]

    def _later(self, than: int) -> int | None:
        """The first minute of a day that is after this one."""
        hour, minute = divmod(than, 60)
        at = bisect_left(self._hours, hour)
        if at == len(self._hours):
            return None
        if self._hours[at] > hour:
            return 60 * self._hours[at] + self._minutes[0]
        within = bisect_right(self._minutes, minute)
        if within < len(self._minutes):
            return 60 * hour + self._minutes[within]
        return None if at + 1 == len(self._hours) else 60 * self._hours[at + 1] + self._minutes[0]

    def _earlier(self, or_at: int) -> int | None:
        """The last minute of a day that is not after this one."""
        hour, minute = divmod(or_at, 60)
        at = bisect_right(self._hours, hour)
        if not at:
            return None
        if self._hours[at - 1] < hour:
            return 60 * self._hours[at - 1] + self._minutes[-1]
        within = bisect_right(self._minutes, minute)
        if within:
            return 60 * hour + self._minutes[within - 1]
        return None if at == 1 else 60 * self._hours[at - 2] + self._minutes[-1]

    def _has(self, day: int) -> bool:
        at = date.fromordinal(day + EPOCH_DAY)
        return at.month in self._months and at.day in self._of_month(at.year, at.month)

    def _day(self, day: int, *, step: int) -> int | None:
        """The nearest day after this one, or before it, in days since the epoch."""
        at = date.fromordinal(day + EPOCH_DAY)
        year, month = at.year, at.month
        days = self._of_month(year, month) if month in self._months else []
        left = bisect_right(days, at.day) if step > 0 else bisect_left(days, at.day)
        days = days[left:] if step > 0 else days[:left]
        for _ in range(12 * YEARS):
            if days:
                chosen = days[0] if step > 0 else days[-1]
                return date(year, month, chosen).toordinal() - EPOCH_DAY
            years, month_index = divmod(month - 1 + step, 12)
            year, month = year + years, month_index + 1
            days = self._of_month(year, month) if month in self._months else []
        return None

    def _of_month(self, year: int, month: int) -> list[int]:
        length = calendar.monthrange(year, month)[1]
        if not self._days:
            return list(range(1, length + 1))
        named = {day for field in self._days for day in field(year, month)}
        return sorted(day for day in named if 1 <= day <= length)


@lru_cache(maxsize=16_384)
def parse(text: str) -> Cron:
    """The expression.

    Raises:
        InvalidCron: it is none, or never comes true.
    """
    cron = Cron(text)
    if cron.next(0) is None:
        raise InvalidCron(f"{text!r} never comes true: no such month has such a day.")
    return cron


def _values(text: str, field: _Field) -> list[int]:
    """The values of a list, sorted."""
    if text == "*":
        return list(range(field.first, field.last + 1))
    return sorted({value for part in text.split(",") for value in _part(part, field)})


def _part(text: str, field: _Field) -> list[int]:
    """The values of one entry of a list."""
    span, slash, said = text.partition("/")
    step = _number(said, field, most=field.last) if slash else 1
    if step < 1:
        raise InvalidCron(f"A step of the {field.name} is at least 1, not {said!r}.")
    if span == "*" and slash:
        first, last = field.first, field.last
    else:
        start, dash, end = span.partition("-")
        first = _value(start, field)
        last = _value(end, field) if dash else field.last if slash else first
    if first <= last:
        return list(range(first, last + 1, step))
    return [*range(first, field.last + 1), *range(field.first, last + 1)][::step]


def _value(text: str, field: _Field) -> int:
    if text in field.names:
        return field.names.index(text) + 1
    value = _number(text, field, most=field.last)
    if value < field.first:
        raise InvalidCron(_out_of_range(text, field))
    return value


def _number(text: str, field: _Field, *, most: int) -> int:
    if not (text.isascii() and text.isdigit()):
        raise InvalidCron(f"The {field.name} cannot be {text[:40]!r}.")
    if len(text) > 3 or int(text) > most:
        raise InvalidCron(_out_of_range(text, field))
    return int(text)


def _out_of_range(text: str, field: _Field) -> str:
    return f"The {field.name} is from {field.first} to {field.last}, not {text[:40]}."


def _days_of_month(text: str) -> Days:
    if match := _LAST_DAY.fullmatch(text):
        before = int(match[1] or 0)
        if match[1] and not 1 <= before <= 30:
            raise InvalidCron("A day before the last is L-1 to L-30.")
        if match[2]:
            return lambda year, month: _nearest(year, month, _length(year, month) - before)
        return lambda year, month: [_length(year, month) - before]
    if match := _NEAREST.fullmatch(text):
        day = _value(match[1], _DAY)
        return lambda year, month: _nearest(year, month, day)
    values = _values(text, _DAY)
    return lambda _year, _month: values


def _days_of_week(text: str) -> Days:
    if text == "L":
        text = "7"
    if match := _LAST_WEEKDAY.fullmatch(text):
        wanted = _value(match[1], _WEEKDAY)
        return lambda year, month: _weekdays(year, month, wanted)[-1:]
    if match := _NTH_WEEKDAY.fullmatch(text):
        wanted, nth = _value(match[1], _WEEKDAY), int(match[2])
        if not 1 <= nth <= 5:
            raise InvalidCron("A weekday comes once to five times in a month: #1 to #5.")
        return lambda year, month: _weekdays(year, month, wanted)[nth - 1 : nth]
    values = _values(text, _WEEKDAY)
    return lambda year, month: [day for value in values for day in _weekdays(year, month, value)]


def _length(year: int, month: int) -> int:
    return calendar.monthrange(year, month)[1]


def _nearest(year: int, month: int, day: int) -> list[int]:
    """The weekday (Monday to Friday) nearest to a day, in the same month."""
    length = _length(year, month)
    if not 1 <= day <= length:
        return []
    match date(year, month, day).isoweekday():
        case 6:
            return [day - 1 if day > 1 else day + 2]
        case 7:
            return [day + 1 if day < length else day - 2]
    return [day]


def _weekdays(year: int, month: int, wanted: int) -> list[int]:
    """All days of a month that are this day of the week, 1 for Sunday."""
    first = date(year, month, 1).isoweekday() % 7 + 1
    return list(range(1 + (wanted - first) % 7, _length(year, month) + 1, 7))
