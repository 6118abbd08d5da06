"""The door of a database's process: a 4-byte big-endian length, then msgpack; an empty frame says
that the database is open. Each question has one answer."""

from collections.abc import Callable

import msgspec

from cloister.databases import RESULT_BYTES, Failed, FromProcess

HEADER_BYTES = 4
MAX_ANSWER_BYTES = RESULT_BYTES + 8 * 1024 * 1024
"""With names of columns, and what is said about statements."""

_encode = msgspec.msgpack.Encoder().encode
decode_answer: Callable[[bytes], FromProcess] = msgspec.msgpack.Decoder(FromProcess).decode


def encode_ask(ask: object) -> bytes:
    """The bytes of one question."""
    return framed(_encode(ask))


def encode_answer(answer: FromProcess) -> bytes:
    """The bytes of one answer, or, instead of one that is too long, of a refusal."""
    data = framed(_encode(answer))
    if len(data) > MAX_ANSWER_BYTES:
        return encode_answer(Failed(kind="too_large", message="The answer is too large."))
    return data


def framed(body: bytes) -> bytes:
    """A frame with this body."""
    return len(body).to_bytes(HEADER_BYTES, "big") + body
