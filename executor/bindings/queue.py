"""A queue: ``env.NAME.send`` and ``sendBatch``."""

import asyncio
import contextlib
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw
from redis.exceptions import RedisError

from cloister.errors import CloisterError, Conflict, Invalid, NotFound
from cloister.queues import QUEUES_CHANNEL
from cloister.registry.queue_messages import by_name
from cloister.registry.queue_views import SENT_BYTES, ContentType, Delay, NewMessage
from executor.bindings.asked import read
from executor.bindings.base import Binding, Refused

ASKED_BYTES = SENT_BYTES + 64 * 1024
METHODS = ("send", "sendBatch")

TOLD_S = 1.0
"""How long a sender waits to tell who delivers that there is something to deliver."""


class _Message(msgspec.Struct, array_like=True):
    body: bytes
    content_type: ContentType
    delay_s: Delay | None


class _Messages(msgspec.Struct, array_like=True):
    messages: Annotated[list[_Message], Meta(max_length=100)]


_messages = msgspec.msgpack.Decoder(_Messages)


class Queue(Binding):
    """Messages go to the registry's database, in a thread. Sent is what is stored there."""

    async def call(self, method: str, arguments: Raw, options: Raw) -> Any:  # noqa: ARG002 - none
        """Send messages, all or none."""
        if method not in METHODS:
            raise Refused("TypeError", f"A queue has no method {method[:40]!r}.")
        asked = read(_messages, arguments, ASKED_BYTES, f"{method}() takes other messages")
        default_s = self.spec.get("delivery_delay")
        messages = [
            NewMessage(
                body=each.body,
                content_type=each.content_type,
                delay_s=default_s if each.delay_s is None else each.delay_s,
            )
            for each in asked.messages
        ]
        self.scope.count()
        try:
            await self.scope.in_thread(self._send, messages)
        except Invalid as exc:
            raise Refused("ValueError", f"Queue {method} failed: {exc}") from exc
        except (NotFound, Conflict) as exc:
            raise Refused("Error", f"Queue {method} failed: {exc}") from exc
        except CloisterError as exc:
            raise Refused("Error", f"Queue {method} failed: Internal Server Error") from exc
        await self._tell()

    def _send(self, messages: list[NewMessage]) -> None:
        wanted = by_name(str(self.spec["queue_name"]))
        self.scope.registry.queues.messages.send(self.scope.account_id, wanted, messages)

    async def _tell(self) -> None:
        # It is stored; whoever is not told finds it by himself, only later.
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(TOLD_S):
                await self.scope.valkey.publish(QUEUES_CHANNEL, b"")
