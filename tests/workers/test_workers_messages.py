"""Request, Response and headers, as objects."""

import asyncio
import json
from http import HTTPMethod, HTTPStatus

import pytest

from executor.isolate import frames
from executor.isolate.workers.forms import Blob, FormData
from executor.isolate.workers.headers import HeaderMap, from_wire, wire_pairs
from executor.isolate.workers.requests import Request, incoming_request
from executor.isolate.workers.responses import FetchResponse, Response, received_response
from executor.isolate.workers.urls import absolute_url


def test_headers_read_like_httpmessage():
    """Case does not matter, missing is None, repeats are joined, Set-Cookie never is."""
    pairs = [("accept", "a"), ("set-cookie", "x=1"), ("accept", "b, c"), ("set-cookie", "y=2")]
    headers = from_wire(pairs)
    assert headers["ACCEPT"] == headers.get("Accept") == "a, b, c"
    assert headers["missing"] is None
    assert headers.get("missing", "else") == "else"
    assert "Set-Cookie" in headers
    assert 3 not in headers
    assert headers.get_all("Set-Cookie") == ["x=1", "y=2"]
    assert headers.items() == [("accept", "a, b, c"), ("set-cookie", "x=1"), ("set-cookie", "y=2")]
    assert list(headers) == ["accept", "set-cookie"]
    assert dict(headers) == {"accept": "a, b, c", "set-cookie": "x=1"}
    assert wire_pairs(headers) == pairs


def test_headers_write():
    """Assignment replaces, add_header adds, del removes."""
    headers = HeaderMap({"X-One": "1", "n": 5})
    headers["x-one"] = "2"
    headers.add_header("X-Two", "a")
    headers.add_header("x-two", "b")
    del headers["N"]
    assert wire_pairs(headers) == [("x-one", "2"), ("x-two", "a"), ("x-two", "b")]


@pytest.mark.parametrize(
    "headers",
    [
        "text",
        5,
        [("a",)],
        ["ab"],
        {"bad name": "x"},
        {"": "x"},
        {"a": "x\r\ny: z"},
        {"a": "x\ny"},
        {"a": "x\0"},
        {"a": None},
        {"a": b"x"},
        {"a\r\nb": "x"},
        {1: "x"},
    ],
)
def test_bad_headers(headers):
    """What is no header, or would smuggle one, is a TypeError."""
    with pytest.raises(TypeError):
        HeaderMap(headers)


def test_header_text_beyond_latin1_is_utf8():
    """Any text can be sent: as UTF-8 bytes where Latin-1 has no such character."""
    assert wire_pairs(HeaderMap({"a": "\u20ac"})) == [("a", "\u20ac".encode().decode("latin-1"))]


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("https://EXAMPLE.com", "https://example.com/"),
        (" http://example.com:80/a b?q=\u00e9#f ", "http://example.com/a%20b?q=%C3%A9#f"),
        ("https://example.com:8443/%20?a=b&c", "https://example.com:8443/%20?a=b&c"),
        ("https://b\u00fccher.example/", "https://xn--bcher-kva.example/"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x"),
    ],
)
def test_absolute_url(given, url):
    """URLs are normalised as the product does."""
    assert absolute_url(given) == url


@pytest.mark.parametrize(
    "url", ["/path", "", "example.com", "//example.com/", "https://", "http://a:x/", "http://a b/"]
)
def test_relative_and_broken_urls(url):
    """A URL that is not absolute is a TypeError."""
    with pytest.raises(TypeError, match="Invalid URL"):
        absolute_url(url)


async def test_incoming_request():
    """The request of an invocation reads as the product's."""
    frame = frames.Invoke(
        method="POST",
        url="https://w.example/x?y=1",
        headers=[("content-type", "application/json")],
        body=b'{"a": [1]}',
        cf={"country": "SE", "tls": {"version": "1.3"}},
    )
    request = incoming_request(frame)
    assert request.method is HTTPMethod.POST
    assert request.method == "POST"
    assert request.url == "https://w.example/x?y=1"
    assert request.redirect == "manual"
    assert request.cf is not None
    assert request.cf.tls.version == request.cf["tls"]["version"] == "1.3"
    twin = request.clone()
    assert not request.body_used
    assert await request.json(parse_int=str) == {"a": ["1"]}
    assert request.body_used
    with pytest.raises(OSError, match="Body already used"):
        await request.text()
    assert await twin.json() == {"a": [1]}
    assert request.js_object is request


async def test_request_without_a_body():
    """No body is None, empty text, and may be read again."""
    request = incoming_request(frames.Invoke(url="https://w.example/", method="BREW"))
    assert request.body is None
    assert request.cf is None
    assert await request.text() == await request.text() == ""
    with pytest.raises(KeyError):
        _ = request.method


async def test_new_request():
    """A request may be built from a URL, or from another request with changes."""
    first = Request("https://a.example", method=HTTPMethod.PUT, headers={"x": "1"}, body="text")
    assert first.headers["content-type"] == "text/plain;charset=UTF-8"
    assert first.redirect == "follow"
    second = Request(first, headers=[("y", "2"), ("y", "3")], redirect="manual")
    assert second.method == "PUT"
    assert second.headers["y"] == "2, 3"
    assert second.headers["x"] is None
    assert await second.text() == "text"
    assert first.body_used
    assert Request("https://a.example", method="post").method == "POST"


@pytest.mark.parametrize(
    "options",
    [
        {"body": "x"},
        {"method": "HEAD", "body": "x"},
        {"redirect": "maybe"},
        {"headers": 3},
        {"method": "POST", "body": {"a": 1}},
        {"colour": "red"},
    ],
)
def test_bad_requests(options):
    """What the product refuses is a TypeError."""
    with pytest.raises(TypeError):
        Request("https://a.example/", **options)


@pytest.mark.parametrize("body", [{"a": 1}, [b"x"], 5, 1.5, object(), True, ("a",)])
def test_response_body_types(body):
    """Only bodies are bodies."""
    with pytest.raises(TypeError, match="Unsupported type in Response"):
        Response(body)


async def test_response_json_both_ways():
    """json makes a response on the class and parses one on the instance."""
    made = Response.json({"a": 1}, status=HTTPStatus.CREATED, headers={"x": "y"})
    assert made.status == 201
    assert made.headers["content-type"] == "application/json"
    assert made.headers["x"] == "y"
    assert await made.json() == {"a": 1}
    typed = Response.from_json([], headers={"Content-Type": "application/problem+json"})
    assert typed.headers["content-type"] == "application/problem+json"

    class Mine(Response):
        pass

    assert isinstance(Mine.json({}), Mine)


def test_response_redirect():
    """redirect wants an absolute URL and a redirect status."""
    response = Response.redirect("https://a.example/x", 307)
    assert (response.status, response.headers["location"]) == (307, "https://a.example/x")
    assert Response.redirect("https://a.example/").status == 302
    with pytest.raises(ValueError, match="Invalid redirect status"):
        Response.redirect("https://a.example/", 200)
    with pytest.raises(TypeError):
        Response.redirect("/x")


@pytest.mark.parametrize("status", [204, 205, 304])
def test_null_body_statuses(status):
    """They take no body; an empty one counts as none."""
    with pytest.raises(TypeError, match="null body status"):
        Response("x", status=status)
    assert Response("", status=status).body is None
    assert Response(None, status=status).status == status
    with pytest.raises(TypeError, match="null body status"):
        Response(None, status=status).replace_body("x")


@pytest.mark.parametrize("status", [0, 100, 103, 199, 600, -1, 101])
def test_bad_statuses(status):
    """Statuses outside 200 to 599 are a ValueError."""
    with pytest.raises(ValueError, match="status code"):
        Response(None, status=status)


@pytest.mark.parametrize("status", ["200", 2.5, True])
def test_statuses_are_numbers(status):
    """A status is an int or an HTTPStatus."""
    with pytest.raises(TypeError):
        Response(None, status=status)


async def test_response_bodies():
    """Each kind of body reads back, with its content type."""
    for body, data, kind in [
        ("\u00e9", "\u00e9".encode(), "text/plain;charset=UTF-8"),
        (b"\0\1", b"\0\1", None),
        (memoryview(b"xy"), b"xy", None),
        (bytearray(b"xy"), b"xy", None),
        (Blob(["a", b"b"], "image/png"), b"ab", "image/png"),
        ((part for part in ["a", b"", b"b"]), b"ab", None),
        (None, b"", None),
    ]:
        response = Response(body)
        assert response.headers["content-type"] == kind
        assert await response.bytes() == data
    form = Response(FormData({"a": "1"}))
    assert form.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert (await form.form_data())["a"] == "1"


async def test_body_views():
    """buffer, memoryview, blob and iteration all give the same bytes."""
    response = Response(b"abc", headers={"content-type": "x/y"})
    assert (await response.clone().buffer()).to_bytes() == b"abc"
    assert (await response.clone().memoryview()).tobytes() == b"abc"
    blob = await response.clone().blob()
    assert (blob.size, blob.content_type, await blob.text()) == (3, "x/y", "abc")
    assert response.body is not None
    assert [chunk.to_bytes() async for chunk in response.body] == [b"abc"]
    assert response.body_used


async def test_clone_of_a_stream_reads_twice():
    """Both halves of a cloned stream give all of it, however they are read."""

    async def parts():
        for part in (b"a", "b", b"c"):
            await asyncio.sleep(0)
            yield part

    response = Response(parts())
    twin = response.clone()
    third = twin.clone()
    texts = await asyncio.gather(response.text(), twin.text(), third.text())
    assert texts == ["abc", "abc", "abc"]


async def test_stream_with_junk():
    """A chunk that is no bytes is a TypeError when it comes."""
    with pytest.raises(TypeError, match="chunks are bytes or str"):
        await Response(part for part in [b"a", 1]).bytes()


async def test_response_of_a_response():
    """A response may be wrapped as it is, or have its body replaced."""
    first = Response("a", status=404, headers=[("set-cookie", "a"), ("set-cookie", "b")])
    other = first.replace_body("b")
    assert (other.status, await other.text()) == (404, "b")
    assert other.headers.get_all("set-cookie") == ["a", "b"]
    assert (await Response(first).text(), first.body_used) == ("a", True)
    with pytest.raises(ValueError, match="no other options"):
        Response(other, status=200)


def test_response_facts():
    """ok, status_text, repr, raise_for_status."""
    response = Response("x", status=404)
    assert not response.ok
    assert response.status_text == "Not Found"
    assert "status=404" in repr(response)
    with pytest.raises(OSError, match="404 Client Error"):
        response.raise_for_status()
    Response("x").raise_for_status()
    with pytest.raises(NotImplementedError):
        Response(None, web_socket=object())


async def test_received_response():
    """What the executor answers to a fetch is a Response."""
    incoming = frames.Incoming(
        status=200,
        headers=[("content-type", "application/json"), ("set-cookie", "a"), ("set-cookie", "b")],
        url="https://a.example/",
        redirected=True,
        body=json.dumps({"a": None}).encode(),
    )
    value = json.loads(json.dumps({**_as_dict(incoming), "body": ""}))
    response = received_response({**value, "body": incoming.body})
    assert isinstance(response, FetchResponse)
    assert isinstance(response, Response)
    assert (response.url, response.redirected, response.status_text) == (incoming.url, True, "OK")
    assert response.headers.get_all("set-cookie") == ["a", "b"]
    assert await response.json() == {"a": None}


def _as_dict(incoming):
    return {name: getattr(incoming, name) for name in incoming.__struct_fields__ if name != "body"}
