"""The Request and Response that a dispatch worker handles."""

import json
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from typing import Any

from dispatcher.headers import Given, Headers

Content = bytes | str | AsyncIterable[bytes] | None


class _Message:
    """Headers and a body that is read once."""

    headers: Headers
    _body: bytes | AsyncIterable[bytes]

    def _set_body(self, content: Content) -> None:
        self._body = content.encode() if isinstance(content, str) else content or b""
        self._read = False

    @property
    def body(self) -> AsyncIterator[bytes]:
        """The bytes as they come. A stream is read once; whole bytes may be read again."""
        return self._stream()

    async def _stream(self) -> AsyncIterator[bytes]:
        if isinstance(self._body, bytes):
            if self._body:
                yield self._body
            return
        if self._read:
            raise RuntimeError("This body has been read already.")
        self._read = True
        async for chunk in self._body:
            yield chunk

    @property
    def whole_body(self) -> bytes | None:
        """The body if it is here already, else None."""
        return self._body if isinstance(self._body, bytes) else None

    async def bytes(self) -> bytes:
        """The whole body; kept, so that the message can still be sent on."""
        if not isinstance(self._body, bytes):
            self._body = b"".join([chunk async for chunk in self.body])
        return self._body

    async def text(self) -> str:
        """The whole body as UTF-8 text."""
        return (await self.bytes()).decode(errors="replace")

    async def json(self) -> Any:
        """The whole body as JSON. Raises ``ValueError`` if it is not."""
        return json.loads(await self.bytes())


class Request(_Message):
    """A request. ``url`` is what the tenant's code will see.

    ``namespace`` and ``worker`` are what routing found, ``hostname`` the custom hostname by which
    it did, empty for other ways; what is said of that one is ``cf["hostMetadata"]``, and ``cf`` is
    empty where nothing is. ``id`` is shown on error pages and is the id of the invocation in
    the worker's logs. ``client_ip`` is the visitor's address.
    ``version`` is the id of the version that a preview link shows, empty for other requests.
    """

    version = ""

    def __init__(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Given = None,
        body: Content = None,
        id: str = "",  # noqa: A002 - the natural name, as in the log
        namespace: str = "",
        worker: str = "",
        hostname: str = "",
        cf: Mapping[str, Any] | None = None,
        client_ip: str = "",
    ) -> None:
        self.url = url
        self.method = method
        self.headers = Headers(headers)
        self.id = id
        self.namespace = namespace
        self.worker = worker
        self.hostname = hostname
        self.cf = cf or {}
        self.client_ip = client_ip
        self._set_body(body)

    def replaced(
        self,
        *,
        url: str | None = None,
        method: str | None = None,
        headers: Given = None,
        body: Content = None,
    ) -> "Request":
        """A copy with other parts. The copy and this one share a streamed body."""
        copy = Request(
            self.url if url is None else url,
            method=self.method if method is None else method,
            headers=self.headers if headers is None else headers,
            id=self.id,
            namespace=self.namespace,
            worker=self.worker,
            hostname=self.hostname,
            cf=self.cf,
            client_ip=self.client_ip,
        )
        copy.version = self.version
        if body is None:
            copy._body, copy._read = self._body, self._read
        else:
            copy._set_body(body)
            copy.headers.pop("content-length", None)
        return copy


class Response(_Message):
    """A response. Its body may be bytes, text, or an asynchronous iterable of bytes."""

    def __init__(self, body: Content = None, *, status: int = 200, headers: Given = None) -> None:
        self.status = status
        self.headers = Headers(headers)
        self._set_body(body)
        if isinstance(body, str):
            self.headers.setdefault("content-type", "text/plain; charset=utf-8")

    @classmethod
    def from_json(cls, value: Any, *, status: int = 200, headers: Given = None) -> "Response":
        """A JSON response."""
        response = cls(json.dumps(value).encode(), status=status, headers=headers)
        response.headers.setdefault("content-type", "application/json")
        return response

    @classmethod
    def redirect(cls, url: str, status: int = 302) -> "Response":
        """A redirect to ``url``."""
        return cls(status=status, headers={"location": url})
