"""Header fields: in order, repeats kept, found whatever their case; and which ones may pass."""

import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping

Pairs = list[tuple[str, str]]
Given = Mapping[str, str] | Iterable[tuple[str, str]] | None

HOP_BY_HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization"),
        *("proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
    }
)
"""Fields of one connection only (RFC 9110, 7.6.1)."""

NEVER_CONNECTION = frozenset(
    {"authorization", "content-length", "content-type", "cookie", "host", "origin"}
)
"""Fields that a Connection header may not make us drop: sites decide by them."""

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class Headers(MutableMapping[str, str]):
    """Header fields. ``h[name]`` joins repeats with a comma; :meth:`get_all` does not."""

    def __init__(self, given: Given = None) -> None:
        items = given.items() if isinstance(given, Mapping) else given or ()
        if isinstance(given, Headers):
            items = given.pairs
        self.pairs: Pairs = [(name.lower(), value) for name, value in items]

    def __getitem__(self, name: str) -> str:
        found = self.get_all(name)
        if not found:
            raise KeyError(name)
        return ", ".join(found)

    def get_all(self, name: str) -> list[str]:
        """Every value of this name, in order."""
        wanted = name.lower()
        return [value for key, value in self.pairs if key == wanted]

    def __setitem__(self, name: str, value: str) -> None:
        wanted = name.lower()
        self.pairs = [pair for pair in self.pairs if pair[0] != wanted]
        self.pairs.append((wanted, value))

    def append(self, name: str, value: str) -> None:
        """Add a field beside those of the same name."""
        self.pairs.append((name.lower(), value))

    def __delitem__(self, name: str) -> None:
        wanted = name.lower()
        kept = [pair for pair in self.pairs if pair[0] != wanted]
        if len(kept) == len(self.pairs):
            raise KeyError(name)
        self.pairs = kept

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for name, _ in self.pairs))

    def __len__(self) -> int:
        return len({name for name, _ in self.pairs})

    def __repr__(self) -> str:
        return f"Headers({self.pairs!r})"


def end_to_end(pairs: Pairs) -> Pairs:
    """The fields that may travel on: without hop-by-hop ones and those that Connection names."""
    dropped = HOP_BY_HOP
    for name, value in pairs:
        if name == "connection":
            named = {token.strip().lower() for token in value.split(",")}
            dropped |= named - NEVER_CONNECTION
    return [pair for pair in pairs if pair[0] not in dropped]


def is_valid(pairs: Pairs) -> bool:
    """Whether names are tokens and values hold no control characters (RFC 9110, 5.5)."""
    return all(_NAME.fullmatch(name) and _VALUE.fullmatch(value) for name, value in pairs)
