"""Durable Objects as workers see them: namespaces, ids and stubs, and what an object has itself."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NoReturn

from executor.isolate.invocation import runtime
from executor.isolate.workers.entrypoints import Context
from executor.isolate.workers.fetching import send
from executor.isolate.workers.requests import Request
from executor.isolate.workers.responses import Response
from executor.isolate.workers.rpc import python_from_rpc, python_to_rpc
from executor.isolate.workers.storage import Storage


class DurableObjectAbort(BaseException):
    """The object gave itself up."""


class DurableObjectId:
    """Names one object of a namespace. Of one made from a name, the digits are asked for only if
    somebody wants to see them."""

    __slots__ = ("_digits", "_name", "_namespace")

    def __init__(self, namespace: str, digits: str | None, name: str | None = None) -> None:
        self._namespace = namespace
        self._digits = digits
        self._name = name

    @property
    def name(self) -> str | None:
        """What it was made from, if it was from a name."""
        return self._name

    def toString(self) -> str:
        """64 hex digits."""
        if self._digits is None:
            self._digits = str(runtime.ask_now(self._namespace, "idFromName", [self._name]))
        return self._digits

    def equals(self, other: Any) -> bool:
        """Whether it names the same object."""
        return isinstance(other, DurableObjectId) and self.toString() == other.toString()

    __eq__ = equals

    def __hash__(self) -> int:
        return hash(self.toString())

    __str__ = toString

    def __repr__(self) -> str:
        return f"<object id {self._name or self._digits}>"


class DurableObjectNamespace:
    """``env.NAME`` of a binding to a class of objects."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def idFromName(self, name: str) -> DurableObjectId:
        """The id of that name: always the same."""
        if not isinstance(name, str):
            raise TypeError(f"An object's name is a str, not {type(name).__name__}")
        return DurableObjectId(self._name, None, name)

    def newUniqueId(self, options: dict[str, Any] | None = None) -> DurableObjectId:
        """An id that was never there."""
        _refuse_jurisdiction((options or {}).get("jurisdiction"))
        return DurableObjectId(self._name, runtime.ask_now(self._name, "newUniqueId", []))

    def idFromString(self, digits: str) -> DurableObjectId:
        """The id of these digits. Raises ``TypeError`` for one that is not of this namespace."""
        found = runtime.ask_now(self._name, "idFromString", [digits])
        return DurableObjectId(self._name, found)

    def get(self, id: DurableObjectId, options: Any = None) -> "DurableObjectStub":  # noqa: A002, ARG002 - the product's; hints of places mean nothing here
        """A stub of the object; nothing is asked before it is used."""
        if not isinstance(id, DurableObjectId):
            raise TypeError(f"get() takes a DurableObjectId, not {type(id).__name__}")
        return DurableObjectStub(self._name, id)

    def getByName(self, name: str, options: Any = None) -> "DurableObjectStub":
        """The stub of the object of that name."""
        return self.get(self.idFromName(name), options)

    def jurisdiction(self, jurisdiction: Any) -> "DurableObjectNamespace":
        """There are none here: the same namespace, where none is meant."""
        _refuse_jurisdiction(jurisdiction)
        return self

    def __repr__(self) -> str:
        return f"<object namespace {self._name}>"


class DurableObjectStub:
    """One object, about to be called: ``fetch()``, or any public method of its class."""

    __slots__ = ("_id", "_namespace")

    def __init__(self, namespace: str, id_: DurableObjectId) -> None:
        self._namespace = namespace
        self._id = id_

    @property
    def id(self) -> DurableObjectId:
        """Its id."""
        return self._id

    @property
    def name(self) -> str | None:
        """The name that its id was made from."""
        return self._id.name

    async def fetch(self, resource: Request | str, **options: Any) -> Response:
        """Send a request to the object."""
        if options or not isinstance(resource, Request):
            resource = Request(resource, **options)
        return await send(self._namespace, resource, _address(self._id))

    def __getattr__(self, method: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        if method.startswith("_"):
            raise AttributeError(method)
        namespace, id_ = self._namespace, self._id

        async def call(*arguments: Any, **named: Any) -> Any:
            sent = [python_to_rpc(each) for each in (*arguments, *([named] if named else []))]
            return python_from_rpc(await runtime.ask(namespace, method, sent, _address(id_)))

        return call

    def __repr__(self) -> str:
        return f"<object {self._id!r}>"


class DurableObjectState(Context):
    """``self.ctx`` of an object."""

    __slots__ = ("_blocking", "_id", "_storage")

    def __init__(self, id_: DurableObjectId) -> None:
        super().__init__({})
        self._id = id_
        self._storage = Storage()
        self._blocking: list[asyncio.Task[Any]] = []

    @property
    def id(self) -> DurableObjectId:
        """The object's own id."""
        return self._id

    @property
    def storage(self) -> Storage:
        """What is kept of it."""
        return self._storage

    def blockConcurrencyWhile(self, callback: Callable[[], Awaitable[Any]]) -> Awaitable[Any]:
        """Run that before anything else gets to the object. If it raises, the object is reset."""
        task = asyncio.get_running_loop().create_task(_awaited(callback()))
        self._blocking.append(task)
        self.waitUntil(task)
        return task

    def abort(self, reason: Any = None) -> NoReturn:
        """Give the object up: what it holds in memory is gone, and what is not durable yet."""
        runtime.ask_now("ctx.storage", "abort", [])
        raise DurableObjectAbort(str(reason or "The Durable Object was aborted."))

    def acceptWebSocket(self, *_arguments: Any) -> NoReturn:
        """Raises: there are none here."""
        raise NotImplementedError(
            "WebSockets of Durable Objects are not available on this platform"
        )

    def getWebSockets(self, _tag: str | None = None) -> list[Any]:
        """There are none here."""
        return []

    async def _unblocked(self) -> None:
        """Wait until nothing blocks it. Raises what that has raised."""
        while self._blocking:
            await self._blocking[0]
            del self._blocking[0]


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _address(id_: DurableObjectId) -> dict[str, Any]:
    named = id_.name is not None
    return {"object": {"name": id_.name} if named else {"id": id_.toString()}}


def _refuse_jurisdiction(jurisdiction: Any) -> None:
    if jurisdiction is not None:
        raise ValueError("There are no jurisdictions on this platform")
