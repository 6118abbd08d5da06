"""Which of the schedulers is at work: whoever holds the lease in Valkey."""

import time
import uuid

import redis.asyncio

KEY = "scheduler:lease"

LEASE_S = 5.0
"""So long after its holder was last heard of, another takes over."""

_HOLD = """\
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if holder then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1"""

_RELEASE = """\
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 0"""


class Lease:
    """One process's claim on it.

    A holder that was paused, or cut off, may go on for a moment while another has it already: what
    must not happen twice is claimed in the registry, row by row.
    """

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self.id = uuid.uuid4().hex
        self._redis = client
        self._until_s = 0.0

    @property
    def is_held(self) -> bool:
        """Whether it was ours at the last look, and cannot be another's yet."""
        return time.monotonic() < self._until_s

    async def hold(self) -> bool:
        """Take or keep it; whether it is ours.

        Raises:
            redis.RedisError: Valkey is away. Then it is nobody's, once it runs out.
        """
        asked_s = time.monotonic()
        lease_ms = int(LEASE_S * 1000)
        held = await self._redis.eval(_HOLD, 1, KEY, self.id, lease_ms)
        self._until_s = asked_s + LEASE_S if held else 0.0
        return bool(held)

    async def release(self) -> None:
        """Let another have it at once. Harmless where it is not ours."""
        self._until_s = 0.0
        await self._redis.eval(_RELEASE, 1, KEY, self.id)
