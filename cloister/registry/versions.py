"""Versions: code and configuration together, written once, read whole."""

import builtins
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Row, Text, bindparam, cast, func, select
from sqlalchemy.orm import Session

from cloister.errors import Invalid
from cloister.registry import object_classes, unversioned
from cloister.registry.bindings import (
    Secrets,
    check_bindings,
    environment,
    live,
    only_secrets,
    with_secrets,
    without_secrets,
)
from cloister.registry.database import Database, Work, now_ms
from cloister.registry.models import KvNamespace, Namespace, Script, SqlDatabase, Version
from cloister.registry.names import new_uuid, plain_namespace
from cloister.registry.observability import observability
from cloister.registry.retention import Retention
from cloister.registry.views import Bundle, NewVersion, Numbered, VersionView
from cloister.secrets import Cipher

KV_NAMESPACE_INVALID = 10042
DATABASE_INVALID = 10021

_SAME = (
    "digest",
    "main_module",
    "limits",
    "settings",
    "compatibility_date",
    "compatibility_flags",
    "handlers",
    "startup_ms",
    "assets",
    "source",
)
"""Fields that a version has as it was uploaded."""


# Built once: that takes as long as to ask the database. As long again would take objects of it.
_BUNDLE = (
    select(
        Version.id,
        Version.digest,
        Version.main_module,
        Version.bindings,
        Version.secrets,
        Version.limits,
        Version.compatibility_date,
        Version.compatibility_flags,
        Version.handlers,
        Version.assets,
        Version.settings,
        Version.created_at,
        Script.settings.label("of_script"),
        Script.id.label("script_id"),
        Script.name.label("script"),
        Namespace.name.label("namespace"),
        Namespace.account_id,
    )
    .join(Script, Version.script_id == Script.id)
    .join(Namespace, Script.namespace_id == Namespace.id)
    .where(Version.id == bindparam("version"))
)


class Versions:
    """Writes and reads versions; the one place that seals and opens their secrets."""

    def __init__(self, database: Database, cipher: Cipher, retention: Retention) -> None:
        self._database = database
        self._cipher = cipher
        self._retention = retention

    def list(self, script_id: str) -> builtins.list[VersionView]:
        """The versions of a script that are kept, newest first."""
        query = select(Version).where(Version.script_id == script_id)
        with self._database.read() as session:
            return [view(row) for row in session.scalars(query.order_by(Version.number.desc()))]

    def page(self, script_id: str, *, page: int, per_page: int) -> Numbered[VersionView]:
        """Some of them, by the number of their page from 1 on."""
        mine = Version.script_id == script_id
        query = select(Version).where(mine).order_by(Version.number.desc())
        with self._database.read() as session:
            total = session.scalar(select(func.count()).select_from(Version).where(mine)) or 0
            rows = session.scalars(query.offset((page - 1) * per_page).limit(per_page))
            return Numbered(items=[view(row) for row in rows], total=total)

    def is_bound(self, namespace_id: str, kind: str, field: str, name: str) -> bool:
        """Whether a live version in a namespace has a binding of that type to what is so named."""
        quoted = msgspec.json.encode(name).decode()
        query = (
            select(Version.bindings)
            .join(Script, Script.version_id == Version.id)
            .where(Script.namespace_id == namespace_id)
            .where(cast(Version.bindings, Text).contains(quoted, autoescape=True))
        )
        with self._database.read() as session:
            return any(
                each["type"] == kind and each[field] == name
                for bindings in session.scalars(query)
                for each in bindings
            )

    def get(self, script_id: str, version_id: str) -> VersionView | None:
        """One of them; None if the script has none of this id."""
        query = select(Version).where(Version.script_id == script_id, Version.id == version_id)
        with self._database.read() as session:
            row = session.scalar(query)
            return None if row is None else view(row)

    def bundle(self, version_id: str, *, wait: bool = True) -> Bundle | None:
        """What running this version needs; None if it is gone. ``wait``: see ``Database.row``."""
        row = self._database.row(_BUNDLE, {"version": version_id}, wait=wait)
        if row is None:
            return None
        bindings = with_secrets(row.bindings, self.secrets(row))
        settings = unversioned.merged(row.settings, row.of_script)
        return Bundle(
            version=row.id,
            namespace=row.namespace,
            script=row.script,
            script_id=row.script_id,
            account_id=row.account_id,
            digest=row.digest,
            main_module=row.main_module,
            env=environment(bindings, _metadata(row)),
            live=live(bindings),
            limits=row.limits,
            compatibility_date=row.compatibility_date,
            compatibility_flags=row.compatibility_flags,
            handlers=row.handlers,
            assets=row.assets,
            tails=_tails(settings, row.account_id),
            observability=observability(settings),
        )

    def uploaded(self, row: Version, of_script: dict[str, Any] | None = None) -> NewVersion:
        """The version as it was uploaded, with its secrets, and the settings of its script: to make
        the next one of it."""
        fields = {name: getattr(row, name) for name in _SAME}
        fields["settings"] = unversioned.merged(row.settings, of_script)
        return NewVersion(**fields, bindings=with_secrets(row.bindings, self.secrets(row)))

    def newest(self, session: Session, script: Script) -> Version:
        """The newest version, live or not."""
        query = select(Version).where(Version.script_id == script.id)
        return session.scalars(query.order_by(Version.number.desc()).limit(1)).one()

    def write(
        self, work: Work, namespace: Namespace, script: Script, version: NewVersion
    ) -> Version:
        """Add a version, which is not live by that, and drop old ones.

        Raises:
            Invalid: its bindings are malformed, or name a KV namespace of another account, or a
                class without objects; or its code lacks a class that has some.
        """
        check_bindings(version.bindings)
        _check_kv_namespaces(work, namespace.account_id, version)
        _check_databases(work, namespace.account_id, version)
        object_classes.check_exported(work, script, version.handlers)
        bindings = object_classes.resolved(work, namespace, script, version.bindings)
        highest = select(func.max(Version.number)).where(Version.script_id == script.id)
        secrets = msgspec.msgpack.encode(only_secrets(bindings))
        row = Version(
            id=(id_ := new_uuid()),
            script_id=script.id,
            number=(work.scalar(highest) or 0) + 1,
            bindings=without_secrets(bindings),
            secrets=self._cipher.seal(secrets, about=id_),
            created_at=now_ms(),
            **{name: getattr(version, name) for name in _SAME},
        )
        work.add(row)
        self._retention.drop_versions(work, script, row.number)
        return row

    def secrets(self, row: Version | Row[Any]) -> Secrets:
        """What is secret in its bindings, by name."""
        text = self._cipher.open(row.secrets, about=row.id)
        return msgspec.msgpack.decode(text, type=Secrets)


def _tails(settings: dict[str, Any], account_id: str) -> list[tuple[str, str]]:
    plain = plain_namespace(account_id)
    said = settings.get("tail_consumers", [])
    return [(each.get("namespace") or plain, each.get("service", "")) for each in said]


def _metadata(row: Row[Any]) -> dict[str, str]:
    """What a worker may know of its version."""
    tag = row.settings.get("annotations", {}).get("workers/tag", "")
    moment = datetime.fromtimestamp(row.created_at / 1000, UTC)
    timestamp = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"id": row.id, "tag": tag if isinstance(tag, str) else "", "timestamp": timestamp}


def view(row: Version) -> VersionView:
    """The row as anyone may see it."""
    fields = {name: getattr(row, name) for name in (*_SAME, "id", "number", "created_at")}
    return VersionView(**fields, bindings=row.bindings)


def _check_kv_namespaces(work: Work, account_id: str, version: NewVersion) -> None:
    """An id in a binding is all that reading the data takes, so it must be the account's own."""
    ids = {item.get("namespace_id") for item in version.bindings if item["type"] == "kv_namespace"}
    if not ids:
        return
    mine = (KvNamespace.account_id == account_id) & KvNamespace.id.in_(ids)
    if work.scalar(select(func.count()).select_from(KvNamespace).where(mine)) != len(ids):
        raise Invalid(
            "A kv_namespace binding names no KV namespace of this account.",
            code=KV_NAMESPACE_INVALID,
        )


def _check_databases(work: Work, account_id: str, version: NewVersion) -> None:
    ids = {item.get("database_id") for item in version.bindings if item["type"] == "d1"}
    if not ids:
        return
    mine = (SqlDatabase.account_id == account_id) & SqlDatabase.id.in_(ids)
    if work.scalar(select(func.count()).select_from(SqlDatabase).where(mine)) != len(ids):
        raise Invalid("A d1 binding names no database of this account.", code=DATABASE_INVALID)
