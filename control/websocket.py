"""The server's half of a WebSocket (RFC 6455), as much of it as a live tail needs.

Text goes out. Of what comes in, pings are answered and nothing else is looked at: wrangler begins
with a frame that is not masked, which the RFC and every library refuse.
"""

import base64
import hashlib
import select
import socket
from collections.abc import Callable, Iterable
from typing import Any

from flask import Response, request

from control.errors import NO_WEBSOCKET, Refused

MAX_FRAME_BYTES = 64 * 1024
"""Largest frame that is taken in; none of a client of ours is larger."""

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA
_MASKED = 0x80
_CONTROL_BYTES = 125


class WebSocket:
    """An open connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._received = bytearray()

    def send(self, text: bytes) -> None:
        """Send a message. Raises OSError if the client takes nothing any more."""
        self._frame(_TEXT, text)

    def is_open(self) -> bool:
        """Take in what has come, without waiting; whether the client is there still.

        Raises:
            OSError: it is not, and did not say so.
        """
        while select.select([self._sock], [], [], 0)[0]:
            data = self._sock.recv(4096)
            if not data:
                return False
            self._received += data
            while (frame := self._taken()) is not None:
                opcode, payload = frame
                if opcode == _CLOSE:
                    return False
                if opcode == _PING:
                    self._frame(_PONG, payload[:_CONTROL_BYTES])
            if len(self._received) > MAX_FRAME_BYTES:
                return False
        return True

    def close(self, code: int = 1000) -> None:
        """Say goodbye."""
        self._frame(_CLOSE, code.to_bytes(2, "big"))

    def _taken(self) -> tuple[int, bytes] | None:
        """The next frame that is here whole: its kind, and what it holds."""
        data = self._received
        if len(data) < 2:
            return None
        size, start = data[1] & ~_MASKED, 2
        if size > _CONTROL_BYTES:
            start += 2 if size == _CONTROL_BYTES + 1 else 8
            size = int.from_bytes(data[2:start], "big")
        mask = data[start : start + 4] if data[1] & _MASKED else b""
        start += len(mask) if len(mask) == 4 else 4 * bool(data[1] & _MASKED)
        if len(data) < start + size:
            return None
        payload = bytes(data[start : start + size])
        opcode = data[0] & 0x0F
        del data[: start + size]
        if mask:
            payload = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        return opcode, payload

    def _frame(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        if size <= _CONTROL_BYTES:
            head = bytes([0x80 | opcode, size])
        elif size < 1 << 16:
            head = bytes([0x80 | opcode, 126]) + size.to_bytes(2, "big")
        else:
            head = bytes([0x80 | opcode, 127]) + size.to_bytes(8, "big")
        self._sock.sendall(head + payload)


class Upgraded(Response):
    """The answer that makes the connection a WebSocket, which ``serve`` has until it returns."""

    def __init__(self, protocol: str, serve: Callable[[WebSocket], None]) -> None:
        super().__init__(status=101)
        self._accepted = _accepted(protocol)
        self._serve = serve

    def __call__(self, environ: dict[str, Any], _start_response: Any) -> Iterable[bytes]:
        """Serve it on gunicorn's socket. StopIteration tells gunicorn that nothing is to follow."""
        sock: socket.socket = environ["gunicorn.socket"]
        try:
            sock.sendall(self._accepted)
            self._serve(WebSocket(sock))
        finally:
            self.close()
        raise StopIteration


def _accepted(protocol: str) -> bytes:
    """The head of the answer. Raises :class:`Refused` where no such WebSocket is asked for."""
    headers = request.headers
    offered = [name.strip() for name in headers.get("Sec-WebSocket-Protocol", "").split(",")]
    key = headers.get("Sec-WebSocket-Key", "")
    if (
        "gunicorn.socket" not in request.environ
        or headers.get("Upgrade", "").lower() != "websocket"
        or headers.get("Sec-WebSocket-Version") != "13"
        or len(key) != 24
        or protocol not in offered
    ):
        raise Refused(NO_WEBSOCKET)
    digest = hashlib.sha1(key.encode("latin-1") + _GUID, usedforsecurity=False).digest()
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}\r\n"
        f"Sec-WebSocket-Protocol: {protocol}\r\n\r\n"
    ).encode()
