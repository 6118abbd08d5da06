"""Asking a server for a status without waiting for it."""

import re
import socket
from urllib.parse import urlsplit

CONNECT_S = 0.5

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


class Probe:
    """One GET, sent again for as long as the server is not there yet."""

    def __init__(self, url: str, *, api_token: str = "") -> None:
        parts = urlsplit(url)
        self.url = url
        self._address = parts.hostname or "", parts.port or 80
        authorization = f"Authorization: Bearer {api_token}\r\n" if api_token else ""
        self._request = (
            f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n{authorization}"
            "Connection: close\r\n\r\n"
        ).encode()
        self._connection: socket.socket | None = None
        self._received = b""
        self.status: int | None = None

    def answered(self) -> bool:
        """Whether there is an answer by now; then its ``status`` is set."""
        if self.status is None:
            try:
                self._step()
            except BlockingIOError:
                pass
            except OSError:
                self.close()
        return self.status is not None

    def close(self) -> None:
        """Give up the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _step(self) -> None:
        if self._connection is None:
            self._connection = socket.create_connection(self._address, timeout=CONNECT_S)
            self._connection.sendall(self._request)
            self._connection.setblocking(False)
            self._received = b""
        data = self._connection.recv(4096)
        self._received += data
        if found := _STATUS_LINE.match(self._received):
            self.status = int(found[1])
        if self.status or not data:
            self.close()
