"""What the library has in C that does not expect its caller back while it calls the worker.

Those in C keep a value that such a call can free: the sum so far, the line that is read, the entry
of a cache. Here each is in Python, or is given nothing that calls.
"""

import collections
import csv
import itertools
import operator
import zoneinfo
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any

from executor.isolate.policy import kinds

_NONE = object()
_NUMBERS = (int, float)
_TEXTS = (str, bytes)


def _accumulate(
    iterable: Iterable[Any], func: Callable[[Any, Any], Any] | None = None, *, initial: Any = None
) -> Iterator[Any]:
    """``itertools.accumulate``."""
    return _sums(iter(iterable), func or operator.add, initial)


def _sums(values: Iterator[Any], add: Callable[[Any, Any], Any], total: Any) -> Iterator[Any]:
    if total is None:
        total = next(values, _NONE)
    if total is _NONE:
        return
    yield total
    for value in values:
        total = add(total, value)
        yield total


def _count(start: Any = 0, step: Any = 1) -> Iterator[Any]:
    """``itertools.count``."""
    if type(start) in _NUMBERS and type(step) in _NUMBERS:
        return itertools.count(start, step)
    return _steps(start, step)


def _steps(number: Any, step: Any) -> Iterator[Any]:
    while True:
        yield number
        number = number + step


def count_elements(counts: MutableMapping[Any, int], values: Iterable[Any]) -> None:
    """What ``Counter`` counts with. Text calls nothing while it is counted."""
    if not counts and type(values) in _TEXTS:
        _count_in_c(counts, values)
        return
    get = counts.get
    for value in values:
        counts[value] = get(value, 0) + 1


_count_in_c: Any = vars(collections)["_count_elements"]


def reader(csvfile: Iterable[str], /, *args: Any, **kwargs: Any) -> Any:
    """``csv.reader``. A generator cannot be entered twice, whatever it reads from."""
    return _reader_in_c((line for line in csvfile), *args, **kwargs)


_reader_in_c = csv.reader


def _zone(key: str) -> zoneinfo.ZoneInfo:
    """``zoneinfo.ZoneInfo``."""
    return zoneinfo.ZoneInfo(_key(key))


def _zone_without_cache(key: str) -> zoneinfo.ZoneInfo:
    """``ZoneInfo.no_cache``."""
    return zoneinfo.ZoneInfo.no_cache(_key(key))


def _zone_of_file(fobj: Any, /, key: str | None = None) -> zoneinfo.ZoneInfo:
    """``ZoneInfo.from_file``."""
    return zoneinfo.ZoneInfo.from_file(fobj, None if key is None else _key(key))


def _clear_cache() -> None:
    """``ZoneInfo.clear_cache``."""
    zoneinfo.ZoneInfo.clear_cache()


def _key(key: Any) -> str:
    """The text, which compares itself as text does."""
    if not issubclass(type(key), str):
        raise TypeError(f"the key of a time zone is a string, not a {type(key).__name__}")
    return str.__str__(key)


ZoneInfo = kinds.stand_in(
    zoneinfo.ZoneInfo,
    make=_zone,
    methods={
        "no_cache": _zone_without_cache,
        "clear_cache": _clear_cache,
        "from_file": _zone_of_file,
    },
)

CSV: dict[str, Any] = {"reader": reader}
ITERTOOLS: dict[str, Any] = {
    "accumulate": kinds.stand_in(itertools.accumulate, make=_accumulate),
    "count": kinds.stand_in(itertools.count, make=_count),
}
ZONEINFO: dict[str, Any] = {"ZoneInfo": ZoneInfo}
