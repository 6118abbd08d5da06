"""The isolates of one executor, a pool for each language: an isolate of one is never in the other.

The restricted pool is there from the start. The full one is started when a namespace first needs
it, and not at all on most executors.
"""

import asyncio
import logging
import time

from cloister.errors import NotReady
from cloister.languages import FULL, RESTRICTED, Language
from cloister.settings import Settings
from executor.isolates import Isolate, IsolatePool
from executor.packages import Packages, resolve
from executor.zygotes import COMMAND

log = logging.getLogger(__name__)

RETRY_S = 5.0
"""After a pool could not be started, that is what everybody is told for so long."""


class Pools:
    """Makes, lends and ends isolates of both languages. Lives in one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._packages = Packages()
        self._pools: dict[str, IsolatePool] = {}
        self._failed: dict[str, tuple[float, str]] = {}
        self._starting = asyncio.Lock()
        self._closing = False

    async def start(self) -> None:
        """Look for the allowed packages, and start the restricted pool.

        Raises:
            SettingInvalid: a package is not installed.
            NotReady: the sandbox cannot be built here.
        """
        self._packages = await asyncio.to_thread(resolve, self._settings.packages)
        await self.of(RESTRICTED)

    async def close(self) -> None:
        """End every isolate and zygote; returns when they are gone."""
        self._closing = True
        async with self._starting:
            pools = list(self._pools.values())
        await asyncio.gather(*(pool.close() for pool in pools))

    async def of(self, language: Language) -> IsolatePool:
        """The pool of that language, started now if need be.

        Raises:
            NotReady: there is no such language, or its zygote does not start.
        """
        if (pool := self._pools.get(language)) is not None:
            return pool
        async with self._starting:
            if language not in self._pools:
                self._check_failed(language)
                try:
                    self._pools[language] = await self._started(language)
                except NotReady as exc:
                    self._failed[language] = time.monotonic(), str(exc)
                    raise
            return self._pools[language]

    def at_hand(self, language: Language) -> IsolatePool | None:
        """The same, if it runs."""
        return self._pools.get(language)

    def release(self, isolate: Isolate, *, reuse: bool) -> None:
        """Give an isolate back to the pool that it is from."""
        self._pools[isolate.language].release(isolate, reuse=reuse)

    def drop(self, ending: str) -> None:
        """End those that are kept for keys that end so."""
        for pool in self._pools.values():
            pool.drop(ending)

    def _check_failed(self, language: Language) -> None:
        at, message = self._failed.get(language, (-RETRY_S, ""))
        if time.monotonic() < at + RETRY_S:
            raise NotReady(message)

    async def _started(self, language: Language) -> IsolatePool:
        if self._closing:
            raise NotReady("The executor is stopping.")
        pool = IsolatePool(self._settings, language=language, command=self._command(language))
        await pool.start()
        if language == FULL:
            packages = ", ".join(self._packages.distributions) or "none"
            log.warning("workers of the full language are served; packages: %s", packages)
        return pool

    def _command(self, language: Language) -> tuple[str, ...]:
        if language == RESTRICTED:
            return COMMAND
        if language != FULL:
            raise NotReady(f"No language is called {language!r}.")
        modules, distributions = map(
            ",".join, (self._packages.modules, self._packages.distributions)
        )
        return (
            *(*COMMAND, "--language", FULL),
            *("--modules", modules, "--distributions", distributions),
        )
