"""What the Celery worker does with a message: hand it to the engine, at once.

Celery's default strategy wraps a message in a request, and a pool runs it. Here the handler
decodes the message and passes it to the engine's loop. The hooks used
(``Task.Strategy``, the handler's five arguments) are internal to Celery 5.7, to which
``pyproject.toml`` holds us.

**Delivery is at most once.** Queues are consumed without acknowledgement: a message leaves Valkey
when it is taken. A request is not repeated by the platform, because nobody can tell whether the
tenant's code had already charged a card when its executor died; the client hears of it and decides.
What is taken after its deadline is dropped (outcome EXPIRED). This also saves Celery's two writes a
message.
"""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from kombu.transport.virtual import Message

from cloister.broker import CONTENT_TYPE
from cloister.databases import UnreadJob
from cloister.messages import Batch, CompileJob
from executor.engine import Engine

log = logging.getLogger(__name__)

T = TypeVar("T")

Handler = Callable[[Message, Any, Any, Any, Any], None]

_arguments = msgspec.msgpack.Decoder(tuple[tuple[bytes], dict[str, Any], dict[str, Any]])
_batch = msgspec.msgpack.Decoder(Batch)
_job = msgspec.msgpack.Decoder(CompileJob)
_database_job = msgspec.msgpack.Decoder(UnreadJob)


def dispatch(task: Any, app: Any, consumer: Any) -> Handler:  # noqa: ARG001 - Celery's signature
    """Strategy of the task ``cloister.dispatch``."""
    engine: Engine = consumer.controller.engine
    return _handler(_batch.decode, lambda batch: engine.submit(batch.invocations))


def compile_job(task: Any, app: Any, consumer: Any) -> Handler:  # noqa: ARG001 - as above
    """Strategy of the task ``cloister.compile``."""
    engine: Engine = consumer.controller.engine
    return _handler(_job.decode, engine.submit_job)


def database_job(task: Any, app: Any, consumer: Any) -> Handler:  # noqa: ARG001 - as above
    """Strategy of the task ``cloister.database``."""
    engine: Engine = consumer.controller.engine
    return _handler(_database_job.decode, engine.submit_database_job)


def wake(task: Any, app: Any, consumer: Any) -> Handler:  # noqa: ARG001 - as above
    """Strategy of the task ``cloister.wake``: its arrival is all there is to it."""
    return lambda _message, _body, _ack, _reject, _callbacks: None


def _handler(decode: Callable[[bytes], T], submit: Callable[[T], None]) -> Handler:
    def handle(message: Message, _body: Any, _ack: Any, _reject: Any, _callbacks: Any) -> None:
        try:
            submit(decode(_payload(message)))
        except msgspec.MsgspecError as exc:
            log.error("dropped a message that is none of ours: %s", exc)  # noqa: TRY400 - no trace

    return handle


def _payload(message: Message) -> bytes:
    if message.content_type != CONTENT_TYPE:
        raise msgspec.DecodeError(f"content type {message.content_type}")
    arguments, _, _ = _arguments.decode(message.body)
    return arguments[0]
