"""HTTP headers as a tenant sees them, and as they travel."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Pairs = list[tuple[str, str]]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FORBIDDEN_IN_VALUE = re.compile(r"[\0\r\n]")


class HeaderMap(Mapping[str, Any]):
    """Case-insensitive headers. Repeated ones read as one, joined by a comma; ``Set-Cookie`` never.

    A missing name reads as None, with ``[...]`` too, as ``http.client.HTTPMessage`` does.
    """

    __slots__ = ("_pairs",)

    def __init__(self, headers: Any = None) -> None:
        self._pairs: Pairs = checked_pairs(headers)

    def __getitem__(self, name: str) -> str | None:
        value: str | None = self.get(name)
        return value

    def get(self, name: str, default: Any = None) -> Any:
        """The value of that header, or ``default``."""
        values = self.get_all(name)
        if not values:
            return default
        return values[0] if name.lower() == "set-cookie" else ", ".join(values)

    def get_all(self, name: str, default: Any = None) -> Any:
        """Every value of that header, in order, or ``default``."""
        wanted = name.lower()
        return [value for each, value in self._pairs if each == wanted] or default

    def __setitem__(self, name: str, value: Any) -> None:
        pair = _checked(name, value)
        self._pairs[:] = [each for each in self._pairs if each[0] != pair[0]] + [pair]

    def __delitem__(self, name: str) -> None:
        wanted = str(name).lower()
        self._pairs[:] = [each for each in self._pairs if each[0] != wanted]

    def add_header(self, name: str, value: Any) -> None:
        """Add a header beside those of the same name."""
        self._pairs.append(_checked(name, value))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and any(each == name.lower() for each, _ in self._pairs)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def keys(self) -> Any:
        """The names, each once, lower case."""
        return list(dict.fromkeys(name for name, _ in self._pairs))

    def values(self) -> Any:
        """The values, in the order of :meth:`items`."""
        return [value for _, value in self.items()]

    def items(self) -> Any:
        """Name and value of each header; each ``Set-Cookie`` by itself."""
        found: list[tuple[str, str]] = []
        for name in self.keys():
            values = self.get_all(name)
            found += [(name, v) for v in (values if name == "set-cookie" else [", ".join(values)])]
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HeaderMap) and self._pairs == other._pairs

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"Headers({self.items()!r})"


def wire_pairs(headers: HeaderMap) -> Pairs:
    """The headers as they travel."""
    return headers._pairs


def add_pair(headers: HeaderMap, name: str, value: str) -> None:
    """Add a header of ours: lower case, well formed, and not there yet."""
    headers._pairs.append((name, value))


def from_wire(pairs: Iterable[tuple[str, str]]) -> HeaderMap:
    """Headers that came over the door: already lower case and well formed."""
    headers = HeaderMap.__new__(HeaderMap)
    headers._pairs = [(name, value) for name, value in pairs]
    return headers


def checked_pairs(headers: Any) -> Pairs:
    """Pairs of what a tenant gives as headers. Raises ``TypeError`` for other types."""
    if headers is None:
        return []
    if isinstance(headers, HeaderMap):
        return list(headers._pairs)
    if isinstance(headers, Mapping):
        return [_checked(name, value) for name, value in headers.items()]
    if isinstance(headers, list | tuple):
        return [_checked(*_as_pair(each)) for each in headers]
    raise TypeError(f"Headers() received unsupported type: {type(headers).__name__}")


def _as_pair(value: Any) -> tuple[Any, Any]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise TypeError("Headers() takes a dict or a list of (name, value) pairs")
    return value[0], value[1]


def _checked(name: Any, value: Any) -> tuple[str, str]:
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        raise TypeError(f"Invalid header name: {name!r}")
    if isinstance(value, int | float):
        value = str(value)
    if not isinstance(value, str):
        raise TypeError(f"Invalid header value for {name!r}: {type(value).__name__}")
    value = value.strip(" \t\r\n")
    if _FORBIDDEN_IN_VALUE.search(value):
        raise TypeError(f"Invalid header value for {name!r}")
    return name.lower(), _latin1(value)


def _latin1(value: str) -> str:
    """Header text is bytes on the wire: what does not fit Latin-1 is sent as UTF-8."""
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode("utf-8", "replace").decode("latin-1")
    return value
