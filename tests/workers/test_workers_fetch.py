"""fetch() and streams, over the door."""

from typing import Any

import pytest
from workers_cell import LATER, Refused

from executor.isolate import frames


def worker(body: str, imports: str = "") -> str:
    """A worker whose fetch handler is that body."""
    lines = "\n".join(f"        {line}" for line in body.strip().splitlines())
    return f"""
import asyncio
from workers import *
from workers import fetch, Request, Response, WorkerEntrypoint, FormData
{imports}
class Default(WorkerEntrypoint):
    async def fetch(self, request):
{lines}
"""


def ok(body: bytes = b"fine", **fields: Any) -> dict[str, Any]:
    return {"status": 200, "headers": [], "body": body, **fields}


def sent(result: Any, index: int = 0) -> dict[str, Any]:
    """The request that a call carried."""
    call = result.calls[index]
    assert call.method == "fetch"
    return {"target": call.target, **call.arguments[0]}


def test_get(run):
    """A URL is a GET; the answer is a Response."""
    source = worker("""
answer = await fetch("https://api.example/x#part")
return Response(f"{answer.status} {answer.ok} {answer.url} {await answer.text()}")
""")
    result = run(source, lambda call: ok(url="https://api.example/x"))
    assert result.text == "200 True https://api.example/x fine"
    assert sent(result)["target"] == "fetch"
    assert sent(result)["url"] == "https://api.example/x"


def test_everything_that_a_request_has(run):
    """Method, repeated headers, body, redirect mode and cf go out."""
    source = worker(
        """
await fetch("https://api.example/", method=HTTPMethod.PUT, body="text", redirect="manual",
            headers=[("X-A", "1"), ("x-a", "2")], cf={"cacheTtl": 5})
return Response("")
""",
        "from http import HTTPMethod",
    )
    request = sent(run(source, lambda call: ok()))
    assert request["method"] == "PUT"
    assert request["headers"] == [
        ["x-a", "1"],
        ["x-a", "2"],
        ["content-type", "text/plain;charset=UTF-8"],
    ]
    assert request["body"] == b"text"
    assert request["redirect"] == "manual"
    assert request["cf"] == {"cacheTtl": 5}


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("fetch('/relative')", "Invalid URL: /relative"),
        ("fetch('ftp://a.example/')", "Fetch API cannot load: ftp://a.example/"),
        ("fetch('https://u:p@a.example/')", "credentials"),
        ("fetch('https://a.example/', body='x')", "cannot have a body"),
        ("fetch('https://a.example/', colour='red')", "colour"),
        ("fetch('https://a.example/', method='POST', body={})", "Unsupported type"),
    ],
)
def test_refused_before_it_leaves(run, expression, message):
    """What is no request is a TypeError without a subrequest."""
    result = run(worker(f"await {expression}"))
    assert result.failed.name == "TypeError"
    assert message in result.failed.message
    assert result.calls == []


@pytest.mark.parametrize(
    ("kind", "caught"),
    [
        ("TypeError", "TypeError"),
        ("ValueError", "ValueError"),
        ("NetworkError", "OSError"),
        ("TimeoutError", "TimeoutError"),
        ("PermissionError", "PermissionError"),
        ("SubrequestLimit", "Exception"),
        ("SomethingElse", "Exception"),
        ("SystemExit", "Exception"),
    ],
)
def test_refusals_are_exceptions(run, kind, caught):
    """Each kind of refusal is an exception that the tenant can catch, none beyond Exception."""
    source = worker(f"""
try:
    await fetch("https://api.example/")
except {caught} as error:
    return Response(str(error))
""")

    def refuse(call):
        raise Refused(kind, "because")

    assert run(source, refuse).text == "because"


def test_several_in_flight(cell, run):
    """Gathered fetches are all asked before the first is answered, and answers may be reversed."""
    source = worker("""
answers = await asyncio.gather(*(fetch(f"https://api.example/{i}") for i in range(5)))
return Response(" ".join([await each.text() for each in answers]))
""")
    open_calls = []

    def collect(call):
        open_calls.append(call)
        if len(open_calls) == 5:
            for each in reversed(open_calls):
                path = each.arguments[0]["url"].rpartition("/")[2]
                cell.send(frames.Reply(call=each.call, value=ok(path.encode())))
        return LATER

    assert run(source, collect).text == "0 1 2 3 4"


def test_timeout_gives_a_call_up(run, cell):
    """A fetch that is given up leaves the invocation and the next one in order."""
    source = worker("""
try:
    await asyncio.wait_for(fetch("https://api.example/"), 0.01)
except TimeoutError:
    return Response("gave up")
""")
    assert run(source, lambda call: LATER).text == "gave up"
    cell.send(frames.Reply(call=1, value=ok()))
    assert cell.invoke(lambda call: LATER).text == "gave up"


def test_pulled_response_body(run):
    """A streamed answer is pulled chunk by chunk; nothing is pulled before it is asked for."""
    source = worker("""
answer = await fetch("https://api.example/")
sizes = [len(chunk) async for chunk in answer.body]
return Response(str(sizes))
""")
    chunks = [b"a" * 10, b"b" * 5, b""]

    def answer(call):
        if call.target == "fetch":
            return {"status": 200, "headers": [], "stream": 7}
        assert (call.target, call.method, call.arguments) == ("stream", "read", [7])
        return chunks.pop(0)

    result = run(source, answer)
    assert result.text == "[10, 5]"
    assert len(result.calls) == 4


def test_proxying_a_stream(run):
    """A streamed answer returned as the response goes through chunk by chunk."""
    chunks = [b"one", b"two", b""]

    def answer(call):
        if call.target == "fetch":
            return {"status": 206, "headers": [["x-a", "1"]], "stream": 1}
        return chunks.pop(0)

    result = run(worker('return await fetch("https://api.example/")'), answer)
    assert (result.status, result.headers) == (206, [("x-a", "1")])
    assert [name for name in result.order if name != "Call"] == ["Head", "Chunk", "Chunk", "End"]
    assert result.chunks == [b"one", b"two"]


def test_request_body_is_pulled(run):
    """A streamed request body is pulled from stream 0."""
    chunks = [b"ab", b"c", b""]

    def answer(call):
        assert (call.target, call.method, call.arguments) == ("stream", "read", [0])
        return chunks.pop(0)

    result = run(
        worker("return Response(await request.text())"),
        answer,
        method="POST",
        body_is_streamed=True,
    )
    assert result.text == "abc"


@pytest.mark.parametrize(
    "body",
    ["pieces()", "apieces()", "'x' * 1_000_000", "b'x' * 1_000_000", "Response(pieces()).body"],
)
def test_streamed_upload(cell, run, body):
    """Generators and large bodies are written as a stream that the fetch call names."""
    source = worker(
        f"""
answer = await fetch("https://api.example/", method="POST", body={body})
return Response(await answer.text())
""",
        """
def pieces():
    for _ in range(10):
        yield b"x" * 100_000
async def apieces():
    for _ in range(10):
        yield "x" * 100_000
""",
    )
    written: dict[int, bytes] = {}
    asked: list[frames.Call] = []

    def answer(call):
        if call.method == "fetch":
            asked.append(call)
            return LATER
        stream, data = call.arguments
        written[stream] = written.get(stream, b"") + data
        if not data:
            cell.send(frames.Reply(call=asked[0].call, value=ok(b"got it")))
        return None

    result = run(source, answer)
    assert result.text == "got it"
    stream = sent(result)["stream"]
    assert written == {stream: b"x" * 1_000_000}
    assert max(len(c.arguments[1]) for c in result.calls[1:]) <= frames.INLINE_BODY_BYTES


def test_upload_whose_body_fails(run):
    """A body that raises ends the fetch with its own error."""
    source = worker(
        'await fetch("https://api.example/", method="POST", body=pieces())',
        """
def pieces():
    yield b"x"
    raise ValueError("no more")
""",
    )
    result = run(source, lambda call: None if call.method == "write" else LATER)
    assert (result.failed.name, result.failed.message) == ("ValueError", "no more")


def test_answer_before_the_upload_is_through(run):
    """An early answer is handed over, although the body was not all taken."""
    source = worker(
        """
answer = await fetch("https://api.example/", method="POST", body=pieces())
return Response(str(answer.status))
""",
        """
async def pieces():
    yield b"x"
    await asyncio.sleep(3600)
""",
    )
    assert run(source, lambda call: ok(status=413)).text == "413"


@pytest.mark.parametrize("call", ["pieces()", "apieces()"])
def test_generator_response_streams(run, call):
    """Each piece of a generator is a chunk, sync or async, and empty ones are none."""
    pieces = """
def pieces():
    yield "a"
    yield b""
    yield b"b" * 600_000
async def apieces():
    for piece in pieces():
        yield piece
"""
    result = run(worker(f"return Response({call})", pieces))
    assert [len(chunk) for chunk in result.chunks] == [1, 262144, 262144, 75712]
    assert result.order == ["Head", "Chunk", "Chunk", "Chunk", "Chunk", "End"]


def test_large_response_is_chunked(run):
    """A body larger than a frame's inline part leaves as chunks."""
    result = run(worker('return Response("x" * 5_000_000)'))
    assert len(result.body) == 5_000_000
    assert result.order[0] == "Head"
    assert result.order[-1] == "End"


def test_fetch_with_the_incoming_request(run):
    """An incoming request is forwarded with its method, headers and body, redirects manual."""
    result = run(
        worker("return await fetch(request)"),
        lambda call: ok(),
        method="POST",
        headers=[("x-a", "1"), ("x-a", "2")],
        body=b"body",
    )
    request = sent(result)
    assert request["method"] == "POST"
    assert request["headers"] == [["x-a", "1"], ["x-a", "2"]]
    assert request["body"] == b"body"
    assert request["redirect"] == "manual"


def test_returning_a_read_response(run):
    """A response that was read cannot be returned."""
    result = run(
        worker("""
answer = await fetch("https://api.example/")
await answer.text()
return answer
"""),
        lambda call: ok(),
    )
    assert "Body has already been used" in result.failed.message


def test_fetch_outside_a_handler(cell):
    """The top level of a module cannot fetch."""
    source = worker("return Response('')") + "\nfetch('https://a.example/').send(None)\n"
    answer = cell.load(source)
    assert isinstance(answer, frames.Failed)
    assert "global scope" in answer.message


def test_large_frames_both_ways_do_not_deadlock(run):
    """Many large answers and many large writes at a time all get through."""
    source = worker("""
async def one(i):
    answer = await fetch("https://api.example/", method="POST", body="x" * 250_000)
    return len(await answer.bytes())
sizes = await asyncio.gather(*(one(i) for i in range(40)))
return Response(str(sum(sizes)))
""")
    assert run(source, lambda call: ok(b"y" * 250_000)).text == str(40 * 250_000)


def test_body_of_an_earlier_request(cell, run):
    """A body kept from one invocation never reads the next one's."""
    source = worker(
        """
kept.append(request)
try:
    return Response(await kept[0].text())
except RuntimeError as error:
    return Response(str(error))
""",
        "kept = []",
    )
    source = source.replace("await kept[0].text()", "await kept[0].text() if kept[1:] else 'kept'")
    fields = {"method": "POST", "body_is_streamed": True}
    assert run(source, lambda call: b"", **fields).text == "kept"
    result = cell.invoke(lambda call: b"secret", **fields)
    assert result.text == "Cannot perform I/O on behalf of a different request."
    assert result.calls == []


def test_abort_lets_the_body_go(run):
    """An answer that is given up is cancelled at the executor, and cannot be read any more."""
    source = worker("""
answer = await fetch("https://api.example/")
answer.abort()
await asyncio.sleep(0.01)
return Response(str(answer.body_used))
""")

    def answers(call):
        return {"status": 200, "headers": [], "stream": 3} if call.method == "fetch" else None

    result = run(source, answers)
    assert result.text == "True"
    assert [(c.method, c.arguments) for c in result.calls[1:]] == [("cancel", [3])]
