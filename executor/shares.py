"""A number of places that many use, shared out so that a newcomer finds some free.

Who holds a place cannot be made to leave it, so nobody may take so many that none are left. A
namespace may hold up to twice as many as are free, and each of its workers as many as that leaves
the namespace; the first place of a worker comes out of a reserve as well. One namespace alone gets
two thirds of all, two get two fifths each, and so on; likewise the workers in it.
"""

from typing import Any

Name = tuple[str, str]
"""Namespace and worker."""

OF_FREE = 2
ONE_MORE = OF_FREE + 1
"""By so much a namespace's room shrinks when it takes a place."""

RESERVE = 8
"""This fraction of all places is kept from workers of namespaces that have their share."""


class Shares:
    """Who holds how many of so many places."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._reserve = max(1, places // RESERVE)
        self.free = places
        self._by_namespace: dict[str, int] = {}
        self._by_worker: dict[Name, int] = {}

    def held(self, namespace: str) -> int:
        """How many places a namespace holds."""
        return self._by_namespace.get(namespace, 0)

    def room(self, namespace: str) -> int:
        """How much less it holds than it may; negative if the others came to need more."""
        return OF_FREE * self.free - self._by_namespace.get(namespace, 0)

    def has_room(self, namespace: str) -> bool:
        """Whether a namespace may take another place within its share."""
        return self.room(namespace) >= (ONE_MORE if namespace in self._by_namespace else 1)

    def has_room_for(self, name: Name) -> bool:
        """Whether a worker may take another place."""
        held = self._by_worker.get(name, 0)
        if held:
            return self.room(name[0]) - ONE_MORE > held
        return self.has_room(name[0]) or self.free > self._reserve

    def take(self, name: Name) -> None:
        """Take a place."""
        self.free -= 1
        self._by_namespace[name[0]] = self._by_namespace.get(name[0], 0) + 1
        self._by_worker[name] = self._by_worker.get(name, 0) + 1

    def give(self, name: Name) -> None:
        """Give it back."""
        self.free += 1
        _lower(self._by_namespace, name[0])
        _lower(self._by_worker, name)


def _lower(counts: dict[Any, int], key: Any) -> None:
    if counts[key] == 1:
        del counts[key]
    else:
        counts[key] -= 1
