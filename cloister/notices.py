"""A process tells the one that started it that it is ready: the first half of sd_notify(3).

`cloister up` listens so for its executors; under systemd (``Type=notify``) systemd does.
"""

import contextlib
import os
import socket
from pathlib import Path

VARIABLE = "NOTIFY_SOCKET"
READY = b"READY=1"
_MESSAGE_BYTES = 4096


def tell_ready() -> None:
    """Say it to whoever wants to know; nobody may."""
    path = os.environ.get(VARIABLE)
    if not path:
        return
    # An abstract socket's name begins with NUL, which no environment variable can hold.
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client, contextlib.suppress(OSError):
        client.sendto(READY, address)


class Notices:
    """Where notices come in. Close it afterwards."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self._came = False

    def came(self) -> bool:
        """Whether somebody said by now that it is ready."""
        with contextlib.suppress(BlockingIOError):
            while not self._came:
                self._came = READY in self._socket.recv(_MESSAGE_BYTES).split(b"\n")
        return self._came

    def close(self) -> None:
        """Listen no longer."""
        self._socket.close()
        self._path.unlink(missing_ok=True)
