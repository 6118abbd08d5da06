"""What one dispatcher process holds while it serves: opened together, closed together."""

import asyncio
import uuid
from contextlib import AsyncExitStack
from functools import lru_cache, partial

from cloister.assets.sites import Sites
from cloister.blobs import Blobs
from cloister.broker import async_redis
from cloister.enquiry import Enquiry
from cloister.limits import effective
from cloister.link import Link
from cloister.mailbox import Mailbox
from cloister.messages import Invocation
from cloister.registry import Registry, RouteCache, open_registry
from cloister.settings import Settings
from dispatcher.deadlines import Deadlines
from dispatcher.exchange import Exchange
from dispatcher.publisher import Publisher


class Services:
    """Registry, route cache, sites, mailbox, publisher and enquiry of this process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.limits = lru_cache(maxsize=1024)(partial(effective, settings))
        self._redis = async_redis(settings)
        self._stack = AsyncExitStack()
        self.mailbox = Mailbox(self._redis, uuid.uuid4().hex)
        self.publisher = Publisher(self._redis, settings.namespace_queue)
        self.enquiry = Enquiry(self._redis, self.mailbox)
        self._deadlines = Deadlines()
        self._uploads = Link(self._redis)
        self.registry: Registry
        self.routes: RouteCache
        self.sites = Sites(Blobs.open(settings))

    async def open(self) -> None:
        """Connect and start. Raises what the first thing that fails raises; closes the others."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._redis.aclose)
            self.registry = await asyncio.to_thread(open_registry, self.settings)
            stack.callback(self.registry.close)
            self.routes = RouteCache(self.registry, self.settings)
            await self.routes.start()
            stack.push_async_callback(self.routes.close)
            stack.push_async_callback(self.sites.close)
            await self.mailbox.start()
            stack.push_async_callback(self.mailbox.close)
            stack.push_async_callback(self.publisher.close)
            stack.push_async_callback(self._uploads.close)
            await self.enquiry.start()
            stack.push_async_callback(self.enquiry.close)
            self._stack = stack.pop_all()

    async def close(self) -> None:
        """Stop, in the other order."""
        await self._stack.aclose()

    def exchange(self, invocation: Invocation) -> Exchange:
        """A conversation about one invocation."""
        return Exchange(
            self.mailbox, self.publisher, self.enquiry, self._deadlines, self._uploads, invocation
        )
