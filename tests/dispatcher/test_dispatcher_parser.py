"""The short way through the parser leads nowhere that gunicorn's own would not."""

import random
from typing import Any

import pytest
from gunicorn.asgi.parser import ParseError, PythonProtocol

from dispatcher.parser import SHORT_BYTES, Parser

LIMITS = {
    "limit_request_line": 16 * 1024 + 128,
    "limit_request_fields": 20,
    "limit_request_field_size": 128 * 1024,
}

REQUESTS = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /a/b?c=%20;d#e HTTP/1.1\r\nHost: a:80\r\nX-A:\t b \t\r\nx-a:\r\nY: \xe9 : \r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2;x\r\nab\r\n0\r\n\r\n",
    b"PURGE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX_Y: 1\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
]

ODD = [
    b"\r",
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b":",
    b",",
    b"\x00",
    b"\x7f",
    b"\xff",
    b"",
    b"A",
    b"0",
    b";",
]


def parsed(kind: type[PythonProtocol], *pieces: bytes) -> object:
    """What a parser makes of a message: its parts, or the error, and the body so far."""
    body: list[bytes] = []
    parser = kind(on_body=body.append, **LIMITS)
    try:
        for piece in pieces:
            parser.feed(piece)
        if parser.is_complete and kind is Parser:
            parser.next()
        elif parser.is_complete:
            tail = parser.remaining()
            parser.reset()
            parser.feed(tail)
    except ParseError as exc:
        return type(exc), str(exc), b"".join(body)
    said: tuple[Any, ...] = (parser.method, parser.path, parser.http_version, parser.headers)
    framing = (parser.content_length, parser.is_chunked, parser.should_keep_alive)
    return said, framing, parser.is_complete, parser.remaining(), b"".join(body)


def changed(request: bytes, dice: random.Random) -> bytes:
    """The request with a few places made odd."""
    for _ in range(dice.randint(0, 3)):
        place = dice.randrange(len(request) + 1)
        request = request[:place] + dice.choice(ODD) + request[place + dice.randint(0, 2) :]
    return request


@pytest.mark.parametrize("request_number", range(len(REQUESTS)))
def test_both_ways_say_the_same(request_number: int) -> None:
    """Thousands of requests, some with odd bytes at odd places, whole or in two pieces: what comes
    out is the same as gunicorn's, errors included."""
    dice = random.Random(request_number)
    for _ in range(1500):
        request = changed(REQUESTS[request_number], dice)
        cut = dice.choice([0, dice.randrange(len(request) + 1)])
        pieces = (request[:cut], request[cut:])
        assert parsed(Parser, *pieces) == parsed(PythonProtocol, *pieces), pieces


@pytest.mark.parametrize("length", [SHORT_BYTES // 2, SHORT_BYTES + 200, 130 * 1024])
@pytest.mark.parametrize("fields", [1, 20, 21])
def test_limits_hold_both_ways(length: int, fields: int) -> None:
    """A long target, a long field and too many fields are refused alike, or pass alike."""
    more = b"A: b\r\n" * (fields - 1)
    line = b"GET /%b HTTP/1.1\r\n%bHost: a\r\n\r\n" % (b"a" * length, more)
    field = b"GET / HTTP/1.1\r\n%bA: %b\r\n\r\n" % (more, b"a" * length)
    for request in (line, field):
        assert parsed(Parser, request) == parsed(PythonProtocol, request)
