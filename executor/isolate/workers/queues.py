"""Queues: what a producer sends with, and what a consumer's ``queue(batch, env, ctx)`` is given."""

import datetime as dt
import json
from typing import Any

import msgspec

from cloister.events import QueueBatch, QueueMessage
from executor.isolate.invocation import runtime
from executor.isolate.workers.rpc import python_from_rpc, python_to_rpc
from executor.isolate.workers.values import merged_options, to_js_dicts

MAX_MESSAGE_BYTES = 128_000
MAX_MESSAGES = 100
MAX_BATCH_BYTES = 256_000
MAX_DELAY_S = 86_400


class Queue:
    """``env.NAME`` of a queue binding. Options go in one dict or by keyword."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    async def send(self, body: Any, options: Any = None, /, **named: Any) -> None:
        """Store a message. Options: ``contentType``, ``delaySeconds``."""
        asked = merged_options(options, named)
        message = _message(body, asked, "send")
        await runtime.ask(self._name, "send", [[message]])

    async def sendBatch(self, messages: Any, options: Any = None, /, **named: Any) -> None:
        """Store messages, each a dict with ``body`` and options of its own, all or none. Options:
        ``delaySeconds``."""
        delay = _delay(merged_options(options, named))
        sent = [_one_of_batch(each, delay) for each in _listed(messages)]
        if not sent:
            raise TypeError("sendBatch() requires at least one message.")
        if len(sent) > MAX_MESSAGES:
            raise ValueError(
                f"Queue sendBatch failed: batch message count of {len(sent)} exceeds limit of "
                f"{MAX_MESSAGES}"
            )
        size = sum(len(body) for body, _, _ in sent)
        if size > MAX_BATCH_BYTES:
            raise ValueError(
                f"Queue sendBatch failed: batch size of {size} bytes exceeds limit of "
                f"{MAX_BATCH_BYTES}"
            )
        await runtime.ask(self._name, "sendBatch", [sent])

    send_batch = sendBatch

    def __repr__(self) -> str:
        return f"<queue {self._name}>"


Sent = tuple[bytes, str, int | None]
"""Body, content type, delay in seconds."""


class Message:
    """One message of a batch."""

    __slots__ = ("_decision", "_message")

    def __init__(self, message: QueueMessage) -> None:
        self._message = message
        self._decision: tuple[bool, int | None] | None = None

    @property
    def id(self) -> str:
        """Its id, which it keeps."""
        return self._message.id

    @property
    def timestamp(self) -> Any:
        """When it was sent."""
        seconds = self._message.timestamp / 1000
        return python_from_rpc(dt.datetime.fromtimestamp(seconds, dt.UTC))

    @property
    def attempts(self) -> int:
        """How often it was delivered, this time included."""
        return self._message.attempts

    @property
    def body(self) -> Any:
        """What was sent: a new copy each time."""
        return _body(self._message)

    def ack(self) -> None:
        """It is done, whatever becomes of the others."""
        self._decide(is_done=True, delay=None)

    def retry(self, options: Any = None, /, **named: Any) -> None:
        """It is wanted again. Options: ``delaySeconds``."""
        self._decide(is_done=False, delay=_delay(merged_options(options, named)))

    def _decide(self, *, is_done: bool, delay: int | None) -> None:
        if self._decision is None:  # as in the product, what is said first counts
            self._decision = is_done, delay

    def __repr__(self) -> str:
        return f"<message {self._message.id}>"


class MessageBatch:
    """The messages that a consumer is given at once."""

    __slots__ = ("_decision", "_messages", "_queue")

    def __init__(self, batch: QueueBatch) -> None:
        self._queue = batch.queue
        self._messages = tuple(Message(each) for each in batch.messages)
        self._decision: tuple[bool, int | None] | None = None

    @property
    def queue(self) -> str:
        """The queue's name."""
        return self._queue

    @property
    def messages(self) -> list[Message]:
        """All of them."""
        return list(self._messages)

    def ackAll(self) -> None:
        """All are done of which nothing else is said."""
        self._decision = self._decision or (True, None)

    ack_all = ackAll

    def retryAll(self, options: Any = None, /, **named: Any) -> None:
        """All are wanted again of which nothing else is said. Options: ``delaySeconds``."""
        self._decision = self._decision or (False, _delay(merged_options(options, named)))

    retry_all = retryAll

    def __repr__(self) -> str:
        return f"<batch of {len(self._messages)} messages of {self._queue}>"


_batch = msgspec.msgpack.Decoder(QueueBatch).decode


def batch_of(event: bytes) -> MessageBatch:
    """A batch as it came."""
    return MessageBatch(_batch(event))


def verdict(batch: MessageBatch, _returned: Any) -> dict[str, Any]:
    """What became of it, as its handler returned: that is done of which nothing else is said."""
    return _verdict(batch, (True, None))


def failed_verdict(batch: MessageBatch) -> dict[str, Any]:
    """What became of it where the handler failed: that is wanted again of which nothing is said."""
    return _verdict(batch, (False, None))


def _verdict(batch: MessageBatch, unsaid: tuple[bool, int | None]) -> dict[str, Any]:
    acks: list[str] = []
    retries: dict[str, int | None] = {}
    for message in batch._messages:
        is_done, delay = message._decision or batch._decision or unsaid
        if is_done:
            acks.append(message.id)
        else:
            retries[message.id] = delay
    return {"acks": acks, "retries": retries}


def _body(message: QueueMessage) -> Any:
    match message.content_type:
        case "text":
            return message.body.decode("utf-8", "replace")
        case "json":
            return to_js_dicts(json.loads(message.body))
        case "v8":
            return python_from_rpc(msgspec.msgpack.decode(message.body))
        case _:
            return memoryview(message.body)


def _listed(messages: Any) -> list[Any]:
    if not isinstance(messages, list | tuple):
        raise TypeError(f"sendBatch() takes a list, not {type(messages).__name__}")
    return list(messages)


def _one_of_batch(message: Any, delay: int | None) -> Sent:
    if not isinstance(message, dict) or "body" not in message:
        raise TypeError("A message of sendBatch() is a dict with a body")
    asked = {"delaySeconds": delay} | {
        name: value for name, value in message.items() if name != "body" and value is not None
    }
    return _message(message["body"], asked, "sendBatch")


def _message(body: Any, asked: dict[str, Any], method: str) -> Sent:
    kind = asked.get("contentType", asked.get("content_type", "json"))
    data = _encoded(body, kind)
    if len(data) > MAX_MESSAGE_BYTES:
        raise ValueError(
            f"Queue {method} failed: message length of {len(data)} bytes exceeds limit of "
            f"{MAX_MESSAGE_BYTES}"
        )
    return data, kind, _delay(asked)


def _encoded(body: Any, kind: Any) -> bytes:
    match kind:
        case "json":
            text = json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
            return text.encode("utf-8", "replace")
        case "text":
            if not isinstance(body, str):
                raise _wrong(kind, "string", body)
            return body.encode("utf-8", "replace")
        case "bytes":
            if not isinstance(body, bytes | bytearray | memoryview):
                raise _wrong(kind, "ArrayBufferView", body)
            return bytes(body)
        case "v8":
            return msgspec.msgpack.encode(python_to_rpc(body))
        case _:
            raise TypeError(f"Unsupported queue message content type: {kind}")


def _wrong(kind: str, wanted: str, body: Any) -> TypeError:
    return TypeError(
        f'Content Type "{kind}" requires a value of type {wanted}, but received: '
        f"{type(body).__name__}"
    )


def _delay(asked: dict[str, Any]) -> int | None:
    delay = asked.get("delaySeconds", asked.get("delay_seconds"))
    if delay is None:
        return None
    is_number = isinstance(delay, int | float) and not isinstance(delay, bool)
    if not is_number or not 0 <= delay <= MAX_DELAY_S:
        raise ValueError(f"delaySeconds must be a number from 0 to {MAX_DELAY_S}, not {delay}")
    return int(delay)
