"""The registry as dispatchers and executors see it: in memory, asynchronous, never old for long."""

import asyncio
import math
from collections.abc import Callable, Iterable
from functools import partial

from cloister.messages import EVERY_HOSTNAME, Changed
from cloister.registry.hostname_names import may_be_hostname
from cloister.registry.notes import ChangeListener
from cloister.registry.registry import Registry
from cloister.registry.shelf import Shelf
from cloister.registry.views import Bundle, HostnameRoute, NamespaceView, Route
from cloister.settings import Settings

ROUTES = 20_000
VERSIONS = 2_000
NAMESPACES = 2_000
HOSTNAMES = 20_000
"""Entries kept of each kind."""

BUNDLES = 8_192
BUNDLE_BYTES = 4 * 1024
"""So many bundles are kept, each of which counts as more for every so many bytes of its own: it may
hold a megabyte of bindings. Fewer than the workers that are called in turn would be none."""

ABSENT = 2_000
"""Names of each kind kept beside them as leading nowhere."""

AGE_S = 30.0
"""Longest life of an entry: bounds what a lost note (its writer died) can do."""

BLIND_AGE_S = 1.0
"""The same while notes may be lost."""

Callback = Callable[[Changed | None], None]


class RouteCache:
    """Names to live versions. For one event loop; start it before use.

    A change is visible as soon as its note is here, milliseconds after the commit; without
    notes (Valkey is away) within a second. Every read raises ``NotReady`` if the database must be
    asked and does not answer.
    """

    def __init__(self, registry: Registry, settings: Settings) -> None:
        self._registry = registry
        self._domain = settings.domain
        self._callbacks: list[Callback] = []
        # A database that is a file answers sooner than a thread that waits for the interpreter.
        near = registry.is_near
        self._routes: Shelf[tuple[str, str], Route | None] = Shelf(
            ROUTES,
            lambda key: registry.resolve(*key),
            absent=ABSENT,
            near=(lambda key: registry.resolve(*key, wait=False)) if near else None,
        )
        self._versions: Shelf[str, Route | None] = Shelf(
            VERSIONS,
            registry.resolve_version,
            absent=ABSENT,
            near=partial(registry.resolve_version, wait=False) if near else None,
        )
        self._namespaces: Shelf[str, NamespaceView | None] = Shelf(
            NAMESPACES,
            registry.namespace_view,
            absent=ABSENT,
            near=partial(registry.namespace_view, wait=False) if near else None,
        )
        self._hostnames: Shelf[str, HostnameRoute | None] = Shelf(
            HOSTNAMES,
            registry.hostnames.resolve,
            absent=ABSENT,
            near=partial(registry.hostnames.resolve, wait=False) if near else None,
        )
        self._bundles: Shelf[str, Bundle | None] = Shelf(
            BUNDLES,
            registry.bundle,
            near=partial(registry.bundle, wait=False) if near else None,
            weigh=_weigh,
        )
        self._listener = ChangeListener(settings, self._take)

    async def start(self) -> None:
        """Follow the notes. Works without Valkey too, only slower."""
        await self._listener.start()

    async def close(self) -> None:
        """Stop; the registry stays open."""
        await self._listener.close()
        await self._routes.close()
        await self._versions.close()
        await self._namespaces.close()
        await self._hostnames.close()
        await self._bundles.close()

    async def route(self, namespace: str, script: str) -> Route | None:
        """The live version under this name; None if there is none."""
        return await self._routes.get((namespace, script), self._age_s())

    async def route_of_version(self, version_id: str) -> Route | None:
        """The route to one version, be it live or not; None if it is gone."""
        return await self._versions.get(version_id, self._age_s())

    async def chosen(self, route: Route, headers: Iterable[tuple[str, str]] = ()) -> Route:
        """The route that a request with these headers takes, of those that ``route`` leaves open:
        see :class:`cloister.registry.rollout.Split`."""
        if route.split is None:
            return route
        # A version that is gone was live a moment ago: what is live by now will do.
        return await self.route_of_version(route.split.pick(headers)) or route

    async def namespace(self, name: str) -> NamespaceView | None:
        """The namespace of this name; None if there is none."""
        return await self._namespaces.get(name, self._age_s())

    async def hostname(self, host: str) -> HostnameRoute | None:
        """Where a custom hostname leads, in lower case without port and final dot; None if it is
        active for nobody. What cannot be one (an address, a name of the platform's own) is not even
        looked for."""
        if not may_be_hostname(host, self._domain):
            return None
        found = await self._hostnames.get(host, self._age_s())
        if found is None:
            # One place for all names below: strangers choose those.
            above = host.partition(".")[2]
            found = await self._hostnames.get(f"*.{above}", self._age_s())
        return found

    async def bundle(self, version_id: str) -> Bundle | None:
        """What running this version needs; None if it is gone. Versions never change."""
        return await self._bundles.get(version_id, math.inf)

    def namespace_at_hand(self, name: str) -> NamespaceView | None:
        """The namespace, if it need not be read; None if it must be, or there is none."""
        return self._namespaces.at_hand(name, self._age_s())

    def bundle_at_hand(self, version_id: str) -> Bundle | None:
        """What running this version needs, as :meth:`namespace_at_hand`."""
        return self._bundles.at_hand(version_id, math.inf)

    async def names(self) -> list[str]:
        """The names of all namespaces, from the database: what there is to consume."""
        return await asyncio.to_thread(self._registry.namespaces.names)

    def on_change(self, callback: Callback) -> None:
        """Call this with each change, once it is out of the cache, and with None when any number of
        changes may have been missed. It must be quick."""
        self._callbacks.append(callback)

    def _age_s(self) -> float:
        return AGE_S if self._listener.connected.is_set() else BLIND_AGE_S

    def _take(self, changed: Changed | None) -> None:
        if changed is None:
            self._routes.clear()
            self._versions.clear()
            self._namespaces.clear()
            self._hostnames.clear()
            self._bundles.clear()
        elif changed.hostname == EVERY_HOSTNAME:
            self._hostnames.clear()
        elif changed.hostname is not None:
            self._hostnames.drop(changed.hostname)
        elif changed.script is None:
            self._drop_namespace(changed.namespace)
        else:
            self._drop_script(changed.namespace, changed.script)
        for callback in self._callbacks:
            callback(changed)

    def _drop_namespace(self, name: str) -> None:
        self._namespaces.drop(name)
        self._routes.drop_where(lambda key, _route: key[0] == name)
        self._versions.drop_where(lambda _id, route: route is None or route.namespace == name)
        self._hostnames.drop_where(
            lambda _host, found: found is not None and found.namespace == name
        )
        self._bundles.drop_where(lambda _id, bundle: bundle is None or bundle.namespace == name)

    def _drop_script(self, namespace: str, script: str) -> None:
        gone = (namespace, script)
        self._routes.drop(gone)
        self._versions.drop_where(
            lambda _id, route: route is None or (route.namespace, route.script) == gone
        )
        # Its hostnames go with a script, and must not find a later one of its name.
        self._hostnames.drop_where(
            lambda _host, found: found is not None and (found.namespace, found.script) == gone
        )
        # Not for truth, as they never change, but so that revoked secrets leave this memory.
        self._bundles.drop_where(
            lambda _id, bundle: bundle is None or (bundle.namespace, bundle.script) == gone
        )


def _weigh(bundle: Bundle | None) -> int:
    return 1 if bundle is None else 1 + len(repr((bundle.env, bundle.live))) // BUNDLE_BYTES
