"""The registry: the nouns over one database, and the reads that routing needs."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Row, bindparam, inspect, select

from cloister.assets.navigation import prefers_assets
from cloister.broker import redis_client
from cloister.messages import Changed
from cloister.registry.accounts import Accounts
from cloister.registry.assets import Assets
from cloister.registry.database import Database, open_database
from cloister.registry.databases import Databases
from cloister.registry.deployments import Deployments
from cloister.registry.hostnames import Hostnames
from cloister.registry.kv import Kv
from cloister.registry.kv_cache import KvCache
from cloister.registry.migrations import upgrade
from cloister.registry.models import Namespace, Script, Version
from cloister.registry.namespaces import Namespaces, namespace_view, outbound_rule
from cloister.registry.objects import Objects
from cloister.registry.points import Points
from cloister.registry.queues import Queues
from cloister.registry.r2 import R2
from cloister.registry.retention import Retention
from cloister.registry.rollout import Split
from cloister.registry.schedules import Schedules
from cloister.registry.scripts import Scripts
from cloister.registry.secret_stores import SecretStores
from cloister.registry.tokens import Tokens
from cloister.registry.uploads import Uploads
from cloister.registry.versions import Versions
from cloister.registry.views import Bundle, NamespaceView, Route
from cloister.secrets import Cipher, open_cipher
from cloister.settings import Settings

CACHE_WAIT_S = 2.0
"""Who has to wait longer for the cache asks the database."""

# Built once: that takes as long as to ask the database. As long again would take objects of it.
_ROUTES = select(
    Namespace.name.label("namespace"),
    Namespace.trusted,
    Namespace.limits.label("namespace_limits"),
    Namespace.outbound,
    Script.id.label("script_id"),
    Script.name.label("script"),
    Script.traffic,
    Version.id.label("version"),
    Version.limits,
    Version.main_module,
    Version.compatibility_date,
    Version.compatibility_flags,
    Version.assets,
).join(Script, Script.namespace_id == Namespace.id)
_ROUTE = _ROUTES.join(Version, Script.version_id == Version.id).where(
    Namespace.name == bindparam("namespace"), Script.name == bindparam("script")
)
_ROUTES_OF_SCRIPTS = _ROUTES.join(Version, Script.version_id == Version.id).where(
    Script.id.in_(bindparam("scripts", expanding=True))
)
_ROUTE_OF_VERSION = _ROUTES.join(Version, Version.script_id == Script.id).where(
    Version.id == bindparam("version")
)
_NAMESPACE = select(*inspect(Namespace).columns).where(Namespace.name == bindparam("namespace"))


class Registry:
    """The stored truth about what is deployed. Synchronous, thread-safe; one a process.

    What routing reads is read without a wait if ``wait`` is False: see :meth:`Database.row`.

    Attributes:
        is_near: see :class:`Database`.
    """

    def __init__(
        self,
        database: Database,
        cipher: Cipher,
        domain: str,
        retention: Retention,
        r2_bucket_bytes: int,
        kv_cache: KvCache | None = None,
    ) -> None:
        self._database = database
        self._kv_cache = kv_cache
        self.is_near = database.is_near
        self.accounts = Accounts(database)
        self.tokens = Tokens(database)
        self.namespaces = Namespaces(database)
        self.versions = Versions(database, cipher, retention)
        self.deployments = Deployments(database, self.versions, retention)
        self.scripts = Scripts(database, self.versions, self.deployments)
        self.uploads = Uploads(database)
        self.schedules = Schedules(database)
        self.assets = Assets(database)
        self.hostnames = Hostnames(database, domain)
        self.kv = Kv(database, kv_cache)
        self.secret_stores = SecretStores(database, cipher)
        self.points = Points(database)
        self.r2 = R2(database, r2_bucket_bytes)
        self.databases = Databases(database)
        self.queues = Queues(database)
        self.objects = Objects(database)

    def resolve(self, namespace: str, script: str, *, wait: bool = True) -> Route | None:
        """The live version under this name; None if there is none."""
        names = {"namespace": namespace, "script": script}
        row = self._database.row(_ROUTE, names, wait=wait)
        if row is None:
            return None
        return _route(row, None if row.traffic is None else _split(row))

    def routes(self, script_ids: Sequence[str]) -> dict[str, Route]:
        """The live versions of some scripts, by the scripts' ids."""
        with self._database.read() as session:
            rows: Sequence[Any] = session.execute(_ROUTES_OF_SCRIPTS, {"scripts": script_ids}).all()
        return {row.script_id: _route(row, row.traffic and _split(row)) for row in rows}

    def resolve_version(self, version_id: str, *, wait: bool = True) -> Route | None:
        """The same for one version, be it live or not."""
        row = self._database.row(_ROUTE_OF_VERSION, {"version": version_id}, wait=wait)
        return None if row is None else _route(row, None)

    def namespace_view(self, namespace: str, *, wait: bool = True) -> NamespaceView | None:
        """The namespace of this name; None if there is none."""
        row = self._database.row(_NAMESPACE, {"namespace": namespace}, wait=wait)
        return None if row is None else namespace_view(row)

    def bundle(self, version_id: str, *, wait: bool = True) -> Bundle | None:
        """What running this version needs; None if it is gone."""
        return self.versions.bundle(version_id, wait=wait)

    def close(self) -> None:
        """Close every connection to the database."""
        self._database.close()
        if self._kv_cache is not None:
            self._kv_cache.close()


def _route(row: Row[Any], split: Split | None) -> Route:
    return Route(
        namespace=row.namespace,
        script=row.script,
        version=row.version,
        trusted=row.trusted,
        namespace_limits=row.namespace_limits,
        script_limits=row.limits,
        outbound=outbound_rule(row.outbound, row.namespace),
        assets=row.assets,
        has_code=bool(row.main_module),
        prefers_assets=row.assets is not None
        and prefers_assets(row.compatibility_date, row.compatibility_flags),
        split=split,
    )


def _split(row: Row[Any]) -> Split:
    return Split(script_id=row.script_id, script=row.script, traffic=row.traffic)


def open_registry(
    settings: Settings,
    *,
    on_change: Callable[[Changed], None] | None = None,
    migrate: bool = True,
) -> Registry:
    """Open the registry, its schema brought up to date unless ``migrate`` is False.

    ``on_change`` is called after each commit, once for each thing changed, in the thread that wrote
    (see :func:`cloister.registry.change_publisher`). Open it after a fork, not before.

    Raises:
        SettingInvalid: the database URL or the secret key cannot be used.
        NotReady: the database does not answer, or is of a newer release.
    """
    cipher = open_cipher(settings)
    database = open_database(settings, on_change)
    try:
        if migrate:
            upgrade(database)
    except BaseException:
        database.close()
        raise
    # What is near answers sooner than a cache.
    cache = None if database.is_near else KvCache(redis_client(settings, timeout_s=CACHE_WAIT_S))
    retention = Retention.of(settings)
    return Registry(
        database, cipher, settings.domain, retention, settings.r2_bucket_bytes, kv_cache=cache
    )
