"""A class of Durable Objects: ids of its objects, and calls of them."""

from typing import Any

import msgspec
from msgspec import Raw

from executor.bindings.asked import read, read_request
from executor.bindings.base import Binding, ObjectTarget, Refused
from executor.egress.headers import outgoing
from executor.objects import ids
from executor.streams import as_request

NAME_BYTES = 1_024
OPTIONS_BYTES = 8 * 1024

NOT_CALLED = frozenset({"alarm", "webSocketMessage", "webSocketClose", "webSocketError"})
"""Methods that only the platform calls."""


class _Address(msgspec.Struct):
    id: str | None = None
    name: str | None = None


class _Options(msgspec.Struct):
    object: _Address | None = None


class _Text(msgspec.Struct, array_like=True):
    text: str


_options = msgspec.msgpack.Decoder(_Options)
_text = msgspec.msgpack.Decoder(_Text)


class Objects(Binding):
    """Without the option ``object`` it is about ids, with it a call of that object."""

    async def call(self, method: str, arguments: Raw, options: Raw) -> Any:
        """See :class:`Binding`."""
        asked = read(_options, options, OPTIONS_BYTES, "An object is called by its id or name")
        key = await self._key()
        if asked.object is None:
            return _id(key, method, arguments)
        target = self._target(key, asked.object)
        if method == "fetch":
            request = read_request(arguments)
            outgoing(request.headers)  # its own code may rely on it that headers are headers
            return await self.scope.callees.fetch_object(
                target, as_request(request, self.scope.streams)
            )
        if method in NOT_CALLED or method.startswith("_"):
            raise Refused("TypeError", f"Method {method[:40]} cannot be called.")
        return await self.scope.callees.call_object(target, method, arguments)

    async def _key(self) -> bytes:
        found = await self.scope.object_class(str(self.spec.get("namespace_id", "")))
        if found is None:
            raise Refused("Error", "There are no such Durable Objects: their class was deleted.")
        return found.key

    def _target(self, key: bytes, address: _Address) -> ObjectTarget:
        namespace_id = str(self.spec.get("namespace_id", ""))
        if address.name is not None:
            id_ = ids.from_name(key, _checked(address.name))
            return ObjectTarget(namespace_id=namespace_id, id=id_, name=address.name)
        return ObjectTarget(namespace_id=namespace_id, id=_own(key, address.id or ""), name=None)


def _id(key: bytes, method: str, arguments: Raw) -> str:
    match method:
        case "newUniqueId":
            return ids.unique(key)
        case "idFromName":
            return ids.from_name(key, _checked(_read(arguments)))
        case "idFromString":
            return _own(key, _read(arguments))
    raise Refused("TypeError", f"A Durable Object namespace has no method {method[:40]!r}.")


def _read(arguments: Raw) -> str:
    return read(_text, arguments, OPTIONS_BYTES, "A Durable Object's name or id is text").text


def _checked(name: str) -> str:
    if len(name.encode("utf-8", "surrogatepass")) > NAME_BYTES:
        raise Refused("ValueError", f"A Durable Object's name has at most {NAME_BYTES} bytes.")
    return name


def _own(key: bytes, text: str) -> str:
    if not ids.is_id(key, text):
        raise Refused("TypeError", "Durable Object ID is not valid for this namespace.")
    return text
