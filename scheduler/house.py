"""What duties work with: opened together on the scheduler's event loop, closed together."""

import asyncio
import uuid
from contextlib import AsyncExitStack
from typing import Self

import redis.asyncio

from cloister.blobs import Blobs
from cloister.broker import async_redis
from cloister.mailbox import Mailbox
from cloister.registry import Registry, RouteCache, change_publisher, open_registry
from cloister.settings import Settings


class House:
    """Registry, routes, blobs, Valkey, and a mailbox for answers.

    The registry and the blobs are synchronous: use them in threads (``asyncio.to_thread``).
    """

    def __init__(
        self,
        settings: Settings,
        client: redis.asyncio.Redis,
        registry: Registry,
        routes: RouteCache,
        mailbox: Mailbox,
    ) -> None:
        self.settings = settings
        self.redis = client
        self.registry = registry
        self.routes = routes
        self.mailbox = mailbox
        self.blobs = Blobs.open(settings)
        self._stack = AsyncExitStack()

    @classmethod
    async def open(cls, settings: Settings) -> Self:
        """Connect to everything.

        Raises:
            CloisterError: something that is needed is not there.
        """
        async with AsyncExitStack() as stack:
            client = async_redis(settings)
            stack.push_async_callback(client.aclose)
            publisher = change_publisher(settings)
            stack.callback(publisher.close)
            registry = await asyncio.to_thread(open_registry, settings, on_change=publisher)
            stack.callback(registry.close)
            routes = RouteCache(registry, settings)
            await routes.start()
            stack.push_async_callback(routes.close)
            mailbox = await stack.enter_async_context(Mailbox(client, uuid.uuid4().hex))
            made = cls(settings, client, registry, routes, mailbox)
            made._stack = stack.pop_all()
        return made

    async def close(self) -> None:
        """Let go of it all."""
        await self._stack.aclose()
