"""What every binding is, and what it may use of the invocation that it serves."""

from abc import ABC, abstractmethod
from collections import Counter
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec import Raw

from cloister.registry.registry import Registry
from executor.egress.redirects import OutgoingRequest
from executor.isolate.frames import Incoming, Outgoing
from executor.streams import Streams


class Refused(Exception):
    """A call fails; the tenant's code sees an exception of this kind with this message.

    Kinds are the names in ``executor.isolate.calls.KINDS``.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


REQUEST_BYTES = 512 * 1024
"""Largest call to fetch(): headers, and the body that rides along."""

T = TypeVar("T")


class Scope(Protocol):
    """What a binding may use of the invocation that it serves."""

    registry: Registry
    streams: Streams
    tally: Counter[str]
    """Operations of this invocation by kind of binding."""

    async def in_thread(self, function: Any, *arguments: Any, **options: Any) -> Any:
        """Run something that blocks."""

    def count(self) -> None:
        """Count a subrequest. Raises Refused over the limit."""

    async def fetch_worker(
        self, script: str, request: OutgoingRequest, *, entrypoint: str | None, props: Any
    ) -> Incoming:
        """Send a request to another worker of the namespace."""

    async def call_worker(
        self, script: str, method: str, arguments: Raw, *, entrypoint: str | None, props: Any
    ) -> Any:
        """Call a method of another worker of the namespace."""


class Binding(ABC):
    """One live binding in one invocation. ``spec`` is the binding as uploaded."""

    def __init__(self, spec: dict[str, Any], scope: Scope) -> None:
        self.spec = spec
        self.scope = scope

    @abstractmethod
    async def call(self, method: str, arguments: Raw, options: Raw) -> Any:
        """Answer a call. Raises Refused."""


class _Request(msgspec.Struct, array_like=True):
    request: Outgoing


_request = msgspec.msgpack.Decoder(_Request)


def read(decoder: "msgspec.msgpack.Decoder[T]", data: Raw, limit_bytes: int, wanted: str) -> T:
    """What an isolate sent, if it is of the type that is wanted.

    Raises:
        Refused: it is not, or is too large.
    """
    if memoryview(data).nbytes > limit_bytes:
        raise Refused("ValueError", f"{wanted}: too large.")
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise Refused("TypeError", f"{wanted}.") from exc


def read_request(arguments: Raw) -> Outgoing:
    """The request that fetch() is asked to send. Raises Refused."""
    return read(_request, arguments, REQUEST_BYTES, "fetch() takes a request").request
