"""The ``env`` of a version that is not written yet, for the run of its top-level code at upload.

It holds secrets and travels through the queue, so it is sealed for the one job it belongs to.
"""

from typing import Any

import msgspec

from cloister.registry import bindings
from cloister.secrets import Cipher


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """Plain values by name, and the types of live bindings by name."""

    env: dict[str, Any] = {}
    live: dict[str, str] = {}

    def __repr__(self) -> str:
        """Without values: they may be secret."""
        return f"Environment({', '.join([*self.env, *self.live])})"


def seal(cipher: Cipher, job_id: str, uploaded: bindings.Bindings) -> bytes:
    """The environment of these bindings (with their secrets), for that compile job only."""
    environment = Environment(
        env=bindings.environment(uploaded),
        live={name: spec["type"] for name, spec in bindings.live(uploaded).items()},
    )
    return cipher.seal(msgspec.msgpack.encode(environment), about=_about(job_id))


def unseal(cipher: Cipher, job_id: str, sealed: bytes) -> Environment:
    """Undo :func:`seal`. A job of an earlier release has none.

    Raises:
        NotReady: sealed under another key or for another job.
    """
    if not sealed:
        return Environment()
    data = cipher.open(sealed, about=_about(job_id))
    return msgspec.msgpack.decode(data, type=Environment)


def _about(job_id: str) -> str:
    return f"compile job {job_id}"
