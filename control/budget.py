"""How many requests a token has left: counted in Valkey, for all control processes together."""

import threading
import time
from dataclasses import dataclass
from typing import cast

import redis

from control.request_id import log

WINDOW_S = 300
"""It begins with a token's first request, and the next one when that is over."""

ANSWER_S = 1.0
"""Longest wait for Valkey's count."""

AWAY_S = 10.0
"""After a failure nothing is counted for so long, lest each request wait for it anew."""


@dataclass(frozen=True, kw_only=True)
class Spent:
    """A token's requests in its window, this one included, out of so many."""

    used: int
    limit: int
    left_s: int

    @property
    def over(self) -> bool:
        """Whether this one is too many."""
        return self.used > self.limit

    def headers(self) -> dict[str, str]:
        """As the product says it (an IETF draft's fields)."""
        remaining = max(0, self.limit - self.used)
        said = {
            "Ratelimit": f'"default";r={remaining};t={self.left_s}',
            "Ratelimit-Policy": f'"default";q={self.limit};w={WINDOW_S}',
        }
        return said | {"Retry-After": str(self.left_s)} if self.over else said


class Budget:
    """Counts requests. ``limit`` 0 counts nothing. Thread-safe."""

    def __init__(self, client: redis.Redis, limit: int) -> None:
        self._redis = client
        self._limit = limit
        self._away_until = 0.0
        self._lock = threading.Lock()

    def spend(self, token_id: str) -> Spent | None:
        """Count one request; None where nothing is counted."""
        if not self._limit or time.monotonic() < self._away_until:
            return None
        try:
            return self._counted(token_key(token_id))
        except redis.RedisError as exc:
            self._away(exc)
            return None

    def _counted(self, key: str) -> Spent:
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.incr(key)
            pipeline.expire(key, WINDOW_S, nx=True)
            pipeline.pttl(key)
            used, _, left_ms = cast("tuple[int, bool, int]", pipeline.execute())
        return Spent(used=used, limit=self._limit, left_s=max(1, -(-left_ms // 1000)))

    def _away(self, exc: redis.RedisError) -> None:
        with self._lock:
            if time.monotonic() < self._away_until:
                return  # another thread has said so
            self._away_until = time.monotonic() + AWAY_S
        log.error("requests are not counted for %d s: Valkey does not answer: %s", AWAY_S, exc)


def token_key(token_id: str) -> str:
    """Where a token's requests are counted."""
    return f"cloister:api-requests:{token_id}"
