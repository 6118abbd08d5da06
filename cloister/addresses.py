"""HOST:PORT addresses: is one free, and how does a person on this machine reach it."""

import socket

from cloister.errors import NotReady

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - recognised here, not bound


def split(address: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT`` or ``[IPv6]:PORT``."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def url(address: str) -> str:
    """The address as a URL that works on this machine."""
    host, port = split(address)
    host = _ANY.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def require_free(address: str, setting: str) -> None:
    """Raises:
    NotReady: something listens there already, or the host is not ours.
    """
    host, port = split(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as exc:
            raise NotReady(
                f"Cannot listen on {address}: {exc.strerror}. "
                f"Stop what uses that port, or set {setting} to another HOST:PORT."
            ) from exc
