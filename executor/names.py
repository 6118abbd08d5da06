"""Which namespaces an executor serves."""

import asyncio
import logging
from collections.abc import Callable

from cloister.registry import RouteCache
from cloister.settings import Settings

log = logging.getLogger(__name__)

RETRY_S = 1.0


async def follow(
    settings: Settings, routes: RouteCache, tell: Callable[[frozenset[str]], None]
) -> None:
    """Tell the names of the namespaces to serve, now and whenever they change; forever."""
    if settings.executor_namespaces:
        tell(frozenset(settings.executor_namespaces))
        return
    changed = asyncio.Event()
    routes.on_change(lambda note: changed.set() if note is None or note.script is None else None)
    while True:
        try:
            tell(frozenset(await routes.names()))
            await changed.wait()
            changed.clear()
        except Exception:
            log.exception("the namespaces are not known, trying again")
            await asyncio.sleep(RETRY_S)
