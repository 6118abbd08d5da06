"""Raw bytes on the socket: what could be read in two ways is refused, the rest is kept as it is."""

import pytest
from dispatcher_rig import Client, Dispatcher, FakeExecutor

from cloister.messages import Invocation

HOST = b"Host: echo.localhost\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\nContent-Length: 4\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 4, 4\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +4\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0x4\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 4_0\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: " + b"9" * 5_000 + b"\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length : 4\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, chunked\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, identity\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding : chunked\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: \x0bchunked\r\n",
        b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n folded\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"A: b\rc\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"A: b\x00c\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"A b\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b": b\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"A: b\nC: d\r\n",
        b"GET / HTTP/1.1\nHost: echo.localhost\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"Host: other.localhost\r\n",
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nHost: \r\n",
        b"GET / HTTP/1.1\r\nHost: a b\r\n",
        b"GET / HTTP/1.1\r\nHost: echo.localhost, other\r\n",
        b"GET  / HTTP/1.1\r\n" + HOST,
        b"GET / x HTTP/1.1\r\n" + HOST,
        b"GET echo HTTP/1.1\r\n" + HOST,
        b"GET * HTTP/1.1\r\n" + HOST,
        b"GET /\xe9 HTTP/1.1\r\n" + HOST,
        b"GET / HTTP/2.0\r\n" + HOST,
        b"GET /\r\n" + HOST,
        b"G\x00T / HTTP/1.1\r\n" + HOST,
    ],
)
def test_ambiguous_requests_are_refused(dispatcher: Dispatcher, head: bytes) -> None:
    """Every known way to make two readers disagree ends in 4xx or 5xx and a closed connection
    or, at least, in no second request: what follows is never served."""
    before = len(dispatcher.executor.invocations("echo"))
    smuggled = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
    with dispatcher.client() as client:
        client.send(head + b"\r\n" + smuggled)
        assert client.head().status in (400, 414, 431, 501, 505)
    later = dispatcher.executor.invocations("echo")[before:]
    assert [item.url for item in later if "smuggled" in item.url] == []


@pytest.mark.parametrize(
    "chunks",
    [
        b"0x4\r\nabcd\r\n0\r\n\r\n",
        b"4 \r\nabcd\r\n0\r\n\r\n",
        b"+4\r\nabcd\r\n0\r\n\r\n",
        b"4\nabcd\r\n0\r\n\r\n",
        b"4\r\nabcde\r\n0\r\n\r\n",
        b"4\r\nabcd0\r\n\r\n",
        b"4;a\rb\r\nabcd\r\n0\r\n\r\n",
        b"\r\nabcd\r\n0\r\n\r\n",
        b"0\r\nContent-Length: 4\r\n\r\n",
    ],
)
def test_broken_chunks_never_reach_a_worker(dispatcher: Dispatcher, chunks: bytes) -> None:
    """A chunked body that is framed wrongly ends the connection; no part of it is taken for a
    whole body."""
    before = len(dispatcher.executor.invocations("echo"))
    with dispatcher.client() as client:
        client.send(b"POST /b HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
        assert client.at_end() or client.file.peek() is not None
    assert len(dispatcher.executor.invocations("echo")) == before


def test_pipelined_requests_are_answered_in_order(dispatcher: Dispatcher) -> None:
    """Three requests in one write come back one after the other, bodies and all."""
    post = b"POST /2 HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc"
    chunked = (
        b"POST /3 HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
        b"2;x=y\r\nde\r\n1\r\nf\r\n0\r\nX-T: 1\r\n\r\n"
    )
    with dispatcher.client() as client:
        client.send(b"GET /1 HTTP/1.1\r\n" + HOST + b"\r\n" + post + chunked)
        answers = [client.answer().json() for _ in range(3)]
    assert [str(a["url"])[-1] for a in answers] == ["1", "2", "3"]
    assert [a["text"] for a in answers] == ["", "abc", "def"]


def test_hop_by_hop_headers_stop_here(dispatcher: Dispatcher) -> None:
    """Fields of the connection, and those that Connection names, do not reach the worker; those
    that sites decide by stay whatever Connection says. Names with underscores are dropped."""
    seen = dispatcher.request(
        "echo.localhost",
        headers=(
            *("Connection: keep-alive, X-Secret, Cookie, Host", "X-Secret: 1", "Cookie: a=b"),
            *("Keep-Alive: 5", "TE: trailers", "Proxy-Authorization: x", "Trailer: y"),
            *("Upgrade: foo", "X-Kept: 1", "x-kept: 2", "X_Under: 3"),
        ),
    ).json()
    names = [name for name, _ in seen["headers"]]  # type: ignore[attr-defined]
    hop = {"connection", "keep-alive", "te", "trailer", "upgrade", "proxy-authorization"}
    assert hop.isdisjoint(names)
    assert "x-secret" not in names
    assert names.count("x-kept") == 2
    assert {"host", "cookie"} <= set(names)
    assert "x_under" not in names


def test_expect_100_continue(dispatcher: Dispatcher) -> None:
    """The client gets 100 before it sends its body, and none where the answer is 413 anyway."""
    with dispatcher.client() as client:
        client.send(
            b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        )
        assert client.head().status == 100
        client.send(b"abc")
        assert client.answer().json()["text"] == "abc"
    with dispatcher.client() as client:
        client.send(
            b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 999999999999\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert client.answer().status == 413


def test_large_urls_and_headers(dispatcher: Dispatcher) -> None:
    """16 KB of URL and 128 KB of headers pass; more is 414 or 431."""
    host = "echo.localhost"
    assert dispatcher.request(host, "/" + "a" * 16_000).status == 200
    assert dispatcher.request(host, "/" + "a" * 16_400).status == 414
    assert dispatcher.request(host, "/" + "a" * 60_000).status == 414
    some = tuple(f"X-{n}: {'b' * 1000}" for n in range(120))
    assert dispatcher.request(host, headers=some).status == 200
    assert dispatcher.request(host, headers=(*some, "X-Last: " + "b" * 20_000)).status == 431
    assert dispatcher.request(host, headers=("X-A: " + "b" * 140_000,)).status == 431


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "PURGE"])
def test_any_method(dispatcher: Dispatcher, method: str) -> None:
    """Methods travel as they are, with or without a body."""
    seen = dispatcher.request("echo.localhost", method=method, body=b"x").json()
    assert (seen["method"], seen["text"]) == (method, "x")


def test_connect_and_websockets_are_refused(dispatcher: Dispatcher) -> None:
    """There is no tunnel through the front door."""
    answer = dispatcher.raw(b"CONNECT echo.localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n")
    assert answer.status == 405
    upgrade = (
        b"GET / HTTP/1.1\r\n" + HOST + b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert dispatcher.raw(upgrade).status == 403


def test_http_1_0(dispatcher: Dispatcher) -> None:
    """An old client gets an answer it understands, and the connection is closed."""
    with dispatcher.client() as client:
        client.send(b"GET / HTTP/1.0\r\n" + HOST + b"\r\n")
        answer = client.answer()
        assert answer.status == 200
        assert answer.all("transfer-encoding") == []
        assert client.at_end()


def raw_answer(executor: FakeExecutor, invocation: Invocation) -> None:
    executor.begin(
        invocation,
        ("Set-Cookie", "a=1; Path=/"),
        ("set-cookie", "b=2"),
        ("Connection", "X-Hop"),
        ("X-Hop", "1"),
        ("Transfer-Encoding", "chunked"),
        ("Keep-Alive", "1"),
        ("Server", "worker"),
        ("Date", "yesterday"),
        ("X-Cloister-Request-Id", "forged"),
        ("Content-Length", "nonsense"),
    )
    executor.end(invocation)


def test_response_headers(dispatcher: Dispatcher) -> None:
    """Several Set-Cookie are kept; hop-by-hop and forged fields of the worker are not."""
    dispatcher.play("cookies", raw_answer)
    answer = dispatcher.request("cookies.localhost")
    assert answer.all("set-cookie") == ["a=1; Path=/", "b=2"]
    assert answer["server"] == "cloister"
    assert answer["transfer-encoding"] == "chunked"
    assert answer["x-cloister-request-id"] != "forged"
    assert answer["date"] != "yesterday"
    for name in ("x-hop", "keep-alive", "content-length", "connection"):
        assert answer.all(name) == []


@pytest.mark.parametrize(
    "pair", [("x-a", "b\r\nx-c: d"), ("x a", "b"), ("x-a", "b\x00"), ("", "b"), ("x-a\r\n", "b")]
)
def test_response_splitting_is_refused(dispatcher: Dispatcher, pair: tuple[str, str]) -> None:
    """A worker's header that would break the response's framing becomes its own failure."""
    dispatcher.play("splitter", lambda ex, inv: ex.begin(inv, pair))
    answer = dispatcher.request("splitter.localhost")
    assert answer.status == 500
    assert b"1101" in answer.body
    assert answer.all("x-c") == []


@pytest.mark.parametrize("status", [0, 100, 101, 199, 600, 1000, -1])
def test_statuses_that_are_none(dispatcher: Dispatcher, status: int) -> None:
    """Only 200 to 599 can be a response."""
    dispatcher.play("status", lambda ex, inv: ex.begin(inv, status=status))
    assert dispatcher.request("status.localhost").status == 500


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body(dispatcher: Dispatcher, status: int) -> None:
    """204 and 304 carry no body even if the worker sent one; the connection goes on."""
    dispatcher.play("nobody", lambda ex, inv: ex.answer(inv, b"unwanted", status))
    with dispatcher.client() as client:
        for _ in range(2):
            client.send(b"GET / HTTP/1.1\r\nHost: nobody.localhost\r\n\r\n")
            answer = client.answer()
            assert answer.status == status
            assert answer.all("transfer-encoding") == []
            assert answer.all("content-length") == []


def test_head_has_the_length_but_no_body(dispatcher: Dispatcher) -> None:
    """HEAD is answered with the length that GET would have, and nothing after it."""
    dispatcher.play("head", lambda ex, inv: ex.answer(inv, b"12345"))
    dispatcher.play("headlength", lambda ex, inv: ex.answer(inv, b"", content_length="77"))
    with dispatcher.client() as client:
        for host, length in (("head", "5"), ("headlength", "77")):
            client.send(f"HEAD / HTTP/1.1\r\nHost: {host}.localhost\r\n\r\n".encode())
            assert client.answer("HEAD")["content-length"] == length


def test_wrong_content_length_of_a_whole_body(dispatcher: Dispatcher) -> None:
    """A worker's Content-Length that is not the body's is corrected: no desynchronized client."""
    dispatcher.play("liar", lambda ex, inv: ex.answer(inv, b"12345", content_length="3"))
    answer = dispatcher.request("liar.localhost")
    assert answer["content-length"] == "5"
    assert answer.body == b"12345"


def forwarded(client: Client, *headers: str) -> dict[str, list[str]]:
    lines = ["GET / HTTP/1.1", "Host: echo.localhost", *headers, "", ""]
    client.send("\r\n".join(lines).encode())
    seen = client.answer().json()
    found: dict[str, list[str]] = {"url": [str(seen["url"])]}
    for name, value in seen["headers"]:  # type: ignore[attr-defined]
        found.setdefault(name, []).append(value)
    return found


SPOOF = (
    *("X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "X-Real-IP: 6.6.6.6"),
    *("X-Forwarded-Host: echo.staging.localhost", "CF-Connecting-IP: 6.6.6.6", "Forwarded: for=x"),
)


def test_forwarded_headers_of_anybody_are_replaced(dispatcher: Dispatcher) -> None:
    """Without trusted proxies nobody can say who he is, not even from loopback."""
    with dispatcher.client() as client:
        seen = forwarded(client, *SPOOF)
    assert seen["url"] == ["http://echo.localhost/"]
    assert seen["x-forwarded-for"] == seen["x-real-ip"] == ["127.0.0.1"]
    assert seen["cf-connecting-ip"] == ["127.0.0.1"]
    assert seen["x-forwarded-proto"] == ["http"]
    assert "forwarded" not in seen
    assert "x-forwarded-host" not in seen


def test_names_that_become_others_are_dropped(dispatcher: Dispatcher) -> None:
    """With underscores a field would stand for one of ours wherever names become variables."""
    with dispatcher.client() as client:
        seen = forwarded(client, "X_Real_IP: 6.6.6.6", "True_Client_IP: 6.6.6.6", "X-Ok: 1")
    assert seen["x-real-ip"] == ["127.0.0.1"]
    assert seen["x-ok"] == ["1"]
    assert [name for name in seen if "_" in name] == []


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("a=1; cloister_session=SECRET; b=2", "a=1; b=2"),
        ('cloister_session=SECRET; a=1;b="2 ";  c', 'a=1;b="2 ";  c'),
        ("a=1; __Host-cloister_session=SECRET", "a=1"),
        ("a=1;CLOISTER_session=SECRET;\tcloister_x=SECRET;__secure-cloister_=SECRET", "a=1"),
        ("cloister_session=SECRET", None),
        ("cloister=1; my_cloister_session=2; a=cloister_session=3", ""),
        (" a = 1 ;; =;b; \xe9=\xff", ""),
    ],
)
def test_the_dashboards_cookies_stop_here(
    dispatcher: Dispatcher, sent: str, seen: str | None
) -> None:
    """Cookies know no ports, so browsers send the dashboard's session here as well; no worker sees
    it, and every other cookie arrives as it was sent, to the byte."""
    echoed = dispatcher.request("echo.localhost", headers=(f"Cookie: {sent}", "X-A: 1")).json()
    cookies = [v for name, v in echoed["headers"] if name == "cookie"]  # type: ignore[attr-defined]
    expected = sent.strip() if seen == "" else seen
    assert cookies == ([] if expected is None else [expected])


@pytest.mark.parametrize(
    "value",
    [
        *("cloister_session=x", "cloister_session=x; Path=/; Max-Age=9", "Cloister_Session=x"),
        *(" \tcloister_session=x", "=cloister_session=x", "= cloister_session", "cloister_session"),
        *("__Host-cloister_session=x; Secure; Path=/", "\xc2\xa0cloister_session=x", "cloister_="),
    ],
)
def test_workers_set_no_cookie_of_the_dashboard(dispatcher: Dispatcher, value: str) -> None:
    """A worker cannot put a session into the browser that the dashboard would take for its own,
    in none of the spellings that browsers or servers read as that name."""

    def play(executor: FakeExecutor, invocation: Invocation) -> None:
        executor.begin(invocation, ("Set-Cookie", value), ("set-cookie", "mine=1; Path=/"))
        executor.end(invocation)

    dispatcher.play("tosser", play)
    assert dispatcher.request("tosser.localhost").all("set-cookie") == ["mine=1; Path=/"]
