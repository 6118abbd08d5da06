"""Request bodies, bounded while they arrive."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
from flask import Flask, g, request
from werkzeug.exceptions import ClientDisconnected

from control.errors import (
    BAD_BODY,
    BODY_TOO_LARGE,
    BODY_TOO_SLOW,
    MALFORMED_PARAMETER,
    MISSING_PARAMETER,
    TOO_MANY_UPLOADS,
    Problem,
    Refused,
)
from control.house import house
from control.rules import plain

Kind = TypeVar("Kind")
Body = Callable[[], Kind]
"""Receives and decodes a body. Raises :class:`Refused`."""

CHUNK_BYTES = 64 * 1024
SMALL_BYTES = 64 * 1024
"""A larger body, or one of unknown length, needs one of the few places for uploads."""

JSON_BYTES = 2 * 1024 * 1024
"""Largest ordinary JSON body; metadata with some thousand bindings fits."""

DRAIN_BYTES = 16 * 1024 * 1024
"""What is read and thrown away after a refusal, so that an honest client gets to see the answer."""


def install(app: Flask) -> None:
    """Give an upload's place back when its request is over."""
    app.teardown_request(_give_place)


def chunks(limit_bytes: int, problem: Problem = BODY_TOO_LARGE) -> Iterator[bytes]:
    """The body as it arrives.

    Raises:
        Refused: with ``problem``, as soon as more than ``limit_bytes`` were announced or sent; or
            because it comes too slowly, or no place for an upload is free.
    """
    announced = request.content_length or 0
    if announced > limit_bytes:
        _drain()
        raise Refused(problem)
    if announced > SMALL_BYTES or "Transfer-Encoding" in request.headers:
        _take_place()
    received = 0
    while chunk := _read(CHUNK_BYTES):
        received += len(chunk)
        if received > limit_bytes:
            _drain()
            raise Refused(problem)
        yield chunk


def whole(limit_bytes: int, problem: Problem = BODY_TOO_LARGE) -> bytes:
    """The whole body. Raises as :func:`chunks` does."""
    return b"".join(chunks(limit_bytes, problem))


def json_body(limit_bytes: int = JSON_BYTES) -> Any:
    """The body decoded as JSON, whatever its content type says (curl users send text/plain).

    Raises:
        Refused: the body is too large or is not JSON.
    """
    return decode_json(whole(limit_bytes))


def converted(value: Any, kind: type[Kind]) -> Kind:
    """Decoded JSON as a struct.

    Raises:
        Refused: naming the field that is missing or of a wrong type.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as exc:
        raise _misfit(str(exc)) from exc


@dataclass(frozen=True)
class Json(Generic[Kind]):
    """A JSON body of an operation, whatever its content type says."""

    kind: type[Kind]
    limit_bytes: int = JSON_BYTES

    def read(self) -> Kind:
        """Receive and decode it. Raises :class:`Refused`."""
        return converted(json_body(self.limit_bytes), self.kind)


def decode_json(data: bytes, problem: Problem = BAD_BODY, at: str = "") -> Any:
    """Decode untrusted JSON, found at this pointer. Raises :class:`Refused` with ``problem``."""
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise Refused(problem, f"{problem.message.rstrip('.')}: {exc}.") from exc
    plain.check(value, problem, at)
    return value


_MISFIT = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<path>.*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")
_EXPECTED = re.compile(r"Expected `(\w+).*`, got `(\w+)`")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_WORDS = {
    "str": "a string",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "object": "an object",
    "array": "an array",
}


def _misfit(said: str) -> Refused:
    """msgspec's complaint as ours."""
    found = _MISFIT.fullmatch(said)
    what, path = (found["what"], found["path"] or "") if found else (said, "")
    pointer = "".join(f"/{name or index}" for name, index in _STEP.findall(path))
    if missing := _MISSING.fullmatch(what):
        name = missing[1]
        return Refused(MISSING_PARAMETER, f"{name} is required.", pointer=f"{pointer}/{name}")
    expected = _EXPECTED.fullmatch(what)
    wanted = _WORDS.get(expected[1], expected[1]) if expected else ""
    if not pointer:
        return Refused(BAD_BODY, f"The body must be {wanted}." if wanted else f"{what}.")
    name = pointer.rpartition("/")[2]
    if expected and expected[2] == "null":
        return Refused(MISSING_PARAMETER, f"{name} is required.", pointer=pointer)
    return Refused(
        MALFORMED_PARAMETER, f"{name} must be {wanted}." if wanted else f"{what}.", pointer=pointer
    )


def _read(most_bytes: int) -> bytes:
    try:
        return request.stream.read(most_bytes)
    except (TimeoutError, ClientDisconnected) as exc:
        raise Refused(BODY_TOO_SLOW) from exc


def _drain() -> None:
    left = DRAIN_BYTES
    while left > 0 and (chunk := _read(min(CHUNK_BYTES, left))):
        left -= len(chunk)


def _take_place() -> None:
    if g.get("has_place"):
        return
    if not house().uploads.take():
        raise Refused(TOO_MANY_UPLOADS)
    g.has_place = True


def _give_place(_exc: BaseException | None) -> None:
    if g.pop("has_place", False):
        house().uploads.give()
