"""The registry: the nouns over one database, and the reads that routing needs."""

from collections.abc import Callable

from sqlalchemy import bindparam, select

from cloister.messages import Changed
from cloister.registry.accounts import Accounts
from cloister.registry.database import Database, open_database
from cloister.registry.hostnames import Hostnames
from cloister.registry.kv import Kv
from cloister.registry.migrations import upgrade
from cloister.registry.models import Namespace, Script, Version
from cloister.registry.namespaces import Namespaces, namespace_view, outbound_rule
from cloister.registry.scripts import Scripts
from cloister.registry.tokens import Tokens
from cloister.registry.versions import Versions
from cloister.registry.views import Bundle, NamespaceView, Route
from cloister.secrets import Cipher, open_cipher
from cloister.settings import Settings

# Built once: that takes as long as to ask the database.
_ROUTE = (
    select(Namespace, Script.version_id, Version.limits)
    .join(Script, Script.namespace_id == Namespace.id)
    .join(Version, Script.version_id == Version.id)
    .where(Namespace.name == bindparam("namespace"), Script.name == bindparam("script"))
)
_NAMESPACE = select(Namespace).where(Namespace.name == bindparam("namespace"))


class Registry:
    """The stored truth about what is deployed. Synchronous, thread-safe; one a process."""

    def __init__(self, database: Database, cipher: Cipher, domain: str) -> None:
        self._database = database
        self.accounts = Accounts(database)
        self.tokens = Tokens(database)
        self.namespaces = Namespaces(database)
        self.versions = Versions(database, cipher)
        self.scripts = Scripts(database, self.versions)
        self.hostnames = Hostnames(database, domain)
        self.kv = Kv(database)

    def resolve(self, namespace: str, script: str) -> Route | None:
        """The live version under this name; None if there is none."""
        names = {"namespace": namespace, "script": script}
        with self._database.read() as session:
            found = session.execute(_ROUTE, names).one_or_none()
        if found is None:
            return None
        row, version_id, limits = found
        return Route(
            namespace=namespace,
            script=script,
            version=version_id,
            trusted=row.trusted,
            namespace_limits=row.limits,
            script_limits=limits,
            outbound=outbound_rule(row),
        )

    def namespace_view(self, namespace: str) -> NamespaceView | None:
        """The namespace of this name; None if there is none."""
        with self._database.read() as session:
            row = session.scalar(_NAMESPACE, {"namespace": namespace})
        return namespace_view(row) if row else None

    def bundle(self, version_id: str) -> Bundle | None:
        """What running this version needs; None if it is gone."""
        return self.versions.bundle(version_id)

    def close(self) -> None:
        """Close every connection to the database."""
        self._database.close()


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
    return Registry(database, cipher, settings.domain)
