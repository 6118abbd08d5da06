"""What calls carry, decoded by those who know its type, within its bounds."""

from typing import TypeVar

import msgspec
from msgspec import Raw

from executor.bindings.base import Refused
from executor.isolate.frames import INLINE_BODY_BYTES, Call, Outgoing

REQUEST_BYTES = 512 * 1024
"""Largest call to fetch(): headers, and the body that rides along."""

WRITE_BYTES = INLINE_BODY_BYTES + 1024
"""Largest operation on a stream: a piece of a body."""

T = TypeVar("T")


_ARRAYS = frozenset({*range(0x90, 0xA0), 0xDC, 0xDD})
"""The first byte of an array in msgpack."""


class StreamCall(msgspec.Struct, array_like=True):
    """The arguments of an operation on a stream."""

    stream: int
    data: bytes = b""


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


def check_method(method: str, arguments: Raw) -> None:
    """See to it that a method of another worker is called as one. Raises Refused."""
    if method.startswith("_") or not method.isidentifier():
        raise Refused("TypeError", f"Method {method[:40]!r} does not exist")
    if memoryview(arguments)[0] not in _ARRAYS:
        raise Refused("TypeError", "A method takes a list of arguments.")


def read_stream(arguments: Raw) -> StreamCall:
    """The stream that an operation is for, and the bytes that come along. Raises Refused."""
    return read(_stream, arguments, WRITE_BYTES, "That is no operation on a stream")


class _Body(msgspec.Struct):
    stream: int | None = None


class _Carrier(msgspec.Struct, array_like=True):
    request: _Body


def body_of(call: Call) -> int | None:
    """The stream that follows a call as its body."""
    try:
        if call.method == "fetch":
            return _carrier.decode(call.arguments).request.stream
        return _body.decode(call.options).stream
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


_stream = msgspec.msgpack.Decoder(StreamCall)
_carrier = msgspec.msgpack.Decoder(_Carrier)
_body = msgspec.msgpack.Decoder(_Body)
