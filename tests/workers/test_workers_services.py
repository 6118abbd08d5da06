"""Service bindings, and what may be sent over RPC."""

import datetime as dt

import pytest
from workers_cell import Refused

from executor.isolate import frames
from executor.isolate.workers.forms import Blob, File, FormData
from executor.isolate.workers.requests import Request
from executor.isolate.workers.responses import Response
from executor.isolate.workers.rpc import python_from_rpc, python_to_rpc

HEAD = """
import asyncio
from workers import Response, Request, WorkerEntrypoint, fetch

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        api = self.env.API
"""

LIVE = {"API": "service"}


@pytest.mark.parametrize(
    "call",
    [
        "api.fetch('https://any.host/x', method='POST', body='b')",
        "api.fetch(Request('https://any.host/x', method='POST', body='b'))",
        "fetch('https://any.host/x', method='POST', body='b', fetcher=api)",
        "fetch(Request('https://any.host/x', method='POST', body='b', fetcher=api))",
    ],
)
def test_fetch(run, call):
    """A service is fetched with a URL or a Request, by itself or as fetch()'s fetcher."""
    result = run(
        HEAD + f"        return await {call}",
        lambda call: frames.Incoming(status=201, headers=[("x-a", "1")], body=b"made"),
        live=LIVE,
    )
    assert (result.status, result.text, result.headers) == (201, "made", [("x-a", "1")])
    (asked,) = result.calls
    assert (asked.target, asked.method) == ("API", "fetch")
    assert asked.arguments[0]["url"] == "https://any.host/x"
    assert asked.arguments[0]["method"] == "POST"
    assert asked.arguments[0]["body"] == b"b"


def test_rpc(run):
    """A method is called with values, keywords as a trailing dict; the result has attributes."""
    source = HEAD + "        return Response(str((await api.add(1, [2], x=None)).total[0].n))"
    result = run(source, lambda call: {"total": [{"n": 3}]}, live=LIVE)
    assert result.text == "3"
    (asked,) = result.calls
    assert (asked.target, asked.method, asked.arguments) == ("API", "add", [1, [2], {"x": None}])


def test_rpc_failure(run):
    """The callee's exception is one here, too, with its message."""

    def refuse(call):
        raise Refused("MyOwnError", "because")

    failed = run(HEAD + "        await api.add()", refuse, live=LIVE).failed
    assert (failed.name, failed.message) == ("Exception", "because")


@pytest.mark.parametrize(
    "value", ["(1, 2)", "bytearray(b'x')", "asyncio.sleep", "object()", "2**70"]
)
def test_what_cannot_be_sent(run, value):
    """Tuples, bytearrays, functions and the like are refused before anything is sent."""
    result = run(HEAD + f"        await api.take([{{'x': {value}}}])", live=LIVE)
    assert result.failed.name == "TypeError"
    assert "cannot be sent over RPC" in result.failed.message
    assert result.calls == []


def over_the_wire(value):
    """A value after it went through the door as a callee's and came back as a caller's reply."""
    returned = frames.Returned(value=frames.raw(python_to_rpc(value)))
    taken = frames.decode_from_isolate(frames.encode(returned))
    assert isinstance(taken, frames.Returned)
    reply = frames.decode_to_isolate(frames.encode(frames.Reply(call=1, value=taken.value)))
    assert isinstance(reply, frames.Reply)
    return python_from_rpc(reply.value)


@pytest.mark.parametrize(
    "value", [None, True, 5, -(2**63), 2.5, "text", [1, [2]], {"a": {"b": [None]}}, {1, "a"}]
)
def test_plain_values_travel(value):
    """Plain values come out as they went in, through the executor."""
    assert over_the_wire(value) == value


async def test_other_values_travel():
    """Bytes, times, errors, responses, requests, blobs and forms travel, too."""
    assert over_the_wire(b"x").tobytes() == b"x"
    now = dt.datetime(2026, 5, 6, 7, 8, 9, 250_000)  # noqa: DTZ001 - naive on purpose
    assert over_the_wire(now) == now
    assert over_the_wire(now.astimezone(dt.UTC)) == now
    error = over_the_wire(ValueError("because"))
    assert (type(error), str(error)) == (Exception, "because")
    response = over_the_wire(Response("x", status=404, headers=[("set-cookie", "a")]))
    assert (response.status, response.headers["set-cookie"], await response.text()) == (
        404,
        "a",
        "x",
    )
    request = over_the_wire(Request("https://a.example/", method="POST", body=b"x"))
    assert (request.url, request.method, await request.text()) == (
        "https://a.example/",
        "POST",
        "x",
    )
    file = over_the_wire([File("x", "a.txt", "t/p", last_modified=5)])[0]
    assert (file.name, file.content_type, file.last_modified) == ("a.txt", "t/p", 5)
    assert await over_the_wire(Blob("x")).text() == "x"
    form = over_the_wire(FormData({"a": "1", "b": File("x", "f")}))
    assert (form["a"], form["b"].name) == ("1", "f")


def test_streams_do_not_travel():
    """A streamed body cannot be part of an RPC value."""
    with pytest.raises(TypeError, match="cannot be sent over RPC"):
        python_to_rpc(Response(part for part in "ab"))


CALLEE = """
from workers import WorkerEntrypoint
class Default(WorkerEntrypoint):
    async def echo(self, value): return value
    def double(self, value): return value * 2
    def junk(self): return (1, 2)
    def fail(self): raise KeyError("gone")
"""


def test_being_called(cell):
    """A callee gets values with attribute access, and returns or fails with its own error."""
    cell.load(CALLEE)
    assert cell.invoke(handler="echo", arguments=[{"a": [1]}]).returned == {"a": [1]}
    assert cell.invoke(handler="double", arguments=[4]).returned == 8
    assert "cannot be sent over RPC" in cell.invoke(handler="junk").failed.message
    failed = cell.invoke(handler="fail").failed
    assert (failed.name, failed.message, failed.phase) == ("KeyError", "'gone'", "invoke")
    assert cell.invoke(handler="double").failed.name == "TypeError"
