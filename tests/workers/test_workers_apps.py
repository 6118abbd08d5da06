"""ASGI and WSGI applications as workers."""

import asyncio
import io
from typing import Any

import flask
import pytest

from executor.isolate.workers import asgi, wsgi
from executor.isolate.workers.requests import Request

URL = "https://w.example/a%20b/%C3%A9?q=1&q=2"


def post(body: Any = "body") -> Request:
    headers = [("X-A", "1"), ("x-a", "2"), ("content-type", "text/x")]
    return Request(URL, method="POST", headers=headers, body=body)


async def test_asgi_scope_and_body():
    """The scope has what the product's has; the body comes whole."""
    seen: dict[str, Any] = {}

    async def app(scope, receive, send):
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        seen.update(scope, message=await receive())
        await send({"type": "http.response.start", "status": 201, "headers": [(b"x-b", b"1")] * 2})
        await send({"type": "http.response.body", "body": b"done"})
        seen["last"] = await receive()

    response = await asgi.fetch(app, post(), {"env": 1})
    assert (response.status, await response.bytes()) == (201, b"done")
    assert response.headers.get_all("x-b") == ["1", "1"]
    assert seen["path"] == "/a b/\u00e9"
    assert seen["raw_path"] == b"/a%20b/%C3%A9"
    assert seen["query_string"] == b"q=1&q=2"
    assert seen["headers"][:2] == [(b"x-a", b"1"), (b"x-a", b"2")]
    assert (seen["scheme"], seen["method"], seen["env"]) == ("https", "POST", {"env": 1})
    assert seen["message"] == {"type": "http.request", "body": b"body", "more_body": False}
    assert seen["last"] == {"type": "http.disconnect"}


async def test_asgi_lifespan():
    """Start-up comes before the request, shut-down after; its state reaches the request."""
    events = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            events.append((await receive())["type"])
            scope["state"]["db"] = "open"
            await send({"type": "lifespan.startup.complete"})
            events.append((await receive())["type"])
            await send({"type": "lifespan.shutdown.complete"})
            return
        events.append(scope["state"]["db"])
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        await send({"type": "http.response.body", "body": b"b"})

    response = await asgi.fetch(app, Request(URL), None)
    assert [chunk async for chunk in response.body] == [b"a", b"b"]
    assert events == ["lifespan.startup", "open", "lifespan.shutdown"]


async def test_asgi_streams_as_it_is_sent():
    """A chunk is there before the next one is made."""
    go_on = asyncio.Event()

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            return
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"two", "more_body": False})

    response = await asgi.fetch(app, Request(URL), None)
    chunks = aiter(response.body)
    assert await anext(chunks) == b"one"
    go_on.set()
    assert [chunk async for chunk in chunks] == [b"two"]


async def test_asgi_failures():
    """Failing start-up, a silent application and a raising one are errors."""

    async def broken(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.failed", "message": "no database"})
            return
        raise AssertionError("never")

    with pytest.raises(RuntimeError, match="no database"):
        await asgi.fetch(broken, Request(URL), None)

    async def silent(scope, receive, send): ...

    with pytest.raises(RuntimeError, match="did not generate a response"):
        await asgi.fetch(silent, Request(URL), None)

    async def raising(scope, receive, send):
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await asgi.fetch(raising, Request(URL), None)

    async def half(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        raise ValueError("half way")

    response = await asgi.fetch(half, Request(URL), None)
    with pytest.raises(ValueError, match="half way"):
        await response.bytes()


async def test_asgi_null_body():
    """A 204 has no body, whatever the application streams."""

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 204})
        for _ in range(5):
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await send({"type": "http.response.body"})

    response = await asgi.fetch(app, Request(URL), None)
    assert (response.status, response.body) == (204, None)


async def test_flask():
    """A real Flask application answers: routes, forms, cookies, streams."""
    app = flask.Flask("app")

    @app.post("/a b/<name>")
    def page(name):
        reply = flask.jsonify(
            name=name,
            q=flask.request.args.getlist("q"),
            a=flask.request.headers["X-A"],
            body=flask.request.get_data(as_text=True),
            env=flask.request.environ["workers.env"],
        )
        reply.set_cookie("one", "1")
        reply.set_cookie("two", "2")
        return reply, 202

    @app.get("/stream")
    def stream():
        return flask.Response(part for part in ["a", "b"])

    @app.get("/empty")
    def empty():
        return "", 204

    response = await wsgi.fetch(app, post("\u00fc"), "ENV")
    assert response.status == 202
    assert await response.json() == {
        "name": "\u00e9",
        "q": ["1", "2"],
        "a": "1,2",
        "body": "\u00fc",
        "env": "ENV",
    }
    assert len(response.headers.get_all("set-cookie")) == 2
    streamed = await wsgi.fetch(app, Request("https://w.example/stream"), None)
    assert [chunk async for chunk in streamed.body] == [b"a", b"b"]
    nothing = await wsgi.fetch(app, Request("https://w.example/empty"), None)
    assert (nothing.status, nothing.body) == (204, None)


async def test_wsgi_manners():
    """write(), close() and an application that never starts a response."""
    closed = io.BytesIO(b"two")

    def app(environ, start_response):
        write = start_response("200 Fine", [("X-A", "1"), ("X-A", "2")])
        write(b"one ")
        return closed

    response = await wsgi.fetch(app, Request(URL), None)
    assert await response.text() == "one two"
    assert response.headers.get_all("x-a") == ["1", "2"]
    assert closed.closed

    with pytest.raises(RuntimeError, match="did not generate a response"):
        await wsgi.fetch(lambda environ, start: [], Request(URL), None)


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_entrypoint(run, kind):
    """entrypoint(app) is a Default class."""
    source = f"""
from workers import asgi, wsgi

async def asgi_app(scope, receive, send):
    if scope["type"] == "http":
        await send({{"type": "http.response.start", "status": 200, "headers": []}})
        await send({{"type": "http.response.body", "body": scope["env"].WORD.encode()}})

def wsgi_app(environ, start_response):
    start_response("200 OK", [])
    return [environ["workers.env"].WORD.encode()]

Default = {kind}.entrypoint({kind}_app)
"""
    result = run(source, env={"WORD": "hello"})
    assert (result.text, result.order) == ("hello", ["Head"])
