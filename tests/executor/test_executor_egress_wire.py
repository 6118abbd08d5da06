"""What is a response of HTTP, and what could be read in two ways and is none."""

import pytest

from executor.egress.guard import FetchInvalid
from executor.egress.wire import HEAD_BYTES, Malformed, Response, request_head

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


def parsed(data: bytes, *, pieces: int = 1, end: bool = False, has_body: bool = True) -> Response:
    """A response that arrives in so many pieces."""
    response = Response(has_body=has_body)
    step = max(1, len(data) // pieces)
    for start in range(0, len(data), step):
        response.feed(data[start : start + step])
    if end:
        response.end()
    return response


def feed_without_end(response: Response, line: bytes) -> None:
    """The same again and again; returns if that goes on for too long."""
    for _ in range(HEAD_BYTES):
        response.feed(line)


NO_RESPONSES = {
    "two framings": b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    "the other way": b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    "two lengths": b"content-length: 2\r\ncontent-length: 3\r\n\r\nabc",
    "a list of lengths": b"content-length: 2, 3\r\n\r\nabc",
    "a signed length": b"content-length: +2\r\n\r\nab",
    "an endless length": b"content-length: 99999999999999999999999\r\n\r\nab",
    "an empty length": b"content-length:\r\n\r\nab",
    "a space before the colon": b"content-length : 2\r\n\r\nab",
    "a folded field": b"x: a\r\n b\r\ncontent-length: 0\r\n\r\n",
    "NUL in a field": b"x: a\0b\r\ncontent-length: 0\r\n\r\n",
    "LF in a field": b"x: a\ny: b\r\ncontent-length: 0\r\n\r\n",
    "CR in a field": b"x: a\ry: b\r\ncontent-length: 0\r\n\r\n",
    "a field without a name": b": a\r\ncontent-length: 0\r\n\r\n",
    "another coding": b"transfer-encoding: gzip, chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    "a coding last": b"transfer-encoding: chunked, gzip\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    "a coding that nobody knows": b"transfer-encoding: xchunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    "a negative chunk": b"transfer-encoding: chunked\r\n\r\n-2\r\nab\r\n0\r\n\r\n",
    "an endless chunk": b"transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nab\r\n0\r\n\r\n",
    "a chunk of another size": b"transfer-encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
    "bare LF": b"transfer-encoding: chunked\r\n\r\n2\nab\n0\n\n",
}


@pytest.mark.parametrize("pieces", [1, 200])
@pytest.mark.parametrize("what", NO_RESPONSES)
def test_what_can_be_read_in_two_ways_is_no_response(what: str, pieces: int) -> None:
    """However it is cut up on its way."""
    with pytest.raises(Malformed):
        parsed(OK + NO_RESPONSES[what], pieces=pieces)


@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/2.0 200 OK",
        b"HTTP/0.9 200 OK",
        b"RTSP/1.0 200 OK",
        b"ICE/1.0 200 OK",
        b"SSH-2.0-x",
        b"\r\nHTTP/1.1 200 OK",
        b"HTTP/1.1 000 OK",
        b"HTTP/1.1 99 OK",
        b"HTTP/1.1 1000 OK",
        b"HTTP/1.1 200 O\0K",
        b"HTTP/1.1 101 Switching",
        b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade",
    ],
)
def test_other_protocols_are_no_response(start: bytes) -> None:
    """HTTP/1.0 and 1.1 it is, and no change to another one."""
    with pytest.raises(Malformed):
        parsed(start + b"\r\ncontent-length: 0\r\n\r\n")


@pytest.mark.parametrize("pieces", [1, 3, 1000])
@pytest.mark.parametrize(
    ("data", "body"),
    [
        (OK + b"content-length: 2\r\n\r\nab", b"ab"),
        (CHUNKED + b"1\r\na\r\n1;x=y\r\nb\r\n0\r\ntrailer: x\r\n\r\n", b"ab"),
        (b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n" + OK + b"content-length: 2\r\n\r\nab", b"ab"),
        (b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nab", b"ab"),
        (b"HTTP/1.1 204 None\r\n\r\n", b""),
        (b"HTTP/1.1 304 Same\r\ncontent-length: 7\r\n\r\n", b""),
    ],
)
def test_responses_however_they_are_cut_up(data: bytes, body: bytes, pieces: int) -> None:
    """The twin of the two above: they arrive as a whole, and another may follow."""
    response = parsed(data, pieces=pieces)
    assert response.is_complete
    assert response.ends_well
    assert response.head is not None
    assert response.head.status in (200, 204, 304)
    assert not {b"link", b"trailer"} & dict(response.head.headers).keys()
    assert b"".join(iter(response.take, b"")) == body


def test_a_body_may_end_with_the_connection_if_it_does_not_say_where() -> None:
    """What has a length, or is in chunks, and ends before that is none."""
    response = parsed(OK + b"\r\nab", end=True)
    assert (response.take(), response.is_complete, response.ends_well) == (b"ab", True, False)
    for short in (OK + b"content-length: 3\r\n\r\nab", CHUNKED + b"2\r\nab\r\n", OK[:-1], OK, b""):
        with pytest.raises(Malformed):
            parsed(short, end=True)


def test_a_head_is_not_endless() -> None:
    """Not one of many fields, nor of one, nor many interim ones; a large one is fine."""
    for line in (b"x: y\r\n", b"y" * 100, b"\r\n" + OK.replace(b"200", b"100")):
        response = Response(has_body=True)
        response.feed(OK.replace(b"200", b"100") + b"x: ")
        with pytest.raises(Malformed):
            feed_without_end(response, line)
        assert response.head is None
    large = parsed(OK + b"x: " + b"y" * (HEAD_BYTES - 1000) + b"\r\ncontent-length: 0\r\n\r\n")
    assert large.is_complete


@pytest.mark.parametrize("around", [b"2;" + b"x" * 1000, b"0\r\n" + b"x: y\r\n" * 100])
def test_what_is_around_a_body_is_not_endless(around: bytes) -> None:
    """Extensions of a chunk and fields behind the last one are counted like a head."""
    response = parsed(CHUNKED + around)
    rest = b"x" * 1000 if around.startswith(b"2") else b"x: y\r\n" * 100
    with pytest.raises(Malformed):
        feed_without_end(response, rest)


def test_a_request_stays_one_request() -> None:
    """Whatever gets that far: no part of it makes another line."""
    assert request_head("GET", "/a", [("host", "x")]) == b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n"
    for method, path, name, value in (
        ("GET", "/\r\nx: y", "a", "b"),
        ("GET", "/", "a", "b\nc"),
        ("GET", "/", "a\r", "b"),
        ("G\n", "/", "a", "b"),
        ("GET", "/", "a", "\0"),
    ):
        with pytest.raises(FetchInvalid):
            request_head(method, path, [(name, value)])
