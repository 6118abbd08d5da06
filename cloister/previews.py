"""Preview links: one version of a worker, on a host of its own, for whoever has the link.

The host ``{version}-{worker}.{namespace}.{domain}`` says which version, by the first digits of its
id; a token says until when its holder may see it. It is sealed with the platform's key about that
very host, so that it opens no other. Nothing is stored: a link ends by its time, or with its
version.
"""

import base64
import binascii
import time

import msgspec

from cloister.errors import NotReady
from cloister.registry.names import NAME, NAME_CHARACTERS
from cloister.secrets import Cipher

PARAMETER = "cloister_preview"
"""Of a link's query, and the name of the cookie that it becomes."""

HEADER = "cloister-preview"
"""For programs, which need no cookie."""

PREFIX_CHARACTERS = 8
TOKEN_CHARACTERS = 256
"""More than any token has."""


class Grant(msgspec.Struct, frozen=True, array_like=True):
    """What a token says: a version, and when (epoch seconds) it is not shown any more."""

    version_id: str
    expires_at: int


def host_of(version_id: str, script: str, namespace: str, domain: str) -> str | None:
    """The host of a preview; None where the worker's name is too long for one, or the namespace's
    is none that a host can have."""
    label = f"{version_id[:PREFIX_CHARACTERS]}-{script}"
    if len(label) > NAME_CHARACTERS or not NAME.fullmatch(namespace):
        return None
    return f"{label}.{namespace}.{domain.lower().strip('.')}"


def seal(cipher: Cipher, host: str, grant: Grant) -> str:
    """A token for this host."""
    sealed = cipher.seal(msgspec.msgpack.encode(grant), about=_about(host))
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def unseal(cipher: Cipher, host: str, token: str) -> Grant | None:
    """What a token grants on this host; None if it is not of it, not ours, or expired."""
    if len(token) > TOKEN_CHARACTERS:
        return None
    try:
        sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        grant = msgspec.msgpack.decode(cipher.open(sealed, about=_about(host)), type=Grant)
    except (NotReady, binascii.Error, ValueError, msgspec.DecodeError):
        return None
    return grant if grant.expires_at > time.time() else None


def _about(host: str) -> str:
    return f"preview of {host}"
