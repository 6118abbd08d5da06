"""``caches``: responses kept for later requests, under the URL they are for."""

from typing import Any

from executor.isolate import frames
from executor.isolate.invocation import runtime
from executor.isolate.workers.bodies import known_bytes, take_chunks
from executor.isolate.workers.fetching import ask_while_writing, outgoing
from executor.isolate.workers.headers import wire_pairs
from executor.isolate.workers.requests import Request
from executor.isolate.workers.responses import FetchResponse, Response, received_response
from executor.isolate.workers.values import merged_options


class Cache:
    """One cache. Requests may be given as URLs."""

    __slots__ = ("_cache",)

    def __init__(self, name: str | None) -> None:
        self._cache = name

    async def match(
        self, request: Request | str, options: Any = None, /, **named: Any
    ) -> Response | None:
        """The response kept for a request, or None. It is fresh; the network is not asked."""
        found = await self._ask("match", request, options, named)
        return None if found is None else received_response(found)

    async def delete(self, request: Request | str, options: Any = None, /, **named: Any) -> bool:
        """Forget a response; whether there was one."""
        return bool(await self._ask("delete", request, options, named))

    async def put(self, request: Request | str, response: FetchResponse, /) -> None:
        """Keep a response, whose body is used by that, if its headers allow it."""
        if not isinstance(response, FetchResponse):
            raise TypeError(f"put() takes a Response, not {type(response).__name__}")
        body, stream, chunks = response._body, None, None
        data = b"" if body is None else known_bytes(body)
        if body is not None:
            chunks = take_chunks(body)
        if data is None or len(data) > frames.INLINE_BODY_BYTES:
            data, stream = b"", runtime.new_stream()
        kept = {
            "status": response._status,
            "headers": wire_pairs(response._headers),
            "body": data,
        }
        asked = {"cache": self._cache} | ({} if stream is None else {"stream": stream})
        question = runtime.ask(frames.CACHES, "put", [_described(request), kept], asked)
        if stream is None:
            await question
        else:
            await ask_while_writing(question, stream, chunks)

    async def _ask(
        self, method: str, request: Request | str, options: Any, named: dict[str, Any]
    ) -> Any:
        ignore = bool(merged_options(options, named).get("ignoreMethod"))
        asked = {"cache": self._cache, "ignore_method": ignore}
        return await runtime.ask(frames.CACHES, method, [_described(request)], asked)

    def __repr__(self) -> str:
        return f"<cache {self._cache or 'default'}>"


class CacheStorage:
    """``caches.open(name)`` and ``caches.default``."""

    __slots__ = ()

    @property
    def default(self) -> Cache:
        """The cache without a name. Its use is refused in untrusted namespaces."""
        return Cache(None)

    async def open(self, name: str) -> Cache:
        """A cache of that name, which need not have been made."""
        if not isinstance(name, str):
            raise TypeError(f"The name of a cache is a str, not {type(name).__name__}")
        return Cache(name)

    def __repr__(self) -> str:
        return "<caches>"


caches = CacheStorage()


def _described(resource: Request | str) -> frames.Outgoing:
    """The request without its body."""
    request = resource if isinstance(resource, Request) else Request(resource)
    return outgoing(request, b"", None)
