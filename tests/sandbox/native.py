"""What a test's isolate runs instead of the real entry: any Python it is sent, with ctypes.

It stands for a first wall that has fallen. Started only by the tests' own zygote command.
"""

import ctypes
import errno
import mmap
import os
import socket
import struct
import threading
import time
from typing import Any, NoReturn

from executor.isolate.door import Door
from executor.isolate.frames import Failed, Invoke, Load, Loaded, Ready, Returned, raw

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

KNOWN = {
    module.__name__: module for module in (ctypes, errno, mmap, os, socket, struct, threading, time)
}


def syscall(number: int, *arguments: int | bytes | None) -> int:
    """A system call's answer, or its error number, negative."""
    words = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result: int = libc.syscall(ctypes.c_long(number), *words)
    return -ctypes.get_errno() if result == -1 else result


def serve(sock: socket.socket) -> NoReturn:
    """Answer Load with Loaded, and Invoke by running its ``url`` and returning ``result``."""
    door = Door(sock)
    door.send(Ready())
    names: dict[str, Any] = {"syscall": syscall, "libc": libc, "door": door, "sock": sock, **KNOWN}
    while True:
        frame = door.receive()
        if isinstance(frame, Load):
            door.send(Loaded())
            continue
        assert isinstance(frame, Invoke)
        try:
            exec(frame.url, names)
            door.send(Returned(value=raw(names.pop("result", None))))
        except Exception as exc:  # noqa: BLE001 - the test is told of any
            door.send(Failed(name=type(exc).__name__, message=str(exc)))
