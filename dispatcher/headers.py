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

_ODD_NAME = re.compile(r"[^!#$%&'*+\-.^_`|~0-9A-Za-z]")
_ODD_VALUE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")


class Headers(MutableMapping[str, str]):
    """Header fields. ``h[name]`` joins repeats with a comma; :meth:`get_all` does not."""

    def __init__(self, given: Given = None) -> None:
        self.pairs: Pairs
        if isinstance(given, Headers):
            self.pairs = given.pairs.copy()
        elif given is None:
            self.pairs = []
        else:
            items = given.items() if isinstance(given, Mapping) else given
            self.pairs = lower(items)

    @classmethod
    def of(cls, pairs: Pairs) -> "Headers":
        """Headers on this very list, whose names are lower case already."""
        headers = cls.__new__(cls)
        headers.pairs = pairs
        return headers

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


def lower(pairs: Iterable[tuple[str, str]]) -> Pairs:
    """The fields with their names in lower case."""
    return [(name.lower(), value) for name, value in pairs]


def end_to_end(pairs: Pairs) -> Pairs:
    """The fields that may travel on: without hop-by-hop ones and those that Connection names."""
    kept = [pair for pair in pairs if pair[0] not in HOP_BY_HOP]
    if len(kept) == len(pairs):
        return kept
    named = {
        token.strip().lower()
        for name, value in pairs
        if name == "connection"
        for token in value.split(",")
    }
    named -= NEVER_CONNECTION
    return [pair for pair in kept if pair[0] not in named] if named else kept


def is_valid(pairs: Pairs) -> bool:
    """Whether names are tokens and values hold no control characters (RFC 9110, 5.5)."""
    if not pairs:
        return True
    names, values = zip(*pairs, strict=True)
    # All in one look: what joins them is allowed in them, and only a name may not be empty.
    return (
        all(names)
        and not _ODD_NAME.search("x".join(names))
        and not _ODD_VALUE.search(" ".join(values))
    )
