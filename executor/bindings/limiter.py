"""A rate limit: ``env.NAME.limit``. Counted in Valkey, for all executors together."""

import hashlib
from importlib.resources import files
from typing import Any

import msgspec
from msgspec import Raw
from redis.exceptions import RedisError

from executor.bindings.asked import read
from executor.bindings.base import Binding, Refused

OPERATIONS = 1_000
"""Of one invocation, in all its rate limits together."""

ASKED_BYTES = 64 * 1024

_COUNT = files("executor.bindings").joinpath("limiter.lua").read_text()


class _Key(msgspec.Struct, array_like=True):
    key: str


_key = msgspec.msgpack.Decoder(_Key)


class Limiter(Binding):
    """A counter is of the account, the ``namespace_id`` and the key: Workers that name the same id
    share it. What an account counts is its own."""

    async def call(self, method: str, arguments: Raw, options: Raw) -> Any:  # noqa: ARG002 - none
        """``limit`` counts one; whether that is within the limit."""
        if method != "limit":
            raise Refused("TypeError", f"A rate limit has no method {method[:40]!r}.")
        key = read(_key, arguments, ASKED_BYTES, "limit() takes a key, a string").key
        self.tally("ratelimit", OPERATIONS)
        simple = self.spec["simple"]
        period_s, limit = int(simple["period"]), int(simple["limit"])
        blocked_s = int(simple.get("mitigation_timeout", 0))
        counting = self.scope.valkey.eval(
            _COUNT, 1, self._counter(key, period_s), limit, period_s, blocked_s
        )
        try:
            success = await counting
        except (RedisError, OSError) as exc:
            raise Refused("Error", "The rate limit cannot be counted at the moment.") from exc
        return {"success": bool(success)}

    def _counter(self, key: str, period_s: int) -> str:
        """Of fixed length, whatever the tenant's key: memory is bounded by how many are counted in
        a period."""
        whose = f"{self.scope.bundle.account_id}:{self.spec['namespace_id']}".encode()
        digest = hashlib.blake2b(key.encode(), digest_size=16, key=whose[:64]).hexdigest()
        return f"ratelimit:{period_s}:{digest}"
