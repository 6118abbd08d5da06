"""gunicorn's ASGI worker, made to stop as soon as it may, when no request is under way, and to send
a head before its body.

gunicorn's own looks up once a second, and waits for connections on which nobody asks anything.
"""

import asyncio
from typing import Any

from gunicorn.asgi.protocol import ASGIProtocol
from gunicorn.workers import gasgi

IDLE_CHECK_S = 0.05


class Connection(ASGIProtocol):  # type: ignore[misc]  # gunicorn has no types
    """A connection that its worker knows of."""

    _response_buffer: bytes | None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        super().connection_made(transport)
        self.worker.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        super().connection_lost(exc)
        self.worker.connections.discard(self)

    def send_head(self) -> None:
        """Write the response's head now; gunicorn keeps it until there are bytes of the body."""
        if self._response_buffer:
            head, self._response_buffer = self._response_buffer, None
            self._safe_write(head)

    def close_if_idle(self) -> None:
        """Close it if it waits for a request, as it would after some time anyway."""
        if self._awaiting_request:
            self._keepalive_timeout()


class Worker(gasgi.ASGIWorker):  # type: ignore[misc]  # gunicorn has no types
    """See the module."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.connections: set[Connection] = set()
        self._main: asyncio.Task[None] | None = None

    def notify(self) -> None:
        """Called before each pause of the main loop, which is all that task does from here on."""
        super().notify()
        self._main = asyncio.current_task()

    def handle_exit_signal(self) -> None:
        """SIGTERM: end the pause now."""
        if self.alive and self._main is not None:
            self._main.cancel()
        super().handle_exit_signal()

    async def _shutdown(self) -> None:
        closing = asyncio.create_task(self._close_idle())
        try:
            await super()._shutdown()
        finally:
            closing.cancel()

    async def _close_idle(self) -> None:
        while True:
            for connection in list(self.connections):
                connection.close_if_idle()
            await asyncio.sleep(IDLE_CHECK_S)


# The worker makes its connections of this name; it has no other place to say which.
gasgi.ASGIProtocol = Connection
