"""``env`` of a dispatch worker: the dispatcher, the operator's KV namespaces and variables."""

import asyncio
import json
from typing import Any

from cloister.errors import NotFound
from cloister.registry import Registry
from dispatcher.stub import Dispatcher


class KvBinding:
    """A KV namespace, named by its title. The registry is read in a thread."""

    def __init__(self, registry: Registry, title: str) -> None:
        self._registry = registry
        self._title = title
        self._id: str | None = None

    async def get(self, key: str, type: str = "text") -> Any:  # noqa: A002 - the product's name
        """The value as ``text``, ``json`` or ``bytes``; None if the key is not there."""
        value = await asyncio.to_thread(self._get, key)
        if value is None or type == "bytes":
            return value
        if type == "json":
            return json.loads(value)
        return value.decode()

    async def put(self, key: str, value: str | bytes) -> None:
        """Write a value."""
        data = value.encode() if isinstance(value, str) else value
        await asyncio.to_thread(lambda: self._registry.kv.put(self._find(), key, data))

    async def delete(self, key: str) -> None:
        """Delete a key, which need not be there."""
        await asyncio.to_thread(lambda: self._registry.kv.delete(self._find(), key))

    async def list(self, prefix: str = "", limit: int = 1000) -> list[str]:
        """Names of keys, in order."""
        page = await asyncio.to_thread(
            lambda: self._registry.kv.list(self._find(), prefix=prefix, limit=limit)
        )
        return [key.name for key in page.items]

    def _get(self, key: str) -> bytes | None:
        found = self._registry.kv.get(self._find(), key)
        return None if found is None else found.value

    def _find(self) -> str:
        """The namespace's id; looked up when first needed, so that it may be made later."""
        if self._id is None:
            self._id = _id_of(self._registry, self._title)
        return self._id


def _id_of(registry: Registry, title: str) -> str:
    for account in registry.accounts.list():
        page = 1
        while items := registry.kv.namespaces.list(account.id, page=page, per_page=1000).items:
            for item in items:
                if item.title == title:
                    return item.id
            page += 1
    raise NotFound(f"There is no KV namespace with the title {title!r}.")


class Environment:
    """Attributes: ``DISPATCHER``, and what the dispatch worker's class declares."""

    DISPATCHER: Dispatcher

    def __init__(self, dispatcher: Dispatcher, declared: dict[str, Any]) -> None:
        self.__dict__.update(declared)
        self.DISPATCHER = dispatcher

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"env has no {name}: declare it in the dispatch worker's class")
