"""Queues as a worker sees them: what it sends, what it is given, what is told of it."""

from typing import Any

import pytest
from workers_cell import Cell, Refused

from cloister.events import QueueBatch, QueueMessage, encode

AT = 1_767_225_600_000
LIVE = {"Q": "queue"}


def sending(cell: Cell, code: str) -> Any:
    """Run that in a handler with a queue; what it asked for."""
    lines = "\n".join(f"        {line}" for line in code.strip("\n").split("\n"))
    cell.load(
        "from workers import WorkerEntrypoint, Response\n"
        "class Default(WorkerEntrypoint):\n"
        f"    async def fetch(self, request):\n{lines}\n"
        "        return Response('sent')\n",
        live=LIVE,
    )
    return cell.invoke(answers=lambda _call: None)


def test_messages_are_sent(cell):
    """JSON unless said otherwise; options in a dict or by keyword; a batch's delay is for those
    that have none of their own, 0 included."""
    result = sending(
        cell,
        """
q = self.env.Q
await q.send({"a": [1, None, "é"]})
await q.send("hi", contentType="text", delaySeconds=5)
await q.send(b"\\x00", {"contentType": "bytes", "delaySeconds": None})
await q.sendBatch([{"body": 1}, {"body": "x", "contentType": "text", "delaySeconds": 0}],
                  delaySeconds=7)
assert await q.send_batch([{"body": None}]) is None
""",
    )
    assert result.text == "sent", result.failures
    assert [(call.target, call.method) for call in result.calls] == [
        *[("Q", "send")] * 3,
        *[("Q", "sendBatch")] * 2,
    ]
    assert [call.arguments[0] for call in result.calls] == [
        [['{"a":[1,null,"é"]}'.encode(), "json", None]],
        [[b"hi", "text", 5]],
        [[b"\x00", "bytes", None]],
        [[b"1", "json", 7], [b"x", "text", 0]],
        [[b"null", "json", None]],
    ]


@pytest.mark.parametrize(
    ("code", "name", "message"),
    [
        ("send(1, contentType='text')", "TypeError", "requires a value of type string"),
        ("send('x', contentType='bytes')", "TypeError", "requires a value of type ArrayBufferView"),
        ("send('x', contentType='xml')", "TypeError", "Unsupported queue message content type"),
        ("send(object())", "TypeError", "not JSON serializable"),
        ("send('x' * 128_000)", "ValueError", "message length of 128002 bytes exceeds limit"),
        ("send(1, delaySeconds=86_401)", "ValueError", "delaySeconds must be"),
        ("send(1, delaySeconds='1')", "ValueError", "delaySeconds must be"),
        ("sendBatch([])", "TypeError", "at least one message"),
        ("sendBatch([{'body': 1}] * 101)", "ValueError", "count of 101 exceeds limit of 100"),
        ("sendBatch([{'body': 'x' * 90_000}] * 3)", "ValueError", "exceeds limit of 256000"),
        ("sendBatch([1])", "TypeError", "a dict with a body"),
        ("sendBatch({'body': 1})", "TypeError", "takes a list"),
    ],
)
def test_what_cannot_be_sent(cell, code: str, name: str, message: str):
    """Told where it is called, in the product's words where it has some; nothing is asked."""
    result = sending(cell, f"await self.env.Q.{code}")
    assert result.failed.name == name
    assert message in result.failed.message
    assert result.calls == []


def test_a_queue_that_refuses(cell):
    """Is an exception with the words of whoever refused."""
    cell.load(
        "from workers import Response\n"
        "async def on_fetch(request, env):\n"
        "    try:\n        await env.Q.send(1)\n"
        "    except Exception as error:\n        return Response(str(error))\n",
        live=LIVE,
    )

    def refuse(_call: Any) -> None:
        raise Refused("Error", "Queue send failed: no")

    assert cell.invoke(refuse).text == "Queue send failed: no"


BODIES = {"json": b'{"a": 1}', "text": b"hi", "bytes": b"\x00\x01"}
BATCH = encode(
    QueueBatch(
        queue="jobs",
        messages=[QueueMessage(kind, AT, 2, kind, body) for kind, body in BODIES.items()],
    )
)


def consumed(cell: Cell, code: str, event: bytes = BATCH) -> Any:
    """Run that in queue(); what came of it."""
    lines = "\n".join(f"        {line}" for line in code.strip("\n").split("\n"))
    cell.load(
        "from workers import WorkerEntrypoint\nimport asyncio\n"
        "async def fail():\n    raise ValueError('later')\n"
        "class Default(WorkerEntrypoint):\n"
        f"    async def queue(self, batch, env, ctx):\n{lines}\n"
    )
    return cell.invoke(handler="queue", event=event)


def test_what_a_consumer_is_given(cell):
    """Queue, ids, times, attempts, and bodies as they were sent."""
    result = consumed(
        cell,
        """
print(batch.queue, [m.id for m in batch.messages], {m.attempts for m in batch.messages})
json, text, data = batch.messages
print(json.body["a"], json.body.a, text.body, bytes(data.body), type(data.body).__name__)
print(json.timestamp.isoformat())
""",
    )
    assert [line.text for line in result.logs] == [
        "jobs ['json', 'text', 'bytes'] {2}",
        "1 1 hi b'\\x00\\x01' memoryview",
        "2026-01-01T00:00:00",
    ]
    assert result.returned == {"acks": ["json", "text", "bytes"], "retries": {}}


NO = None
ALL = {"json": NO, "text": NO, "bytes": NO}


@pytest.mark.parametrize(
    ("code", "acks", "retries"),
    [
        ("batch.messages[0].retry()", ["text", "bytes"], {"json": NO}),
        ("batch.messages[0].retry(delaySeconds=9)", ["text", "bytes"], {"json": 9}),
        ("m = batch.messages[0]; m.ack(); m.retry()", ["json", "text", "bytes"], {}),
        ("m = batch.messages[0]; m.retry(); m.ack()", ["text", "bytes"], {"json": NO}),
        ("batch.retryAll({'delaySeconds': 3})", [], {"json": 3, "text": 3, "bytes": 3}),
        ("batch.retry_all(); batch.messages[1].ack()", ["text"], {"json": NO, "bytes": NO}),
        ("batch.ackAll(); batch.retryAll()", ["json", "text", "bytes"], {}),
        ("batch.messages[1].ack(); raise ValueError('no')", ["text"], {"json": NO, "bytes": NO}),
        ("batch.ackAll(); raise ValueError('no')", ["json", "text", "bytes"], {}),
        ("raise ValueError('no')", [], ALL),
        ("ctx.waitUntil(asyncio.sleep(0))", ["json", "text", "bytes"], {}),
        ("batch.messages[0].ack(); ctx.waitUntil(fail())", ["json"], {"text": NO, "bytes": NO}),
    ],
)
def test_verdicts(cell, code: str, acks: list[str], retries: dict[str, int | None]):
    """What returned is done, what failed comes again, in the handler or in what it left for later;
    what is said of a message counts more than what is said of all, and what is said first."""
    result = consumed(cell, code.replace("; ", "\n"))
    assert result.returned == {"acks": acks, "retries": retries}
    assert bool(result.failures) is ("ValueError" in code or "fail()" in code)


def test_an_older_function_consumes(cell):
    """on_queue is given the same."""
    cell.load("def on_queue(batch, env, ctx):\n    batch.messages[0].retry()")
    result = cell.invoke(handler="queue", event=BATCH)
    assert result.returned["retries"] == {"json": None}


def test_what_is_given_is_the_platforms(cell):
    """A consumer changes no verdict by what it does to the objects."""
    result = consumed(
        cell,
        """
batch.messages.clear()
try:
    batch.messages[0].id = "mine"
except (AttributeError, TypeError):
    print("refused")
""",
    )
    assert [line.text for line in result.logs] == ["refused"]
    assert result.returned["acks"] == ["json", "text", "bytes"]
