"""A small HTTP/1.1 origin server whose answers are written by hand, for the egress tests."""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
"""For ``egress_private``: where an origin listens."""


class Unmetered:
    """A client's meter that counts nothing."""

    def begin(self) -> None:
        """See :class:`executor.egress.client.Meter`."""

    def end(self, method: str, url: str, status: int, wall_ms: float) -> None:
        """See :class:`executor.egress.client.Meter`."""


@dataclass
class Seen:
    """A request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""


Handler = Callable[[Seen, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Origin:
    """A listening server. ``answers`` maps a path to raw bytes or to a handler."""

    answers: dict[str, bytes | Handler] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    _server: asyncio.Server | None = None
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while (seen := await _request(reader)) is not None:
                self.seen.append(seen)
                answer = self.answers.get(seen.target.partition("?")[0], ok(b"", status=404))
                if isinstance(answer, bytes):
                    writer.write(answer)
                    await writer.drain()
                else:
                    await answer(seen, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()


async def _request(reader: asyncio.StreamReader) -> Seen | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    line, *lines = head.split("\r\n")
    method, target, _ = line.split(" ")
    headers = {
        name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)
    }
    seen = Seen(method, target, headers)
    if headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            seen.body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    else:
        seen.body = await reader.readexactly(int(headers.get("content-length", "0")))
    return seen


def ok(body: bytes = b"ok", *, status: int = 200, **headers: str) -> bytes:
    """A response with its length."""
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Some\r\ncontent-length: {len(body)}\r\n{more}\r\n".encode() + body


def redirect(location: str, status: int = 302) -> bytes:
    """A redirect."""
    return ok(b"moved", status=status, location=location)
