"""Request bodies, bounded while they arrive."""

from collections.abc import Iterator
from typing import Any

import msgspec
from flask import request

from control.errors import BAD_BODY, BODY_TOO_LARGE, Problem, Refused

CHUNK_BYTES = 64 * 1024
JSON_BYTES = 2 * 1024 * 1024
"""Largest ordinary JSON body; metadata with some thousand bindings fits."""

DRAIN_BYTES = 16 * 1024 * 1024
"""What is read and thrown away after a refusal, so that an honest client gets to see the answer."""


def chunks(limit_bytes: int, problem: Problem = BODY_TOO_LARGE) -> Iterator[bytes]:
    """The body as it arrives.

    Raises:
        Refused: with ``problem``, as soon as more than ``limit_bytes`` were announced or sent.
    """
    if (request.content_length or 0) > limit_bytes:
        _drain()
        raise Refused(problem)
    received = 0
    while chunk := request.stream.read(CHUNK_BYTES):
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


def json_object(limit_bytes: int = JSON_BYTES) -> dict[str, Any]:
    """As :func:`json_body`, for endpoints that take an object."""
    value = json_body(limit_bytes)
    if not isinstance(value, dict):
        raise Refused(BAD_BODY, "The body must be a JSON object.")
    return value


def decode_json(data: bytes, problem: Problem = BAD_BODY) -> Any:
    """Decode untrusted JSON. Raises :class:`Refused` with ``problem``."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise Refused(problem, f"{problem.message.rstrip('.')}: {exc}.") from exc


def _drain() -> None:
    left = DRAIN_BYTES
    while left > 0 and (chunk := request.stream.read(min(CHUNK_BYTES, left))):
        left -= len(chunk)
